/** The entry point that faces use. */
import type { RunHooks, RunSummary } from "../core/events.ts";
import type { RunOptions } from "../core/options.ts";

/** One place of a command line, already known to be local. */
export interface LocalPlace {
  /** As the operator wrote it: a trailing slash means "the contents of". */
  readonly path: Uint8Array;
}

export interface RunRequest {
  readonly sources: readonly LocalPlace[];
  readonly target: LocalPlace;
  readonly options: RunOptions;
  readonly hooks: RunHooks;
  /** Aborting asks for an orderly stop: running items end, nothing partial stays. */
  readonly signal: AbortSignal;
}

/** What goes where, known before anything is touched; for the banner line. */
export interface Placement {
  /** Paths as they will be read and written, printable by the face. */
  readonly sources: readonly { readonly path: Uint8Array; readonly kind: "contents" | "entry" }[];
  readonly target: Uint8Array;
  readonly targetExists: boolean;
}

export interface Run {
  readonly placement: Placement;
  readonly summary: Promise<RunSummary>;
}

/** Implemented by `src/session/run.ts`: `startRun(request): Promise<Run>`. */
export type StartRun = (request: RunRequest) => Promise<Run>;
