/** A chain of directories whose path is longer than any system call takes. */
import { closeSync, writeSync } from "node:fs";
import { checked, cstring, libc, O_CLOEXEC, O_DIRECTORY } from "./libc.ts";
import type { Name } from "./tree.ts";

const O_WRONLY_CREAT = 0o101;

/** Makes `levels` directories of one name below `root`, each inside the last and each holding a file `file`. */
export function buildDeepTree(root: Name, component: string, levels: number): void {
  const flags = O_DIRECTORY | O_CLOEXEC;
  let fd = checked("open", libc().open(cstring(root), flags, 0), Buffer.from(root));
  for (let level = 1; level <= levels; level++) {
    checked("mkdirat", libc().mkdirat(fd, cstring(component), 0o755));
    const inner = checked("openat", libc().openat(fd, cstring(component), flags, 0));
    closeSync(fd);
    fd = inner;
    const file = checked("openat", libc().openat(fd, cstring("file"), O_WRONLY_CREAT, 0o644));
    writeSync(file, `level ${level}`);
    closeSync(file);
  }
  closeSync(fd);
}
