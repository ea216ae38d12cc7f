/**
 * `explain`: what a run would decide, and why, without touching anything. The same session as that of a run does the
 * looking, as a dry run. `explain VERB` looks with that verb, and is refused where the run would be; without a verb it is
 * a mirror that looks, so that what it would delete is counted along.
 */
import { defineCommand } from "citty";
import type { RunSummary } from "../../core/events.ts";
import { ExitCode } from "../../core/exit-codes.ts";
import type { ExplainedVerb, Verb } from "../../core/options.ts";
import { RunError } from "../../core/run-error.ts";
import { openBackend } from "../../fs/open-backend.ts";
import { isLocal, type Place, type StartRun } from "../../session/api.ts";
import { lookAtSources, lookAtTarget } from "../../session/look-at-places.ts";
import type { CommandContext } from "../context.ts";
import { explainedOf, type Preview, type Side } from "../explain/explain-plan.ts";
import { explainJson, explainText } from "../explain/explain-text.ts";
import { tellEnding, tellWarning } from "../report/ending-text.ts";
import { formatCount } from "../report/format.ts";
import { proseWidthOf } from "../report/screen.ts";
import { settingNotes } from "../settings/notes.ts";
import { configureRun, explained } from "../settings/of-run.ts";
import { unknownVariables } from "../settings/variables.ts";
import { onStopSignals } from "../stop-signals.ts";
import { flagNamed } from "../words/flags.ts";
import { type Resolved, resolveOptions } from "../words/resolve-options.ts";
import { UsageError } from "../words/usage-error.ts";
import type { VerbName } from "../words/verbs.ts";

export const explainCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const context = data!;
    const { args, places, origins } = configureRun(context.args, process.env);
    const resolved = await resolveOptions(args).catch((error: unknown) => {
      throw error instanceof UsageError ? explained(error, origins) : error;
    });
    for (const problem of unknownVariables(process.env)) tellWarning(context.outputs.err, problem);
    const verb = args.verb === "explain" ? undefined : args.verb;
    const stop = new AbortController();
    using _signals = onStopSignals({ onFirst: () => stop.abort(), onSecond: () => process.exit(ExitCode.interrupted) });
    const asked: Asked = {
      startRun: await context.parts.startRun(),
      sources: places.slice(0, -1),
      target: places.at(-1)!,
      resolved,
      explains: verb === undefined ? "any" : (resolved.options.verb as ExplainedVerb),
      signal: stop.signal,
    };
    const looked = verb === undefined ? await lookAtAny(asked) : await lookAtVerb(asked, verb);
    const sides = await lookAtSides(asked);
    const { options, network } = resolved;
    const plan = explainedOf({ verb, options, network, preview: looked.preview, ...sides });
    // What the configuration adds to how a run is shown plays no part.
    const telling = [...origins].filter(([flag]) => flagNamed(flag)!.verbs.includes("explain"));
    const notes = [...settingNotes(new Map(telling)), ...resolved.face.notes];
    if (args.has("json")) context.outputs.out.line(JSON.stringify(explainJson(plan)));
    else context.outputs.out.write(explainText(plan, notes, proseWidthOf(context.outputs.out)));
    context.exitCode = looked.exitCode;
    const { failed, vanished } = looked.preview.counters;
    if (looked.exitCode !== ExitCode.ok)
      tellEnding(context.outputs.err, "explain", `${formatCount(failed + vanished)} failed`, looked.exitCode);
  },
});

interface Asked {
  readonly startRun: StartRun;
  readonly sources: readonly Place[];
  readonly target: Place;
  readonly resolved: Resolved;
  readonly explains: ExplainedVerb;
  readonly signal: AbortSignal;
}

interface Looked {
  readonly preview: Preview;
  readonly exitCode: number;
  /** The code of the guard that would refuse the deletions. */
  readonly refusedBy?: string | undefined;
}

/** `word`: as the verb is written. */
async function lookAtVerb(asked: Asked, word: VerbName): Promise<Looked> {
  const { verb } = asked.resolved.options;
  if (verb === "mirror") return await lookAsMirror(asked);
  const what = word === "sync" ? "sync without --delete" : word;
  return withoutDeletions(
    await dryRun(asked, verb),
    `${what} deletes nothing in the target; explain mirror counts what only the target has`,
  );
}

/** What only a mirror refuses. */
const OVERLAPS: ReadonlySet<string> = new Set(["target_inside_source", "source_inside_target"]);

/** As a mirror would, or where there can be none as a copy. */
async function lookAtAny(asked: Asked): Promise<Looked> {
  if (asked.sources.length > 1) return withoutDeletions(await dryRun(asked, "copy"), "a mirror has one source");
  try {
    return await lookAsMirror(asked);
  } catch (error) {
    if (!(error instanceof RunError) || !OVERLAPS.has(error.reason)) throw error;
    return withoutDeletions(await dryRun(asked, "copy"), error.message);
  }
}

async function lookAsMirror(asked: Asked): Promise<Looked> {
  const looked = await dryRun(asked, "mirror");
  if (looked.refusedBy === undefined) return looked;
  const entries = COUNTABLE.has(looked.refusedBy)
    ? (await dryRun({ ...asked, resolved: unguarded(asked.resolved) }, "mirror")).preview.deletions.entries
    : undefined;
  return { ...looked, preview: { ...looked.preview, deletions: { ...looked.preview.deletions, entries } } };
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

async function dryRun(asked: Asked, verb: Verb): Promise<Looked> {
  const { startRun, sources, target, explains, signal } = asked;
  const { options, network } = asked.resolved;
  const notices: { code: string; message: string }[] = [];
  let deletions = 0;
  const run = await startRun({
    sources,
    target,
    options: { ...options, verb, dryRun: true, delete: { ...options.delete, enabled: verb === "mirror" } },
    network,
    explains,
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

async function lookAtSides({ sources, target }: Asked) {
  const backend = openBackend({ workers: 1 });
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
