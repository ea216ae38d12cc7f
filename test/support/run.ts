/** Runs fastsync as its users do: a process of its own, with bytes for arguments and an exit code for an answer. */
import { writeFileSync } from "node:fs";
import { utf8Of } from "../../src/core/paths.ts";
import { daemonFor, PLACEMENT, placed } from "./placement.ts";
import { type Circumstances, commandPrefix, environment, fastsyncCommand, ROOT } from "./program.ts";
import { tempDir } from "./temp.ts";

export { fastsyncCommand, fastsyncMissing } from "./program.ts";

export type Argument = string | Uint8Array;

export interface ProcessOptions extends Circumstances {
  /** Default: nothing, and not a terminal. */
  readonly stdin?: string | Uint8Array;
  /** After this the process is killed and the call throws. Default 60,000. */
  readonly timeoutMs?: number;
}

/** One line of `--json`. */
export type JsonEvent = Readonly<Record<string, unknown>> & { readonly type: string };

export interface ProcessResult {
  /** 128 + signal when a signal ended it, as shells say. */
  readonly exitCode: number;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stdoutBytes: Uint8Array;
  readonly stderr: string;
}

export interface JsonResult extends ProcessResult {
  readonly events: readonly JsonEvent[];
  /** The one event of type `summary`. */
  readonly summary: JsonEvent;
}

export interface RunningProcess {
  readonly pid: number;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly result: Promise<ProcessResult>;
}

/** The user that unprivileged runs use: nobody. */
export const ORDINARY_USER = 65534;

/** Why `asUser` cannot be used, or undefined where it can. */
export function asUserMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can become another user";
  return Bun.which("setpriv") === null ? "setpriv is not installed" : undefined;
}

export async function fastsync(args: readonly Argument[], options: ProcessOptions = {}): Promise<ProcessResult> {
  return await startFastsync(args, options).result;
}

/** Runs with `--json` and holds it to its promise: every line is JSON and exactly one is the summary. */
export async function fastsyncJson(args: readonly Argument[], options: ProcessOptions = {}): Promise<JsonResult> {
  const result = await fastsync([...args, "--json"], options);
  const events = parseJsonLines(result);
  const summaries = events.filter((event) => event.type === "summary");
  const [summary] = summaries;
  if (summary === undefined || summaries.length > 1)
    throw new Error(`${summaries.length} summaries instead of one\n${describe(result)}`);
  return { ...result, events, summary };
}

/** Starts it and returns at once, for tests that interrupt. */
export function startFastsync(args: readonly Argument[], options: ProcessOptions = {}): RunningProcess {
  return start([...fastsyncCommand(), ...inPlacement(args, options)], options);
}

function inPlacement(args: readonly Argument[], options: ProcessOptions): readonly Argument[] {
  if (PLACEMENT === undefined) return args;
  return placed(args, PLACEMENT, daemonFor(options).port, options.cwd ?? ROOT);
}

/** Runs on a pseudo-terminal; each answer is typed once, when the output first shows its prompt. */
export async function fastsyncOnTerminal(
  args: readonly string[],
  answers: readonly { readonly prompt: string; readonly reply: string }[] = [],
  options: Omit<ProcessOptions, "stdin"> & { readonly columns?: number } = {},
): Promise<{ exitCode: number; output: string }> {
  let output = "";
  const waiting = [...answers];
  const words = inPlacement(args, options).map((word) => Buffer.from(word).toString());
  const child = Bun.spawn([...commandPrefix(options), ...fastsyncCommand(), ...words], {
    cwd: options.cwd ?? ROOT,
    env: environment(options),
    timeout: options.timeoutMs ?? 60_000,
    killSignal: "SIGKILL",
    terminal: {
      cols: options.columns ?? 100,
      rows: 30,
      data(terminal, data) {
        output += Buffer.from(data).toString();
        const next = waiting[0];
        if (next === undefined || !output.includes(next.prompt)) return;
        waiting.shift();
        terminal.write(next.reply);
      },
    },
  });
  return { exitCode: await child.exited, output };
}

/** Any other program, by the same rules. */
export function start(command: readonly Argument[], options: ProcessOptions = {}): RunningProcess {
  const scratch = tempDir();
  const argv = textCommand([...commandPrefix(options), ...command], scratch.join("argv"));
  const child = Bun.spawn(argv, {
    cwd: options.cwd ?? ROOT,
    env: environment(options),
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const timeoutMs = options.timeoutMs ?? 60_000;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const finish = async (): Promise<ProcessResult> => {
    using _ = scratch;
    const [stdoutBytes, stderr] = await Promise.all([
      new Response(child.stdout).bytes(),
      new Response(child.stderr).text(),
    ]);
    const exitCode = await child.exited;
    clearTimeout(timer);
    const signal = child.signalCode === null ? undefined : String(child.signalCode);
    const result = { exitCode, signal, stdout: Buffer.from(stdoutBytes).toString(), stdoutBytes, stderr };
    if (late) throw new Error(`still running after ${timeoutMs} ms\n${describe(result)}`);
    return result;
  };
  return { pid: child.pid, kill: (signal) => child.kill(signal), result: finish() };
}

/** A result as a message for a failed assertion. */
export function describe(result: ProcessResult): string {
  return `exit ${result.exitCode}\nstdout: ${result.stdout.slice(0, 4000)}\nstderr: ${result.stderr.slice(0, 4000)}`;
}

function parseJsonLines(result: ProcessResult): JsonEvent[] {
  const lines = result.stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    try {
      return JSON.parse(line) as JsonEvent;
    } catch {
      throw new Error(`not JSON: ${line}\n${describe(result)}`);
    }
  });
}

/**
 * Spawning takes text. Arguments that are not UTF-8 go through a file that bash reads back byte for byte before it
 * becomes the program.
 */
function textCommand(command: readonly Argument[], file: string): string[] {
  if (command.every((argument) => typeof argument === "string")) return command as string[];
  const texts = command.map((argument) => (typeof argument === "string" ? argument : utf8Of(argument)));
  if (texts.every((text) => text !== undefined)) return texts;
  writeFileSync(file, Buffer.concat(command.flatMap((argument) => [Buffer.from(argument), Buffer.from([0])])));
  return ["bash", "-c", `mapfile -d '' -t argv < "$0"; exec "\${argv[@]}"`, file];
}

/** True where the current user may do what root may. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
