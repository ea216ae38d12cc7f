import { findLibrary } from "../../ffi/library.ts";
import { NativeBackend } from "../../src/fs/native/native-backend.ts";
import { backendContract } from "./contract.ts";

const { library, candidates } = findLibrary();
if (library === undefined) {
  const tried = candidates.map(({ place, outcome }) => `${place}: ${outcome}`).join("\n");
  throw new Error(`build the native library first (bun build.ts --native-only)\n${tried}`);
}
backendContract("native", () => new NativeBackend(library, 4));
