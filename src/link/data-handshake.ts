/** The 64 bytes that open a stream of the data plane, and the 16 that answer them; see docs/protocol.md. */
export const GREETING_BYTES = 64;
export const WELCOME_BYTES = 16;
export const SESSION_ID_BYTES = 16;
export const TOKEN_BYTES = 32;

const MAGIC = [0x46, 0x53, 0x44, 0x48] as const; // FSDH
const VERSION = 1;

export interface Greeting {
  readonly index: number;
  readonly sessionId: Uint8Array;
  readonly token: Uint8Array;
}

export function encodeGreeting({ index, sessionId, token }: Greeting): Uint8Array {
  const bytes = new Uint8Array(GREETING_BYTES);
  bytes.set(MAGIC);
  const view = new DataView(bytes.buffer);
  view.setUint16(4, VERSION, true);
  view.setUint16(6, index, true);
  bytes.set(sessionId, 8);
  bytes.set(token, 24);
  return bytes;
}

/** Undefined: not a greeting. */
export function decodeGreeting(bytes: Uint8Array): Greeting | undefined {
  if (bytes.length !== GREETING_BYTES || MAGIC.some((byte, i) => bytes[i] !== byte)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(4, true) !== VERSION || bytes.subarray(56).some((byte) => byte !== 0)) return undefined;
  return { index: view.getUint16(6, true), sessionId: bytes.slice(8, 24), token: bytes.slice(24, 56) };
}

export function encodeWelcome(): Uint8Array {
  const bytes = new Uint8Array(WELCOME_BYTES);
  bytes.set(MAGIC);
  new DataView(bytes.buffer).setUint16(4, VERSION, true);
  return bytes;
}

export function isWelcome(bytes: Uint8Array): boolean {
  return bytes.length === WELCOME_BYTES && encodeWelcome().every((byte, i) => bytes[i] === byte);
}
