/** The tables of the daemon, read as the daemon reads them: what would keep it from starting is told before. */
import { DAEMON_TABLES, Problems } from "../config/table.ts";
import { SYSTEM_DIRECTORY } from "../config/toml-file.ts";
import type { CheckDaemon, DaemonFlags } from "../core/daemon-flags.ts";
import { readConfigFiles } from "./config-files.ts";
import { loadConfig } from "./load-config.ts";
import { moduleWarnings } from "./module-state.ts";

export const checkDaemon: CheckDaemon = (file) => {
  const flags: DaemonFlags = {
    config: file,
    configDir: undefined,
    bind: [],
    port: undefined,
    dataPort: undefined,
    root: undefined,
    noMdns: false,
    mdnsName: undefined,
    forceGrpcData: false,
  };
  const problems = new Problems();
  const files = readConfigFiles(flags, problems);
  if (
    file === undefined &&
    problems.list.some((text) => text.startsWith(SYSTEM_DIRECTORY) && text.endsWith("(EACCES)"))
  )
    return { kind: "private" };
  if (!files.some(({ tables }) => DAEMON_TABLES.some((name) => Object.hasOwn(tables, name)))) return { kind: "none" };
  const loaded = loadConfig(flags);
  return loaded.kind === "usable"
    ? { kind: "checked", problems: [], warnings: [...loaded.warnings, ...moduleWarnings(loaded.config)] }
    : { kind: "checked", problems: loaded.problems, warnings: [] };
};
