/**
 * The listed paths of --files-from as one sorted run of bytes, so that a million of them are no million objects.
 *
 *     order: by bytes, the slash before every other byte, so that what lies below a path directly follows it
 *     a directory of the walk is a range of that order: the paths that go through it
 *     an entry is looked up by binary search for its name as the next component of the range
 */
const SLASH = 0x2f;

/** The listed paths that go through one directory. */
export interface Range {
  readonly from: number;
  readonly to: number;
  /** Bytes of each path that the directory's own path takes, with its slash. */
  readonly prefix: number;
  /** The directory or one above it is listed itself: everything in it is selected. */
  readonly all: boolean;
}

export class Selection {
  readonly root: Range;
  private readonly blob: Uint8Array;
  /** Start of each path in `blob`; one more for the end of the last. */
  private readonly starts: Float64Array;
  /** For each path in order, its place in the list as given. */
  private readonly places: Uint32Array;
  private readonly seen: Uint8Array;

  /** `paths` are relative and cleaned; the empty one stands for everything. */
  constructor(paths: readonly Uint8Array[]) {
    const isAll = (path: Uint8Array): boolean => path.length === 0 || (path.length === 1 && path[0] === 0x2e);
    const places = [...paths.keys()].filter((place) => !isAll(paths[place]!));
    places.sort((a, b) => comparePaths(paths[a]!, paths[b]!) || a - b);
    const kept = places.filter((place, i) => i === 0 || comparePaths(paths[places[i - 1]!]!, paths[place]!) !== 0);
    this.places = Uint32Array.from(kept);
    this.starts = new Float64Array(kept.length + 1);
    this.seen = new Uint8Array(kept.length);
    kept.forEach((place, i) => {
      this.starts[i + 1] = this.starts[i]! + paths[place]!.length;
    });
    this.blob = new Uint8Array(this.starts[kept.length]!);
    kept.forEach((place, i) => {
      this.blob.set(paths[place]!, this.starts[i]!);
    });
    this.root = { from: 0, to: kept.length, prefix: 0, all: paths.some(isAll) };
  }

  /** The first path of the range whose next component is bytes[at, at + length), or -1. */
  find(range: Range, bytes: Uint8Array, at: number, length: number): number {
    const first = this.lowerBound(range, bytes, at, length, 0);
    return first < range.to && this.compare(first, range.prefix, bytes, at, length) === 0 ? first : -1;
  }

  /** Whether the path ends with the component that was found, rather than going on below it. */
  isListed(path: number, range: Range, length: number): boolean {
    return this.starts[path + 1]! - this.starts[path]! === range.prefix + length;
  }

  /** The range of the child directory of that name. */
  enter(range: Range, name: Uint8Array): Range {
    const prefix = range.prefix + name.length + 1;
    let from = this.lowerBound(range, name, 0, name.length, 0);
    const to = this.lowerBound(range, name, 0, name.length, 1);
    const listed = from < to && this.isListed(from, range, name.length);
    if (listed) from++;
    return { from, to, prefix, all: range.all || listed };
  }

  markSeen(path: number): void {
    this.seen[path] = 1;
  }

  /** The paths of that name and below it are left out by a rule: they are not missing. */
  markBelow(range: Range, bytes: Uint8Array, at: number, length: number): void {
    const from = this.lowerBound(range, bytes, at, length, 0);
    this.seen.fill(1, from, this.lowerBound(range, bytes, at, length, 1));
  }

  unseen(): Uint8Array[] {
    const missing: number[] = [];
    for (let i = 0; i < this.seen.length; i++) if (this.seen[i] === 0) missing.push(i);
    missing.sort((a, b) => this.places[a]! - this.places[b]!);
    return missing.map((i) => this.blob.slice(this.starts[i]!, this.starts[i + 1]!));
  }

  /** First path of the range whose next component is not below (`bound` 0) or is above (1) the name. */
  private lowerBound(range: Range, bytes: Uint8Array, at: number, length: number, bound: number): number {
    let low = range.from;
    let high = range.to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compare(middle, range.prefix, bytes, at, length) < bound) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Compares the component of a path at `prefix` with a name. */
  private compare(path: number, prefix: number, bytes: Uint8Array, at: number, length: number): number {
    const { blob } = this;
    const start = this.starts[path]! + prefix;
    const end = this.starts[path + 1]!;
    for (let i = 0; i < length; i++) {
      const position = start + i;
      if (position >= end || blob[position] === SLASH) return -1;
      const difference = blob[position]! - bytes[at + i]!;
      if (difference !== 0) return difference;
    }
    return start + length >= end || blob[start + length] === SLASH ? 0 : 1;
  }
}

function comparePaths(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    if (a[i] === b[i]) continue;
    return (a[i] === SLASH ? 0 : a[i]!) - (b[i] === SLASH ? 0 : b[i]!);
  }
  return a.length - b.length;
}
