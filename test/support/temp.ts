/** Scratch directories that go when their scope ends. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TempDir extends Disposable {
  readonly path: string;
  /** A path inside. */
  join(name: string): string;
}

/**
 * `using dir = tempDir()`. Below `parent` when given (a mounted filesystem), else in the system's place. Others may
 * search it, so that a run as an ordinary user reaches what a test made for it.
 */
export function tempDir(parent: string = tmpdir()): TempDir {
  const path = mkdtempSync(join(parent, "fastsync-test."));
  chmodSync(path, 0o755);
  return {
    path,
    join: (name) => join(path, name),
    [Symbol.dispose]: () => removeTree(path),
  };
}

/** Removes a tree with rm: it takes any name, depth and mode, where a walk of our own would be one more thing to test. */
export function removeTree(path: string): void {
  const first = spawnSync("rm", ["-rf", "--one-file-system", "--", path]);
  if (first.status === 0) return;
  /* Without root, directories that deny their owner stand in the way. */
  spawnSync("chmod", ["-R", "u+rwX", "--", path]);
  spawnSync("rm", ["-rf", "--one-file-system", "--", path]);
}
