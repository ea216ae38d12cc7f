/**
 * Calls on places (proto/fastsync/v1/admin.proto), as the daemon answers them:
 *
 *     the module       exists, lets this peer in, allows this use
 *     a backend        of the call's own, so that ending the call ends its work and nobody else's
 *     the work         `src/admin`, below the module's held root; parts as the caller takes them
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { LocalCalls } from "../admin/local.ts";
import type { EntriesPart } from "../core/admin-calls.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { LIMITS } from "../core/limits.ts";
import { RunError } from "../core/run-error.ts";
import { WORKING_DIRECTORY } from "../fs/backend.ts";
import { openBackend } from "../fs/open-backend.ts";
import { PRODUCT } from "../session/greeting.ts";
import { decodeFind, decodeList, encodeEntries, encodeFailures, encodeRemoved, encodeUsage } from "../wire/admin.ts";
import type {
  AdminPlace,
  AdminService,
  DiskUsageResponseSchema,
  FindResponseSchema,
  ListResponseSchema,
  RemoveResponseSchema,
} from "../wire/gen/fastsync/v1/admin_pb.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { decideAccess } from "./access.ts";
import { moduleFor, shownModule, type Use } from "./admission.ts";
import { attended } from "./attended.ts";
import type { ModuleConfig } from "./config.ts";
import type { Refused } from "./log.ts";
import { moduleTrouble } from "./module-state.ts";
import type { ServeHooks } from "./server-contract.ts";

const READS: Use = { reads: true, writes: false };
const REMOVES: Use = { reads: true, writes: true };
/** It tells nothing of what is in the module. */
const ASKS: Use = { reads: false, writes: false };
const WORKERS = 2;

export interface AdminHost {
  readonly hooks: ServeHooks;
  /** Address of the caller. */
  readonly peerOf: (context: HandlerContext) => string;
  /** Logs and counts it. */
  readonly refused: (refusal: Refused) => void;
  /** Nothing new is accepted. */
  readonly isDraining: () => boolean;
  /** Aborted when the daemon is to end at once. */
  readonly signal: AbortSignal;
  /** Until it resolves the daemon is not done. */
  readonly wait: (work: Promise<void>) => void;
}

interface Asked {
  readonly call: string;
  readonly module: string | undefined;
  readonly path: Uint8Array;
  readonly use: Use;
}

interface Running {
  /** Of the place that was asked for. */
  readonly path: Uint8Array;
  readonly calls: LocalCalls;
  readonly module: ModuleConfig;
  readonly signal: AbortSignal;
}

export function servedAdmin(host: AdminHost): ServiceImpl<typeof AdminService> {
  const served = new ServedAdmin(host);
  return {
    listModules: (_request, context) => served.modules(context),
    list: ({ place, ...request }, context) =>
      served.stream<MessageInitShape<typeof ListResponseSchema>>(
        asked("list", place, READS),
        context,
        async function* ({ calls, path }) {
          for await (const part of calls.list(path, decodeList(request))) yield entriesOf(part);
        },
      ),
    find: (request, context) =>
      served.stream<MessageInitShape<typeof FindResponseSchema>>(
        asked("find", request.place, READS),
        context,
        async function* ({ calls, path }) {
          const wanted = decodeFind(request);
          for await (const part of calls.find(path, wanted)) yield entriesOf(part);
        },
      ),
    diskUsage: ({ place, maxDepth, oneFileSystem }, context) =>
      served.stream<MessageInitShape<typeof DiskUsageResponseSchema>>(
        asked("du", place, READS),
        context,
        async function* ({ calls, path }) {
          for await (const part of calls.usage(path, { maxDepth, oneFileSystem })) yield encodeUsage(part);
        },
      ),
    filesystemStats: ({ place }, context) =>
      served.one(asked("df", place, ASKS), context, async ({ calls, module, path }) => {
        const stats = await calls.filesystem(path);
        return { ...stats, readOnly: module.access === "read_only" };
      }),
    completePath: ({ place, limit, directoriesOnly }, context) =>
      served.one(asked("complete", place, READS), context, async ({ calls, path }) => {
        const { names, more } = await calls.complete(path, { limit, directoriesOnly });
        return { names: [...names], more };
      }),
    remove: ({ module, paths, recursive, dryRun, tellEntries }, context) =>
      served.stream<MessageInitShape<typeof RemoveResponseSchema>>(
        {
          call: dryRun ? "rm (dry run)" : "rm",
          module: moduleName(module),
          path: paths[0] ?? new Uint8Array(0),
          use: REMOVES,
        },
        context,
        async function* ({ calls }) {
          if (paths.length === 0 || paths.length > LIMITS.removePaths)
            throw new ProtocolViolation(`${paths.length} paths to remove`);
          for await (const part of calls.remove(paths, { recursive, dryRun, tellEntries })) yield encodeRemoved(part);
        },
      ),
  };
}

function moduleName(module: string): string | undefined {
  return module === "" ? undefined : module;
}

function asked(call: string, place: AdminPlace | undefined, use: Use): Asked {
  return { call, module: moduleName(place?.module ?? ""), path: place?.path ?? new Uint8Array(0), use };
}

function entriesOf({ entries, failures, more, isDirectory }: EntriesPart) {
  return { entries: encodeEntries(entries), failures: encodeFailures(failures), more, isDirectory };
}

class ServedAdmin {
  private readonly host: AdminHost;
  private running = 0;

  constructor(host: AdminHost) {
    this.host = host;
  }

  modules(context: HandlerContext) {
    const peer = this.host.peerOf(context);
    const { modules, root } = this.host.hooks.config();
    const isOpen = (module: ModuleConfig): boolean => decideAccess(module, peer).kind === "allowed";
    const shown = modules.filter((module) => module.list && isOpen(module));
    return {
      modules: shown
        .map((module) => ({
          name: module.name,
          comment: module.comment,
          readOnly: module.access === "read_only",
          writeOnly: module.access === "write_only",
          available: moduleTrouble(module) === undefined,
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
      hasRoot: root !== undefined && isOpen(root),
      product: PRODUCT,
    };
  }

  async one<T>(what: Asked, context: HandlerContext, run: (running: Running) => Promise<T>): Promise<T> {
    // To its end: who leaves after the answer has not been told how the call ended.
    const answers: T[] = [];
    for await (const answer of this.run(what, context, context.signal, async function* (running) {
      yield await run(running);
    }))
      answers.push(answer);
    const [answer] = answers;
    if (answer === undefined) throw new ConnectError("no answer", Code.Internal);
    return answer;
  }

  stream<T extends object>(
    what: Asked,
    context: HandlerContext,
    run: (running: Running) => AsyncGenerator<T>,
  ): AsyncIterable<T> {
    const { idleTimeoutMs } = this.host.hooks.config();
    return attended((signal) => this.run(what, context, signal, run), {
      alive: () => ({}) as T,
      aliveMs: Math.min(LIMITS.heartbeatMs, idleTimeoutMs / 4),
      idleMs: idleTimeoutMs,
      signal: context.signal,
      abandoned: () => new ConnectError("the caller took nothing for too long", Code.DeadlineExceeded),
    });
  }

  private async *run<T>(
    what: Asked,
    context: HandlerContext,
    caller: AbortSignal,
    run: (running: Running) => AsyncGenerator<T>,
  ): AsyncGenerator<T> {
    const { log } = this.host.hooks;
    const peer = this.host.peerOf(context);
    const { call, module, path } = what;
    const startedMs = performance.now();
    const finished = Promise.withResolvers<void>();
    this.host.wait(finished.promise);
    const signal = AbortSignal.any([caller, this.host.signal]);
    let calls: LocalCalls | undefined;
    let reason = "left";
    try {
      const opened = await this.open(what, peer, signal);
      calls = opened.calls;
      yield* run(opened);
      if (this.host.signal.aborted)
        throw new RunError(ExitCode.stream, "daemon_stopped", "the daemon was stopped during the call");
      reason = signal.aborted ? "left" : "ok";
    } catch (error) {
      const known = asRunError(error);
      reason = known.reason;
      if (calls === undefined) this.host.refused({ peer, reason, module, detail: known.message });
      if (reason === "internal_error") console.error("fastsync daemon: internal error:", error);
      throw asConnectError(known);
    } finally {
      if (calls !== undefined) {
        this.running--;
        await calls.close();
        log.call({ peer, call, module, path, exitReason: reason, durationMs: performance.now() - startedMs });
      }
      finished.resolve();
    }
  }

  /** Throws RunError. What it gives counts as running. */
  private async open({ module: name, path, use }: Asked, peer: string, signal: AbortSignal): Promise<Running> {
    const { hooks } = this.host;
    if (this.host.isDraining())
      throw new RunError(ExitCode.starting, "stopping", "the daemon is stopping; try again later");
    if (this.running >= LIMITS.adminCalls)
      throw new RunError(
        ExitCode.starting,
        "too_many_calls",
        "the daemon answers enough calls already; try again later",
      );
    const module = moduleFor(hooks.config(), name, use, peer, (message) => hooks.log.warning(message));
    const backend = openBackend({ workers: WORKERS });
    this.running++;
    const root = await backend.resolve(WORKING_DIRECTORY, module.path, { create: false, operator: true });
    const calls = new LocalCalls(signal, backend, { kind: "module", root, name });
    if (root >= 0) return { path, calls, module, signal };
    this.running--;
    await calls.close();
    throw new RunError(ExitCode.selecting, "module_unavailable", `${shownModule(name)} is not available at the moment`);
  }
}

function asRunError(error: unknown): RunError {
  if (error instanceof RunError) return error;
  if (error instanceof ProtocolViolation)
    return new RunError(ExitCode.protocol, "protocol", `the protocol was broken: ${error.message}`);
  return new RunError(ExitCode.stream, "internal_error", "the daemon failed; its log says more");
}

const CODES: Readonly<Record<string, Code>> = {
  no_such_module: Code.NotFound,
  place_unusable: Code.NotFound,
  read_only_module: Code.PermissionDenied,
  write_only_module: Code.PermissionDenied,
  not_removed: Code.FailedPrecondition,
  module_unavailable: Code.Unavailable,
  stopping: Code.Unavailable,
  daemon_stopped: Code.Unavailable,
  too_many_calls: Code.ResourceExhausted,
  pattern: Code.InvalidArgument,
  protocol: Code.InvalidArgument,
};

function asConnectError({ message, reason, exitCode }: RunError): ConnectError {
  return new ConnectError(message, CODES[reason] ?? Code.Internal, {
    "fastsync-reason": reason,
    "fastsync-exit-code": String(exitCode),
  });
}
