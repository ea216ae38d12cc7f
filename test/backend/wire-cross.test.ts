/** The data plane between the two backends, in both directions: what one sends the other must take. */
import { describe } from "bun:test";
import { findLibrary } from "../../ffi/library.ts";
import type { Backend } from "../../src/fs/backend.ts";
import { NativeBackend } from "../../src/fs/native/native-backend.ts";
import { PortableBackend } from "../../src/fs/portable/portable-backend.ts";
import { Harness } from "./harness.ts";
import { wireSection } from "./sections/wire.ts";

const { library } = findLibrary();
if (library === undefined) throw new Error("build the native library first (bun build.ts --native-only)");
const portable = (): Backend => new PortableBackend("test");
const native = (): Backend => new NativeBackend(library, 2);

describe("native sends, portable receives", () => wireSection(new Harness(portable, []), native));
describe("portable sends, native receives", () => wireSection(new Harness(native, []), portable));
