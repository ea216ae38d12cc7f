/** The guides for those who come from another tool, and their units for systemd. */
import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { flagNamed } from "../../src/cli/words/flags.ts";
import { foreignFlag, foreignLetter } from "../../src/cli/words/foreign-flags.ts";
import { isVerb } from "../../src/cli/words/verbs.ts";
import { start } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { fencesOf } from "./commands/fences.ts";
import { callsIn, complaintAbout } from "./commands/words.ts";
import { ROOT, textOf } from "./documents.ts";

const scratch = tempDir();
afterAll(() => scratch[Symbol.dispose]());

/** The rows of the table below `heading`. */
function tableBelow(path: string, heading: string): string[][] {
  const text = textOf(path);
  const from = text.indexOf(`\n${heading}\n`);
  const section = text.slice(from + 1).split(/\n#+ /)[0]!;
  const lines = section.split("\n").filter((line) => line.startsWith("| "));
  return lines.slice(1).map((line) =>
    line
      .slice(2, line.lastIndexOf("|"))
      .split("|")
      .map((cell) => cell.trim()),
  );
}

const longFlags = (cell: string): string[] => [...cell.matchAll(/`--([a-z0-9-]+)/g)].map(([, name]) => name!);

describe.each(["docs/guides/from-rsync.md", "docs/guides/from-rclone.md"])("%s", (path) => {
  const rows = tableBelow(path, "## Flags");

  test("has flags and verbs on its right-hand side that exist", () => {
    expect(rows.length).toBeGreaterThan(20);
    for (const [left = "", right = ""] of rows) {
      for (const name of longFlags(right))
        expect([left, name, flagNamed(name) !== undefined]).toEqual([left, name, true]);
      for (const [, verb] of right.matchAll(/`fastsync (\w+)/g)) expect([verb, isVerb(verb!)]).toEqual([verb, true]);
    }
  });

  test("has commands on its right-hand side that would be taken", () => {
    const table = textOf(path)
      .split("\n")
      .filter((line) => line.startsWith("| `r"));
    const calls = table.flatMap((line) => callsIn(/^\| .*? \| `(fastsync [^`]*)`/.exec(line)?.[1] ?? ""));
    expect(calls.length).toBeGreaterThan(5);
    expect(calls.map(complaintAbout).filter((complaint) => complaint !== undefined)).toEqual([]);
  });
});

test("a flag of rsync that is not here is refused with what to write in its place", () => {
  for (const [left = ""] of tableBelow("docs/guides/from-rsync.md", "## Flags")) {
    for (const name of longFlags(left))
      expect([name, flagNamed(name) !== undefined || foreignFlag(name, "copy") !== undefined]).toEqual([name, true]);
    for (const [, letter] of left.matchAll(/`-([a-zA-Z0-9])`/g))
      expect([letter, foreignLetter(letter!, "copy") !== undefined || isOurs(letter!)]).toEqual([letter, true]);
  }
});

function isOurs(letter: string): boolean {
  return (
    complaintAbout({ name: "fastsync", words: ["mirror", `-${letter}`, "a/", "b/"] })?.includes("unknown") !== true
  );
}

const noSystemd = Bun.which("systemd-analyze") === null ? " (skipped: systemd-analyze is not installed)" : "";
test.skipIf(noSystemd !== "")(`systemd finds nothing to say about the units of the guides${noSystemd}`, async () => {
  const units = fencesOf(textOf("docs/guides/scheduled.md")).flatMap(({ language, text, marks }) => {
    const file = marks.find((mark) => mark.kind === "file");
    if (language !== "ini" || file === undefined) return [];
    const path = scratch.join(basename(file.path));
    // The program need not be installed where the unit will find it.
    writeFileSync(path, text.replace("/usr/bin/fastsync", process.execPath));
    return [path];
  });
  expect(units.length).toBe(2);
  const { exitCode, stdout, stderr } = await start(["systemd-analyze", "verify", "--man=no", ...units]).result;
  expect([exitCode, stdout, stderr]).toEqual([0, "", ""]);
});

test("licence, contributing and thanks are found from the README", () => {
  const readme = textOf("README.md");
  for (const link of ["(LICENSE-MIT)", "(LICENSE-APACHE)", "(CONTRIBUTING.md)"]) expect(readme).toContain(link);
  for (const name of ["rclone", "bbcp", "Globus", "HPN-SSH"]) {
    expect(/^Thanks to .*$/m.exec(readme)?.[0]).toContain(name);
    expect(textOf("CONTRIBUTING.md")).toContain(name);
  }
});

test("every guide is found from the README", () => {
  for (const path of new Bun.Glob("docs/{guides/*,troubleshooting,fast-methods,installing}.md").scanSync(ROOT))
    expect(textOf("README.md")).toContain(`(${path})`);
});
