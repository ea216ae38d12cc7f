/** The target's side of a run: its rules, its settings, its role; the same whether the source is here or elsewhere. */
import { availableParallelism } from "node:os";
import type { CompareRules } from "../compare/rules.ts";
import type { Counters, RunHooks } from "../core/events.ts";
import type { RunOptions } from "../core/options.ts";
import { sweepLeftovers } from "../engine/leftovers.ts";
import { type WorkerFacts, workersFor } from "../engine/worker-policy.ts";
import type { CompiledFilter } from "../filter/filter.ts";
import type { Backend, DirHandle, WriteSettings } from "../fs/backend.ts";
import { coarse, isRemoteFilesystem, tellsTimeSteps, timeKeeping } from "../fs/filesystems.ts";
import { Capability, hasCapability } from "../fs/privileges.ts";
import type { LinkEnd } from "../link/loopback.ts";
import { isRotational } from "./device.ts";
import { type DirectoryFacts, lookAt, type SourceFacts } from "./facts.ts";
import type { SourceMessage, TargetMessage } from "./messages.ts";
import { directoriesThatFit, flushDirectories } from "./open-directories.ts";
import type { OpenTarget } from "./open-places.ts";
import type { TargetDecision } from "./place-rules.ts";
import { TargetRunner } from "./target-runner.ts";
import { type TargetState, targetState } from "./target-state.ts";

export interface TargetSideRequest {
  readonly backend: Backend;
  readonly options: RunOptions;
  readonly hooks: RunHooks;
  readonly counters: Counters;
  readonly filter: CompiledFilter;
  readonly target: OpenTarget;
  readonly rename: TargetDecision["rename"];
  /** Of the opened target; undefined in a dry run of a target that does not exist. */
  readonly targetFacts: DirectoryFacts | undefined;
  readonly source: Pick<SourceFacts, "timeGranularityNs" | "arguments">;
  /** What the source's device means for the number of workers, when it is on this machine. */
  readonly sourceDevice: Pick<WorkerFacts, "rotational" | "remote">;
  readonly doers: NonNullable<TargetState["doers"]>;
  readonly payload: TargetState["payload"];
  readonly sharesInodes: boolean;
  /** As both sides were told, the fewer; undefined: within one process. */
  readonly openDirectories?: number;
  /** See `TargetState`; default true. */
  readonly waitsForClosed?: boolean;
  /** Both sides read and write trusted.* and security.* attributes; undefined: as this process may. */
  readonly privileged: boolean | undefined;
  /** Opened directories of --backup-dir and --temp-dir; NO_HANDLE: none. */
  readonly backupRoot: DirHandle;
  readonly temp: DirHandle;
  /** A move within one file system that may rename. */
  readonly renames: boolean;
  readonly signal: AbortSignal;
  /** See `TargetContext`. */
  readonly onContentLost?: () => void;
  readonly onUnwanted?: () => void;
  readonly link: LinkEnd<TargetMessage, SourceMessage>;
}

export interface TargetSide {
  readonly state: TargetState;
  readonly runner: TargetRunner;
  /** Removes what died in the temporary directory, and backup directories without backups; after an orderly end. */
  tidy(): Promise<void>;
}

/** Entries that a run takes from its source; undefined: the contents of a directory, whatever they are. */
function askedOf(sources: SourceFacts["arguments"]): TargetState["asked"] {
  const asked = new Map<string, boolean>();
  for (const { entry, isDirectory } of sources) {
    if (entry === undefined) return undefined;
    const name = Buffer.from(entry).toString("latin1");
    asked.set(name, isDirectory || asked.get(name) === true);
  }
  return asked;
}

export async function prepareTarget(request: TargetSideRequest): Promise<TargetSide> {
  const { backend, options, hooks, counters, filter, target, targetFacts, temp, backupRoot, signal } = request;
  const write = writeSettings(options, request.privileged);
  // What need not come over the network need not be written either, where a clone of the old file costs nothing.
  const settings = backend.prepare({ ...write, delta: write.delta || request.payload === "streams" });
  const restamp = backend.prepare({
    ...settings.settings,
    owner: false,
    group: false,
    xattrs: false,
    acls: false,
    perms: true,
    times: true,
  });
  const filesystemType = targetFacts?.filesystemType ?? 0;
  const times = timeKeeping(filesystemType, targetFacts?.smallInodes ?? false);
  const workerFacts: Omit<WorkerFacts, "averageFileBytes"> = {
    cores: availableParallelism(),
    rotational: request.sourceDevice.rotational || (targetFacts !== undefined && isRotational(targetFacts.dev)),
    remote: request.sourceDevice.remote || isRemoteFilesystem(filesystemType),
  };
  const automatic = options.write.workers === 0;
  if (automatic) backend.setWorkers(workersFor({ ...workerFacts, averageFileBytes: undefined }));
  const rules: CompareRules = {
    options: options.compare,
    preserve: options.preserve,
    windowNs: Math.max(
      options.compare.modifyWindowNs,
      backend.capabilities.timeGranularityNs > 1 ? backend.capabilities.timeGranularityNs : 0,
      request.source.timeGranularityNs,
      coarse(times.stepNs),
    ),
    times,
    mayChown: hasCapability(Capability.chown),
    // Its own group may stand apart from the others that it is in.
    groups: new Set([process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])]),
    deletes: options.delete.enabled,
  };
  const state = targetState({
    options,
    rules,
    loops: backend.loops,
    rootFilter: filter.root(),
    wantsItems: hooks.wantsItems,
    wantsReasons: hooks.wantsReasons ?? false,
    counters,
    doers: request.doers,
    payload: request.payload,
    asked: request.payload === "streams" ? askedOf(request.source.arguments) : undefined,
    sharesInodes: request.sharesInodes,
    waitsForClosed: request.waitsForClosed ?? true,
    flushDirectories: flushDirectories(request.openDirectories ?? directoriesThatFit(2)),
  });
  await keep(state, backend, [backupRoot, temp]);
  const runner = new TargetRunner(
    {
      backend,
      options,
      hooks,
      root: target.handle,
      rootCreated: target.created,
      rename: request.rename,
      settings,
      restamp,
      temp,
      backupRoot,
      measuresTimes: !tellsTimeSteps(filesystemType),
      renames: request.renames,
      workerFacts: automatic ? workerFacts : undefined,
      signal,
      onContentLost: request.onContentLost,
      onUnwanted: request.onUnwanted,
    },
    state,
    request.link,
  );
  return {
    state,
    runner,
    tidy: async () => {
      if (signal.aborted || state.fatal !== undefined) return;
      if (temp >= 0) await sweepLeftovers(backend, temp);
      await runner.tidyBackups();
    },
  };
}

/** The run's own auxiliary directories are no extraneous entries of the target. */
async function keep(state: TargetState, backend: Backend, handles: readonly DirHandle[]): Promise<void> {
  for (const handle of handles) {
    if (handle < 0) continue;
    const { dev, inoLow, inoHigh } = await lookAt(backend, handle);
    state.keptInodes.add(`${dev}:${inoHigh}:${inoLow}`);
  }
}

export function writeSettings(options: RunOptions, privileged: boolean | undefined): WriteSettings {
  const { preserve, write } = options;
  return {
    perms: preserve.perms,
    times: preserve.times,
    dirTimes: preserve.dirTimes,
    linkTimes: preserve.times,
    owner: preserve.owner,
    group: preserve.group,
    xattrs: preserve.xattrs,
    acls: preserve.acls,
    sparse: preserve.sparse,
    inplace: write.inplace,
    fsync: write.fsync === "file",
    verify: write.verify,
    noAtime: true,
    follow: options.copyLinks,
    delta: write.resume,
    methods: write.methods,
    chownUid: preserve.chownUid,
    chownGid: preserve.chownGid,
    rowOwners: preserve.userMap.length + preserve.groupMap.length > 0,
    umask: process.umask(),
    backupSuffix: write.backup?.suffix ?? new Uint8Array(0),
    ...(privileged === undefined ? {} : { privileged }),
  };
}
