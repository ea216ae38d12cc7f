/** However a run ends, it ends with the right code and, with --json, with exactly one summary. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answerOf } from "../../src/cli/cli.ts";
import { Output } from "../../src/cli/report/output.ts";
import { argumentOf } from "../../src/cli/words/raw-args.ts";
import { tempDir } from "../support/temp.ts";
import { fakeParts } from "./fake-parts.ts";
import { cleanEnv, jsonLines, run, type StartOptions, start } from "./processes.ts";

const directory = mkdtempSync(join(tmpdir(), "fastsync-endings-"));
afterAll(() => rmSync(directory, { recursive: true }));

function summaryOf(out: string): Record<string, unknown> {
  const lines = jsonLines(out);
  const summaries = lines.filter((line) => line["type"] === "summary");
  expect(summaries.length).toBe(1);
  expect(lines.at(-1)).toBe(summaries[0]!);
  return summaries[0]!;
}

describe("the exit code and the one summary", () => {
  test.concurrent.each([
    ["normal", 0, "ok"],
    ["up-to-date", 0, "ok"],
    ["failing", 23, "partial"],
    ["delete", 25, "deletion_refused"],
    ["crash", 12, "internal_error"],
    ["late-crash", 12, "internal_error"],
    ["lost", 12, "internal_error"],
    ["filter-error", 1, "usage"],
    ["refused", 3, "source_missing"],
    ["refused-late", 3, "source_missing"],
  ] as const)("%s", async (story, exitCode, exitReason) => {
    const { code, out, err } = await run(["mirror", "--json", "A/", "B"], { story });
    expect(summaryOf(out)).toMatchObject({ exit_code: exitCode, exit_reason: exitReason });
    expect(code).toBe(exitCode);
    if (exitCode !== 0) expect(err).toContain("fastsync");
    const text = await run(["mirror", "A/", "B"], { story });
    expect(text.code).toBe(exitCode);
    if (exitReason === "internal_error") expect(text.err).toContain("fastsync: internal error: ");
  });
});

test("a run refused before it began says only why", async () => {
  const { out, err } = await run(["mirror", "A/", "B"], { story: "refused" });
  expect(out).toBe("");
  expect(err).toBe("fastsync: source gone cannot be used (exit 3)\n");
});

test("a difference is the answer of a check, not an error", async () => {
  const { code, out, err } = await run(["check", "A/", "B"], { story: "different" });
  expect(code).toBe(1);
  expect(out).toContain("Different: 1 differ, 10 examined in 2.00 s\n");
  expect(err).toBe("");
  const quiet = await run(["check", "-q", "A/", "B"], { story: "different" });
  expect(quiet).toEqual({ code: 1, out: "", err: "" });
});

describe("signals", () => {
  /** Starts a run, waits until it has said something, and signals it. */
  async function signalled(story: string, signals: readonly NodeJS.Signals[], pauseMs = 0, options: StartOptions = {}) {
    const child = start(["mirror", "--json", "A/", "B"], { story, ...options });
    const reader = child.stdout.getReader();
    const decoder = new TextDecoder();
    let out = decoder.decode((await reader.read()).value);
    for (const [index, signal] of signals.entries()) {
      if (index > 0) await Bun.sleep(pauseMs);
      child.kill(signal);
    }
    while (true) {
      const { value, done } = await reader.read();
      if (done) break;
      out += decoder.decode(value);
    }
    return { code: await child.exited, out };
  }
  test.concurrent.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s stops the run in order", async (signal) => {
    const { code, out } = await signalled("endless", [signal]);
    expect(code).toBe(20);
    expect(summaryOf(out)).toMatchObject({ exit_code: 20, exit_reason: "interrupted", message: "interrupted" });
  });
  test.concurrent("a second one ends a run that does not stop, with its counters", async () => {
    const { code, out } = await signalled("deaf", ["SIGINT", "SIGINT"], 600);
    expect(code).toBe(20);
    const summary = summaryOf(out);
    expect(summary).toMatchObject({ exit_code: 20, exit_reason: "interrupted", message: "ended at once by SIGINT" });
    expect(summary["files_transferred"]).toBeGreaterThan(0);
    // What ended before it could tell claims no engine.
    expect(summary).not.toHaveProperty("backend");
    expect(summary).not.toHaveProperty("workers");
  });
  test.concurrent("the same wish twice at once, as from timeout(1), is one", async () => {
    const { code, out } = await signalled("endless", ["SIGTERM", "SIGTERM"]);
    expect(code).toBe(20);
    expect(summaryOf(out)).toMatchObject({ message: "interrupted" });
  });
});

describe("output that cannot be written", () => {
  test("a reader that leaves changes neither the run nor its exit code", async () => {
    const main = join(import.meta.dir, "fake-main.ts");
    const script = `'${process.execPath}' '${main}' mirror -v A/ B | head -n 2; exit \${PIPESTATUS[0]}`;
    const child = Bun.spawn(["bash", "-c", script], {
      stdout: "pipe",
      stderr: "pipe",
      env: cleanEnv({ FAKE_STORY: "flood" }),
    });
    expect(await child.stdout.text()).toBe("mirror A/ -> B (new)\ncreate  d0/a.txt\n");
    expect(await child.stderr.text()).toBe("");
    expect(await child.exited).toBe(0);
  });
  test.skipIf(!existsSync("/dev/full"))("a full disk does not look like success", async () => {
    const main = join(import.meta.dir, "fake-main.ts");
    const child = Bun.spawn(["sh", "-c", `'${process.execPath}' '${main}' mirror -v A/ B > /dev/full`], {
      stderr: "pipe",
      env: cleanEnv(),
    });
    expect(await child.stderr.text()).toContain("the report could not be written: ENOSPC");
    expect(await child.exited).toBe(11);
  });
  test.each([
    ["version", "fastsync version: ", 11],
    ["help copy", "fastsync help: ", 11],
    ["completions fish", "fastsync completions: ", 11],
    ["presets", "fastsync presets: ", 11],
    ["find .", "fastsync find: ", 11],
    ["check A/ B", "fastsync: ", 11],
    // It would not have been a success anyway.
    ["ls nothing", "fastsync ls: nothing cannot be used: it does not exist (exit 3)", 3],
  ])("neither does one of fastsync %s", async (line, said, expected) => {
    let err = "";
    const full = (): never => {
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    };
    const how = { isTerminal: false, colour: false };
    const outputs = {
      out: new Output(full, how),
      err: new Output((bytes) => {
        err += Buffer.from(bytes);
        return bytes.length;
      }, how),
    };
    const code = await answerOf(line.split(" ").map(argumentOf), fakeParts("different"), outputs);
    expect(err).toStartWith(said);
    expect([code, err.includes("could not be written: ENOSPC")]).toEqual([expected, expected === 11]);
  });
  test("a slow reader gets everything", async () => {
    const child = start(["mirror", "--json", "A/", "B"], { story: "flood" });
    await Bun.sleep(300);
    const lines = jsonLines(await child.stdout.text());
    expect(lines.length).toBe(20_002);
    expect(await child.exited).toBe(0);
  });
});

describe("progress without a terminal", () => {
  test.concurrent("-p gives a line a second on stderr", async () => {
    const child = start(["mirror", "-p", "A/", "B"], { story: "endless" });
    const reader = child.stderr.getReader();
    const first = new TextDecoder().decode((await reader.read()).value);
    expect(first).toMatch(/^copying {2}0 scanned {2}[\d,]+\/1,000\+ files {2}.*\n/);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(20);
  });
  test.concurrent("silence until the summary otherwise", async () => {
    const child = start(["mirror", "A/", "B"], { story: "endless" });
    let out = "";
    for await (const chunk of child.stdout as ReadableStream<Uint8Array>) {
      // It has begun: long enough for what is told every second.
      if (out === "") setTimeout(() => child.kill("SIGTERM"), 1500);
      out += Buffer.from(chunk).toString();
    }
    expect(await child.stderr.text()).toBe("fastsync: interrupted (exit 20)\n");
    expect(out).toMatch(/^mirror A\/ -> B \(new\)\nExamined /);
  });
});

describe("on a terminal", () => {
  async function onTerminal(story: string, words: readonly string[], keys: readonly string[]) {
    let shown = "";
    const waiting = [...keys];
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "fake-main.ts"), ...words], {
      env: cleanEnv({ FAKE_STORY: story, TERM: "xterm" }),
      terminal: {
        cols: 70,
        rows: 24,
        data: (terminal, data) => {
          shown += Buffer.from(data).toString();
          const cue = story === "delete" ? "[y/N] " : "\u001b[K";
          if (waiting.length > 0 && shown.includes(cue)) terminal.write(waiting.shift()!);
        },
      },
    });
    const code = await child.exited;
    await Bun.sleep(50);
    return { code, shown };
  }
  test.concurrent.each([
    ["y\n", 0],
    ["YES\n", 0],
    ["n\n", 25],
    ["\n", 25],
    ["yep\n", 25],
    ["\u0004", 25],
    ["\u0003", 25],
  ])("the question before deletions, answered %j", async (keys, exitCode) => {
    const { code, shown } = await onTerminal("delete", ["mirror", "A/", "B"], [keys]);
    expect(shown).toContain(
      "12 entries of 300 in the target will be deleted:\r\n  old/a\r\n  old/\\033b\r\n  and 10 more\r\nDelete? [y/N] ",
    );
    expect(code).toBe(exitCode);
    if (exitCode === 25) expect(shown).toContain("deletions declined");
  });
  test.concurrent("what was typed before the question is no answer to it", async () => {
    let shown = "";
    let isAsked = false;
    using scratch = tempDir();
    const gate = scratch.join("typed");
    // The program begins when the terminal has shown what was typed.
    const wait = ["sh", "-c", 'until [ -e "$0" ]; do sleep 0.02; done; exec "$@"', gate];
    const program = [process.execPath, join(import.meta.dir, "fake-main.ts"), "mirror", "A/", "B"];
    const child = Bun.spawn([...wait, ...program], {
      env: cleanEnv({ FAKE_STORY: "delete", TERM: "xterm" }),
      terminal: {
        cols: 70,
        rows: 24,
        data: (terminal, data) => {
          shown += Buffer.from(data).toString();
          if (shown.includes("y\r\ny")) writeFileSync(gate, "");
          if (!shown.includes("Delete? [y/N] ") || isAsked) return;
          isAsked = true;
          setTimeout(() => terminal.write("n\n"), 200);
        },
      },
    });
    child.terminal!.write("y\ny");
    const code = await child.exited;
    expect([code, shown.includes("deletions declined")]).toEqual([25, true]);
  });
  test.concurrent("--yes and --json ask nothing", async () => {
    const yes = await onTerminal("delete", ["mirror", "--yes", "A/", "B"], []);
    expect(yes.code).toBe(0);
    expect(yes.shown).not.toContain("[y/N]");
    const json = await onTerminal("delete", ["mirror", "--json", "A/", "B"], []);
    expect(json.code).toBe(25);
    expect(json.shown).toContain("deletions unattended");
  });
  test.concurrent("the live line is drawn, stays in its width and is cleared", async () => {
    const { code, shown } = await onTerminal("endless", ["mirror", "A/", "B"], ["\u0003"]);
    expect(code).toBe(20);
    const draws = shown.match(/\rcopying[^\r\n]*\u001b\[K/g) ?? [];
    expect(draws.length).toBeGreaterThan(0);
    for (const draw of draws) expect(draw.length).toBeLessThanOrEqual(70 + 4);
    expect(shown).toContain("\r\u001b[Kfastsync: stopping in order; once more stops at once\r\n");
    expect(shown).not.toMatch(/\rcopying[^\r]*Examined/);
  });
  test.concurrent("--no-progress and -q draw nothing", async () => {
    for (const flag of ["--no-progress", "-q"]) {
      const { shown } = await onTerminal("failing", ["mirror", flag, "A/", "B"], []);
      expect(shown).not.toContain("\u001b[K");
    }
  });
});
