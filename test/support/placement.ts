/**
 * Where the sides of a tested run are. FASTSYNC_PLACEMENT chooses:
 *
 *     (unset)   both in the process that is started
 *     push      the target behind a daemon
 *     pull      the sources behind a daemon
 *
 * The daemon is the same program, as the same user and in the same circumstances, so that whatever a test arranges
 * reaches the side that does the work. Its one module is the whole file system: places keep their paths.
 * FASTSYNC_CARRIER=control sends content through the control connection.
 */
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { flagNamed, flagOfLetter } from "../../src/cli/words/flags.ts";
import type { VerbName } from "../../src/cli/words/verbs.ts";
import { type Circumstances, commandPrefix, environment, fastsyncCommand, ROOT } from "./program.ts";
import { type TempDir, tempDir } from "./temp.ts";

export type Placement = "push" | "pull";
type Word = string | Uint8Array;

export const PLACEMENT: Placement | undefined = placementOf(process.env["FASTSYNC_PLACEMENT"]);
const IN_CONTROL = process.env["FASTSYNC_CARRIER"] === "control";

function placementOf(value: string | undefined): Placement | undefined {
  if (value === undefined || value === "" || value === "local") return undefined;
  if (value === "push" || value === "pull") return value;
  throw new Error(`FASTSYNC_PLACEMENT is local, push or pull, not ${value}`);
}

// ---- words ----------------------------------------------------------------------------------------------------

const TREE_VERBS = new Set<Word>(["copy", "mirror", "move", "check", "cp", "sync"]);

/** The words of a command line, with the places of one side behind a daemon. */
export function placed(words: readonly Word[], placement: Placement, port: number, cwd: string): Word[] {
  const places = placesOf(words);
  const remote = placement === "push" ? places.slice(-1) : places.slice(0, -1);
  return words.map((word, i) => (remote.includes(i) ? behindDaemon(word, port, cwd) : word));
}

/** Which words of a run are places; none when it is no run, or a wrong one. */
function placesOf(words: readonly Word[]): number[] {
  if (!TREE_VERBS.has(words[0]!)) return [];
  const places: number[] = [];
  for (let at = 1; at < words.length; at++) {
    const text = Buffer.from(words[at]!).toString("latin1");
    if (text === "--") {
      for (let rest = at + 1; rest < words.length; rest++) places.push(rest);
      break;
    }
    if (text === "-" || !text.startsWith("-")) {
      places.push(at);
      continue;
    }
    const flag = text.startsWith("--") ? flagNamed(text.slice(2)) : flagOfLetter(text.at(-1)!, words[0] as VerbName);
    if (flag !== undefined && "value" in flag && !("optional" in flag.value && flag.value.optional)) at++;
  }
  return places.length < 2 ? [] : places;
}

function behindDaemon(word: Word, port: number, cwd: string): Word {
  const path = Buffer.from(word).toString("latin1");
  const names: string[] = [];
  for (const name of `${path.startsWith("/") ? "" : `${Buffer.from(cwd).toString("latin1")}/`}${path}`.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  const isContents = /(^|\/)\.{0,2}$/.test(path);
  return Buffer.from(`127.0.0.1:${port}:/root/${names.join("/")}${isContents ? "/" : ""}`, "latin1");
}

// ---- daemons --------------------------------------------------------------------------------------------------

export interface RunningDaemon {
  readonly port: number;
  readonly pid: number;
  readonly log: () => string;
  readonly stop: () => Promise<void>;
}

const running = new Map<string, RunningDaemon>();

/** The daemon for runs in such circumstances; started when it is first asked for. */
export function daemonFor({ asUser, env, prefix }: Circumstances): RunningDaemon {
  const key = JSON.stringify([asUser, env, prefix]);
  const found = running.get(key);
  if (found !== undefined) return found;
  const started = startDaemon({
    ...(asUser === undefined ? {} : { asUser }),
    ...(env === undefined ? {} : { env }),
    ...(prefix === undefined ? {} : { prefix }),
  });
  running.set(key, started);
  return started;
}

/** Ends every daemon that was started here. */
export async function stopDaemons(): Promise<void> {
  const all = [...running.values()];
  running.clear();
  await Promise.all(all.map((daemon) => daemon.stop()));
}

const configOf = (root: string): string => `
[daemon]
log = "json"
port = 0
force_grpc_data = ${IN_CONTROL}
handshake_timeout = "5s"
[[module]]
name = "root"
path = ${JSON.stringify(root)}
read_only = false
strip_setid = false
allow_devices = true
allow_specials = true
`;

/** A test run that is killed leaves no daemon behind. */
const DIES_WITH_US = Bun.which("setpriv") === null ? [] : ["setpriv", "--pdeathsig=KILL", "--"];

/**
 * Its one module, named root, is `root`. Waits for it without yielding, since starting a process does not yield either.
 */
export function startDaemon(circumstances: Circumstances, root = "/"): RunningDaemon {
  const scratch = tempDir();
  const config = scratch.join("config.toml");
  writeFileSync(config, configOf(root), { mode: 0o644 });
  const logFile = scratch.join("log");
  const fd = openSync(logFile, "w");
  const words = ["daemon", "--config", config];
  const child = Bun.spawn([...commandPrefix(circumstances), ...DIES_WITH_US, ...fastsyncCommand(), ...words], {
    cwd: ROOT,
    env: environment(circumstances),
    stdin: "ignore",
    stdout: "ignore",
    stderr: fd,
  });
  closeSync(fd);
  const log = (): string => readFileSync(logFile, "utf8");
  const stop = async (): Promise<void> => {
    using _: TempDir = scratch;
    child.kill("SIGKILL");
    await child.exited;
  };
  return { port: portOf(log), pid: child.pid, log, stop };
}

function portOf(log: () => string): number {
  for (const endMs = performance.now() + 30_000; performance.now() < endMs; Bun.sleepSync(5)) {
    const started = log()
      .split("\n")
      .find((line) => line.includes('"event":"started"'));
    const port = /127\.0\.0\.1:(\d+)/.exec(started ?? "")?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`the daemon did not start:\n${log()}`);
}
