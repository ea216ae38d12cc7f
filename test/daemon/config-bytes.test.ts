/** Configurations of any content: usable, or everything that is wrong with them in words; never an exception. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import type { DaemonFlags } from "../../src/core/daemon-flags.ts";
import { type LoadedConfig, loadConfig } from "../../src/daemon/load-config.ts";
import { FUZZ_TEST_MS, fuzzing } from "../support/fuzzing.ts";
import { tempDir } from "../support/temp.ts";

const scratch = tempDir();
afterAll(() => scratch[Symbol.dispose]());
const FILE = scratch.join("config.toml");
mkdirSync(scratch.join("conf.d"));

function load(main: string | Uint8Array, include?: string | Uint8Array): LoadedConfig {
  writeFileSync(FILE, main, { mode: 0o644 });
  writeFileSync(scratch.join("conf.d/more.toml"), include ?? "", { mode: 0o644 });
  const flags: DaemonFlags = { ...NO_FLAGS, config: new Uint8Array(Buffer.from(FILE)) };
  return loadConfig(flags);
}

const NO_FLAGS: DaemonFlags = {
  bind: [],
  port: undefined,
  dataPort: undefined,
  mdnsName: undefined,
  noMdns: false,
  root: undefined,
  config: undefined,
  configDir: undefined,
  forceGrpcData: false,
} as DaemonFlags;

/** What may be served is what was written, and nothing that is wrong goes to the terminal as commands. */
function check(loaded: LoadedConfig): void {
  if (loaded.kind === "unusable") {
    expect(loaded.problems.length).toBeGreaterThan(0);
    for (const problem of loaded.problems) expect(problem).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    return;
  }
  const { config } = loaded;
  const names = config.modules.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, path } of config.modules) {
    expect(name).not.toMatch(/[\u0000-\u001f\u007f-\u009f/]|^\.{0,2}$/);
    expect(path[0]).toBe(0x2f);
    expect(path.includes(0)).toBe(false);
  }
  expect(config.modules.length > 0 || config.root !== undefined).toBe(true);
  for (const port of [config.port, config.dataPort])
    if (typeof port === "number") expect(port >= 0 && port <= 65_535).toBe(true);
  expect(config.bind.length).toBeGreaterThan(0);
  for (const ms of [config.handshakeTimeoutMs, config.idleTimeoutMs, config.stallTimeoutMs, config.drainTimeoutMs])
    expect(Number.isInteger(ms) && ms >= 0).toBe(true);
}

const KEYS = [
  ...["bind", "port", "data_port", "mdns", "mdns_name", "root", "root_read_only", "max_sessions", "handshake_timeout"],
  ...[
    "idle_timeout",
    "stall_timeout",
    "drain_timeout",
    "log",
    "force_grpc_data",
    "trace_data_plane",
    "max_streams",
    "name",
    "path",
    "comment",
  ],
  ...["read_only", "write_only", "list", "allow", "deny", "strip_setid", "allow_devices", "allow_specials", "enabled"],
  ...["max_connections_per_peer", "__proto__", "constructor", "toString", "prot", '"a.b"', '"\\u001b[2J"'],
];
const VALUES = [
  ...["true", "false", "0", "-1", "1", "65535", "65536", "9007199254740993", "1e400", "nan", "inf", "0x10", "1_000"],
  ...[
    '""',
    '"/"',
    '"/srv"',
    '"srv"',
    '"/a\\u0000b"',
    '"a\\u001b[2J"',
    '".."',
    '"10s"',
    '"1.5h"',
    '"-1s"',
    '"99999999h"',
    '"1e3s"',
  ],
  ...[
    "[]",
    '["127.0.0.1"]',
    '["::1", "::1"]',
    '["10.0.0.0/8", 5]',
    "[[1]]",
    "{}",
    "{ a = 1 }",
    "1979-05-27",
    "07:32:00",
  ],
  ...['"localhost"', '"*"', '"text"', '"json"', "'raw\\n'", '"""\nlines"""'],
];
const TABLES = [
  "[daemon]",
  "[[module]]",
  "[delegation]",
  "[module]",
  "[[daemon]]",
  "[daemon.port]",
  "[__proto__]",
  "[x]",
  "[[module.sub]]",
];
const line = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES))
      .map(([key, value]) => `${key} = ${value}`),
  },
  { weight: 3, arbitrary: fc.constantFrom(...TABLES) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("# text", "=", "a = ", "[", "]]", '"', "\u0000", "a.b.c = 1", `x = ${"[".repeat(500)}`),
  },
);
const text = fc.array(line, { maxLength: 14 }).map((lines) => lines.join("\n"));

describe("S33 B71 whatever a configuration says", () => {
  test(
    "lines that look like one",
    () => {
      let usable = 0;
      const module = '[[module]]\nname = "m"\npath = "/srv"\n';
      fc.assert(
        fc.property(text, fc.option(text, { nil: undefined }), fc.boolean(), (main, include, served) => {
          const loaded = load(served ? `${main}\n${module}` : main, include);
          if (loaded.kind === "usable") usable++;
          check(loaded);
        }),
        fuzzing(1500),
      );
      expect(usable).toBeGreaterThan(5);
    },
    FUZZ_TEST_MS,
  );

  test(
    "bytes",
    () => {
      const honest = Buffer.from('[daemon]\nport = 1\nidle_timeout = "5s"\n[[module]]\nname = "m"\npath = "/srv"\n');
      const flips = fc.array(fc.tuple(fc.nat(honest.length - 1), fc.nat(255)), { maxLength: 4 }).map((changes) => {
        const bytes = Buffer.from(honest);
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes;
      });
      fc.assert(
        fc.property(fc.oneof(flips, fc.uint8Array({ maxLength: 60 })), (bytes) => check(load(bytes))),
        fuzzing(1000),
      );
    },
    FUZZ_TEST_MS,
  );

  test.each([
    ["a name of the language", '[__proto__]\nport = 1\n[[module]]\nname = "m"\npath = "/srv"\n', "__proto__"],
    ["another one", '[daemon]\nconstructor = 1\n[[module]]\nname = "m"\npath = "/srv"\n', "constructor"],
  ])("%s is a key that nobody knows", (_, written, key) => {
    const loaded = load(written);
    expect(loaded.kind === "unusable" && loaded.problems.join()).toContain(`${key}: unknown key`);
  });
});
