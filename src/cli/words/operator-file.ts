/**
 * Reads a file that the operator named (`--files-from` and the like). A symbolic link on the way is followed only when
 * root or the operator made it: in a directory that others can write to, someone else's link could make a privileged
 * run read a list of their choosing.
 *
 *   components = split(path); here = "/" or "."
 *   for each component: lstat below the held directory
 *     link      -> check its owner, put its text before the components that are left
 *     directory -> hold it instead
 *     last      -> open it without following, read it
 */
import { closeSync, constants, lstatSync, openSync, readFileSync, readlinkSync } from "node:fs";

const SLASH = 0x2f;
const MAX_LINKS = 40;
/** Their links are the kernel's, and lead where no text says. Not all of /dev: in /dev/shm anybody makes links. */
const KERNELS_OWN = /^\/(proc\/|dev\/(fd\/|std(in|out|err)$))/;
/** From fcntl.h of Linux: a descriptor that only names; a directory that may be searched but not read can be held. */
const O_PATH = 0o10000000;

export function readOperatorFile(path: Uint8Array): Uint8Array {
  // Without /proc there are no paths below a descriptor.
  if (process.platform !== "linux" || KERNELS_OWN.test(Buffer.from(path).toString("latin1"))) {
    return readFileSync(Buffer.from(path));
  }
  let held = openSync(path[0] === SLASH ? "/" : ".", O_PATH | constants.O_DIRECTORY);
  try {
    let left = components(path);
    let links = 0;
    while (true) {
      const name = left.shift();
      if (name === undefined) return readFileSync(below(held, Buffer.from(".")));
      const here = below(held, name);
      const stat = lstatSync(here);
      if (stat.isSymbolicLink()) {
        if (stat.uid !== 0 && stat.uid !== process.geteuid?.()) {
          throw new Error(`a symbolic link on the way belongs to another user (${stat.uid})`);
        }
        if (++links > MAX_LINKS) throw new Error("too many symbolic links");
        const text = readlinkSync(here, { encoding: "buffer" });
        left = [...components(text), ...left];
        if (text[0] === SLASH) held = replace(held, openSync("/", O_PATH | constants.O_DIRECTORY));
      } else if (left.length > 0) {
        held = replace(held, openSync(here, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW));
      } else {
        held = replace(held, openSync(here, constants.O_RDONLY | constants.O_NOFOLLOW));
        return readFileSync(held);
      }
    }
  } finally {
    closeSync(held);
  }
}

function components(path: Uint8Array): Buffer[] {
  const out: Buffer[] = [];
  let from = 0;
  for (let at = 0; at <= path.length; at++) {
    if (at < path.length && path[at] !== SLASH) continue;
    if (at > from) out.push(Buffer.from(path.subarray(from, at)));
    from = at + 1;
  }
  return out;
}

function below(held: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${held}/`), name]);
}

function replace(held: number, next: number): number {
  closeSync(held);
  return next;
}
