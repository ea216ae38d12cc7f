/**
 * Buffered, ordered writing to stdout or stderr.
 *
 * Writes are synchronous: the events of a run come by call, so only a call that waits can hold the run back when the
 * reader is slow; anything else would grow without bound. Text is gathered to chunks so that an item costs no system
 * call.
 *
 * When the reader is gone (EPIPE, as after `| head`), the rest is dropped quietly and the run goes on: files are what
 * was asked for, and the exit code still tells how they fared. Any other failure to write is kept for the caller,
 * because a report that is cut short must not look complete.
 */
import { writeSync } from "node:fs";
import { isTerminal } from "./terminal.ts";

const CHUNK_CHARACTERS = 64 * 1024;

export type RawWrite = (bytes: Uint8Array) => number;

export class Output {
  readonly isTerminal: boolean;
  readonly colour: boolean;
  /** The first failure to write, other than a reader that left. */
  failure: Error | undefined;
  /** Called before bytes reach the terminal: the live line steps aside. */
  beforeWrite: (() => void) | undefined;
  #pending = "";
  #closed = false;
  readonly #write: RawWrite;

  constructor(write: RawWrite, options: { isTerminal: boolean; colour: boolean }) {
    this.#write = write;
    this.isTerminal = options.isTerminal;
    this.colour = options.colour;
  }

  static ofDescriptor(fd: 1 | 2, env: Readonly<Record<string, string | undefined>>): Output {
    const onTerminal = isTerminal(fd);
    const options = { isTerminal: onTerminal, colour: allowsColour(env, onTerminal) };
    return new Output((bytes) => writeSync(fd, bytes), options);
  }

  /** Nothing that is written goes anywhere any more. */
  get isClosed(): boolean {
    return this.#closed;
  }

  write(text: string): void {
    if (this.#closed) return;
    this.#pending += text;
    if (this.#pending.length >= CHUNK_CHARACTERS) this.flush();
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }

  /** What is no text, behind what was written before. */
  bytes(bytes: Uint8Array): void {
    this.flush();
    if (bytes.length === 0 || this.#closed) return;
    this.beforeWrite?.();
    this.#writeAll(bytes);
  }

  flush(): void {
    if (this.#pending === "" || this.#closed) return;
    this.beforeWrite?.();
    const text = this.#pending;
    this.#pending = "";
    this.#writeAll(Buffer.from(text));
  }

  /** Past the buffer, for the live line; only after `flush`. */
  writeNow(text: string): void {
    if (!this.#closed) this.#writeAll(Buffer.from(text));
  }

  #writeAll(bytes: Uint8Array): void {
    let at = 0;
    let pauseMs = 1;
    while (at < bytes.length) {
      try {
        at += this.#write(at === 0 ? bytes : bytes.subarray(at));
        pauseMs = 1;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === "EINTR") continue;
        if (code === "EAGAIN" || code === "EWOULDBLOCK") {
          // Someone made the shared pipe non-blocking; the reader is only slow.
          pause(pauseMs);
          pauseMs = Math.min(20, pauseMs * 2);
          continue;
        }
        this.#closed = true;
        if (code !== "EPIPE") this.failure = error as Error;
        return;
      }
    }
  }
}

/**
 * NO_COLOR (https://no-color.org) turns colours off, whatever its value, and outranks what turns them on elsewhere than
 * on a terminal: FORCE_COLOR and CLICOLOR_FORCE. CLICOLOR=0 turns them off on a terminal too (https://bixense.com/clicolors).
 */
export function allowsColour(env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
  const is = (name: string): boolean => (env[name] ?? "") !== "";
  const isOff = (name: string): boolean => env[name] === "0" || env[name] === "false";
  if (is("NO_COLOR") || isOff("FORCE_COLOR")) return false;
  if (is("FORCE_COLOR") || (is("CLICOLOR_FORCE") && !isOff("CLICOLOR_FORCE"))) return true;
  return isTerminal && env["TERM"] !== "dumb" && !isOff("CLICOLOR");
}

/** Whether a line can be written over: elsewhere its commands would stand between its words. */
export function hasLiveLine(env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
  return isTerminal && env["TERM"] !== "dumb";
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

function pause(milliseconds: number): void {
  Atomics.wait(sleeper, 0, 0, milliseconds);
}

export interface Outputs {
  readonly out: Output;
  readonly err: Output;
}

export function standardOutputs(): Outputs {
  return { out: Output.ofDescriptor(1, process.env), err: Output.ofDescriptor(2, process.env) };
}
