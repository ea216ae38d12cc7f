/**
 * A TCP proxy that knows the frames of what passes, so that a connection can be cut exactly between two of them or
 * inside of one: HTTP/2 frames on the control connection (RFC 9113), those of docs/protocol.md on data connections.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

export type Grammar = "control" | "data";
/** From who dialled to the daemon, and back. */
export type Way = "up" | "down";

export interface Cut {
  readonly way: Way;
  /** Which frame of that way, from 0, over all connections. */
  readonly frame: number;
  /** How many of its bytes still pass. */
  readonly bytes: number;
  /** With a reset; otherwise the ends of both sockets are orderly. */
  readonly reset: boolean;
}

interface Shape {
  /** What stands before the first frame, as one frame. */
  readonly opening: Readonly<Record<Way, number>>;
  readonly headBytes: number;
  readonly payloadBytes: (head: Buffer) => number;
}

const SHAPES: Readonly<Record<Grammar, Shape>> = {
  control: { opening: { up: 24, down: 0 }, headBytes: 9, payloadBytes: (head) => head.readUIntBE(0, 3) },
  data: { opening: { up: 64, down: 16 }, headBytes: 32, payloadBytes: (head) => head.readUInt32LE(24) },
};

/** Where in its frames one direction of one connection is. */
class Reader {
  private readonly shape: Shape;
  private head: Buffer = Buffer.alloc(0);
  /** Bytes of the frame at hand that are to come; undefined while its head is. */
  private left: number | undefined;
  private passed = 0;

  constructor(shape: Shape, way: Way) {
    this.shape = shape;
    if (shape.opening[way] > 0) this.left = shape.opening[way];
  }

  /** At a frame's first byte. */
  get isBetween(): boolean {
    return this.passed === 0;
  }
  /** Bytes of the frame at hand that have passed. */
  get bytes(): number {
    return this.passed;
  }

  /** Takes some of `chunk`, at most to the end of the frame and at most `most`; answers how many, and whether it ended. */
  take(chunk: Buffer, most: number): { taken: number; ended: boolean } {
    const { headBytes, payloadBytes } = this.shape;
    const wanted = this.left ?? headBytes - this.head.length;
    const taken = Math.min(wanted, chunk.length, most);
    this.passed += taken;
    if (this.left === undefined) {
      this.head = Buffer.concat([this.head, chunk.subarray(0, taken)]);
      if (this.head.length < headBytes) return { taken, ended: false };
      this.left = payloadBytes(this.head);
      this.head = Buffer.alloc(0);
    } else this.left -= taken;
    if (this.left > 0) return { taken, ended: false };
    this.left = undefined;
    this.passed = 0;
    return { taken, ended: true };
  }
}

export class FrameProxy implements AsyncDisposable {
  /** Bytes of each frame that passed, head included. */
  readonly frames: Record<Way, number[]> = { up: [], down: [] };
  cut: Cut | undefined;
  /** The connection was cut. */
  wasCut = false;
  /** So many bytes of each direction of each connection pass one by one. */
  trickleBytes = 0;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  private constructor(grammar: Grammar, host: string, port: number) {
    this.server = createServer((caller) => {
      const daemon = connect({ host, port, noDelay: true });
      caller.setNoDelay(true);
      const both = [caller, daemon] as const;
      for (const [from, to, way] of [
        [caller, daemon, "up"],
        [daemon, caller, "down"],
      ] as const) {
        this.sockets.add(from);
        from.on("error", () => undefined);
        from.on("end", () => to.end());
        from.on("close", () => {
          this.sockets.delete(from);
          to.end();
        });
        this.forward(from, to, way, new Reader(SHAPES[grammar], way), both);
      }
    });
  }

  /** Listens on `address` with the port number of what it leads to. */
  static async start(grammar: Grammar, address: string, host: string, port: number): Promise<FrameProxy> {
    const proxy = new FrameProxy(grammar, host, port);
    await new Promise<void>((resolve, reject) => {
      proxy.server.once("error", reject);
      proxy.server.listen({ host: address, port }, resolve);
    });
    return proxy;
  }

  /** Forgets what passed, for the next session. */
  reset(cut: Cut | undefined): void {
    this.frames.up = [];
    this.frames.down = [];
    this.cut = cut;
    this.wasCut = false;
  }

  private forward(from: Socket, to: Socket, way: Way, reader: Reader, both: readonly Socket[]): void {
    let trickled = 0;
    from.on("data", (chunk: Buffer) => {
      const passes = this.count(chunk, way, reader);
      const sent = chunk.subarray(0, passes);
      if (trickled < this.trickleBytes) {
        for (const byte of sent) to.write(Buffer.of(byte));
        trickled += sent.length;
      } else if (!to.write(sent)) {
        from.pause();
        to.once("drain", () => from.resume());
      }
      if (passes === chunk.length && !this.isDue(way, reader)) return;
      this.wasCut = true;
      const isReset = this.cut!.reset;
      this.cut = undefined;
      // What passed is still delivered, if the reset lets it.
      for (const socket of both) {
        from.removeAllListeners("data");
        if (isReset) socket.resetAndDestroy();
        else socket.end(() => socket.destroy());
      }
    });
  }

  /** Notes the frames of the chunk; how many of its bytes pass before the cut. */
  private count(chunk: Buffer, way: Way, reader: Reader): number {
    let at = 0;
    while (at < chunk.length) {
      if (this.isDue(way, reader)) return at;
      if (reader.isBetween) this.frames[way].push(0);
      const index = this.frames[way].length - 1;
      const isCut = this.cut?.way === way && this.cut.frame === index;
      const { taken } = reader.take(chunk.subarray(at), isCut ? this.cut!.bytes - reader.bytes : chunk.length);
      this.frames[way][index]! += taken;
      at += taken;
    }
    return at;
  }

  /** The next byte of this way must not pass any more. */
  private isDue(way: Way, reader: Reader): boolean {
    if (this.cut?.way !== way) return false;
    const { frame, bytes } = this.cut;
    const begun = this.frames[way].length;
    return reader.isBetween ? begun === frame && bytes === 0 : begun - 1 === frame && reader.bytes >= bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}
