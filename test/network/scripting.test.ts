/**
 * docs/scripting.md held against real runs: every verb, between all kinds of places, with every kind of end. Each line is
 * of the schema and knows no other field; the summary's code is that of the process, and its word stands in the guide.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { Turns } from "../conformance/peer/turns.ts";
import { DOCS, EVENTS, expectLines, fieldsOf, type Line, SCHEMA } from "../support/events-schema.ts";
import { type Argument, startFastsync } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { startDaemon, type TestDaemon } from "./support/daemon.ts";

const PLACEMENTS = ["local", "push", "pull", "relayed", "delegated"] as const;
type Placement = (typeof PLACEMENTS)[number];

const scratch = tempDir();
let daemon: TestDaemon;
let other: TestDaemon;
let dialling: TestDaemon;
beforeAll(async () => {
  daemon = await startDaemon({ path: scratch.path });
  other = await startDaemon({ path: scratch.path });
  dialling = await startDaemon({ path: scratch.path, delegation: 'enabled = true\nallow = ["127.0.0.1"]' });
});
afterAll(async () => {
  for (const one of [daemon, other, dialling]) await one[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

/** Programs at a time: each has much to load. */
const turns = new Turns(4);
/** Several runs, one after the other, wait for the turns of others. */
const TEST_MS = 300_000;
const seen = new Map<string, Set<string>>();
const ends = new Set<string>();
const guide = readFileSync(`${DOCS}/scripting.md`, "utf8");

/** Runs it; `during` is called with the process. */
async function held(
  words: readonly Argument[],
  exitCode: number,
  during?: (kill: () => void) => Promise<void>,
): Promise<readonly Line[]> {
  using _turn = await turns.take();
  const running = startFastsync([...words, "--json"]);
  await during?.(() => running.kill("SIGINT"));
  const result = await running.result;
  const lines = result.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
  const shown = `${words.join(" ")}\n${result.stdout}${result.stderr}`;
  expect([shown, result.exitCode]).toEqual([shown, exitCode]);
  expectLines(lines);
  // What steers a terminal is nowhere in the output, not even inside a name.
  expect(result.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  for (const line of lines) {
    const type = String(line["type"]);
    seen.set(type, (seen.get(type) ?? new Set()).union(new Set(Object.keys(line))));
  }
  const last = lines.at(-1)!;
  expect(last["exit_code"]).toBe(exitCode);
  const reason = String(last["exit_reason"]);
  ends.add(`${exitCode} ${reason}`);
  const row = guide.split("\n").filter((line) => line.startsWith(`| ${exitCode} |`) && line.includes(`\`${reason}\``));
  expect([exitCode, reason, row.length]).toEqual([exitCode, reason, 1]);
  return lines;
}

let places = 0;
/** A tree of its own with names of every kind, and the words that name it and its target. */
function arranged(placement: Placement): { from: string; to: string; source: string; target: string; gone: string } {
  const name = `p${places++}`;
  const source = scratch.join(`${name}/source`);
  const target = scratch.join(`${name}/target`);
  mkdirSync(`${source}/sub`, { recursive: true });
  writeFileSync(`${source}/file`, "text");
  writeFileSync(`${source}/sub/new\nline\u001b[2J`, "more");
  writeFileSync(Buffer.concat([Buffer.from(`${source}/name`), Buffer.from([0xff])]), "bytes");
  symlinkSync("file", `${source}/link`);
  const betweenDaemons = placement === "relayed" || placement === "delegated";
  const isFar = { source: placement === "pull" || betweenDaemons, target: placement === "push" || betweenDaemons };
  const far = placement === "relayed" ? other : placement === "delegated" ? dialling : daemon;
  return {
    source,
    target,
    from: isFar.source ? daemon.place(`${name}/source/`) : `${source}/`,
    to: isFar.target ? far.place(`${name}/target`) : target,
    gone: isFar.source ? daemon.place(`${name}/gone`) : `${source}/gone`,
  };
}

describe.each([...PLACEMENTS])("S33 B61 B62 the output of runs: %s", (placement) => {
  test.concurrent(
    "that go well: a copy, a dry run, a mirror with deletions, a check, a move",
    async () => {
      const { from, to, target, source } = arranged(placement);
      const first = await held(["copy", from, to], 0);
      expect(first.filter(({ type }) => type === "item").length).toBeGreaterThan(3);
      expect(first.some((line) => line["path_b64"] !== undefined)).toBe(true);
      writeFileSync(`${target}/extra\u009b`, "");
      writeFileSync(Buffer.concat([Buffer.from(`${target}/extra`), Buffer.from([0xfe])]), "");
      mkdirSync(`${target}/old`);
      writeFileSync(`${source}/file`, "another text");
      const dry = await held(["mirror", "--dry-run", from, to], 0);
      const wanted = dry.filter(({ type }) => type === "delete").map(({ path }) => path);
      expect(wanted.length).toBe(3);
      const real = await held(["mirror", "--yes", "--itemize", from, to], 0);
      expect(
        real
          .filter(({ type }) => type === "delete")
          .map(({ path }) => path)
          .sort(),
      ).toEqual(wanted.sort());
      expect((await held(["check", from, to], 0)).map(({ type }) => type)).toEqual(["start", "summary"]);
      const moved = await held(["move", from, to], 0);
      expect(moved.at(-1)!["sources_removed"]).toBeGreaterThan(0);
      expect(readdirSync(source)).toEqual([]);
    },
    TEST_MS,
  );

  test.concurrent(
    "that find differences, fail in part, are refused, or cannot begin",
    async () => {
      const { from, to, target, gone } = arranged(placement);
      await held(["copy", from, to], 0);
      writeFileSync(`${target}/file`, "x");
      const different = await held(["check", from, to], 1);
      expect(different).toContainEqual(expect.objectContaining({ type: "item", action: "differ", path: "file" }));
      writeFileSync(`${target}/extra`, "");
      const refused = await held(["mirror", from, to], 25);
      expect(refused.at(-1)!["notices"]).toContainEqual(expect.objectContaining({ code: "unattended" }));
      const named = Buffer.concat([Buffer.from(`${target}/name`), Buffer.from([0xff])]);
      rmSync(named);
      mkdirSync(Buffer.concat([named, Buffer.from("/inside")]), { recursive: true });
      const failed = await held(["copy", from, to], 23);
      expect(failed.some(({ type }) => type === "error")).toBe(true);
      await held(["copy", gone, to], 3);
      expect((await held(["copy", "--frob", from, to], 1)).map(({ type }) => type)).toEqual(["error", "summary"]);
    },
    TEST_MS,
  );

  test.concurrent(
    "that are interrupted",
    async () => {
      const { from, to, source } = arranged(placement);
      writeFileSync(`${source}/big`, "");
      truncateSync(`${source}/big`, 32 << 20);
      const words = ["copy", "--no-sparse", "--copy-method=read_write", "--bwlimit=4M", from, to];
      await held(words, 20, async (kill) => {
        await Bun.sleep(2500);
        kill();
      });
    },
    TEST_MS,
  );
});

describe("the output of runs", () => {
  test("that a daemon refuses, or that reach none", async () => {
    const { source } = arranged("local");
    await held(["copy", `${source}/`, `${daemon.host}:${daemon.port}:/nowhere/x`], 3);
    await held(["copy", `${source}/`, daemon.place("../x")], 1);
    await held(["copy", `${source}/`, "127.0.0.1:1:/m/x"], 10);
    await held(["copy", `${source}/`, `${source}/`], 3);
  });

  test("that choose how content moves", async () => {
    const { from, to } = arranged("local");
    const lines = await held(["copy", "--no-zero-copy", "--exclude=nothing-has-this", from, to], 0);
    expect(lines.at(-1)).toMatchObject({ zero_copy: false, zero_copy_decided_by: "--no-zero-copy" });
  });

  /** What only comes about where none of the above is: `--detach` is in test/network/hosts.test.ts. */
  const ELSEWHERE = new Set(["job", "job_daemon"]);
  test("has shown every field that the schema has, and each of the common ends", () => {
    for (const type of EVENTS) {
      const unseen = fieldsOf(SCHEMA.$defs[type]!).filter(
        (field) => !seen.get(type)?.has(field) && !ELSEWHERE.has(field),
      );
      expect([type, unseen]).toEqual([type, []]);
    }
    for (const end of [
      "0 ok",
      "1 different",
      "1 usage",
      "3 source_missing",
      "10 connect_failed",
      "20 interrupted",
      "23 partial",
      "25 deletion_refused",
    ])
      expect([...ends]).toContain(end);
  });
});
