/** `doctor`: each line is true of a machine that was made so, and the real one is looked at without harm. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { configurationFinding } from "../../src/cli/doctor/doctor-examination.ts";
import { findingLines, totalsText } from "../../src/cli/doctor/doctor-text.ts";
import { CHECKS, type Finding, LEVELS, type Level } from "../../src/doctor/finding.ts";
import { inodesFinding, spaceFinding } from "../../src/doctor/local-place.ts";
import {
  clockFinding,
  congestionFinding,
  kernelFinding,
  mtuFinding,
  openFilesFinding,
  tcpBuffersFinding,
  terminalFinding,
} from "../../src/doctor/machine.ts";
import { startDaemon } from "../network/support/daemon.ts";
import { freePort } from "../network/support/ports.ts";
import { PortProxy } from "../network/support/proxy.ts";
import { fastsync } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { jsonLines } from "./processes.ts";

/** A kernel that answers with these files. */
const kernel =
  (files: Readonly<Record<string, string>>) =>
  (path: string): string | undefined =>
    files[path];

const ROOM = { totalBytes: 4_096_000, availableBytes: 1, totalInodes: 0, freeInodes: 0 };

describe("the machine", () => {
  const CASES: readonly (readonly [what: string, found: Finding, level: Level, message: string])[] = [
    ["a new kernel", kernelFinding("6.12.4-arch1"), "ok", "Linux 6.12.4-arch1"],
    ["one without openat2", kernelFinding("5.4.0-150-generic"), "warning", "openat2"],
    ["one of long ago", kernelFinding("4.4.0"), "warning", "copy_file_range"],
    ["a clock that was never set", clockFinding(0), "problem", "1970-01-01T00:00:00Z"],
    ["a clock of some day", clockFinding(Date.UTC(2031, 4, 5)), "ok", "2031-05-05T00:00:00Z"],
    ["few files", openFilesFinding(256), "warning", "only 256"],
    ["enough files", openFilesFinding(524_288), "ok", "524288"],
    ["an unknown limit", openFilesFinding(0), "ok", "not known"],
    ["no terminal", terminalFinding({ isTerminal: false, columns: undefined, colour: false, env: {} }), "ok", "none"],
    [
      "a dumb one",
      terminalFinding({ isTerminal: true, columns: 80, colour: false, env: { TERM: "dumb" } }),
      "warning",
      "TERM is dumb",
    ],
    [
      "one with another locale",
      terminalFinding({ isTerminal: true, columns: 80, colour: true, env: { TERM: "xterm", LANG: "de_DE" } }),
      "warning",
      "the locale de_DE is not UTF-8",
    ],
    [
      "a good one",
      terminalFinding({ isTerminal: true, columns: 80, colour: true, env: { TERM: "xterm", LANG: "de_DE.UTF-8" } }),
      "ok",
      "xterm, 80 columns, colours",
    ],
    [
      "small buffers",
      tcpBuffersFinding(
        kernel({
          "/proc/sys/net/ipv4/tcp_rmem": "4096 87380 212992",
          "/proc/sys/net/ipv4/tcp_wmem": "4096\t16384\t4194304",
        }),
      ),
      "warning",
      "208 KiB to receive and 4 MiB to send; one stream fills 1 Gbit/s up to a round trip of 0 ms",
    ],
    [
      "those of most kernels",
      tcpBuffersFinding(
        kernel({
          "/proc/sys/net/ipv4/tcp_rmem": "4096 131072 6291456",
          "/proc/sys/net/ipv4/tcp_wmem": "4096 16384 4194304",
        }),
      ),
      "ok",
      "up to a round trip of 16 ms",
    ],
    ["buffers that nobody tells of", tcpBuffersFinding(kernel({})), "ok", "not known"],
    [
      "cubic",
      congestionFinding(kernel({ "/proc/sys/net/ipv4/tcp_congestion_control": "cubic" })),
      "ok",
      "cubic; bbr is",
    ],
    ["bbr", congestionFinding(kernel({ "/proc/sys/net/ipv4/tcp_congestion_control": "bbr" })), "ok", "bbr"],
    [
      "a small MTU",
      mtuFinding(kernel({ "/sys/class/net/tun0/mtu": "1000", "/sys/class/net/tun0/operstate": "up" }), () => [
        "lo",
        "tun0",
      ]),
      "warning",
      "tun0 1000: small packets",
    ],
    [
      "usual ones, and one that is down",
      mtuFinding(
        kernel({
          "/sys/class/net/eth0/mtu": "9000",
          "/sys/class/net/eth0/operstate": "up",
          "/sys/class/net/eth1/mtu": "100",
          "/sys/class/net/eth1/operstate": "down",
        }),
        () => ["eth0", "eth1", "lo"],
      ),
      "ok",
      "eth0 9000",
    ],
    ["a full filesystem", spaceFinding({ ...ROOM, availableBytes: 0 }), "problem", "full"],
    [
      "one that is nearly full",
      spaceFinding({ ...ROOM, totalBytes: 40_960_000_000, availableBytes: 4_096_000 }),
      "warning",
      "3.9 MiB of 38 GiB are free",
    ],
    [
      "a small one with room",
      spaceFinding({ ...ROOM, availableBytes: 3_686_400 }),
      "ok",
      "3.5 MiB of 3.9 MiB are free",
    ],
    ["no inodes left", inodesFinding({ ...ROOM, totalInodes: 10, freeInodes: 0 })[0]!, "problem", "no inode"],
    ["few inodes", inodesFinding({ ...ROOM, totalInodes: 100, freeInodes: 2 })[0]!, "warning", "2 of 100"],
    ["a broken configuration", configurationFinding(["a"], ["a: no", "b: no"]), "problem", "a: no (and 1 more)"],
  ];
  test.each(CASES)("%s", (_, found, level, message) => {
    expect(found.level).toBe(level);
    expect(found.message).toContain(message);
    if (level !== "ok") expect(found.fix).toBeDefined();
  });
  test("a filesystem without a bound on inodes is not asked for them", () => {
    expect(inodesFinding({ ...ROOM, totalInodes: 0, freeInodes: 0 })).toEqual([]);
  });
});

describe("the text", () => {
  test("three columns, wrapped, with what helps on a line of its own", () => {
    const found: Finding = {
      check: "tcp_buffers",
      level: "warning",
      message: "the kernel grows them to 208 KiB only, which is little on a line that is long",
      fix: "sysctl -w net.ipv4.tcp_rmem=...",
    };
    expect(findingLines(found, 70, false)).toEqual([
      "warning  tcp buffers         the kernel grows them to 208 KiB only,",
      "                             which is little on a line that is long",
      "                             > sysctl -w net.ipv4.tcp_rmem=...",
    ]);
    expect(findingLines({ ...found, level: "ok" }, 200, true)[0]).toStartWith(
      "\u001b[32mok\u001b[39m       tcp buffers ",
    );
    expect(findingLines({ ...found, message: "a\u001b[2J" }, 80, false)[0]).toEndWith("a\\033[2J");
  });
  test("the end", () => {
    expect(totalsText({ ok: 3, warnings: 0, problems: 0 })).toBe("All is well.");
    expect(totalsText({ ok: 3, warnings: 2, problems: 1 })).toBe(
      "1 problem and 2 warnings; what helps stands behind >.",
    );
  });
});

/** Findings by check, of one place or of the machine. */
async function doctor(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { stdout, stderr, exitCode } = await fastsync(["doctor", "--json", ...words], { env });
  const lines = jsonLines(stdout);
  const findings = lines.slice(0, -1) as unknown as (Finding & { schema: number; type: string })[];
  for (const found of findings) {
    expect(found).toMatchObject({ schema: 1, type: "finding" });
    expect(CHECKS).toContain(found.check);
    expect(LEVELS).toContain(found.level);
  }
  const end = lines.at(-1)!;
  expect(end).toMatchObject({ schema: 1, type: "doctor", exit_code: exitCode });
  expect(Number(end["ok"]) + Number(end["warnings"]) + Number(end["problems"])).toBe(findings.length);
  expect(exitCode).toBe(Number(end["problems"]) === 0 ? 0 : 23);
  expect(stderr).toBe("");
  const of = (check: string, place?: string): Finding | undefined =>
    findings.find((found) => found.check === check && found.place === place);
  return { findings, exitCode, of };
}

describe("the verb", () => {
  test("looks at this machine, and a place is left as it was", async () => {
    using dir = tempDir();
    const { of, exitCode } = await doctor([dir.path, dir.join("not/yet")]);
    expect(exitCode).toBe(0);
    expect(of("version")?.message).toMatch(/^fastsync \d/);
    for (const check of ["native_library", "configuration", "clock", "open_files", "tcp_buffers", "mtu"])
      expect(of(check)).toBeDefined();
    expect(of("place", dir.path)?.level).toBe("ok");
    expect(of("space", dir.path)?.message).toContain(" are free");
    expect(of("keeps", dir.path)?.message).toStartWith("keeps ");
    expect(of("copies", dir.path)?.message).toContain("read_write");
    expect(of("place", dir.join("not/yet"))).toMatchObject({
      level: "warning",
      message: expect.stringContaining(`it is not there, this is of ${dir.path}`),
      fix: expect.stringContaining("as a source it has to exist"),
    });
    expect(readdirSync(dir.path)).toEqual([]);
  });

  test("says why the native library is not used, and what is wrong with a configuration", async () => {
    using dir = tempDir();
    writeFileSync(dir.join("config.toml"), "[global]\nworkrs = 2\n", { mode: 0o644 });
    const { of, exitCode } = await doctor(["--config", dir.join("config.toml")], { FASTSYNC_NATIVE: "off" });
    expect(of("native_library")).toMatchObject({ level: "warning", fix: "unset FASTSYNC_NATIVE" });
    expect(of("configuration")).toMatchObject({ level: "problem", message: expect.stringContaining("workrs") });
    expect(exitCode).toBe(23);
  });

  test("a place that cannot be used is a problem, others are looked at all the same", async () => {
    using dir = tempDir();
    writeFileSync(dir.join("file"), "");
    const { of, exitCode } = await doctor(["sftp://nas/x", dir.path]);
    expect(of("place", "sftp://nas/x")).toMatchObject({ level: "problem", message: expect.stringContaining("SFTP") });
    expect(of("place", dir.path)?.level).toBe("ok");
    expect(exitCode).toBe(23);
  });

  test("text for people, without --json", async () => {
    const { stdout, exitCode } = await fastsync(["doctor", "/"], { env: { FASTSYNC_NATIVE: "off" } });
    expect(exitCode).toBe(0);
    const lines = stdout.split("\n");
    expect(lines[0]).toStartWith("ok       version             fastsync ");
    expect(stdout).toContain("warning  native library      not used: FASTSYNC_NATIVE=off  > unset FASTSYNC_NATIVE\n");
    expect(stdout).toContain("\n/\nok       place               ");
    expect(stdout).toMatch(/\n1 warning; what helps stands behind >\.\n$/);
    expect(lines.filter((line) => line.startsWith("  "))).toEqual([]);
  });
});

describe("a daemon", () => {
  test("is reached, read, and its data port tried", async () => {
    using dir = tempDir();
    mkdirSync(dir.join("m/sub"), { recursive: true });
    await using daemon = await startDaemon({ path: dir.join("m") });
    const { of, exitCode } = await doctor([daemon.place("sub/"), daemon.place("gone/")]);
    const place = daemon.place("sub/");
    expect(of("daemon", place)).toMatchObject({
      level: "ok",
      message: expect.stringMatching(/^reached, round trip [\d.]+ ms, fastsync [\d.]+, protocol \d+, on this machine$/),
    });
    expect(of("module", place)).toMatchObject({ level: "ok", message: "can be read" });
    expect(of("data_port", place)).toMatchObject({ level: "ok", message: `${daemon.dataPort} is open` });
    expect(of("space", place)?.message).toContain(" are free");
    expect(of("place", place)?.level).toBe("ok");
    expect(of("module", daemon.place("gone/"))).toMatchObject({
      level: "warning",
      fix: expect.stringContaining("it is made"),
    });
    expect(exitCode).toBe(0);
    // A look is no failure at the daemon: nothing that watches it is to be alarmed.
    expect(await daemon.logged("session_end")).toMatchObject({ verb: "check", level: "info", exit_reason: "ok" });
    const other = daemon.place().replace("/m/", "/other/");
    expect((await doctor([other])).of("module", other)).toMatchObject({ level: "problem" });
  });

  test("as a whole, without a module", async () => {
    using dir = tempDir();
    await using daemon = await startDaemon({ path: dir.path });
    const host = `${daemon.host}:${daemon.port}`;
    const { of, exitCode } = await doctor([host, `${daemon.host}:1:`]);
    expect(of("daemon", host)).toMatchObject({ level: "ok", message: expect.stringMatching(/^reached, round trip/) });
    expect(of("module", host)).toMatchObject({
      level: "ok",
      message: `m; fastsync doctor ${host}:/MODULE looks at one`,
    });
    expect(of("daemon", `${daemon.host}:1:`)).toMatchObject({ level: "problem" });
    expect(exitCode).toBe(23);
  });

  test("without a data port, and one that is not there", async () => {
    using dir = tempDir();
    await using daemon = await startDaemon({ path: dir.path, daemon: "data_port = 0" });
    const { of } = await doctor([daemon.place()]);
    expect(of("data_port", daemon.place())).toMatchObject({
      level: "warning",
      message: expect.stringContaining("offers none"),
    });
    const nobody = `127.0.0.1:${await freePort()}:/m/`;
    const { of: found, exitCode } = await doctor([nobody]);
    expect(found("daemon", nobody)).toMatchObject({
      level: "problem",
      message: expect.stringContaining("nothing listens at"),
    });
    expect(exitCode).toBe(23);
  });

  test("whose data port is behind a firewall", async () => {
    using dir = tempDir();
    await using daemon = await startDaemon({ path: dir.path });
    // The control port alone leads to it.
    await using _ = await PortProxy.start("127.0.0.3", "127.0.0.1", daemon.port);
    const place = `127.0.0.3:${daemon.port}:/m/`;
    const { of, exitCode } = await doctor([place]);
    expect(of("data_port", place)).toMatchObject({
      level: "warning",
      message: expect.stringContaining(`${daemon.dataPort} cannot be reached`),
      fix: expect.stringContaining("firewall"),
    });
    expect(exitCode).toBe(0);
  });

  test("something else that listens is told apart", async () => {
    using server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => void socket.end("SSH-2.0-x\r\n") },
    });
    const place = `127.0.0.1:${server.port}:/m/`;
    const { of } = await doctor([place]);
    expect(of("daemon", place)).toMatchObject({
      level: "problem",
      fix: expect.stringContaining("is it a fastsync daemon"),
    });
  });
});
