/** Presets: that each does what it says, and that the table is what runs get. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PRESETS, presetNamed } from "../../src/cli/settings/presets.ts";
import { fastsync, fastsyncJson, describe as shown } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { noise } from "../support/tree.ts";
import { jsonLines } from "./processes.ts";

const MIB = 1 << 20;
let dir: TempDir;
beforeAll(() => {
  dir = tempDir();
  mkdirSync(dir.join("source"));
  writeFileSync(dir.join("source/small"), noise(10_000, 1));
  writeFileSync(dir.join("source/medium"), noise(2 * MIB, 2));
});
afterAll(() => dir[Symbol.dispose]());
beforeEach(() => rmSync(dir.join("target"), { recursive: true, force: true }));

const config = (text: string): Record<string, string> => {
  writeFileSync(dir.join("config.toml"), text, { mode: 0o644 });
  return { FASTSYNC_CONFIG: dir.join("config.toml") };
};

/** Every preset as `presets --json` gives it. */
async function listed(env: Record<string, string> = {}): Promise<Map<string, Record<string, unknown>>> {
  const { exitCode, stdout } = await fastsync(["presets", "--json"], { env });
  expect(exitCode).toBe(0);
  return new Map(jsonLines(stdout).map((line) => [String(line["name"]), line]));
}

describe("the list", () => {
  test("has the figures that were agreed on", async () => {
    const presets = await listed();
    expect([...presets.keys()]).toEqual(PRESETS.map(({ name }) => name));
    const of = (name: string) => presets.get(name)!;
    expect(of("lan")).toMatchObject({ streams: 32, chunk_bytes: 16 * MIB });
    const buffers = { tcp_send_buffer_bytes: 16 * MIB, tcp_recv_buffer_bytes: 16 * MIB };
    expect(of("wan")).toMatchObject({ streams: 8, chunk_bytes: 4 * MIB, ...buffers });
    expect(of("small-files")).toMatchObject({ streams: 64, small_file_bytes: 10 * MIB });
    expect(of("low-memory")).toMatchObject({ streams: 4, chunk_bytes: MIB, buffer_bytes: 4 * MIB });
    expect(of("max-throughput")).toMatchObject({ streams: 64, chunk_bytes: 32 * MIB, buffer_bytes: 256 * MIB });
    expect(of("fast")).toMatchObject({ zero_copy: true, verify: "none" });
    expect(of("safe")).toMatchObject({ zero_copy: false, verify: "compare", resume: true });
    expect(of("network")).toMatchObject({ zero_copy: false });
    expect(of("backup")).toMatchObject({ zero_copy: true, verify: "compare", resume: true, fsync: "end" });
  });
  test("as text: one row each, with the zero-copy column", async () => {
    const { stdout } = await fastsync(["presets"]);
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^NAME +STREAMS +CHUNKS +BUFFER +ZERO-COPY +VERIFY +RESUME +FSYNC$/);
    for (const { name } of PRESETS) expect(lines.filter((line) => line.startsWith(`${name} `))).toHaveLength(1);
    expect(lines.find((line) => line.startsWith("safe "))).toMatch(/ off +compare +yes +none$/);
  });
  test("names: long, underscored and capital ones are the same", () => {
    for (const [word, name] of [
      ["lan_optimized", "lan"],
      ["wan-optimized", "wan"],
      ["small_files", "small-files"],
      ["small_files_optimized", "small-files"],
      ["low_memory", "low-memory"],
      ["maximum_throughput", "max-throughput"],
      ["max_throughput", "max-throughput"],
      ["SAFE", "safe"],
    ] as const)
      expect(presetNamed(word)?.name).toBe(name);
    expect(presetNamed("optimized")).toBeUndefined();
    const words = PRESETS.flatMap(({ name, aliases }) => [name, ...aliases]);
    expect(new Set(words).size).toBe(words.length);
  });
});

describe("what counts", () => {
  const streamsOf = async (words: readonly string[], env: Record<string, string> = {}): Promise<string[]> => {
    const result = await fastsync(["copy", "-v", ...words, dir.join("source/"), dir.join("target")], { env });
    expect(shown(result)).toStartWith("exit 0");
    return result.stdout.split("\n").filter((line) => line.startsWith("settings: "));
  };
  test("a profile of a preset's name stands in its place as a whole; --preset still means the preset", async () => {
    const env = config("[profiles.wan]\nstreams = 2\n");
    expect(await streamsOf(["--profile", "wan"], env)).toEqual([
      `settings: --streams (${dir.join("config.toml")} [profiles.wan])`,
    ]);
    const [preset] = await streamsOf(["--preset", "wan"], env);
    expect(preset).toContain("--tcp-send-buffer");
    expect(preset).toEndWith("(preset wan)");
    const presets = await listed(env);
    expect([...presets.keys()].filter((name) => name === "wan")).toHaveLength(1);
    expect(presets.get("wan")).toMatchObject({ built_in: false, replaces: "wan", streams: 2, chunk_bytes: null });
  });
  test("line, environment, profile, the preset that it names, [global]: each hides what is behind it", async () => {
    const env = config(
      '[global]\nstreams = 1\nretry = 1\nresume = true\n[profiles.mine]\npreset = "backup"\nretry = 2\n[profiles.bare]\nstreams = 5\n',
    );
    const mine = await listed(env).then((presets) => presets.get("mine"));
    expect(mine).toMatchObject({ verify: "compare", retry: 2, fsync: "end" });
    const text = (await streamsOf(["--profile", "mine", "--fsync=none"], env)).join("\n");
    expect(text).toContain("--retry --preset");
    expect(text).toContain("--resume --verify (preset backup)");
    expect(text).toContain("--streams");
    const both = (await streamsOf(["--profile", "bare", "--preset", "lan"], { ...env, FASTSYNC_STREAMS: "7" })).join(
      "\n",
    );
    expect(both).toContain("--streams (FASTSYNC_STREAMS)");
    expect(both).toContain("--chunk-size (preset lan)");
    expect((await streamsOf([], { ...env, FASTSYNC_PRESET: "low_memory" })).join("\n")).toContain(
      "(preset low-memory)",
    );
  });
  test("a variable that turns zero-copy off outranks a preset and a file that turn it on, not the line", async () => {
    const env = { ...config("[global]\nuse_zero_copy = true\n"), FASTSYNC_NO_ZERO_COPY: "1" };
    for (const [words, allowed, decidedBy] of [
      [["--preset", "fast"], false, "FASTSYNC_NO_ZERO_COPY"],
      [[], false, "FASTSYNC_NO_ZERO_COPY"],
      [["--zero-copy"], true, "--zero-copy"],
    ] as const) {
      const { summary } = await fastsyncJson(["copy", "-n", ...words, dir.join("source/"), dir.join("target")], {
        env,
      });
      expect(summary).toMatchObject({ zero_copy: allowed, zero_copy_decided_by: decidedBy });
    }
  });
  test.each([
    [["--preset", "wann"], {}, '--preset: there is no preset "wann"; did you mean wan?'],
    [["--preset", "x"], {}, 'there is no preset "x" (there are lan, wan,'],
    [["--profile", "laan"], {}, 'there is no profile "laan"; did you mean lan?'],
    [[], { FASTSYNC_PRESET: "nothing" }, 'FASTSYNC_PRESET: there is no preset "nothing"'],
  ] as const)("%p is refused", async (words, env, message) => {
    const { exitCode, stderr } = await fastsync(["copy", ...words, dir.join("source/"), dir.join("target")], { env });
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining(message)]);
  });
  test("a file that names a preset that is none is wrong", async () => {
    const env = config('[profiles.mine]\npreset = "fats"\n');
    const { exitCode, stderr } = await fastsync(["config", "check"], { env });
    expect(exitCode).toBe(1);
    expect(stderr).toContain('config.toml: profiles.mine.preset: there is no preset "fats"; did you mean fast?');
  });
});

const isNative = process.env["FASTSYNC_NATIVE"] !== "off";
const compiler = Bun.which(process.env["CC"] ?? "cc");
const noShim = !isNative
  ? "the portable twin does not write through the C library"
  : compiler === null
    ? "there is no C compiler"
    : undefined;

describe.skipIf(noShim !== undefined)(`on a disk that turns a bit${noShim === undefined ? "" : ` (${noShim})`}`, () => {
  let shim: string;
  beforeAll(() => {
    shim = dir.join("flipping.so");
    const words = ["-shared", "-fPIC", "-O1", "-o", shim, join(import.meta.dir, "flipping-writes.c")];
    const built = spawnSync(compiler!, words, { encoding: "utf8" });
    if (built.status !== 0) throw new Error(built.stderr);
  });
  const copy = (preset: string, extra: Record<string, string> = {}) =>
    fastsyncJson(["copy", "--preset", preset, dir.join("source/"), dir.join("target")], {
      env: { LD_PRELOAD: shim, ...extra },
    });
  const isRight = (): boolean => readFileSync(dir.join("target/small")).equals(readFileSync(dir.join("source/small")));

  test.each(["safe", "backup"])("%s notices, names the file, and gives it no name in the target", async (preset) => {
    const { exitCode, summary } = await copy(preset);
    expect(exitCode).toBe(23);
    expect(summary["failures"]).toMatchObject([{ code: "verify", path: "small" }]);
    expect(() => readFileSync(dir.join("target/small"))).toThrow("ENOENT");
    expect(readFileSync(dir.join("target/medium")).equals(readFileSync(dir.join("source/medium")))).toBe(true);
  });
  test("fast does not look, even where the configuration says so", async () => {
    const { exitCode } = await copy("fast", config("[global]\nverify = true\n"));
    expect([exitCode, isRight()]).toEqual([0, false]);
  });
});

describe("methods and units", () => {
  const summaryOf = async (...flags: readonly string[]) => {
    rmSync(dir.join("target"), { recursive: true, force: true });
    const run = await fastsyncJson(["copy", ...flags, dir.join("source/"), dir.join("target")]);
    expect(run.exitCode).toBe(0);
    return run.summary as unknown as {
      methods: Record<string, number>;
      zero_copy: boolean;
      plan: Record<string, number>;
    };
  };
  test("safe and network copy by read and write only; fast and backup leave it to the kernel", async () => {
    for (const preset of ["safe", "network"]) {
      const { methods, zero_copy } = await summaryOf("--preset", preset);
      expect([preset, Object.keys(methods), zero_copy]).toEqual([preset, ["read_write"], false]);
    }
    for (const preset of ["fast", "backup"]) {
      const { methods, zero_copy } = await summaryOf("--preset", preset);
      expect([preset, zero_copy]).toEqual([preset, true]);
      if (isNative) expect(Object.keys(methods).filter((name) => name !== "read_write")).not.toEqual([]);
    }
  });
  test("small-files takes files below 10 MiB for small", async () => {
    for (let i = 0; i < 9; i++) writeFileSync(dir.join(`source/m${i}`), noise(2 * MIB, 10 + i));
    const usual = (await summaryOf()).plan;
    expect([usual["shards"], usual["bundles"]]).toEqual([1, 1]);
    const small = (await summaryOf("--preset", "small-files")).plan;
    expect(small["bundles"]).toBe(0);
    expect(small["shards"]).toBeGreaterThan(0);
  });
});
