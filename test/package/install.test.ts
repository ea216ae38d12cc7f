/**
 * The npm package as its users get it: packed, installed into a project of theirs, and started by npx and bunx. No C
 * compiler is on the PATH during any of it, and the home directory is empty.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findCompiler } from "../../scripts/build/compiler.ts";
import { glibcNeeded } from "../../scripts/build/glibc.ts";
import { buildNativeFor } from "../../scripts/build/native.ts";
import { hostTargetName, prebuiltFolder, TARGET_NAMES, targetNamed } from "../../scripts/build/targets.ts";
import { findToolchain } from "../../scripts/build/toolchain.ts";
import { start } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { elfFacts, readelfMissing } from "./elf.ts";
import { checkout, installInto, makeSource, packTarball, pathWithoutCompiler, succeed } from "./package-files.ts";

const scratch = tempDir();
const source = makeSource(scratch.path);
const dist = join(checkout, "dist", "fastsync");
let tarball = "";
let files: string[] = [];
let project = "";

beforeAll(async () => {
  tarball = await packTarball(scratch.path);
  files = (await succeed(["tar", "-tzf", tarball])).stdout.split("\n").filter((name) => name !== "");
  await succeed(["tar", "-xzf", tarball, "-C", scratch.path]);
  project = await installInto(scratch.join("project"), tarball);
}, 300_000);
afterAll(() => scratch[Symbol.dispose]());

/** The ways in which the same program is started. */
const ways: Record<string, () => string[]> = {
  npx: () => ["npx", "--no-install", "fastsync"],
  bunx: () => [join(project, "node_modules", ".bin", "bunx"), "--no-install", "fastsync"],
  "dist/fastsync": () => [dist],
};

function runIn(folder: string, command: readonly string[]) {
  return succeed(command, { cwd: folder, env: pathWithoutCompiler(folder) });
}

describe.each(Object.keys(ways))("%s", (way) => {
  test("tells the version of the package", async () => {
    const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"));
    const { stdout } = await runIn(project, [...ways[way]!(), "version"]);
    expect(stdout).toContain(version);
  });

  test("mirrors a tree", async () => {
    const target = scratch.join(`target-${way.replace("/", "-")}`);
    await runIn(project, [...ways[way]!(), "mirror", "--yes", `${source}/`, `${target}/`]);
    await succeed(["diff", "-r", source, target]);
  });

  test("hands the exit code on", async () => {
    const { exitCode, stderr } = await start([...ways[way]!(), "mirrow"], {
      cwd: project,
      env: pathWithoutCompiler(project),
    }).result;
    expect(exitCode).toBe(1);
    expect(stderr).toContain("mirror");
  });

  test.skipIf(findCompiler().kind === "none")("uses the native library", async () => {
    const { stdout } = await runIn(project, [...ways[way]!(), "capabilities", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ backend: "native" });
  });
});

describe.each(["launcher", "dist/fastsync"])("%s", (way) => {
  test("takes no settings and no code from the directory it runs in", async () => {
    const hostile = scratch.join(`hostile-${way.replace("/", "-")}`);
    mkdirSync(hostile);
    writeFileSync(join(hostile, "bunfig.toml"), 'preload = ["./taken-over.ts"]\n');
    writeFileSync(join(hostile, "taken-over.ts"), 'console.log("taken over"); process.exit(99);\n');
    writeFileSync(join(hostile, ".env"), "FASTSYNC_NATIVE=off\n");
    // npx and bunx look for the program from the working directory; an installed one is called by its path.
    const program = way === "launcher" ? join(project, "node_modules", ".bin", "fastsync") : dist;
    const { stdout } = await succeed([program, "capabilities", "--json"], { cwd: hostile });
    expect(JSON.parse(stdout)).toMatchObject({ schema: 1 });
    expect(stdout).not.toContain("FASTSYNC_NATIVE");
  });
});

test("runs where npm refused every install script", async () => {
  const strict = await installInto(scratch.join("no-scripts"), tarball, "--ignore-scripts");
  const { stdout } = await runIn(strict, ["npx", "--no-install", "fastsync", "version"]);
  expect(stdout).toContain("0.");
}, 300_000);

describe("the tarball", () => {
  test("holds what running and building it needs", () => {
    const needed = [
      ...["package.json", "README.md", "LICENSE", "LICENSE-MIT", "LICENSE-APACHE", "bunfig.toml"],
      ...["bin/fastsync.mjs", "src/main.ts", "ffi/library.ts", "ffi/fsy.h", "ffi/build.sh", "build.ts"],
      ...["scripts/build/native.ts", "scripts/bun.mjs", "scripts/find-bun.mjs", "packaging/systemd/fastsyncd.service"],
    ];
    expect(needed.filter((name) => !files.includes(`package/${name}`))).toEqual([]);
  });

  test("holds no tests, benches or leftovers of a build", () => {
    const wrong = /\.test\.ts$|^package\/(test|bench|dist|node_modules|\.ci|ffi\/(build|test|bench)\/)/;
    expect(files.filter((name) => wrong.test(name))).toEqual([]);
  });

  test("is small: sources and libraries, no runtime", () => {
    expect(statSync(tarball).size).toBeLessThan(3 * 2 ** 20);
  });
});

/** Where the tarball was unpacked. */
const unpacked = (name: string): string => join(scratch.path, "package", name);

const linux = TARGET_NAMES.filter((name) => targetNamed(name)!.os === "linux");

describe.each(linux)("the library for %s", (name) => {
  const target = targetNamed(name)!;
  const search = findToolchain(target);
  const missing = readelfMissing() ?? (search.kind === "none" ? search.reason : undefined);

  test.skipIf(missing !== undefined)(missing ?? "is for that machine, and loads on old systems", async () => {
    const path = unpacked(`ffi/prebuilt/${prebuiltFolder(target)}/libfsy.so`);
    const facts = await elfFacts(path);
    expect(facts.machine).toBe(target.arch === "x64" ? "Advanced Micro Devices X86-64" : "AArch64");
    expect(facts.exported.length).toBeGreaterThan(5);
    // What the linker itself adds, beside.
    expect(facts.exported.filter((symbol) => !/^(fsy_|_init$|_fini$)/.test(symbol))).toEqual([]);
    expect(facts).toMatchObject({ hasRunPath: false, bindsNow: true, hasExecutableStack: false });
    const glibc = glibcNeeded(readFileSync(path));
    if (target.libc === "musl") {
      expect(glibc).toBeUndefined();
      expect(facts.needed.filter((library) => /^(libc\.so\.6|libpthread|ld-linux)/.test(library))).toEqual([]);
    } else {
      // Where Bun itself starts.
      expect(Number(glibc?.split(".")[1])).toBeLessThanOrEqual(17);
      expect(facts.needed).toContain("libc.so.6");
    }
  });
});

test.each(["darwin-arm64", "windows-x64"])("%s has no library, and the build says why", (name) => {
  expect(buildNativeFor(targetNamed(name)!, scratch.join(name))).toMatchObject({
    reason: expect.stringContaining("no code for"),
  });
});

test("a target that does not exist is refused with those that do", async () => {
  const build = ["node", "scripts/bun.mjs", "build.ts", "--target", "linux-sparc"];
  const { exitCode, stderr } = await start(build, { cwd: checkout }).result;
  expect(exitCode).toBe(1);
  expect(stderr).toContain("--target linux-sparc: there are linux-x64, ");
});

const host = targetNamed(hostTargetName() ?? "");
const withoutLibrary = findCompiler().kind === "none" || host?.os !== "linux";

describe.skipIf(withoutLibrary)("an installed package", () => {
  const installed = (): string => join(project, "node_modules", "fastsync");
  const library = (): string => join(installed(), "ffi", "prebuilt", prebuiltFolder(host!), "libfsy.so");
  const capabilities = async () =>
    JSON.parse((await runIn(project, ["npx", "--no-install", "fastsync", "capabilities", "--json"])).stdout) as {
      readonly backend: string;
      readonly candidates: readonly { readonly place: string; readonly outcome: string }[];
    };

  test("takes the library of its own processor and C library", async () => {
    const { candidates } = await capabilities();
    expect(candidates.at(-1)).toEqual({ place: library(), outcome: "loaded" });
  });

  test("works with the library of another machine too, portably, and says so", async () => {
    const other = linux.map((name) => targetNamed(name)!).find(({ arch }) => arch !== host!.arch)!;
    const foreign = join(installed(), "ffi", "prebuilt", prebuiltFolder(other), "libfsy.so");
    const own = readFileSync(library());
    // Without a compiler for that machine it is half a library, which no machine takes.
    writeFileSync(library(), existsSync(foreign) ? readFileSync(foreign) : own.subarray(0, own.length / 2));
    try {
      const { backend, candidates } = await capabilities();
      expect(backend).toBe("portable");
      expect(candidates.at(-1)).toMatchObject({ place: library() });
      expect(candidates.at(-1)!.outcome).not.toBe("loaded");
      const target = scratch.join("with-foreign-library");
      await runIn(project, ["npx", "--no-install", "fastsync", "mirror", "--yes", `${source}/`, `${target}/`]);
      await succeed(["diff", "-r", source, target]);
    } finally {
      writeFileSync(library(), own);
    }
  });
});
