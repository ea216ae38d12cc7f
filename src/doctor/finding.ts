/** One thing that was looked at, and how it stands. */

/** `warning`: works, but slower or with less than it could. `problem`: something will fail. */
export const LEVELS = ["ok", "warning", "problem"] as const;
export type Level = (typeof LEVELS)[number];

/* Words that scripts may rely on: `docs/schema/doctor.schema.json` lists the same. */
export const CHECKS = [
  ...(["version", "native_library", "configuration", "user", "kernel", "clock", "open_files", "terminal"] as const),
  ...(["tcp_buffers", "congestion_control", "mtu"] as const),
  ...(["place", "space", "inodes", "keeps", "copies"] as const),
  ...(["daemon", "module", "data_port"] as const),
] as const;
export type Check = (typeof CHECKS)[number];

export interface Finding {
  readonly check: Check;
  readonly level: Level;
  /** One line, without control characters. */
  readonly message: string;
  /** What to do about it, one line. */
  readonly fix?: string;
  /** The place that it is about, as it was written. */
  readonly place?: string;
}

export function finding(check: Check, level: Level, message: string, fix?: string): Finding {
  return { check, level, message, ...(fix === undefined ? {} : { fix }) };
}

/** The text of a small file of the kernel; undefined where there is none. */
export type ReadText = (path: string) => string | undefined;
