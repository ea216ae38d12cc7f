import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import { bytesOf } from "../../../src/core/paths.ts";
import { WORKING_DIRECTORY } from "../../../src/fs/backend.ts";
import { type Harness, outcomes, rowOf, SETTINGS, WALK } from "../harness.ts";
import { patterned } from "./copy.ts";

const { errno } = os.constants;

export function cancelSection(h: Harness): void {
  h.test("cancels what is under way, and works again afterwards", async () => {
    for (let i = 0; i < 20; i++) h.write(`source/f${i}`, patterned(1 << 20));
    const source = await h.hold("source");
    const target = await h.hold("target");
    const rows = Uint32Array.from({ length: source.batch.count }, (_, row) => row);
    const request = {
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows,
      settings: h.prepared({ methods: ["read_write"] }),
    };
    h.backend.setRate(1 << 20);
    try {
      const copying = h.backend.copy(request);
      await Bun.sleep(50);
      h.backend.cancel();
      const statuses = outcomes(await copying).map(({ status }) => status);
      for (const status of statuses) expect([0, -errno.ECANCELED]).toContain(status);
      // A file a second would have been the rate: what came to its end had begun before.
      expect(statuses.filter((status) => status === 0).length).toBeLessThan(statuses.length / 2);
    } finally {
      h.backend.setRate(0);
    }
    const again = outcomes(await h.backend.copy(request));
    for (const { status } of again) expect(status).toBe(0);
  });

  h.test("keeps to the rate", async () => {
    h.write("source/f", patterned(1 << 20));
    h.backend.setRate(2 << 20);
    try {
      const from = performance.now();
      const outcome = await h.copyOne("f", { methods: ["read_write"] });
      const again = await h.copyOne("f", { methods: ["read_write"] });
      const seconds = (performance.now() - from) / 1000;
      expect([outcome.status, again.status]).toEqual([0, 0]);
      expect(seconds).toBeGreaterThan(0.35);
      // Bits taken for bytes would make it eight seconds; a busy machine may take a few.
      expect(seconds).toBeLessThan(6);
    } finally {
      h.backend.setRate(0);
    }
  });

  h.test("lets timers run meanwhile", async () => {
    const count = 3000;
    for (let i = 0; i < count; i++) fs.closeSync(fs.openSync(h.at(`source/f${i}`), "w"));
    // How far the copy is each time that the timer fires: never is most of it done between two times.
    const seen = [0];
    const timer = setInterval(() => seen.push(fs.readdirSync(h.at("target")).length), 1);
    await h.copyAll();
    clearInterval(timer);
    seen.push(count);
    const steps = seen.map((files, at) => files - (seen[at - 1] ?? 0));
    expect(Math.max(...steps)).toBeLessThan(count / 2);
    expect(fs.readdirSync(h.at("target")).length).toBe(count);
  });

  h.test("takes many more requests than may be outstanding", async () => {
    h.write("source/f", "x");
    const names = Array.from({ length: h.backend.maxOutstanding * 5 }, () => bytesOf(h.at("source/f")));
    const batches = await Promise.all(names.map((name) => h.backend.stat(WORKING_DIRECTORY, [name], WALK)));
    for (const batch of batches) {
      expect([batch.rowStatus(0), batch.size(0)]).toEqual([0, 1]);
      h.backend.releaseBatch(batch);
    }
  });

  h.test("probes a pair", async () => {
    const source = await h.hold("source");
    const target = await h.hold("target");
    const probe = await h.backend.probe(source.handle, target.handle);
    expect([probe.sameFilesystem, probe.methods.read_write, probe.hardLinks, probe.symlinks]).toEqual([true, 0, 0, 0]);
    expect([probe.sparse, probe.xattrs, probe.acls, probe.specials]).toEqual([0, 0, 0, 0]);
    expect(probe.caseInsensitive).toBe(false);
    expect(probe.timeGranularityNs).toBe(h.backend.capabilities.timeGranularityNs);
    expect(probe.targetDev).toBe(source.batch.dev(source.batch.self));
    expect(probe.targetFilesystemType).toBe(target.batch.filesystemType);
    expect(fs.readdirSync(h.at("target"))).toEqual([]);
    const half = await h.backend.probe(source.handle, -1);
    expect([half.sameFilesystem, half.xattrs]).toEqual([false, 1]);
  });

  h.test("tells how times are kept, and leaves nothing of the trial", async () => {
    const past = new Date(1_500_000_000_000);
    fs.utimesSync(h.at("target"), past, past);
    const { handle } = await h.hold("target");
    const times = await h.backend.probeTimes(handle);
    expect(times?.stepNs).toBe(h.backend.capabilities.timeGranularityNs);
    expect(times!.earliestSec).toBeLessThanOrEqual(-(2 ** 31));
    expect(times!.latestSec).toBeGreaterThanOrEqual(2 ** 31 - 1);
    expect(fs.readdirSync(h.at("target"))).toEqual([]);
    expect(fs.statSync(h.at("target")).mtimeMs).toBe(past.getTime());
    expect(await h.backend.probeTimes(99_999)).toBeUndefined();
  });

  h.test("syncs a directory and its filesystem", async () => {
    const { handle } = await h.hold("target");
    expect(await h.backend.sync(handle, false)).toBe(0);
    expect(await h.backend.sync(handle, true)).toBe(0);
    expect(await h.backend.sync(99_999, false)).toBe(-errno.EBADF);
  });

  h.test("copies from a batch that was made of fields", async () => {
    h.write("source/f", "content", 0o640);
    const source = await h.hold("source");
    const target = await h.hold("target");
    const stats = fs.statSync(h.at("source/f"), { bigint: true });
    const real = source.batch;
    const row = rowOf(real, "f");
    const made = h.keep(
      h.backend.makeBatch([
        {
          name: bytesOf("f"),
          size: 7,
          mode: 0o100600,
          mtimeSec: real.mtimeSec(row),
          mtimeNsec: real.mtimeNsec(row),
          ctimeSec: real.ctimeSec(row),
          ctimeNsec: real.ctimeNsec(row),
          inoLow: real.inoLow(row),
          inoHigh: real.inoHigh(row),
          dev: real.dev(row),
          uid: Number(stats.uid),
          gid: Number(stats.gid),
        },
        { name: bytesOf(".") },
      ]),
    );
    const results = await h.backend.copy({
      source: source.handle,
      target: target.handle,
      batch: made,
      rows: Uint32Array.of(0),
      settings: h.prepared(),
    });
    expect(outcomes(results)[0]!.status).toBe(0);
    expect(fs.statSync(h.at("target/f")).mode & 0o7777).toBe(0o600);
  });

  h.test("rejects names in made batches that leave the directory", async () => {
    h.write("secret", "x");
    const source = await h.hold("source");
    const target = await h.hold("target");
    for (const name of ["../secret", "..", "", "a/b", "/etc/passwd"]) {
      const made = h.keep(
        h.backend.makeBatch([{ name: bytesOf(name), mode: 0o100644, size: 1 }, { name: bytesOf(".") }]),
      );
      const request = {
        source: source.handle,
        target: target.handle,
        batch: made,
        rows: Uint32Array.of(0),
        settings: h.prepared(),
      };
      expect(outcomes(await h.backend.copy(request))[0]!.status).toBe(-errno.EINVAL);
      const removed = await h.backend.remove(target.handle, made, Uint32Array.of(0), { same: false });
      expect(outcomes(removed)[0]!.status).toBe(-errno.EINVAL);
    }
    expect(fs.existsSync(h.at("secret"))).toBe(true);
  });

  h.test("ends cleanly with work under way", async () => {
    const other = h.another();
    const settings = other.prepare({ ...SETTINGS, methods: ["read_write"] });
    h.write("source/f", patterned(4 << 20));
    const source = await other.walk(WORKING_DIRECTORY, bytesOf(h.at("source")), WALK);
    const target = await other.walk(WORKING_DIRECTORY, bytesOf(h.at("target")), WALK);
    other.setRate(1 << 20);
    const [from, to] = [source.dirfd, target.dirfd];
    const copying = other.copy({ source: from, target: to, batch: source, rows: Uint32Array.of(0), settings });
    const status = copying.then((results) => results.status(0));
    await Bun.sleep(20);
    await other.shutdown();
    other.close([from, to]);
    expect([0, -errno.ECANCELED]).toContain(await status);
  });
}
