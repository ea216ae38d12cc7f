/**
 * Both roles over a simulated link and a model of two trees, driven by a seeded scheduler: completions finish in any
 * order, lanes are slow, and either can be cut at any message. Nothing here touches a file.
 */
import type { CompareRules } from "../../src/compare/rules.ts";
import { BatchFlag, buildBatch, type EntryBatch, type EntryFields, FileType } from "../../src/core/entry-batch.ts";
import { type Failure, newCounters } from "../../src/core/events.ts";
import { NO_FILTER } from "../../src/core/filter-spec.ts";
import { AUTOMATIC_TRANSFER, type RunOptions, type Verb } from "../../src/core/options.ts";
import type { Collected, ExtraneousRecord } from "../../src/engine/extraneous.ts";
import { compileFilter } from "../../src/filter/compile.ts";
import type { ItemResults } from "../../src/fs/backend.ts";
import type { NeedPurpose, SourceMessage, TargetMessage } from "../../src/session/messages.ts";
import { flushDirectories } from "../../src/session/open-directories.ts";
import { stepSource } from "../../src/session/source-role.ts";
import {
  LOCAL_WINDOW,
  NEAR_WINDOW,
  type ScannedDirectory,
  type SourceEffect,
  type SourceEvent,
  type SourceState,
  sourceState,
} from "../../src/session/source-state.ts";
import { stepTarget } from "../../src/session/target-role.ts";
import {
  pathOf,
  type TargetDir,
  type TargetEffect,
  type TargetEvent,
  type TargetState,
  targetState,
} from "../../src/session/target-state.ts";

export interface ModelNode {
  kind: "file" | "directory" | "symlink";
  /** Content of a file, text of a link. */
  content: string;
  mtime: number;
  mode: number;
  inode: number;
  unreadable?: boolean;
  readonly children: Map<string, ModelNode>;
}

let inodes = 1;
export function modelFile(content: string, mtime: number): ModelNode {
  return { kind: "file", content, mtime, mode: 0o644, inode: inodes++, children: new Map() };
}
export function modelDirectory(children: Record<string, ModelNode> = {}, mtime = 1): ModelNode {
  return {
    kind: "directory",
    content: "",
    mtime,
    mode: 0o755,
    inode: inodes++,
    children: new Map(Object.entries(children)),
  };
}

export function randomGenerator(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 0x1_0000_0000;
  };
}

export function randomTree(random: () => number, depth: number): ModelNode {
  const directory = modelDirectory({}, Math.floor(random() * 1000));
  const names = Math.floor(random() * 6);
  for (let i = 0; i < names; i++) {
    const name = String.fromCharCode(97 + Math.floor(random() * 8));
    const kind = random();
    if (kind < 0.4 && depth > 0) directory.children.set(name, randomTree(random, depth - 1));
    else if (kind < 0.5) directory.children.set(name, { ...modelFile(`to-${name}`, 5), kind: "symlink" });
    else {
      // Content follows the time, as it does in trees where the quick check is meant to be enough.
      const version = Math.floor(random() * 4);
      directory.children.set(name, modelFile(`version ${version}`, version));
    }
  }
  return directory;
}

/** The tree without directories that have nothing but directories in them and below; the root stays. */
export function withoutEmpty(node: ModelNode): ModelNode {
  const children = [...node.children].map(([name, child]): [string, ModelNode] => [
    name,
    child.kind === "directory" ? withoutEmpty(child) : child,
  ]);
  const kept = children.filter(([, child]) => child.kind !== "directory" || child.children.size > 0);
  return { ...node, children: new Map(kept) };
}

export function describeTree(node: ModelNode, path = "", withTimes = true): string[] {
  const line = `${path}|${node.kind}|${node.content}|${withTimes ? node.mtime : ""}`;
  const lines = [line];
  for (const [name, child] of [...node.children].sort(([a], [b]) => (a < b ? -1 : 1)))
    lines.push(...describeTree(child, `${path}/${name}`, withTimes));
  return lines;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function fieldsOf(name: string, node: ModelNode, links: Map<number, number>): EntryFields {
  const type =
    node.kind === "file" ? FileType.regular : node.kind === "directory" ? FileType.directory : FileType.symlink;
  return {
    name: encoder.encode(name),
    size: node.content.length,
    mtimeSec: node.mtime,
    mode: type | node.mode,
    inoLow: node.inode,
    dev: 1,
    nlink: links.get(node.inode) ?? 1,
    ...(node.kind === "symlink" ? { linkText: encoder.encode(node.content) } : {}),
  };
}

function countLinks(node: ModelNode, links = new Map<number, number>()): Map<number, number> {
  links.set(node.inode, (links.get(node.inode) ?? 0) + 1);
  for (const child of node.children.values()) countLinks(child, links);
  return links;
}

function listing(
  node: ModelNode,
  links: Map<number, number>,
  header: { status?: number; flags?: number; dirfd?: number },
): EntryBatch {
  const names = header.status === undefined || header.status === 0 ? [...node.children.keys()].sort() : [];
  return buildBatch(
    [...names.map((name) => fieldsOf(name, node.children.get(name)!, links)), fieldsOf(".", node, links)],
    header,
  );
}

export interface Simulation {
  readonly source: ModelNode;
  readonly target: ModelNode;
  readonly verb: Verb;
  readonly dryRun?: boolean;
  readonly seed: number;
  /** Messages after which the link dies; undefined: never. */
  readonly cutAfter?: number;
  /** Rate of copies that fail. */
  readonly failRate?: number;
  /** What making the target durable ends with; default 0. */
  readonly syncStatus?: number;
  readonly answer?: "accepted" | "declined" | "unattended";
  /** Steps after which both roles are told to stop. */
  readonly stopAfter?: number;
  readonly deletionLimit?: number;
  readonly pruneEmptyDirs?: boolean;
  /** Default: by seed, even ones in frames that answer a need, as between two processes. */
  readonly payload?: "handles" | "streams";
  /** Directories that may be open at a time; default: whatever is. */
  readonly openMost?: number;
  /** Hears every message when it is delivered. */
  readonly hear?: (
    said:
      | { readonly by: "source"; readonly message: SourceMessage }
      | { readonly by: "target"; readonly message: TargetMessage },
  ) => void;
}

export interface SimulationResult {
  readonly finished: boolean;
  readonly state: TargetState;
  readonly failures: readonly Failure[];
  readonly steps: number;
  readonly maxUnsettled: number;
  /** The same, until the target had answered for anything but the root. */
  readonly maxUnsettledFirst: number;
  /** Directories of the source that were open at a time. */
  readonly maxOpen: number;
  readonly leftOpen: number;
}

export function optionsFor(verb: Verb, dryRun: boolean, limit: number | undefined): RunOptions {
  return {
    verb,
    dryRun,
    compare: {
      checksum: false,
      sizeOnly: false,
      ignoreTimes: false,
      modifyWindowNs: 0,
      ignoreExisting: false,
      existing: false,
      update: false,
    },
    preserve: {
      perms: true,
      times: true,
      dirTimes: true,
      owner: true,
      group: true,
      xattrs: false,
      acls: false,
      hardLinks: true,
      specials: true,
      sparse: true,
      numericIds: false,
      chownUid: undefined,
      chownGid: undefined,
      userMap: [],
      groupMap: [],
    },
    delete: {
      enabled: verb === "mirror",
      excluded: false,
      limit: limit === undefined ? { kind: "percent", percent: 100 } : { kind: "count", count: limit },
      allowEmptySource: true,
    },
    write: {
      inplace: false,
      tempDir: undefined,
      backup: undefined,
      resume: false,
      fsync: "none",
      verify: "none",
      rateBytesPerSecond: 0,
      workers: 0,
      methods: undefined,
    },
    transfer: AUTOMATIC_TRANSFER,
    filter: NO_FILTER,
    oneFileSystem: false,
    recursive: true,
    copyLinks: false,
    safeLinks: false,
    pruneEmptyDirs: false,
    strictAttrs: true,
    retry: { attempts: 0, waitMs: 0 },
  };
}

type Handle = ModelNode;

export function simulate(simulation: Simulation): SimulationResult {
  const random = randomGenerator(simulation.seed);
  const options: RunOptions = {
    ...optionsFor(simulation.verb, simulation.dryRun ?? false, simulation.deletionLimit),
    pruneEmptyDirs: simulation.pruneEmptyDirs ?? false,
  };
  const rules: CompareRules = {
    options: options.compare,
    preserve: options.preserve,
    windowNs: 0,
    mayChown: true,
    groups: new Set(),
    deletes: options.delete.enabled,
  };
  const filter = compileFilter(NO_FILTER, { deleteExcluded: false });
  const payload = simulation.payload ?? (simulation.seed % 2 === 0 ? "streams" : "handles");
  const { openMost = Infinity } = simulation;
  const source: SourceState<Handle> = sourceState<Handle>({
    removesSources: simulation.verb === "move",
    prunesEmpty: options.pruneEmptyDirs,
    window: {
      ...(payload === "streams" ? NEAR_WINDOW : LOCAL_WINDOW),
      open: openMost,
      flush: flushDirectories(openMost),
    },
  });
  const target = targetState({
    options,
    rules,
    rootFilter: filter.root(),
    wantsItems: true,
    counters: newCounters(),
    payload,
    sharesInodes: payload === "handles",
    flushDirectories: flushDirectories(openMost),
  });
  /** Answers that the target expects, by need: they come on a lane of their own. */
  const expected = new Map<number, () => void>();
  const ask = (need: number, dir: TargetDir, rows: Uint32Array, purpose: NeedPurpose, arrived: () => void): void => {
    if (need === 0) {
      completions.push(arrived);
      return;
    }
    expected.set(need, arrived);
    toSource.push({ kind: "need", need, dir: dir.id, rows, purpose });
  };
  const sourceLinks = countLinks(simulation.source);
  const openTargets = new Map<TargetDir, ModelNode>();
  const toTarget: SourceMessage[] = [];
  const toSource: TargetMessage[] = [];
  const completions: (() => void)[] = [];
  const failures: Failure[] = [];
  let messages = 0;
  let sourceFinished = false;
  let targetFinished = false;
  let maxUnsettled = 0;
  let maxFirst = 0;
  let maxOpen = 0;
  let targetAnswered = false;
  const parents = new Map<ModelNode, { parent: ModelNode; name: string }>();

  const removals = new Map<ModelNode, number>();
  const released = new Set<ModelNode>();

  const withReceipt = new Set<ModelNode>();

  /**
   * As the runner does: a directory of a move goes when its own receipt has come, it is released, its removals have ended
   * and it is empty.
   */
  function removeIfEmpty(node: ModelNode): void {
    const place = parents.get(node);
    if (simulation.verb !== "move" || !withReceipt.has(node) || !released.has(node) || (removals.get(node) ?? 0) > 0)
      return;
    if (node.children.size > 0 || place === undefined) return;
    place.parent.children.delete(place.name);
    removeIfEmpty(place.parent);
  }

  const feedSource = (event: SourceEvent<Handle>): void => {
    for (const effect of stepSource(source, event)) performSource(effect);
    maxUnsettled = Math.max(maxUnsettled, source.unsettledDirectories);
    maxOpen = Math.max(maxOpen, source.open.size);
    if (!targetAnswered) maxFirst = Math.max(maxFirst, source.unsettledDirectories);
  };
  const feedTarget = (event: TargetEvent): void => {
    for (const effect of stepTarget(target, event)) performTarget(effect);
  };

  function performSource(effect: SourceEffect<Handle>): void {
    switch (effect.kind) {
      case "send":
        toTarget.push(effect.message);
        return;
      case "scan":
        completions.push(() => {
          const node =
            effect.parent === undefined
              ? simulation.source
              : effect.parent.handle.children.get(decoder.decode(effect.parent.listing.name(effect.parentRow)))!;
          for (const [name, child] of node.children) parents.set(child, { parent: node, name });
          const status = node.unreadable === true ? -13 : 0;
          if (status !== 0) {
            toTarget.push({
              kind: "failure",
              hidesEntries: true,
              failure: {
                code: "permission",
                side: "source",
                path: encoder.encode("?"),
                operation: "read directory",
                errno: 13,
                message: "",
              },
            });
          }
          const scanned: ScannedDirectory<Handle> = {
            listing: listing(node, sourceLinks, { status }),
            handle: node,
            entered: true,
            owned: true,
            mergeFiles: [],
            skipped: {},
            hidden: false,
          };
          feedSource({
            kind: "scanned",
            id: effect.id,
            parent: effect.parentId,
            parentRow: effect.parentRow,
            directory: scanned,
          });
        });
        return;
      case "content":
        if (payload === "streams") {
          const arrived = expected.get(effect.need);
          if (arrived === undefined) throw new Error(`need ${effect.need} is answered, and nobody expects it`);
          expected.delete(effect.need);
          completions.push(arrived, () => feedSource({ kind: "answered", need: effect.need }));
          return;
        }
        completions.push(() =>
          feedSource({
            kind: "answered",
            need: effect.need,
            message: {
              kind: "content",
              need: effect.need,
              content: { parts: [{ handle: 0, rows: effect.rows }] },
            },
          }),
        );
        return;
      case "remove":
        removals.set(effect.directory.handle, (removals.get(effect.directory.handle) ?? 0) + 1);
        completions.push(() => {
          let count = 0;
          const node = effect.directory.handle;
          for (const row of effect.rows) {
            if (row === effect.directory.listing.self) {
              withReceipt.add(node);
              continue;
            }
            effect.directory.handle.children.delete(decoder.decode(effect.directory.listing.name(row)));
            count++;
          }
          removals.set(node, removals.get(node)! - 1);
          removeIfEmpty(node);
          feedSource({ kind: "removed", count });
        });
        return;
      case "release": {
        released.add(effect.directory.handle);
        removeIfEmpty(effect.directory.handle);
        return;
      }
      case "describe-scan":
        toTarget.push({ kind: "scanned", complete: source.complete, entries: source.entries, unmatchedPatterns: [] });
        return;
      case "finish":
        sourceFinished = true;
        toTarget.push({ kind: "closed", sourcesRemoved: source.sourcesRemoved });
        return;
      case "digest":
        throw new Error("not in this model");
      case "protocol-error":
        throw new Error(`source: ${effect.reason}`);
    }
  }

  const nodeOf = (dir: TargetDir): ModelNode => openTargets.get(dir)!;
  const sourceNodeOf = (dir: TargetDir): ModelNode =>
    dir.parent === undefined ? simulation.source : sourceNodeOf(dir.parent).children.get(decoder.decode(dir.name))!;
  const targetAt = (path: Uint8Array): ModelNode | undefined => {
    let node: ModelNode | undefined = simulation.target;
    for (const name of decoder.decode(path).split("/")) if (name !== "") node = node?.children.get(name);
    return node;
  };

  function performTarget(effect: TargetEffect): void {
    switch (effect.kind) {
      case "send":
        toSource.push(effect.message);
        return;
      case "report":
        if (effect.event.kind === "failure") failures.push(effect.event.failure);
        return;
      case "open":
        completions.push(() => {
          const { dir } = effect;
          const links = countLinks(simulation.target);
          if (dir.parent === undefined) {
            openTargets.set(dir, simulation.target);
            feedTarget({ kind: "opened", dir, batch: listing(simulation.target, links, { dirfd: 3 }) });
            return;
          }
          const parent = nodeOf(dir.parent);
          const name = decoder.decode(dir.name);
          if (effect.removeFirst >= 0) parent.children.delete(name);
          let node = parent.children.get(name);
          const made = node === undefined;
          if (node === undefined) {
            node = modelDirectory();
            node.mtime = -1;
            parent.children.set(name, node);
            parent.mtime = -1;
          }
          openTargets.set(dir, node);
          feedTarget({
            kind: "opened",
            dir,
            batch: listing(node, links, { dirfd: 3, flags: made ? BatchFlag.created : 0 }),
          });
        });
        return;
      case "copy":
        ask(effect.need, effect.dir, effect.rows, "content", () => {
          const statuses = Array.from(effect.rows, (row) => {
            if (random() < (simulation.failRate ?? 0)) return -5;
            const name = decoder.decode(effect.dir.source.name(row));
            const original = sourceNodeOf(effect.dir).children.get(name)!;
            const existing = nodeOf(effect.dir).children.get(name);
            if (existing?.kind === "directory" && existing.children.size > 0) return -39;
            nodeOf(effect.dir).children.set(name, { ...original, inode: inodes++, children: new Map() });
            nodeOf(effect.dir).mtime = -1;
            return 0;
          });
          feedTarget({
            kind: "copied",
            dir: effect.dir,
            task: effect.task,
            rows: effect.rows,
            results: results(statuses),
          });
        });
        return;
      case "repair":
        ask(effect.need, effect.dir, effect.rows, "attributes", () => {
          for (const row of effect.rows) {
            const name = decoder.decode(effect.dir.source.name(row));
            nodeOf(effect.dir).children.get(name)!.mtime = effect.dir.source.mtimeSec(row);
          }
          feedTarget({
            kind: "repaired",
            dir: effect.dir,
            rows: effect.rows,
            results: results(Array.from(effect.rows, () => 0)),
          });
        });
        return;
      case "stamp":
        completions.push(() => {
          nodeOf(effect.dir).mtime = effect.dir.source.mtimeSec(effect.dir.source.self);
          feedTarget({ kind: "stamped", dir: effect.dir, results: results([0]) });
        });
        return;
      case "link":
        completions.push(() => {
          const name = decoder.decode(effect.dir.source.name(effect.row));
          const leader = targetAt(effect.leader);
          if (leader !== undefined) nodeOf(effect.dir).children.set(name, leader);
          nodeOf(effect.dir).mtime = -1;
          feedTarget({ kind: "linked", dir: effect.dir, row: effect.row, status: leader === undefined ? -2 : 0 });
        });
        return;
      case "collect":
        completions.push(() =>
          feedTarget({ kind: "collected", dir: effect.dir, collected: collect(effect.dir, effect.rows) }),
        );
        return;
      case "delete":
        completions.push(() => {
          let entries = 0;
          for (const record of effect.records) {
            const node = targetAt(record.path);
            for (const name of record.names) {
              const child = node?.children.get(decoder.decode(name));
              if (child === undefined || child.children.size > 0) continue;
              node!.children.delete(decoder.decode(name));
              entries++;
            }
            if (node !== undefined && record.restore !== undefined) node.mtime = record.restore.mtimeSec;
          }
          feedTarget({ kind: "deleted", entries, failures: [] });
        });
        return;
      case "confirm":
        completions.push(() => feedTarget({ kind: "confirmed", answer: simulation.answer ?? "accepted" }));
        return;
      case "sync":
        completions.push(() => feedTarget({ kind: "synced", status: simulation.syncStatus ?? 0 }));
        return;
      case "close":
        openTargets.delete(effect.dir);
        return;
      case "finish":
        targetFinished = true;
        return;
      case "sweep":
      case "digest":
      case "respell":
        throw new Error("not in this model");
      case "protocol-error":
        throw new Error(`target: ${effect.reason}`);
    }
  }

  function collect(dir: TargetDir, rows: readonly number[]): Collected {
    const records: ExtraneousRecord[] = [];
    let entries = 0;
    const visit = (node: ModelNode, path: string): void => {
      for (const [name, child] of node.children) if (child.kind === "directory") visit(child, `${path}/${name}`);
      if (node.children.size === 0) return;
      records.push({
        path: encoder.encode(path),
        names: [...node.children.keys()].map((name) => encoder.encode(name)),
        directories: [...node.children.values()].map((child) => child.kind === "directory"),
        restore: undefined,
      });
      entries += node.children.size;
    };
    const base = decoder.decode(pathOf(dir));
    for (const row of rows) {
      const name = decoder.decode(dir.target!.name(row));
      visit(nodeOf(dir).children.get(name)!, base === "" ? name : `${base}/${name}`);
    }
    return { records, entries, deletable: rows, protectedEntries: 0, mounts: 0, failures: [] };
  }

  feedSource({ kind: "start" });
  feedTarget({ kind: "start" });
  let steps = 0;
  for (; steps < 1_000_000; steps++) {
    const lanes = completions.length + toTarget.length + toSource.length;
    if (lanes === 0) break;
    if (simulation.stopAfter === steps) {
      feedSource({ kind: "stop" });
      feedTarget({ kind: "stop" });
    }
    const cut = simulation.cutAfter !== undefined && messages >= simulation.cutAfter;
    if (cut) {
      toTarget.length = 0;
      toSource.length = 0;
      if (completions.length === 0) break;
    }
    const choice = Math.floor(random() * 3);
    if (choice === 0 && toTarget.length > 0) {
      messages++;
      const message = toTarget.shift()!;
      simulation.hear?.({ by: "source", message });
      feedTarget({ kind: "message", message });
    } else if (choice === 1 && toSource.length > 0) {
      messages++;
      const message = toSource.shift()!;
      simulation.hear?.({ by: "target", message });
      if (message.kind !== "hello" && !(message.kind === "settled" && message.dir === source.rootId))
        targetAnswered = true;
      feedSource({ kind: "message", message });
    } else if (completions.length > 0) {
      completions.splice(Math.floor(random() * completions.length), 1)[0]!();
    }
  }
  return {
    finished: sourceFinished && targetFinished,
    state: target,
    failures,
    steps,
    maxUnsettled,
    maxUnsettledFirst: maxFirst,
    maxOpen,
    leftOpen: openTargets.size,
  };
}

function results(statuses: readonly number[]): ItemResults {
  return {
    count: statuses.length,
    status: (i) => statuses[i]!,
    stage: () => 4,
    method: () => 5,
    refused: () => 0,
    refusedErrno: () => 0,
    warnings: () => 0,
    warningErrno: () => 0,
    flags: () => 0,
    bytes: () => 1,
    size: () => 1,
    digest: () => new Uint8Array(0),
    release: () => undefined,
  };
}
