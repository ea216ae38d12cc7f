/** Opens streams of the data plane at a daemon, each with a token that it granted. */
import { encodeGreeting, isWelcome, WELCOME_BYTES } from "./data-handshake.ts";
import { lineRoundTripMs } from "./line.ts";

/** A connected socket whose descriptor the backend takes over; see `Backend.openStream`. */
export interface DataSocket {
  readonly fd: number;
  /**
   * Not before the backend's stream has ended: it would shut down what both share. Closes in order: what was written
   * still arrives, where a reset would take it away. While the backend has a duplicate the connection itself stays.
   */
  release(): void;
}

export interface DataGrant {
  readonly host: string;
  readonly port: number;
  readonly sessionId: Uint8Array;
  readonly tokens: readonly Uint8Array[];
  /** Index of the first of these streams in the session. */
  readonly firstIndex: number;
}

/** As many as opened; when none did `reason` says why, and content has to go another way. */
export type DialResult =
  | {
      readonly kind: "open";
      readonly sockets: readonly (DataSocket & { readonly index: number })[];
      /** Of the line: the shortest that any of them saw. */
      readonly roundTripMs: number;
    }
  | { readonly kind: "unreachable"; readonly reason: string };

export async function dialStreams(grant: DataGrant, timeoutMs: number): Promise<DialResult> {
  const results = await Promise.allSettled(
    grant.tokens.map((token, i) => dial(grant, token, grant.firstIndex + i, timeoutMs)),
  );
  const sockets: DialledSocket[] = [];
  let roundTripMs = Number.POSITIVE_INFINITY;
  let reason: string | undefined;
  for (const result of results) {
    if (result.status === "fulfilled") {
      sockets.push(result.value);
      roundTripMs = Math.min(roundTripMs, result.value.roundTripMs);
    } else reason ??= result.reason instanceof Error ? result.reason.message : String(result.reason);
  }
  if (reason === undefined || sockets.length > 0) return { kind: "open", sockets, roundTripMs };
  return { kind: "unreachable", reason };
}

interface DialledSocket extends DataSocket {
  readonly index: number;
  readonly roundTripMs: number;
}

function dial(grant: DataGrant, token: Uint8Array, index: number, timeoutMs: number): Promise<DialledSocket> {
  return new Promise((resolve, reject) => {
    let heard = new Uint8Array(0);
    let opened: Bun.Socket | undefined;
    let greetedMs = 0;
    let isOver = false;
    const fail = (reason: string): void => {
      isOver = true;
      clearTimeout(timer);
      opened?.terminate();
      reject(new Error(reason));
    };
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs / 1000} s`), timeoutMs);
    Bun.connect({
      hostname: grant.host,
      port: grant.port,
      socket: {
        open(socket) {
          opened = socket;
          // It took too long, and nobody waits for it any more.
          if (isOver) return void socket.terminate();
          socket.setNoDelay(true);
          greetedMs = performance.now();
          socket.write(encodeGreeting({ index, sessionId: grant.sessionId, token }));
        },
        data(socket, chunk) {
          heard = Uint8Array.from([...heard, ...chunk]);
          if (heard.length < WELCOME_BYTES) return;
          // Frames come only after the control plane said that this side is ready for them.
          if (!isWelcome(heard)) return fail("the answer is not that of a data port");
          clearTimeout(timer);
          socket.pause();
          const fd = fdOf(socket);
          const roundTripMs = lineRoundTripMs(fd, performance.now() - greetedMs);
          resolve({ fd, release: () => socket.end(), index, roundTripMs });
        },
        error(_socket, error) {
          fail(error.message);
        },
        connectError(_socket, error) {
          fail(error.message);
        },
        close() {
          fail("the data port closed the connection");
        },
      },
    }).catch((error: unknown) => fail(error instanceof Error ? error.message : String(error)));
  });
}

/** Bun's sockets have their descriptor, though its types do not say so. */
export function fdOf(socket: object): number {
  const { fd } = socket as { fd?: unknown };
  if (typeof fd !== "number" || fd < 0) throw new Error("this version of Bun does not tell a socket's descriptor");
  return fd;
}
