/**
 * XXH3 with 128 bits (xxHash 0.8, seed 0, default secret), as the native library computes it: roles on different
 * backends must agree, and Bun offers the 64-bit variant only.
 *
 *   up to 240 bytes: one of five formulas, in BigInt
 *   longer: eight 64-bit accumulators, kept as halves of 32 bits; each stripe of 64 bytes is mixed in,
 *           after every 16 stripes they are scrambled; the last 64 bytes are mixed in at the end, again if need be
 *
 * A stripe is consumed only when at least one byte stands behind it, so that the end is always at hand.
 */

const SECRET = Uint8Array.from(
  (
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221" +
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8" +
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb" +
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
  ).match(/../g)!,
  (hex) => Number.parseInt(hex, 16),
);
const STRIPE = 64;
const STRIPES_PER_BLOCK = 16;
const SHORT_MAX = 240;
const PENDING_BYTES = 256;
const SCRAMBLE_AT = 128;
const LAST_STRIPE_AT = 121;
const MERGE_LOW_AT = 11;
const MERGE_HIGH_AT = 117;
const MIDDLE_AT = 3;
const MIDDLE_LAST_AT = 103;

const PRIME32_1 = 0x9e3779b1;
const PRIME32_2 = 0x85ebca77;
const PRIME32_3 = 0xc2b2ae3d;
const PRIME64_1 = 0x9e3779b185ebca87n;
const PRIME64_2 = 0xc2b2ae3d27d4eb4fn;
const PRIME64_3 = 0x165667b19e3779f9n;
const PRIME64_4 = 0x85ebca77c2b2ae63n;
const PRIME64_5 = 0x27d4eb2f165667c5n;
const MX1 = 0x165667919e3779f9n;
const MX2 = 0x9fb21c651e98df25n;
const MASK = 0xffffffffffffffffn;
const MASK32 = 0xffffffffn;

/** The secret as words from any byte offset that the algorithm uses. */
const secretView = new DataView(SECRET.buffer);
const SECRET_WORDS = new Uint32Array(SECRET.length);
for (let at = 0; at + 4 <= SECRET.length; at++) SECRET_WORDS[at] = secretView.getUint32(at, true);

const START = [
  BigInt(PRIME32_3),
  PRIME64_1,
  PRIME64_2,
  PRIME64_3,
  PRIME64_4,
  BigInt(PRIME32_2),
  PRIME64_5,
  BigInt(PRIME32_1),
];

export class Xxh3_128 {
  private low = Uint32Array.from(START, (value) => Number(value & MASK32));
  private high = Uint32Array.from(START, (value) => Number(value >> 32n));
  private stripe = 0;
  private total = 0;
  private readonly pending = new Uint8Array(PENDING_BYTES);
  private pendingLength = 0;
  /** The last 64 bytes consumed. */
  private readonly last = new Uint8Array(STRIPE);

  update(input: Uint8Array): this {
    this.total += input.length;
    if (this.pendingLength + input.length <= PENDING_BYTES) {
      this.pending.set(input, this.pendingLength);
      this.pendingLength += input.length;
      return this;
    }
    let at = 0;
    if (this.pendingLength > 0) {
      at = PENDING_BYTES - this.pendingLength;
      this.pending.set(input.subarray(0, at), this.pendingLength);
      this.consume(this.pending, 0, PENDING_BYTES / STRIPE);
      this.last.set(this.pending.subarray(PENDING_BYTES - STRIPE));
    }
    const stripes = Math.floor((input.length - at - 1) / STRIPE);
    if (stripes > 0) {
      this.consume(input, at, stripes);
      at += stripes * STRIPE;
      this.last.set(input.subarray(at - STRIPE, at));
    }
    this.pending.set(input.subarray(at));
    this.pendingLength = input.length - at;
    return this;
  }

  /** 16 bytes, canonical: the high half first, big-endian. The object must not be used afterwards. */
  digest(): Uint8Array {
    const [low, high] = this.total <= SHORT_MAX ? shortHash(this.pending.subarray(0, this.total)) : this.longHash();
    const out = new Uint8Array(16);
    const view = new DataView(out.buffer);
    view.setBigUint64(0, high);
    view.setBigUint64(8, low);
    return out;
  }

  private longHash(): [bigint, bigint] {
    this.consume(this.pending, 0, Math.floor((this.pendingLength - 1) / STRIPE));
    const end = new Uint8Array(STRIPE);
    if (this.pendingLength >= STRIPE) end.set(this.pending.subarray(this.pendingLength - STRIPE, this.pendingLength));
    else {
      end.set(this.last.subarray(this.pendingLength));
      end.set(this.pending.subarray(0, this.pendingLength), STRIPE - this.pendingLength);
    }
    accumulate(this.low, this.high, new DataView(end.buffer), 0, LAST_STRIPE_AT);
    const lanes = Array.from(this.low, (low, i) => (BigInt(this.high[i]!) << 32n) | BigInt(low));
    const length = BigInt(this.total);
    return [
      merge(lanes, MERGE_LOW_AT, (length * PRIME64_1) & MASK),
      merge(lanes, MERGE_HIGH_AT, ~(length * PRIME64_2) & MASK),
    ];
  }

  private consume(input: Uint8Array, at: number, stripes: number): void {
    const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    for (let i = 0; i < stripes; i++) {
      accumulate(this.low, this.high, view, at + i * STRIPE, this.stripe * 8);
      if (++this.stripe === STRIPES_PER_BLOCK) {
        scramble(this.low, this.high);
        this.stripe = 0;
      }
    }
  }
}

/** Upper half of the product of two 32-bit numbers; `low` is the lower half. The double's error is far below 2^31. */
function productHigh(a: number, b: number, low: number): number {
  return ((a * b - low) * 2 ** -32 + 0.5) >>> 0;
}

function accumulate(low: Uint32Array, high: Uint32Array, input: DataView, at: number, secretAt: number): void {
  for (let lane = 0; lane < 8; lane++) {
    const dataLow = input.getUint32(at + lane * 8, true);
    const dataHigh = input.getUint32(at + lane * 8 + 4, true);
    const keyLow = (dataLow ^ SECRET_WORDS[secretAt + lane * 8]!) >>> 0;
    const keyHigh = (dataHigh ^ SECRET_WORDS[secretAt + lane * 8 + 4]!) >>> 0;
    const other = lane ^ 1;
    const otherLow = low[other]! + dataLow;
    low[other] = otherLow;
    high[other] = high[other]! + dataHigh + (otherLow > 0xffffffff ? 1 : 0);
    const productLow = Math.imul(keyLow, keyHigh) >>> 0;
    const sumLow = low[lane]! + productLow;
    low[lane] = sumLow;
    high[lane] = high[lane]! + productHigh(keyLow, keyHigh, productLow) + (sumLow > 0xffffffff ? 1 : 0);
  }
}

function scramble(low: Uint32Array, high: Uint32Array): void {
  for (let lane = 0; lane < 8; lane++) {
    const lowWord = low[lane]!;
    const highWord = high[lane]!;
    // x ^ (x >> 47) ^ key: only the high half reaches into the shifted value.
    const mixedLow = (lowWord ^ (highWord >>> 15) ^ SECRET_WORDS[SCRAMBLE_AT + lane * 8]!) >>> 0;
    const mixedHigh = (highWord ^ SECRET_WORDS[SCRAMBLE_AT + lane * 8 + 4]!) >>> 0;
    const productLow = Math.imul(mixedLow, PRIME32_1) >>> 0;
    low[lane] = productLow;
    high[lane] = productHigh(mixedLow, PRIME32_1, productLow) + (Math.imul(mixedHigh, PRIME32_1) >>> 0);
  }
}

function secret64(at: number): bigint {
  return secretView.getBigUint64(at, true);
}
function foldedProduct(a: bigint, b: bigint): bigint {
  const product = a * b;
  return (product & MASK) ^ (product >> 64n);
}
function xorShift(value: bigint, bits: bigint): bigint {
  return value ^ (value >> bits);
}
function avalanche(value: bigint): bigint {
  return xorShift((xorShift(value, 37n) * MX1) & MASK, 32n);
}
function avalanche64(value: bigint): bigint {
  const first = (xorShift(value, 33n) * PRIME64_2) & MASK;
  return xorShift((xorShift(first, 29n) * PRIME64_3) & MASK, 32n);
}
function swap32(value: number): number {
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}
function swap64(value: bigint): bigint {
  return (BigInt(swap32(Number(value & MASK32))) << 32n) | BigInt(swap32(Number(value >> 32n)));
}

function merge(lanes: readonly bigint[], secretAt: number, start: bigint): bigint {
  let sum = start;
  for (let i = 0; i < 4; i++) {
    const a = lanes[2 * i]! ^ secret64(secretAt + 16 * i);
    sum += foldedProduct(a, lanes[2 * i + 1]! ^ secret64(secretAt + 16 * i + 8));
  }
  return avalanche(sum & MASK);
}

/** Low and high half for at most 240 bytes. */
function shortHash(input: Uint8Array): [bigint, bigint] {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  if (input.length > 128) return upTo240(view);
  if (input.length > 16) return upTo128(view);
  if (input.length > 8) return upTo16(view);
  if (input.length >= 4) return upTo8(view);
  if (input.length > 0) return upTo3(input);
  return [avalanche64(secret64(64) ^ secret64(72)), avalanche64(secret64(80) ^ secret64(88))];
}

function upTo3(input: Uint8Array): [bigint, bigint] {
  const length = input.length;
  const combined = ((input[0]! << 16) | (input[length >> 1]! << 24) | input[length - 1]! | (length << 8)) >>> 0;
  const swapped = swap32(combined);
  const rotated = ((swapped << 13) | (swapped >>> 19)) >>> 0;
  const flip = (at: number): bigint => BigInt((SECRET_WORDS[at]! ^ SECRET_WORDS[at + 4]!) >>> 0);
  return [avalanche64(BigInt(combined) ^ flip(0)), avalanche64(BigInt(rotated) ^ flip(8))];
}

function upTo8(input: DataView): [bigint, bigint] {
  const length = input.byteLength;
  const value = BigInt(input.getUint32(0, true)) | (BigInt(input.getUint32(length - 4, true)) << 32n);
  const product = (value ^ secret64(16) ^ secret64(24)) * ((PRIME64_1 + BigInt(length << 2)) & MASK);
  let low = product & MASK;
  const high = ((product >> 64n) + ((low << 1n) & MASK)) & MASK;
  low ^= high >> 3n;
  low = xorShift((xorShift(low, 35n) * MX2) & MASK, 28n);
  return [low, avalanche(high)];
}

function upTo16(input: DataView): [bigint, bigint] {
  const length = input.byteLength;
  const first = input.getBigUint64(0, true);
  let second = input.getBigUint64(length - 8, true);
  const product = (first ^ second ^ secret64(32) ^ secret64(40)) * PRIME64_1;
  let low = ((product & MASK) + (BigInt(length - 1) << 54n)) & MASK;
  second ^= secret64(48) ^ secret64(56);
  const high = ((product >> 64n) + second + (second & MASK32) * BigInt(PRIME32_2 - 1)) & MASK;
  low ^= swap64(high);
  const wide = low * PRIME64_2;
  return [avalanche(wide & MASK), avalanche(((wide >> 64n) + high * PRIME64_2) & MASK)];
}

/** Low and high half under way. */
interface Pair {
  low: bigint;
  high: bigint;
}

function mix16(input: DataView, at: number, secretAt: number): bigint {
  const a = input.getBigUint64(at, true) ^ secret64(secretAt);
  return foldedProduct(a, input.getBigUint64(at + 8, true) ^ secret64(secretAt + 8));
}

function mix32(pair: Pair, input: DataView, first: number, second: number, secretAt: number): void {
  const sum = (at: number): bigint => (input.getBigUint64(at, true) + input.getBigUint64(at + 8, true)) & MASK;
  pair.low = ((pair.low + mix16(input, first, secretAt)) & MASK) ^ sum(second);
  pair.high = ((pair.high + mix16(input, second, secretAt + 16)) & MASK) ^ sum(first);
}

function finishPair(pair: Pair, length: bigint): [bigint, bigint] {
  const low = (pair.low + pair.high) & MASK;
  const high = (pair.low * PRIME64_1 + pair.high * PRIME64_4 + length * PRIME64_2) & MASK;
  return [avalanche(low), -avalanche(high) & MASK];
}

function upTo128(input: DataView): [bigint, bigint] {
  const length = input.byteLength;
  const pair: Pair = { low: (BigInt(length) * PRIME64_1) & MASK, high: 0n };
  for (let i = Math.floor((length - 1) / 32); i >= 0; i--) mix32(pair, input, 16 * i, length - 16 * (i + 1), 32 * i);
  return finishPair(pair, BigInt(length));
}

function upTo240(input: DataView): [bigint, bigint] {
  const length = input.byteLength;
  const pair: Pair = { low: (BigInt(length) * PRIME64_1) & MASK, high: 0n };
  for (let i = 32; i < 160; i += 32) mix32(pair, input, i - 32, i - 16, i - 32);
  pair.low = avalanche(pair.low);
  pair.high = avalanche(pair.high);
  for (let i = 160; i <= length; i += 32) mix32(pair, input, i - 32, i - 16, MIDDLE_AT + i - 160);
  // The seed of this last step is negated; it is 0 here.
  mix32(pair, input, length - 16, length - 32, MIDDLE_LAST_AT);
  return finishPair(pair, BigInt(length));
}
