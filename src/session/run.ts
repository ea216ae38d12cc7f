/**
 * One run, wherever its places are.
 *
 *     both here                    both roles in this process                       local-run.ts
 *     one behind a daemon          one role here, one there                         remote-run.ts
 */
import { availableParallelism } from "node:os";
import { type Counters, newCounters, type RunSummary } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { RunError } from "../core/run-error.ts";
import { type WorkerFacts, workersFor } from "../engine/worker-policy.ts";
import { compileFilter } from "../filter/compile.ts";
import type { CompiledFilter } from "../filter/filter.ts";
import { openBackend } from "../fs/open-backend.ts";
import { type DaemonPlace, isLocal, type Run, type RunRequest } from "./api.ts";
import { askedOnce, beginAgain, EarlierAttempts, mayPass, waitForNext } from "./attempts.ts";
import { guardDirectories } from "./guard-directories.ts";
import { guardMethods } from "./guard-methods.ts";
import { guardOwners } from "./guard-owners.ts";
import { runLocally } from "./local-run.ts";
import { guardOverlap, type Places, placementOf, resolvePlaces } from "./places.ts";
import { summarize } from "./summary.ts";

const UNKNOWN_DEVICE: WorkerFacts = {
  cores: availableParallelism(),
  rotational: false,
  remote: false,
  averageFileBytes: undefined,
};

/** The daemon of a run with one side here; it is certain to be called. */
function soleDaemon({ sources, target }: RunRequest): DaemonPlace | undefined {
  if (!isLocal(target)) return sources.every(isLocal) ? target : undefined;
  const daemons = sources.filter((place): place is DaemonPlace => !isLocal(place));
  return daemons.length === sources.length ? daemons[0] : undefined;
}

function guardDetach({ sources, target, network }: RunRequest): void {
  if (network?.detach !== true || !(sources.some(isLocal) || isLocal(target))) return;
  throw new RunError(
    ExitCode.usage,
    "detach",
    "--detach is for runs between two daemons; here one side is this process",
  );
}

/** Throws RunError before anything was touched; later failures are in the summary. */
export async function startRun(request: RunRequest): Promise<Run> {
  const { sources, target } = request;
  guardDetach(request);
  if (!sources.every(isLocal) || !isLocal(target)) {
    // Only here: a run on one machine needs no sockets.
    const { EarlyDial } = await import("../link/dial.ts");
    const daemon = soleDaemon(request);
    const dialled = daemon === undefined ? undefined : new EarlyDial(daemon, request.signal);
    try {
      const { startRemoteRun } = await import("./remote-run.ts");
      return await startRemoteRun(request, dialled);
    } finally {
      dialled?.drop();
    }
  }
  guardOwners(request.options);
  const places = resolvePlaces(sources, target);
  guardDirectories(request.options, places.sources);
  const filter = compileFilter(request.options.filter, { deleteExcluded: request.options.delete.excluded });
  guardOverlap(places, request.options, filter.root());
  const placement = placementOf(places);
  const counters = newCounters();
  request.hooks.onStart(counters);
  return { placement, summary: runToEnd(request, places, filter, counters) };
}

/** As often as a person can see it. */
const LANDED_INTERVAL_MS = 100;

async function runToEnd(
  asked: RunRequest,
  places: Places,
  filter: CompiledFilter,
  counters: Counters,
): Promise<RunSummary> {
  const startedMs = performance.now();
  const request = { ...asked, hooks: askedOnce(asked.hooks) };
  const { options, hooks, signal } = request;
  const backend = openBackend({
    workers: options.write.workers > 0 ? options.write.workers : workersFor(UNKNOWN_DEVICE),
  });
  const landed = setInterval(() => {
    counters.bytesLanded = backend.bytesDone();
  }, LANDED_INTERVAL_MS);
  try {
    guardMethods(options, backend);
    const earlier = new EarlierAttempts();
    for (let attempt = 0; ; attempt++) {
      // What the first attempt made is there for the others.
      const state = await runLocally({
        ...request,
        places: attempt === 0 ? places : { ...places, targetExists: true },
        filter,
        counters,
        backend,
      });
      const summary = (aborted: boolean): RunSummary =>
        summarize(state, { backend, durationMs: performance.now() - startedMs, aborted });
      const again =
        attempt < options.retry.attempts &&
        state.fatal === undefined &&
        mayPass(state.failures) &&
        !signal.aborted &&
        !options.dryRun;
      if (!again) return earlier.total(summary(signal.aborted));
      const what = `${state.counters.failed + state.counters.vanished} failed`;
      if (!(await waitForNext(what, attempt, options, hooks, signal))) return earlier.total(summary(true));
      earlier.add(summary(false));
      beginAgain(counters);
    }
  } finally {
    clearInterval(landed);
    await backend.shutdown();
  }
}
