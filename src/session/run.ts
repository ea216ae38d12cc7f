/**
 * One run on this machine: both roles here, joined by a loopback link.
 *
 *     resolve the arguments, refuse overlaps          (nothing touched yet)
 *     open source and target by held descriptors
 *     let the roles talk until the target has finished
 *     some failures may pass: again, after a pause, as often as --retry says
 *     summary and exit code
 */
import { availableParallelism } from "node:os";
import { type Counters, newCounters, type RunHooks, type RunSummary } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import type { RunOptions } from "../core/options.ts";
import { RunError } from "../core/run-error.ts";
import { type WorkerFacts, workersFor } from "../engine/worker-policy.ts";
import { compileFilter } from "../filter/compile.ts";
import type { CompiledFilter } from "../filter/filter.ts";
import { openBackend } from "../fs/open-backend.ts";
import { Capability, hasCapability } from "../fs/privileges.ts";
import type { Run, RunRequest } from "./api.ts";
import { runLocally } from "./local-run.ts";
import { guardOverlap, type Places, placementOf, resolvePlaces } from "./places.ts";
import { summarize } from "./summary.ts";
import { addTo, type TargetState } from "./target-state.ts";

const UNKNOWN_DEVICE: WorkerFacts = {
  cores: availableParallelism(),
  rotational: false,
  remote: false,
  averageFileBytes: undefined,
};

/** Throws RunError before anything was touched; later failures are in the summary. */
export async function startRun(request: RunRequest): Promise<Run> {
  guardOwners(request.options);
  const places = resolvePlaces(request.sources, request.target);
  const filter = compileFilter(request.options.filter, { deleteExcluded: request.options.delete.excluded });
  guardOverlap(places, request.options, filter.root());
  const placement = placementOf(places);
  const counters = newCounters();
  request.hooks.onStart(counters);
  return { placement, summary: runToEnd(request, places, filter, counters) };
}

/** What --chown asks for must be possible: everything would arrive with another owner, and look well. */
function guardOwners({ verb, preserve: { chownUid, chownGid } }: RunOptions): void {
  if (verb === "check" || hasCapability(Capability.chown)) return;
  const refuse = (what: string): never => {
    throw new RunError(ExitCode.usage, "chown_not_permitted", `--chown: only root can give files to ${what}`);
  };
  if (chownUid !== undefined && chownUid !== process.geteuid?.()) refuse(`user ${chownUid}`);
  if (chownGid !== undefined && chownGid !== process.getegid?.() && !process.getgroups?.().includes(chownGid))
    refuse(`group ${chownGid}, which you are not in`);
}

/** A further attempt of the same run does not ask again. */
function askedOnce(hooks: RunHooks): RunHooks {
  let answer: ReturnType<RunHooks["confirmDeletions"]> | undefined;
  return {
    ...hooks,
    confirmDeletions: (plan) => {
      answer ??= hooks.confirmDeletions(plan);
      return answer;
    },
  };
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
  const { options, signal } = request;
  const backend = openBackend({
    workers: options.write.workers > 0 ? options.write.workers : workersFor(UNKNOWN_DEVICE),
  });
  const landed = setInterval(() => {
    counters.bytesLanded = backend.bytesDone();
  }, LANDED_INTERVAL_MS);
  try {
    let earlier: TargetState | undefined;
    let unchanged = 0;
    for (let attempt = 0; ; attempt++) {
      // What the first attempt made is there for the others.
      const state = await runLocally({
        ...request,
        places: attempt === 0 ? places : { ...places, targetExists: true },
        filter,
        counters,
        backend,
      });
      if (earlier === undefined) unchanged = counters.unchanged;
      else addEarlier(state, earlier, unchanged);
      earlier = state;
      const again = attempt < options.retry.attempts && mayPass(state) && !signal.aborted && !options.dryRun;
      if (!again)
        return summarize(state, { backend, durationMs: performance.now() - startedMs, aborted: signal.aborted });
      const message = `${state.counters.failed + state.counters.vanished} failed; trying again in ${options.retry.waitMs / 1000} s (${attempt + 1} of ${options.retry.attempts})`;
      request.hooks.onEvent({ kind: "notice", level: "info", code: "retry", message });
      await pause(options.retry.waitMs, signal);
      if (signal.aborted)
        return summarize(state, { backend, durationMs: performance.now() - startedMs, aborted: true });
      beginAgain(counters);
    }
  } finally {
    clearInterval(landed);
    await backend.shutdown();
  }
}

/** What is examined once more counts once; what was done stays done. */
function beginAgain(counters: Counters): void {
  Object.assign(counters, {
    phase: "scanning",
    directoriesExamined: 0,
    entriesExamined: 0,
    filesExamined: 0,
    scanComplete: false,
    filesToTransfer: counters.filesTransferred,
    bytesToTransfer: counters.bytesLogical,
    failed: 0,
    vanished: 0,
    attributeWarnings: 0,
  } satisfies Partial<Counters>);
}

/** The methods of all attempts. What an earlier one transferred is unchanged for the next, but not for the run. */
function addEarlier(state: TargetState, earlier: TargetState, unchanged: number): void {
  for (const [method, files] of earlier.methods) addTo(state.methods, method, files);
  state.counters.unchanged = unchanged;
}

/** Failures of a kind that another try may not meet again. */
function mayPass(state: TargetState): boolean {
  const passing = new Set(["changed_while_reading", "vanished", "io", "other", "canceled"]);
  return (
    state.fatal === undefined &&
    state.failures.length > 0 &&
    state.failures.some((failure) => passing.has(failure.code))
  );
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
