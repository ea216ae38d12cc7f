/** Finds and reads the daemon's config file and what is beside it in conf.d. */
import { dirname, join } from "node:path";
import type { Problems } from "../config/table.ts";
import {
  CONFIG_FILE,
  type ConfigFile,
  INCLUDES,
  includes,
  readTomlFile,
  SYSTEM_DIRECTORY,
} from "../config/toml-file.ts";
import type { DaemonFlags } from "../core/daemon-flags.ts";
import { utf8Of } from "../core/paths.ts";

export function readConfigFiles(flags: DaemonFlags, problems: Problems): ConfigFile[] {
  const main = mainFile(flags);
  const files: ConfigFile[] = [];
  const found = readTomlFile(main.path, true, problems);
  if (found === "missing") {
    if (main.isNamed) problems.add(main.path, "", "there is no such file");
  } else if (typeof found === "object") files.push(found);
  for (const path of includes(join(dirname(main.path), INCLUDES), problems)) {
    const include = readTomlFile(path, false, problems);
    if (include === "missing") problems.add(path, "", "there is no such file");
    else if (typeof include === "object") files.push(include);
  }
  return files;
}

function mainFile({ config, configDir }: DaemonFlags): { path: string; isNamed: boolean } {
  if (config !== undefined) return { path: textOf(config), isNamed: true };
  if (configDir !== undefined) return { path: join(textOf(configDir), CONFIG_FILE), isNamed: true };
  return { path: join(SYSTEM_DIRECTORY, CONFIG_FILE), isNamed: false };
}

/** node:fs takes text; a path that is not UTF-8 would name another file, so it is one that is not found. */
function textOf(path: Uint8Array): string {
  return utf8Of(path) ?? Buffer.from(path).toString();
}
