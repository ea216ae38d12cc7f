import { describe, expect, test } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { buildBatch, FileType } from "../../src/core/entry-batch.ts";
import { encodeHeader, encodeRecord, FrameType, HEADER_BYTES, RECORD_BYTES } from "../../src/core/frames.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { WORKING_DIRECTORY } from "../../src/fs/backend.ts";
import { PortableBackend } from "../../src/fs/portable/portable-backend.ts";
import { backendContract } from "./contract.ts";
import { outcomes, SETTINGS, WALK } from "./harness.ts";
import { connectedPair, RawPeer } from "./wire-harness.ts";

backendContract("portable", () => new PortableBackend("test"));

describe("portable only", () => {
  test("answers that come after cancelling are dropped, and the stream goes on", async () => {
    const backend = new PortableBackend("test");
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "fastsync-portable-"));
    const target = await backend.walk(WORKING_DIRECTORY, bytesOf(directory), WALK);
    const ends = await connectedPair("unix");
    const stream = backend.openStream(ends.fds[1], "receive", { idleMs: 10_000 });
    const peer = await RawPeer.on(ends.fds[0]);
    ends.close();
    const batch = buildBatch([
      { name: bytesOf("fifo"), mode: FileType.fifo | 0o600 },
      { name: bytesOf("."), mode: FileType.directory | 0o755 },
    ]);
    const settings = backend.prepare({ ...SETTINGS, owner: false, group: false });
    const receive = (need: number) => {
      const rows = Uint32Array.of(0);
      return backend.receive({ need, purpose: "content", target: target.dirfd, batch, rows, settings });
    };
    const shard = (need: number): Uint8Array => {
      const frame = new Uint8Array(HEADER_BYTES + RECORD_BYTES);
      encodeHeader({ type: FrameType.shard, need, item: 1, offset: 0, length: RECORD_BYTES }, frame);
      const nothing = { status: 0, stage: 0, flags: 0, size: 0, mtimeSec: 0, mtimeNsec: 0, uid: 0, gid: 0, bytes: 0 };
      const attributes = { attributeBytes: 0, attributeErrno: 0, hash: new Uint8Array(16) };
      encodeRecord({ item: 0, mode: FileType.fifo | 0o600, ...nothing, ...attributes }, frame, HEADER_BYTES);
      return frame;
    };
    const canceled = receive(1);
    backend.cancel();
    expect(outcomes(await canceled)[0]!.status).toBe(-os.constants.errno.ECANCELED);
    const next = receive(2);
    await peer.write(shard(1));
    await peer.write(shard(2));
    expect(outcomes(await next)[0]!.status).toBe(0);
    expect(fs.readdirSync(directory)).toEqual(["fifo"]);
    stream.end();
    expect((await stream.ended).status).toBe(0);
    peer.close();
    backend.close([target.dirfd]);
    await backend.shutdown();
    fs.rmSync(directory, { recursive: true });
  });
});
