/**
 * The package as its users get it: packed, installed into a project of theirs, and started by npx and bunx. No C
 * compiler is on the PATH during any of it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findCompiler } from "../../scripts/build/compiler.ts";
import { start } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { checkout, installInto, makeSource, packTarball, pathWithoutCompiler, succeed } from "./package-files.ts";

const scratch = tempDir();
const source = makeSource(scratch.path);
const dist = join(checkout, "dist", "fastsync");
let tarball = "";
let project = "";

beforeAll(async () => {
  tarball = await packTarball(scratch.path);
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
