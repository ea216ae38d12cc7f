/** Paths are bytes. Text is made from them only for people, escaped. */

const SLASH = 0x2f;
const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossyDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

export function joinPath(directory: Uint8Array, name: Uint8Array): Uint8Array {
  if (directory.length === 0) return name.slice();
  const needsSlash = directory[directory.length - 1] !== SLASH;
  const path = new Uint8Array(directory.length + (needsSlash ? 1 : 0) + name.length);
  path.set(directory, 0);
  if (needsSlash) path[directory.length] = SLASH;
  path.set(name, path.length - name.length);
  return path;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The path as UTF-8 text, or undefined when the bytes are not UTF-8. */
export function utf8Of(path: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(path);
  } catch {
    return undefined;
  }
}

/** The path as text with replacement characters: for `path` fields that travel with `path_b64`. */
export function lossyUtf8Of(path: Uint8Array): string {
  return lossyDecoder.decode(path);
}

/**
 * The path as it may be printed on a terminal: C0, C1 and DEL, line separators, bidi controls and bytes that are not
 * UTF-8 become `\ooo` octal escapes of their bytes, as `ls -b` prints them; a backslash is doubled only where the
 * text has an escape.
 */
export function printable(path: Uint8Array): string {
  const text = utf8Of(path);
  if (
    text !== undefined &&
    !/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(text)
  )
    return text;
  let out = "";
  let i = 0;
  while (i < path.length) {
    const length = utf8SequenceLength(path, i);
    const piece = length === 0 ? undefined : utf8Of(path.subarray(i, i + length));
    if (
      piece === undefined ||
      /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(piece)
    ) {
      const end = i + Math.max(1, piece === undefined ? 1 : length);
      for (; i < end; i++) out += `\\${path[i]!.toString(8).padStart(3, "0")}`;
    } else {
      out += piece === "\\" ? "\\\\" : piece;
      i += length;
    }
  }
  return out;
}

/** A place in a module as it stands behind `HOST:`, which is `/MODULE/PATH`, or `//PATH` below the root; printable. */
export function printableInModule(module: string | undefined, path: Uint8Array): string {
  const head = module === undefined ? "//" : path.length === 0 ? `/${module}` : `/${module}/`;
  return printable(new Uint8Array([...bytesOf(head), ...path]));
}

function utf8SequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  const length =
    lead < 0x80
      ? 1
      : lead >= 0xc2 && lead < 0xe0
        ? 2
        : lead >= 0xe0 && lead < 0xf0
          ? 3
          : lead >= 0xf0 && lead < 0xf5
            ? 4
            : 0;
  return at + length <= bytes.length ? length : 0;
}
