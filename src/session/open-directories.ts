/** How many directories a side may hold open at a time, and which of a source's will be closed without another offer. */
import { LIMITS } from "../core/limits.ts";
import { freeDescriptors } from "../fs/descriptors.ts";

/**
 * `each`: descriptors of one. The other half is for files, walks of extraneous trees, streams, and directories that are
 * being closed. At least 1.
 */
export function directoriesThatFit(each: number): number {
  return Math.max(1, Math.floor(freeDescriptors() / 2 / each));
}

/** Directories that the target of a move makes durable at a time: few enough of those that both sides may hold open. */
export function flushDirectories(openDirectories: number): number {
  return Math.max(1, Math.min(LIMITS.moveFlushDirectories, Math.floor(openDirectories / 4)));
}

interface Above<Id> {
  readonly parent: Id;
  /** Its directories that are still to be offered, and those that are open and not offered to their end. */
  unoffered: number;
  unfinished: number;
}

/**
 * Open directories of a source below which everything was offered: the target releases them, whatever else comes or does
 * not.
 */
export class OfferedWhole<Id> {
  count = 0;
  private readonly open: ReadonlyMap<Id, Above<Id>>;

  constructor(open: ReadonlyMap<Id, Above<Id>>) {
    this.open = open;
  }

  /** `directory` was offered; `unoffered` of it are to follow. */
  offered(directory: Above<Id>, unoffered: number): void {
    const above = this.open.get(directory.parent);
    if (above !== undefined) {
      above.unoffered--;
      above.unfinished++;
    }
    directory.unoffered = unoffered;
    for (let done: Above<Id> | undefined = directory; done?.unoffered === 0 && done.unfinished === 0; ) {
      this.count++;
      done = this.open.get(done.parent);
      if (done !== undefined) done.unfinished--;
    }
  }

  released(): void {
    this.count--;
  }
}
