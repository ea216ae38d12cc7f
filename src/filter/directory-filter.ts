/**
 * One directory's part of the filter.
 *
 *     decide(entry, side)
 *       not on the list of --files-from nor below a listed directory: notListed
 *       only a parent of a listed path: included whatever the rules say (source), never deleted (target)
 *       first rule that matches: excluded, or go on
 *       a regular file of the source outside the limits: size or age
 *       else: include
 */
import { type EntryBatch, FileType } from "../core/entry-batch.ts";
import { printable } from "../core/paths.ts";
import { Decision, type DirectoryFilter, type Side } from "./filter.ts";
import type { PathText } from "./path-text.ts";
import type { RuleState } from "./rule-state.ts";
import type { Range, Selection } from "./selection.ts";

const SLASH = 0x2f;

/** Bounds on regular files; absent ones are infinite. */
export interface Limits {
  readonly minSize: number;
  readonly maxSize: number;
  readonly modifiedAfter: number;
  readonly modifiedBefore: number;
}

/** What all directories of a run share. */
export interface RunParts {
  readonly limits: Limits | undefined;
  readonly selection: Selection | undefined;
  readonly sourcePath: PathText;
  readonly targetPath: PathText;
}

export class FilteredDirectory implements DirectoryFilter {
  readonly isEmpty: boolean;
  private readonly run: RunParts;
  private readonly rules: RuleState;
  private readonly range: Range | undefined;
  /** From the root of the run, with a trailing slash; empty for the root. */
  private readonly path: Uint8Array;
  private readonly depth: number;
  private readonly isDoomed: boolean;

  constructor(
    run: RunParts,
    rules: RuleState,
    range: Range | undefined,
    path: Uint8Array,
    depth: number,
    isDoomed: boolean,
  ) {
    this.run = run;
    this.rules = rules;
    // Where everything is selected and no listed path is left to be seen, the list has nothing more to say.
    this.range = range?.all && range.from === range.to ? undefined : range;
    this.path = path;
    this.depth = depth;
    this.isDoomed = isDoomed;
    this.isEmpty = rules.isEmpty && this.range === undefined && run.limits === undefined;
  }

  enter(name: Uint8Array): FilteredDirectory {
    if (this.isEmpty) return this;
    const path = new Uint8Array(this.path.length + name.length + 1);
    path.set(this.path);
    path.set(name, this.path.length);
    path[path.length - 1] = SLASH;
    const range = this.range === undefined ? undefined : this.run.selection!.enter(this.range, name);
    return new FilteredDirectory(this.run, this.rules.child, range, path, this.depth + 1, this.isDoomed);
  }

  doomed(): FilteredDirectory {
    if (this.isDoomed || this.isEmpty) return this;
    return new FilteredDirectory(this.run, this.rules, this.range, this.path, this.depth, true);
  }

  perDirectoryFiles(): readonly Uint8Array[] {
    return this.rules.wanted;
  }

  withMerged(fileName: Uint8Array, text: Uint8Array): FilteredDirectory {
    const where = printable(this.path) + printable(fileName);
    const rules = this.rules.merged(fileName, text, { length: this.path.length, depth: this.depth }, where);
    if (rules === this.rules) return this;
    return new FilteredDirectory(this.run, rules, this.range, this.path, this.depth, this.isDoomed);
  }

  decide(batch: EntryBatch, row: number, side: Side): Decision {
    const { run, range } = this;
    const bytes = batch.bytes;
    const at = batch.nameAt(row);
    const length = batch.nameLength(row);
    const type = batch.type(row);
    if (range !== undefined) {
      const path = run.selection!.find(range, bytes, at, length);
      const isListed = path >= 0 && run.selection!.isListed(path, range, length);
      if (isListed && side === "source") run.selection!.markSeen(path);
      if (!isListed && !range.all) {
        const isParent = path >= 0 && type === FileType.directory && side === "source";
        return isParent ? Decision.include : Decision.notListed;
      }
    }
    if (this.isRuledOut(bytes, at, length, type === FileType.directory, side)) {
      if (range !== undefined && side === "source") run.selection!.markBelow(range, bytes, at, length);
      return Decision.excluded;
    }
    if (run.limits !== undefined && side === "source" && type === FileType.regular)
      return limitDecision(run.limits, batch, row);
    return Decision.include;
  }

  private isRuledOut(bytes: Uint8Array, at: number, length: number, isDirectory: boolean, side: Side): boolean {
    const blocks = this.rules.blocks;
    if (blocks.length === 0) return false;
    const path = side === "source" ? this.run.sourcePath : this.run.targetPath;
    path.point(this.path, bytes, at, length);
    for (let i = 0; i < blocks.length; i++) {
      const rule = blocks[i]!.find(bytes, at, length, this.depth, isDirectory, side, this.isDoomed, path);
      if (rule !== undefined) {
        rule.used = true;
        return !rule.include;
      }
    }
    return false;
  }
}

function limitDecision(limits: Limits, batch: EntryBatch, row: number): Decision {
  const size = batch.size(row);
  if (size < limits.minSize || size > limits.maxSize) return Decision.size;
  const modified = batch.mtimeSec(row) + batch.mtimeNsec(row) / 1e9;
  if (modified < limits.modifiedAfter || modified > limits.modifiedBefore) return Decision.age;
  return Decision.include;
}
