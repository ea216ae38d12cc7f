/**
 * One run on this machine: both roles here, joined by a loopback link.
 *
 *     resolve the arguments, refuse overlaps          (nothing touched yet)
 *     open source and target by held descriptors
 *     let the roles talk until the target has finished
 *     some failures may pass: again, after a pause, as often as --retry says
 *     summary and exit code
 */
import { closeSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { CompareRules } from "../compare/rules.ts";
import { E, errnoText } from "../core/errno.ts";
import { type Counters, newCounters, type RunHooks, type RunSummary } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import type { RunOptions } from "../core/options.ts";
import { printable } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";
import { sweepLeftovers } from "../engine/leftovers.ts";
import { type WorkerFacts, workersFor } from "../engine/worker-policy.ts";
import { compileFilter } from "../filter/compile.ts";
import type { CompiledFilter } from "../filter/filter.ts";
import { type Backend, type DirHandle, NO_HANDLE, WORKING_DIRECTORY, type WriteSettings } from "../fs/backend.ts";
import { isRemoteFilesystem, timeGranularityNs } from "../fs/filesystems.ts";
import { openBackend } from "../fs/open-backend.ts";
import { Capability, hasCapability } from "../fs/privileges.ts";
import { loopback } from "../link/loopback.ts";
import type { Run, RunRequest } from "./api.ts";
import { isRotational } from "./device.ts";
import type { SourceMessage, TargetMessage } from "./messages.ts";
import { guardOverlap, openMaking, type Places, placementOf, resolvePlaces } from "./places.ts";
import { type SourceContext, type SourceRoot, SourceRunner } from "./source-runner.ts";
import { summarize } from "./summary.ts";
import { TargetRunner } from "./target-runner.ts";
import { addTo, type TargetState, targetState } from "./target-state.ts";

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
      const state = await runOnce(
        request,
        attempt === 0 ? places : { ...places, targetExists: true },
        filter,
        counters,
        backend,
      );
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

async function runOnce(
  request: RunRequest,
  places: Places,
  filter: CompiledFilter,
  counters: Counters,
  backend: Backend,
): Promise<TargetState> {
  const { options, hooks, signal } = request;
  const opened = new OpenPlaces(backend);
  const writes = !options.dryRun && options.verb !== "check";
  try {
    const roots = await opened.sources(places);
    const target = await opened.target(places, writes);
    const facts = await rootFacts(backend, roots, target);
    const settings = backend.prepare(writeSettings(options));
    const restamp = backend.prepare({
      ...writeSettings(options),
      owner: false,
      group: false,
      xattrs: false,
      acls: false,
      perms: true,
      times: true,
    });
    backend.setRate(options.write.rateBytesPerSecond);
    const workerFacts: Omit<WorkerFacts, "averageFileBytes"> = {
      cores: availableParallelism(),
      rotational: isRotational(facts.sourceDev) || isRotational(facts.targetDev),
      remote: isRemoteFilesystem(facts.sourceType) || isRemoteFilesystem(facts.targetType),
    };
    const automatic = options.write.workers === 0;
    if (automatic) backend.setWorkers(workersFor({ ...workerFacts, averageFileBytes: undefined }));
    const mayChown = hasCapability(Capability.chown);
    const rules: CompareRules = {
      options: options.compare,
      preserve: options.preserve,
      windowNs: Math.max(
        options.compare.modifyWindowNs,
        backend.capabilities.timeGranularityNs > 1 ? backend.capabilities.timeGranularityNs : 0,
        coarse(facts.sourceType),
        coarse(facts.targetType),
      ),
      mayChown,
      groups: new Set(process.getgroups?.() ?? []),
      deletes: options.delete.enabled,
    };
    const sourceContext: SourceContext = {
      backend,
      options,
      roots,
      filter,
      settings,
      mayMakeDevices: hasCapability(Capability.mknod),
      targetIdentity: facts.targetIdentity,
      rootDev: facts.sourceDev,
    };
    const state = targetState({
      options,
      rules,
      rootFilter: filter.root(),
      wantsItems: hooks.wantsItems,
      wantsReasons: hooks.wantsReasons ?? false,
      counters,
    });
    const backupRoot = await opened.auxiliary(options.write.backup?.directory, places.target, writes);
    const temp = await opened.auxiliary(options.write.tempDir, places.target, writes);
    await protect(state, backend, [backupRoot, temp]);
    const link = loopback<SourceMessage, TargetMessage>();
    const source = new SourceRunner(sourceContext, link.first);
    const sink = new TargetRunner(
      {
        backend,
        options,
        hooks,
        root: target.handle,
        rootCreated: target.created,
        rename: places.rename,
        settings,
        restamp,
        temp,
        backupRoot,
        renames: mayRename(options, facts),
        workerFacts: automatic ? workerFacts : undefined,
        signal,
      },
      state,
      link.second,
    );
    const stop = (): void => {
      source.stop();
      sink.stop();
      backend.cancel();
    };
    signal.addEventListener("abort", stop, { once: true });
    source.start();
    sink.start();
    if (signal.aborted) stop();
    try {
      await Promise.all([source.done, sink.done]);
      if (temp >= 0 && !signal.aborted && state.fatal === undefined) await sweepLeftovers(backend, temp);
    } finally {
      signal.removeEventListener("abort", stop);
      source.dispose();
      sink.dispose();
    }
    return state;
  } finally {
    opened.close();
  }
}

/** Renaming keeps every attribute and moves no byte: right when nothing was asked to change on the way. */
function mayRename(options: RunOptions, facts: RootFacts): boolean {
  const { preserve, write } = options;
  const keepsAll =
    preserve.perms &&
    preserve.times &&
    preserve.owner &&
    preserve.group &&
    preserve.xattrs &&
    preserve.acls &&
    preserve.sparse;
  const plain =
    preserve.chownUid === undefined && preserve.chownGid === undefined && !options.copyLinks && write.verify === "none";
  return (
    options.verb === "move" && facts.sourceDev === facts.targetDev && keepsAll && plain && write.methods === undefined
  );
}

function coarse(filesystemType: number): number {
  const step = timeGranularityNs(filesystemType);
  return step > 1 ? step : 0;
}

function writeSettings(options: RunOptions): WriteSettings {
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
    umask: process.umask(),
    backupSuffix: write.backup?.suffix ?? new Uint8Array(0),
  };
}

interface OpenTarget {
  readonly handle: DirHandle;
  readonly created: boolean;
}

/** Opens the places of a run and closes them at its end. */
class OpenPlaces {
  private readonly backend: Backend;
  private readonly handles: DirHandle[] = [];

  constructor(backend: Backend) {
    this.backend = backend;
  }

  async sources(places: Places): Promise<SourceRoot[]> {
    const roots: SourceRoot[] = [];
    for (const place of places.sources) {
      const handle = await this.backend.resolve(WORKING_DIRECTORY, place.directory, { create: false, operator: true });
      if (handle < 0) {
        throw new RunError(
          ExitCode.selecting,
          "source_unreadable",
          `source ${printable(place.directory)} cannot be opened: ${errnoText(handle)}`,
        );
      }
      // An entry's descriptor belongs to the source role from here on, a directory's is opened once more by its walk.
      if (place.entry === undefined) this.handles.push(handle);
      roots.push({ handle, entry: place.entry, follow: false });
    }
    return roots;
  }

  async target(places: Places, writes: boolean): Promise<OpenTarget> {
    if (!places.targetExists && !writes) return { handle: NO_HANDLE, created: true };
    const handle = places.targetExists
      ? await this.backend.resolve(WORKING_DIRECTORY, places.target, { create: false, operator: true })
      : await openMaking(this.backend, places.target);
    if (handle < 0) {
      throw new RunError(
        places.targetExists || handle === -E.LOOP ? ExitCode.selecting : ExitCode.fileIo,
        "target_unusable",
        `target ${printable(places.target)} cannot be ${places.targetExists ? "opened" : "made"}: ${errnoText(handle)}`,
      );
    }
    this.handles.push(handle);
    return { handle, created: !places.targetExists };
  }

  /** --backup-dir and --temp-dir; relative ones lie below the target. */
  async auxiliary(path: Uint8Array | undefined, target: Uint8Array, writes: boolean): Promise<DirHandle> {
    if (path === undefined || !writes) return NO_HANDLE;
    const whole = path[0] === 0x2f ? path : Uint8Array.from([...target, 0x2f, ...path]);
    const handle = await openMaking(this.backend, whole);
    if (handle < 0) {
      throw new RunError(
        ExitCode.selecting,
        "target_unusable",
        `directory ${printable(whole)} cannot be used: ${errnoText(handle)}`,
      );
    }
    this.handles.push(handle);
    return handle;
  }

  close(): void {
    for (const handle of this.handles) {
      try {
        closeSync(handle);
      } catch {
        // closed by the role that used it
      }
    }
  }
}

interface RootFacts {
  readonly sourceDev: number;
  readonly targetDev: number;
  readonly sourceType: number;
  readonly targetType: number;
  readonly targetIdentity: SourceContext["targetIdentity"];
}

const LOOK = {
  xattrs: false,
  acls: false,
  follow: false,
  openFollow: false,
  create: false,
  writable: false,
  selfOnly: true,
};

async function rootFacts(backend: Backend, roots: readonly SourceRoot[], target: OpenTarget): Promise<RootFacts> {
  const look = async (handle: DirHandle) => {
    const listing = await backend.walk(handle, Uint8Array.of(0x2e), LOOK);
    const { self } = listing;
    const facts = {
      dev: listing.dev(self),
      inoLow: listing.inoLow(self),
      inoHigh: listing.inoHigh(self),
      type: listing.filesystemType,
    };
    if (listing.dirfd >= 0) backend.close([listing.dirfd]);
    backend.releaseBatch(listing);
    return facts;
  };
  const first = roots[0]!;
  const holder = await look(first.handle);
  let source = holder;
  if (first.entry !== undefined) {
    // An entry may itself be a mount point: the filesystem of the run is the entry's.
    const found = await backend.stat(first.handle, [first.entry], { xattrs: false, acls: false, follow: false });
    if (found.rowStatus(0) === 0) source = { ...holder, dev: found.dev(0) };
    backend.releaseBatch(found);
  }
  const sink = target.handle < 0 ? undefined : await look(target.handle);
  return {
    sourceDev: source.dev,
    targetDev: sink?.dev ?? source.dev,
    sourceType: source.type,
    targetType: sink?.type ?? source.type,
    targetIdentity: sink,
  };
}

/** The run's own auxiliary directories are no extraneous entries of the target. */
async function protect(state: TargetState, backend: Backend, handles: readonly DirHandle[]): Promise<void> {
  for (const handle of handles) {
    if (handle < 0) continue;
    const listing = await backend.walk(handle, Uint8Array.of(0x2e), LOOK);
    const { self } = listing;
    state.keptInodes.add(`${listing.dev(self)}:${listing.inoHigh(self)}:${listing.inoLow(self)}`);
    if (listing.dirfd >= 0) backend.close([listing.dirfd]);
    backend.releaseBatch(listing);
  }
}
