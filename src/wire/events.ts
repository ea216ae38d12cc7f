/** What a run tells its face, as messages, and back: a daemon that is the target tells it to its caller. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { buildBatch, type EntryFields, FileType } from "../core/entry-batch.ts";
import {
  type Action,
  type Counters,
  type Failure,
  type FailureCode,
  type ItemsEvent,
  type NetworkSummary,
  newCounters,
  type Phase,
  type RunEvent,
  type RunSummary,
  SKIP_REASONS,
} from "../core/events.ts";
import { ExitCode, isExitCode } from "../core/exit-codes.ts";
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

const ACTIONS: ReadonlySet<string> = new Set<Action>(["create", "update", "repair", "link", "delete", "differ"]);
const PHASES: ReadonlySet<string> = new Set<Phase>(["scanning", "copying", "linking", "deleting", "finishing"]);
const SELF = Uint8Array.of(0x2e);

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
    code: message.code as FailureCode,
    side: message.side === Role.SOURCE ? "source" : "target",
    path: message.path,
    operation: message.operation,
    errno: message.errno,
    message: message.message,
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
      return [{ kind: "notice", level: warning ? "warning" : "info", code, message: text }];
    }
    default:
      return undefined;
  }
}

function decodeItems(items: Items): ItemsEvent {
  if (!ACTIONS.has(items.action)) throw new ProtocolViolation(`the action ${items.action}`);
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
      size: Number(sizes[i]!),
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
    action: items.action as Action,
    directory: items.directory,
    batch: buildBatch([...entries, self]),
    rows,
    ...(reasons.length > 0 ? { reasons } : {}),
  };
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
  if (PHASES.has(message.phase)) counters.phase = message.phase as Phase;
  if (message.scanComplete) counters.scanComplete = true;
  const writable = counters as unknown as Record<string, number>;
  for (const [name, value] of Object.entries(message.counters))
    if (typeof writable[name] === "number" && Number.isFinite(value)) writable[name] = value;
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

export function decodeSummary(message: Summary): RunSummary {
  const counters = newCounters();
  if (message.counters !== undefined) applyProgress(message.counters, counters);
  const table = (counts: readonly { name: string; count: bigint }[]): Record<string, number> =>
    Object.fromEntries(counts.map(({ name, count }) => [name, Number(count)]));
  const known = new Set<string>(SKIP_REASONS);
  const plan = table(message.plan);
  return {
    exitCode: isExitCode(message.exitCode) ? message.exitCode : ExitCode.protocol,
    exitReason: message.exitReason,
    message: message.message === "" ? undefined : message.message,
    counters,
    durationMs: message.durationMs,
    skipped: table(message.skipped.filter(({ name }) => known.has(name))) as RunSummary["skipped"],
    methods: table(message.methods) as RunSummary["methods"],
    refused: message.refused.map(({ method, reason, files }) => ({
      method: method as RunSummary["refused"][number]["method"],
      reason,
      files: Number(files),
    })),
    plan: {
      shards: plan["shards"] ?? 0,
      bundles: plan["bundles"] ?? 0,
      large: plan["large"] ?? 0,
      direct: plan["direct"] ?? 0,
    },
    attributeWarnings: message.attributeWarnings.map(({ attribute, errno, entries, examples }) => ({
      attribute,
      errno,
      entries: Number(entries),
      examples,
    })),
    failures: message.failures.map(decodeFailure),
    unmatchedPatterns: message.unmatchedPatterns,
    backend: message.backend === "native" || message.backend === "portable" ? message.backend : undefined,
    workers: message.workers === 0 ? undefined : message.workers,
    dryRun: message.dryRun,
    ...(message.network === undefined
      ? {}
      : {
          network: {
            carrier: message.network.inStream ? "in_stream" : "streams",
            streams: message.network.streams,
            bytes: Number(message.network.bytes),
            firstContentMs: message.network.firstContentMs,
          },
        }),
  };
}
