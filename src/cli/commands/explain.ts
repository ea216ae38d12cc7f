/**
 * `explain`: what a run would decide, and why, without touching anything. The same session as that of a run does the
 * looking, as a dry run; what a mirror would delete is counted along.
 */
import { defineCommand } from "citty";
import type { RunSummary } from "../../core/events.ts";
import { ExitCode } from "../../core/exit-codes.ts";
import { RunError } from "../../core/run-error.ts";
import { openBackend } from "../../fs/open-backend.ts";
import type { LocalPlace, Place, StartRun } from "../../session/api.ts";
import { lookAtSources, lookAtTarget } from "../../session/look-at-places.ts";
import type { CommandContext } from "../context.ts";
import { explainedOf, type Preview, type Side } from "../explain-plan.ts";
import { explainJson, explainText } from "../explain-text.ts";
import { type Resolved, resolveOptions } from "../resolve-options.ts";
import { settingNotes } from "../settings/notes.ts";
import { configureRun, explained } from "../settings/of-run.ts";
import { unknownVariables } from "../settings/variables.ts";
import { onStopSignals } from "../stop-signals.ts";
import { UsageError } from "../usage-error.ts";

export const explainCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const context = data!;
    const { args, places, origins } = configureRun(context.args, process.env);
    const resolved = await resolveOptions(args).catch((error: unknown) => {
      throw error instanceof UsageError ? explained(error, origins) : error;
    });
    for (const problem of unknownVariables(process.env)) context.outputs.err.line(`warning: ${problem}`);
    const stop = new AbortController();
    using _signals = onStopSignals({ onFirst: () => stop.abort(), onSecond: () => process.exit(ExitCode.interrupted) });
    const [sources, target] = [places.slice(0, -1), places.at(-1)!];
    const looked = await preview(await context.parts.startRun(), sources, target, resolved, stop.signal);
    const sides = await lookAtSides(sources, target);
    const { options, network } = resolved;
    const plan = explainedOf({ options, network, preview: looked.preview, ...sides });
    const notes = [...settingNotes(origins), ...resolved.face.notes];
    if (args.has("json")) context.outputs.out.line(JSON.stringify(explainJson(plan)));
    else context.outputs.out.write(explainText(plan, notes));
    context.exitCode = looked.exitCode;
  },
});

/** What only a mirror refuses. */
const OVERLAPS: ReadonlySet<string> = new Set(["target_inside_source", "source_inside_target"]);

interface Looked {
  readonly preview: Preview;
  readonly exitCode: number;
  /** The code of the guard that would refuse the deletions. */
  readonly refusedBy?: string | undefined;
}

async function preview(
  startRun: StartRun,
  sources: readonly Place[],
  target: Place,
  resolved: Resolved,
  signal: AbortSignal,
): Promise<Looked> {
  const look = (verb: "copy" | "mirror") => dryRun(startRun, sources, target, resolved, verb, signal);
  if (sources.length > 1) return withoutDeletions(await look("copy"), "a mirror has one source");
  try {
    const looked = await look("mirror");
    if (looked.refusedBy === undefined) return looked;
    const entries = COUNTABLE.has(looked.refusedBy)
      ? (await dryRun(startRun, sources, target, unguarded(resolved), "mirror", signal)).preview.deletions.entries
      : undefined;
    return { ...looked, preview: { ...looked.preview, deletions: { ...looked.preview.deletions, entries } } };
  } catch (error) {
    if (!(error instanceof RunError) || !OVERLAPS.has(error.reason)) throw error;
    return withoutDeletions(await look("copy"), error.message);
  }
}

/** What these refuse is listed nowhere; without them it can be counted. */
const COUNTABLE: ReadonlySet<string> = new Set(["empty_source", "deletion_limit"]);

function unguarded(resolved: Resolved): Resolved {
  const { options } = resolved;
  const all = { ...options.delete, limit: { kind: "percent", percent: 100 }, allowEmptySource: true } as const;
  return { ...resolved, options: { ...options, delete: all } };
}

function withoutDeletions({ preview, exitCode }: Looked, refusal: string): Looked {
  return { preview: { ...preview, deletions: { entries: undefined, refusal } }, exitCode };
}

async function dryRun(
  startRun: StartRun,
  sources: readonly Place[],
  target: Place,
  { options, network }: Resolved,
  verb: "copy" | "mirror",
  signal: AbortSignal,
): Promise<Looked> {
  const notices: { code: string; message: string }[] = [];
  let deletions = 0;
  const run = await startRun({
    sources,
    target,
    options: { ...options, verb, dryRun: true, delete: { ...options.delete, enabled: verb === "mirror" } },
    network,
    hooks: {
      // What would be deleted is counted from the list.
      wantsItems: true,
      onStart: () => undefined,
      onEvent: (event) => {
        if (event.kind === "delete") deletions++;
        else if (event.kind === "notice") notices.push({ code: event.code, message: event.message });
      },
      confirmDeletions: () => Promise.resolve("declined"),
    },
    signal,
  });
  const summary = await run.summary;
  refuseEnded(summary);
  const { counters, durationMs, network: told } = summary;
  const refusal = notices.find(({ code }) => REFUSALS.has(code));
  return {
    preview: {
      placement: run.placement,
      counters,
      durationMs,
      network: told,
      notices,
      deletions: { entries: deletions, refusal: refusal?.message },
    },
    refusedBy: refusal?.code,
    // That a guard would refuse deletions is an answer.
    exitCode: summary.exitCode === ExitCode.deletionRefused ? ExitCode.ok : summary.exitCode,
  };
}

const REFUSALS: ReadonlySet<string> = new Set([
  "deletions_disabled",
  "empty_source",
  "target_inside_source",
  "deletion_limit",
]);

/** A run that could not look at everything it wanted has no plan to tell, unless single entries are the reason. */
function refuseEnded({ exitCode, exitReason, message }: RunSummary): void {
  const isAnswer = [ExitCode.ok, ExitCode.deletionRefused, ExitCode.partial, ExitCode.vanished].some(
    (code) => code === exitCode,
  );
  if (!isAnswer) throw new RunError(exitCode as ExitCode, exitReason, message ?? exitReason);
}

async function lookAtSides(sources: readonly Place[], target: Place) {
  const backend = openBackend({ workers: 1 });
  const isLocal = (place: Place): place is LocalPlace => place.kind !== "daemon";
  const local = sources.filter(isLocal);
  try {
    const source: Side =
      local.length === 0
        ? { kind: "daemon", facts: undefined }
        : { kind: "local", facts: await lookAtSources(backend, local) };
    const into: Side = isLocal(target)
      ? { kind: "local", facts: await lookAtTarget(backend, target) }
      : { kind: "daemon", facts: undefined };
    const { kind, reason, capabilities } = backend;
    return { engine: { kind, reason, methods: capabilities.methods }, source, target: into };
  } finally {
    await backend.shutdown();
  }
}
