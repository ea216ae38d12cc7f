/** From the target role's final state to the summary and its exit code. */
import { errnoName, errnoText } from "../core/errno.ts";
import type { NetworkSummary, RunSummary, SkipCounts } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import type { CopyMethod } from "../core/options.ts";
import type { Backend } from "../fs/backend.ts";
import type { TargetState } from "./target-state.ts";

export function summarize(
  state: TargetState,
  end: {
    readonly backend: Backend;
    readonly durationMs: number;
    readonly aborted: boolean;
    readonly network?: NetworkSummary;
  },
): RunSummary {
  const verdict = verdictOf(state, end.aborted);
  const methods: Record<string, number> = {};
  for (const [method, files] of state.methods) if (method !== "none") methods[method] = files;
  return {
    ...verdict,
    counters: { ...state.counters },
    durationMs: Math.round(end.durationMs),
    skipped: Object.fromEntries(state.skipped) as SkipCounts,
    methods,
    refused: [...state.refused].map(([method, { errno, files }]) => ({
      method: method as CopyMethod,
      reason: errno === 0 ? "fell through to the next method" : `${errnoText(errno)} (${errnoName(errno)})`,
      files,
    })),
    plan: state.planner.finalMix(),
    attributeWarnings: [...state.warnings.values()],
    failures: state.failures,
    unmatchedPatterns: state.scanned?.unmatchedPatterns ?? [],
    backend: end.backend.kind,
    workers: end.backend.workers,
    network: end.network,
    dryRun: state.options.dryRun,
  };
}

/** A failure of the data weighs more than a refusal, a refusal more than something that vanished. */
function verdictOf(state: TargetState, aborted: boolean): Pick<RunSummary, "exitCode" | "exitReason" | "message"> {
  const { counters, options } = state;
  if (aborted) {
    return {
      exitCode: ExitCode.interrupted,
      exitReason: "interrupted",
      message: "interrupted; what is there is whole, and the next run goes on from here",
    };
  }
  if (state.fatal !== undefined)
    return { exitCode: state.fatal.exitCode, exitReason: state.fatal.reason, message: state.fatal.message };
  if (counters.failed > 0) {
    return { exitCode: ExitCode.partial, exitReason: "partial", message: `${counters.failed} failed` };
  }
  const strictWarnings = options.strictAttrs && counters.attributeWarnings > 0;
  if (strictWarnings) {
    const attributes = [...state.warnings.values()].map(
      (warning) => `${warning.attribute} (${errnoName(warning.errno)}) of ${warning.entries}`,
    );
    return {
      exitCode: ExitCode.partial,
      exitReason: "attributes",
      message: `attributes could not be applied: ${attributes.join(", ")}; --no-strict-attrs accepts that`,
    };
  }
  if (state.deletionRefused !== undefined) {
    return { exitCode: ExitCode.deletionRefused, exitReason: "deletion_refused", message: state.deletionRefused };
  }
  if (counters.vanished > 0) {
    return {
      exitCode: ExitCode.vanished,
      exitReason: "vanished",
      message: `${counters.vanished} vanished while the run went on`,
    };
  }
  if (options.verb === "check") {
    const differences =
      counters.created +
      counters.updated +
      counters.repaired +
      counters.linked +
      counters.deleted +
      counters.directoriesCreated;
    if (differences > 0) return { exitCode: ExitCode.usage, exitReason: "different", message: `${differences} differ` };
  }
  return { exitCode: ExitCode.ok, exitReason: "ok", message: undefined };
}
