/**
 * A source and an older target in which a run meets every kind of entry and of change, and what must hold of them
 * after any fault:
 *
 *   under every name old or new content, never a part of it (but for what is written in place)
 *   nothing outside touched, the source neither (a move removes what has arrived)
 *   extraneous entries gone only when the source was read completely
 *   the next run makes the target equal, `check` agrees, and no temporary file is left
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quickDir, temporariesIn } from "../../behaviours/moments.ts";
import { assertSameTrees, diffTrees } from "../../support/diff.ts";
import { isRoot, type ProcessResult } from "../../support/run.ts";
import { type Snapshot, type SnapshotEntry, takeSnapshot } from "../../support/snapshot.ts";
import { type TempDir, tempDir } from "../../support/temp.ts";
import { noise, TreeBuilder } from "../../support/tree.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
/** Above the size from which files are split, on one machine and between two. */
const LARGE = 49 * MIB;

const OLD_NS = 1_400_000_000_000_000_000n;
const NEW_NS = 1_500_000_000_123_456_789n;

/** The entries that a run finds extraneous. */
const EXTRANEOUS = /^extra/;
/** Where something of another type stands in the target: it may be gone before its successor comes. */
const RETYPED = /^(file-to-directory|directory-to-file)(\/|$)/;

function buildSource(root: string): void {
  const tree = new TreeBuilder(root);
  const mtimeNs = NEW_NS;
  tree.file("new", noise(10 * KIB, 1), { mtimeNs });
  tree.file("empty", "", { mtimeNs });
  tree.file("changed", noise(9 * KIB, 2), { mtimeNs, mode: 0o640 });
  tree.file("same", noise(3 * KIB, 3), { mtimeNs });
  tree.file("medium-new", noise(2 * MIB, 4), { mtimeNs });
  tree.file("medium-changed", noise(MIB + 5 * KIB, 5), { mtimeNs, mode: 0o600 });
  tree.file("attributes", "alike", { mtimeNs, mode: 0o604, xattrs: { "user.kept": "kept" } });
  tree.file("with-attributes", noise(5 * KIB, 6), { mtimeNs, xattrs: { "user.new": "value" } });
  if (isRoot()) tree.file("owner", noise(KIB, 7), { mtimeNs, uid: 4321, gid: 4321, mode: 0o4755 });
  tree
    .file("hard-a", noise(20 * KIB, 8), { mtimeNs })
    .hardlink("hard-b", "hard-a")
    .hardlink("hard-c", "hard-a");
  tree.symlink("link-new", "somewhere", { mtimeNs }).symlink("link-changed", "elsewhere", { mtimeNs });
  tree.special("fifo-new", "fifo", [0, 0], { mtimeNs }).special("fifo-changed", "fifo", [0, 0], { mtimeNs });
  const pieces = [
    { at: MIB, data: noise(200 * KIB, 9) },
    { at: 2 * MIB + 128 * KIB, data: noise(100 * KIB, 10) },
  ];
  tree.sparse("holes", 3 * MIB, pieces, { mtimeNs });
  tree.sparse("large-new", LARGE, [{ at: 9 * MIB, data: noise(300 * KIB, 11) }, ...pieces], { mtimeNs });
  tree.sparse("large-changed", LARGE, [{ at: 33 * MIB, data: noise(300 * KIB, 12) }], { mtimeNs });
  tree.file("sub/deep/file", noise(2 * KIB, 13), { mtimeNs }).file("sub/other", noise(KIB, 14), { mtimeNs });
  tree.file("file-to-directory/file", noise(KIB, 15), { mtimeNs });
  tree.file("directory-to-file", noise(KIB, 16), { mtimeNs });
  tree.dir("mode", { mode: 0o750, mtimeNs }).dir("sub/deep", { mtimeNs }).dir("sub", { mtimeNs });
  tree.dir("file-to-directory", { mtimeNs }).dir("", { mtimeNs });
  tree.finish();
}

function buildOldTarget(root: string): void {
  const tree = new TreeBuilder(root);
  const mtimeNs = OLD_NS;
  tree.file("changed", noise(7 * KIB, 102), { mtimeNs });
  tree.file("same", noise(3 * KIB, 3), { mtimeNs: NEW_NS });
  tree.file("medium-changed", noise(2 * MIB, 105), { mtimeNs });
  tree.file("attributes", "alike", { mtimeNs: NEW_NS, xattrs: { "user.kept": "old", "user.surplus": "x" } });
  tree.file("hard-b", noise(20 * KIB, 108), { mtimeNs });
  tree.symlink("link-changed", "old", { mtimeNs });
  tree.file("fifo-changed", "no FIFO", { mtimeNs });
  tree.file("holes", noise(3 * MIB, 109), { mtimeNs });
  tree.sparse("large-changed", LARGE, [{ at: 5 * MIB, data: noise(MIB, 112) }], { mtimeNs });
  tree.file("file-to-directory", "a file", { mtimeNs });
  tree.file("directory-to-file/inner/file", noise(KIB, 116), { mtimeNs });
  // Of a run that died.
  tree.file(".fastsync.00000000000000aa.tmp", "dead").symlink(".fastsync.00000000000000bb.tmp", "dead");
  tree.file("extra-file", noise(KIB, 120), { mtimeNs }).symlink("extra-link", "x", { mtimeNs });
  tree.file("extra-directory/inner/file", noise(KIB, 121), { mtimeNs });
  tree.dir("mode", { mode: 0o700, mtimeNs });
  tree.finish();
}

function buildOutside(root: string): void {
  new TreeBuilder(root).file("sentinel", "outside", { mtimeNs: 1n }).file("inner/other", "x", { mtimeNs: 2n }).finish();
}

/** How a run is asked to work. `DIR` in a flag stands for the scene's scratch, `OTHER` for one on another filesystem. */
export interface Mode {
  readonly name: string;
  readonly verb: "mirror" | "move";
  readonly flags: readonly string[];
  /** Whether a file may take the place of a directory that is not empty: only in a mirror, and where nothing is kept. */
  readonly retypes: boolean;
}

/** Each makes a run pass points that others do not, or in another order. */
export const MODES: readonly Mode[] = [
  { name: "plain", verb: "mirror", flags: [], retypes: true },
  { name: "in place", verb: "mirror", flags: ["--inplace"], retypes: true },
  { name: "backup", verb: "mirror", flags: ["--backup"], retypes: false },
  { name: "backup directory", verb: "mirror", flags: ["--backup-dir=DIR/backups"], retypes: true },
  { name: "temporary directory", verb: "mirror", flags: ["--temp-dir=DIR/temporary"], retypes: true },
  { name: "temporary directory elsewhere", verb: "mirror", flags: ["--temp-dir=OTHER/temporary"], retypes: true },
  { name: "verified and durable", verb: "mirror", flags: ["--fsync=file", "--verify=readback"], retypes: true },
  { name: "sendfile", verb: "mirror", flags: ["--copy-method=sendfile"], retypes: true },
  { name: "mmap", verb: "mirror", flags: ["--copy-method=mmap"], retypes: true },
  { name: "move", verb: "move", flags: [], retypes: false },
  { name: "move that copies", verb: "move", flags: ["--no-xattrs"], retypes: false },
];

export function modeNamed(name: string): Mode {
  return MODES.find((mode) => mode.name === name)!;
}

export interface Scene extends Disposable {
  readonly source: string;
  readonly target: string;
  readonly mode: Mode;
  /** The command line; `verb` stands for another than the mode's. */
  words(extra?: readonly string[], verb?: string): string[];
  /** Throws when something is neither old nor new, or touched that must not be. */
  assertOldOrNew(how?: { readonly nothingDeleted?: boolean }): void;
  /** Throws when the run has not done what it was asked for. `wasDisturbed`: it is the run after one that failed. */
  assertDone(wasDisturbed?: boolean): void;
}

/** Made once a process, copied for each scene. */
let templates: { dir: TempDir; source: Snapshot; old: Snapshot; outside: Snapshot } | undefined;

function template(): NonNullable<typeof templates> {
  if (templates !== undefined) return templates;
  const dir = quickDir();
  process.on("exit", () => dir[Symbol.dispose]());
  buildSource(dir.join("source"));
  buildOldTarget(dir.join("target"));
  buildOutside(dir.join("outside"));
  const [source, old, outside] = ["source", "target", "outside"].map((name) => takeSnapshot(dir.join(name)));
  templates = { dir, source: source!, old: old!, outside: outside! };
  return templates;
}

export function makeScene(mode: Mode, parent?: string): Scene {
  const made = template();
  const dir = parent === undefined ? quickDir() : tempDir(parent);
  const other = mode.flags.some((flag) => flag.includes("OTHER")) ? tempDir(tmpdir()) : undefined;
  copyTree(`${made.dir.path}/.`, dir.path);
  mkdirSync(dir.join("temporary"));
  mkdirSync(dir.join("backups"));
  if (other !== undefined) mkdirSync(other.join("temporary"));
  const [source, target] = [dir.join("source"), dir.join("target")];
  const takes = (path: string): boolean => mode.retypes || !/^directory-to-file(\/|$)/.test(path);
  if (!mode.retypes) for (const side of [source, target]) rmSync(join(side, "directory-to-file"), { recursive: true });
  const [before, old] = [only(made.source, takes), only(made.old, takes)];
  const flags = mode.flags.map((flag) => flag.replace("DIR", dir.path).replace("OTHER", other?.path ?? ""));
  const isMove = mode.verb === "move";
  const keepsBackups = flags.some((flag) => flag === "--backup");
  const isBackup = (path: string): boolean => keepsBackups && /~(\/|$)/.test(path);
  return {
    source,
    target,
    mode,
    words: (extra = [], verb = mode.verb) => [verb, "--yes", "--json", ...flags, ...extra, `${source}/`, `${target}/`],
    assertOldOrNew: ({ nothingDeleted = false } = {}) => {
      const now = existsSync(target) ? takeSnapshot(target) : new Map();
      const wrong = [...strange(before, old, now, mode)];
      const left = existsSync(source) ? takeSnapshot(source) : new Map();
      wrong.push(...(isMove ? lost(before, left, now) : diffTrees(before, left, { except: stamped })));
      wrong.push(...diffTrees(made.outside, dir.join("outside")).map((line) => `outside: ${line}`));
      if (nothingDeleted)
        for (const path of old.keys())
          if (EXTRANEOUS.test(path) && !now.has(path)) wrong.push(`${path}: deleted though the source was not read`);
      if (wrong.length > 0) throw new Error(wrong.slice(0, 20).join("\n"));
    },
    assertDone: (wasDisturbed = false) => {
      const ignore = mode.flags.includes("--no-xattrs") ? (["xattrs"] as const) : [];
      // What is kept stays in its directories. A move leaves what was in the target. When it was disturbed its source's
      // directories have another time for the next run, and hard links that went before are strangers to the rest.
      const except = (path: string, attribute: string): boolean =>
        isBackup(path) ||
        stamped(path, attribute) ||
        ((isMove || keepsBackups) && EXTRANEOUS.test(path)) ||
        (isMove && wasDisturbed && attribute === "mtime" && before.get(path)?.type === "directory") ||
        (isMove && wasDisturbed && attribute === "group");
      assertSameTrees(before, target, { ignore, except });
      const temporaries = [dir.path, ...(other === undefined ? [] : [other.path])].flatMap(temporariesIn);
      if (temporaries.length > 0) throw new Error(`temporary files are left: ${temporaries.join(", ")}`);
      if (isMove && existsSync(source)) {
        const files = [...takeSnapshot(source).values()].filter(({ type }) => type !== "directory");
        if (files.length > 0) throw new Error(`${files.length} entries are left in the source of a move`);
      }
      const outside = diffTrees(made.outside, dir.join("outside"));
      if (outside.length > 0) throw new Error(`the outside changed: ${outside.join("; ")}`);
    },
    [Symbol.dispose]: () => {
      for (const { path } of [dir, ...(other === undefined ? [] : [other])])
        rmSync(path, { recursive: true, force: true });
    },
  };
}

/** The root's time is that of what was taken out of it. */
const stamped = (path: string, attribute: string): boolean => path === "" && attribute === "mtime";

function only(snapshot: Snapshot, takes: (path: string) => boolean): Snapshot {
  return new Map([...snapshot].filter(([path]) => takes(path)));
}

function copyTree(from: string, to: string): void {
  const result = spawnSync("cp", ["-a", "--sparse=always", from, to], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`cp: ${result.stderr}`);
}

/** What an entry is for who reads it; its attributes may be anything between old and new for a while. */
function gist(entry: SnapshotEntry | undefined): string {
  if (entry === undefined) return "nothing";
  return `${entry.type} ${entry.content} ${entry.link} ${entry.rdev}`;
}

/** Entries that are neither what they were nor what they are to become. */
function* strange(source: Snapshot, old: Snapshot, now: Snapshot, mode: Mode): Generator<string> {
  const inPlace = mode.flags.includes("--inplace");
  for (const path of new Set([...source.keys(), ...old.keys(), ...now.keys()])) {
    if (/(^|\/)\.fastsync\.[0-9a-f]{16}\.(tmp|part)$/.test(path) || path === "") continue;
    const [was, is] = [old.get(path), now.get(path)];
    const kept = path.endsWith("~") ? old.get(path.slice(0, -1)) : undefined;
    // In place a file is between old and new for a while; the name that it has stays.
    if (inPlace && was?.type === "file" && source.get(path)?.type === "file" && is?.type === "file") continue;
    const good = [gist(was), gist(source.get(path)), ...(kept === undefined ? [] : [gist(kept), "nothing"])];
    if (RETYPED.test(path) || (mode.verb === "mirror" && EXTRANEOUS.test(path))) good.push("nothing");
    if (!good.includes(gist(is))) yield `${path}: ${gist(is)}, which is neither old nor new`;
  }
}

/** Entries of a move's source that are neither there any more nor in the target. */
function lost(source: Snapshot, left: Snapshot, now: Snapshot): string[] {
  const wrong: string[] = [];
  for (const [path, entry] of source) {
    if (entry.type === "directory") continue;
    const has = [left.get(path), now.get(path)].filter((one) => one !== undefined);
    if (!has.some((one) => gist(one) === gist(entry))) wrong.push(`${path}: lost by the move`);
    const remains = left.get(path);
    if (remains !== undefined && gist(remains) !== gist(entry)) wrong.push(`${path}: changed in the source`);
  }
  return wrong;
}

/** The summary of a run with --json; undefined when it was killed before it said one. */
export function summaryOf({ stdout }: ProcessResult): Record<string, unknown> | undefined {
  const line = stdout
    .trimEnd()
    .split("\n")
    .findLast((text) => text.startsWith('{"') && text.includes('"type":"summary"'));
  return line === undefined ? undefined : (JSON.parse(line) as Record<string, unknown>);
}

/** Every exit code that docs/scripting.md has. */
export const DOCUMENTED: ReadonlySet<number> = new Set(
  [...readFileSync(join(import.meta.dir, "../../../docs/scripting.md"), "utf8").matchAll(/^\| (\d+) \|/gm)].map(
    ([, code]) => Number(code),
  ),
);
