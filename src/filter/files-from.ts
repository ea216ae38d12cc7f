/**
 * Reads the paths of --files-from.
 *
 * Every path is taken relative to the source: leading slashes go, `.` and empty components go, `..` takes back the
 * component before it and stops at the source. A slash at the end means nothing: a listed directory is always taken
 * with everything below it. What cleans to nothing (`.`, `/`) is the whole source, as the empty path.
 *
 * By lines, empty ones and those that begin with `#` or `;` are left out, and a carriage return ends a line too. By
 * NUL, which is what programs write, every record but an empty one is a path.
 */
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const HASH = 0x23;
const SEMICOLON = 0x3b;
const SLASH = 0x2f;
const DOT = 0x2e;

export function parseFilesFrom(text: Uint8Array, nulSeparated: boolean): Uint8Array[] {
  const paths: Uint8Array[] = [];
  for (let at = 0; at < text.length; ) {
    let end = at;
    while (end < text.length && !(nulSeparated ? text[end] === 0 : text[end] === NEWLINE || text[end] === RETURN))
      end++;
    const isComment = !nulSeparated && (text[at] === HASH || text[at] === SEMICOLON);
    if (end > at && !isComment) paths.push(cleanPath(text.subarray(at, end)));
    at = end + 1;
  }
  return paths;
}

/** A copy of the path in its one form; see above. */
export function cleanPath(path: Uint8Array): Uint8Array {
  const clean = new Uint8Array(path.length);
  let length = 0;
  for (let at = 0; at < path.length; ) {
    let end = at;
    while (end < path.length && path[end] !== SLASH) end++;
    const size = end - at;
    if (size === 2 && path[at] === DOT && path[at + 1] === DOT) {
      while (length > 0 && clean[--length] !== SLASH);
    } else if (size > 0 && !(size === 1 && path[at] === DOT)) {
      if (length > 0) clean[length++] = SLASH;
      for (let i = at; i < end; i++) clean[length++] = path[i]!;
    }
    at = end + 1;
  }
  return clean.slice(0, length);
}
