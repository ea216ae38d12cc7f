/**
 * From files and flags to a checked configuration.
 *
 *     config.toml        [daemon], [[module]], [delegation]
 *     conf.d/*.toml      [[module]] only, in the order of their names
 *                        ([global], [profiles], [remotes] of either are for runs: src/cli/settings)
 *     flags              replace what the files say
 *
 * A configuration with anything wrong in it is not used at all, and everything that is wrong is told at once.
 */
import { resolve } from "node:path";
import { CLIENT_TABLES, DAEMON_TABLES, kindOf, Problems, safe, shownValue, TableReader } from "../config/table.ts";
import { type ConfigFile, SYSTEM_DIRECTORY } from "../config/toml-file.ts";
import type { DaemonFlags } from "../core/daemon-flags.ts";
import { DEFAULT_PORT } from "../core/default-port.ts";
import { isLoopback, parseIp, parseNetwork } from "../core/ip.ts";
import { LIMITS } from "../core/limits.ts";
import { bytesOf } from "../core/paths.ts";
import type { DaemonConfig, DelegationConfig, ModuleConfig } from "./config.ts";
import { readConfigFiles } from "./config-files.ts";
import { absolutePath, MAX_SESSIONS, readModule } from "./config-module.ts";

export type LoadedConfig =
  | { readonly kind: "usable"; readonly config: DaemonConfig; readonly warnings: readonly string[] }
  | { readonly kind: "unusable"; readonly problems: readonly string[] };

const NO_LABEL = "is not a name of 1 to 63 bytes without a dot";
const PORTS = { min: 0, max: 65_535 };
const DEFAULTS = {
  bind: ["127.0.0.1"],
  maxSessions: 64,
  handshakeTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  stallTimeoutMs: LIMITS.stalledMs,
  drainTimeoutMs: 30_000,
  maxStreams: 8,
  maxConnectionsPerPeer: 1024,
  jobHistory: 500,
};

export function loadConfig(flags: DaemonFlags): LoadedConfig {
  const problems = new Problems();
  const files = readConfigFiles(flags, problems);
  const modules = readModules(files, problems);
  const main = files.find((file) => file.isMain);
  const settings = readDaemon(main, flags, problems);
  const delegation = readDelegation(main, problems);
  checkTopLevel(files, problems);
  const config = { files: files.map(({ name }) => name), ...settings, modules, delegation };
  if (problems.list.length === 0 && modules.length === 0 && config.root === undefined) {
    const where = main?.name ?? (files.length > 0 ? files[0]!.name : `${SYSTEM_DIRECTORY}/config.toml`);
    problems.add(
      where,
      "",
      `${main === undefined ? "is not there, so " : ""}nothing is served: no [[module]], no root (--root DIR serves one directory, read-only)`,
    );
  }
  if (problems.list.length > 0) return { kind: "unusable", problems: problems.list };
  return { kind: "usable", config, warnings: overlaps(config) };
}

function readDaemon(main: ConfigFile | undefined, flags: DaemonFlags, problems: Problems) {
  const reader = new TableReader(problems, main?.name ?? "", "daemon.", main?.tables["daemon"]);
  const bind = readBind(reader, flags, problems);
  const port = flagPort(flags.port, "--port", problems) ?? reader.integer("port", PORTS) ?? DEFAULT_PORT;
  const settings = {
    bind,
    port,
    dataPort: readDataPort(reader, flags, problems, port),
    mdns: readMdns(reader, flags, problems),
    root: readRoot(reader, flags),
    maxSessions: reader.integer("max_sessions", MAX_SESSIONS) ?? DEFAULTS.maxSessions,
    handshakeTimeoutMs: reader.duration("handshake_timeout", { min: 100, max: 300_000 }) ?? DEFAULTS.handshakeTimeoutMs,
    idleTimeoutMs: reader.duration("idle_timeout", { min: 1000, max: 86_400_000 }) ?? DEFAULTS.idleTimeoutMs,
    stallTimeoutMs: reader.duration("stall_timeout", { min: 1000, max: 30 * 86_400_000 }) ?? DEFAULTS.stallTimeoutMs,
    drainTimeoutMs: reader.duration("drain_timeout", { min: 0, max: 3_600_000 }) ?? DEFAULTS.drainTimeoutMs,
    logFormat: reader.choice("log", ["text", "json"]) ?? "text",
    stateDirectory: readStateDirectory(reader),
    jobHistory: reader.integer("job_history", { min: 0, max: 10_000 }) ?? DEFAULTS.jobHistory,
    admin: reader.boolean("admin") ?? false,
    metrics: readMetrics(reader),
    traceDataPlane: reader.boolean("trace_data_plane") ?? false,
    forceGrpcData: (reader.boolean("force_grpc_data") ?? false) || flags.forceGrpcData,
    maxStreams: reader.integer("max_streams", { min: 1, max: 64 }) ?? DEFAULTS.maxStreams,
    maxConnectionsPerPeer:
      reader.integer("max_connections_per_peer", { min: 1, max: 65_536 }) ?? DEFAULTS.maxConnectionsPerPeer,
  } as const;
  // A flag may have stood in for a key; the key is known all the same, and has to be right.
  for (const [key, flag] of [
    ["port", flags.port],
    ["data_port", flags.dataPort],
  ] as const) {
    if (flag !== undefined) reader.integer(key, PORTS);
  }
  reader.finish();
  return settings;
}

function readBind(reader: TableReader, flags: DaemonFlags, problems: Problems): readonly string[] {
  const written = reader.strings("bind", { alone: true });
  const check = (addresses: readonly string[], problem: (text: string) => void): void => {
    if (addresses.length === 0) problem("is empty; write the addresses to listen on");
    for (const address of addresses) {
      if (parseIp(address) !== undefined) continue;
      const way =
        address === "localhost"
          ? "write 127.0.0.1 or ::1"
          : address === "*"
            ? "write 0.0.0.0 (all IPv4) or :: (all IPv6)"
            : "write an address of this machine";
      problem(`${shownValue(address)} is not an IP address; ${way}`);
    }
    if (new Set(addresses).size < addresses.length) problem("names an address twice");
  };
  if (written !== undefined) check(written, (text) => reader.problem("bind", text));
  if (flags.bind.length > 0) check(flags.bind, (text) => problems.add("--bind", "", text));
  return flags.bind.length > 0 ? flags.bind : (written ?? DEFAULTS.bind);
}

function readDataPort(
  reader: TableReader,
  flags: DaemonFlags,
  problems: Problems,
  port: number,
): DaemonConfig["dataPort"] {
  const [where, key] = flags.dataPort === undefined ? [reader.file, "daemon.data_port"] : ["--data-port", ""];
  const written = flagPort(flags.dataPort, "--data-port", problems) ?? reader.integer("data_port", PORTS);
  if (written === 0) return "none";
  if (written !== undefined) {
    if (written === port) problems.add(where, key, `is the control port ${port}; choose another, or 0 for none`);
    return written;
  }
  if (port === 0) return "any";
  if (port === PORTS.max) problems.add(where, key, `port ${port} has none after it; set it, or 0 for none`);
  return port + 1;
}

/** Flags are text: a port is digits. */
function flagPort(text: string | undefined, flag: string, problems: Problems): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= PORTS.max) return port;
  problems.add(flag, "", `${shownValue(text)} is not a port from 0 to ${PORTS.max}`);
  return undefined;
}

function readMdns(reader: TableReader, flags: DaemonFlags, problems: Problems): DaemonConfig["mdns"] {
  // A name on the command line is a wish to be announced.
  const enabled = ((reader.boolean("mdns") ?? false) || flags.mdnsName !== undefined) && !flags.noMdns;
  const written = reader.string("mdns_name");
  // DNS-SD names a service in one label: RFC 6763, section 4.1.1.
  const isLabel = (name: string): boolean => /^[^\u0000-\u001f\u007f.]+$/.test(name) && bytesOf(name).length <= 63;
  if (written !== undefined && !isLabel(written)) reader.problem("mdns_name", NO_LABEL);
  if (flags.mdnsName !== undefined && !isLabel(flags.mdnsName)) problems.add("--mdns-name", "", NO_LABEL);
  return { enabled, name: flags.mdnsName ?? written };
}

/** `IP:PORT` or `[IPV6]:PORT`; where others can reach it only when that is said too. */
function readMetrics(reader: TableReader): DaemonConfig["metrics"] {
  const written = reader.string("metrics");
  const isPublic = reader.boolean("metrics_public") ?? false;
  if (written === undefined) return undefined;
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(written) ?? [];
  const host = six ?? four;
  if (host === undefined || parseIp(host) === undefined || host.includes(":") !== (six !== undefined)) {
    reader.problem(
      "metrics",
      `${shownValue(written)} is not an address with a port; write "127.0.0.1:9042" or "[::1]:9042"`,
    );
    return undefined;
  }
  if (Number(port) > PORTS.max) {
    reader.problem("metrics", `${shownValue(written)} has no port from 0 to ${PORTS.max}`);
    return undefined;
  }
  if (!isLoopback(host) && !isPublic) {
    reader.problem("metrics", `${shownValue(written)} can be reached by others; metrics_public = true allows that`);
    return undefined;
  }
  return { host, port: Number(port) };
}

function readStateDirectory(reader: TableReader): string | undefined {
  const path = absolutePath(reader, "state_directory");
  return path === undefined ? undefined : Buffer.from(path).toString();
}

/** The root is served like a module without a name. */
function readRoot(reader: TableReader, flags: DaemonFlags): ModuleConfig | undefined {
  const written = absolutePath(reader, "root");
  const readOnly = reader.boolean("root_read_only") ?? true;
  // What the operator names on the command line may be relative to where that was typed.
  const path = flags.root === undefined ? written : fromHere(flags.root);
  if (path === undefined) return undefined;
  return {
    name: "",
    path,
    comment: "",
    access: readOnly ? "read_only" : "read_write",
    list: false,
    allow: undefined,
    deny: [],
    maxSessions: undefined,
    stripSetid: true,
    allowDevices: false,
    allowSpecials: false,
  };
}

function fromHere(path: Uint8Array): Uint8Array {
  if (path[0] === 0x2f) return path;
  return new Uint8Array(Buffer.concat([bytesOf(`${resolve(".")}/`), path]));
}

function readModules(files: readonly ConfigFile[], problems: Problems): ModuleConfig[] {
  const modules: ModuleConfig[] = [];
  const homes = new Map<string, string>();
  for (const { name: file, tables } of files) {
    const list = tables["module"] ?? [];
    if (!Array.isArray(list)) {
      problems.add(file, "module", `is ${kindOf(list)}; each module begins with [[module]]`);
      continue;
    }
    for (const [index, table] of list.entries()) {
      const module = readModule(problems, file, table, index + 1);
      if (module === undefined) continue;
      const home = homes.get(module.name);
      if (home !== undefined) {
        const where = home === file ? "twice" : `in ${home} too`;
        problems.add(file, `module ${shownValue(module.name)}`, `this name is there ${where}; names are unique`);
        continue;
      }
      homes.set(module.name, file);
      modules.push(module);
    }
  }
  return modules;
}

function readDelegation(main: ConfigFile | undefined, problems: Problems): DelegationConfig {
  const reader = new TableReader(problems, main?.name ?? "", "delegation.", main?.tables["delegation"]);
  const enabled = reader.boolean("enabled") ?? false;
  const allow = reader.strings("allow") ?? [];
  if (enabled && allow.length === 0) reader.problem("allow", "is empty: list the hosts this daemon may dial");
  const hosts: string[] = [];
  const networks = allow.flatMap((text) => {
    const network = parseNetwork(text);
    if (typeof network !== "string") return [network];
    if (/[/:%*]/.test(text) || !isHostName(text)) {
      reader.problem(
        "allow",
        `${shownValue(text)} ${network === "is not an IP address or CIDR" ? "is no host name, IP address or CIDR" : network}`,
      );
      return [];
    }
    const host = text.toLowerCase().replace(/\.$/, "");
    hosts.push(host);
    return [];
  });
  reader.finish();
  return { enabled, hosts, networks };
}

/** Letters, digits, dashes and dots, and not digits alone, which resolvers take for an address. */
function isHostName(text: string): boolean {
  return text.length <= 254 && /^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.?)+$/i.test(text) && /[a-z_]/i.test(text);
}

function checkTopLevel(files: readonly ConfigFile[], problems: Problems): void {
  for (const { name, isMain, tables } of files) {
    const reader = new TableReader(problems, name, "", tables);
    // What runs begin with is for those who start them.
    for (const key of CLIENT_TABLES) reader.raw(key);
    for (const key of DAEMON_TABLES) {
      if (isMain || key === "module") reader.raw(key);
      else if (reader.has(key)) {
        reader.raw(key);
        reader.problem(key, "belongs in the main file; files of conf.d hold [[module]] only");
      }
    }
    reader.finish();
  }
}

/** One tree behind two names has two sets of rules, and the weaker one holds. */
function overlaps({ modules, root }: Pick<DaemonConfig, "modules" | "root">): string[] {
  const all = root === undefined ? modules : [root, ...modules];
  return all.flatMap((outer) =>
    modules
      .filter((inner) => inner !== outer && isInside(inner.path, outer.path) && !sameRules(outer, inner))
      .map((inner) => {
        const name = outer === root ? "the root" : `module ${shownValue(outer.name)}`;
        return safe(`module ${shownValue(inner.name)} lies in ${name} and is reached there by other rules`);
      }),
  );
}

function isInside(path: Uint8Array, directory: Uint8Array): boolean {
  const [inner, outer] = [path, directory].map((bytes) =>
    `${Buffer.from(bytes).toString("latin1")}/`.replace(/\/+/g, "/"),
  );
  return inner!.startsWith(outer!);
}

function sameRules(a: ModuleConfig, b: ModuleConfig): boolean {
  const key = ({ access, allow, deny, stripSetid, allowDevices, allowSpecials }: ModuleConfig): string =>
    [access, stripSetid, allowDevices, allowSpecials, ...[...(allow ?? ["all"]), "|", ...deny].map(networkKey)].join();
  return key(a) === key(b);
}

function networkKey(network: string | { bits: bigint; prefix: number; family: number }): string {
  return typeof network === "string" ? network : `${network.family}:${network.bits}/${network.prefix}`;
}
