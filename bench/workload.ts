/** What a workload is: a source, the cases that copy it, and the bars that fastsync must clear. */
import type { FilesystemKind } from "../test/support/filesystems.ts";
import type { Tools, VerifyLevel } from "./tools.ts";

export interface Place {
  readonly filesystem: FilesystemKind;
  readonly mount: string;
  readonly source: string;
  readonly target: string;
  readonly tools: Tools;
  /** What `prepare` started; it ends with the workload. */
  readonly services: AsyncDisposableStack;
  /** Divides a count or size in a quick run, whose figures mean nothing. */
  readonly scale: (full: number) => number;
}

/** Of one run, beyond what the case's own process cost. */
export interface Figures {
  /** Of the process at the other end, for this run. */
  readonly otherCpuMs?: number;
  /** Its peak since it began. */
  readonly otherRssKiB?: number;
  /** Data connections that were opened. */
  readonly streams?: number;
  /** Through the data connections, frames included. */
  readonly wireBytes?: number;
  /** Content that was transferred, as the run's own summary tells it. */
  readonly payloadBytes?: number;
}

export interface Case {
  readonly name: string;
  readonly role: "subject" | "peer" | "floor";
  readonly command: readonly string[];
  /** Fewer runs than the rest, for slow tools. */
  readonly maxRuns?: number;
  /** What it copies, where that is not the workload's source and target. */
  readonly trees?: { readonly source: string; readonly target: string };
  /** Content that it moves: its speed is reported. */
  readonly bytes?: number;
  /** Makes the target ready, outside the timing; default: removes it. */
  readonly before?: () => void | Promise<void>;
  /** A word on stderr makes a run a failure. */
  readonly silent?: true;
  /** The file that its stdout goes to; default: nowhere. */
  readonly stdout?: string;
  /** Called before a run; what it answers is called after it. That throws when the run was not what it is taken for. */
  readonly observe?: () => () => Promise<Figures>;
  /** `none` only where the case copies nothing. */
  readonly verify: VerifyLevel | "none";
  /** Why it cannot run here. */
  readonly missing?: string | undefined;
}

export type Bar =
  /** At most `max` times the fastest of `against`. */
  | { readonly kind: "ratio"; readonly subject: string; readonly against: readonly string[]; readonly max: number }
  | { readonly kind: "wall"; readonly subject: string; readonly maxMs: number }
  /** `end: "other"`: of the process that the case's own talks to. */
  | { readonly kind: "rss"; readonly subject: string; readonly maxMB: number; readonly end?: "other" }
  | { readonly kind: "rate"; readonly subject: string; readonly minMiBPerSecond: number }
  /** Neither takes more than `max` times what the other takes. */
  | { readonly kind: "near"; readonly subject: string; readonly other: string; readonly max: number }
  /** A figure's median is the same. */
  | { readonly kind: "same"; readonly subject: string; readonly other: string; readonly figure: keyof Figures }
  /** What `subject` takes longer than `few`, less what it takes longer without a delay, in round trips. */
  | {
      readonly kind: "trips";
      readonly subject: string;
      readonly few: string;
      readonly without: { readonly subject: string; readonly few: string };
      readonly roundTripMs: number;
      readonly max: number;
    }
  /** Peak RSS of `subject` at most `max` times that of `from`. */
  | {
      readonly kind: "growth";
      readonly subject: string;
      readonly from: string;
      readonly max: number;
      readonly end?: "other";
    }
  /** `subject` has `times` the entries of `from`, and takes at most `max` times the processor time for each. */
  | {
      readonly kind: "linear";
      readonly subject: string;
      readonly from: string;
      readonly times: number;
      readonly max: number;
    };

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
  readonly prepare: (place: Place) => readonly Case[] | Promise<readonly Case[]>;
  readonly bars: (filesystem: FilesystemKind) => readonly Bar[];
}
