/** A bench that accepts a wrong tree measures nothing: its verifier must see each kind of wrongness, in C and in TS. */
import { describe, expect, test } from "bun:test";
import { chmodSync, closeSync, openSync, rmSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { libcMissing, lstat, setTimes } from "../test/support/libc.ts";
import { tempDir } from "../test/support/temp.ts";
import { prepareTools, run, twins, type VerifyLevel } from "./tools.ts";

const native = prepareTools();
const FILE = "d0001/file00000001.dat";

/** A change to the copy, and the levels that must see it. */
const CHANGES: readonly { name: string; seenBy: readonly VerifyLevel[]; apply: (copy: string) => void }[] = [
  {
    name: "a byte",
    seenBy: ["full", "content"],
    apply: (copy) => keepTime(`${copy}/${FILE}`, () => poke(`${copy}/${FILE}`, 100, "x")),
  },
  {
    name: "a byte in a hole",
    seenBy: ["full", "content"],
    apply: (copy) => keepTime(`${copy}/disk`, () => poke(`${copy}/disk`, 9 << 20, "x")),
  },
  { name: "a size", seenBy: ["full", "content"], apply: (copy) => writeFileSync(`${copy}/${FILE}`, "short") },
  { name: "a missing file", seenBy: ["full", "content"], apply: (copy) => rmSync(`${copy}/${FILE}`) },
  { name: "an extra file", seenBy: ["full", "content"], apply: (copy) => writeFileSync(`${copy}/d0001/extra`, "") },
  { name: "a mode", seenBy: ["full"], apply: (copy) => chmodSync(`${copy}/${FILE}`, 0o600) },
  { name: "a time", seenBy: ["full"], apply: (copy) => utimesSync(`${copy}/${FILE}`, 1, 1) },
  { name: "the time of a directory", seenBy: ["full"], apply: (copy) => utimesSync(`${copy}/d0002`, 1, 1) },
  {
    name: "filled holes",
    seenBy: ["full"],
    apply: (copy) => keepTime(`${copy}/disk`, () => fillHoles(`${copy}/disk`)),
  },
];

for (const [kind, tools] of [
  ["C", native],
  ["TypeScript", twins],
] as const) {
  const skip = libcMissing !== undefined || (kind === "C" && !native.compiled);
  describe.skipIf(skip)(`the verifier in ${kind}${skip ? " (skipped: no compiler or C library)" : ""}`, () => {
    for (const change of [{ name: "nothing", seenBy: [], apply: () => {} }, ...CHANGES]) {
      test(`sees ${change.name}`, () => {
        using dir = tempDir();
        const [source, copy] = [dir.join("source"), dir.join("copy")];
        tools.gen("files", source, 20, 4, 4096, 0);
        tools.gen("sparse", `${source}/disk`, 16 << 20, 1 << 20, 4);
        run(["cp", "-a", source, copy]);
        change.apply(copy);
        for (const level of ["full", "content"] as const)
          expect([level, tools.verify(level, source, copy).length > 0]).toEqual([level, change.seenBy.includes(level)]);
      });
    }
  });

  test.skipIf(skip)(`the generators in ${kind} make what they are asked for`, () => {
    using dir = tempDir();
    tools.gen("deep", dir.join("deep"), 3, 5, 40, 10);
    expect(
      run(["find", dir.join("deep"), "-type", "f"])
        .trim()
        .split("\n").length,
    ).toBe(40);
    expect(
      run(["find", dir.join("deep"), "-mindepth", "1", "-type", "d"])
        .trim()
        .split("\n").length,
    ).toBe(15);
    tools.gen("large", dir.join("large"), 3_000_001);
    expect(lstat(dir.join("large")).size).toBe(3_000_001);
  });
}

test("a run's cost and exit code are recorded", () => {
  using dir = tempDir();
  for (const tools of [native, twins]) {
    const { cost, stderr } = tools.timed(["sh", "-c", "sleep 0.05; echo oops >&2; exit 3"], dir.path);
    expect(cost.exitCode).toBe(3);
    expect(stderr).toBe("oops\n");
    expect(cost.wallMs).toBeGreaterThan(49);
    expect(cost.maxRssKiB).toBeGreaterThan(500);
  }
});

function keepTime(path: string, change: () => void): void {
  const { mtimeNs } = lstat(path);
  change();
  setTimes(path, mtimeNs);
}

function poke(path: string, at: number, text: string): void {
  const fd = openSync(path, "r+");
  writeSync(fd, text, at);
  closeSync(fd);
}

/** Two of the three holes between the four pieces. */
function fillHoles(path: string): void {
  for (const mib of [1, 5]) poke(path, mib << 20, "\0".repeat(3 << 20));
}
