/**
 * Run by `npm pack`: puts a prebuilt native library for each Linux platform that this machine can compile for into the
 * package, so that whoever installs it needs no compiler. A platform without one uses the portable backend.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { note, warn } from "./build/log.ts";
import { buildNativeFor } from "./build/native.ts";
import { root } from "./build/root.ts";
import { hostTargetName, prebuiltFolder, TARGET_NAMES, targetNamed } from "./build/targets.ts";

const prebuilt = join(root, "ffi", "prebuilt");
// A library of an older source must not slip into the package.
rmSync(prebuilt, { recursive: true, force: true });
for (const name of TARGET_NAMES) {
  const target = targetNamed(name)!;
  if (target.os !== "linux") continue;
  const built = buildNativeFor(target, join(prebuilt, prebuiltFolder(target)));
  if ("path" in built) continue;
  const tell = name === hostTargetName() ? warn : note;
  tell(`no prebuilt library for ${name}: ${built.reason}`);
}
