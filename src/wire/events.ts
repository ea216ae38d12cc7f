/** What a run tells its face, as messages, and back: a daemon that is the target tells it to its caller. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { buildBatch, type EntryFields, FileType } from "../core/entry-batch.ts";
import {
  ACTIONS,
  type Action,
  type Counters,
  FAILURE_CODES,
  type Failure,
  type FailureCode,
  type ItemsEvent,
  type NetworkSummary,
  newCounters,
  PHASES,
  type Phase,
  type RunEvent,
  type RunSummary,
  SKIP_REASONS,
} from "../core/events.ts";
import { ExitCode, isExitCode } from "../core/exit-codes.ts";
import { LIMITS } from "../core/limits.ts";
import type { CopyMethod } from "../core/options.ts";
import {
  type Failure as FailureMessage,
  FailureSchema,
  type Items,
  ItemsSchema,
  type Progress,
  ProgressSchema,
  Role,
  type SessionMessage,
  SessionMessageSchema,
  type Summary,
  SummarySchema,
} from "./gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import { told, toldCount, toldWord } from "./told.ts";

const COPY_METHODS: ReadonlySet<string> = new Set<CopyMethod>([
  ...(["clone", "copy_file_range", "sendfile", "mmap", "read_write"] as const),
]);
const METHODS: ReadonlySet<string> = new Set<string>([...COPY_METHODS, "delta", "rename", "stream"]);
const ATTRIBUTES: ReadonlySet<string> = new Set(["owner", "group", "mode", "times", "xattr", "acl", "setid"]);
const isAction = (word: string): word is Action => (ACTIONS as readonly string[]).includes(word);
const isPhase = (word: string): word is Phase => (PHASES as readonly string[]).includes(word);
const isFailureCode = (word: string): word is FailureCode => (FAILURE_CODES as readonly string[]).includes(word);
const SELF = Uint8Array.of(0x2e);
/** A thousand years. */
const MOST_MS = 1000 * 366 * 86_400_000;

export function encodeFailure(failure: Failure): FailureMessage {
  return create(FailureSchema, {
    code: failure.code,
    side: failure.side === "source" ? Role.SOURCE : Role.TARGET,
    path: failure.path.slice(),
    operation: failure.operation,
    errno: failure.errno,
    message: failure.message,
  });
}

export function decodeFailure(message: FailureMessage): Failure {
  return {
    code: isFailureCode(message.code) ? message.code : "other",
    side: message.side === Role.SOURCE ? "source" : "target",
    path: message.path,
    operation: told(message.operation),
    errno: toldCount(message.errno),
    message: told(message.message),
  };
}

// ---- events ---------------------------------------------------------------------------------------------------

type Body = NonNullable<MessageInitShape<typeof SessionMessageSchema>["body"]>;

export function encodeEvent(event: RunEvent): SessionMessage | undefined {
  return create(SessionMessageSchema, { body: bodyOf(event) });
}

function bodyOf(event: RunEvent): Body {
  switch (event.kind) {
    case "items":
      return { case: "items", value: encodeItems(event) };
    case "delete":
      return { case: "deletions", value: { paths: [event.path], directories: [event.directory] } };
    case "failure":
      return { case: "failure", value: encodeFailure(event.failure) };
    case "notice":
      return {
        case: "notice",
        value: { warning: event.level === "warning", code: event.code, message: event.message },
      };
    case "phase":
      return { case: "progress", value: { phase: event.phase } };
  }
}

function encodeItems({ action, directory, batch, rows, reasons }: ItemsEvent): Items {
  const message = create(ItemsSchema, { action, directory: directory.slice() });
  let hasLinks = false;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    message.names.push(row === batch.self ? new Uint8Array(0) : batch.name(row).slice());
    message.modes.push(batch.mode(row));
    message.sizes.push(BigInt(batch.size(row)));
    if (batch.type(row) === FileType.symlink) hasLinks = true;
  }
  if (hasLinks) for (let i = 0; i < rows.length; i++) message.links.push(batch.linkText(rows[i]!).slice());
  if (reasons !== undefined) message.reasons.push(...reasons);
  return message;
}

/** Undefined: not a message about what was done. */
export function decodeEvent(message: SessionMessage): RunEvent[] | undefined {
  const { body } = message;
  switch (body.case) {
    case "items":
      return [decodeItems(body.value)];
    case "deletions":
      return body.value.paths.map((path, i) => ({
        kind: "delete",
        path,
        directory: body.value.directories[i] === true,
      }));
    case "failure":
      return [{ kind: "failure", failure: decodeFailure(body.value) }];
    case "notice": {
      const { warning, code, message: text } = body.value;
      return [
        { kind: "notice", level: warning ? "warning" : "info", code: toldWord(code, "notice"), message: told(text) },
      ];
    }
    default:
      return undefined;
  }
}

function decodeItems(items: Items): ItemsEvent {
  const { action } = items;
  if (!isAction(action)) throw new ProtocolViolation(`the action ${told(action)}`);
  const { names, modes, sizes, links, reasons } = items;
  const fits = (length: number, optional: boolean): boolean => length === names.length || (optional && length === 0);
  if (
    !fits(modes.length, false) ||
    !fits(sizes.length, false) ||
    !fits(links.length, true) ||
    !fits(reasons.length, true)
  )
    throw new ProtocolViolation("items whose columns differ in length");
  const entries: EntryFields[] = [];
  const rows: number[] = [];
  let self: EntryFields = { name: SELF };
  const own: number[] = [];
  names.forEach((name, i) => {
    const entry: EntryFields = {
      name,
      mode: modes[i]!,
      size: toldCount(Number(sizes[i]!)),
      ...(links[i] === undefined || links[i].length === 0 ? {} : { linkText: links[i] }),
    };
    if (name.length === 0) {
      self = { ...entry, name: SELF };
      own.push(rows.push(-1) - 1);
    } else rows.push(entries.push(entry) - 1);
  });
  for (const at of own) rows[at] = entries.length;
  return {
    kind: "items",
    action,
    directory: items.directory,
    batch: buildBatch([...entries, self]),
    rows,
    ...(reasons.length > 0 ? { reasons: reasons.map(toldReasons) } : {}),
  };
}

/** Comma-separated words. */
function toldReasons(reasons: string): string {
  return reasons
    .split(",")
    .map((reason) => toldWord(reason, ""))
    .filter((reason) => reason !== "")
    .join(",");
}

// ---- counters -------------------------------------------------------------------------------------------------

/** The counters that differ from `sent`, which is brought up to date; undefined when none does. */
export function encodeProgress(counters: Counters, sent: Counters): Progress | undefined {
  const changed: Record<string, number> = {};
  let any = counters.phase !== sent.phase || counters.scanComplete !== sent.scanComplete;
  for (const [name, value] of Object.entries(counters)) {
    if (typeof value !== "number" || sent[name as keyof Counters] === value) continue;
    changed[name] = value;
    any = true;
  }
  if (!any) return undefined;
  Object.assign(sent, counters);
  return create(ProgressSchema, { phase: counters.phase, counters: changed, scanComplete: counters.scanComplete });
}

export function applyProgress(message: Progress, counters: Counters): void {
  if (isPhase(message.phase)) counters.phase = message.phase;
  if (message.scanComplete) counters.scanComplete = true;
  const writable = counters as unknown as Record<string, number>;
  for (const [name, value] of Object.entries(message.counters))
    if (typeof writable[name] === "number" && toldCount(value) === value) writable[name] = value;
}

// ---- summary --------------------------------------------------------------------------------------------------

export function encodeSummary(summary: RunSummary): Summary {
  const counts = (of: Readonly<Record<string, number | undefined>>) =>
    Object.entries(of).map(([name, count]) => ({ name, count: BigInt(count ?? 0) }));
  return create(SummarySchema, {
    exitCode: summary.exitCode,
    exitReason: summary.exitReason,
    message: summary.message ?? "",
    counters: encodeProgress(summary.counters, { ...newCounters(), phase: "scanning" }) ?? { phase: "scanning" },
    durationMs: summary.durationMs,
    skipped: counts(summary.skipped),
    methods: counts(summary.methods),
    refused: summary.refused.map(({ method, reason, files }) => ({ method, reason, files: BigInt(files) })),
    plan: counts(summary.plan),
    attributeWarnings: summary.attributeWarnings.map(({ attribute, errno, entries, examples }) => ({
      attribute,
      errno,
      entries: BigInt(entries),
      examples: [...examples],
    })),
    failures: summary.failures.map(encodeFailure),
    unmatchedPatterns: [...summary.unmatchedPatterns],
    backend: summary.backend ?? "",
    workers: summary.workers ?? 0,
    dryRun: summary.dryRun,
    ...(summary.network === undefined ? {} : { network: encodeNetwork(summary.network) }),
  });
}

function encodeNetwork({ carrier, streams, bytes, firstContentMs }: NetworkSummary) {
  return {
    inStream: carrier === "in_stream",
    streams,
    bytes: BigInt(bytes),
    ...(firstContentMs === undefined ? {} : { firstContentMs }),
  };
}

/** A span of time that somebody can have measured. */
function toldSpan(ms: number): number | undefined {
  return ms >= 0 && ms <= MOST_MS ? ms : undefined;
}

export function decodeSummary(message: Summary): RunSummary {
  const counters = newCounters();
  if (message.counters !== undefined) applyProgress(message.counters, counters);
  const table = (counts: readonly { name: string; count: bigint }[]): Record<string, number> =>
    Object.fromEntries(counts.map(({ name, count }) => [name, toldCount(Number(count))]));
  const known = new Set<string>(SKIP_REASONS);
  const plan = table(message.plan);
  const exitCode = isExitCode(message.exitCode) ? message.exitCode : ExitCode.protocol;
  const exitReason = toldWord(message.exitReason, exitCode === ExitCode.ok ? "ok" : "protocol");
  const workers = toldCount(message.workers);
  const hasEngine = (message.backend === "native" || message.backend === "portable") && workers > 0;
  return {
    exitCode,
    exitReason,
    message:
      told(message.message) || (exitCode === ExitCode.ok ? undefined : `the daemon says no more than ${exitReason}`),
    counters,
    durationMs: toldSpan(message.durationMs) ?? 0,
    skipped: table(message.skipped.filter(({ name }) => known.has(name))) as RunSummary["skipped"],
    methods: table(message.methods.filter(({ name }) => METHODS.has(name))) as RunSummary["methods"],
    refused: message.refused
      .filter(({ method }) => COPY_METHODS.has(method))
      .map(({ method, reason, files }) => ({
        method: method as CopyMethod,
        reason: told(reason),
        files: toldCount(Number(files)),
      })),
    plan: {
      shards: plan["shards"] ?? 0,
      bundles: plan["bundles"] ?? 0,
      large: plan["large"] ?? 0,
      direct: plan["direct"] ?? 0,
    },
    attributeWarnings: message.attributeWarnings
      .filter(({ attribute }) => ATTRIBUTES.has(attribute))
      .map(({ attribute, errno, entries, examples }) => ({
        attribute,
        errno: toldCount(errno),
        entries: toldCount(Number(entries)),
        examples: examples.slice(0, LIMITS.warningExamples),
      })),
    failures: message.failures.slice(0, LIMITS.failuresKept).map(decodeFailure),
    unmatchedPatterns: message.unmatchedPatterns.map(told),
    backend: hasEngine ? (message.backend as "native" | "portable") : undefined,
    workers: hasEngine ? workers : undefined,
    dryRun: message.dryRun,
    ...(message.network === undefined
      ? {}
      : {
          network: {
            carrier: message.network.inStream ? "in_stream" : "streams",
            streams: toldCount(message.network.streams),
            bytes: toldCount(Number(message.network.bytes)),
            firstContentMs: toldSpan(message.network.firstContentMs ?? -1),
          },
        }),
  };
}
