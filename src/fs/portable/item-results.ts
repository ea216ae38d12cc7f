import type { ItemResults } from "../backend.ts";

const NO_BYTES = new Uint8Array(0);

/** What became of one row. `doing` is the stage under way: where it stops, the failure is reported. */
export class Item {
  status = 0;
  doing = 0;
  method = 0;
  refused = 0;
  warnings = 0;
  warningErrno = 0;
  flags = 0;
  bytes = 0;
  size = 0;
  digest = NO_BYTES;

  /** `status`: a negative errno. */
  warn(bit: number, status: number): void {
    if (this.warnings === 0) this.warningErrno = -status;
    this.warnings |= bit;
  }

  /** Those of a temporary file that goes. */
  forgetWarnings(): void {
    this.warnings = 0;
    this.warningErrno = 0;
  }
}

export class PortableItemResults implements ItemResults {
  private readonly items: readonly Item[];
  constructor(items: readonly Item[]) {
    this.items = items;
  }
  get count(): number {
    return this.items.length;
  }
  private at(index: number): Item {
    const item = this.items[index];
    if (item === undefined) throw new RangeError(`result ${index} of ${this.items.length}`);
    return item;
  }
  status(index: number): number {
    return this.at(index).status;
  }
  stage(index: number): number {
    const item = this.at(index);
    return item.status === 0 ? 0 : item.doing;
  }
  method(index: number): number {
    return this.at(index).method;
  }
  refused(index: number): number {
    return this.at(index).refused;
  }
  refusedErrno(): number {
    return 0;
  }
  warnings(index: number): number {
    return this.at(index).warnings;
  }
  warningErrno(index: number): number {
    return this.at(index).warningErrno;
  }
  flags(index: number): number {
    return this.at(index).flags;
  }
  bytes(index: number): number {
    return this.at(index).bytes;
  }
  size(index: number): number {
    return this.at(index).size;
  }
  digest(index: number): Uint8Array {
    return this.at(index).digest;
  }
  release(): void {}
}
