/** From daemon to daemon, with three hosts that have nothing in common but a network. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { assertSameTrees, diffTrees } from "../support/diff.ts";
import { fastsync, fastsyncJson, fastsyncOnTerminal, describe as shown, startFastsync } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { type DaemonSettings, eventually, placeAt, startDaemon, type TestDaemon } from "./support/daemon.ts";
import { type Host, type Hosts, hostsMissing, threeHosts } from "./support/hosts.ts";
import { expectSchema } from "./support/schema.ts";
import { bytesOf, leftovers, MIB, mixedTree } from "./support/trees.ts";

const missing = hostsMissing();
const PORT = 9040;
const OPEN = 'enabled = true\nallow = ["10.77.0.0/24", "source.test", "changing.test"]';

describe.skipIf(missing !== undefined)(`three hosts${missing === undefined ? "" : ` (${missing})`}`, () => {
  let hosts: Hosts;
  let scratch: TempDir;
  let treeBytes: number;

  beforeAll(() => {
    hosts = threeHosts();
    scratch = tempDir();
    treeBytes = mixedTree(scratch.join("tree"), 8 * MIB);
  });
  afterAll(() => {
    hosts?.[Symbol.dispose]();
    scratch?.[Symbol.dispose]();
  });

  const on = (host: Host, settings: Partial<DaemonSettings> & { path: string }): Promise<TestDaemon> =>
    startDaemon({ bind: [host.address], port: PORT, prefix: host.prefix, ...settings });

  let count = 0;
  const emptyTarget = (): string => {
    const path = scratch.join(`target${count++}`);
    mkdirSync(path);
    return path;
  };
  /** Both daemons, of which those that are named may dial. */
  async function pair(
    mayDial: readonly ("source" | "target")[],
    source = scratch.join("tree"),
    target = emptyTarget(),
  ) {
    const stack = new AsyncDisposableStack();
    const one = (role: "source" | "target", path: string) =>
      on(hosts[role], { path, ...(mayDial.includes(role) ? { delegation: OPEN } : {}) });
    const from = stack.use(await one("source", source));
    const to = stack.use(await one("target", target));
    return { from, to, source, target, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }
  /** What crossed the caller's interface while `run` ran. */
  async function metered<T>(run: () => Promise<T>): Promise<{ result: T; received: number; sent: number }> {
    const before = hosts.caller.traffic();
    const result = await run();
    const after = hosts.caller.traffic();
    return { result, received: after.received - before.received, sent: after.sent - before.sent };
  }
  const atCaller = () => ({ prefix: hosts.caller.prefix });

  test("the target's daemon dials: no content passes the caller", async () => {
    await using run = await pair(["target"]);
    const { result, received, sent } = await metered(() =>
      fastsyncJson(["mirror", run.from.place(), run.to.place()], atCaller()),
    );
    expect(result.exitCode).toBe(0);
    expectSchema(result.events);
    expect(result.summary).toMatchObject({ files_transferred: 27, notices: [] });
    assertSameTrees(run.source, run.target);
    expect(received + sent).toBeLessThan(treeBytes / 100);
    // The target's daemon told us; the source's saw the target, not us.
    const start = await run.from.logged("session_start");
    expect(start["peer"]).toBe(hosts.target.address);
    expect(await run.to.logged("session_end")).toMatchObject({ peer: hosts.caller.address, exit_reason: "ok" });
    const again = await fastsync(["mirror", run.from.place(), run.to.place()], atCaller());
    expect(again.stdout).toContain("Up to date");
    expect(again.stderr).toBe("");
  });

  test("only the source's daemon may dial: it does, and the run looks the same", async () => {
    await using run = await pair(["source"]);
    const { result, received, sent } = await metered(() =>
      fastsyncJson(["mirror", run.from.place(), run.to.place()], atCaller()),
    );
    expect(result.exitCode).toBe(0);
    expectSchema(result.events);
    expect(result.summary).toMatchObject({ files_transferred: 27, notices: [] });
    assertSameTrees(run.source, run.target);
    expect(received + sent).toBeLessThan(treeBytes / 100);
    expect((await run.to.logged("session_start"))["peer"]).toBe(hosts.source.address);
    expect(run.to.log("refused").map(({ reason }) => reason)).toContain("delegation_disabled");
  });

  test("neither may dial: the caller relays, and says so", async () => {
    await using run = await pair([]);
    const { result, received, sent } = await metered(() =>
      fastsync(["mirror", run.from.place(), run.to.place()], atCaller()),
    );
    expect(shown(result)).toStartWith("exit 0");
    assertSameTrees(run.source, run.target);
    expect(result.stderr.match(/relayed by this machine/g)).toHaveLength(1);
    expect(received).toBeGreaterThan(treeBytes);
    expect(sent).toBeGreaterThan(treeBytes);
    for (const daemon of [run.from, run.to])
      expect(daemon.log("refused").map(({ reason }) => reason)).toEqual(["delegation_disabled"]);
  });

  test("dry run and check change nothing, delegated and relayed", async () => {
    for (const mayDial of [["target"], ["source"], []] as const) {
      await using run = await pair(mayDial);
      const dry = await fastsyncJson(["mirror", "--dry-run", run.from.place(), run.to.place()], atCaller());
      expect(dry.exitCode).toBe(0);
      expectSchema(dry.events);
      expect(dry.summary).toMatchObject({ dry_run: true, files_to_transfer: 27 });
      expect(readdirSync(run.target)).toEqual([]);
      const different = await fastsyncJson(["check", run.from.place(), run.to.place()], atCaller());
      expect(different.exitCode).toBe(1);
      expectSchema(different.events);
      expect(readdirSync(run.target)).toEqual([]);
      expect((await fastsync(["copy", run.from.place(), run.to.place()], atCaller())).exitCode).toBe(0);
      const equal = await fastsync(["check", run.from.place(), run.to.place()], atCaller());
      expect(equal.exitCode).toBe(0);
      expect(equal.stdout).toContain("Equal: ");
    }
  });

  test("a move removes the sources that arrived, at the source's daemon", async () => {
    for (const mayDial of [["target"], ["source"], []] as const) {
      const source = emptyTarget();
      mixedTree(source, MIB);
      const before = takeSnapshot(source);
      await using run = await pair(mayDial, source);
      const result = await fastsyncJson(["move", run.from.place(), run.to.place()], atCaller());
      expect(shown(result)).toStartWith("exit 0");
      expectSchema(result.events);
      assertSameTrees(before, run.target);
      expect(readdirSync(source)).toEqual([]);
    }
  });

  describe("deletions", () => {
    const extraneous = async (mayDial: readonly ("source" | "target")[]) => {
      const target = emptyTarget();
      new TreeBuilder(target).file("old/one", "1").file("old/two", "2").finish();
      return pair(mayDial, scratch.join("tree"), target);
    };

    test.each([[["target"]], [["source"]], [[]]] as const)(
      "are asked of whoever sits at the caller: %p",
      async (mayDial) => {
        await using run = await extraneous(mayDial);
        const words = ["mirror", run.from.place(), run.to.place()];
        const no = await fastsyncOnTerminal(words, [{ prompt: "[y/N]", reply: "n\r" }], atCaller());
        expect(no.exitCode).toBe(25);
        expect(readdirSync(join(run.target, "old"))).toHaveLength(2);
        const yes = await fastsyncOnTerminal(words, [{ prompt: "[y/N]", reply: "y\r" }], atCaller());
        expect(yes.exitCode).toBe(0);
        assertSameTrees(run.source, run.target);
      },
    );

    test("need --yes where nobody sits", async () => {
      await using run = await extraneous(["target"]);
      const words = ["mirror", run.from.place(), run.to.place()];
      const refused = await fastsync(words, atCaller());
      expect(refused.exitCode).toBe(25);
      expect(refused.stderr).toContain("--yes");
      expect(readdirSync(join(run.target, "old"))).toHaveLength(2);
      expect((await fastsync([...words, "--yes"], atCaller())).exitCode).toBe(0);
      assertSameTrees(run.source, run.target);
    });

    test("of a detached job are refused without --yes, and its log says so", async () => {
      await using run = await extraneous(["target"]);
      const words = ["mirror", run.from.place(), run.to.place(), "--detach"];
      expect((await fastsync(words, atCaller())).exitCode).toBe(0);
      expect(await run.to.logged("session_end")).toMatchObject({ exit_reason: "deletion_refused", deleted: 0 });
      expect(readdirSync(join(run.target, "old"))).toHaveLength(2);
      expect((await fastsync([...words, "--yes"], atCaller())).exitCode).toBe(0);
      await run.to.logged("session_end", ({ exit_reason }) => exit_reason === "ok");
      assertSameTrees(run.source, run.target);
    });
  });

  describe("--detach", () => {
    test.each(["target", "source"] as const)(
      "prints a job's id and leaves; the %s's daemon goes on",
      async (dialler) => {
        await using run = await pair([dialler]);
        const words = ["copy", run.from.place(), run.to.place(), "--detach", "--bwlimit", "4M"];
        const result = await fastsync(words, atCaller());
        expect(shown(result)).toStartWith("exit 0");
        const asked = dialler === "target" ? run.to : run.from;
        const job = /^Detached: job ([0-9a-f]+) goes on at ([0-9.:]+)$/m.exec(result.stdout);
        expect(job?.[2]).toBe(`${asked.host}:${PORT}`);
        expect(result.stdout).not.toContain("Up to date");
        expect(asked.log("session_end")).toEqual([]);
        // Whoever calls from the same address finds it, and nobody else does.
        const [, follow] = / {2}fastsync (jobs watch .*) follows it to its end$/m.exec(result.stdout)!;
        const stranger = await fastsync(follow!.split(" "), { prefix: hosts.source.prefix });
        if (dialler === "target") expect(shown(stranger)).toStartWith("exit 3");
        const watched = await fastsync(follow!.split(" "), atCaller());
        expect(shown(watched)).toStartWith("exit 0");
        expect(watched.stdout).toContain(`asked by ${hosts.caller.address}`);
        expect(watched.stdout).toMatch(/: ok after .*, 27\/27 files, /);
        const end = await asked.logged("session_end");
        expect(end).toMatchObject({ session: job![1], exit_reason: "ok", files: 27 });
        assertSameTrees(run.source, run.target);
      },
    );

    test("as JSON: the job is in the summary", async () => {
      await using run = await pair(["target"]);
      const result = await fastsyncJson(["copy", run.from.place(), run.to.place(), "--detach"], atCaller());
      expect(result.exitCode).toBe(0);
      expectSchema(result.events);
      const end = await run.to.logged("session_end");
      expect(result.summary).toMatchObject({
        exit_reason: "detached",
        job: end["session"],
        job_daemon: `${hosts.target.address}:${PORT}`,
      });
    });

    test("is refused where neither daemon dials the other", async () => {
      await using run = await pair([]);
      const result = await fastsync(["copy", run.from.place(), run.to.place(), "--detach"], atCaller());
      expect(result.exitCode).toBe(3);
      expect(result.stderr).toContain("neither daemon dials the other");
      expect(readdirSync(run.target)).toEqual([]);
    });
  });

  test.each(["target", "source"] as const)("a caller that dies ends the job at the %s's daemon", async (dialler) => {
    await using run = await pair([dialler]);
    const words = ["copy", run.from.place(), run.to.place(), "--bwlimit", "100K"];
    const running = startFastsync(words, atCaller());
    const asked = dialler === "target" ? run.to : run.from;
    const other = dialler === "target" ? run.from : run.to;
    await other.logged("session_start");
    // It begins when the other one has: who leaves before that is refused.
    await asked.logged("session_start");
    running.kill("SIGKILL");
    expect((await asked.logged("session_end"))["exit_reason"]).toBe("connection_lost");
    await other.logged("session_end");
    const found = diffTrees(run.source, run.target).filter((line) => !line.includes(": missing"));
    // What has its final name is whole: no file there is of another size or content.
    expect(found.filter((line) => /: (size|content):/.test(line))).toEqual([]);
    expect(readdirSync(run.target)).not.toContain("large");
  });

  describe("S38 the gate", () => {
    const refusedReason = async (place: string, delegation: string | undefined): Promise<string> => {
      const target = emptyTarget();
      await using to = await on(hosts.target, { path: target, ...(delegation === undefined ? {} : { delegation }) });
      const result = await fastsync(["copy", place, to.place()], { ...atCaller(), timeoutMs: 40_000 });
      expect(result.exitCode).not.toBe(0);
      expect(result.stderr).toContain("fastsync: ");
      expect(readdirSync(target)).toEqual([]);
      return String((await to.logged("refused"))["reason"]);
    };
    const wide = 'enabled = true\nallow = ["0.0.0.0/0", "::/0", "evil.test"]';

    test.each([
      ["delegation_disabled", "10.77.0.2", undefined],
      ["host_not_allowed", "10.77.0.2", 'enabled = true\nallow = ["10.77.0.99"]'],
      ["host_not_allowed", "source.test", 'enabled = true\nallow = ["other.test"]'],
      ["host_unresolvable", "nowhere.test", 'enabled = true\nallow = ["nowhere.test"]'],
      ["address_loopback", "127.0.0.1", wide],
      ["address_loopback", "::1", wide],
      ["address_loopback", "::ffff:127.0.0.1", wide],
      ["address_loopback", "evil.test", wide],
      ["address_link_local", "169.254.3.4", wide],
      ["address_metadata", "169.254.169.254", wide],
      ["address_unspecified", "0.0.0.0", wide],
    ] as const)("%s: %s", async (reason, host, delegation) => {
      hosts.target.names({ "evil.test": "127.0.0.1" });
      expect(await refusedReason(placeAt(host, PORT), delegation)).toBe(reason);
    });

    test("a name is resolved once, and the address that was checked is dialled", async () => {
      hosts.caller.names({ "changing.test": hosts.source.address });
      hosts.target.nameserver("127.0.0.1");
      const server = join(import.meta.dir, "support/dns-server.ts");
      const words = [process.execPath, server, "changing.test", hosts.source.address, "127.0.0.1"];
      const dns = Bun.spawn([...hosts.target.prefix, ...words], { stdout: "pipe", stderr: "inherit" });
      let queries = "";
      const reading = (async () => {
        for await (const chunk of dns.stdout) queries += Buffer.from(chunk).toString();
      })();
      try {
        await eventually(
          () => queries.includes("ready"),
          () => "the nameserver",
        );
        await using run = await pair(["target"]);
        const result = await fastsync(["copy", placeAt("changing.test", PORT), run.to.place()], atCaller());
        expect(shown(result)).toStartWith("exit 0");
        expect(result.stderr).toBe("");
        assertSameTrees(run.source, run.target);
        expect(queries.match(/^changing\.test 1$/gm)).toHaveLength(1);
      } finally {
        dns.kill("SIGKILL");
        await reading;
        hosts.target.names({});
      }
    });

    test("a name in the list that its nameserver turns into the own machine is refused", async () => {
      hosts.target.names({ "source.test": "127.0.0.1" });
      hosts.caller.names({ "source.test": hosts.source.address });
      await using run = await pair(["target"]);
      const result = await fastsync(["copy", placeAt("source.test", PORT), run.to.place()], atCaller());
      // The run itself is as good relayed.
      expect(result.exitCode).toBe(0);
      expect(result.stderr).toContain("relayed by this machine");
      expect(run.to.log("refused").map(({ reason }) => reason)).toEqual(["address_loopback"]);
      assertSameTrees(run.source, run.target);
    });
  });

  describe("the data port behind a firewall", () => {
    const firewall = Bun.which("iptables") === null ? "iptables is not installed" : undefined;
    test.skipIf(firewall !== undefined).each(["DROP", "REJECT"])(
      `%s: content takes the control connection, and that is said once${firewall === undefined ? "" : ` (${firewall})`}`,
      async (verdict) => {
        const rule = ["INPUT", "-p", "tcp", "--dport", String(PORT + 1), "-j", verdict];
        hosts.target.run("iptables", "-A", ...rule);
        try {
          const target = emptyTarget();
          await using to = await on(hosts.target, { path: target });
          const tree = scratch.join("tree");
          const startedMs = performance.now();
          const push = await fastsyncJson(["copy", `${tree}/`, to.place()], atCaller());
          expect(shown(push)).toStartWith("exit 0");
          expectSchema(push.events);
          expect(push.summary["notices"]).toMatchObject([{ code: "in_stream", level: "warning" }]);
          assertSameTrees(tree, target);
          // Documented: two seconds until the data port is given up.
          if (verdict === "DROP") expect(performance.now() - startedMs).toBeGreaterThan(1900);
          expect(performance.now() - startedMs).toBeLessThan(20_000);
          const back = emptyTarget();
          const pull = await fastsync(["copy", to.place(), `${back}/`], atCaller());
          expect(pull.stderr.match(/content travels in the control connection/g)).toHaveLength(1);
          assertSameTrees(tree, back);
        } finally {
          hosts.target.run("iptables", "-D", ...rule);
        }
      },
    );
  });

  describe("IPv6", () => {
    test("between hosts: by address, as a URL, by link-local address with a zone", async () => {
      const target = emptyTarget();
      const local = hosts.target.linkLocal();
      const bind = [hosts.target.address6, hosts.target.address, `${local}%eth0`];
      await using to = await on(hosts.target, { path: target, bind });
      const tree = scratch.join("tree");
      for (const place of [
        `[${hosts.target.address6}]:${PORT}:/m/`,
        `fastsync://[${hosts.target.address6}]/m/`,
        `[${local}%eth0]:/m/`,
        `fastsync://[${local}%25eth0]:${PORT}/m/`,
        `${hosts.target.address}:/m/`,
      ]) {
        const push = await fastsync(["mirror", "--yes", `${tree}/`, place], atCaller());
        expect(shown(push)).toStartWith("exit 0");
        // No notice: every address has the data port.
        expect(push.stderr).toBe("");
        assertSameTrees(tree, target);
        for (const name of readdirSync(target)) rmSync(join(target, name), { recursive: true });
      }
      expect(to.log("session_end").every(({ exit_reason }) => exit_reason === "ok")).toBe(true);
    });

    test("daemons dial each other over it", async () => {
      const target = emptyTarget();
      const source = scratch.join("tree");
      await using from = await on(hosts.source, { path: source, bind: [hosts.source.address6] });
      const delegation = 'enabled = true\nallow = ["fd77::/64"]';
      await using to = await on(hosts.target, { path: target, bind: [hosts.target.address6], delegation });
      const result = await fastsync(["copy", from.place(), to.place()], atCaller());
      expect(shown(result)).toStartWith("exit 0");
      expect(result.stderr).toBe("");
      assertSameTrees(source, target);
      expect((await from.logged("session_start"))["peer"]).toBe(hosts.target.address6);
      expect(leftovers(target)).toEqual([]);
    });
  });

  const firewallMissing = Bun.which("iptables") === null ? "iptables is not installed" : undefined;
  test.skipIf(firewallMissing !== undefined)(
    `a data connection that the network forgot is missed, though the control connection stands${firewallMissing === undefined ? "" : ` (${firewallMissing})`}`,
    async () => {
      const [source, target] = [emptyTarget(), emptyTarget()];
      const tree = new TreeBuilder(source);
      // So little, and so slowly, that all of it fits into what the kernel keeps for a connection.
      for (let i = 0; i < 60; i++) tree.file(`${i}/file`, bytesOf(3000, i));
      tree.finish();
      await using from = await on(hosts.source, { path: source, daemon: 'idle_timeout = "2s"' });
      const caller = startFastsync(["copy", "--bwlimit=2K", from.place(), `${target}/`], atCaller());
      await eventually(
        () =>
          readdirSync(target).length > 0 &&
          readdirSync(target).some((name) => readdirSync(join(target, name)).length > 0),
        () => "the first file",
      );
      const port = String(from.dataPort);
      hosts.source.run("iptables", "-A", "OUTPUT", "-p", "tcp", "--sport", port, "-j", "DROP");
      hosts.source.run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", port, "-j", "DROP");
      try {
        const result = await caller.result;
        expect(result.exitCode, shown(result)).toBe(30);
        expect(result.stderr).toContain("a data connection stood still");
        expect((await from.logged("session_end"))["exit_reason"]).not.toBe("ok");
      } finally {
        hosts.source.run("iptables", "-F");
      }
    },
  );
});
