/**
 * A run with one side behind a daemon does and tells just what the same run does and tells in one process: random
 * trees, random changes, every verb, flags drawn at random. The seed is in the test's name.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { type Attribute, diffTrees } from "../support/diff.ts";
import { libcMissing } from "../support/libc.ts";
import { daemonFor, PLACEMENT, type Placement, placed, stopDaemons } from "../support/placement.ts";
import { buildRandomTree, mutateRandomTree } from "../support/random-tree.ts";
import { describe as describeResult, fastsyncJson, fastsyncMissing, type JsonResult } from "../support/run.ts";
import { type Snapshot, takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";

const missing = libcMissing ?? fastsyncMissing() ?? (PLACEMENT === undefined ? undefined : "compares by itself");

/** FASTSYNC_SEEDS tries more. */
const SEEDS = Number(process.env["FASTSYNC_SEEDS"] ?? 20);

/** Drawn one or two at a time. A set of flags is one draw. */
const FLAGS: readonly (readonly string[])[] = [
  [],
  [],
  ["--checksum"],
  ["--size-only"],
  ["--ignore-times"],
  ["--modify-window=2"],
  ["--ignore-existing"],
  ["--existing"],
  ["--update"],
  ["--exclude=*a*"],
  ["--exclude=/d*/", "--delete-excluded"],
  ["--include=*/", "--exclude=*e*"],
  ["--filter=- *.txt"],
  ["--gitignore"],
  ["--min-size=101"],
  ["--max-size=65536"],
  ["--max-age=5y"],
  ["--one-file-system"],
  ["--safe-links"],
  ["--max-delete=2"],
  ["--max-delete=100%"],
  ["--inplace"],
  ["--temp-dir=.staging"],
  ["--backup"],
  ["--backup", "--suffix=.old"],
  ["--backup-dir=.kept"],
  ["--resume"],
  ["--fsync=file"],
  ["--verify"],
  ["--numeric-ids"],
  ["--no-perms"],
  ["--no-times"],
  ["--no-owner", "--no-group", "--no-strict-attrs"],
  ["--no-xattrs"],
  ["--no-acls"],
  ["--no-hard-links"],
  ["--no-specials"],
  ["--no-sparse"],
  ["--no-dir-times"],
  ["--workers=1"],
  ["--dry-run"],
];
/** What `check` and `move` have no use for, and what contradicts each other, is no subject of this test. */
const WRITES_ONLY =
  /^--(ignore-times|ignore-existing|existing|update|inplace|temp-dir|backup|suffix|resume|fsync|verify|max-delete|delete-excluded|dry-run|no-sparse)/;
const VERBS = ["mirror", "mirror", "mirror", "copy", "move", "check"] as const;

describe.skipIf(missing !== undefined)(
  `the same in every placement${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    let port = 0;
    beforeAll(() => {
      port = daemonFor({}).port;
    });
    afterAll(stopDaemons);

    for (let seed = 1; seed <= SEEDS; seed++) {
      const { verb, flags, contents } = drawRun(seed);
      test(`seed ${seed}: ${verb} ${flags.join(" ")}${contents ? " source/" : " source"}`, async () => {
        const local = await outcome(seed, undefined, port);
        for (const placement of ["push", "pull"] as const) {
          const remote = await outcome(seed, placement, port);
          const context = `${placement}\n${describeResult(remote.result)}\nlocal: ${describeResult(local.result)}`;
          expect(remote.told, context).toEqual(local.told);
          const ignore = ignored(flags);
          expect(diffTrees(local.target, remote.target, ignore), context).toEqual([]);
          expect(diffTrees(local.source, remote.source, ignore), context).toEqual([]);
        }
      });
    }
  },
);

interface Outcome {
  readonly result: JsonResult;
  readonly told: object;
  readonly source: Snapshot;
  readonly target: Snapshot;
}

async function outcome(seed: number, placement: Placement | undefined, port: number): Promise<Outcome> {
  using dir = tempDir();
  const { verb, flags, contents } = drawRun(seed);
  const [source, target] = [dir.join("source"), dir.join("target")];
  buildRandomTree(source, seed);
  const there = contents ? target : `${target}/source`;
  if (seed % 5 !== 0) {
    mkdirSync(there, { recursive: true });
    buildRandomTree(there, seed);
    mutateRandomTree(source, seed + 1000);
  }
  const before = takeSnapshot(source);
  const words = [
    verb,
    ...(verb === "mirror" ? ["--yes"] : []),
    "--itemize",
    ...flags,
    contents ? `${source}/` : source,
    target,
  ];
  const result = await fastsyncJson(placement === undefined ? words : placed(words, placement, port, "/"));
  return {
    result,
    told: told(result, before, contents ? "" : "source/"),
    source: existsSync(source) ? takeSnapshot(source) : new Map(),
    target: existsSync(target) ? takeSnapshot(target) : new Map(),
  };
}

function drawRun(seed: number): { verb: (typeof VERBS)[number]; flags: readonly string[]; contents: boolean } {
  let state = (seed * 2_654_435_761) >>> 0;
  const draw = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const verb = VERBS[draw(VERBS.length)]!;
  const one = FLAGS[draw(FLAGS.length)]!;
  const two = FLAGS[draw(FLAGS.length)]!;
  const flags = contradict(one, two) ? one : [...one, ...two];
  const fits = verb !== "check" ? flags : flags.filter((flag) => !WRITES_ONLY.test(flag));
  const own = verb === "mirror" ? fits : fits.filter((flag) => !/^--(max-delete|delete-excluded)/.test(flag));
  return { verb, flags: own, contents: draw(3) > 0 };
}

const GROUPS = [
  /^--(checksum|size-only|ignore-times|modify-window)/,
  /^--(ignore-existing|existing|update|inplace|resume)/,
  /^--(backup|suffix|inplace)/,
  /^--(temp-dir|inplace)/,
  /^--max-delete/,
  /^--(verify|inplace)/,
];

function contradict(one: readonly string[], two: readonly string[]): boolean {
  if (one[0] === two[0]) return true;
  return GROUPS.some((group) => one.some((flag) => group.test(flag)) && two.some((flag) => group.test(flag)));
}

function ignored(flags: readonly string[]): { except: (path: string, attribute: Attribute) => boolean } {
  const timeless = flags.includes("--no-times") || flags.includes("--no-dir-times");
  return {
    // Made by the run itself, so that its time is that of the run.
    except: (path, attribute) =>
      attribute === "mtime" &&
      (timeless || path === "" || /(^|\/)\.(kept|staging)(\/|$)/.test(path) || flags.length > 0),
  };
}

/** What has to be equal. Which name of a file with several is the one that is copied may vary. */
function told({ exitCode, events, summary }: JsonResult, source: Snapshot, prefix: string): object {
  const shared = new Set([...source.values()].filter(({ group }) => group !== "").map(({ path }) => key(path, prefix)));
  const lines = events
    .filter(({ type }) => type === "item" || type === "delete" || type === "error")
    .map(({ schema: _, ...event }) => event as Record<string, unknown>)
    .filter((event) => event["type"] !== "item" || !shared.has(String(event["path_b64"] ?? event["path"])))
    .map((event) => JSON.stringify(event))
    .sort();
  const {
    duration_ms: _duration,
    phases_ms: _phases,
    bytes_transferred: _bytes,
    methods: _methods,
    refused: _refused,
    plan: _plan,
    workers: _workers,
    network: _network,
    created,
    updated,
    repaired,
    linked,
    unchanged,
    files_to_transfer: _toTransfer,
    files_transferred: _transferred,
    bytes_to_transfer: _bytesToTransfer,
    bytes_logical: _logical,
    failures,
    ...same
  } = summary as Record<string, unknown>;
  const files = [created, updated, repaired, linked, unchanged].reduce<number>((sum, count) => sum + Number(count), 0);
  const named = (failures as object[]).map((failure) => JSON.stringify(failure)).sort();
  return { exitCode, lines, files, named, same, ...(shared.size === 0 ? { created, updated, repaired, linked } : {}) };
}

function key(path: Uint8Array, prefix: string): string {
  const whole = Buffer.concat([Buffer.from(prefix), path]);
  const text = whole.toString();
  return Buffer.from(text).equals(whole) ? text : whole.toString("base64");
}
