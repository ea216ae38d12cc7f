/**
 * The path of the entry in question as one run of bytes, made only when a rule asks for it:
 *
 *     ROOT / DIRECTORY / NAME /
 *     ^0     ^relativeAt     ^end
 *
 * ROOT is the absolute path of the run's root where that is known, else empty. The slash at `end` lets a directory
 * match what lies in it. One object serves a whole run; what is already in place is not copied again.
 */
const SLASH = 0x2f;

export class PathText {
  /** Offset of the path from the root of the run; the byte before it is a slash. */
  readonly relativeAt: number;
  /** Offset behind the entry's name; a slash stands there. */
  end = 0;
  private bytes: Uint8Array;
  private directory: Uint8Array | undefined;
  private source: Uint8Array = new Uint8Array(0);
  private at = 0;
  private length = 0;
  private loaded = false;
  private wanted: Uint8Array = this.source;

  /** `root` ends without a slash; empty where it is not known. */
  constructor(root: Uint8Array) {
    this.relativeAt = root.length + 1;
    this.bytes = new Uint8Array(root.length + 4096);
    this.bytes.set(root);
    this.bytes[root.length] = SLASH;
  }

  /** Says which entry is meant from now on: `directory` is its directory's path with a trailing slash, or empty. */
  point(directory: Uint8Array, source: Uint8Array, at: number, length: number): void {
    this.wanted = directory;
    this.source = source;
    this.at = at;
    this.length = length;
    this.loaded = false;
  }

  load(): Uint8Array {
    if (this.loaded) return this.bytes;
    this.loaded = true;
    const nameAt = this.relativeAt + this.wanted.length;
    this.end = nameAt + this.length;
    if (this.end >= this.bytes.length) {
      const grown = new Uint8Array(2 * (this.end + 1));
      grown.set(this.bytes);
      this.bytes = grown;
    }
    const bytes = this.bytes;
    if (this.directory !== this.wanted) {
      bytes.set(this.wanted, this.relativeAt);
      this.directory = this.wanted;
    }
    for (let i = 0; i < this.length; i++) bytes[nameAt + i] = this.source[this.at + i]!;
    bytes[this.end] = SLASH;
    return bytes;
  }
}
