/**
 * The daemon's log: one line an event on stderr, as text or as NDJSON.
 *
 *     time level event key=value ...
 *     {"time":...,"level":...,"event":...,...}
 *
 * Names of peers and files are in it, so nothing in a value can end the line or command a terminal. Bytes that are not
 * UTF-8 stand as octal escapes in text; in JSON the value is lossy and `<key>_b64` has the bytes.
 */
import { writeSync } from "node:fs";
import { bytesOf, lossyUtf8Of, printable, utf8Of } from "../core/paths.ts";
import type { ConnectionTrace } from "../session/carriers.ts";
import type { LogFormat } from "./config.ts";

export type LogLevel = "info" | "warning" | "error";
export type LogEvent =
  | "session_start"
  | "session_end"
  | "connection"
  | "call"
  | "refused"
  | "warning"
  | "started"
  | "announced"
  | "reload"
  | "stopping"
  | "stopped";
export type LogValue = string | number | boolean | Uint8Array | readonly string[] | undefined;
export type LogFields = Readonly<Record<string, LogValue>>;

export interface SessionStart {
  /** Of the caller, as the socket tells it. */
  readonly peer: string;
  readonly session: string;
  /** Absent: the daemon's root. */
  readonly module: string | undefined;
  /** The daemon's. */
  readonly role: "source" | "target";
  readonly verb: string;
  readonly path?: Uint8Array | undefined;
}

export interface SessionEnd extends SessionStart {
  readonly files: number;
  readonly bytes: number;
  readonly deleted: number;
  readonly failed: number;
  readonly exitReason: string;
  readonly durationMs: number;
}

export interface Refused {
  readonly peer: string;
  /** A stable word, such as `denied_by_list`. */
  readonly reason: string;
  readonly module?: string | undefined;
  readonly detail?: string | undefined;
}

/** A connection that carries content of a session: opened, or ended. */
export interface Connection extends ConnectionTrace {
  readonly peer: string;
  readonly session: string;
}

/** A call on a place, outside of any session. */
export interface Call {
  readonly peer: string;
  readonly call: string;
  /** Absent: the daemon's root. */
  readonly module: string | undefined;
  readonly path: Uint8Array;
  readonly exitReason: string;
  readonly durationMs: number;
}

/** Writes all of the bytes or as much as can be had without waiting; returns how many. May throw as write(2) fails. */
export type WriteLog = (bytes: Uint8Array) => number;

export class DaemonLog {
  format: LogFormat;
  readonly #write: WriteLog;
  readonly #now: () => Date;
  /** Lines that could not be written, to be told by the next one that can. */
  #lost = 0;

  constructor(format: LogFormat, write: WriteLog = writeStderr, now: () => Date = () => new Date()) {
    this.format = format;
    this.#write = write;
    this.#now = now;
  }

  sessionStart({ peer, session, module, role, verb, path }: SessionStart): void {
    this.event("info", "session_start", { peer, session, module, role, verb, path });
  }

  sessionEnd(end: SessionEnd): void {
    const { peer, session, module, role, verb, path, files, bytes, deleted, failed } = end;
    const level = failed > 0 || end.exitReason !== "ok" ? "warning" : "info";
    this.event(level, "session_end", {
      ...{ peer, session, module, role, verb, path, files, bytes, deleted, failed },
      exit_reason: end.exitReason,
      duration_ms: Math.round(end.durationMs),
    });
  }

  connection({ peer, session, index, end }: Connection): void {
    this.event("info", "connection", {
      ...{ peer, session, connection: index ?? "control", state: end === undefined ? "open" : "closed" },
      ...(end === undefined ? {} : { bytes: end.bytes, duration_ms: Math.round(end.durationMs), problem: end.problem }),
    });
  }

  call({ peer, call, module, path, exitReason, durationMs }: Call): void {
    this.event("info", "call", {
      ...{ peer, call, module, path },
      exit_reason: exitReason,
      duration_ms: Math.round(durationMs),
    });
  }

  refused({ peer, reason, module, detail }: Refused): void {
    this.event("warning", "refused", { peer, reason, module, detail });
  }

  warning(message: string, fields: LogFields = {}): void {
    this.event("warning", "warning", { message, ...fields });
  }

  /** undefined values are left out. */
  event(level: LogLevel, event: LogEvent, fields: LogFields): void {
    if (this.#lost > 0) {
      const lost = this.#lost;
      if (!this.#line("warning", "warning", { message: "lines of this log were lost: its reader is slow", lost })) {
        this.#lost++;
        return;
      }
      this.#lost = 0;
    }
    if (!this.#line(level, event, fields)) this.#lost++;
  }

  #line(level: LogLevel, event: LogEvent, fields: LogFields): boolean {
    const time = this.#now().toISOString();
    const line = this.format === "json" ? jsonLine(time, level, event, fields) : textLine(time, level, event, fields);
    return writeWhole(this.#write, bytesOf(`${line}\n`));
  }
}

function textLine(time: string, level: LogLevel, event: LogEvent, fields: LogFields): string {
  const words = Object.entries(fields).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${textValue(value)}`],
  );
  return [time, level, event, ...words].join(" ");
}

function textValue(value: Exclude<LogValue, undefined>): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return quotedText(value.join(" "));
  return quotedText(value as string | Uint8Array);
}

/** In quotes where it would not be one word otherwise. */
function quotedText(value: string | Uint8Array): string {
  const text = printable(typeof value === "string" ? bytesOf(value) : value);
  return /^[^\s"=]+$/.test(text) ? text : `"${text.replace(/"/g, '\\"')}"`;
}

function jsonLine(time: string, level: LogLevel, event: LogEvent, fields: LogFields): string {
  const object: Record<string, unknown> = { time, level, event };
  for (const [key, value] of Object.entries(fields)) {
    if (!(value instanceof Uint8Array)) {
      object[key] = value;
      continue;
    }
    object[key] = lossyUtf8Of(value);
    if (utf8Of(value) === undefined) object[`${key}_b64`] = Buffer.from(value).toString("base64");
  }
  // JSON escapes C0 itself. The rest of what a terminal obeys is left to us: DEL, C1, line separators, bidi controls.
  return JSON.stringify(object).replace(
    /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
const RETRY_MS = 2;
const MAX_RETRIES = 25;

/** Sessions wait for no log: a reader that stays slow loses lines, one that is gone loses all, and the daemon goes on. */
function writeWhole(write: WriteLog, bytes: Uint8Array): boolean {
  let at = 0;
  let retries = 0;
  while (at < bytes.length) {
    try {
      at += write(bytes.subarray(at));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EINTR") continue;
      if (code !== "EAGAIN" || ++retries > MAX_RETRIES) return code === "EPIPE";
      Atomics.wait(sleeper, 0, 0, RETRY_MS);
    }
  }
  return true;
}

function writeStderr(bytes: Uint8Array): number {
  return writeSync(2, bytes);
}
