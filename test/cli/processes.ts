/** Runs the command line as a process, or in this one, and waits for its end. */
import { join } from "node:path";
import { answerOf } from "../../src/cli/cli.ts";
import type { Parts } from "../../src/cli/context.ts";
import { Output } from "../../src/cli/report/output.ts";
import { argumentOf } from "../../src/cli/words/raw-args.ts";
import { bundled } from "../support/bundled.ts";
import { NO_SETTINGS } from "../support/program.ts";
import { fakeParts } from "./fake-parts.ts";

const FAKE_MAIN = join(import.meta.dir, "fake-main.ts");
const REAL_MAIN = join(import.meta.dir, "../../src/main.ts");

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface StartOptions {
  readonly story?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
  /** `fake`: with a session made by hand; `real`: from the sources, as they are. */
  readonly main?: "fake" | "real";
}

/** The environment without what would change the output. */
export function cleanEnv(extra: Readonly<Record<string, string>> = {}): Record<string, string | undefined> {
  const { FASTSYNC_NO_ZERO_COPY: _a, ORBIT_NO_ZERO_COPY: _b, NO_COLOR: _c, ...env } = process.env;
  return { ...env, ...NO_SETTINGS, ...extra };
}

export function start(words: readonly string[], options: StartOptions = {}) {
  return Bun.spawn([process.execPath, options.main === "real" ? REAL_MAIN : bundled(FAKE_MAIN), ...words], {
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
    env: cleanEnv({ FAKE_STORY: options.story ?? "normal", ...options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
}

export async function run(words: readonly string[], options: StartOptions = {}): Promise<Ended> {
  const child = start(words, options);
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

/**
 * The same without a process: for many command lines that end before anything of the process matters. With the session of
 * `fake-parts.ts`, or others.
 */
export async function answered(words: readonly string[], parts: Parts = fakeParts("normal")): Promise<Ended> {
  const text = { out: "", err: "" };
  const outputTo = (name: "out" | "err"): Output =>
    new Output(
      (bytes) => {
        text[name] += Buffer.from(bytes);
        return bytes.length;
      },
      { isTerminal: false, colour: false },
    );
  const own = { ...process.env };
  Object.assign(process.env, NO_SETTINGS);
  try {
    const outputs = { out: outputTo("out"), err: outputTo("err") };
    const code = await answerOf(words.map(argumentOf), parts, outputs);
    return { code, ...text };
  } finally {
    for (const name of Object.keys(NO_SETTINGS)) {
      if (own[name] === undefined) delete process.env[name];
      else process.env[name] = own[name];
    }
  }
}

/** The JSON lines of an output; throws when one is not JSON. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
