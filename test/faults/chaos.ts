/**
 * Many small runs, several at a time, and at random moments one side of them is cut off, reset, stopped, interrupted or
 * killed:
 *
 *     bun test/faults/chaos.ts [--minutes 10] [--lanes 2] [--seed N]
 *
 * Each caller has to end in time, with a documented word; each daemon to end what it began, and to be afterwards as it
 * was before; each target to have old or new files; and a clean run to finish the work. Not part of the tests: it
 * takes as long as it is let, and what it finds is repeated by its seed as far as moments can be.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { quickDir } from "../behaviours/moments.ts";
import { startDaemon, type TestDaemon } from "../network/support/daemon.ts";
import { freePort } from "../network/support/ports.ts";
import { type ProxiedDaemon, proxied } from "../network/support/proxy.ts";
import { randomGenerator } from "../session/model.ts";
import { pick } from "../session/mutate.ts";
import { ChaosSession } from "./support/chaos-session.ts";

const SLOTS = 3;
const IDLE_SECONDS = 5;
/** For a daemon to end what its callers have left, and to close what they had open. */
const SETTLE_MS = (IDLE_SECONDS + 9) * 1000;
/** Threads that the engine takes when it wants to, and connections that are still being closed. */
const SPARE = { threads: 8, descriptors: 4 } as const;

const { values } = parseArgs({
  options: { minutes: { type: "string" }, lanes: { type: "string" }, seed: { type: "string" } },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const endMs = performance.now() + Number(values.minutes ?? 10) * 60_000;
const findings: string[] = [];
let runs = 0;

interface Load {
  readonly threads: number;
  readonly descriptors: number;
}

class Lane implements AsyncDisposable {
  private readonly name: string;
  private readonly random: () => number;
  private readonly dir = quickDir();
  private readonly ports: number[] = [];
  private daemons: TestDaemon[] = [];
  private readonly proxies: ProxiedDaemon[][] = [];
  private readonly usual = new Map<number, Load>();

  constructor(name: string) {
    this.name = name;
    this.random = randomGenerator(seed + name.charCodeAt(0) * 7919);
  }

  async start(): Promise<void> {
    for (const index of [0, 1]) {
      this.ports.push(await freePort());
      this.daemons.push(await this.daemon(index));
    }
    for (let slot = 0; slot < SLOTS; slot++)
      this.proxies.push(await Promise.all(this.daemons.map((daemon) => proxied(daemon))));
  }

  private daemon(index: number): Promise<TestDaemon> {
    return startDaemon({
      path: this.dir.path,
      port: this.ports[index]!,
      daemon: `idle_timeout = "${IDLE_SECONDS}s"\nhandshake_timeout = "2s"\nmdns = false\nmax_sessions = 8\nmax_connections_per_peer = 32`,
      delegation: 'enabled = true\nallow = ["127.0.0.0/8"]',
      ...(this.random() < 0.25 ? { env: { FASTSYNC_NATIVE: "off" } } : {}),
    });
  }

  async round(number: number): Promise<void> {
    const sessions = Array.from({ length: 1 + Math.floor(this.random() * SLOTS) }, (_, slot) => {
      const inside = `slot${slot}`;
      mkdirSync(this.dir.join(inside), { recursive: true });
      const [near, far] = this.daemons as [TestDaemon, TestDaemon];
      const [nearProxy, farProxy] = this.proxies[slot] as [ProxiedDaemon, ProxiedDaemon];
      return new ChaosSession(this.random, {
        directory: this.dir.join(inside),
        inside,
        near,
        far,
        nearProxy,
        farProxy,
      });
    });
    const what = [...sessions.map((session) => session.what)];
    try {
      for (const session of sessions) session.build();
      const toDaemon = this.happenToDaemon(what);
      const ends = await Promise.allSettled(sessions.map((session) => session.run()));
      await toDaemon;
      for (const end of ends) if (end.status === "rejected") throw end.reason;
      runs += sessions.length;
      for (const [index, daemon] of this.daemons.entries()) await this.settles(index, daemon);
      for (const session of sessions) session.checkTarget();
      await Promise.all(sessions.map((session) => session.finish()));
    } catch (error) {
      const logs = this.daemons.flatMap((daemon) => [
        ...daemon
          .log()
          .slice(-12)
          .map((line) => JSON.stringify(line)),
        "",
      ]);
      findings.push(`seed ${seed}, lane ${this.name}, round ${number}:\n  ${what.join("\n  ")}\n${error}\n`);
      console.log(`${findings.at(-1)}${logs.join("\n")}`);
      // What hangs would be found again each time.
      for (const index of [0, 1]) await this.restart(index);
    }
  }

  /** Sometimes it is a daemon that something happens to. */
  private async happenToDaemon(what: string[]): Promise<void> {
    const dice = this.random();
    const index = this.random() < 0.6 ? 0 : 1;
    const atMs = 60 + 1_200 * this.random() ** 2;
    const lastsMs = 300 + 5_000 * this.random() ** 2;
    if (dice > 0.3) return;
    const how = pick(this.random, ["is killed", "is stopped and goes on", "is told to end"] as const);
    what.push(`daemon ${index} ${how} after ${Math.round(atMs)} ms`);
    await Bun.sleep(atMs);
    const daemon = this.daemons[index]!;
    if (how === "is stopped and goes on") {
      daemon.signal("SIGSTOP");
      await Bun.sleep(lastsMs);
      daemon.signal("SIGCONT");
      return;
    }
    daemon.signal(how === "is killed" ? "SIGKILL" : "SIGTERM");
    await Bun.sleep(lastsMs / 4);
    // A second wish ends it at once.
    if (how === "is told to end") daemon.signal("SIGTERM");
    const ended = await Promise.race([daemon.exited, Bun.sleep(SETTLE_MS)]);
    if (ended === undefined) throw new Error("the daemon did not end");
    await this.restart(index);
  }

  private async restart(index: number): Promise<void> {
    await this.daemons[index]![Symbol.asyncDispose]();
    this.daemons[index] = await this.daemon(index);
    this.usual.delete(index);
  }

  /** What began has ended, and the daemon holds what it held before. */
  private async settles(index: number, daemon: TestDaemon): Promise<void> {
    const load = (): Load => ({
      threads: readdirSync(`/proc/${daemon.pid}/task`).length,
      descriptors: daemon.descriptors(),
    });
    const usual = this.usual.get(index) ?? { threads: 30, descriptors: 40 };
    let trouble = "";
    for (const untilMs = performance.now() + SETTLE_MS; performance.now() < untilMs; await Bun.sleep(50)) {
      const ended = new Set(daemon.log("session_end").map(({ session }) => session));
      const open = daemon.log("session_start").filter(({ session }) => !ended.has(session));
      const now = load();
      trouble = [
        ...open.map(({ session, path }) => `session ${session} of ${path} has not ended`),
        ...(["threads", "descriptors"] as const).flatMap((kind) =>
          now[kind] > usual[kind] + SPARE[kind] ? [`${now[kind]} ${kind}, ${usual[kind]} before`] : [],
        ),
      ].join("; ");
      if (trouble !== "") continue;
      // The first time it is seen at rest is what it is compared with.
      if (!this.usual.has(index)) this.usual.set(index, now);
      return;
    }
    throw new Error(`daemon ${index}: ${trouble}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxies of this.proxies) for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
    for (const daemon of this.daemons) await daemon[Symbol.asyncDispose]();
    this.dir[Symbol.dispose]();
  }
}

async function lane(name: string): Promise<void> {
  await using one = new Lane(name);
  await one.start();
  for (let number = 0; performance.now() < endMs; number++) await one.round(number);
}

console.log(`chaos: seed ${seed}`);
const telling = setInterval(() => console.log(`chaos: ${runs} runs, ${findings.length} findings`), 60_000);
const lanes = Math.min(20, Number(values.lanes ?? 2));
await Promise.all(Array.from({ length: lanes }, (_, i) => lane(String.fromCharCode(97 + i))));
clearInterval(telling);
console.log(`chaos: ${runs} runs, ${findings.length} findings, seed ${seed}`);
process.exit(findings.length > 0 ? 1 : 0);
