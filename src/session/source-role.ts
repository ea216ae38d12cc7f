/**
 * The source role as a step function: (state, event) -> effects. It touches no file and no socket.
 *
 *     keep a stack of directories still to be offered, the next one on top (depth first: bounds what is open)
 *     while fewer than the limit are unsettled, and no more open than there are descriptors for: pop one, scan it
 *     scanned: send its listing; push its subdirectories in reverse order
 *     settled: room for another scan
 *     released: close it
 *     (--prune-empty-dirs: a directory of nothing but directories is held back until something is found below it; when
 *     nothing is, the target hears that its row came to nothing)
 *     stack empty and nothing being scanned: say "scanned", with whether every listing was whole
 */
import { type EntryBatch, Kind } from "../core/entry-batch.ts";
import { LIMITS } from "../core/limits.ts";
import { type DirId, PROTOCOL_VERSION, type TargetMessage } from "./messages.ts";
import { hasToStand, hold, offerAncestors, prune } from "./source-pruning.ts";
import {
  isSubdirectory,
  offer,
  type ScannedEvent,
  type SourceEffect,
  type SourceEvent,
  type SourceState,
} from "./source-state.ts";

/** Deletions make room once. */
const PASSES_MOST = 2;
/** Content, attributes and digests of a row may be asked for; a row of a large file by range. */
const UNANSWERED_PER_ENTRY = 4;

export function stepSource<Handle>(state: SourceState<Handle>, event: SourceEvent<Handle>): SourceEffect<Handle>[] {
  if (state.phase === "failed" || state.phase === "closed") return [];
  const effects: SourceEffect<Handle>[] = [];
  switch (event.kind) {
    case "start":
      effects.push({
        kind: "send",
        message: { kind: "hello", protocolMin: PROTOCOL_VERSION, protocolMax: PROTOCOL_VERSION },
      });
      break;
    case "message":
      onMessage(state, event.message, effects);
      break;
    case "scanned":
      onScanned(state, event, effects);
      break;
    case "answered":
      state.unansweredRows -= state.answering.get(event.need) ?? 0;
      state.answering.delete(event.need);
      if (event.message !== undefined) effects.push({ kind: "send", message: event.message });
      break;
    case "removed":
      state.removing--;
      state.sourcesRemoved += event.count;
      break;
    case "widen":
      state.directoriesMost = state.window.directories;
      break;
    case "stop":
      // What was offered is finished; nothing new is, whatever room the window has or will get. An interrupted scan
      // proves no absence.
      state.isStopped = true;
      state.stack.length = 0;
      state.complete = false;
      state.held.clear();
      break;
  }
  pump(state, effects);
  return effects;
}

function fail<Handle>(state: SourceState<Handle>, effects: SourceEffect<Handle>[], reason: string): void {
  state.phase = "failed";
  effects.push({ kind: "protocol-error", reason });
}

function onMessage<Handle>(state: SourceState<Handle>, message: TargetMessage, effects: SourceEffect<Handle>[]): void {
  switch (message.kind) {
    case "hello":
      if (state.phase !== "hello") return fail(state, effects, "a second hello");
      if (message.protocolMin > PROTOCOL_VERSION || message.protocolMax < PROTOCOL_VERSION) {
        return fail(
          state,
          effects,
          `the target speaks protocol ${message.protocolMin}..${message.protocolMax}, this side ${PROTOCOL_VERSION}`,
        );
      }
      beginPass(state);
      return;
    case "need": {
      const directory = state.open.get(message.dir);
      if (directory === undefined || (directory.settled && !isAboutItself(directory.scanned.listing, message)))
        return fail(state, effects, `a need in directory ${message.dir}, which is not open`);
      const { listing } = directory.scanned;
      for (let i = 0; i < message.rows.length; i++) {
        const row = message.rows[i]!;
        if (row > listing.count) return fail(state, effects, `a need for row ${row} of ${listing.count}`);
      }
      state.directoriesMost = state.window.directories;
      const { need, rows, purpose, range } = message;
      const isLarge = purpose === "range" || purpose === "commit";
      if ((isLarge && rows.length !== 1) || (purpose === "range") !== (range !== undefined))
        return fail(state, effects, `need ${need} does not say what it wants`);
      if (state.finishing || state.answering.has(need)) return fail(state, effects, `need ${need} out of turn`);
      state.answering.set(need, rows.length);
      state.unansweredRows += rows.length;
      // In an orderly session a row waits for little more than its content: what is kept for a peer is bounded by what
      // is open anyway.
      if (
        state.answering.size > LIMITS.unansweredNeeds ||
        state.unansweredRows > LIMITS.unansweredNeeds + UNANSWERED_PER_ENTRY * state.openEntries
      )
        return fail(state, effects, `${state.answering.size} needs at a time`);
      if (purpose === "digest") effects.push({ kind: "digest", need, directory: directory.scanned, rows });
      else effects.push({ kind: "content", need, directory: directory.scanned, rows, purpose, range });
      return;
    }
    case "settled": {
      const directory = state.open.get(message.dir);
      if (directory === undefined || directory.settled)
        return fail(state, effects, `directory ${message.dir} settled twice`);
      directory.settled = true;
      if (directory.parent !== -1) state.directoriesMost = state.window.directories;
      state.unsettledDirectories--;
      state.unsettledEntries -= directory.scanned.listing.count;
      return;
    }
    case "receipts": {
      const directory = state.open.get(message.dir);
      if (directory === undefined || !state.removesSources)
        return fail(state, effects, `receipts for directory ${message.dir} out of turn`);
      const { count } = directory.scanned.listing;
      directory.receipts += message.rows.length;
      if (directory.receipts > count + 1 || message.rows.some((row) => row > count))
        return fail(state, effects, `receipts for directory ${message.dir} that are not of its rows`);
      state.removing++;
      effects.push({ kind: "remove", directory: directory.scanned, rows: message.rows });
      return;
    }
    case "released": {
      const directory = state.open.get(message.dir);
      if (directory === undefined) return fail(state, effects, `directory ${message.dir} released twice`);
      if (!directory.settled) {
        state.unsettledDirectories--;
        state.unsettledEntries -= directory.scanned.listing.count;
      }
      state.open.delete(message.dir);
      if (!state.prunesEmpty) state.whole.released();
      state.openEntries -= directory.scanned.listing.count + 1;
      effects.push({ kind: "release", id: message.dir, directory: directory.scanned });
      return;
    }
    case "again":
      if (state.phase !== "offered" || state.finishing || state.pass >= PASSES_MOST)
        return fail(state, effects, "another pass was asked for before this one ended");
      state.pass++;
      beginPass(state);
      return;
    case "finished":
      if (state.finishing) return fail(state, effects, "finished twice");
      // Ahead of time when the target had to stop: what is still open is closed by the runner's end.
      state.finishing = true;
      state.stack.length = 0;
      return;
  }
}

/** A directory's own attributes are applied when everything below it is finished. */
function isAboutItself(listing: EntryBatch, message: Extract<TargetMessage, { kind: "need" }>): boolean {
  return message.purpose === "attributes" && message.rows.length === 1 && message.rows[0] === listing.self;
}

function beginPass<Handle>(state: SourceState<Handle>): void {
  state.phase = "offering";
  state.rootId = state.nextId++;
  state.entries = 0;
  state.stack.push({ id: state.rootId, parent: -1, parentRow: -1 });
}

function onScanned<Handle>(
  state: SourceState<Handle>,
  event: ScannedEvent<Handle>,
  effects: SourceEffect<Handle>[],
): void {
  const { directory, id } = event;
  const { listing } = directory;
  state.scanning--;
  if (listing.status !== 0 || directory.hidden) state.complete = false;
  // Its parent was held back when the stop came: the target does not know it.
  if (state.isStopped && event.parent >= 0 && !state.open.has(event.parent))
    return void effects.push({ kind: "release", id, directory });
  // A source that is given as an entry stands in the listing of its parent: it does not fill itself.
  if (directory.owned) state.entries += listing.count;
  if (state.prunesEmpty && !state.isStopped) {
    if (!hasToStand(event)) {
      if (listing.count === 0) return prune(state, event, effects);
      hold(state, event);
      return pushSubdirectories(state, id, listing);
    }
    offerAncestors(state, event.parent, effects);
  }
  offer(state, event, effects);
  if (!state.isStopped) pushSubdirectories(state, id, listing);
}

function pushSubdirectories<Handle>(state: SourceState<Handle>, id: DirId, listing: EntryBatch): void {
  for (let row = listing.mayHave(Kind.directory) ? listing.count - 1 : -1; row >= 0; row--) {
    if (isSubdirectory(listing, row)) state.stack.push({ id: state.nextId++, parent: id, parentRow: row });
  }
}

function hasRoom<Handle>(state: SourceState<Handle>): boolean {
  const { entries, open = Infinity, flush = LIMITS.moveFlushDirectories } = state.window;
  const unsettled = state.unsettledDirectories + state.scanning;
  // A directory whose entries are being removed is still held.
  const isFull = state.open.size + state.held.size + state.scanning + state.removing >= open;
  // What was offered whole is released without more, in a move when there is enough of it.
  if (isFull) return unsettled + state.removing === 0 && state.whole.count < (state.removesSources ? flush : 1);
  return unsettled === 0 || (unsettled < state.directoriesMost && state.unsettledEntries < entries);
}

function pump<Handle>(state: SourceState<Handle>, effects: SourceEffect<Handle>[]): void {
  if (state.phase === "offering") {
    while (state.stack.length > 0 && hasRoom(state)) {
      const next = state.stack.pop()!;
      const parent = state.open.get(next.parent)?.scanned ?? state.held.get(next.parent)?.directory;
      state.scanning++;
      effects.push({
        kind: "scan",
        id: next.id,
        parentId: next.parent,
        parent,
        parentRow: next.parentRow,
      });
    }
    if (state.stack.length === 0 && state.scanning === 0) {
      state.phase = "offered";
      effects.push({ kind: "describe-scan" });
    }
  }
  if (state.finishing && state.answering.size === 0 && state.removing === 0 && state.phase === "offered") {
    state.phase = "closed";
    effects.push({ kind: "finish" });
  }
}
