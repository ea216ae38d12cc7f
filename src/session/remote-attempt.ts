/** One attempt at a run with daemons, and how its places are called. */
import type { Counters, RunSummary } from "../core/events.ts";
import type { CompiledFilter } from "../filter/filter.ts";
import type { Backend } from "../fs/backend.ts";
import { type EarlyDial, printableAddress } from "../link/dial.ts";
import { type DaemonPlace, isLocal, type NetworkOptions, type Place, type Placement, type RunRequest } from "./api.ts";
import type { OpenedSession } from "./caller.ts";

export interface Attempt {
  readonly request: RunRequest;
  readonly network: NetworkOptions;
  readonly counters: Counters;
  readonly filter: CompiledFilter;
  readonly backend: Backend;
  readonly startedMs: number;
  readonly dialled: EarlyDial | undefined;
}

/** One attempt: opened, so that its placement is known, and then run to its end. */
export interface OpenAttempt {
  readonly placement: Placement;
  run(): Promise<RunSummary>;
}

export function moduleOf(place: DaemonPlace): { module: string; path: Uint8Array } {
  return { module: place.module ?? "", path: place.path };
}

export function writtenOf(place: Place): Uint8Array {
  if (isLocal(place)) return place.path;
  const { host, port, module, path } = place;
  const prefix = `${printableAddress({ host, port })}:/${module ?? ""}/`;
  return Buffer.concat([Buffer.from(prefix), path]);
}

export function placementBetween(
  sources: readonly DaemonPlace[],
  target: DaemonPlace,
  session: OpenedSession,
): Placement {
  const told = session.accept.placement;
  return {
    sources: sources.map((place, i) => ({
      path: writtenOf(place),
      kind: (told?.sources[i]?.entry.length ?? 0) > 0 ? "entry" : "contents",
    })),
    target: writtenOf(target),
    targetExists: told?.targetExists ?? true,
  };
}
