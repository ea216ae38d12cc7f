import { afterAll, describe, expect, test } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { findLibrary } from "../../ffi/library.ts";
import { buildBatch } from "../../src/core/entry-batch.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { WORKING_DIRECTORY } from "../../src/fs/backend.ts";
import { NativeBackend } from "../../src/fs/native/native-backend.ts";
import { backendContract } from "./contract.ts";
import { SETTINGS, WALK } from "./harness.ts";

const { library, candidates } = findLibrary();
if (library === undefined) {
  const tried = candidates.map(({ place, outcome }) => `${place}: ${outcome}`).join("\n");
  throw new Error(`build the native library first (bun build.ts --native-only)\n${tried}`);
}
backendContract("native", () => new NativeBackend(library, 4));

describe("native only", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "fastsync-native-"));
  afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));
  const here = bytesOf(directory);

  test("rejects a batch that lies outside the arena", async () => {
    const backend = new NativeBackend(library, 1);
    const foreign = buildBatch([{ name: bytesOf("f"), mode: 0o100644 }, { name: bytesOf(".") }]);
    const settings = backend.prepare(SETTINGS);
    const rows = Uint32Array.of(0);
    expect(() => backend.copy({ source: 0, target: 0, batch: foreign, rows, settings })).toThrow("not made by");
    expect(() => backend.releaseBatch(foreign)).toThrow("not made by");
    expect(() => backend.walk(WORKING_DIRECTORY, Uint8Array.of(0x61, 0), WALK)).toThrow("NUL");
    await backend.shutdown();
  });

  test("a batch stays usable when the arena's window has grown since", async () => {
    const backend = new NativeBackend(library, 1);
    const early = await backend.walk(WORKING_DIRECTORY, here, WALK);
    const name = new Uint8Array(200).fill(0x61);
    const many = Array.from({ length: 100_000 }, () => ({ name }));
    const late = backend.makeBatch(many);
    expect(late.name(99_998).length).toBe(200);
    expect(early.status).toBe(0);
    expect(early.type(early.self)).toBe(0o040000);
    backend.close([early.dirfd]);
    backend.releaseBatch(early);
    backend.releaseBatch(late);
    expect(backend.arenaUsed()).toBe(0);
    await backend.shutdown();
  });

  test("answers everything when it is shut down, and refuses what comes later", async () => {
    const backend = new NativeBackend(library, 2);
    const asked = Array.from({ length: 2000 }, () => backend.walk(WORKING_DIRECTORY, here, WALK));
    // A caller that cleans up after its cancelled request.
    const cleaning = asked[0]!.then(async (batch) => {
      backend.close([batch.dirfd]);
      return backend.nop();
    });
    await Promise.all([backend.shutdown(), backend.shutdown()]);
    const settled = await Promise.allSettled([...asked, cleaning]);
    expect(settled.filter(({ status }) => status === "rejected")).toEqual([]);
    expect(() => backend.nop()).toThrow("shut down");
    for (const batch of await Promise.all(asked)) expect(batch.bytes.length).toBe(0);
  });

  test("a process ends by itself after the shutdown", () => {
    const program = `
      const { openBackend } = await import(${JSON.stringify(path.join(import.meta.dir, "../../src/fs/open-backend.ts"))});
      const backend = openBackend({ workers: 2 });
      await backend.sync(99, false);
      await backend.shutdown();
      console.log(backend.kind);`;
    const done = Bun.spawnSync([process.execPath, "-e", program], {
      timeout: 20_000,
      env: { ...process.env, FASTSYNC_NATIVE: undefined },
    });
    expect([done.exitCode, done.stdout.toString().trim()]).toEqual([0, "native"]);
  });

  test("grows and shrinks its pool", async () => {
    const backend = new NativeBackend(library, 1);
    for (const workers of [8, 1, 64, 3]) {
      backend.setWorkers(workers);
      expect(backend.workers).toBe(workers);
      expect(await Promise.all(Array.from({ length: 100 }, () => backend.nop()))).toEqual(Array(100).fill(0));
    }
    await backend.shutdown();
  });
});
