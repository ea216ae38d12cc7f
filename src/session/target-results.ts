/** What comes back from the work: counted, reported, and turned into the next step. */
import { RowState } from "../compare/compare-directory.ts";
import { differenceWords, metadataDifference } from "../compare/rules.ts";
import { FileType } from "../core/entry-batch.ts";
import { E, errnoName, errnoText, failureCode, LINK_LEADS_OUT, NAME_IS_TAKEN } from "../core/errno.ts";
import { LIMITS } from "../core/limits.ts";
import { equalBytes } from "../core/paths.ts";
import { ItemFlag, type ItemResults, METHODS, STAGES, Warning } from "../fs/backend.ts";
import type { Content } from "./messages.ts";
import { followerLinked, hasForeignNames, leaderDecided, leaderEnded } from "./target-links.ts";
import { need, reasonsOf, repair, sizesOf, transfer } from "./target-needs.ts";
import { finishIfIdle, isRepair } from "./target-release.ts";
import { protocolError, recordFailure, recordTargetFailure, reportRows } from "./target-report.ts";
import {
  addTo,
  rowPath,
  type TargetDir,
  type TargetEffect,
  type TargetEvent,
  type TargetState,
} from "./target-state.ts";

const SOURCE_STAGES: ReadonlySet<string> = new Set(["open", "read"]);
/** The target's filesystem has no hard links, or no more of this file. */
const NO_LINKS: ReadonlySet<number> = new Set([E.PERM, E.XDEV, E.MLINK, E.NOSYS, E.OPNOTSUPP]);

export function onContent(state: TargetState, id: number, content: Content, effects: TargetEffect[]): void {
  const need = state.needs.get(id);
  if (need === undefined) return protocolError(state, effects, `content for need ${id}, which is not open`);
  const { dir } = need;
  if (need.task === "self") {
    state.needs.delete(id);
    dir.selfContent = content;
    dir.pending--;
    finishIfIdle(state, dir, effects);
    return;
  }
  state.needs.delete(id);
  dir.pending += content.parts.length - 1;
  for (const part of content.parts) {
    const { handle: source, rows } = part;
    if (need.purpose === "attributes") effects.push({ kind: "repair", dir, source, need: 0, rows });
    else effects.push({ kind: "copy", dir, source, need: 0, rows, task: need.task });
  }
}

export function onCopied(
  state: TargetState,
  event: Extract<TargetEvent, { kind: "copied" }>,
  effects: TargetEffect[],
): void {
  const { dir, rows, results } = event;
  const { source } = dir;
  const { targetRows } = dir.difference!;
  const { counters } = state;
  const created: number[] = [];
  const updated: number[] = [];
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    const status = results.status(i);
    noteRefused(state, results, i);
    if (status !== 0) {
      itemFailed(state, dir, row, results, i, effects);
      leaderEnded(state, dir, row, "failed", effects);
      // What was made of it under another name came and went in the directory.
      dir.touched = true;
      continue;
    }
    counters.filesTransferred++;
    if (source.type(row) === FileType.regular) {
      addTo(state.methods, METHODS[results.method(i)] ?? "none", 1);
      counters.bytesLogical += results.size(i);
      // A large file's bytes were counted range by range as they landed.
      if (event.task !== "large") counters.bytesTransferred += results.bytes(i);
    }
    const complete = isComplete(state, dir, row, results, i);
    if (complete) dir.receipts.push(row);
    if (targetRows[row]! >= 0 || (results.flags(i) & ItemFlag.replaced) !== 0) updated.push(row);
    else created.push(row);
    leaderEnded(state, dir, row, complete ? "complete" : "incomplete", effects);
  }
  if (created.length + updated.length > 0) dir.touched = true;
  counters.created += created.length;
  counters.updated += updated.length;
  reportRows(state, dir, "create", created, effects, whyOf(state, dir, created));
  reportRows(state, dir, "update", updated, effects, whyOf(state, dir, updated));
  results.release();
  dir.pending--;
  finishIfIdle(state, dir, effects);
}

export function onRepaired(
  state: TargetState,
  event: Extract<TargetEvent, { kind: "repaired" }>,
  effects: TargetEffect[],
): void {
  const { dir, rows, results } = event;
  const repaired: number[] = [];
  const self = dir.source.self;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    if (results.status(i) !== 0) {
      itemFailed(state, dir, row, results, i, effects);
      if (row === self) dir.lacksAttributes = true;
      else leaderEnded(state, dir, row, "failed", effects);
      continue;
    }
    const complete = isComplete(state, dir, row, results, i);
    if (row === self) {
      if (!complete) dir.lacksAttributes = true;
      if (isRepair(dir)) repaired.push(row);
      continue;
    }
    repaired.push(row);
    if (complete) dir.receipts.push(row);
    leaderEnded(state, dir, row, complete ? "complete" : "incomplete", effects);
  }
  state.counters.repaired += repaired.length;
  reportRows(state, dir, "repair", repaired, effects, whyOf(state, dir, repaired));
  results.release();
  if (rows[0] !== self) {
    dir.pending--;
    finishIfIdle(state, dir, effects);
  }
}

export function onLinked(
  state: TargetState,
  event: Extract<TargetEvent, { kind: "linked" }>,
  effects: TargetEffect[],
): void {
  const { dir, row, status } = event;
  if (status === 0) {
    state.counters.linked++;
    dir.touched = true;
    followerLinked(state, dir, row);
    reportRows(state, dir, "link", [row], effects, state.wantsReasons ? ["link"] : undefined);
  } else if (NO_LINKS.has(-status)) {
    // This filesystem cannot link (or no further): a copy of its own keeps the data.
    addTo(state.skipped, "hard_link_copied", 1);
    copyInstead(state, dir, row, effects);
  } else {
    const message = status === -E.EXIST ? NAME_IS_TAKEN : undefined;
    recordTargetFailure(state, rowPath(dir, row), "link", status, effects, message);
  }
  dir.pending--;
  finishIfIdle(state, dir, effects);
}

/** A name that cannot be linked to its leader is handled like any file: an earlier run may have copied it. */
function copyInstead(state: TargetState, dir: TargetDir, row: number, effects: TargetEffect[]): void {
  const { states } = dir.difference!;
  switch (states[row]) {
    case RowState.unchanged:
      if (state.pass === 1) state.counters.unchanged++;
      dir.receipts.push(row);
      return;
    case RowState.repair:
      return repair(state, dir, [row], effects);
    case RowState.digest:
      return need(state, dir, Uint32Array.of(row), "digest", "direct", effects);
    default:
      states[row] = RowState.update;
      transfer(state, dir, [row], effects);
  }
}

export function onDigested(
  state: TargetState,
  id: number,
  digests: readonly (Uint8Array | undefined)[],
  side: "own" | "theirs",
  effects: TargetEffect[],
): void {
  const need = state.needs.get(id);
  if (need === undefined || digests.length !== need.rows.length) {
    return protocolError(state, effects, `digests for need ${id} do not answer it`);
  }
  if (side === "own") need.own = [...digests];
  else need.theirs = digests;
  if (need.own === undefined || need.theirs === undefined) return;
  state.needs.delete(id);
  const { dir } = need;
  state.counters.bytesCompared += sizesOf(dir, need.rows);
  const content: number[] = [];
  const repairs: number[] = [];
  for (let i = 0; i < need.rows.length; i++) {
    const row = need.rows[i]!;
    const own = need.own[i];
    const theirs = need.theirs[i];
    const same = own !== undefined && theirs !== undefined && equalBytes(own, theirs);
    const bits = metadataDifference(state.rules, dir.source, row, dir.target!, dir.difference!.targetRows[row]!);
    if (!same || (bits !== 0 && hasForeignNames(state, dir, row))) {
      content.push(row);
      leaderDecided(state, dir, row, "differs", effects);
      continue;
    }
    leaderDecided(state, dir, row, bits !== 0 ? "repair" : "same", effects);
    if (bits !== 0) repairs.push(row);
    else {
      if (state.pass === 1) state.counters.unchanged++;
      dir.receipts.push(row);
    }
  }
  for (const row of content) dir.difference!.states[row] = RowState.update;
  transfer(state, dir, content, effects);
  repair(state, dir, repairs, effects);
  dir.pending--;
  finishIfIdle(state, dir, effects);
}

function itemFailed(
  state: TargetState,
  dir: TargetDir,
  row: number,
  results: ItemResults,
  i: number,
  effects: TargetEffect[],
): void {
  const stage = STAGES[results.stage(i)] ?? "";
  const status = results.status(i);
  const side = SOURCE_STAGES.has(stage) ? "source" : "target";
  const path = rowPath(dir, row);
  if (side === "source" && status === -E.NOENT) {
    recordFailure(
      state,
      { code: "vanished", side, path, operation: stage, errno: E.NOENT, message: "vanished before it was copied" },
      effects,
    );
    return;
  }
  if (side === "source" && status === -E.XDEV) {
    // It led elsewhere when it was listed.
    recordFailure(
      state,
      { code: "permission", side, path, operation: "follow", errno: E.XDEV, message: LINK_LEADS_OUT },
      effects,
    );
    return;
  }
  const changed = (results.flags(i) & ItemFlag.changed) !== 0;
  const said = side === "target" && status === -E.EXIST ? NAME_IS_TAKEN : errnoText(status);
  recordFailure(
    state,
    {
      code: changed ? "changed_while_reading" : failureCode(status),
      side,
      path,
      operation: stage === "" ? "copy" : stage,
      errno: -status,
      message: changed ? "changed while it was read, twice; nothing was put in its place" : said,
    },
    effects,
  );
}

function noteRefused(state: TargetState, results: ItemResults, i: number): void {
  const refused = results.refused(i);
  if (refused === 0) return;
  const errno = results.refusedErrno(i);
  for (let method = 1; method < METHODS.length; method++) {
    if ((refused & (1 << method)) === 0) continue;
    const name = METHODS[method]!;
    const known = state.refused.get(name);
    state.refused.set(name, { errno: errno || (known?.errno ?? 0), files: (known?.files ?? 0) + 1 });
  }
}

/**
 * Notes the attributes that could not be applied. False when there are some, and nobody said that this is all right: a
 * move then keeps the source, which has them.
 */
function isComplete(state: TargetState, dir: TargetDir, row: number, results: ItemResults, i: number): boolean {
  noteWarnings(state, dir, row, results, i);
  return results.warnings(i) === 0 || !state.options.strictAttrs;
}

const WARNING_WORDS = Object.entries(Warning);

function noteWarnings(state: TargetState, dir: TargetDir, row: number, results: ItemResults, i: number): void {
  const bits = results.warnings(i);
  if (bits === 0) return;
  state.counters.attributeWarnings++;
  const errno = results.warningErrno(i);
  for (const [attribute, bit] of WARNING_WORDS) {
    if ((bits & bit) === 0) continue;
    const key = `${attribute} ${errnoName(errno)}`;
    let warning = state.warnings.get(key);
    if (warning === undefined) {
      warning = { attribute, errno, entries: 0, examples: [] };
      state.warnings.set(key, warning);
    }
    warning.entries++;
    addExample(warning.examples, dir, row);
  }
}

/** A second pass may meet the same entry again: it is named once. */
function addExample(examples: Uint8Array[], dir: TargetDir, row: number): void {
  if (examples.length >= LIMITS.warningExamples) return;
  const path = rowPath(dir, row);
  if (!examples.some((known) => equalBytes(known, path))) examples.push(path.slice());
}

/** Reasons of rows that were done, only where they are wanted. */
function whyOf(state: TargetState, dir: TargetDir, rows: readonly number[]): string[] | undefined {
  if (!state.wantsItems || !state.wantsReasons) return undefined;
  // The directory itself is stamped alone, and was compared when it was opened.
  if (rows[0] === dir.source.self) return [differenceWords(dir.selfDifference)];
  return reasonsOf(state, dir, rows);
}
