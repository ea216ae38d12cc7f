/** A daemon as a process, with its log read while it runs. */
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { cleanEnv } from "../cli/processes.ts";
import { bundled } from "../support/bundled.ts";

export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

export interface DaemonProcess extends AsyncDisposable {
  readonly pid: number;
  /** Everything on stderr so far. */
  readonly text: () => string;
  /** The next line of the log that fits, from where the last call ended; rejects when the process ends before. */
  readonly next: (event: string, where?: (line: LogLine) => boolean) => Promise<LogLine>;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly exited: Promise<number>;
}

export interface DaemonOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Becomes descriptor 3, for the process itself as LISTEN_PID says. */
  readonly socket?: number;
  readonly cwd?: string;
}

const MAIN = join(import.meta.dir, "daemon-main.ts");

/** The configuration has to say `log = "json"`. */
export function startDaemon(words: readonly string[], options: DaemonOptions = {}): DaemonProcess {
  const command = [process.execPath, bundled(MAIN), "daemon", ...words];
  // Only the process itself can know its id before it becomes the daemon.
  const given = options.socket === undefined ? command : ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", ...command];
  const child = Bun.spawn(given, {
    stdio: ["ignore", "pipe", "pipe", ...(options.socket === undefined ? [] : [options.socket])],
    env: cleanEnv(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let text = "";
  let read = 0;
  let wake = Promise.withResolvers<void>();
  let ended = false;
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr as ReadableStream<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      wake.resolve();
    }
    ended = true;
    wake.resolve();
  })();
  const next: DaemonProcess["next"] = async (event, where = () => true) => {
    for (;;) {
      wake = Promise.withResolvers<void>();
      const end = text.indexOf("\n", read);
      if (end >= 0) {
        const line = JSON.parse(text.slice(read, end)) as LogLine;
        read = end + 1;
        if (line.event === event && where(line)) return line;
      } else if (ended) {
        throw new Error(`no ${event} in the log:\n${text}`);
      } else {
        await wake.promise;
      }
    }
  };
  return {
    pid: child.pid,
    text: () => text,
    next,
    kill: (signal) => child.kill(signal),
    exited: child.exited.then(async (code) => {
      await reading;
      return code;
    }),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** A connection that is open when this resolves. */
export async function connectTo(port: number, host = "127.0.0.1"): Promise<Socket> {
  const socket = connect({ port, host });
  socket.on("error", () => {});
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", () => resolve());
    socket.once("error", reject);
  });
  return socket;
}

export function portOf(started: LogLine): number {
  return Number(
    String((started["listen"] as string[])[0])
      .split(":")
      .at(-1),
  );
}
