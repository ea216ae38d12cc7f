/** Choosing the backend and finding the library, also where nothing may be executed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { embeddedLibraryPlugin } from "../../ffi/embed-plugin.ts";
import { isSecureExecution } from "../../ffi/library.ts";

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

const capabilityMissing =
  process.getuid?.() !== 0
    ? "needs root"
    : ["setcap", "setpriv"].some((tool) => Bun.which(tool) === null)
      ? "setcap or setpriv is not installed"
      : undefined;

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
    expect([run(bun, { FASTSYNC_NATIVE: "0" }).kind, run(bun, { FASTSYNC_NATIVE: "1" }).kind]).toEqual([
      "portable",
      "native",
    ]);
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

  test("where the program has privileges of its own, nobody may name a library", () => {
    const vector = (secure: bigint) => new Uint8Array(new BigUint64Array([6n, 4096n, 23n, secure, 0n, 0n]).buffer);
    expect([isSecureExecution(vector(0n)), isSecureExecution(vector(1n))]).toEqual([false, true]);
    expect(isSecureExecution(fs.readFileSync("/proc/self/auxv"))).toBe(false);
  });

  test.skipIf(capabilityMissing !== undefined)(
    `a binary with file capabilities loads no library that its caller names${capabilityMissing ? ` (${capabilityMissing})` : ""}`,
    () => {
      const privileged = path.join(directory, "privileged");
      fs.copyFileSync(binary, privileged);
      fs.chmodSync(directory, 0o755);
      fs.chmodSync(privileged, 0o755);
      const given = Bun.spawnSync(["setcap", "cap_dac_read_search+ep", privileged]);
      if (given.exitCode !== 0) return;
      const told = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", privileged], {
        FASTSYNC_LIBRARY: library,
      });
      fs.rmSync(privileged);
      expect(told.candidates[0]).toMatchObject({ place: library });
      expect(told.candidates[0]!.outcome).toStartWith("not asked");
      expect(told.reason).toBe("native library embedded (memfd)");
    },
  );

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
