/**
 * The data port of a daemon. Whoever connects says within the deadline which session and stream it is, with a token that
 * was granted for just that and is used up by it; anything else is closed without a word, and harms nobody.
 */
import { timingSafeEqual } from "node:crypto";
import { type DataSocket, fdOf } from "./data-client.ts";
import { decodeGreeting, encodeWelcome, GREETING_BYTES, SESSION_ID_BYTES, TOKEN_BYTES } from "./data-handshake.ts";

/** Takes a stream that proved itself; false: the session is over. */
export type TakeStream = (index: number, socket: DataSocket) => boolean;

interface Waiting {
  readonly token: Uint8Array;
  readonly expiresMs: number;
}

interface Session {
  readonly take: TakeStream;
  readonly waiting: Map<number, Waiting>;
  nextIndex: number;
}

interface Visitor {
  heard: Uint8Array;
  timer: ReturnType<typeof setTimeout> | undefined;
  isTaken: boolean;
  readonly peer: string;
}

export interface DataListenerOptions {
  /** Addresses, all with the same port. `bothFamilies`: `::` is IPv4 as well. */
  readonly hostnames: readonly string[];
  readonly bothFamilies: boolean;
  /** 0: any that is free. */
  readonly port: number;
  /** From connecting to a complete greeting. */
  readonly handshakeMs: number;
  /** Connections that have not said who they are: of all peers, and of one. */
  readonly halfOpenMost: number;
  readonly halfOpenPerPeer: number;
  readonly onStray: (peer: string, reason: string) => void;
}

export class DataListener {
  private readonly options: DataListenerOptions;
  private readonly sessions = new Map<string, Session>();
  /** Sessions that ended before all their streams came, and how long these are expected; the oldest first. */
  private readonly ended = new Map<string, number>();
  private readonly halfOpen = new Map<string, number>();
  private halfOpenAll = 0;
  private readonly servers: Bun.TCPSocketListener<Visitor>[] = [];

  constructor(options: DataListenerOptions) {
    this.options = options;
    try {
      for (const hostname of options.hostnames) this.listen(hostname, this.servers[0]?.port ?? options.port);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  private listen(hostname: string, port: number): void {
    // Bun listens with this option, though its types know it for connections only.
    const where = { hostname, port, ipv6Only: hostname.includes(":") && !this.options.bothFamilies };
    const server = Bun.listen<Visitor>({
      ...where,
      socket: {
        open: (socket) => this.onOpen(socket),
        data: (socket, chunk) => this.onData(socket, chunk),
        close: (socket) => this.leave(socket),
        error: (socket) => {
          socket.terminate();
        },
      },
    });
    this.servers.push(server);
  }

  get port(): number {
    return this.servers[0]!.port;
  }

  stop(): void {
    for (const server of this.servers) server.stop(true);
  }

  add(sessionId: Uint8Array, take: TakeStream): void {
    this.sessions.set(keyOf(sessionId), { take, waiting: new Map(), nextIndex: 0 });
  }
  /** What it was granted for may still be on its way, and is nobody's fault. */
  remove(sessionId: Uint8Array): void {
    const key = keyOf(sessionId);
    const now = performance.now();
    for (const [ended, untilMs] of this.ended) {
      if (untilMs > now) break;
      this.ended.delete(ended);
    }
    if (this.sessions.get(key)?.waiting.size) this.ended.set(key, now + this.options.handshakeMs);
    this.sessions.delete(key);
  }

  /** Tokens for so many further streams, in the order of their indices. */
  grant(sessionId: Uint8Array, count: number): Uint8Array[] {
    const session = this.sessions.get(keyOf(sessionId));
    if (session === undefined) return [];
    return Array.from({ length: count }, () => {
      const token = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
      session.waiting.set(session.nextIndex++, { token, expiresMs: performance.now() + this.options.handshakeMs });
      return token;
    });
  }

  private onOpen(socket: Bun.Socket<Visitor>): void {
    const peer = socket.remoteAddress;
    const visitor: Visitor = { heard: new Uint8Array(0), timer: undefined, isTaken: false, peer };
    socket.data = visitor;
    const ofPeer = (this.halfOpen.get(peer) ?? 0) + 1;
    this.halfOpen.set(peer, ofPeer);
    this.halfOpenAll++;
    if (ofPeer > this.options.halfOpenPerPeer || this.halfOpenAll > this.options.halfOpenMost)
      return this.refuse(socket, "too many connections that do not say who they are");
    visitor.timer = setTimeout(() => this.refuse(socket, "no greeting in time"), this.options.handshakeMs);
  }

  private onData(socket: Bun.Socket<Visitor>, chunk: Uint8Array): void {
    const visitor = socket.data;
    if (visitor.isTaken) return this.refuse(socket, "bytes where none belong");
    visitor.heard = Uint8Array.from([...visitor.heard, ...chunk.subarray(0, GREETING_BYTES + 1)]);
    if (visitor.heard.length < GREETING_BYTES) return;
    const greeting = decodeGreeting(visitor.heard);
    if (greeting === undefined) return this.refuse(socket, "not a greeting");
    const key = keyOf(greeting.sessionId);
    const session = this.sessions.get(key);
    const waiting = session?.waiting.get(greeting.index);
    if (performance.now() < (this.ended.get(key) ?? 0)) return void socket.terminate();
    if (session === undefined || waiting === undefined) return this.refuse(socket, "no such session or stream");
    if (!timingSafeEqual(waiting.token, greeting.token)) return this.refuse(socket, "a wrong token");
    session.waiting.delete(greeting.index);
    if (performance.now() > waiting.expiresMs) return this.refuse(socket, "a token that came too late");
    visitor.isTaken = true;
    this.forget(visitor);
    socket.pause();
    socket.setNoDelay(true);
    const taken = session.take(greeting.index, {
      fd: fdOf(socket),
      release: () => socket.end(),
    });
    if (!taken) return void socket.terminate();
    // The backend reads the descriptor from here on: what the other side says next is for it.
    socket.write(encodeWelcome());
  }

  private refuse(socket: Bun.Socket<Visitor>, reason: string): void {
    this.options.onStray(socket.data.peer, reason);
    socket.terminate();
  }

  private leave(socket: Bun.Socket<Visitor>): void {
    if (!socket.data.isTaken) this.forget(socket.data);
  }

  private forget(visitor: Visitor): void {
    clearTimeout(visitor.timer);
    this.halfOpenAll--;
    const left = (this.halfOpen.get(visitor.peer) ?? 1) - 1;
    if (left <= 0) this.halfOpen.delete(visitor.peer);
    else this.halfOpen.set(visitor.peer, left);
  }
}

function keyOf(sessionId: Uint8Array): string {
  return sessionId.length === SESSION_ID_BYTES ? Buffer.from(sessionId).toString("hex") : "";
}
