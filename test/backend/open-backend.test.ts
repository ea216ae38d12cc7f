/** Choosing the backend and finding the library, also where nothing may be executed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { embeddedLibraryPlugin } from "../../ffi/embed-plugin.ts";

const repository = path.join(import.meta.dir, "../..");
const library = path.join(repository, "ffi/build/libfsy.so");
const program = `
import { openBackendExplained } from ${JSON.stringify(path.join(repository, "src/fs/open-backend.ts"))};
const { backend, candidates, openFiles } = openBackendExplained({ workers: 2 });
const answer = await backend.resolve(-100, new TextEncoder().encode("/"), { create: false, operator: true });
backend.close([answer]);
await backend.shutdown();
console.log(JSON.stringify({ kind: backend.kind, reason: backend.reason, candidates, openFiles, works: answer >= 0 }));
`;

interface Told {
  readonly kind: string;
  readonly reason: string;
  readonly candidates: readonly { readonly place: string; readonly outcome: string }[];
  readonly openFiles: number;
  readonly works: boolean;
}

describe("openBackend", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "fastsync-open-"));
  const source = path.join(directory, "main.ts");
  const binary = path.join(directory, "bin", "program");

  beforeAll(async () => {
    fs.writeFileSync(source, program);
    fs.mkdirSync(path.dirname(binary));
    await Bun.build({
      entrypoints: [source],
      target: "bun",
      minify: true,
      bytecode: true,
      format: "esm",
      plugins: [embeddedLibraryPlugin(library)],
      compile: { outfile: binary },
      throw: true,
    });
  }, 60_000);
  afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

  function run(command: readonly string[], env: Readonly<Record<string, string>>): Told {
    const done = Bun.spawnSync([...command], { cwd: directory, env: { PATH: process.env["PATH"] ?? "", ...env } });
    expect(done.stderr.toString()).toBe("");
    return JSON.parse(done.stdout.toString());
  }
  const bun = [process.execPath, "run", source];

  test("uses the library of the checkout", () => {
    const told = run(bun, {});
    expect([told.kind, told.works]).toEqual(["native", true]);
    expect(told.reason).toContain("ffi/build/libfsy.so");
    expect(told.openFiles).toBeGreaterThan(100);
  });

  test("does as FASTSYNC_NATIVE=off says", () => {
    const told = run(bun, { FASTSYNC_NATIVE: "off" });
    expect([told.kind, told.reason, told.works]).toEqual(["portable", "FASTSYNC_NATIVE=off", true]);
  });

  test("remembers why a candidate was not taken", () => {
    const broken = path.join(directory, "broken.so");
    fs.writeFileSync(broken, "not a library");
    const told = run(bun, { FASTSYNC_LIBRARY: broken });
    expect(told.candidates[0]).toMatchObject({ place: broken });
    expect(told.candidates[0]!.outcome).not.toBe("loaded");
    expect(told.candidates.at(-1)!.outcome).toBe("loaded");
    expect(told.kind).toBe("native");
    const stranger = run(bun, { FASTSYNC_LIBRARY: "/lib/x86_64-linux-gnu/libc.so.6" });
    expect(stranger.candidates[0]!.outcome).not.toBe("loaded");
    const named = run(bun, { FASTSYNC_LIBRARY: library });
    expect(named.candidates).toEqual([{ place: library, outcome: "loaded" }]);
  });

  test("a compiled binary brings its library, and needs no place to unpack it", () => {
    const told = run([binary], { TMPDIR: "/proc", HOME: "/proc", XDG_RUNTIME_DIR: "/proc" });
    expect([told.kind, told.reason, told.works]).toEqual(["native", "native library embedded (memfd)", true]);
  });

  test("a compiled binary has the portable backend too", () => {
    const told = run([binary], { FASTSYNC_NATIVE: "off" });
    expect([told.kind, told.works, told.openFiles > 100]).toEqual(["portable", true, true]);
  });

  test("a stranger's file beside the binary changes nothing", () => {
    const beside = path.join(path.dirname(binary), "libfsy.so");
    fs.writeFileSync(beside, "not a library");
    const told = run([binary], {});
    fs.unlinkSync(beside);
    expect([told.kind, told.reason]).toEqual(["native", "native library embedded (memfd)"]);
  });
});
