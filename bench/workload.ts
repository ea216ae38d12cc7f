/** What a workload is: a source, the cases that copy it, and the bars that fastsync must clear. */
import type { FilesystemKind } from "../test/support/filesystems.ts";
import type { Tools, VerifyLevel } from "./tools.ts";

export interface Place {
  readonly filesystem: FilesystemKind;
  readonly mount: string;
  readonly source: string;
  readonly target: string;
  readonly tools: Tools;
  /** Divides a count or size in a quick run, whose figures mean nothing. */
  readonly scale: (full: number) => number;
}

export interface Case {
  readonly name: string;
  readonly role: "subject" | "peer" | "floor";
  readonly command: readonly string[];
  /** Fewer runs than the rest, for slow tools. */
  readonly maxRuns?: number;
  /** Makes the target ready, outside the timing; default: removes it. */
  readonly before?: () => void;
  /** `none` only where the case copies nothing. */
  readonly verify: VerifyLevel | "none";
  /** Why it cannot run here. */
  readonly missing?: string | undefined;
}

export type Bar =
  /** At most `max` times the fastest of `against`. */
  | { readonly kind: "ratio"; readonly subject: string; readonly against: readonly string[]; readonly max: number }
  | { readonly kind: "wall"; readonly subject: string; readonly maxMs: number }
  | { readonly kind: "rss"; readonly subject: string; readonly maxMB: number }
  /** Peak RSS of `subject` at most `max` times that of `from`. */
  | { readonly kind: "growth"; readonly subject: string; readonly from: string; readonly max: number };

export interface Workload {
  readonly id: string;
  readonly title: string;
  /** Each is a table of its own, with all bars that `bars` answers for it. */
  readonly filesystems: readonly FilesystemKind[];
  /** Of the filesystem, as truncate(1) writes it. */
  readonly size: string;
  /** Cases run in their own order and once, because each builds on the last. */
  readonly sequential?: true;
  /** Runs of a round are repeated this often, for commands that take milliseconds. */
  readonly repeat?: number;
  readonly prepare: (place: Place) => readonly Case[];
  readonly bars: (filesystem: FilesystemKind) => readonly Bar[];
}
