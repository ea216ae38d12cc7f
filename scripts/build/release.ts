/** What is handed to others: a program for each target, Debian packages, checksums of all of it. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { buildBinary } from "./binary.ts";
import { writeChecksums } from "./checksums.ts";
import { buildDebian } from "./debian.ts";
import { note, warn } from "./log.ts";
import { buildNativeFor } from "./native.ts";
import { root } from "./root.ts";
import { type TargetName, targetNamed } from "./targets.ts";

export interface ReleaseOptions {
  readonly targets: readonly TargetName[];
  readonly folder: string;
  /** Whether to make a Debian package of each target that Debian has. */
  readonly debian: boolean;
}

export async function buildRelease({ targets, folder, debian }: ReleaseOptions): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const name of targets) {
    const target = targetNamed(name)!;
    // Always the same place: the bundler writes it, relative to the sources, into the program.
    const built = buildNativeFor(target, join(root, "ffi", "build", "targets", name));
    if ("reason" in built) warn(`${name}: portable only: ${built.reason}`);
    const ending = target.os === "windows" ? ".exe" : "";
    const binary = join(folder, `fastsync-${manifest.version}-${name}${ending}`);
    await buildBinary(binary, "path" in built ? built.path : undefined, target);
    if (debian && target.debian !== undefined) buildDebian({ binary, architecture: target.debian, folder });
  }
  note(writeChecksums(folder));
}
