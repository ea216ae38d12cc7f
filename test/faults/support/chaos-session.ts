/**
 * One run of the chaos: a tree of which parts are in the target already, a way to it, and something that happens to one
 * side at a random moment. Afterwards the target is looked at, and a clean run has to finish the work.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { LIMITS } from "../../../src/core/limits.ts";
import { temporariesIn } from "../../behaviours/moments.ts";
import type { TestDaemon } from "../../network/support/daemon.ts";
import type { PortProxy, ProxiedDaemon } from "../../network/support/proxy.ts";
import { bytesOf, MIB } from "../../network/support/trees.ts";
import { pick } from "../../session/mutate.ts";
import { assertSameTrees } from "../../support/diff.ts";
import { describe, type ProcessResult, type RunningProcess, startFastsync } from "../../support/run.ts";
import { removeTree } from "../../support/temp.ts";

type Random = () => number;

/** What a session may reach the daemons by: as they are, and through proxies that are its own. */
export interface Ground {
  /** Below the module `m` of both daemons. */
  readonly directory: string;
  /** Of the module, to `directory`. */
  readonly inside: string;
  readonly near: TestDaemon;
  readonly far: TestDaemon;
  readonly nearProxy: ProxiedDaemon;
  readonly farProxy: ProxiedDaemon;
}

const WAYS = ["push", "pull", "delegated"] as const;
type Way = (typeof WAYS)[number];
const VERBS = ["copy", "mirror", "move"] as const;
const FLAGS: readonly (readonly string[])[] = [
  [],
  [],
  ["--force-grpc"],
  ["--bwlimit=3M"],
  ["--buffer-size=1M"],
  ["--force-grpc", "--bwlimit=3M"],
  ["--verify"],
];
/** Of a run that something is sure to end: what waits for its turn there would wait for minutes. */
const SLOW: readonly (readonly string[])[] = [["--bwlimit=20K"], ["--bwlimit=20K", "--force-grpc"]];
const HAPPENINGS = [
  "nothing",
  "the caller is interrupted",
  "the caller is interrupted twice",
  "the caller is killed",
  "the caller is stopped and goes on",
  "the control connection is cut",
  "the control connection is reset",
  "the data connections are cut",
  "the data connections are reset",
  "all connections are reset",
  "the control connection stalls",
  "its job is cancelled",
  "the control connection is cut at a byte",
  "the data connections are cut at a byte",
] as const;

/** What a caller may end with, whatever happens to it: docs/scripting.md. Never that a side broke the protocol. */
const EXITS = new Set([0, 5, 10, 12, 20, 23, 24, 30, 35]);
/** By a signal, which came before the program could ask for it to be told. */
const KILLED: readonly number[] = [130, 137];
/** From what happened to the caller's end: the longest waits of these daemons, and what a busy machine adds. */
const PATIENCE_MS = 30_000;
/** When the control connection stalls before the daemon has told its idle timeout, a caller waits for its own. */
const STALLED_MS = LIMITS.idleMs + 20_000;

interface Content {
  readonly old: Buffer | undefined;
  readonly fresh: Buffer;
}

export class ChaosSession {
  readonly what: string;
  private readonly random: Random;
  private readonly ground: Ground;
  private readonly way: Way;
  private readonly verb: (typeof VERBS)[number];
  private readonly flags: readonly string[];
  private readonly env: Readonly<Record<string, string>>;
  private readonly happening: (typeof HAPPENINGS)[number];
  /** The way that something happens to. */
  private readonly chosen: ProxiedDaemon;
  private readonly atMs: number;
  private readonly lastsMs: number;
  private readonly contents = new Map<string, Content>();
  private readonly source: string;
  private readonly target: string;

  constructor(random: Random, ground: Ground) {
    this.random = random;
    this.ground = ground;
    this.way = pick(random, WAYS);
    this.verb = pick(random, VERBS);
    this.happening = pick(random, HAPPENINGS);
    const flags =
      random() < 0.4 && /killed|interrupted/.test(this.happening) ? pick(random, SLOW) : pick(random, FLAGS);
    this.flags = this.way === "delegated" && !SLOW.includes(flags) && random() < 0.2 ? ["--detach", ...flags] : flags;
    this.env = random() < 0.2 ? { FASTSYNC_NATIVE: "off" } : {};
    this.chosen = this.way === "delegated" && random() < 0.5 ? ground.farProxy : ground.nearProxy;
    // Most of a small run is over soon: half of the moments are in its first tenths of a second. A slow one waits.
    this.atMs = Math.round((SLOW.includes(flags) ? 700 : 60) + 1_500 * random() ** 3);
    this.lastsMs = Math.round(200 + 6_000 * random() ** 2);
    this.source = join(ground.directory, "source");
    this.target = join(ground.directory, "target");
    const backend = this.env["FASTSYNC_NATIVE"] === undefined ? "" : "portable ";
    this.what = `${backend}${this.verb} ${this.flags.join(" ")} (${this.way}): ${this.happening} after ${this.atMs} ms`;
  }

  build(): void {
    const { random } = this;
    removeTree(this.ground.directory);
    for (const root of [this.source, this.target]) mkdirSync(root, { recursive: true });
    const files = 5 + Math.floor(random() * 60);
    for (let i = 0; i < files; i++)
      this.file(`d${i % 4}/${i % 7 === 0 ? "e/" : ""}f${i}`, Math.floor(80_000 * random()));
    if (random() < 0.35) this.file("large", Math.floor((16 + 16 * random()) * MIB));
  }

  private file(name: string, bytes: number): void {
    const seed = Math.floor(this.random() * 1e9);
    const fresh = bytesOf(bytes, seed);
    const old = this.random() < 0.3 ? bytesOf(Math.max(1, bytes - 7), seed + 1) : undefined;
    this.contents.set(name, { old, fresh });
    for (const [root, content] of [
      [this.source, fresh],
      [this.target, old],
    ] as const) {
      if (content === undefined) continue;
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), content);
    }
    if (old !== undefined) utimesSync(join(this.target, name), 1e9, 1e9);
  }

  private words(isClean: boolean): string[] {
    const { inside, near, far, nearProxy, farProxy } = this.ground;
    const at = (daemon: TestDaemon, proxy: ProxiedDaemon, name: string): string =>
      `${isClean ? daemon.host : proxy.host}:${daemon.port}:/m/${inside}/${name}/`;
    const target = this.way === "pull" ? `${this.target}/` : at(near, nearProxy, "target");
    const source =
      this.way === "push"
        ? `${this.source}/`
        : this.way === "pull"
          ? at(near, nearProxy, "source")
          : at(far, farProxy, "source");
    const flags = this.flags.filter((flag) => !isClean || !/^--(bwlimit|detach)/.test(flag));
    return [this.verb, ...(this.verb === "mirror" ? ["--yes"] : []), ...flags, source, target];
  }

  /** Runs it to its end; throws when that does not come, or is none that is documented. */
  async run(): Promise<void> {
    const { control, data } = this.chosen;
    const bytes = 1 + Math.floor(this.random() ** 3 * 3 * MIB);
    if (this.happening === "the control connection is cut at a byte") control.cutAtByte = control.bytes + (bytes >> 6);
    if (this.happening === "the data connections are cut at a byte") data.cutAtByte = data.bytes + bytes;
    const caller = startFastsync(this.words(false), { env: this.env, timeoutMs: 600_000 });
    const ended = caller.result.then((result) => ({ result }));
    await Promise.race([ended, Bun.sleep(this.atMs)]);
    await this.happen(caller, ended);
    const patienceMs = this.happening.endsWith("stalls") ? STALLED_MS : PATIENCE_MS;
    const end = await Promise.race([ended, Bun.sleep(patienceMs)]);
    if (end === undefined) {
      caller.kill("SIGQUIT");
      caller.kill("SIGKILL");
      throw new Error(`the caller did not end:\n${describe((await ended).result)}`);
    }
    for (const proxy of this.proxies) proxy.restore();
    this.checkEnd(end.result);
  }

  private get proxies(): PortProxy[] {
    const { nearProxy, farProxy } = this.ground;
    return [nearProxy, farProxy].flatMap(({ control, data }) => [control, data]);
  }

  private async happen(caller: RunningProcess, ended: Promise<unknown>): Promise<void> {
    const { control, data } = this.chosen;
    const some = async (what: Promise<unknown>): Promise<void> => void (await Promise.race([ended, what]));
    switch (this.happening) {
      case "nothing":
      case "the control connection is cut at a byte":
      case "the data connections are cut at a byte":
        return;
      case "the caller is interrupted":
        return caller.kill("SIGINT");
      case "the caller is interrupted twice":
        caller.kill("SIGINT");
        await some(Bun.sleep(this.lastsMs));
        return caller.kill("SIGINT");
      case "the caller is killed":
        return caller.kill("SIGKILL");
      case "the caller is stopped and goes on":
        caller.kill("SIGSTOP");
        await some(Bun.sleep(this.lastsMs));
        return caller.kill("SIGCONT");
      case "the control connection is cut":
        return control.cut();
      case "the control connection is reset":
        return control.reset();
      case "the data connections are cut":
        return data.cut();
      case "the data connections are reset":
        return data.reset();
      case "all connections are reset":
        for (const proxy of this.proxies) proxy.reset();
        return;
      case "the control connection stalls":
        return control.stall();
      case "its job is cancelled":
        return this.cancelJob();
    }
  }

  private async cancelJob(): Promise<void> {
    const { near, inside } = this.ground;
    // A daemon that ended meanwhile took its log along, and its jobs.
    if (!existsSync(`/proc/${near.pid}/exe`)) return;
    const ended = new Set(near.log("session_end").map(({ session }) => session));
    const job = near
      .log("session_start")
      .findLast(({ session, path }) => !ended.has(session) && String(path).startsWith(`${inside}/`));
    if (job === undefined) return;
    await startFastsync(["jobs", "cancel", `${near.host}:${near.port}`, String(job["session"])]).result;
  }

  private checkEnd(result: ProcessResult): void {
    const isKilled = /killed|interrupted/.test(this.happening);
    if (EXITS.has(result.exitCode) || (isKilled && KILLED.includes(result.exitCode))) return;
    throw new Error(`an end that is none:\n${describe(result)}`);
  }

  /** What has a name is old or new, and nothing is nowhere. When nobody writes any more. */
  checkTarget(): void {
    for (const [name, { old, fresh }] of this.contents) {
      const [from, to] = [join(this.source, name), join(this.target, name)];
      const has = existsSync(to) ? readFileSync(to) : undefined;
      const isFresh = has?.equals(fresh) === true;
      if (!isFresh && !(has === undefined && old === undefined) && !(old !== undefined && has?.equals(old)))
        throw new Error(`${name} is neither old nor new: ${has?.length ?? "no"} bytes`);
      if (!existsSync(from) ? !isFresh : !readFileSync(from).equals(fresh)) throw new Error(`${name} is lost`);
    }
    for (const entry of readdirSync(this.target, { recursive: true, withFileTypes: true })) {
      const name = join(entry.parentPath, entry.name).slice(this.target.length + 1);
      if (entry.isFile() && !this.contents.has(name) && !entry.name.startsWith(".fastsync."))
        throw new Error(`${name} is in the target, and nobody put it there`);
    }
  }

  /** The next run, which nothing happens to, ends the work. */
  async finish(): Promise<void> {
    const result = await startFastsync(this.words(true), { timeoutMs: 90_000 }).result;
    if (result.exitCode !== 0) throw new Error(`the clean run failed:\n${describe(result)}`);
    for (const [name, { fresh }] of this.contents)
      if (!readFileSync(join(this.target, name)).equals(fresh)) throw new Error(`${name} differs after the clean run`);
    if (this.verb === "move") {
      const left = [...this.contents.keys()].filter((name) => existsSync(join(this.source, name)));
      if (left.length > 0) throw new Error(`the move left ${left.join(" ")}`);
    } else assertSameTrees(this.source, this.target);
    const temporaries = temporariesIn(this.target);
    if (temporaries.length > 0) throw new Error(`left in the target: ${temporaries.join(" ")}`);
  }
}
