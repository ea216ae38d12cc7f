/** The source changes while it is copied: what arrives is what was read, whole, or it is named as a failure. */
import { expect, setDefaultTimeout } from "bun:test";
import {
  appendFileSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { type JsonEvent, type ProcessResult, startFastsync } from "../support/run.ts";
import { noise } from "../support/tree.ts";
import { because, behavioursMissing, mirror, run } from "./behaviour.ts";
import { MIB, pair, quickDir, temporariesIn, temporaryBytes, until } from "./moments.ts";
import { describe, test } from "./placed-test.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

/** A run that is slow enough to be disturbed. `first` is being copied, or has been, when `change` is called. */
async function disturbed(
  source: string,
  target: string,
  moment: () => boolean,
  change: () => void | Promise<void>,
  rate = "12M",
): Promise<{ result: ProcessResult; events: JsonEvent[]; summary: JsonEvent }> {
  const running = startFastsync(["mirror", "--yes", "--json", "--bwlimit", rate, `${source}/`, `${target}/`]);
  await until(moment, "the moment to step in");
  await change();
  const result = await running.result;
  const events = result.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as JsonEvent);
  const summary = events.at(-1)!;
  expect(summary).toMatchObject({ type: "summary", exit_code: result.exitCode });
  /* The part of a large file that failed is the next run's. */
  if (result.exitCode !== 23) expect(temporariesIn(target)).toEqual([]);
  return { result, events, summary };
}

/** Files a00 .. z: the later ones are still to come when the first have arrived. */
function fillQueue(source: string): void {
  for (let i = 0; i < 24; i++) writeFileSync(join(source, `a${String(i).padStart(2, "0")}`), noise(MIB / 4, i + 1));
  writeFileSync(join(source, "m"), noise(MIB / 2, 99));
  writeFileSync(join(source, "z"), "the last");
}

const arrived = (target: string, name: string) => () => existsSync(join(target, name));

describe.skipIf(behavioursMissing !== undefined)(because("live sources", behavioursMissing), () => {
  test("B57 a file grows between the scan and its turn: what is there then arrives, and all that comes later", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    fillQueue(source);
    const { result } = await disturbed(source, target, arrived(target, "a02"), () => {
      appendFileSync(join(source, "m"), noise(MIB, 7));
    });
    expect(result.exitCode).toBe(0);
    assertSameTrees(source, target);
  });

  test("B58 a file shrinks between the scan and its turn: nothing is padded", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    fillQueue(source);
    const { result } = await disturbed(source, target, arrived(target, "a02"), () =>
      truncateSync(join(source, "m"), 1000),
    );
    expect(result.exitCode).toBe(0);
    assertSameTrees(source, target);
  });

  test("B59 a file and a directory vanish: a warning each, exit 24, the rest arrives, nothing else is deleted for it", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    fillQueue(source);
    const { result, events, summary } = await disturbed(source, target, arrived(target, "a02"), () =>
      rmSync(join(source, "m")),
    );
    expect(result.exitCode).toBe(24);
    expect(summary).toMatchObject({ vanished: 1, files_failed: 0, exit_reason: "vanished" });
    expect(events.filter((event) => event.type === "error")).toMatchObject([
      { code: "vanished", path: "m", side: "source" },
    ]);
    assertSameTrees(source, target, { ignore: ["mtime"] });
  });

  test.each([
    ["a symbolic link", (path: string) => symlinkSync("/etc/hostname", path)],
    ["a directory", (path: string) => mkdirSync(path)],
    ["a FIFO", (path: string) => void Bun.spawnSync(["mkfifo", path])],
  ])("S07 a file is replaced by %s before its turn: it is named, and nothing of it is followed", async (_, make) => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    fillQueue(source);
    const other = dir.join("other");
    make(other);
    const { result, events } = await disturbed(source, target, arrived(target, "a02"), () => {
      rmSync(join(source, "m"));
      renameSync(other, join(source, "m"));
    });
    expect(result.exitCode).toBe(23);
    expect(events.filter((event) => event.type === "error")).toMatchObject([{ path: "m" }]);
    expect(existsSync(join(target, "m"))).toBe(false);
    expect(readFileSync(join(target, "z"), "utf8")).toBe("the last");
  });

  const rewrite = (path: string): void => writeAt(path, 10, "changed");
  const grow = (path: string): void => appendFileSync(path, noise(MIB, 2));
  test.each([
    ["medium", 12 * MIB, "16M", rewrite],
    ["large", 50 * MIB, "70M", rewrite],
    ["large growing", 50 * MIB, "70M", grow],
    ["large shrinking", 50 * MIB, "70M", (path: string) => truncateSync(path, 49 * MIB + 7)],
  ] as const)("B60 a %s file changes once while it is read: it is read again and arrives as it is", async (...row) => {
    const [, size, rate, changeFile] = row;
    using dir = quickDir();
    const { source, target } = pair(dir);
    const big = join(source, "big");
    writeFileSync(big, noise(size, 1));
    writeFileSync(join(source, "later"), "later");
    let before = 0n;
    const change = () => {
      before = statSync(big, { bigint: true }).mtimeNs;
      changeFile(big);
    };
    const { result } = await disturbed(source, target, slowRead(target, size), change, rate);
    expect(statSync(big, { bigint: true }).mtimeNs).not.toBe(before);
    expect(result.exitCode).toBe(0);
    assertSameTrees(source, target);
  });

  test.each([
    ["medium", 12 * MIB, "16M"],
    ["large", 50 * MIB, "70M"],
  ])("B60 a %s file that keeps changing is named and not put in place; the old one stays", async (_, size, rate) => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    const big = join(source, "big");
    mkdirSync(target);
    writeFileSync(join(target, "big"), "old");
    writeFileSync(big, noise(size, 1));
    writeFileSync(join(source, "later"), "later");
    let changing = true;
    const keepChanging = async () => {
      for (let i = 0; changing; i++) {
        writeAt(big, i, "changed");
        await Bun.sleep(5);
      }
    };
    const changes = keepChanging();
    const { result, events, summary } = await disturbed(
      source,
      target,
      () => true,
      () => {},
      rate,
    );
    changing = false;
    await changes;
    expect(result.exitCode).toBe(23);
    expect(summary).toMatchObject({ exit_reason: "partial", files_failed: 1 });
    expect(events.filter((event) => event.type === "error")).toMatchObject([
      { code: "changed_while_reading", path: "big", side: "source" },
    ]);
    expect(readFileSync(join(target, "big"), "utf8")).toBe("old");
    expect(readFileSync(join(target, "later"), "utf8")).toBe("later");
    await mirror(source, target);
    assertSameTrees(source, target);
  });

  test.each([
    ["mirror", { entries_examined: 7, files_examined: 7, sources_removed: 0 }],
    ["move", { entries_examined: 1, files_examined: 1, sources_removed: 7 }],
  ] as const)("B60 --retry tries a %s that failed so again, and does not copy the rest twice", async (verb, counts) => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    const big = join(source, "big");
    writeFileSync(big, noise(12 * MIB, 1));
    for (let i = 0; i < 5; i++) writeFileSync(join(source, `other${i}`), noise(10_000, i + 1));
    mkdirSync(target);
    for (const side of [source, target]) {
      writeFileSync(join(side, "same"), "same");
      utimesSync(join(side, "same"), 1_700_000_000, 1_700_000_000);
    }
    let changing = true;
    const keepChanging = async () => {
      while (changing) {
        writeAt(big, 3, "changed");
        await Bun.sleep(5);
      }
    };
    const changes = keepChanging();
    const running = startFastsync([
      verb,
      "--yes",
      "--no-xattrs", // a move that copies
      "--json",
      "--retry",
      "9",
      "--wait",
      "0.3",
      "--bwlimit",
      "20M",
      `${source}/`,
      `${target}/`,
    ]);
    await until(arrived(target, "other4"), "the first try");
    await Bun.sleep(1200);
    changing = false;
    await changes;
    const last = readFileSync(big);
    const result = await running.result;
    const summary = JSON.parse(result.stdout.trimEnd().split("\n").at(-1)!);
    expect(result.exitCode).toBe(0);
    expect(summary).toMatchObject({
      type: "summary",
      ...counts,
      files_to_transfer: 6,
      files_transferred: 6,
      created: 6,
      updated: 0,
      unchanged: 1,
      directories_created: 0,
    });
    if (verb === "mirror") assertSameTrees(source, target);
    expect(readFileSync(join(target, "big")).equals(last)).toBe(true);
  });

  test("B57 a log that is appended to all the time: the run ends, and what arrives was in the log", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    const log = join(source, "log");
    writeFileSync(log, "line\n".repeat(1000));
    fillQueue(source);
    const fd = openSync(log, "a");
    let open = true;
    const writer = (async () => {
      while (open) {
        writeSync(fd, "line\n");
        await Bun.sleep(1);
      }
    })();
    const { result } = await disturbed(source, target, arrived(target, "z"), () => {});
    open = false;
    await writer;
    closeSync(fd);
    expect([0, 23]).toContain(result.exitCode);
    if (existsSync(join(target, "log"))) {
      expect(readFileSync(log, "utf8").startsWith(readFileSync(join(target, "log"), "utf8"))).toBe(true);
    }
    expect(lstatSync(join(target, "z")).size).toBe(8);
  });

  test("B59 a directory is renamed away while the walk is in it: the run ends, nothing is deleted in the target", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    fillQueue(source);
    for (let i = 0; i < 400; i++) mkdirSync(join(source, `dir${i}/below/deep`), { recursive: true });
    mkdirSync(join(target, "dir399/below/extra"), { recursive: true });
    const { result, summary } = await disturbed(source, target, arrived(target, "a00"), () => {
      for (let i = 0; i < 400; i++) {
        try {
          renameSync(join(source, `dir${i}`), dir.join(`away${i}`));
        } catch {}
      }
    });
    expect([0, 23, 24]).toContain(result.exitCode);
    if (result.exitCode !== 0) expect(summary["files_deleted"]).toBe(0);
    expect(readFileSync(join(target, "z"), "utf8")).toBe("the last");
  });
});

/** Holds while the file is being read: a part of it has been written to a temporary file, or time enough has passed. */
function slowRead(target: string, size: number): () => boolean {
  const begunMs = performance.now();
  return () => {
    if (!existsSync(target)) return false;
    const written = temporaryBytes(target);
    /* A temporary file without a name cannot be seen: then it is the rate that tells. */
    return written > size / 10 || performance.now() - begunMs > 450;
  };
}

function writeAt(path: string, at: number, text: string): void {
  const fd = openSync(path, "r+");
  writeSync(fd, text, at);
  closeSync(fd);
}

/** Made when it is read, it says that it has no bytes, and has some. */
const MADE_WHEN_READ = "/proc/sys/kernel/ostype";
const madeMissing = behavioursMissing ?? (existsSync(MADE_WHEN_READ) ? undefined : `there is no ${MADE_WHEN_READ}`);

describe.skipIf(madeMissing !== undefined)(because("files that are made when they are read", madeMissing), () => {
  // The portable twin reads and writes, whatever the flags.
  const methods = process.env["FASTSYNC_NATIVE"] === "off" ? [] : [[["--copy-method=sendfile"]]];
  test.each([[[]], [["--verify"]], ...methods])(
    "B57 B60 one that says it is empty is not taken for empty: %p",
    async (flags) => {
      using dir = quickDir();
      const { target } = pair(dir);
      writeFileSync(join(dir.path, "empty"), "");
      const words = [...flags, MADE_WHEN_READ, join(dir.path, "empty"), `${target}/`];
      const { summary } = await run("copy", words, { exitCode: 23 });
      expect(summary["failures"]).toMatchObject([{ path: "ostype", code: "changed_while_reading", side: "source" }]);
      expect(readdirSync(target)).toEqual(["empty"]);
    },
  );
});
