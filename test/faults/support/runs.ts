/** Runs of a scene in which one process fails or dies as planned: on one machine, or on either side of a connection. */
import { chownSync, existsSync } from "node:fs";
import { until } from "../../behaviours/moments.ts";
import { daemonFor, type Placement, placed, type RunningDaemon, startDaemon } from "../../support/placement.ts";
import { type Circumstances, fastsyncCommand } from "../../support/program.ts";
import { describe as describeResult, type ProcessResult, start } from "../../support/run.ts";
import { tempDir } from "../../support/temp.ts";
import { faultEnvironment, faultyLibrary, type Plan, passesIn } from "./library.ts";
import { DOCUMENTED, type Scene, summaryOf } from "./scene.ts";

/** Where the plan is carried out. */
export interface Role {
  readonly name: string;
  readonly placement?: Placement;
  /** The daemon is the one that fails. */
  readonly inDaemon?: boolean;
}

export const ROLES: readonly Role[] = [
  { name: "here" },
  { name: "push, the receiving daemon", placement: "push", inDaemon: true },
  { name: "pull, the receiving caller", placement: "pull" },
  { name: "push, the sending caller", placement: "push" },
  { name: "pull, the sending daemon", placement: "pull", inDaemon: true },
];

/** Longer than any of these runs takes on a busy machine. */
const TIMEOUT_MS = 90_000;
/** What dies is the native library, and so is what goes on after it, whatever this process was told. */
const CLEAN = { FASTSYNC_NATIVE: undefined, FSY_FAULT: undefined, FSY_FAULT_TRACE: undefined };

export interface Faulted {
  /** Of the command that was started. */
  readonly result: ProcessResult;
  /** How often each point was passed by the process that fails. */
  readonly passes: ReadonlyMap<string, number>;
  /** The process that fails was killed by its plan. */
  readonly killed: boolean;
}

/** Runs the scene with the plan and waits until every process that has to do with it is done. */
export async function runFaulted(
  scene: Pick<Scene, "words">,
  role: Role,
  plans: readonly Plan[],
  extra: readonly string[] = [],
  isTraced = false,
  who: Pick<Circumstances, "asUser"> = {},
): Promise<Faulted> {
  using scratch = tempDir();
  if (who.asUser !== undefined) chownSync(scratch.path, who.asUser, who.asUser);
  const trace = scratch.join("trace");
  const env = faultEnvironment(plans, isTraced ? trace : undefined);
  const words = scene.words(extra);
  if (role.placement === undefined) {
    const result = await command(words, env, who);
    return { result, passes: traced(trace, isTraced), killed: result.signal === "SIGKILL" };
  }
  const daemon = startDaemon({ ...who, env: role.inDaemon ? env : CLEAN });
  try {
    const result = await command(placed(words, role.placement, daemon.port, "/"), role.inDaemon ? CLEAN : env, who);
    const killed = role.inDaemon ? !existsSync(`/proc/${daemon.pid}/exe`) : result.signal === "SIGKILL";
    // Whoever survives may still be at work on the target.
    if (!role.inDaemon || !killed) await sessionEnd(daemon);
    return { result, passes: traced(trace, isTraced), killed };
  } finally {
    await daemon.stop();
  }
}

/** Without a single point no fault can have happened, and whatever follows would pass. */
function traced(trace: string, isTraced: boolean): ReadonlyMap<string, number> {
  const passes = passesIn(trace);
  if (isTraced && passes.size === 0) throw new Error(`${faultyLibrary()} was not loaded: is it of these sources?`);
  return passes;
}

function command(
  words: readonly (string | Uint8Array)[],
  env: Record<string, string | undefined>,
  who: Pick<Circumstances, "asUser"> = {},
) {
  return start([...fastsyncCommand(), ...words], { ...who, env, timeoutMs: TIMEOUT_MS }).result;
}

/** A session that was refused never began. */
async function sessionEnd(daemon: RunningDaemon): Promise<void> {
  const count = (event: string): number => daemon.log().split(`"event":"${event}"`).length - 1;
  await until(() => count("session_end") >= count("session_start"), "the end of the daemon's session", TIMEOUT_MS);
}

/** The same once more, without a fault; what died before must not matter. Throws unless it is done. */
export async function runAgain(scene: Scene, { placement }: Role, thorough: boolean): Promise<void> {
  const words = (verb: string): (string | Uint8Array)[] => {
    const local = scene.words([], verb);
    return placement === undefined ? local : placed(local, placement, daemonFor({ env: CLEAN }).port, "/");
  };
  const result = await command(words(scene.mode.verb), CLEAN);
  if (result.exitCode !== 0) throw new Error(`the next run: ${describeResult(result)}`);
  scene.assertDone(true);
  // What was kept beside the new is extraneous to a check.
  if (!thorough || scene.mode.verb === "move" || scene.mode.flags.includes("--backup")) return;
  const check = await command(checkWords(words("check")), CLEAN);
  if (check.exitCode !== 0) throw new Error(`check after the next run: ${describeResult(check)}`);
}

/** What only writing verbs take. */
function checkWords(words: readonly (string | Uint8Array)[]): (string | Uint8Array)[] {
  const writing = /^--(yes|inplace|backup|backup-dir=.*|temp-dir=.*|fsync=.*|verify=.*|copy-method=.*)$/;
  return words.filter((word) => !writing.test(Buffer.from(word).toString()));
}

/** An end as docs/scripting.md has it: a code that is there, said once more in the one summary, and no mistake of ours. */
export function assertDocumented(result: ProcessResult): void {
  const summary = summaryOf(result);
  const { exitCode } = result;
  if (!DOCUMENTED.has(exitCode)) throw new Error(`no documented end\n${describeResult(result)}`);
  if (summary === undefined || summary["exit_code"] !== exitCode || summary["exit_reason"] === "internal_error")
    throw new Error(`no summary that says so\n${describeResult(result)}`);
}

/** Carries out `work` for each item, two at a time; all failures are told, each with its item's name. */
export async function forEach<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const failures: string[] = [];
  const waiting = items.values();
  const lane = async (): Promise<void> => {
    for (const item of waiting) {
      try {
        await work(item);
      } catch (error) {
        failures.push(`${nameOf(item)}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  await Promise.all([lane(), lane()]);
  if (failures.length > 0)
    throw new Error(`${failures.length} of ${items.length} failed:\n\n${failures.slice(0, 12).join("\n\n")}`);
}

/** FASTSYNC_FAULTS=all: every case; otherwise each test takes a fixed sample of its own. */
export const ALL = process.env["FASTSYNC_FAULTS"] === "all";
/** With all of them, FASTSYNC_FAULTS_SHARD=2/8 is each eighth from the second on: most of a case is waiting. */
const [SHARD = 1, SHARDS = 1] = (process.env["FASTSYNC_FAULTS_SHARD"] ?? "1/1").split("/").map(Number);

export function inShard<T>(all: readonly T[]): T[] {
  return all.filter((_, at) => at % SHARDS === SHARD - 1);
}
