/**
 * The session, and whatever its backend answers: each kind of call fails with each errno, as a whole and for a part of
 * its rows. The backends that are wrapped are the real ones, the trees too.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { newCounters, type RunSummary } from "../../src/core/events.ts";
import type { RunOptions } from "../../src/core/options.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { compileFilter } from "../../src/filter/compile.ts";
import type { Backend } from "../../src/fs/backend.ts";
import { openBackend } from "../../src/fs/open-backend.ts";
import { PortableBackend } from "../../src/fs/portable/portable-backend.ts";
import { runLocally } from "../../src/session/local-run.ts";
import { resolvePlaces } from "../../src/session/places.ts";
import { summarize } from "../../src/session/summary.ts";
import { because } from "../behaviours/behaviour.ts";
import { optionsFor } from "../session/model.ts";
import { type BackendFault, FAULTY_CALLS, type FaultyCall, faultyBackend } from "../support/faulty-backend.ts";
import { libcMissing } from "../support/libc.ts";
import { ALL } from "./support/runs.ts";
import { DOCUMENTED, type Mode, makeScene, modeNamed } from "./support/scene.ts";

setDefaultTimeout(600_000);

const ERRNOS = { EIO: 5, ENOSPC: 28, EDQUOT: 122, EMFILE: 24, ENFILE: 23, ENOMEM: 12, EACCES: 13, EROFS: 30 };

interface Ended {
  readonly summary: RunSummary;
  readonly calls: ReadonlyMap<FaultyCall, number>;
  readonly hit: boolean;
  /** Some directory of the source could not be listed, or not to its end. */
  readonly isUnread: boolean;
}

async function runWith(
  real: Backend,
  mode: Mode,
  places: readonly [string, string],
  fault?: BackendFault,
): Promise<Ended> {
  const { backend, calls, hit } = faultyBackend(real, fault);
  const base = optionsFor(mode.verb, false, undefined);
  const options: RunOptions = {
    ...base,
    preserve: { ...base.preserve, xattrs: mode.name !== "move that copies", acls: true },
    delete: { ...base.delete, enabled: mode.verb === "mirror", allowEmptySource: false },
    write: { ...base.write, fsync: mode.verb === "move" ? "end" : "none", workers: 2 },
  };
  const counters = newCounters();
  const state = await runLocally({
    options,
    hooks: {
      onEvent: () => undefined,
      onStart: () => undefined,
      wantsItems: false,
      confirmDeletions: async () => "accepted",
    },
    signal: new AbortController().signal,
    places: resolvePlaces([{ path: bytesOf(`${places[0]}/`) }], { path: bytesOf(`${places[1]}/`) }),
    filter: compileFilter(options.filter, { deleteExcluded: false }),
    counters,
    backend,
  });
  return {
    summary: summarize(state, { backend, durationMs: 0, aborted: false }),
    calls,
    hit: hit(),
    // A second pass comes after deletions that a complete one allowed.
    isUnread: state.sourceIncomplete && state.pass === 1,
  };
}

const backends: { readonly name: string; readonly open: () => Backend }[] = [
  { name: "native library", open: () => openBackend({ workers: 2 }) },
  { name: "portable twin", open: () => new PortableBackend("a test") },
];
const opened: Backend[] = [];
afterAll(async () => {
  for (const backend of opened) await backend.shutdown();
});

const modes = ["plain", "move", "move that copies"].map(modeNamed);

describe.skipIf(libcMissing !== undefined)(because("whatever the backend answers", libcMissing), () => {
  test.each(backends)("B43 B53 each kind of call fails with each errno: $name", async ({ open }) => {
    const real = open();
    opened.push(real);
    const failures: string[] = [];
    const never = new Set<FaultyCall>(FAULTY_CALLS);
    let cases = 0;
    for (const mode of modes) {
      using undisturbed = makeScene(mode);
      const { calls, summary } = await runWith(real, mode, [undisturbed.source, undisturbed.target]);
      expect(summary.exitCode).toBe(0);
      undisturbed.assertDone();
      for (const [call, count] of calls) {
        never.delete(call);
        for (const nth of new Set([1, Math.ceil(count / 2), count])) {
          for (const [index, [name, errno]] of Object.entries(ERRNOS).entries()) {
            // One errno for each of these calls, another for the next; what is left out is in FASTSYNC_FAULTS=all.
            if (!ALL && (index + nth + call.length) % Object.keys(ERRNOS).length !== 0) continue;
            const both = [errno, { partial: errno }];
            for (const fault of ALL ? both : [both[cases % 2]!]) {
              cases++;
              const what = `${mode.name}, ${call} ${nth} of ${count}, ${typeof fault === "number" ? "" : "partly "}${name}`;
              try {
                await failOnce(real, mode, { call, nth, fault });
              } catch (error) {
                failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
              }
            }
          }
        }
      }
    }
    console.log(`${real.kind}: ${cases} cases`);
    expect(failures).toEqual([]);
    expect([...never].sort()).toEqual(["hash", "largeAbort"]);
  });
});

describe.skipIf(libcMissing !== undefined)(because("a directory that cannot be looked at", libcMissing), () => {
  test.each(backends)("B43 B53 on either side: it is named, and done by the next run: $name", async ({ open }) => {
    const real = open();
    opened.push(real);
    const failures: string[] = [];
    for (const mode of modes.slice(0, 2)) {
      using undisturbed = makeScene(mode);
      const { calls } = await runWith(real, mode, [undisturbed.source, undisturbed.target]);
      for (let nth = 1; nth <= calls.get("walk")!; nth++) {
        try {
          await failOnce(real, mode, { call: "walk", nth, fault: { self: ERRNOS.EIO } });
        } catch (error) {
          failures.push(`${mode.name}, walk ${nth}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
    }
    expect(failures).toEqual([]);
  });
});

async function failOnce(real: Backend, mode: Mode, fault: BackendFault): Promise<void> {
  using scene = makeScene(mode);
  const places = [scene.source, scene.target] as const;
  let ended: Ended;
  try {
    ended = await runWith(real, mode, places, fault);
  } catch (error) {
    // A root that cannot be opened: nothing was begun.
    if (error instanceof Error && error.name === "RunError") {
      scene.assertOldOrNew({ nothingDeleted: true });
      await again(real, mode, places);
      scene.assertDone(true);
      return;
    }
    throw error;
  }
  const { summary, hit, isUnread } = ended;
  if (!DOCUMENTED.has(summary.exitCode)) throw new Error(`exit ${summary.exitCode}`);
  scene.assertOldOrNew({ nothingDeleted: isUnread });
  // What could not be swept is the next run's.
  if (summary.exitCode === 0) {
    if (fault.call !== "sweep") scene.assertDone();
  } else if (summary.failures.length === 0 && summary.attributeWarnings.length === 0)
    throw new Error(`exit ${summary.exitCode} and nothing is named`);
  const full = summary.failures.some(
    ({ side, code }) => side === "target" && (code === "no_space" || code === "read_only"),
  );
  if (full && summary.exitCode !== 11) throw new Error(`a full target ends with ${summary.exitCode}`);
  if (!hit && fault.nth === 1) throw new Error("the call was never made");
  await again(real, mode, places);
  scene.assertDone(true);
}

async function again(real: Backend, mode: Mode, places: readonly [string, string]): Promise<void> {
  const { summary } = await runWith(real, mode, places);
  if (summary.exitCode !== 0)
    throw new Error(`the next run: exit ${summary.exitCode}, ${JSON.stringify(summary.failures)}`);
}
