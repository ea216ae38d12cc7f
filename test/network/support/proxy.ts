/**
 * A TCP proxy that can cut, stall and delay what passes. A daemon tells the number of its data port, and the caller
 * dials that at the address it knows: so the proxies of a daemon on 127.0.0.1 have its ports on another address of
 * loopback.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { TestDaemon } from "./daemon.ts";

interface Pair {
  readonly caller: Socket;
  readonly daemon: Socket;
}

export class PortProxy implements AsyncDisposable {
  /** Bytes that passed, in both directions. */
  bytes = 0;
  /** Connections that were made. */
  connections = 0;
  delayMs = 0;
  /** After this many bytes in all, wherever in a frame or message that is, every connection is cut, once. */
  cutAtByte = Number.POSITIVE_INFINITY;
  /** What has passed may still lie in buffers on its way; the cut waits for this while nothing more passes. */
  beforeCut: () => Promise<unknown> = async () => undefined;
  /** Connections are taken and closed at once. */
  isClosed = false;
  private isStalled = false;
  private readonly pairs = new Set<Pair>();
  /** All that are open, also those of which the other end is gone: a paused one does not hear of that. */
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  private constructor(host: string, port: number) {
    this.server = createServer((caller) => this.accept(caller, host, port));
  }

  /** Listens on `address` with the port number of what it leads to. */
  static async start(address: string, host: string, port: number): Promise<PortProxy> {
    const proxy = new PortProxy(host, port);
    await new Promise<void>((resolve, reject) => {
      proxy.server.once("error", reject);
      proxy.server.listen({ host: address, port }, resolve);
    });
    return proxy;
  }

  private accept(caller: Socket, host: string, port: number): void {
    this.connections++;
    if (this.isClosed) {
      caller.destroy();
      return;
    }
    const daemon = connect({ host, port, noDelay: true });
    caller.setNoDelay(true);
    const pair = { caller, daemon };
    this.pairs.add(pair);
    this.forward(caller, daemon);
    this.forward(daemon, caller);
    for (const socket of [caller, daemon]) {
      this.sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.sockets.delete(socket);
        // As on a line that was cut somewhere far away, neither side hears of the other's end.
        if (this.isStalled) return;
        this.pairs.delete(pair);
        // What was read is still written: an orderly end stays one.
        caller.end();
        daemon.end();
      });
      if (this.isStalled) socket.pause();
    }
  }

  private forward(from: Socket, to: Socket): void {
    from.on("data", (chunk: Buffer) => {
      const room = this.cutAtByte - this.bytes;
      this.bytes += Math.min(chunk.length, room);
      if (chunk.length < room) return this.write(from, to, chunk);
      // Nothing of what else arrives until the cut has passed.
      if (room > 0) to.write(chunk.subarray(0, room), () => void this.cutWhenReady());
    });
    from.on("end", () => {
      if (!this.isStalled) to.end();
    });
  }

  private write(from: Socket, to: Socket, chunk: Buffer): void {
    const send = (): void => {
      if (to.destroyed || to.writableEnded || to.write(chunk)) return;
      from.pause();
      to.once("drain", () => {
        if (!this.isStalled) from.resume();
      });
    };
    if (this.delayMs === 0) send();
    else setTimeout(send, this.delayMs);
  }

  private async cutWhenReady(): Promise<void> {
    await this.beforeCut();
    this.cutAtByte = Number.POSITIVE_INFINITY;
    this.cut();
  }

  cut(): void {
    for (const { caller, daemon } of this.pairs) {
      caller.destroy();
      daemon.destroy();
    }
  }

  reset(): void {
    for (const { caller, daemon } of this.pairs) {
      caller.resetAndDestroy();
      daemon.resetAndDestroy();
    }
  }

  /** Connections that stalled are gone; new ones pass. */
  restore(): void {
    this.isStalled = false;
    this.cutAtByte = Number.POSITIVE_INFINITY;
    for (const socket of this.sockets) socket.destroy();
    this.pairs.clear();
  }

  /** Connections stay open and nothing passes any more. */
  stall(): void {
    this.isStalled = true;
    for (const pair of this.pairs) for (const socket of [pair.caller, pair.daemon]) socket.pause();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

/** Control and data port of a daemon, each behind a proxy. */
export interface ProxiedDaemon extends AsyncDisposable {
  readonly host: string;
  readonly control: PortProxy;
  readonly data: PortProxy;
}

let nextHost = 2;

export async function proxied(daemon: TestDaemon): Promise<ProxiedDaemon> {
  const host = `127.0.${process.pid % 250}.${nextHost++}`;
  const control = await PortProxy.start(host, daemon.host, daemon.port);
  const data = await PortProxy.start(host, daemon.host, daemon.dataPort);
  return {
    host,
    control,
    data,
    [Symbol.asyncDispose]: async () => {
      await control[Symbol.asyncDispose]();
      await data[Symbol.asyncDispose]();
    },
  };
}
