/** What the behaviour checks share: a mirror by the real program, on each filesystem, as root and as another user. */
import { afterAll, beforeAll, expect } from "bun:test";
import { chownSync, mkdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { utf8Of } from "../../src/core/paths.ts";
import {
  canMount,
  FILESYSTEMS,
  type FilesystemKind,
  type MountedFilesystem,
  mountFilesystem,
} from "../support/filesystems.ts";
import { libcMissing } from "../support/libc.ts";
import {
  type Argument,
  asUserMissing,
  describe as describeResult,
  fastsyncJson,
  fastsyncMissing,
  isRoot,
  type JsonResult,
  ORDINARY_USER,
  type ProcessOptions,
  start,
} from "../support/run.ts";
import { type Snapshot, takeSnapshot } from "../support/snapshot.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { describe } from "./placed-test.ts";

/** Why no behaviour can be checked here, or undefined. */
export const behavioursMissing: string | undefined = libcMissing ?? fastsyncMissing();

export const needsRoot: string | undefined = behavioursMissing ?? (isRoot() ? undefined : "needs root");

/** Why a run as an ordinary user cannot be made: root becomes nobody, everybody else is one already. */
export const ordinaryMissing: string | undefined = behavioursMissing ?? (isRoot() ? asUserMissing() : undefined);

/** Options that make a run one of an ordinary user. */
export const ORDINARY: ProcessOptions = isRoot() ? { asUser: ORDINARY_USER } : {};

/** A scratch directory that belongs to the ordinary user. */
export function ordinaryDir(parent?: string): TempDir {
  const dir = tempDir(parent);
  if (isRoot()) chownSync(dir.path, ORDINARY_USER, ORDINARY_USER);
  return dir;
}

/** Appends the reason of a skip to a name, so that the report says it. */
export function because(name: string, reason: string | undefined): string {
  return reason === undefined ? name : `${name} (skipped: ${reason})`;
}

/** Both backends, or the portable one alone where the whole test run is about it. */
export const BACKENDS: readonly { readonly name: string; readonly options: ProcessOptions }[] = [
  ...(process.env["FASTSYNC_NATIVE"] === "off" ? [] : [{ name: "native library", options: {} }]),
  { name: "portable twin", options: { env: { FASTSYNC_NATIVE: "off" } } },
];

interface Expected {
  /** Default 0. */
  readonly exitCode?: number;
}

/** `fastsync mirror --yes SOURCE/ TARGET/` with JSON; throws when the exit code is another than expected. */
export async function mirror(
  source: string,
  target: string,
  flags: readonly Argument[] = [],
  options: ProcessOptions & Expected = {},
): Promise<JsonResult> {
  return await run("mirror", ["--yes", ...flags, `${source}/`, `${target}/`], options);
}

/** Any verb with these words; throws when the exit code is another than expected. */
export async function run(
  verb: string,
  words: readonly Argument[],
  options: ProcessOptions & Expected = {},
): Promise<JsonResult> {
  const result = await fastsyncJson([verb, ...words], options);
  const expected = options.exitCode ?? 0;
  if (result.exitCode !== expected || result.summary["exit_code"] !== expected)
    throw new Error(`exit ${result.exitCode}, expected ${expected}\n${result.stderr.slice(0, 4000)}`);
  return result;
}

/** The paths of items (and deletions) by what happened to them: `create a/b`. */
export function itemsOf(result: JsonResult): string[] {
  return result.events
    .filter((event) => event.type === "item" || event.type === "delete")
    .map((event) => `${event["action"] ?? "delete"} ${event["path_b64"] ?? event["path"]}`)
    .sort();
}

/** A path as `itemsOf` writes it: text, or base64 of what is not UTF-8. */
export function jsonPath(path: Uint8Array): string {
  return utf8Of(path) ?? Buffer.from(path).toString("base64");
}

const KINDS: readonly FilesystemKind[] = FILESYSTEMS.filter((kind) => kind !== "xfs-noreflink");

/** Repeats a group of tests on every filesystem, each mounted once. `scratch` makes a directory on it. */
export function onEachFilesystem(
  title: string,
  define: (filesystem: { readonly kind: FilesystemKind; scratch(): TempDir }) => void,
  kinds: readonly FilesystemKind[] = KINDS,
): void {
  for (const kind of kinds) {
    const reason = behavioursMissing ?? canMount(kind);
    describe.skipIf(reason !== undefined)(because(`${title} on ${kind}`, reason), () => {
      let mounted: MountedFilesystem | undefined;
      beforeAll(async () => {
        mounted = await mountFilesystem(kind, "512M");
      });
      afterAll(async () => await mounted?.[Symbol.asyncDispose]());
      define({ kind, scratch: () => tempDir(mounted!.path) });
    });
  }
}

/** Runs a builder of test/support as the ordinary user, who then owns what it makes. */
export async function buildAsOrdinary(file: string, builder: string, ...args: readonly unknown[]): Promise<void> {
  const module = resolve(import.meta.dir, "../support", file);
  const code = `const m = await import(${JSON.stringify(module)}); m.${builder}(...${JSON.stringify(args)});`;
  const result = await start([process.execPath, "-e", code], ORDINARY).result;
  if (result.exitCode !== 0) throw new Error(describeResult(result));
}

/** The summary of a run that found everything as it should be. */
export function expectNothingDone({ summary, events }: JsonResult): void {
  expect(summary).toMatchObject({
    exit_code: 0,
    files_to_transfer: 0,
    files_transferred: 0,
    bytes_transferred: 0,
    created: 0,
    updated: 0,
    repaired: 0,
    linked: 0,
    directories_created: 0,
    files_deleted: 0,
    files_failed: 0,
    attribute_warnings: 0,
  });
  expect(events.filter((event) => event.type === "item" || event.type === "delete")).toEqual([]);
}

/** Entries whose inode changed in any way since the snapshot: replaced, or with another change time. */
export function touched(before: Snapshot, root: string): string[] {
  const after = takeSnapshot(root, { content: false });
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths].filter((path) => {
    const [x, y] = [before.get(path)?.stat, after.get(path)?.stat];
    return x === undefined || y === undefined || x.ino !== y.ino || x.ctimeNs !== y.ctimeNs;
  });
}

/** Resolves once the process has written as many bytes; throws when it ends before. */
export async function waitUntilWritten(pid: number, bytes: number): Promise<void> {
  for (;;) {
    const counters = readFileSync(`/proc/${pid}/io`, "latin1");
    if (Number(/^wchar: (\d+)$/m.exec(counters)![1]) >= bytes) return;
    await Bun.sleep(5);
  }
}

/** Two directories side by side, the source made. */
export function pair(dir: TempDir): { source: string; target: string } {
  const [source, target] = [dir.join("source"), dir.join("target")];
  mkdirSync(source);
  return { source, target };
}
