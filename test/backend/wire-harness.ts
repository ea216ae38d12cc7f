/**
 * Two backends joined by sockets, for the section about the data plane: one that sends, one that receives, and hand-made
 * peers for either of them. The receiver's manifest is made anew from the sender's rows, as if it had travelled.
 */
import { expect } from "bun:test";
import fs from "node:fs";
import type { Socket, TCPSocketConnectOptions } from "bun";
import { type EntryBatch, FileType, rowFields } from "../../src/core/entry-batch.ts";
import { bytesOf } from "../../src/core/paths.ts";
import {
  type Backend,
  type DirHandle,
  type ReceiveRequest,
  ROW_EXISTS,
  type SendRequest,
  type WireStream,
  WORKING_DIRECTORY,
  type WriteSettings,
} from "../../src/fs/backend.ts";
import { duplicate, socketPair } from "../support/libc.ts";
import { type Harness, namesOf, type Outcome, outcomes, SETTINGS, WALK } from "./harness.ts";

export type Transport = "tcp" | "unix";
const IDLE_MS = 20_000;

interface Ends {
  readonly fds: readonly [number, number];
  /** Closes the descriptors; whoever duplicated them goes on. */
  close(): void;
}

export async function connectedPair(transport: Transport): Promise<Ends> {
  if (transport === "unix") {
    const fds = socketPair();
    return { fds, close: () => fds.forEach((fd) => void fs.closeSync(fd)) };
  }
  const accepted = Promise.withResolvers<Socket<undefined>>();
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket: Socket<undefined>) {
        socket.pause();
        accepted.resolve(socket);
      },
      data() {},
    },
  });
  const client = await Bun.connect({ hostname: "127.0.0.1", port: listener.port, socket: { data() {} } });
  client.pause();
  const server = await accepted.promise;
  const fdOf = (socket: object): number => ("fd" in socket && typeof socket.fd === "number" ? socket.fd : -1);
  return {
    fds: [fdOf(client), fdOf(server)],
    close: () => {
      client.end();
      server.end();
      listener.stop();
    },
  };
}

/** A peer made by hand: what it writes and what it hears are bytes. */
export class RawPeer {
  heard = Buffer.alloc(0);
  isClosed = false;
  private readonly socket: Socket<undefined>;
  private constructor(socket: Socket<undefined>) {
    this.socket = socket;
  }
  static async on(fd: number): Promise<RawPeer> {
    let peer: RawPeer | undefined;
    const handlers = {
      data: (_socket: Socket<undefined>, chunk: Buffer) => {
        if (peer !== undefined) peer.heard = Buffer.concat([peer.heard, chunk]);
      },
      drain: () => {},
      error: () => {},
      close: () => {
        if (peer !== undefined) peer.isClosed = true;
      },
    };
    const options = { fd: duplicate(fd), socket: handlers } as unknown as TCPSocketConnectOptions<undefined>;
    peer = new RawPeer(await Bun.connect(options));
    return peer;
  }
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && !this.isClosed; ) {
      const put = this.socket.write(bytes, at, bytes.length - at);
      if (put < 0) return;
      at += put;
      if (at < bytes.length) await Bun.sleep(1);
    }
  }
  close(): void {
    this.socket.end();
  }
}

export class Wire {
  readonly h: Harness;
  readonly sender: Backend;
  readonly streams: WireStream[] = [];
  private need = 100;
  private readonly handles: DirHandle[] = [];
  private readonly batches: EntryBatch[] = [];

  constructor(h: Harness, openSender: () => Backend) {
    this.h = h;
    this.sender = openSender();
  }
  get receiver(): Backend {
    return this.h.backend;
  }
  nextNeed(): number {
    return this.need++;
  }

  /** A stream from the sender to the receiver. */
  async join(transport: Transport = "unix"): Promise<{ out: WireStream; in: WireStream }> {
    const ends = await connectedPair(transport);
    const out = this.sender.openStream(ends.fds[0], "send", { idleMs: IDLE_MS });
    const into = this.receiver.openStream(ends.fds[1], "receive", { idleMs: IDLE_MS });
    ends.close();
    this.streams.push(out, into);
    return { out, in: into };
  }
  /** A stream to the receiver from a peer made by hand. */
  async joinRaw(idleMs = IDLE_MS): Promise<{ peer: RawPeer; in: WireStream }> {
    const ends = await connectedPair("unix");
    const into = this.receiver.openStream(ends.fds[1], "receive", { idleMs });
    const peer = await RawPeer.on(ends.fds[0]);
    ends.close();
    this.streams.push(into);
    return { peer, in: into };
  }
  /** A stream from the sender to a peer made by hand. */
  async overhear(): Promise<{ peer: RawPeer; out: WireStream }> {
    const ends = await connectedPair("unix");
    const out = this.sender.openStream(ends.fds[0], "send", { idleMs: IDLE_MS });
    const peer = await RawPeer.on(ends.fds[1]);
    ends.close();
    this.streams.push(out);
    return { peer, out };
  }

  /** The sender's listing of a directory of the test. */
  async source(name = "source"): Promise<EntryBatch> {
    const options = { ...WALK, xattrs: true, acls: true };
    const batch = await this.sender.walk(WORKING_DIRECTORY, bytesOf(this.h.at(name)), options);
    this.batches.push(batch);
    this.handles.push(batch.dirfd);
    return batch;
  }
  /** The same rows as the receiver has them. */
  manifest(batch: EntryBatch): EntryBatch {
    return this.h.keep(
      this.receiver.makeBatch(Array.from({ length: batch.count + 1 }, (_, row) => rowFields(batch, row))),
    );
  }

  sending(batch: EntryBatch, need: number, rows: readonly number[], settings: Partial<WriteSettings> = {}) {
    const prepared = this.sender.prepare({ ...SETTINGS, ...settings });
    return { need, source: batch.dirfd, batch, rows: Uint32Array.from(rows), settings: prepared };
  }
  async receiving(
    batch: EntryBatch,
    need: number,
    rows: readonly number[],
    settings: Partial<WriteSettings> = {},
    more: Partial<ReceiveRequest> = {},
  ): Promise<ReceiveRequest> {
    const target = await this.h.hold("target");
    const existing = new Set(namesOf(target.batch));
    const marked = rows.map((row) => {
      const name = Buffer.from(more.targetName ?? batch.name(row)).toString("latin1");
      return row < batch.count && existing.has(name) ? row + ROW_EXISTS : row;
    });
    const prepared = this.receiver.prepare({ ...SETTINGS, ...settings });
    return {
      need,
      purpose: "content",
      target: target.handle,
      batch: this.manifest(batch),
      rows: Uint32Array.from(marked),
      settings: prepared,
      ...more,
    };
  }

  /** Sends rows of source/ (all but directories unless given) to target/; outcomes by name, of both sides. */
  async transfer(
    options: {
      settings?: Partial<WriteSettings>;
      receive?: Partial<ReceiveRequest>;
      purpose?: "content" | "attributes";
      batch?: EntryBatch;
      rows?: readonly number[];
    } = {},
  ): Promise<{ received: Map<string, Outcome>; sent: Map<string, Outcome> }> {
    const { settings = {}, purpose = "content" } = options;
    const batch = options.batch ?? (await this.source());
    const rows = options.rows ?? filesOf(batch);
    const need = this.nextNeed();
    const request = await this.receiving(batch, need, rows, settings, { purpose, ...options.receive });
    const receiving = this.receiver.receive(request);
    const sending: SendRequest = { ...this.sending(batch, need, rows, settings), purpose };
    const [received, sent] = await Promise.all([receiving, this.sender.send(sending)]);
    const named = (list: Outcome[]): Map<string, Outcome> =>
      new Map(list.map((outcome, i) => [rows[i] === batch.self ? "." : keyOf(batch, rows[i]!), outcome]));
    return { received: named(outcomes(received)), sent: named(outcomes(sent)) };
  }

  /** Ends what is open, and asserts that nothing of it is left. */
  async close(): Promise<void> {
    for (const stream of this.streams) stream.end();
    await Promise.all(this.streams.map(({ ended }) => ended));
    for (const batch of this.batches) this.sender.releaseBatch(batch);
    this.sender.close(this.handles);
    await this.sender.shutdown();
  }
}

export function keyOf(batch: EntryBatch, row: number): string {
  return Buffer.from(batch.name(row)).toString("latin1");
}
export function filesOf(batch: EntryBatch): number[] {
  return Array.from({ length: batch.count }, (_, row) => row).filter((row) => batch.type(row) !== FileType.directory);
}

export function socketCount(): number {
  return fs.readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

/** A test with a wire, that also asserts that no socket is left. */
export function wireTest(
  h: Harness,
  openSender: () => Backend,
  name: string,
  body: (wire: Wire) => Promise<void>,
): void {
  h.test(name, async () => {
    const before = socketCount();
    const wire = new Wire(h, openSender);
    try {
      await body(wire);
    } finally {
      await wire.close();
    }
    for (let i = 0; i < 400 && socketCount() > before; i++) await Bun.sleep(5);
    expect(socketCount()).toBeLessThanOrEqual(before);
  });
}
