/**
 * The same calls behind a daemon, each on a connection of its own. Answers are read as they are taken; leaving them closes the call, which stops the daemon's work.
 */
import { create, type DescMethod, type MessageShape } from "@bufbuild/protobuf";
import type {
  Completions,
  EntriesPart,
  FilesystemStats,
  ModuleInfo,
  RemovePart,
  TreeCalls,
  UsagePart,
} from "../core/admin-calls.ts";
import { ExitCode, failureExitCode } from "../core/exit-codes.ts";
import { RunError } from "../core/run-error.ts";
import { callDaemon } from "../link/daemon-call.ts";
import { type DaemonAddress, printableAddress, saidAt } from "../link/dial.ts";
import { CallFailed } from "../link/grpc-call.ts";
import {
  decodeEntriesPart,
  decodeFilesystem,
  decodeModules,
  decodeRemoved,
  decodeUsage,
  encodeFind,
} from "../wire/admin.ts";
import {
  AdminService,
  CompletePathRequestSchema,
  DiskUsageRequestSchema,
  FilesystemStatsRequestSchema,
  ListModulesRequestSchema,
  ListRequestSchema,
  RemoveRequestSchema,
} from "../wire/gen/fastsync/v1/admin_pb.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { told, toldWord } from "../wire/told.ts";

type Methods = typeof AdminService.method;
/** gRPC over HTTP/2: the method is not there. */
const UNIMPLEMENTED = 12;

/** The modules of a daemon. Throws RunError. */
export async function listModules(address: DaemonAddress, signal: AbortSignal): Promise<ModuleInfo[]> {
  const answer = await one(address, signal, "listModules", create(ListModulesRequestSchema));
  return decodeModules(answer);
}

/** One module, or the root, of a daemon. */
export class RemoteCalls implements TreeCalls {
  private readonly address: DaemonAddress;
  /** Empty: the root. */
  private readonly module: string;
  private readonly signal: AbortSignal;

  constructor(address: DaemonAddress, module: string | undefined, signal: AbortSignal) {
    this.address = address;
    this.module = module ?? "";
    this.signal = signal;
  }

  private at(path: Uint8Array): { module: string; path: Uint8Array } {
    return { module: this.module, path };
  }

  async *list(...[path, request]: Parameters<TreeCalls["list"]>): AsyncGenerator<EntriesPart> {
    const asked = create(ListRequestSchema, { place: this.at(path), ...request });
    for await (const part of call(this.address, this.signal, "list", asked)) yield decodeEntriesPart(part);
  }
  async *find(...[path, request]: Parameters<TreeCalls["find"]>): AsyncGenerator<EntriesPart> {
    const asked = encodeFind(this.at(path), request);
    for await (const part of call(this.address, this.signal, "find", asked)) yield decodeEntriesPart(part);
  }
  async *usage(...[path, { maxDepth, oneFileSystem }]: Parameters<TreeCalls["usage"]>): AsyncGenerator<UsagePart> {
    const asked = create(DiskUsageRequestSchema, {
      ...{ place: this.at(path), oneFileSystem },
      ...(maxDepth === undefined ? {} : { maxDepth }),
    });
    for await (const part of call(this.address, this.signal, "diskUsage", asked)) yield decodeUsage(part);
  }
  async filesystem(path: Uint8Array): Promise<FilesystemStats> {
    const asked = create(FilesystemStatsRequestSchema, { place: this.at(path) });
    return decodeFilesystem(await one(this.address, this.signal, "filesystemStats", asked));
  }
  async complete(...[path, request]: Parameters<TreeCalls["complete"]>): Promise<Completions> {
    const asked = create(CompletePathRequestSchema, { place: this.at(path), ...request });
    const { names, more } = await one(this.address, this.signal, "completePath", asked);
    return { names, more };
  }
  async *remove(...[paths, request]: Parameters<TreeCalls["remove"]>): AsyncGenerator<RemovePart> {
    const asked = create(RemoveRequestSchema, { module: this.module, paths: [...paths], ...request });
    for await (const part of call(this.address, this.signal, "remove", asked)) yield decodeRemoved(part);
  }
}

async function one<Name extends keyof Methods>(
  address: DaemonAddress,
  signal: AbortSignal,
  name: Name,
  request: MessageShape<Methods[Name]["input"]>,
): Promise<MessageShape<Methods[Name]["output"]>> {
  for await (const answer of call(address, signal, name, request)) return answer;
  throw new RunError(ExitCode.protocol, "protocol", `${printableAddress(address)} gave no answer`);
}

async function* call<Name extends keyof Methods>(
  address: DaemonAddress,
  signal: AbortSignal,
  name: Name,
  request: MessageShape<Methods[Name]["input"]>,
): AsyncGenerator<MessageShape<Methods[Name]["output"]>> {
  const method: DescMethod = AdminService.method[name];
  try {
    for await (const answer of callDaemon(address, method, request, signal))
      yield answer as MessageShape<Methods[Name]["output"]>;
  } catch (error) {
    if (signal.aborted) throw new RunError(ExitCode.interrupted, "interrupted", "interrupted");
    throw asRunError(error, address);
  }
}

function asRunError(error: unknown, address: DaemonAddress): RunError {
  if (error instanceof RunError) return error;
  const where = printableAddress(address);
  if (error instanceof ProtocolViolation)
    return new RunError(ExitCode.protocol, "protocol", `${where} broke the protocol: ${told(error.message)}`);
  if (error instanceof CallFailed) {
    const message = saidAt(address, told(error.message), error.reason);
    if (error.reason !== undefined)
      return new RunError(failureExitCode(error.exitCode), toldWord(error.reason, "refused"), message);
    if (error.status === UNIMPLEMENTED)
      return new RunError(ExitCode.protocol, "version", `the daemon at ${where} is too old for this`);
    return new RunError(ExitCode.stream, "refused", message);
  }
  const why = error instanceof Error ? error.message : String(error);
  return new RunError(ExitCode.stream, "connection_lost", `the call to ${where} broke off: ${told(why)}`);
}
