/** Results of a batch of items, read where the workers wrote them. */
import { DIGEST_BYTES } from "../../../ffi/fsy.ts";
import { RESULT } from "../../../ffi/layout.ts";
import type { ItemResults } from "../backend.ts";
import type { RequestRing } from "./request-ring.ts";

const WORDS = RESULT.bytes >> 2;
const DOUBLES = RESULT.bytes >> 3;
const STATUS = RESULT.at.status >> 2;
const STAGE = RESULT.at.stage >> 2;
const METHOD = RESULT.at.method >> 2;
const REFUSED = RESULT.at.refused >> 2;
const REFUSED_ERRNO = RESULT.at.refused_errno >> 2;
const WARNINGS = RESULT.at.warnings >> 2;
const WARNING_ERRNO = RESULT.at.warning_errno >> 2;
const FLAGS = RESULT.at.flags >> 2;
const BYTES = RESULT.at.bytes >> 3;
const SIZE = RESULT.at.size >> 3;
/** A status that no file system answers: the worker never came to this item. */
const UNTOUCHED = -0x7fffffff;

export class NativeItemResults implements ItemResults {
  readonly count: number;
  private readonly ring: RequestRing;
  /** The results stand at the block's start; what the request needed besides stands behind them. */
  private block: number;
  private readonly word: number;
  private readonly double: number;
  private readonly digestBytes: number;

  constructor(ring: RequestRing, block: number, count: number, digestBytes: number) {
    this.ring = ring;
    this.block = block;
    this.count = count;
    this.word = block >> 2;
    this.double = block >> 3;
    this.digestBytes = digestBytes;
    for (let i = 0; i < count; i++) ring.i32[this.word + i * WORDS + STATUS] = UNTOUCHED;
  }

  /** A request that failed as a whole leaves items that nobody looked at: they failed for the same reason. */
  settle(requestStatus: number): this {
    if (requestStatus >= 0) return this;
    const { u32, i32 } = this.ring;
    for (let i = 0; i < this.count; i++) {
      const from = this.word + i * WORDS;
      if (i32[from + STATUS] !== UNTOUCHED) continue;
      u32.fill(0, from, from + WORDS);
      i32[from + STATUS] = requestStatus;
    }
    return this;
  }

  private at(index: number): number {
    if (index < 0 || index >= this.count || this.block === 0) throw new RangeError(`result ${index} of ${this.count}`);
    return this.word + index * WORDS;
  }
  status(index: number): number {
    return this.ring.i32[this.at(index) + STATUS]!;
  }
  stage(index: number): number {
    return this.ring.u32[this.at(index) + STAGE]!;
  }
  method(index: number): number {
    return this.ring.u32[this.at(index) + METHOD]!;
  }
  refused(index: number): number {
    return this.ring.u32[this.at(index) + REFUSED]!;
  }
  refusedErrno(index: number): number {
    return this.ring.i32[this.at(index) + REFUSED_ERRNO]!;
  }
  warnings(index: number): number {
    return this.ring.u32[this.at(index) + WARNINGS]!;
  }
  warningErrno(index: number): number {
    return this.ring.i32[this.at(index) + WARNING_ERRNO]!;
  }
  flags(index: number): number {
    return this.ring.u32[this.at(index) + FLAGS]!;
  }
  bytes(index: number): number {
    this.at(index);
    return this.ring.f64[this.double + index * DOUBLES + BYTES]!;
  }
  size(index: number): number {
    this.at(index);
    return this.ring.f64[this.double + index * DOUBLES + SIZE]!;
  }
  digest(index: number): Uint8Array {
    this.at(index);
    const from = this.block + this.count * RESULT.bytes + index * DIGEST_BYTES;
    return this.ring.bytes.slice(from, from + this.digestBytes);
  }
  release(): void {
    if (this.block === 0) return;
    this.ring.free(this.block);
    this.block = 0;
  }
}
