/** The target role's work on one directory: opening it, comparing it, asking for what is needed. */
import { compareDirectory, RowState } from "../compare/compare-directory.ts";
import { Difference, differenceWords, metadataDifference } from "../compare/rules.ts";
import type { EntryBatch } from "../core/entry-batch.ts";
import { BatchFlag, FileType, Kind, RowFlag } from "../core/entry-batch.ts";
import { E, NAME_IS_TAKEN } from "../core/errno.ts";
import { type Counters, skipEntries } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import { equalBytes } from "../core/paths.ts";
import { isPartName, isTemporaryName } from "../core/temporary-names.ts";
import type { Collected, ExtraneousRecord } from "../engine/extraneous.ts";
import { Decision } from "../filter/filter.ts";
import type { SourceMessage } from "./messages.ts";
import { isSubdirectory } from "./source-state.ts";
import { guessSpellings } from "./spellings.ts";
import { hasForeignNames, joinHardLinks } from "./target-links.ts";
import { carriesAttributes, isSameInode, joinRow, need, repair, transfer } from "./target-needs.ts";
import { finishIfIdle } from "./target-release.ts";
import { countSkipped, protocolError, recordTargetFailure, reportRows } from "./target-report.ts";
import {
  type DirectoryMessage,
  pathOf,
  type TargetDir,
  type TargetEffect,
  type TargetState,
  touchesNothing,
} from "./target-state.ts";

export function enterDirectory(
  state: TargetState,
  parent: TargetDir | undefined,
  message: DirectoryMessage,
  effects: TargetEffect[],
): void {
  const { listing, parentRow } = message;
  if (parent !== undefined && !takesChild(parent, parentRow))
    return protocolError(
      state,
      effects,
      `directory ${message.id} is at row ${parentRow}, which is none or was offered`,
    );
  const name = parent === undefined ? new Uint8Array(0) : parent.source.name(parentRow).slice();
  let filter =
    parent === undefined ? state.rootFilter : parent.filter.isEmpty ? parent.filter : parent.filter.enter(name);
  for (const file of message.mergeFiles) filter = filter.withMerged(file.name, file.text);
  const dir: TargetDir = {
    id: message.id,
    parent,
    parentRow,
    name,
    source: listing,
    entered: message.entered,
    owned: message.owned,
    filter,
    target: undefined,
    handle: -1,
    created: false,
    difference: undefined,
    discarded: false,
    pending: 0,
    offered: undefined,
    pruned: [],
    children: 0,
    settled: false,
    selfDifference: 0,
    touched: false,
    madeWritable: false,
    stamping: false,
    selfContent: undefined,
    selfNeed: 0,
    receipts: [],
    lacksAttributes: false,
    parts: [],
    path: undefined,
  };
  state.dirs.set(dir.id, dir);
  countDirectory(state, dir, message);
  const pruned = state.waitingPruned.get(dir.id);
  state.waitingPruned.delete(dir.id);
  if (pruned !== undefined && !takePruned(state, dir, pruned, effects)) return;
  if (parent === undefined) {
    dir.pending++;
    effects.push({ kind: "open", dir, create: !touchesNothing(state), removeFirst: -1 });
    return;
  }
  const verdict = parent.discarded ? RowState.skipped : parent.difference!.states[parentRow]!;
  switch (verdict) {
    case RowState.directoryExists:
      dir.pending++;
      effects.push({ kind: "open", dir, create: false, removeFirst: -1 });
      return;
    case RowState.directoryNew:
    case RowState.directoryBlocked:
      dir.created = true;
      parent.touched = true;
      if (touchesNothing(state) || parent.handle < 0) {
        directoryReady(state, dir, undefined, effects);
        return;
      }
      dir.pending++;
      effects.push({
        kind: "open",
        dir,
        create: true,
        removeFirst: verdict === RowState.directoryBlocked ? parent.difference!.targetRows[parentRow]! : -1,
      });
      return;
    default:
      discard(state, dir, effects);
  }
}

/** Each row that is a directory arrives as one, once. */
function takesChild(parent: TargetDir, row: number): boolean {
  const { source } = parent;
  if (row < 0 || row >= source.count || !isSubdirectory(source, row)) return false;
  parent.offered ??= new Uint8Array(source.count);
  if (parent.offered[row] !== 0) return false;
  parent.offered[row] = 1;
  return true;
}

/** Rows of a directory come to nothing: for the target they do not exist in the source. */
export function onPruned(
  state: TargetState,
  { dir: id, rows, skipped }: Extract<SourceMessage, { kind: "pruned" }>,
  effects: TargetEffect[],
): void {
  if (state.phase !== "receiving" || state.scanned !== undefined || !state.options.pruneEmptyDirs)
    return protocolError(state, effects, "rows were pruned out of turn");
  if (state.pass === 1) for (const [reason, count] of skipEntries(skipped)) countSkipped(state, reason, count);
  const dir = state.dirs.get(id);
  if (dir === undefined) {
    const count = state.waitingIds.get(id);
    if (count === undefined) return protocolError(state, effects, `rows were pruned in ${id}, which is not open`);
    const before = state.waitingPruned.get(id) ?? [];
    // Which rows they are is looked at when it is the directory's turn.
    if (before.length + rows.length > count) return protocolError(state, effects, `too many rows were pruned in ${id}`);
    before.push(...rows);
    state.waitingPruned.set(id, before);
    return;
  }
  if (!takePruned(state, dir, rows, effects)) return;
  if (dir.discarded) dir.children -= rows.length;
  else if (dir.difference !== undefined) leaveOut(state, dir, rows, effects);
  else return;
  finishIfIdle(state, dir, effects);
}

function takePruned(state: TargetState, dir: TargetDir, rows: Iterable<number>, effects: TargetEffect[]): boolean {
  for (const row of rows) {
    if (!takesChild(dir, row)) {
      protocolError(state, effects, `row ${row} of directory ${dir.id} was pruned, and is none or was offered`);
      return false;
    }
    if (!dir.discarded && dir.difference === undefined) dir.pruned.push(row);
  }
  return true;
}

/** What the target has under these names is extraneous. */
function leaveOut(state: TargetState, dir: TargetDir, rows: Iterable<number>, effects: TargetEffect[]): void {
  const { targetRows } = dir.difference!;
  const extraneous: number[] = [];
  let count = 0;
  for (const row of rows) {
    count++;
    if (targetRows[row]! >= 0) extraneous.push(targetRows[row]!);
  }
  dir.children -= count;
  if (state.pass === 1) countSkipped(state, "empty_directory", count);
  if (dir.target !== undefined) noteExtraneous(state, dir, dir.target, extraneous, effects);
}

function countDirectory(state: TargetState, dir: TargetDir, message: DirectoryMessage): void {
  if (state.pass > 1) return;
  const { counters } = state;
  counters.directoriesExamined++;
  for (const [reason, count] of skipEntries(message.skipped)) countSkipped(state, reason, count);
  const { source } = dir;
  let directories = 0;
  for (let row = 0; row < rowsWith(source, Kind.directory); row++)
    if (source.type(row) === FileType.directory) directories++;
  counters.entriesExamined += source.count;
  counters.filesExamined += source.count - directories;
  countKinds(counters, source);
}

/** Numbers for people, of columns: no object is made for a row. */
function countKinds(counters: Counters, source: EntryBatch): void {
  const isMixed = source.mayHave(Kind.symlink | Kind.special | Kind.directory);
  let bytes = 0;
  for (let row = 0; row < source.count; row++) {
    switch (isMixed ? source.type(row) : FileType.regular) {
      case FileType.regular:
        bytes += source.size(row);
        break;
      case FileType.directory:
        break;
      case FileType.symlink:
        counters.symlinksExamined++;
        break;
      default:
        counters.specialsExamined++;
    }
  }
  counters.bytesExamined += bytes;
}

/** Nothing is done here and below, but what follows below still has to be received. */
function discard(state: TargetState, dir: TargetDir, effects: TargetEffect[]): void {
  dir.discarded = true;
  for (let row = 0; row < rowsWith(dir.source, Kind.directory); row++)
    if (isSubdirectory(dir.source, row)) dir.children++;
  dir.children -= dir.pruned.length;
  dir.pending++; // held: the last child that waited would finish it, and then it would be finished again
  admitWaiting(state, dir, effects);
  dir.pending--;
  finishIfIdle(state, dir, effects);
}

function admitWaiting(state: TargetState, dir: TargetDir, effects: TargetEffect[]): void {
  const waiting = state.waiting.get(dir.id);
  if (waiting === undefined) return;
  state.waiting.delete(dir.id);
  for (const message of waiting) {
    state.waitingIds.delete(message.id);
    enterDirectory(state, dir, message, effects);
  }
}

export function onOpened(state: TargetState, dir: TargetDir, batch: EntryBatch, effects: TargetEffect[]): void {
  dir.pending--;
  dir.target = batch;
  dir.handle = batch.dirfd;
  if (batch.dirfd < 0 && !(touchesNothing(state) && batch.status === 0)) {
    const operation = dir.created ? "make directory" : "open directory";
    const message = batch.status === -E.EXIST ? NAME_IS_TAKEN : undefined;
    recordTargetFailure(state, pathOf(dir), operation, batch.status, effects, message);
    discard(state, dir, effects);
    return;
  }
  if (batch.status !== 0) recordTargetFailure(state, pathOf(dir), "read directory", batch.status, effects);
  dir.created = (batch.flags & BatchFlag.created) !== 0;
  dir.madeWritable = (batch.flags & BatchFlag.madeWritable) !== 0;
  directoryReady(state, dir, dir.created ? undefined : batch, effects);
}

/** It is known now which of the target's names are the source's in another spelling. */
export function onRespelled(
  state: TargetState,
  dir: TargetDir,
  batch: EntryBatch | undefined,
  effects: TargetEffect[],
): void {
  dir.pending--;
  if (batch !== undefined) dir.target = batch;
  directoryReady(state, dir, dir.target, effects, true);
}

/** The counterpart is open, or known not to exist: compare, ask, admit the children. */
function directoryReady(
  state: TargetState,
  dir: TargetDir,
  target: EntryBatch | undefined,
  effects: TargetEffect[],
  isSpelled = false,
): void {
  const { source } = dir;
  // In a second pass the deletions are over: what still stands in the way is an error of its own.
  const rules = state.pass > 1 ? { ...state.rules, deletes: false } : state.rules;
  const difference = compareDirectory(rules, source, target ?? null, state.loops);
  const guesses = target === undefined || isSpelled ? [] : guessSpellings(source, target, difference);
  if (guesses.length > 0) {
    dir.pending++;
    effects.push({ kind: "respell", dir, guesses });
    return;
  }
  dir.difference = difference;
  dir.children = difference.subdirectories;
  dir.pending++; // held until all needs of this directory are counted
  if (target !== undefined && state.pass === 1) state.targetEntries += target.count;
  if (state.pass === 1) {
    countSkipped(state, "existing", difference.skippedExisting);
    countSkipped(state, "newer", difference.skippedNewer);
    countSkipped(state, "missing_in_target", difference.skippedMissing);
  }
  compareSelf(state, dir, target, effects);
  askForRows(state, dir, effects);
  if (target !== undefined) {
    const { extraneous } = difference;
    // A directory where a file belongs has to go like an extraneous one.
    if (state.conflicts > 0)
      for (let row = 0; row < difference.states.length; row++)
        if (difference.states[row] === RowState.conflict) extraneous.push(difference.targetRows[row]!);
    noteExtraneous(state, dir, target, extraneous, effects);
  }
  leaveOut(state, dir, dir.pruned, effects);
  admitWaiting(state, dir, effects);
  dir.pending--;
  finishIfIdle(state, dir, effects);
}

function compareSelf(
  state: TargetState,
  dir: TargetDir,
  target: EntryBatch | undefined,
  effects: TargetEffect[],
): void {
  const { source } = dir;
  const isKnown = source.rowStatus(source.self) === 0;
  // The root of a run with several sources has no metadata. Any other's could not be read, and was named for it.
  if (!isKnown && dir.parent === undefined) return;
  if (!isKnown) dir.lacksAttributes = true;
  const carries = isKnown && carriesAttributes(source, source.self);
  if (dir.created || target === undefined) {
    dir.created = true;
    state.counters.directoriesCreated++;
    if (!isKnown) return;
    reportRows(state, dir, state.options.verb === "check" ? "differ" : "create", [source.self], effects, ["missing"]);
    // What it inherited from a default ACL above goes, unless the source has the like.
    const made = dir.target;
    const inherited = made !== undefined && carriesAttributes(made, made.self);
    if (dir.handle >= 0 && (carries || inherited))
      need(state, dir, Uint32Array.of(source.self), "attributes", "self", effects);
    return;
  }
  if (!isKnown) return;
  const bits = metadataDifference(state.rules, source, source.self, target, target.self);
  dir.selfDifference = bits;
  if (bits === 0) return;
  if (touchesNothing(state)) {
    if (state.options.verb !== "check") return; // said at its end, see `isRepair`
    state.counters.repaired++;
    reportRows(state, dir, "differ", [source.self], effects, [differenceWords(bits)]);
  } else if (carries || (bits & Difference.attributes) !== 0)
    need(state, dir, Uint32Array.of(source.self), "attributes", "self", effects);
}

/** Sorts the rows by what has to happen and asks for it. */
function askForRows(state: TargetState, dir: TargetDir, effects: TargetEffect[]): void {
  const { source } = dir;
  const { states, targetRows } = dir.difference!;
  const content: number[] = [];
  const repairs: number[] = [];
  const digests: number[] = [];
  const keepsLinks = state.options.preserve.hardLinks;
  const isMove = state.options.verb === "move";
  // All of nearly every directory of nearly every run.
  const isSame = dir.difference!.unchanged === source.count;
  let unchanged = isSame && !isMove && !(keepsLinks && source.mayHave(Kind.linked)) ? source.count : 0;
  for (let row = unchanged; row < source.count; row++) {
    // Nearly every row of nearly every run.
    if (states[row] === RowState.unchanged && !isMove && !(keepsLinks && source.nlink(row) > 1)) {
      unchanged++;
      continue;
    }
    const isShared = keepsLinks && source.nlink(row) > 1 && source.type(row) !== FileType.directory;
    if (states[row] === RowState.repair && hasForeignNames(state, dir, row)) states[row] = RowState.update;
    const verdict = states[row]!;
    if (isShared && verdict <= RowState.digest && joinHardLinks(state, dir, row, verdict, effects)) continue;
    switch (verdict) {
      case RowState.create:
      case RowState.update:
        content.push(row);
        break;
      case RowState.repair:
        repairs.push(row);
        break;
      case RowState.digest:
        digests.push(row);
        break;
      case RowState.conflict:
        state.conflicts++;
        if (touchesNothing(state)) content.push(row);
        break;
      case RowState.unchanged:
        unchanged++;
        if (isSameInode(state, dir, row, targetRows[row]!)) {
          if (state.options.verb === "move")
            recordTargetFailure(state, joinRow(dir, row), "move", -16, effects, "source and target are the same file");
        } else dir.receipts.push(row);
        break;
      case RowState.failed:
        state.sourceIncomplete = true;
        break;
      default:
        break;
    }
  }
  if (state.pass === 1) state.counters.unchanged += unchanged;
  for (let from = 0; from < digests.length; from += LIMITS.needRows)
    need(state, dir, Uint32Array.from(digests.slice(from, from + LIMITS.needRows)), "digest", "direct", effects);
  transfer(state, dir, content, effects);
  repair(state, dir, repairs, effects);
}

/** Names that only the target has: swept, protected, or noted for the deletion at the end. */
function noteExtraneous(
  state: TargetState,
  dir: TargetDir,
  target: EntryBatch,
  extraneous: readonly number[],
  effects: TargetEffect[],
): void {
  if (extraneous.length === 0) return;
  const sweep: number[] = [];
  const directories: number[] = [];
  const gone: number[] = [];
  const isCheck = state.options.verb === "check";
  const applies =
    (state.options.delete.enabled || isCheck) &&
    dir.owned &&
    dir.entered &&
    dir.source.status === 0 &&
    target.status === 0;
  let mounts = 0;
  let kept = 0;
  for (const row of extraneous) {
    if (isTemporaryName(target, row)) {
      if (isPartName(target, row) && hasLargeFile(dir.source)) dir.parts.push(row);
      else sweep.push(row);
      continue;
    }
    if (!applies || state.pass > 1) continue;
    if (!dir.filter.isEmpty && dir.filter.decide(target, row, "target") !== Decision.include) {
      kept++;
      continue;
    }
    if ((target.rowFlags(row) & RowFlag.mount) !== 0) {
      mounts++;
      continue;
    }
    if (isKept(state, target, row)) continue;
    if (target.type(row) === FileType.directory && !isCheck) directories.push(row);
    else gone.push(row);
  }
  countSkipped(state, "protected", kept);
  countSkipped(state, "mount_in_target", mounts);
  state.targetEntries -= sweep.length + dir.parts.length;
  if (isCheck) {
    if (gone.length > 0) {
      state.counters.deleted += gone.length;
      if (state.wantsItems) {
        effects.push({
          kind: "report",
          event: {
            kind: "items",
            action: "differ",
            directory: pathOf(dir),
            batch: target,
            rows: gone,
            reasons: gone.map(() => "extra"),
          },
        });
      }
    }
    return;
  }
  if (sweep.length > 0 && touchesNothing(state)) dir.touched = true;
  else if (sweep.length > 0) {
    dir.pending++;
    effects.push({ kind: "sweep", dir, rows: sweep });
  }
  if (directories.length > 0) {
    dir.pending++;
    effects.push({ kind: "collect", dir, rows: directories });
  }
  noteRecord(state, dir, target, gone);
}

/** Rows to look through for one of these kinds: none where there is none. */
function rowsWith(batch: EntryBatch, kinds: number): number {
  return batch.mayHave(kinds) ? batch.count : 0;
}

/** Only a large file goes on from a part. */
function hasLargeFile(source: EntryBatch): boolean {
  for (let row = 0; row < source.count; row++)
    if (source.size(row) >= LIMITS.splitFileBytes && source.type(row) === FileType.regular) return true;
  return false;
}

/** What the run itself keeps in the target: its backups, its temporary directory. */
export function isKept(state: TargetState, listing: EntryBatch, row: number): boolean {
  const { backup } = state.options.write;
  if (backup !== undefined && backup.directory === undefined && backup.suffix.length > 0) {
    const name = listing.name(row);
    if (
      name.length > backup.suffix.length &&
      equalBytes(name.subarray(name.length - backup.suffix.length), backup.suffix)
    )
      return true;
  }
  return (
    state.keptInodes.size > 0 &&
    state.keptInodes.has(`${listing.dev(row)}:${listing.inoHigh(row)}:${listing.inoLow(row)}`)
  );
}

function noteRecord(state: TargetState, dir: TargetDir, target: EntryBatch, rows: readonly number[]): void {
  if (rows.length === 0) return;
  const { source } = dir;
  const known = source.rowStatus(source.self) === 0 && state.options.preserve.times && state.options.preserve.dirTimes;
  const record: ExtraneousRecord = {
    path: pathOf(dir),
    names: rows.map((row) => target.name(row).slice()),
    directories: rows.map((row) => target.type(row) === FileType.directory),
    restore: known ? { mtimeSec: source.mtimeSec(source.self), mtimeNsec: source.mtimeNsec(source.self) } : undefined,
  };
  state.extraneous.push(record);
  state.extraneousEntries += rows.length;
}

export function onCollected(state: TargetState, dir: TargetDir, collected: Collected, effects: TargetEffect[]): void {
  dir.pending--;
  for (const record of collected.records) state.extraneous.push(record); // a spread of a million is too many arguments
  state.extraneousEntries += collected.entries;
  state.targetEntries += collected.entries + collected.protectedEntries;
  countSkipped(state, "protected", collected.protectedEntries);
  countSkipped(state, "mount_in_target", collected.mounts);
  for (const failure of collected.failures)
    recordTargetFailure(state, failure.path, failure.operation, -failure.errno, effects);
  if (dir.target !== undefined) noteRecord(state, dir, dir.target, collected.deletable);
  finishIfIdle(state, dir, effects);
}
