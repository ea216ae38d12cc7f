/** From files and flags to a configuration: defaults, every key, and what is refused with which words. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DaemonFlags } from "../../src/core/daemon-flags.ts";
import { formatIp } from "../../src/core/ip.ts";
import type { DaemonConfig } from "../../src/daemon/config.ts";
import { loadConfig } from "../../src/daemon/load-config.ts";
import { tempDir } from "../support/temp.ts";

const scratch = tempDir();
afterAll(() => scratch[Symbol.dispose]());
let count = 0;

const NO_FLAGS: DaemonFlags = {
  config: undefined,
  configDir: undefined,
  bind: [],
  port: undefined,
  dataPort: undefined,
  root: undefined,
  noMdns: false,
  mdnsName: undefined,
  forceGrpcData: false,
};

/** A directory with these files; `FILE` in what comes back stands for the main one. */
function directoryOf(main: string | undefined, includes: Readonly<Record<string, string>> = {}): string {
  const directory = scratch.join(`config-${count++}`);
  mkdirSync(join(directory, "conf.d"), { recursive: true });
  if (main !== undefined) writeFileSync(join(directory, "config.toml"), main);
  for (const [name, text] of Object.entries(includes)) writeFileSync(join(directory, "conf.d", name), text);
  return directory;
}

function load(main: string | undefined, flags: Partial<DaemonFlags> = {}, includes: Record<string, string> = {}) {
  const directory = directoryOf(main, includes);
  const loaded = loadConfig({ ...NO_FLAGS, configDir: Buffer.from(directory), ...flags });
  const short = (text: string): string =>
    text.replaceAll(join(directory, "config.toml"), "FILE").replaceAll(`${directory}/`, "");
  return {
    config: loaded.kind === "usable" ? loaded.config : undefined,
    warnings: loaded.kind === "usable" ? loaded.warnings : [],
    problems: loaded.kind === "usable" ? [] : loaded.problems.map(short),
  };
}

function usable(...args: Parameters<typeof load>): DaemonConfig {
  const { config, problems } = load(...args);
  if (config === undefined) throw new Error(problems.join("\n"));
  return config;
}

const MODULE = '[[module]]\nname = "m"\npath = "/srv/m"\n';

describe("what is read", () => {
  test("defaults", () => {
    const { files: _, ...config } = usable(MODULE);
    expect(config).toEqual({
      bind: ["127.0.0.1"],
      port: 9040,
      dataPort: 9041,
      mdns: { enabled: false, name: undefined },
      root: undefined,
      maxSessions: 64,
      handshakeTimeoutMs: 10_000,
      idleTimeoutMs: 60_000,
      stallTimeoutMs: 86_400_000,
      drainTimeoutMs: 30_000,
      logFormat: "text",
      stateDirectory: undefined,
      jobHistory: 500,
      admin: false,
      metrics: undefined,
      traceDataPlane: false,
      forceGrpcData: false,
      maxStreams: 8,
      maxConnectionsPerPeer: 1024,
      modules: [
        {
          name: "m",
          path: new Uint8Array(Buffer.from("/srv/m")),
          comment: "",
          access: "read_only",
          list: true,
          allow: undefined,
          deny: [],
          maxSessions: undefined,
          stripSetid: true,
          allowDevices: false,
          allowSpecials: false,
        },
      ],
      delegation: { enabled: false, hosts: [], networks: [] },
    });
  });
  test("every key", () => {
    const config = usable(`
      [daemon]
      bind = ["10.0.0.1", "fe80::1%eth0"]
      port = 1000
      data_port = 0
      mdns = true
      mdns_name = "Büro"
      root = "/srv"
      root_read_only = false
      max_sessions = 7
      handshake_timeout = "1.5s"
      idle_timeout = "2m"
      stall_timeout = "1h"
      drain_timeout = "250ms"
      log = "json"
      state_directory = "/var/lib/fastsync"
      job_history = 7
      admin = true
      metrics = "[::]:9042"
      metrics_public = true
      trace_data_plane = true
      force_grpc_data = true
      max_streams = 3
      max_connections_per_peer = 9
      [[module]]
      name = "größe"
      path = "/srv/größe"
      comment = "c"
      read_only = false
      list = false
      allow = ["10.0.0.0/8", "::1"]
      deny = ["::ffff:10.0.0.5"]
      max_sessions = 2
      strip_setid = false
      allow_devices = true
      allow_specials = true
      [[module]]
      name = "inbox"
      path = "/srv/inbox"
      write_only = true
      [delegation]
      enabled = true
      allow = ["NAS.example.org.", "192.168.0.0/16", "localhost"]`);
    const { bind, port, dataPort, mdns, maxSessions, drainTimeoutMs, idleTimeoutMs, handshakeTimeoutMs } = config;
    expect({ bind, port, dataPort, mdns, maxSessions, drainTimeoutMs, idleTimeoutMs, handshakeTimeoutMs }).toEqual({
      bind: ["10.0.0.1", "fe80::1%eth0"],
      port: 1000,
      dataPort: "none",
      mdns: { enabled: true, name: "Büro" },
      maxSessions: 7,
      drainTimeoutMs: 250,
      idleTimeoutMs: 120_000,
      handshakeTimeoutMs: 1500,
    });
    const { stateDirectory, jobHistory, admin, metrics } = config;
    expect({ stateDirectory, jobHistory, admin, metrics }).toEqual({
      ...{ stateDirectory: "/var/lib/fastsync", jobHistory: 7, admin: true },
      metrics: { host: "::", port: 9042 },
    });
    expect(config.traceDataPlane).toBe(true);
    expect([config.logFormat, config.forceGrpcData, config.maxStreams, config.maxConnectionsPerPeer]).toEqual([
      "json",
      true,
      3,
      9,
    ] as never);
    expect(config.stallTimeoutMs).toBe(3_600_000);
    expect(config.root).toMatchObject({ name: "", access: "read_write", list: false, stripSetid: true });
    const [module, inbox] = config.modules;
    expect(module).toMatchObject({
      ...{ name: "größe", comment: "c", access: "read_write", list: false, maxSessions: 2 },
      ...{ stripSetid: false, allowDevices: true, allowSpecials: true },
    });
    const shown = (networks: readonly { family: 4 | 6; bits: bigint; prefix: number }[] | undefined) =>
      networks?.map((network) => `${formatIp(network)}/${network.prefix}`);
    expect([shown(module!.allow), shown(module!.deny)]).toEqual([["10.0.0.0/8", "::1/128"], ["10.0.0.5/32"]]);
    expect(inbox!.access).toBe("write_only");
    expect(config.delegation.hosts).toEqual(["nas.example.org", "localhost"]);
    expect(shown(config.delegation.networks)).toEqual(["192.168.0.0/16"]);
  });
  test("flags outrank the file", () => {
    const main = `[daemon]\nbind = "10.0.0.1"\nport = 1\ndata_port = 2\nroot = "/a"\nmdns = true\nmdns_name = "x"\n`;
    const flags = {
      bind: ["::1", "127.0.0.1"],
      port: "7000",
      dataPort: "7005",
      root: Buffer.from("/b\xff", "latin1"),
      forceGrpcData: true,
      mdnsName: "y",
    };
    const config = usable(main, flags);
    expect(config).toMatchObject({ bind: ["::1", "127.0.0.1"], port: 7000, dataPort: 7005, forceGrpcData: true });
    expect(Buffer.from(config.root!.path).toString("latin1")).toBe("/b\xff");
    expect(config.mdns).toEqual({ enabled: true, name: "y" });
    expect(usable(main, { noMdns: true }).mdns.enabled).toBe(false);
    expect(usable(MODULE, { mdnsName: "y" }).mdns).toEqual({ enabled: true, name: "y" });
  });
  test("--root is relative to where it is typed, and enough to start", () => {
    const config = loadConfig({ ...NO_FLAGS, root: Buffer.from("some/place") });
    if (config.kind === "unusable") throw new Error(config.problems.join());
    expect(Buffer.from(config.config.root!.path).toString()).toBe(`${process.cwd()}/some/place`);
  });
  test.each([
    [undefined, undefined, 9041],
    ["0", undefined, "any"],
    ["0", "0", "none"],
    ["5", undefined, 6],
    ["5", "0", "none"],
    ["65535", "1", 1],
  ])("--port %s, --data-port %s: data on %s", (port, dataPort, expected) => {
    expect(usable(MODULE, { port, dataPort }).dataPort as unknown).toBe(expected);
  });
  test("B71 conf.d in the order of its names, hidden and other files aside", () => {
    const module = (name: string): string => `[[module]]\nname = "${name}"\npath = "/${name}"\n`;
    const config = usable(
      module("z"),
      {},
      {
        "20-b.toml": module("b"),
        "10-a.toml": module("a"),
        ".hidden.toml": "nonsense",
        "note.txt": "nonsense",
      },
    );
    expect(config.modules.map(({ name }) => name)).toEqual(["z", "a", "b"]);
    expect(config.files.length).toBe(3);
    expect(usable(undefined, { config: undefined, configDir: undefined, root: Buffer.from("/x") }).files).toEqual([]);
  });
  test("--config names the file, conf.d is beside it", () => {
    const directory = directoryOf(undefined, { "a.toml": MODULE });
    writeFileSync(join(directory, "other.toml"), '[[module]]\nname = "o"\npath = "/o"\n');
    const config = usable(undefined, { configDir: undefined, config: Buffer.from(join(directory, "other.toml")) });
    expect(config.modules.map(({ name }) => name)).toEqual(["o", "m"]);
  });
});

const CASES: readonly (readonly [title: string, main: string, ...problems: string[]])[] = [
  [
    "nothing to serve",
    "",
    "FILE: nothing is served: no [[module]], no root (--root DIR serves one directory, read-only)",
  ],
  [
    "nothing to serve, with a section",
    "[daemon]\nport = 1",
    "FILE: nothing is served: no [[module]], no root (--root DIR serves one directory, read-only)",
  ],
  ["no TOML", `${MODULE}[daemon]\nport = = 1`, "FILE: line 5: "],
  ["a list that does not end", `${MODULE}allow = ["a",\n"b"\n`, "FILE: line 5: "],
  ["a key twice", `${MODULE}name = "n"\n`, "FILE: line 4: Cannot redefine key 'name'"],
  ["an unknown key", `${MODULE}read_onyl = true`, 'FILE: module "m".read_onyl: unknown key; did you mean read_only?'],
  ["an unknown key of the daemon", `${MODULE}[daemon]\nprot = 1`, "FILE: daemon.prot: unknown key; did you mean port?"],
  ["an unknown section", `${MODULE}[deamon]\nport = 1`, "FILE: deamon: unknown key; did you mean daemon?"],
  ["a key outside of sections", `port = 1\n${MODULE}`, "FILE: port: unknown key"],
  ["[module]", '[module]\nname = "m"', "FILE: module: is a table; each module begins with [[module]]"],
  ["a module that is no table", "module = [1]", "FILE: module 1: is a number, not a table"],
  ["a section that is no table", `daemon = 1\n${MODULE}`, "FILE: daemon: is a number, not a table"],
  ["a module twice", `${MODULE}${MODULE}`, 'FILE: module "m": this name is there twice; names are unique'],
  ["no name", '[[module]]\npath = "/x"', "FILE: module 1.name: is missing"],
  ["no path", '[[module]]\nname = "x"', 'FILE: module "x".path: is missing'],
  ["an empty name", '[[module]]\nname = ""\npath = "/x"', 'FILE: module 1.name: "" is empty'],
  ["a name with a slash", '[[module]]\nname = "a/b"\npath = "/x"', 'FILE: module 1.name: "a/b" has a slash'],
  ["a name of dots", '[[module]]\nname = ".."\npath = "/x"', 'FILE: module 1.name: ".." names a directory'],
  ["a name with a newline", '[[module]]\nname = "a\\nb"\npath = "/x"', 'FILE: module 1.name: "a\\nb" has a control'],
  ["a name with C1", '[[module]]\nname = "a\\u009bb"\npath = "/x"', "has a control character"],
  ["a name that is too long", `[[module]]\nname = "${"ö".repeat(128)}"\npath = "/x"`, "is longer than 255 bytes"],
  ["a relative path", '[[module]]\nname = "x"\npath = "srv/x"', 'FILE: module "x".path: "srv/x" is not absolute'],
  ["a path with NUL", '[[module]]\nname = "x"\npath = "/a\\u0000b"', "is not absolute; it begins with /"],
  ["a path of another type", '[[module]]\nname = "x"\npath = 1', 'FILE: module "x".path: is a number, not a string'],
  ["a relative root", '[daemon]\nroot = "srv"', 'FILE: daemon.root: "srv" is not absolute'],
  ["read_only as text", `${MODULE}read_only = "no"`, 'FILE: module "m".read_only: is a string, not true or false'],
  ["both modes", `${MODULE}read_only = true\nwrite_only = true`, "write_only: contradicts read_only; leave one out"],
  ["an address that is none", `${MODULE}allow = ["nas"]`, 'FILE: module "m".allow: "nas" is not an IP address or CIDR'],
  ["a network with more bits", `${MODULE}deny = ["10.0.0.1/8"]`, 'module "m".deny: "10.0.0.1/8" has bits after'],
  ["a list that is none", `${MODULE}allow = "10.0.0.1"`, 'module "m".allow: is a string, not a list of strings'],
  ["a list of other things", `${MODULE}allow = [1]`, 'module "m".allow: holds a number, not a list of strings'],
  ["a port too high", `${MODULE}[daemon]\nport = 65536`, "FILE: daemon.port: is 65536, not a whole number from 0"],
  ["a port with a fraction", `${MODULE}[daemon]\nport = 1.5`, "FILE: daemon.port: is 1.5, not a whole number"],
  ["a port as text", `${MODULE}[daemon]\nport = "1"`, 'FILE: daemon.port: is "1", not a whole number'],
  ["one port for both", `${MODULE}[daemon]\nport = 5\ndata_port = 5`, "FILE: daemon.data_port: is the control port 5"],
  ["no port after the last", `${MODULE}[daemon]\nport = 65535`, "daemon.data_port: port 65535 has none after it"],
  ["a date for a number", `${MODULE}[daemon]\nport = 2024-01-01`, "daemon.port: is a date or time, not a whole number"],
  ["a time without unit", `${MODULE}[daemon]\nidle_timeout = 60`, "daemon.idle_timeout: is 60, not a span of time"],
  ["a time too short", `${MODULE}[daemon]\nidle_timeout = "1ms"`, 'daemon.idle_timeout: is "1ms", not a span of time'],
  [
    "metrics where others can ask",
    `${MODULE}[daemon]\nmetrics = "10.0.0.1:9042"`,
    'daemon.metrics: "10.0.0.1:9042" can be reached by others; metrics_public = true allows that',
  ],
  [
    "metrics at no address",
    `${MODULE}[daemon]\nmetrics = "localhost:9042"`,
    'daemon.metrics: "localhost:9042" is not an address with a port; write "127.0.0.1:9042" or "[::1]:9042"',
  ],
  [
    "metrics at no port",
    `${MODULE}[daemon]\nmetrics = "[::1]:99999"`,
    'daemon.metrics: "[::1]:99999" has no port from 0 to 65535',
  ],
  ["a log of another kind", `${MODULE}[daemon]\nlog = "xml"`, 'daemon.log: is "xml", not "text" or "json"'],
  ["bind by name", `${MODULE}[daemon]\nbind = "localhost"`, '"localhost" is not an IP address; write 127.0.0.1 or ::1'],
  ["bind to a star", `${MODULE}[daemon]\nbind = "*"`, '"*" is not an IP address; write 0.0.0.0 (all IPv4) or ::'],
  ["bind to nothing", `${MODULE}[daemon]\nbind = []`, "daemon.bind: is empty"],
  ["bind twice", `${MODULE}[daemon]\nbind = ["::1", "::1"]`, "daemon.bind: names an address twice"],
  ["a long mDNS name", `${MODULE}[daemon]\nmdns_name = "${"x".repeat(64)}"`, "daemon.mdns_name: is not a name of 1"],
  ["delegation to nobody", `${MODULE}[delegation]\nenabled = true`, "FILE: delegation.allow: is empty"],
  [
    "delegation to nonsense",
    `${MODULE}[delegation]\nallow = ["*.example.org", "10.0.0.1/8", "1234"]`,
    'FILE: delegation.allow: "*.example.org" is no host name, IP address or CIDR',
    'FILE: delegation.allow: "10.0.0.1/8" has bits after its prefix',
    'FILE: delegation.allow: "1234" is no host name, IP address or CIDR',
  ],
  [
    "many at once",
    '[daemon]\nport = -1\nmdsn = true\n[[module]]\nname = "a"\npath = "a"\n[[module]]\npath = "/b"\nalow = []',
    'FILE: module "a".path: "a" is not absolute',
    "FILE: module 2.name: is missing",
    "FILE: module 2.alow: unknown key; did you mean allow?",
    "FILE: daemon.port: is -1",
    "FILE: daemon.mdsn: unknown key; did you mean mdns?",
  ],
  ["what a terminal would obey", `${MODULE}"a\\u001b[2J" = 1`, 'FILE: module "m".a\\033[2J: unknown key'],
];

describe("B71 what is refused", () => {
  test.each(CASES)("%s", (_, main, ...expected) => {
    const { problems } = load(main);
    expect(problems).toEqual(expected.map((text) => expect.stringContaining(text)));
  });
  test.each([
    [{ port: "x" }, '--port: "x" is not a port from 0 to 65535'],
    [{ port: "65536" }, '--port: "65536" is not a port from 0 to 65535'],
    [{ port: "5", dataPort: "5" }, "--data-port: is the control port 5"],
    [{ bind: ["nas"] }, '--bind: "nas" is not an IP address; write an address of this machine'],
    [{ mdnsName: "" }, "--mdns-name: is not a name of 1 to 63 bytes"],
  ] as const)("%o", (flags, expected) => {
    expect(load(MODULE, flags).problems).toEqual([expect.stringContaining(expected)]);
  });
  test("in conf.d", () => {
    const includes = {
      "a.toml": `[daemon]\nport = 1\n${MODULE}`,
      "b.toml": MODULE,
      "c.toml": "[delegation]\nenabled = true",
      "d.toml": "x = ",
    };
    expect(load("", {}, includes).problems).toEqual([
      expect.stringContaining("conf.d/d.toml: line 1: "),
      'conf.d/b.toml: module "m": this name is there in conf.d/a.toml too; names are unique',
      "conf.d/a.toml: daemon: belongs in the main file; files of conf.d hold [[module]] only",
      "conf.d/c.toml: delegation: belongs in the main file; files of conf.d hold [[module]] only",
    ]);
  });
  test("files that cannot be read", () => {
    expect(load(undefined).problems).toEqual(["FILE: there is no such file"]);
    const directory = directoryOf(undefined, {});
    mkdirSync(join(directory, "config.toml"));
    symlinkSync("nowhere", join(directory, "conf.d", "x.toml"));
    const loaded = loadConfig({ ...NO_FLAGS, configDir: Buffer.from(directory) });
    expect(loaded.kind === "unusable" && loaded.problems).toEqual([
      `${directory}/config.toml: is not a file`,
      `${directory}/conf.d/x.toml: there is no such file`,
    ]);
  });
  test("B66 B71 a file that others may write, that is not UTF-8, or far too large", () => {
    const directory = directoryOf(MODULE);
    const file = join(directory, "config.toml");
    const problems = (): unknown => {
      const loaded = loadConfig({ ...NO_FLAGS, configDir: Buffer.from(directory) });
      return loaded.kind === "unusable" && loaded.problems;
    };
    chmodSync(file, 0o646);
    expect(problems()).toEqual([`${file}: may be written by everybody on this machine; chmod o-w`]);
    chmodSync(file, 0o644);
    writeFileSync(file, Buffer.from([0x23, 0xff, 0x0a]));
    expect(problems()).toEqual([`${file}: is not UTF-8, which TOML is written in`]);
    writeFileSync(file, `#${"x".repeat(1024 * 1024)}`);
    expect(problems()).toEqual([`${file}: is larger than 1 MiB`]);
  });
});

describe("warnings", () => {
  const inner = '[[module]]\nname = "in"\npath = "/srv/m/in"\n';
  test.each([
    [
      "by other rules in another",
      `${MODULE}${inner}read_only = false`,
      ['module "in" lies in module "m" and is reached there by other rules'],
    ],
    ["with the same rules", `${MODULE}${inner}`, []],
    [
      "in the root",
      `[daemon]\nroot = "/srv"\n${MODULE}allow = ["10.0.0.1"]`,
      ['module "m" lies in the root and is reached there by other rules'],
    ],
    ["beside a name that begins alike", `${MODULE}[[module]]\nname = "n"\npath = "/srv/mm"\nread_only = false`, []],
    [
      "the same path",
      `${MODULE}[[module]]\nname = "n"\npath = "/srv/m/"\nread_only = false`,
      [
        'module "n" lies in module "m" and is reached there by other rules',
        'module "m" lies in module "n" and is reached there by other rules',
      ],
    ],
  ])("a module %s", (_, main, expected) => {
    expect(load(main).warnings).toEqual(expected);
  });
});
