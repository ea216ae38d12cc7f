/** Small C programs that disturb a run faster than a script could; compiled once a process, at their first use. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type ProgramName = "flipper" | "watcher" | "witness";

/** Why they cannot be had, or undefined. */
export const compilerMissing: string | undefined =
  process.platform !== "linux" ? "needs Linux" : Bun.which("cc") === null ? "there is no C compiler" : undefined;

let folder: string | undefined;
const compiled = new Map<ProgramName, string>();

/** The path of the compiled program, which every user may run. */
function programPath(name: ProgramName): string {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  if (folder === undefined) {
    folder = mkdtempSync(join(tmpdir(), "fastsync-programs."));
    chmodSync(folder, 0o755);
    process.on("exit", () => rmSync(folder!, { recursive: true, force: true }));
  }
  const path = join(folder, name);
  const result = spawnSync("cc", [
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-o",
    path,
    join(import.meta.dir, `${name}.c`),
  ]);
  if (result.status !== 0) throw new Error(`cc ${name}.c: ${result.stderr}`);
  compiled.set(name, path);
  return path;
}

export interface RunningProgram extends AsyncDisposable {
  /** Holds it still until `proceed`. */
  pause(): Promise<void>;
  proceed(): void;
  /** Sends a line and returns those that it prints before the line `.`. */
  ask(): Promise<string[]>;
  /** Asks it to end and returns the last line it printed. */
  stop(): Promise<string>;
}

/** Resolves when the program says that it is at work. Disposal ends it however the test ends. */
export async function startProgram(name: ProgramName, args: readonly string[]): Promise<RunningProgram> {
  const child = Bun.spawn([programPath(name), ...args], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("ready\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`${name} did not start: ${await new Response(child.stderr).text()}`);
    text += decoder.decode(value);
  }
  let hasEnded = false;
  let heard: () => void = () => {};
  const rest = (async () => {
    while (!hasEnded) {
      const { value, done } = await reader.read();
      hasEnded = done;
      text += decoder.decode(value);
      heard();
    }
  })();
  const ask = async (): Promise<string[]> => {
    text = "";
    child.stdin.write("\n");
    await child.stdin.flush();
    while (!/(^|\n)\.\n$/.test(text)) {
      if (hasEnded) throw new Error(`${name} ended: ${await new Response(child.stderr).text()}`);
      await new Promise<void>((resolve) => {
        heard = resolve;
      });
    }
    return text.split("\n").slice(0, -2);
  };
  const stop = async (): Promise<string> => {
    child.kill("SIGTERM");
    const exitCode = await child.exited;
    await rest;
    if (exitCode !== 0) throw new Error(`${name} exited ${exitCode}: ${await new Response(child.stderr).text()}`);
    return text.trimEnd().split("\n").at(-1)!;
  };
  const isStill = (): boolean => /\) T /.test(readFileSync(`/proc/${child.pid}/stat`, "latin1"));
  return {
    pause: async () => {
      child.kill("SIGSTOP");
      while (!isStill()) await Bun.sleep(1);
    },
    proceed: () => child.kill("SIGCONT"),
    ask,
    stop,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null) child.kill("SIGKILL");
      await child.exited;
    },
  };
}
