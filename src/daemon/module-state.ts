/** Whether a module's directory is there. Disks come and go while a daemon runs, so this is asked at each use. */
import { statSync } from "node:fs";
import { safe, shownValue } from "../config/table.ts";
import { whyThrown } from "../fs/denied.ts";
import type { DaemonConfig, ModuleConfig } from "./config.ts";

/** Why the module cannot be used now, for people; undefined when it can. Not told to peers: it may name the disk. */
export function moduleTrouble({ path }: ModuleConfig): string | undefined {
  try {
    return statSync(Buffer.from(path)).isDirectory() ? undefined : "its path is not a directory";
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code === "ENOENT" ? "its path does not exist" : `its path cannot be used: ${whyThrown(error)}`;
  }
}

/** A warning for each module that is not there; the others are served. */
export function moduleWarnings({ modules, root }: DaemonConfig): string[] {
  const served = root === undefined ? modules : [root, ...modules];
  return served.flatMap((module) => {
    const trouble = moduleTrouble(module);
    if (trouble === undefined) return [];
    const name = module === root ? "the root" : `module ${shownValue(module.name)}`;
    return [safe(`${name} is not available: ${trouble} (${Buffer.from(module.path).toString()})`)];
  });
}
