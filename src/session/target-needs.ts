/** What the target role asks for: content and attributes of rows, planned as tasks; or what a run that touches nothing would. */
import { RowState } from "../compare/compare-directory.ts";
import { describeDifference, differenceWords } from "../compare/rules.ts";
import { type EntryBatch, FileType, RowFlag } from "../core/entry-batch.ts";
import { NO_HANDLE, ROW_EXISTS } from "../fs/backend.ts";
import type { TaskKind } from "../plan/planner.ts";
import type { NeedPurpose } from "./messages.ts";
import { recordTargetFailure, reportRows } from "./target-report.ts";
import { BARE, pathOf, type TargetDir, type TargetEffect, type TargetState, touchesNothing } from "./target-state.ts";

/** Entries of one request for metadata. */
const REPAIR_ROWS = 512;

/** It has extended attributes or ACLs, or nobody could tell. */
export function carriesAttributes(batch: EntryBatch, row: number): boolean {
  return batch.attrLow(row) !== 0 || batch.attrHigh(row) !== 0 || (batch.rowFlags(row) & RowFlag.attrFailed) !== 0;
}

export function need(
  state: TargetState,
  dir: TargetDir,
  rows: Uint32Array,
  purpose: NeedPurpose,
  task: TaskKind | "self",
  effects: TargetEffect[],
): void {
  const id = state.nextNeed++;
  if (state.payload === "streams" && purpose !== "digest") {
    // Asked for when there is room for the answer.
    if (task === "self") {
      dir.selfNeed = carriesAttributes(dir.source, dir.source.self) ? id : BARE;
      return;
    }
    dir.pending++;
    if (purpose === "attributes") effects.push({ kind: "repair", dir, source: NO_HANDLE, need: id, rows });
    else effects.push({ kind: "copy", dir, source: NO_HANDLE, need: id, rows, task });
    return;
  }
  dir.pending++;
  state.needs.set(id, { dir, rows, purpose, task, own: undefined, theirs: undefined });
  effects.push({ kind: "send", message: { kind: "need", need: id, dir: dir.id, rows, purpose } });
  if (purpose === "digest") {
    state.counters.bytesToCompare += sizesOf(dir, rows);
    const targetRows = Uint32Array.from(rows, (row) => dir.difference!.targetRows[row]!);
    effects.push({ kind: "digest", need: id, dir, rows: targetRows });
  }
}

export function sizesOf({ source }: TargetDir, rows: Uint32Array): number {
  let bytes = 0;
  for (let i = 0; i < rows.length; i++) bytes += source.size(rows[i]!);
  return bytes;
}

/** Content for these rows: plan tasks and ask for each. */
export function transfer(state: TargetState, dir: TargetDir, rows: readonly number[], effects: TargetEffect[]): void {
  if (rows.length === 0) return;
  const { source, target } = dir;
  const { states, targetRows } = dir.difference!;
  const { counters } = state;
  const usable: number[] = [];
  for (const row of rows) {
    if (target !== undefined && isSameInode(state, dir, row, targetRows[row]!) && !state.options.copyLinks) {
      recordTargetFailure(state, joinRow(dir, row), "copy", -16, effects, "source and target are the same file");
      continue;
    }
    usable.push(row);
    counters.filesToTransfer++;
    if (source.type(row) === FileType.regular) counters.bytesToTransfer += source.size(row);
  }
  if (touchesNothing(state)) {
    previewTransfer(state, dir, usable, effects);
    return;
  }
  // Not `from`: it makes an object of each element.
  const flagged = new Uint32Array(usable);
  for (let i = 0; i < flagged.length; i++) {
    const row = flagged[i]!;
    if (targetRows[row]! >= 0 || states[row] === RowState.conflict) flagged[i] = row | ROW_EXISTS;
  }
  for (const task of state.planner.plan(source, flagged)) {
    need(
      state,
      dir,
      task.rows.map((row) => row & 0x7fffffff),
      "content",
      task.kind,
      effects,
    );
  }
}

function previewTransfer(state: TargetState, dir: TargetDir, rows: readonly number[], effects: TargetEffect[]): void {
  const { source } = dir;
  const { states, targetRows } = dir.difference!;
  const { counters } = state;
  const isCheck = state.options.verb === "check";
  // What a directory blocks is made in a second pass: the directory is deleted, and this one is done, before that.
  const isNew = (row: number): boolean => targetRows[row]! < 0 || (states[row] === RowState.conflict && !isCheck);
  const created = rows.filter(isNew);
  const updated = rows.filter((row) => !isNew(row));
  if (rows.some((row) => states[row] !== RowState.conflict)) dir.touched = true;
  if (!isCheck) {
    counters.created += created.length;
    counters.updated += updated.length;
    counters.filesTransferred += rows.length;
    for (const row of rows) if (source.type(row) === FileType.regular) counters.bytesLogical += source.size(row);
  } else counters.updated += rows.length;
  reportRows(
    state,
    dir,
    isCheck ? "differ" : "create",
    created,
    effects,
    created.map(() => "missing"),
  );
  reportRows(state, dir, isCheck ? "differ" : "update", updated, effects, reasonsOf(state, dir, updated));
}

export function repair(state: TargetState, dir: TargetDir, rows: readonly number[], effects: TargetEffect[]): void {
  if (rows.length === 0) return;
  if (!touchesNothing(state)) {
    const { source } = dir;
    const carries = (row: number): boolean => carriesAttributes(source, row);
    // What carries no attributes needs nothing of the source.
    const bare = state.payload === "streams" ? rows.filter((row) => !carries(row)) : [];
    const asked = bare.length === 0 ? rows : rows.filter(carries);
    for (let from = 0; from < bare.length; from += REPAIR_ROWS) {
      dir.pending++;
      const slice = Uint32Array.from(bare.slice(from, from + REPAIR_ROWS));
      effects.push({ kind: "repair", dir, source: NO_HANDLE, need: 0, rows: slice });
    }
    for (let from = 0; from < asked.length; from += REPAIR_ROWS)
      need(state, dir, Uint32Array.from(asked.slice(from, from + REPAIR_ROWS)), "attributes", "direct", effects);
    return;
  }
  state.counters.repaired += rows.length;
  const action = state.options.verb === "check" ? "differ" : "repair";
  reportRows(state, dir, action, rows, effects, reasonsOf(state, dir, rows));
}

/** Why each of these rows is created, updated or repaired. */
export function reasonsOf(state: TargetState, dir: TargetDir, rows: readonly number[]): string[] {
  const { source, target } = dir;
  return rows.map((row) => {
    const targetRow = dir.difference!.targetRows[row]!;
    if (target === undefined || targetRow < 0) return "missing";
    // Nothing that a listing shows: a digest or --ignore-times decided.
    return differenceWords(describeDifference(state.rules, source, row, target, targetRow)) || "content";
  });
}

/** One inode under both names: unlinking the source of a move would be unlinking the target. */
export function isSameInode(state: TargetState, dir: TargetDir, row: number, targetRow: number): boolean {
  const { source, target } = dir;
  if (!state.sharesInodes || target === undefined || targetRow < 0) return false;
  return (
    source.dev(row) === target.dev(targetRow) &&
    source.inoLow(row) === target.inoLow(targetRow) &&
    source.inoHigh(row) === target.inoHigh(targetRow)
  );
}

export function joinRow(dir: TargetDir, row: number): Uint8Array {
  const directory = pathOf(dir);
  const name = dir.source.name(row);
  const path = new Uint8Array(directory.length + (directory.length > 0 ? 1 : 0) + name.length);
  path.set(directory);
  if (directory.length > 0) path[directory.length] = 0x2f;
  path.set(name, path.length - name.length);
  return path;
}
