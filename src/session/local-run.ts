/** One attempt of a run whose two roles are both here, joined by a loopback link. */
import type { Counters, RunHooks } from "../core/events.ts";
import type { RunOptions } from "../core/options.ts";
import type { CompiledFilter } from "../filter/filter.ts";
import { Accounts } from "../fs/accounts.ts";
import type { Backend } from "../fs/backend.ts";
import { doer } from "../fs/denied.ts";
import { isRemoteFilesystem } from "../fs/filesystems.ts";
import { Capability, hasCapability } from "../fs/privileges.ts";
import { loopback } from "../link/loopback.ts";
import { isRotational } from "./device.ts";
import { coarseStepNs, lookAt, lookAtSource } from "./facts.ts";
import { mayRename } from "./may-rename.ts";
import type { SourceMessage, TargetMessage } from "./messages.ts";
import { directoriesThatFit } from "./open-directories.ts";
import { OpenPlaces } from "./open-places.ts";
import { ownersByRule } from "./owner-rules.ts";
import type { Places } from "./places.ts";
import { SourceRunner } from "./source-runner.ts";
import { prepareTarget, writeSettings } from "./target-side.ts";
import type { TargetState } from "./target-state.ts";

export interface LocalRunRequest {
  readonly options: RunOptions;
  readonly hooks: RunHooks;
  readonly signal: AbortSignal;
  readonly places: Places;
  readonly filter: CompiledFilter;
  readonly counters: Counters;
  readonly backend: Backend;
}

export async function runLocally(request: LocalRunRequest): Promise<TargetState> {
  const { options, hooks, signal, places, filter, counters, backend } = request;
  const opened = new OpenPlaces(backend);
  const writes = !options.dryRun && options.verb !== "check";
  try {
    const roots = await opened.sources(places.sources);
    const target = await opened.target(places, writes);
    const source = await lookAtSource(backend, roots[0]!);
    const sink = target.handle < 0 ? undefined : await lookAt(backend, target.handle);
    backend.setRate(options.write.rateBytesPerSecond);
    const owners = ownersByRule(options.preserve.userMap, options.preserve.groupMap, () =>
      options.preserve.numericIds ? undefined : new Accounts(),
    );
    const link = loopback<SourceMessage, TargetMessage>();
    const side = await prepareTarget({
      backend,
      options,
      hooks,
      counters,
      filter,
      target,
      rename: places.rename,
      targetFacts: sink ?? source,
      source: { arguments: [], timeGranularityNs: coarseStepNs(source) },
      sourceDevice: {
        rotational: isRotational(source.dev),
        remote: isRemoteFilesystem(source.filesystemType),
      },
      doers: { source: doer(), target: doer() },
      payload: "handles",
      sharesInodes: true,
      privileged: undefined,
      backupRoot: await opened.auxiliary(options.write.backup?.directory, places.target, writes),
      temp: await opened.auxiliary(options.write.tempDir, places.target, writes),
      renames: mayRename(options, source, sink),
      signal,
      link: link.second,
    });
    const sender = new SourceRunner(
      {
        backend,
        options,
        roots,
        filter,
        settings: backend.prepare(writeSettings(options, undefined)),
        mayMakeDevices: hasCapability(Capability.mknod),
        targetIdentity: sink,
        payload: "handles",
        confine: undefined,
        rootDev: source.dev,
        // In the source, in each further one that has it too, in the target, in --backup-dir.
        openMost: directoriesThatFit(roots.length + (options.write.backup?.directory === undefined ? 1 : 2)),
        flushMost: side.state.flushDirectories,
        owners,
      },
      link.first,
    );
    const stop = (): void => {
      sender.stop();
      side.runner.stop();
      backend.cancel();
    };
    signal.addEventListener("abort", stop, { once: true });
    sender.start();
    side.runner.start();
    if (signal.aborted) stop();
    try {
      await Promise.all([sender.done, side.runner.done]);
      await side.tidy();
    } finally {
      signal.removeEventListener("abort", stop);
      await sender.dispose();
      await side.runner.dispose();
    }
    return side.state;
  } finally {
    opened.close();
  }
}
