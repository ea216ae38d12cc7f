/** A caller that opens a session in ways that the protocol does not have. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import { RunOptionsSchema, type Verb } from "../../src/wire/gen/fastsync/v1/options_pb.ts";
import { Role } from "../../src/wire/gen/fastsync/v1/session_pb.ts";
import { type Body, Caller, type OpenFields, pullFrom, pushTo } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest } from "./peer/daemon.ts";
import { options, sourceFacts, targetFacts } from "./peer/opening.ts";
import { into, PROTOCOL, type Refused, refusedAs } from "./peer/sessions.ts";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await daemonUnderTest();
});
afterAll(() => daemon[Symbol.asyncDispose]());

const hello: Body = { case: "hello", value: { protocolMin: 1, protocolMax: 1, product: "conformance" } };
const otherCase = (name: string): string => (name === name.toUpperCase() ? name.toLowerCase() : name.toUpperCase());
const open = (value: OpenFields): Body => ({ case: "open", value });

describe("S23 S24 before the session is open", () => {
  const openings: [string, () => Body[], Refused][] = [
    ["open before hello", () => [open(into(daemon))], PROTOCOL],
    ["a second hello", () => [hello, hello], PROTOCOL],
    ["a manifest first", () => [hello, { case: "manifest", value: {} }], PROTOCOL],
    ["a need first", () => [hello, { case: "need", value: {} }], PROTOCOL],
    ["the daemon's own words", () => [hello, { case: "accept", value: {} }], PROTOCOL],
    ["an open without a role", () => [hello, open({ ...into(daemon), daemonRole: Role.UNSPECIFIED })], PROTOCOL],
    ["a role that does not exist", () => [hello, open({ ...into(daemon), daemonRole: 7 as Role })], PROTOCOL],
    [
      "an open without options",
      () => [hello, open({ daemonRole: Role.TARGET, target: { module: daemon.modules.write } })],
      PROTOCOL,
    ],
    ["options without parts", () => [hello, open({ ...into(daemon), options: { verb: 1 } })], PROTOCOL],
    ["an unknown verb", () => [hello, open({ ...into(daemon), options: options({ verb: 9 as Verb }) })], PROTOCOL],
    ["a target that is not named", () => [hello, open({ daemonRole: Role.TARGET, options: options() })], PROTOCOL],
    ["sources that are not named", () => [hello, open({ ...pullFrom(daemon.modules.read), sources: [] })], PROTOCOL],
    ["a pull without facts", () => [hello, open({ daemonRole: Role.SOURCE, options: options() })], PROTOCOL],
    ["a push without arguments", () => [hello, open(into(daemon, "", { sourceFacts: {} }))], PROTOCOL],
    [
      "B75 a protocol of the future",
      () => [{ case: "hello", value: { protocolMin: 7, protocolMax: 9, product: "future" } }],
      { reason: "version", exitCode: 2 },
    ],
    [
      "B75 an option of the future",
      () => {
        const asked = create(RunOptionsSchema, options());
        asked.$unknown = [{ no: 1000, wireType: 0, data: Uint8Array.of(1) }];
        return [hello, open({ ...into(daemon), options: asked })];
      },
      { reason: "version", exitCode: 2 },
    ],
    [
      "B64 an unknown module",
      () => [hello, open(pushTo("conformance-nowhere"))],
      { reason: "no_such_module", exitCode: 3 },
    ],
    [
      "B64 S11 a module by another case",
      () => [hello, open(pushTo(otherCase(daemon.modules.write)))],
      { reason: "no_such_module", exitCode: 3 },
    ],
    [
      "S11 a module with a path in its name",
      () => [hello, open(pushTo(`${daemon.modules.write}/x`))],
      { reason: "no_such_module", exitCode: 3 },
    ],
    ["the root where there is none", () => [hello, open(pushTo(""))], { reason: "no_such_module", exitCode: 3 }],
    [
      "B64 a push to a read-only module",
      () => [hello, open(pushTo(daemon.modules.read))],
      { reason: "read_only_module", exitCode: 3 },
    ],
    [
      "B64 a move from a read-only module",
      () => [hello, open(pullFrom(daemon.modules.read, "", { options: options({ verb: 3 }) }))],
      { reason: "read_only_module", exitCode: 3 },
    ],
    [
      "sources of two modules",
      () => [
        hello,
        open(
          pullFrom(daemon.modules.read, "", {
            sources: [{ module: daemon.modules.read }, { module: daemon.modules.write }],
          }),
        ),
      ],
      { reason: "several_modules", exitCode: 1 },
    ],
    [
      "S25 17,000 sources",
      () => [
        hello,
        open(
          pullFrom(daemon.modules.read, "", {
            sources: Array.from({ length: 17_000 }, () => ({ module: daemon.modules.read })),
          }),
        ),
      ],
      PROTOCOL,
    ],
    [
      "S25 17,000 arguments",
      () => {
        const argument = { entry: Buffer.from("a"), isDirectory: false };
        const facts = sourceFacts({ arguments: Array.from({ length: 17_000 }, () => argument) });
        return [hello, open(into(daemon, "", { sourceFacts: facts }))];
      },
      PROTOCOL,
    ],
    [
      "S25 a chain of 10,000",
      () => [
        hello,
        open(
          pullFrom(daemon.modules.read, "", {
            targetFacts: targetFacts({ chain: Array.from({ length: 10_000 }, () => ({ dev: 1, ino: 1n })) }),
          }),
        ),
      ],
      PROTOCOL,
    ],
    ...["..", ".", "a/b", "a\0b", "x".repeat(256)].map((name): [string, () => Body[], Refused] => [
      `S11 an argument named ${JSON.stringify(name.slice(0, 8))}`,
      () => [
        hello,
        open(
          into(daemon, "", {
            sourceFacts: sourceFacts({ arguments: [{ entry: Buffer.from(name), isDirectory: true }] }),
          }),
        ),
      ],
      PROTOCOL,
    ]),
    [
      "a negative percentage",
      () => [
        hello,
        open(into(daemon, "", { options: options({ delete: { limit: { case: "percent", value: -1 } } }) })),
      ],
      PROTOCOL,
    ],
    [
      "a percentage that is no number",
      () => [
        hello,
        open(into(daemon, "", { options: options({ delete: { limit: { case: "percent", value: Number.NaN } } }) })),
      ],
      PROTOCOL,
    ],
    [
      "a count beyond 2^53",
      () => [
        hello,
        open(into(daemon, "", { options: options({ delete: { limit: { case: "count", value: 1n << 60n } } }) })),
      ],
      PROTOCOL,
    ],
    [
      "a window beyond 2^53",
      () => [hello, open(into(daemon, "", { options: options({ compare: { modifyWindowNs: 1n << 63n } }) }))],
      PROTOCOL,
    ],
    [
      "a size beyond 2^53",
      () => [hello, open(into(daemon, "", { options: options({ filter: { minSize: (1n << 64n) - 1n } }) }))],
      PROTOCOL,
    ],
    [
      "a time that is no number",
      () => [hello, open(into(daemon, "", { options: options({ filter: { modifiedAfter: Number.NaN } }) }))],
      PROTOCOL,
    ],
    [
      "S24 S27 a rule of 100 KiB",
      () => [
        hello,
        open(into(daemon, "", { options: options({ filter: { rules: [{ text: Buffer.alloc(102_400, "x") }] } }) })),
      ],
      PROTOCOL,
    ],
    [
      "S24 S25 S27 100,000 rules",
      () => [
        hello,
        open(
          into(daemon, "", {
            options: options({
              filter: { rules: Array.from({ length: 100_000 }, () => ({ text: Buffer.from("- x") })) },
            }),
          }),
        ),
      ],
      PROTOCOL,
    ],
    [
      "a rule that is none",
      () => [
        hello,
        open(into(daemon, "", { options: options({ filter: { rules: [{ text: Buffer.from("?? what") }] } }) })),
      ],
      { reason: "filter", exitCode: 1 },
    ],
    [
      "S14 S18 a rule that names a file of the daemon",
      () => [
        hello,
        open(into(daemon, "", { options: options({ filter: { rules: [{ text: Buffer.from(". /etc/passwd") }] } }) })),
      ],
      { reason: "filter", exitCode: 1 },
    ],
    [
      "S11 S14 a suffix that is a path",
      () => [hello, open(into(daemon, "", { options: options({ write: { backupSuffix: Buffer.from("/../x") } }) }))],
      PROTOCOL,
    ],
    ...["../x", "/abs", "a//../../b", "a\0b", "x".repeat(5000)].map((path): [string, () => Body[], Refused] => [
      `S11 --files-from with ${JSON.stringify(path.slice(0, 12))}`,
      () => [
        hello,
        open(
          into(daemon, "", { options: options({ filter: { hasFilesFrom: true, filesFrom: [Buffer.from(path)] } }) }),
        ),
      ],
      PROTOCOL,
    ]),
  ];
  for (const [name, say, refused] of openings) {
    test.concurrent(name, async () => {
      const caller = new Caller(daemon).say(...say());
      await refusedAs(caller, daemon, refused);
    });
  }

  test("B69 silence ends at the handshake deadline", async () => {
    await refusedAs(new Caller(daemon), daemon, { reason: "handshake_timeout", exitCode: 30 });
  });
  test("B69 heartbeats do not extend the handshake deadline", async () => {
    const caller = new Caller(daemon).say(hello);
    const beating = setInterval(() => caller.say({ case: "heartbeat", value: {} }), 100);
    try {
      await refusedAs(caller, daemon, { reason: "handshake_timeout", exitCode: 30 });
    } finally {
      clearInterval(beating);
    }
  });
});

describe("S23 after the session is open", () => {
  const words: [string, () => Body][] = [
    ["a second hello", () => hello],
    ["a second open", () => open(into(daemon))],
    ["an accept", () => ({ case: "accept", value: {} })],
    ["a need from a source", () => ({ case: "need", value: { need: 1, rows: [0], purpose: 1 } })],
    ["a summary from a source", () => ({ case: "summary", value: {} })],
    ["tokens from a caller", () => ({ case: "streamGrant", value: {} })],
  ];
  for (const [name, make] of words) {
    test.concurrent(name, async () => {
      const caller = new Caller(daemon);
      await caller.open(into(daemon, "after/"));
      const word = make();
      caller.say(word);
      const told = await refusedAs(caller, daemon, PROTOCOL);
      if (daemon.process !== undefined) expect(told).toContain(word.case!);
    });
  }
});
