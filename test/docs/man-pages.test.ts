/** The man pages: that readers of roff take them without a word, and that they say what the tables say. */
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { inline, partsOf } from "../../scripts/build/man/markdown.ts";
import { escaped } from "../../scripts/build/man/roff.ts";
import { writeManPages } from "../../scripts/build/man-pages.ts";
import { SETTING_KEYS } from "../../src/cli/settings/keys.ts";
import { FLAGS, flagsOf } from "../../src/cli/words/flags.ts";
import { VERB_NAMES } from "../../src/cli/words/verbs.ts";
import { tempDir } from "../support/temp.ts";

const dir = tempDir();
afterAll(() => dir[Symbol.dispose]());
const files = writeManPages(dir.path, { SOURCE_DATE_EPOCH: "1700000000" });

function output(command: readonly string[]): string {
  const { stdout, stderr } = Bun.spawnSync([...command], { cwd: dir.path, env: { ...process.env, LC_ALL: "C.UTF-8" } });
  return stdout.toString() + stderr.toString();
}

/** As a terminal shows it, without what makes it bold. */
function shown(file: string): string {
  const text = output(["groff", "-man", "-Tutf8", "-P-c", "-rLL=200n", file]);
  return text.replace(/.\u0008/g, "");
}

const missing = (program: string): string => (Bun.which(program) === null ? ` (${program} is not installed)` : "");

describe("the pages", () => {
  test("are one for the program, one for each verb, one for the daemon, one for the file, one for scripts", () => {
    const verbs = VERB_NAMES.filter((verb) => !["daemon", "help", "version"].includes(verb));
    expect(files.sort()).toEqual(
      [
        "man1/fastsync.1",
        ...verbs.map((verb) => `man1/fastsync-${verb}.1`),
        "man5/fastsync.toml.5",
        "man7/fastsync-scripting.7",
        "man8/fastsyncd.8",
      ].sort(),
    );
  });
  test("are the same for the same date, and have it", () => {
    const text = readFileSync(dir.join("man1/fastsync.1"), "utf8");
    expect(text.split("\n", 1)[0]).toMatch(/^\.TH FASTSYNC 1 "2023-11-14" "fastsync \d+\.\d+\.\d+" "User Commands"$/);
    expect(/[^\n -~]/.test(text)).toBe(false);
  });

  const [groff, mandoc, man] = [missing("groff"), missing("mandoc"), missing("man")];
  test.skipIf(groff !== "").each(files)(`groff warns of nothing in %s${groff}`, (file) => {
    expect(output(["groff", "-man", "-Tutf8", "-ww", "-z", file])).toBe("");
  });
  test.skipIf(mandoc !== "").each(files)(`mandoc warns of nothing in %s${mandoc}`, (file) => {
    expect(output(["mandoc", "-man", "-T", "lint", "-W", "warning", file])).toBe("");
  });
  test.skipIf(man !== "" || groff !== "")(`man shows them${man}`, () => {
    const text = output([
      "sh",
      "-c",
      `man --warnings -l man1/fastsync-mirror.1 2>&1 >/dev/null; man -l man8/fastsyncd.8 | head -3`,
    ]);
    expect(text).toStartWith("FASTSYNCD(8)");
  });
});

describe.skipIf(missing("groff") !== "")(`what they say${missing("groff")}`, () => {
  test.each(VERB_NAMES.filter((verb) => !["help", "version"].includes(verb)))(
    "all flags of %s, and no others",
    (verb) => {
      const text = shown(verb === "daemon" ? "man8/fastsyncd.8" : `man1/fastsync-${verb}.1`);
      const options = text.slice(text.indexOf("\nOPTIONS"));
      for (const { name } of FLAGS) {
        const listed = new RegExp(`^ +(-., )?--${name}(?![a-z-])`, "m").test(options);
        expect([name, listed]).toEqual([name, flagsOf(verb).some((flag) => flag.name === name)]);
      }
    },
  );
  test("the exit codes and the variables, in fastsync(1)", () => {
    const text = shown("man1/fastsync.1");
    for (const word of [
      "deletion_refused",
      "FASTSYNC_NO_ZERO_COPY",
      "NO_COLOR",
      "fastsync mirror -n photos/ /mnt/backup/photos/",
    ])
      expect(text).toContain(word);
  });
  test("every key of the daemon's tables, in fastsync.toml(5)", () => {
    const text = shown("man5/fastsync.toml.5");
    for (const word of ["handshake_timeout", "strip_setid", "[[module]]", "use_zero_copy"])
      expect(text).toContain(word);
    expect(SETTING_KEYS.length).toBeGreaterThan(20);
  });
});

describe("Markdown as roff", () => {
  test.each([
    ["plain - text", "plain - text"],
    ["`--flag`", "\\fB\\-\\-flag\\fR"],
    ["**strong** and *soft*", "\\fBstrong\\fR and \\fIsoft\\fR"],
    ["[a link](b.md) stays, see [b.md](b.md)", "a link stays, see docs/b.md"],
    ["2 * 3 is 6", "2 * 3 is 6"],
    ["back\\slash ~ ^ ` ü", "back\\(rsslash \\(ti \\(ha \\(ga \\[u00FC]"],
  ])("%s", (text, roff) => expect(inline(text)).toBe(roff));
  test("a line cannot become a request", () => {
    expect(escaped("'x", true)).toBe("\\(aqx");
  });
  test("parts are those of level 2, and code is left alone", () => {
    expect(partsOf("# T\nintro\n## A\n```\n## not one\n```\n### sub\n## B\n").map(({ title }) => title)).toEqual([
      "",
      "A",
      "B",
    ]);
  });
});
