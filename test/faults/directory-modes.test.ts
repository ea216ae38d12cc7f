/**
 * Directories of an ordinary user that deny their owner the work in them are opened for it. Whatever fails, breaks or
 * stops the run afterwards, they have the mode that they had, or that of the source, and never another one.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { because, ordinaryDir, ordinaryMissing } from "../behaviours/behaviour.ts";
import { libcMissing, setXattr } from "../support/libc.ts";
import { PLACEMENT, stopDaemons } from "../support/placement.ts";
import { ORDINARY_USER } from "../support/run.ts";
import type { TempDir } from "../support/temp.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import { kindOf, libraryMissing, type Plan, type PointKind } from "./support/library.ts";
import { ALL, assertDocumented, forEach, ROLES, type Role, runFaulted } from "./support/runs.ts";

setDefaultTimeout(600_000);

const missing =
  libcMissing ??
  ordinaryMissing ??
  libraryMissing ??
  (PLACEMENT === undefined ? undefined : "chooses placements itself");

afterAll(stopDaemons);

const WHO = { asUser: ORDINARY_USER };
const EIO = 5;
/** As it was, and as the source has it. */
const [OLD, NEW] = [0o555, 0o511];
/** Directories of the target, each with something to do in it, and in one whose listing is denied. */
const CLOSED = ["changed", "changed/deep", "emptied", "unlisted"] as const;

function build(dir: TempDir): { words: (extra?: readonly string[]) => string[]; modes: () => Record<string, string> } {
  const [source, target] = [dir.join("source"), dir.join("target")];
  for (const [root, text] of [
    [source, "new"],
    [target, "the old one"],
  ] as const) {
    const tree = new TreeBuilder(root);
    for (const path of CLOSED) if (path !== "emptied") tree.file(`${path}/file`, text).file(`${path}/other`, text);
    tree.file("changed/medium", noise(300_000, text.length)).dir("emptied").finish();
    // What a directory carries of its own is asked for apart over a network, when all in it is done.
    for (const path of CLOSED) setXattr(join(root, path), "user.of", text);
  }
  new TreeBuilder(target).file("emptied/extra", "x").file("changed/extra/inner", "x");
  spawnSync("chown", ["-R", `${ORDINARY_USER}:${ORDINARY_USER}`, dir.path]);
  for (const path of [...CLOSED].reverse()) {
    chmodSync(join(source, path), NEW);
    chmodSync(join(target, path), path === "unlisted" ? 0o111 : OLD);
  }
  const shown = (path: string): string => (lstatSync(join(target, path)).mode & 0o7777).toString(8);
  return {
    words: (extra = []) => ["mirror", "--yes", "--json", ...extra, `${source}/`, `${target}/`],
    modes: () => Object.fromEntries(CLOSED.map((path) => [path, shown(path)])),
  };
}

/** Where a directory's mode is neither. */
function strange(modes: Record<string, string>, withModes: boolean): string[] {
  return Object.entries(modes)
    .filter(([path, mode]) => {
      const was = path === "unlisted" ? 0o111 : OLD;
      return mode !== was.toString(8) && !(withModes && mode === NEW.toString(8));
    })
    .map(([path, mode]) => `${path} ${mode}`);
}

async function passesOf(role: Role, extra: readonly string[]): Promise<Plan[]> {
  using dir = ordinaryDir("/dev/shm");
  const { words, modes } = build(dir);
  const { result, passes } = await runFaulted({ words }, role, [], extra, true, WHO);
  if (result.exitCode !== 0) throw new Error(`undisturbed: ${result.stderr}`);
  expect(strange(modes(), extra.length === 0)).toEqual([]);
  return [...passes].flatMap(([point, count]) =>
    Array.from({ length: count }, (_, i): Plan => ({ point, pass: i + 1, fault: EIO })),
  );
}

/** Of the many passes only some, unless all are wanted: those that set a mode, and those that break a connection. */
function chosen(plans: readonly Plan[], role: Role): Plan[] {
  if (ALL) return [...plans];
  const isHere = role.placement === undefined;
  return plans.filter(({ point, pass }) => {
    if (point === "chmod" || point === "meta") return isHere || pass % 3 === 0;
    return isHere ? pass % 12 === 0 && FAIL.has(kindOf(point)) : kindOf(point) === "FRAME" && pass % 4 === 3;
  });
}
const FAIL: ReadonlySet<PointKind> = new Set(["SOURCE", "TARGET", "META"]);

describe.skipIf(missing !== undefined)(because("B25 B52 directories that were opened", missing), () => {
  const cases = ROLES.flatMap((role) =>
    ([[], ["--no-perms"]] as const)
      .filter((extra) => ALL || role.placement === undefined || extra.length === 0)
      .map((extra) => [`${role.name}${extra.map((flag) => `, ${flag}`).join("")}`, role, extra] as const),
  );
  test.each(cases)("have a mode that is theirs whatever failed: %s", async (_, role, extra) => {
    const plans = chosen(await passesOf(role, extra), role);
    expect(plans.length).toBeGreaterThan(0);
    await forEach(
      plans,
      ({ point, pass }) => `${point}, pass ${pass}`,
      async (plan) => {
        using dir = ordinaryDir("/dev/shm");
        const { words, modes } = build(dir);
        const { result } = await runFaulted({ words }, role, [plan], extra, false, WHO);
        assertDocumented(result);
        const wrong = strange(modes(), extra.length === 0);
        if (wrong.length > 0) throw new Error(`${wrong.join(", ")}\n${result.stderr}`);
      },
    );
  });
});
