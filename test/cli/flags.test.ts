/** The flag table against itself, the help, and the options that it has to reach. */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { overviewHelp, shortUsage, verbHelp } from "../../src/cli/text/help.ts";
import { FLAGS, flagNamed, flagsOf, GROUPS, lettersOf } from "../../src/cli/words/flags.ts";
import { foreignFlag, foreignLetter } from "../../src/cli/words/foreign-flags.ts";
import { ParsedArgs, parseCommandLine } from "../../src/cli/words/parse-args.ts";
import { argumentOf } from "../../src/cli/words/raw-args.ts";
import { type Resolved, resolveOptions, type Surroundings } from "../../src/cli/words/resolve-options.ts";
import { isUtility, isVerb, letterSetOf, VERB_NAMES, VERBS, type VerbName } from "../../src/cli/words/verbs.ts";
import type { RunOptions } from "../../src/core/options.ts";
import { run } from "./processes.ts";

const NOW_MS = 1_700_000_000_000;
const SURROUNDINGS: Surroundings = {
  env: {},
  nowMs: NOW_MS,
  readFile: (path) => Buffer.from(`read-${Buffer.from(path).toString()}\n`),
  readStdin: async () => Buffer.from("from-stdin\n"),
  accounts: {
    passwd: () => Buffer.from("root:x:0:0::/:\nana:x:1001:1002::/:\n123:x:7:7::/:\n"),
    group: () => Buffer.from("root:x:0:\nstaff:x:50:ana\n"),
  },
};

export async function resolve(line: string, over: Partial<Surroundings> = {}): Promise<Resolved> {
  const parsed = parseCommandLine(line.split(" ").map(argumentOf));
  if (parsed.kind !== "run") throw new Error(`not a run: ${parsed.kind}`);
  return await resolveOptions(parsed.args, { ...SURROUNDINGS, ...over });
}

describe("the table", () => {
  test("names and letters are unique and well formed", () => {
    const names = FLAGS.map((flag) => flag.name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9-]*$/);
    // One verb of each set of letters.
    for (const verb of ["copy", "cp", "ls"] as const) {
      const letters = FLAGS.flatMap((flag) => [...lettersOf(flag, verb)]);
      expect(new Set(letters).size).toBe(letters.length);
      for (const letter of letters) expect(letter).toMatch(/^[A-Za-z0-9]$/);
    }
  });
  test("conflicts and needs name flags that a common verb has", () => {
    for (const flag of FLAGS) {
      for (const other of [...(flag.conflicts ?? []), ...(flag.needs ?? [])]) {
        const known = flagNamed(other);
        expect(known, `${flag.name} names ${other}`).toBeDefined();
        expect(flag.verbs.some((verb) => known!.verbs.includes(verb))).toBe(true);
      }
    }
  });
  test("every flag has verbs, a group and one help line", () => {
    for (const flag of FLAGS) {
      expect(flag.verbs.length).toBeGreaterThan(0);
      for (const verb of flag.verbs) expect(isVerb(verb)).toBe(true);
      expect(GROUPS).toContain(flag.group);
      expect(flag.help).not.toMatch(/\n|\.$/);
    }
  });
  test("no flag of ours is explained as another tool's", () => {
    for (const verb of VERB_NAMES) {
      // Those of cp and sync alone have an answer for the other verbs.
      if (letterSetOf(verb) === "transfer") continue;
      for (const flag of flagsOf(verb)) {
        expect([verb, flag.name, foreignFlag(flag.name, verb)]).toEqual([verb, flag.name, undefined]);
        for (const letter of lettersOf(flag, verb))
          expect([verb, letter, foreignLetter(letter, verb)]).toEqual([verb, letter, undefined]);
      }
    }
  });
});

describe("help", () => {
  test.each([...VERB_NAMES])("of %s lists its flags and no others, within 80 columns", (verb) => {
    const text = verbHelp(verb);
    for (const flag of FLAGS) {
      const listed = new RegExp(`^ +(-., )? *--${flag.name}(?![a-z-])`, "m").test(text);
      expect(listed, `--${flag.name}`).toBe(flag.verbs.includes(verb));
    }
    for (const line of text.split("\n").slice(1)) expect(line.length).toBeLessThanOrEqual(80);
  });
  test("is that of a verb behind --help, too", () => {
    const asked = (line: string) => parseCommandLine(line.split(" ").map(argumentOf));
    expect(asked("--help list")).toEqual({ kind: "help", verb: "ls" });
    expect(asked("-h copy")).toEqual({ kind: "help", verb: "copy" });
    expect(asked("--help nothing")).toEqual({ kind: "help", verb: undefined });
  });
  test("of all verbs has a line for each, and the short one fits a small terminal", () => {
    const overview = overviewHelp().split("\n");
    for (const verb of VERB_NAMES) expect(overview).toContain(`  ${verb.padEnd(14)}${VERBS[verb].summary}`);
    for (const line of [...overview, ...shortUsage().split("\n")]) expect(line.length).toBeLessThanOrEqual(80);
    expect(shortUsage().split("\n").length).toBeLessThanOrEqual(24);
  });
  test.each(["overview", "short", ...VERB_NAMES])("%s is as agreed", (topic) => {
    const text = topic === "overview" ? overviewHelp() : topic === "short" ? shortUsage() : verbHelp(topic as VerbName);
    expectGolden(`help-${topic}.txt`, text);
  });
  test.concurrent.each([
    ["help", overviewHelp()],
    ["--help", overviewHelp()],
    ["-h", overviewHelp()],
    ["help mirror", verbHelp("mirror")],
    ["mirror --help", verbHelp("mirror")],
    ["copy A --help --frob", verbHelp("copy")],
    ["help capabilities", verbHelp("capabilities")],
  ])("fastsync %s", async (line, expected) => {
    const { code, out, err } = await run(line.split(" "));
    expect({ code, out, err }).toEqual({ code: 0, out: expected, err: "" });
  });
});

/** Compares with a file; UPDATE_GOLDEN=1 writes it. */
function expectGolden(name: string, text: string): void {
  const path = join(import.meta.dir, "golden", name);
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, "utf8"));
}

type Get = (resolved: Resolved) => unknown;
const option =
  (get: (options: RunOptions) => unknown): Get =>
  ({ options }) =>
    get(options);
const rules: Get = ({ options }) =>
  options.filter.rules.map(({ text, origin }) => `${origin}: ${Buffer.from(text).toString()}`);

/** Each flag with the value it makes, and the value without it. */
const REACH: Readonly<Record<string, readonly [line: string, get: Get, set: unknown, unset: unknown]>> = {
  "dry-run": ["copy -n A B", option((o) => o.dryRun), true, false],
  "no-history": ["copy --no-history A B", ({ face }) => face.history, false, true],
  yes: ["mirror -y A B", ({ face }) => face.yes, true, false],
  retry: ["copy --retry 3 A B", option((o) => o.retry.attempts), 3, 0],
  verbose: ["copy -v A B", ({ face }) => face.verbose, true, false],
  quiet: ["copy -q A B", ({ face }) => face.quiet, true, false],
  progress: ["copy -p A B", ({ face }) => face.progress, "on", "automatic"],
  "no-progress": ["copy --no-progress A B", ({ face }) => face.progress, "off", "automatic"],
  itemize: ["copy -i A B", ({ face }) => face.itemize, true, false],
  stats: ["copy --stats A B", ({ face }) => face.stats, true, false],
  "log-file": ["copy --log-file L A B", ({ face }) => text(face.logFile), "L", undefined],
  json: ["copy --json A B", ({ face }) => face.json, true, false],
  checksum: ["copy -c A B", option((o) => o.compare.checksum), true, false],
  "size-only": ["copy --size-only A B", option((o) => o.compare.sizeOnly), true, false],
  "ignore-times": ["copy --ignore-times A B", option((o) => o.compare.ignoreTimes), true, false],
  "modify-window": ["copy --modify-window=1.5 A B", option((o) => o.compare.modifyWindowNs), 1.5e9, 0],
  "ignore-existing": ["copy --ignore-existing A B", option((o) => o.compare.ignoreExisting), true, false],
  existing: ["copy --existing A B", option((o) => o.compare.existing), true, false],
  update: ["copy -u A B", option((o) => o.compare.update), true, false],
  gitignore: ["copy --gitignore A B", option((o) => o.filter.gitignore), true, false],
  "min-size": ["copy --min-size 1.5K A B", option((o) => o.filter.minSize), 1536, undefined],
  "max-size": ["copy --max-size=1MB A B", option((o) => o.filter.maxSize), 1e6, undefined],
  "min-age": ["copy --min-age=2h A B", option((o) => o.filter.modifiedBefore), NOW_MS / 1000 - 7200, undefined],
  "max-age": ["copy --max-age=1w A B", option((o) => o.filter.modifiedAfter), NOW_MS / 1000 - 604_800, undefined],
  "one-file-system": ["copy -x A B", option((o) => o.oneFileSystem), true, false],
  "copy-links": ["copy -L A B", option((o) => o.copyLinks), true, false],
  "safe-links": ["copy --safe-links A B", option((o) => o.safeLinks), true, false],
  "prune-empty-dirs": ["copy --prune-empty-dirs A B", option((o) => o.pruneEmptyDirs), true, false],
  "delete-excluded": ["mirror --delete-excluded A B", option((o) => o.delete.excluded), true, false],
  "max-delete": [
    "mirror --max-delete 5% A B",
    option((o) => o.delete.limit),
    { kind: "percent", percent: 5 },
    { kind: "guard" },
  ],
  "allow-empty-source": ["mirror --allow-empty-source A B", option((o) => o.delete.allowEmptySource), true, false],
  inplace: ["copy --inplace A B", option((o) => o.write.inplace), true, false],
  "temp-dir": ["copy --temp-dir=T A B", option((o) => text(o.write.tempDir)), "T", undefined],
  backup: ["copy -b A B", option((o) => text(o.write.backup?.suffix)), "~", undefined],
  "backup-dir": ["copy --backup-dir=D A B", option((o) => text(o.write.backup?.directory)), "D", undefined],
  resume: ["copy --resume A B", option((o) => o.write.resume), true, false],
  fsync: ["copy --fsync=file A B", option((o) => o.write.fsync), "file", "none"],
  verify: ["copy --verify A B", option((o) => o.write.verify), "compare", "none"],
  "numeric-ids": ["copy --numeric-ids A B", option((o) => o.preserve.numericIds), true, false],
  usermap: [
    "copy --usermap=ana:7,0-9:ana,*:3 A B",
    option((o) => o.preserve.userMap.map(({ to }) => to)),
    [7, 1001, 3],
    [],
  ],
  groupmap: ["copy --groupmap=:staff A B", option((o) => o.preserve.groupMap.map(({ to }) => to)), [50], []],
  chown: [
    "copy --chown=ana:staff A B",
    option(({ preserve }) => [preserve.chownUid, preserve.chownGid]),
    [1001, 50],
    [undefined, undefined],
  ],
  "no-perms": ["copy --no-perms A B", option((o) => o.preserve.perms), false, true],
  "no-times": ["copy --no-times A B", option((o) => o.preserve.times), false, true],
  "no-owner": ["copy --no-owner A B", option((o) => o.preserve.owner), false, true],
  "no-group": ["copy --no-group A B", option((o) => o.preserve.group), false, true],
  "no-xattrs": ["copy --no-xattrs A B", option((o) => o.preserve.xattrs), false, true],
  "no-acls": ["copy --no-acls A B", option((o) => o.preserve.acls), false, true],
  "no-hard-links": ["copy --no-hard-links A B", option((o) => o.preserve.hardLinks), false, true],
  "no-specials": ["copy --no-specials A B", option((o) => o.preserve.specials), false, true],
  "no-sparse": ["copy --no-sparse A B", option((o) => o.preserve.sparse), false, true],
  "no-dir-times": ["copy --no-dir-times A B", option((o) => o.preserve.dirTimes), false, true],
  "no-strict-attrs": ["copy --no-strict-attrs A B", option((o) => o.strictAttrs), false, true],
  recursive: ["cp -R A B", option((o) => o.recursive), true, false],
  delete: ["sync --delete A B", option((o) => [o.verb, o.delete.enabled]), ["mirror", true], ["copy", false]],
  "chunk-size": ["copy --chunk-size=4M A B", option((o) => o.transfer.chunkBytes), 4 << 20, 0],
  "buffer-size": ["copy --buffer-size=16M A B", option((o) => o.transfer.bufferBytes), 16 << 20, 0],
  "small-file-size": ["copy --small-file-size=10MB A B", option((o) => o.transfer.smallFileBytes), 10e6, 0],
  "tcp-send-buffer": ["copy --tcp-send-buffer=2M A B", option((o) => o.transfer.sendBufferBytes), 2 << 20, 0],
  "tcp-recv-buffer": ["copy --tcp-recv-buffer=3M A B", option((o) => o.transfer.receiveBufferBytes), 3 << 20, 0],
  bwlimit: ["copy --bwlimit=10M A B", option((o) => o.write.rateBytesPerSecond), 10 * 1024 * 1024, 0],
  workers: ["copy --workers 3 A B", option((o) => o.write.workers), 3, 0],
  "copy-method": [
    "copy --copy-method=mmap,clone,mmap A B",
    option((o) => o.write.methods),
    ["mmap", "clone"],
    undefined,
  ],
  "force-grpc": ["copy --force-grpc A B", ({ network }) => network.inStream, true, false],
  "trace-data-plane": ["copy --trace-data-plane A B", ({ network }) => network.trace, true, false],
  streams: ["copy --streams=3 A B", ({ network }) => network.streams, 3, 0],
  detach: ["copy --detach A B", ({ network }) => network.detach, true, false],
  "no-zero-copy": ["copy --no-zero-copy A B", option((o) => o.write.methods), ["read_write"], undefined],
  exclude: ["copy --exclude=*.o A B", rules, ["--exclude: - *.o"], []],
  include: ["copy --include=*.o A B", rules, ["--include: + *.o"], []],
  filter: ["copy --filter=-s_*.o A B", rules, ["--filter: -s_*.o"], []],
  "exclude-from": ["copy --exclude-from=F A B", rules, ["F:1: - read-F"], []],
  "include-from": ["copy --include-from=- A B", rules, ["-:1: + from-stdin"], []],
  "files-from": ["copy --files-from=F A B", option((o) => o.filter.filesFrom?.map(text)), ["read-F"], undefined],
};

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}

/** Flags whose effect shows only with others, or outside of the options; each has a test of its own. */
const DAEMON = flagsOf("daemon").flatMap(({ name, verbs }) => (verbs.length === 1 ? [name] : []));
const SETTINGS = ["profile", "preset", "config", "no-config", "project"];
const LOOK = FLAGS.flatMap(({ name, verbs }) =>
  verbs.every((verb) => isUtility(verb) || verb === "jobs") ? [name] : [],
);
const ELSEWHERE: readonly string[] = [
  ...["help", "version", "wait", "suffix", "from0", "zero-copy"],
  // test/cli/settings.test.ts
  ...SETTINGS,
  // test/admin
  ...LOOK,
  ...DAEMON,
];

describe("every flag reaches what it is for", () => {
  test("no flag is left out", () => {
    expect([...Object.keys(REACH), ...ELSEWHERE].sort()).toEqual(FLAGS.map((flag) => flag.name as string).sort());
  });
  test.each(Object.entries(REACH))("--%s", async (_, [line, get, set, unset]) => {
    expect(get(await resolve(line))).toEqual(set);
    const verb = line.split(" ", 1)[0]!;
    expect(get(await resolve(`${verb} A B`))).toEqual(unset);
  });
  test("every verb of a tree accepts what the table gives it", async () => {
    for (const verb of ["copy", "mirror", "move", "check"] as const) {
      for (const flag of FLAGS.filter((known) => known.verbs.includes(verb) && !ELSEWHERE.includes(known.name))) {
        const [, ...words] = REACH[flag.name]![0].split(" ");
        expect((await resolve([verb, ...words].join(" "))).options.verb).toBe(verb);
      }
    }
  });
  test("cp and sync have letters of their own, with a value behind them or in their word", async () => {
    for (const line of [
      "cp -R -p 16 -c 4M A B",
      "cp -rp16 -c4M A B",
      "cp -Rp=16 -c=4M A B",
      "sync -rPp 16 -c 4M A B",
    ]) {
      const { options, network, face } = await resolve(line);
      expect(network.streams).toBe(16);
      expect(options).toMatchObject({ verb: "copy", recursive: true, transfer: { chunkBytes: 4 << 20 } });
      expect(face.progress).toBe(line.includes("P") ? "on" : "automatic");
      expect(options.compare.checksum).toBe(false);
    }
    expect((await resolve("sync A B")).options.recursive).toBe(true);
    expect((await resolve("copy A B")).options.recursive).toBe(true);
    expect((await resolve("sync --delete --max-delete=5 A B")).options.delete.limit).toEqual({
      kind: "count",
      count: 5,
    });
  });
  test("chunks begin where blocks that are compared do", async () => {
    expect((await resolve("copy --chunk-size=1300KB A B")).options.transfer.chunkBytes).toBe(9 * 128 * 1024);
  });
  test("--wait", async () => {
    expect((await resolve("copy --retry 2 --wait 0.5 A B")).options.retry).toEqual({ attempts: 2, waitMs: 500 });
    expect((await resolve("copy --retry 2 A B")).options.retry).toEqual({ attempts: 2, waitMs: 1000 });
  });
  test("--suffix and --backup-dir", async () => {
    expect(text((await resolve("copy -b --suffix=.old A B")).options.write.backup?.suffix)).toBe(".old");
    expect(text((await resolve("copy --backup-dir=D A B")).options.write.backup?.suffix)).toBe("");
  });
  test("--from0", async () => {
    const readFile = () => Buffer.from("a\nb\0c\0");
    const { options } = await resolve("copy -0 --files-from=F A B", { readFile });
    expect(options.filter.filesFrom?.map(text)).toEqual(["a\nb", "c"]);
  });
  test("--zero-copy and the environment", async () => {
    for (const name of ["FASTSYNC_NO_ZERO_COPY", "ORBIT_NO_ZERO_COPY"]) {
      const env = { [name]: "1" };
      expect((await resolve("copy A B", { env })).options.write.methods).toEqual(["read_write"]);
      expect((await resolve("copy A B", { env })).face.notes).toEqual([`zero-copy: off (${name})`]);
      expect((await resolve("copy --zero-copy A B", { env })).face.notes).toEqual([
        `zero-copy: on (--zero-copy overrides ${name})`,
      ]);
      expect((await resolve("copy --zero-copy A B", { env })).options.write.methods).toBeUndefined();
      expect((await resolve("copy --copy-method=clone A B", { env })).options.write.methods).toEqual(["clone"]);
      expect((await resolve("copy A B", { env: { [name]: "0" } })).options.write.methods).toBeUndefined();
    }
  });
  test.each([
    ["copy A B", { allowed: true, decidedBy: undefined }, []],
    ["copy --zero-copy A B", { allowed: true, decidedBy: "--zero-copy" }, ["zero-copy: on (--zero-copy)"]],
    ["copy --no-zero-copy A B", { allowed: false, decidedBy: "--no-zero-copy" }, ["zero-copy: off (--no-zero-copy)"]],
    ["copy --copy-method=mmap A B", { allowed: false, decidedBy: "--copy-method" }, ["zero-copy: off (--copy-method)"]],
    [
      "copy --copy-method=mmap,clone A B",
      { allowed: true, decidedBy: "--copy-method" },
      ["zero-copy: on (--copy-method)"],
    ],
    ["check A B", undefined, []],
  ])("whether the kernel may copy is known, and why: %s", async (words, zeroCopy, notes) => {
    const { face } = await resolve(words);
    expect(face.zeroCopy).toEqual(zeroCopy);
    expect([...face.notes]).toEqual(notes);
  });
  test("--verify=readback", async () => {
    expect((await resolve("copy --verify=readback A B")).options.write.verify).toBe("readback");
  });
  test("--no-times covers directories", async () => {
    expect((await resolve("copy --no-times A B")).options.preserve.dirTimes).toBe(false);
  });
  test("rules keep the order of the command line", async () => {
    expect(rules(await resolve("copy --include=a --exclude-from=F --filter=-_c --exclude=d A B"))).toEqual([
      "--include: + a",
      "F:1: - read-F",
      "--filter: -_c",
      "--exclude: - d",
    ]);
  });
});

describe("flags of the daemon", () => {
  const none = { bind: [], noMdns: false, forceGrpcData: false };
  const reached: readonly (readonly [line: string, flags: object])[] = [
    ["", {}],
    ["--config F", { config: "F" }],
    ["--config-dir D", { configDir: "D" }],
    ["--bind ::1 --bind=127.0.0.1", { bind: ["::1", "127.0.0.1"] }],
    ["--port 1", { port: "1" }],
    ["--data-port 2", { dataPort: "2" }],
    ["--root R", { root: "R" }],
    ["--no-mdns", { noMdns: true }],
    ["--mdns-name N", { mdnsName: "N" }],
    ["--force-grpc-data", { forceGrpcData: true }],
  ];
  test("no flag is left out", () => {
    const lines = reached.map(([line]) => line).join(" ");
    for (const name of DAEMON) expect(lines).toContain(`--${name}`);
  });
  test.concurrent.each(reached)("daemon %s", async (line, flags) => {
    const { code, out } = await run(["daemon", ...line.split(" ").filter((word) => word !== "")]);
    expect([code, JSON.parse(out)]).toEqual([0, { ...none, ...flags }]);
  });
});

describe("defaults of the verbs", () => {
  test("delete and fsync", async () => {
    const of = async (verb: string) => (await resolve(`${verb} A B`)).options;
    expect((await of("copy")).delete.enabled).toBe(false);
    expect((await of("mirror")).delete.enabled).toBe(true);
    expect((await of("move")).delete.enabled).toBe(false);
    expect((await of("check")).delete.enabled).toBe(false);
    expect((await of("copy")).write.fsync).toBe("none");
    expect((await of("move")).write.fsync).toBe("end");
    expect((await resolve("move --fsync=none A B")).options.write.fsync).toBe("none");
  });
});

describe("--usermap", () => {
  test.each([
    ["*:7", { kind: "everybody" }],
    [":7", { kind: "nameless" }],
    ["ana:7", { kind: "name", name: Buffer.from("ana") }],
    ["a?[a-z]*:7", { kind: "name", name: Buffer.from("a?[a-z]*") }],
    ["1000:7", { kind: "ids", first: 1000, last: 1000 }],
    ["0-4294967294:7", { kind: "ids", first: 0, last: 0xffff_fffe }],
  ] as const)("%s", async (value, from) => {
    expect((await resolve(`copy --usermap=${value} A B`)).options.preserve.userMap).toEqual([{ from, to: 7 }]);
  });
  test.each([
    ["ana", "'ana' is not FROM:TO"],
    ["ana:", "'ana:' is not FROM:TO"],
    ["a:7,", "'' is not FROM:TO"],
    ["a:b:c", "'a:b:c' is not FROM:TO"],
    ["ana:nobody-of-this-name", "there is no user 'nobody-of-this-name'"],
    ["ana:4294967295", "4294967295 is too large for a user number"],
    ["9-3:7", "9-3 is no range of numbers"],
    [`${"a:1,".repeat(1024)}a:1`, "more than 1024 rules"],
  ])("%s is refused", async (value, says) => {
    expect(resolve(`copy --usermap=${value} A B`)).rejects.toThrow(says);
  });
  test("what it contradicts", () => {
    expect(resolve("copy --usermap=*:7 --no-owner A B")).rejects.toThrow("contradict each other");
    expect(resolve("copy --usermap=*:7 --chown=8 A B")).rejects.toThrow("contradict each other");
    expect(resolve("copy --groupmap=*:7 --chown=8 A B")).resolves.toBeDefined();
  });
});

describe("--chown", () => {
  test.each([
    ["ana", 1001, undefined],
    ["ana:", 1001, undefined],
    [":staff", undefined, 50],
    ["root:root", 0, 0],
    ["1234:5678", 1234, 5678],
    // A name of digits is a name first, as chown(1) has it.
    ["123", 7, undefined],
  ])("%s", async (value, uid, gid) => {
    const { preserve } = (await resolve(`copy --chown=${value} A B`)).options;
    expect([preserve.chownUid, preserve.chownGid]).toEqual([uid, gid]);
  });
  test("an unknown name is never root, even without account files", async () => {
    const broken = () => {
      throw new Error("gone");
    };
    const accounts = { passwd: broken, group: broken };
    expect(resolve("copy --chown=ana A B", { accounts })).rejects.toThrow("there is no user 'ana'");
    expect((await resolve("copy --chown=12 A B", { accounts })).options.preserve.chownUid).toBe(12);
  });
});

test("switches may be repeated; ParsedArgs sees them once", () => {
  const parsed = parseCommandLine(["copy", "-vv", "--verbose", "A", "B"].map(argumentOf));
  expect(parsed.kind === "run" && parsed.args instanceof ParsedArgs && parsed.args.has("verbose")).toBe(true);
});
