/** What `npm pack` puts into the tarball. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findCompiler } from "../../scripts/build/compiler.ts";
import { glibcNeeded } from "../../scripts/build/glibc.ts";
import { tempDir } from "../support/temp.ts";
import { packTarball, succeed } from "./package-files.ts";

const scratch = tempDir();
let files: string[] = [];

beforeAll(async () => {
  const tarball = await packTarball(scratch.path);
  await succeed(["tar", "-xzf", tarball, "-C", scratch.path]);
  const { stdout } = await succeed(["tar", "-tzf", tarball]);
  files = stdout.split("\n").filter((name) => name !== "");
});
afterAll(() => scratch[Symbol.dispose]());

test("the tarball holds what running and building it needs", () => {
  const needed = [
    ...["package.json", "README.md", "LICENSE", "LICENSE-MIT", "LICENSE-APACHE", "bunfig.toml"],
    ...["bin/fastsync.mjs", "src/main.ts", "ffi/library.ts", "ffi/fsy.h", "ffi/build.sh", "build.ts"],
    ...["scripts/build/native.ts", "scripts/bun.mjs", "scripts/find-bun.mjs", "packaging/systemd/fastsyncd.service"],
  ];
  expect(needed.filter((name) => !files.includes(`package/${name}`))).toEqual([]);
});

test("the tarball holds no tests, benches or leftovers of a build", () => {
  const wrong = /\.test\.ts$|^package\/(test|bench|dist|node_modules|\.ci|ffi\/(build|test|bench)\/)/;
  expect(files.filter((name) => wrong.test(name))).toEqual([]);
});

const compiler = findCompiler();
const isLinux = process.platform === "linux" && compiler.kind === "found";

test.skipIf(!isLinux)("the prebuilt library loads where Bun itself starts: glibc 2.17 is enough", () => {
  const library = join(scratch.path, "package", "ffi", "prebuilt", `linux-${process.arch}-glibc`, "libfsy.so");
  const minor = Number(glibcNeeded(readFileSync(library))?.split(".")[1]);
  expect(minor).toBeLessThanOrEqual(17);
});
