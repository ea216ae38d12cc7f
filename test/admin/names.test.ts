/** The utilities under their names, their help, and what the documents say about them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { FLAGS, flagsOf } from "../../src/cli/words/flags.ts";
import { isUtility, VERB_NAMES } from "../../src/cli/words/verbs.ts";
import { fastsync, fastsyncCommand } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { LOOK_SCHEMA } from "./support/look-schema.ts";

const ROOT = resolve(import.meta.dir, "../..");
const UTILITIES = VERB_NAMES.filter(isUtility);
let dir: TempDir;
beforeAll(() => {
  dir = tempDir();
  mkdirSync(dir.join("d"));
  writeFileSync(dir.join("d/file"), "x");
});
afterAll(() => dir[Symbol.dispose]());

describe("names", () => {
  test("fastsync utils lists the utilities", async () => {
    const { exitCode, stdout } = await fastsync(["utils"]);
    expect(exitCode).toBe(0);
    for (const verb of UTILITIES) expect(stdout).toContain(`\n  ${verb} `);
    expect((await fastsync(["utils", "--help"])).stdout).toBe(stdout);
  });
  test.each(["ls", "list", "find", "du"])("fastsync utils %s does what fastsync %s does", async (verb) => {
    const direct = await fastsync([verb, dir.join("d")]);
    expect(await fastsync(["utils", verb, dir.join("d")])).toEqual(direct);
    expect([direct.exitCode, direct.stdout.includes(verb === "du" ? dir.join("d") : "file")]).toEqual([0, true]);
  });
  test("what is no utility is named with the way out", async () => {
    const { exitCode, stderr } = await fastsync(["utils", "copy", "a", "b"]);
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringContaining("'copy' is none of the utilities\n  Write: fastsync copy"),
    ]);
    expect((await fastsync(["utils", "finf"])).stderr).toContain("did you mean find?");
  });
  test.skipIf(fastsyncCommand().length > 1)("called as fastsync-utils (the compiled program)", async () => {
    const link = dir.join("fastsync-utils");
    symlinkSync(fastsyncCommand()[0]!, link);
    const run = (...words: string[]): string => Bun.spawnSync([link, ...words]).stdout.toString();
    expect(run()).toBe((await fastsync(["utils"])).stdout);
    expect(run("ls", dir.join("d"))).toBe("file\n");
    expect(run("version")).toContain("fastsync ");
  });
  test("called as fastsync-utils of the package", () => {
    const done = Bun.spawnSync(["node", join(ROOT, "bin/fastsync-utils.mjs"), "ls", dir.join("d")]);
    expect(done.stdout.toString()).toBe("file\n");
  });
});

describe("the documents", () => {
  test("the guide names every field of the schema", () => {
    const text = readFileSync(join(ROOT, "docs/scripting.md"), "utf8");
    const section = text.slice(text.indexOf("## Verbs that look"), text.indexOf("## Other commands"));
    for (const [type, part] of Object.entries(LOOK_SCHEMA.$defs)) {
      const row = section.split("\n").find((line) => line.startsWith(`| \`${type}\` |`)) ?? "";
      for (const field of Object.keys(part.properties))
        if (field !== "schema" && field !== "type")
          expect([type, field, row.includes(`\`${field}\``)]).toEqual([type, field, true]);
    }
  });
  test("utilities.md has every utility, and every flag that is only theirs", () => {
    const text = readFileSync(join(ROOT, "docs/utilities.md"), "utf8");
    for (const verb of ["ls", "find", "du", "df", "list-modules", "rm"]) expect(text).toContain(`\n## ${verb}\n`);
    const own = FLAGS.filter((flag) => flag.verbs.every((verb) => isUtility(verb)) && flagsOf("find").includes(flag));
    for (const { name, short } of own) if (short === undefined) expect(text).toContain(`--${name}`);
  });
});
