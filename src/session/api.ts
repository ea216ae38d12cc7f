/** The entry point that faces use. */
import type { RunHooks, RunSummary } from "../core/events.ts";
import type { ExplainedVerb, RunOptions } from "../core/options.ts";

/** One place of a command line on this machine. */
export interface LocalPlace {
  readonly kind?: "local";
  /** As the operator wrote it: a trailing slash means "the contents of". */
  readonly path: Uint8Array;
}

/** A place behind a daemon. */
export interface DaemonPlace {
  readonly kind: "daemon";
  /** Name or address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** undefined: the daemon's root. */
  readonly module: string | undefined;
  /** Relative to the module; a trailing slash means "the contents of", and so does an empty path. */
  readonly path: Uint8Array;
}

export type Place = LocalPlace | DaemonPlace;

export function isLocal(place: Place): place is LocalPlace {
  return place.kind !== "daemon";
}

/** How a run reaches daemons. */
export interface NetworkOptions {
  /** Content travels in the control plane, without trying the data port. */
  readonly inStream: boolean;
  /** Data streams at most; 0: as many as help. */
  readonly streams: number;
  /** Each connection that carries content is told of, by notices of the code `data_plane`. */
  readonly trace?: boolean;
  /** How many streams earlier runs to this daemon found to help; asked only where the line is not near. */
  readonly learntStreams?: () => Promise<number | undefined>;
  /** Between two daemons: leave once they go on without us. */
  readonly detach: boolean;
  /** With `detach`: nobody is asked before deletions. */
  readonly acceptsDeletions: boolean;
}

export interface RunRequest {
  readonly sources: readonly Place[];
  readonly target: Place;
  readonly options: RunOptions;
  readonly network?: NetworkOptions;
  /** A dry run that looks for `explain`: whatever is asked for, nothing goes on without us. */
  readonly explains?: ExplainedVerb;
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
