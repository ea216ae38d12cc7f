/** Runs the command line as a process and waits for its end. */
import { join } from "node:path";
import { NO_SETTINGS } from "../support/program.ts";

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
  readonly main?: "fake" | "real";
}

/** The environment without what would change the output. */
export function cleanEnv(extra: Readonly<Record<string, string>> = {}): Record<string, string | undefined> {
  const { FASTSYNC_NO_ZERO_COPY: _a, ORBIT_NO_ZERO_COPY: _b, NO_COLOR: _c, ...env } = process.env;
  return { ...env, ...NO_SETTINGS, ...extra };
}

export function start(words: readonly string[], options: StartOptions = {}) {
  return Bun.spawn([process.execPath, options.main === "real" ? REAL_MAIN : FAKE_MAIN, ...words], {
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

/** The JSON lines of an output; throws when one is not JSON. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
