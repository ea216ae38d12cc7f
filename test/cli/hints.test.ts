/** Hints come once, to people only; and a terminal is drawn on as it is. */
import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { takeHint } from "../../src/cli/text/hints.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { environment, fastsyncCommand } from "../support/program.ts";
import { isRoot, ORDINARY_USER } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { sampleCounters } from "./fake-run.ts";

const COPY = { verb: "copy", dryRun: false } as const;
const PLACEMENT = {
  sources: [{ path: bytesOf("a"), kind: "contents" as const }],
  target: bytesOf("b"),
  targetExists: true,
};
const SUMMARY = { exitCode: 0, counters: sampleCounters() } as const;
const SITUATION = { facts: COPY, placement: PLACEMENT, summary: SUMMARY };

describe("a hint", () => {
  test("comes once, in the order of what fits, and its mark is one's own", () => {
    using dir = tempDir();
    const around = { env: { XDG_STATE_HOME: dir.path, TERM: "xterm" }, onTerminal: true, quiet: false, json: false };
    const entry = { ...PLACEMENT, sources: [{ path: bytesOf("a"), kind: "entry" as const }] };
    expect(takeHint({ ...SITUATION, placement: entry }, around)).toContain("SOURCE without a slash");
    expect(takeHint({ ...SITUATION, placement: entry }, around)).toContain("completions");
    expect(takeHint({ ...SITUATION, placement: entry }, around)).toBeUndefined();
    expect(readdirSync(dir.join("fastsync")).sort()).toEqual(["hint-completions", "hint-slash"]);
  });

  test.each([
    ["without a terminal", { onTerminal: false }, {}, 0],
    ["with --quiet", { quiet: true }, {}, 0],
    ["with --json", { json: true }, {}, 0],
    ["in a build service", {}, { CI: "true" }, 0],
    ["on a dumb terminal", {}, { TERM: "dumb" }, 0],
    ["after a run that failed", {}, {}, 23],
  ] as const)("does not come %s", (_, around, env, exitCode) => {
    using dir = tempDir();
    const all = {
      env: { XDG_STATE_HOME: dir.path, TERM: "xterm", ...env },
      onTerminal: true,
      quiet: false,
      json: false,
    };
    expect(takeHint({ ...SITUATION, summary: { ...SUMMARY, exitCode } }, { ...all, ...around })).toBeUndefined();
    expect(readdirSync(dir.path)).toEqual([]);
  });

  test("nowhere to keep it: none, and no word", () => {
    const around = { onTerminal: true, quiet: false, json: false };
    using dir = tempDir();
    writeFileSync(dir.join("file"), "");
    for (const env of [{}, { XDG_STATE_HOME: "relative" }, { XDG_STATE_HOME: dir.join("file") }, { HOME: "/proc/1" }])
      expect(takeHint(SITUATION, { ...around, env })).toBeUndefined();
  });

  test.skipIf(!isRoot())("root leaves nothing in somebody else's home (needs root)", () => {
    using dir = tempDir();
    chownSync(dir.path, ORDINARY_USER, ORDINARY_USER);
    const around = { env: { HOME: dir.path }, onTerminal: true, quiet: false, json: false };
    expect(takeHint(SITUATION, around)).toBeUndefined();
    expect(readdirSync(dir.path)).toEqual([]);
  });
});

/** The program on a terminal of this size; `during` may change it. */
async function onTerminal(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
  during?: (terminal: Bun.Terminal, output: () => string) => Promise<void>,
): Promise<{ output: string; exitCode: number }> {
  let output = "";
  const child = Bun.spawn([...fastsyncCommand(), ...words], {
    env: environment({ env: { CI: undefined, TERM: "xterm", ...env } }),
    terminal: {
      cols: 100,
      rows: 30,
      data(_, data) {
        output += Buffer.from(data).toString();
      },
    },
  });
  await during?.(child.terminal!, () => output);
  return { exitCode: await child.exited, output };
}

describe("on a terminal", () => {
  test("the hint is the last line, and the second run has none", async () => {
    using dir = tempDir();
    writeFileSync(dir.join("a"), "a");
    const words = ["copy", dir.join("a"), dir.join("b")];
    const env = { XDG_STATE_HOME: dir.path };
    const first = await onTerminal(words, env);
    const lines = first.output.trimEnd().split(/\r?\n/);
    const at = lines.findIndex((line) => line.startsWith("hint: fastsync completions bash "));
    expect([first.exitCode, lines.slice(at).join(" ")]).toEqual([
      0,
      expect.stringMatching(/^hint: .* \(This is told once\.\)$/),
    ]);
    for (const line of lines.slice(at)) expect(line.length).toBeLessThanOrEqual(100);
    expect((await onTerminal(words, env)).output).not.toContain("hint:");
  });

  test("a state directory that cannot be written is no trouble", async () => {
    using dir = tempDir();
    writeFileSync(dir.join("a"), "a");
    mkdirSync(dir.join("state"));
    chmodSync(dir.join("state"), 0o500);
    writeFileSync(dir.join("state/fastsync"), "");
    const { output, exitCode } = await onTerminal(["copy", dir.join("a"), dir.join("b")], {
      XDG_STATE_HOME: dir.join("state"),
    });
    expect([exitCode, output.includes("hint:"), existsSync(dir.join("b"))]).toEqual([0, false, true]);
  });

  /** What is drawn: text between a carriage return and the command that clears the rest of the line. */
  const drawn = (output: string): string[] =>
    [...output.matchAll(/\r([^\r\n\u001b]+)\u001b\[K/g)].map(([, text]) => text!);
  const slow = ["--no-sparse", "--copy-method=read_write", "--bwlimit=4M"];

  test("the live line is as wide as the terminal at the time, and gone at the end", async () => {
    using dir = tempDir();
    writeFileSync(dir.join("big"), Buffer.alloc(8 << 20, 1));
    let wide: string[] = [];
    const { output, exitCode } = await onTerminal(
      ["copy", ...slow, dir.join("big"), dir.join("b")],
      {},
      async (terminal, seen) => {
        while (drawn(seen()).length < 3) await Bun.sleep(20);
        wide = drawn(seen());
        terminal.resize(30, 30);
      },
    );
    expect(exitCode).toBe(0);
    expect(wide.some((text) => text.length > 40)).toBe(true);
    const narrow = drawn(output).slice(wide.length + 1);
    expect(narrow.length).toBeGreaterThan(2);
    for (const text of narrow) expect(text.length).toBeLessThan(30);
    expect(output.slice(output.lastIndexOf("\u001b[K"))).toStartWith("\u001b[KExamined");
  });

  test("a daemon that is slow to answer is named, and a stop is heard", async () => {
    using dir = tempDir();
    writeFileSync(dir.join("a"), "a");
    using server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const words = ["copy", dir.join("a"), `127.0.0.1:${server.port}:/m/`];
    const { output, exitCode } = await onTerminal(words, {}, async (terminal, seen) => {
      while (!seen().includes("connecting to 127.0.0.1")) await Bun.sleep(20);
      terminal.write("\u0003");
    });
    expect([exitCode, output.includes("stopping in order")]).toEqual([20, true]);
  });

  test("a dumb terminal gets no commands", async () => {
    using dir = tempDir();
    writeFileSync(dir.join("big"), Buffer.alloc(4 << 20, 1));
    const { output } = await onTerminal(["copy", ...slow, dir.join("big"), dir.join("b")], { TERM: "dumb" });
    expect(output).not.toMatch(/\u001b|\r(?!\n)/);
  });
});
