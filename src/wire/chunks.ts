/** Bytes as they arrive, until they are a message. Who sends them chooses how many at a time. */

/** Chunks below this are joined with others as they come: each costs some 200 bytes to hold. */
const SMALL_BYTES = 4096;

/** Small ones are joined with what follows, unless they are larger than it: each byte is copied a few times at most. */
export function gather(chunks: Uint8Array[], chunk: Uint8Array): void {
  if (chunk.length === 0) return;
  let last = chunk;
  for (let before = chunks.at(-1); before !== undefined; before = chunks.at(-1)) {
    if (last.length >= SMALL_BYTES || before.length > last.length) break;
    chunks.pop();
    last = joined([before, last], before.length + last.length);
  }
  chunks.push(last);
}

export function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
