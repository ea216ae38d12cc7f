/** Daemons that announce themselves, and `scan`, against a real avahi: in a network that is made for it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { expectDaemonRecords } from "../support/events-schema.ts";
import { fastsync, fastsyncCommand, type ProcessOptions } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { type Avahi, avahiMissing, startAvahi } from "./support/avahi.ts";
import { type DaemonSettings, eventually, startDaemon, type TestDaemon } from "./support/daemon.ts";
import { type Hosts, hostsMissing, threeHosts } from "./support/hosts.ts";

const missing = hostsMissing() ?? avahiMissing();
const TYPE = "_fastsync._tcp";

/** The bound only ends a test that would wait for ever, and within its own time. */
async function until(holds: () => Promise<boolean>, what: () => string): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not within 30 s: ${what()}`);
    await Bun.sleep(50);
  }
}

interface Found {
  readonly name: string;
  readonly [field: string]: unknown;
}

describe.skipIf(missing !== undefined)(`discovery${missing === undefined ? "" : ` (${missing})`}`, () => {
  let hosts: Hosts;
  let scratch: TempDir;
  let avahi: Avahi;
  let served: string;
  /** A test that is given up in the middle does not come to the end of its own scope. */
  const begun: AsyncDisposable[] = [];
  const ended = <T extends AsyncDisposable>(one: T): T => {
    begun.push(one);
    return one;
  };
  beforeAll(async () => {
    hosts = threeHosts();
    scratch = tempDir();
    served = scratch.join("served");
    mkdirSync(served);
    avahi = await startAvahi(hosts.target, "avahi-host");
  });
  afterAll(async () => {
    for (const one of begun) await one[Symbol.asyncDispose]();
    await avahi?.[Symbol.asyncDispose]();
    hosts?.[Symbol.dispose]();
    scratch?.[Symbol.dispose]();
  });

  /** On the host `source`; the caller looks, or avahi on `target`. */
  const announced = async (lines: string, more: Partial<DaemonSettings> = {}): Promise<TestDaemon> =>
    ended(
      await startDaemon({
        ...{ bind: ["0.0.0.0", "::"], port: 9040, prefix: hosts.source.prefix, path: served },
        ...{ daemon: lines, ...more },
      }),
    );
  /** A command that does not end is named before its test is given up. */
  const atCaller = (): ProcessOptions => ({ prefix: hosts.caller.prefix, timeoutMs: 20_000 });
  async function scan(...words: string[]): Promise<Found[]> {
    const { stdout, exitCode, stderr } = await fastsync(
      ["scan", "--json", ...(words.length > 0 ? words : ["--timeout", "0.4"])],
      atCaller(),
    );
    expect([exitCode, stderr.replace(/^No daemon announced .*\n$/, "")]).toEqual([0, ""]);
    const lines = stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Found);
    expectDaemonRecords(lines);
    expect(lines.pop()).toMatchObject({ type: "summary", verb: "scan", daemons: lines.length });
    return lines;
  }
  /** What avahi has resolved, by family: name, host, address, port, text. */
  const resolved = (line: string) => {
    const [, , family, name, , , host, address, port, text] = line.split(";");
    return {
      family,
      name: name!.replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(Number(code))),
      host,
      address,
      port,
      text,
    };
  };

  test("is found by avahi, under another name when its own is taken, and says goodbye", async () => {
    await using _taken = avahi.publish("nas", TYPE, 1);
    await eventually(
      () => avahi.browse(TYPE).length > 0,
      () => "avahi's own",
    );
    await using daemon = await announced('mdns = true\nmdns_name = "nas"');
    expect(await daemon.logged("announced")).toMatchObject({ name: "nas (2)", port: 9040 });
    const found = await eventually(
      () => {
        const ours = avahi
          .browse(TYPE)
          .map(resolved)
          .filter(({ name }) => name === "nas (2)");
        return new Set(ours.map(({ family }) => family)).size === 2 ? ours : undefined;
      },
      () => avahi.browse(TYPE).join("\n"),
    );
    const four = found.find(({ family }) => family === "IPv4")!;
    expect(four.port).toBe("9040");
    expect(four.host).toMatch(/^fastsync-[0-9a-f]{12}\.local$/);
    for (const pair of ["txtvers=1", "version=", "protocol=1", "modules=1", "auth=none"])
      expect(four.text).toContain(pair);
    const addresses = found.map(({ address }) => address!);
    expect([hosts.source.address, hosts.source.address6, hosts.source.linkLocal()]).toEqual(
      expect.arrayContaining([...new Set(addresses)]),
    );
    daemon.signal("SIGTERM");
    expect(await daemon.exited).toBe(0);
    await eventually(
      () =>
        !avahi
          .browse(TYPE)
          .map(resolved)
          .some(({ name }) => name === "nas (2)"),
      () => "a name that is gone",
    );
  });

  test("finds daemons, and what avahi announces", async () => {
    await using daemon = await announced('mdns = true\nmdns_name = "Büro NAS"');
    await daemon.logged("announced");
    await using _other = avahi.publish("by avahi", TYPE, 7, "version=9\u001b[2J", "modules=3", "colour=red");
    await eventually(
      () => avahi.browse(TYPE).some((line) => line.includes("avahi;")),
      () => avahi.browse(TYPE).join("\n"),
    );
    const whole = (found: readonly Found[]): boolean =>
      found.length === 2 && (found[0]!["addresses"] as string[]).length === 3 && found[1]!["modules"] === 3;
    let found: readonly Found[] = [];
    let scans = 0;
    // A machine that is busy with other things answers late.
    await until(
      async () => {
        // What was told a moment ago is not told again within a second (RFC 6762, 6).
        found = await scan("--timeout", `${Math.min(3, 0.4 * ++scans).toFixed(1)}`);
        return whole(found);
      },
      () => `two daemons, with all that they tell:\n${JSON.stringify(found)}`,
    );
    const [ours, theirs] = found;
    expect(ours).toMatchObject({ name: "Büro NAS", port: 9040, modules: 1, auth: "none" });
    expect(ours!["addresses"]).toEqual([
      hosts.source.address,
      hosts.source.address6,
      `${hosts.source.linkLocal()}%eth0`,
    ]);
    expect(theirs).toMatchObject({ name: "by avahi", port: 7, modules: 3, version: "9\u001b[2J" });
    const text = await fastsync(["scan", "--timeout", "2"], atCaller());
    expect(text.stdout).toContain(`  ${hosts.source.address}:9040\n  [${hosts.source.address6}]:9040\n`);
    expect(text.stdout).toContain("by avahi  (fastsync 9\\033[2J, 3 modules)");
    // A place begins as it is printed.
    const [place] = ours!["places"] as string[];
    expect((await fastsync(["ls", place!], atCaller())).stdout).toContain("m");
    const dry = await fastsync(["copy", "--dry-run", `${place}:/m/`, scratch.join("nowhere/")], atCaller());
    expect(dry.exitCode).toBe(0);
  }, 180_000);

  test("follows the configuration, and is silent without mdns, with --no-mdns, and on loopback", async () => {
    const config = scratch.join("conf");
    mkdirSync(config);
    const write = (modules: number): void => {
      const list = Array.from(
        { length: modules },
        (_, at) => `[[module]]\nname = "m${at}"\npath = "${scratch.path}"\n`,
      );
      writeFileSync(
        `${config}/config.toml`,
        `[daemon]\nlog = "json"\nbind = "${hosts.source.address}"\nmdns = true\n${list.join("")}`,
      );
    };
    write(1);
    const started = (...words: string[]) => {
      const command = [...hosts.source.prefix, ...fastsyncCommand(), "daemon", "--config-dir", config, ...words];
      const child = Bun.spawn(command, {
        env: { ...process.env, XDG_STATE_HOME: scratch.join("state") },
        stderr: Bun.file(scratch.join("log")),
      });
      const stop = async (signal: NodeJS.Signals): Promise<void> => {
        child.kill(signal);
        await child.exited;
      };
      return ended({ child, stop, [Symbol.asyncDispose]: () => stop("SIGKILL") });
    };
    await using daemon = started("--mdns-name", "other");
    const modules = async (): Promise<unknown> => (await scan()).find(({ name }) => name === "other")?.["modules"];
    await until(
      async () => (await modules()) === 1,
      () => "a daemon of one module",
    );
    expect((await scan())[0]!["addresses"]).toEqual([hosts.source.address]);
    write(3);
    daemon.child.kill("SIGHUP");
    await until(
      async () => (await modules()) === 3,
      () => "the same with three",
    );
    await daemon.stop("SIGTERM");
    expect(await scan()).toEqual([]);
    await using _silent = started("--no-mdns");
    await using loopback = await announced("mdns = true", { bind: ["127.0.0.1"], port: 9050 });
    expect(String((await loopback.logged("warning"))["message"])).toContain("nothing is announced");
    expect(await scan("--timeout", "1")).toEqual([]);
  });

  test("says so when there is nothing", async () => {
    const none = await fastsync(["scan", "--timeout", "0.3"], atCaller());
    expect([none.exitCode, none.stdout]).toEqual([0, ""]);
    expect(none.stderr).toStartWith(
      "No daemon announced itself within 0.3 s on eth0. Daemons do so only with mdns = true",
    );
    const nowhere = await fastsync(["scan"], { prefix: ["unshare", "--net"] });
    expect([nowhere.exitCode, nowhere.stderr]).toEqual([
      10,
      "fastsync scan: there is no network to look in: no interface but loopback has an address, or none of them can be used (exit 10)\n",
    ]);
  });

  test("packets that make no sense change nothing", async () => {
    await using daemon = await announced('mdns = true\nmdns_name = "calm"');
    await daemon.logged("announced");
    hosts.caller.run(process.execPath, `${import.meta.dir}/support/mdns-noise.ts`, "2000", hosts.caller.address);
    expect((await scan()).map(({ name }) => name)).toEqual(["calm"]);
    expect(daemon.log("warning").filter(({ message }) => !String(message).includes("ANYBODY"))).toEqual([]);
  });
});
