/** The published schema of commands that run nothing, held against what they print. */
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import Ajv2020 from "ajv/dist/2020.js";
import { jsonLines } from "../cli/processes.ts";
import { startDaemon } from "../network/support/daemon.ts";
import { DOCS } from "../support/events-schema.ts";
import { fastsync } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";

const TEXT = readFileSync(resolve(DOCS, "schema/commands.schema.json"), "utf8");
const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(JSON.parse(TEXT));

async function lines(words: readonly string[], env: Record<string, string> = {}): Promise<string[]> {
  const result = await fastsync([...words, "--json"], { env });
  expect([result.exitCode, result.stderr]).toEqual([0, ""]);
  const found = jsonLines(result.stdout);
  for (const line of found)
    if (!validate(line)) throw new Error(`${JSON.stringify(line)}\n${JSON.stringify(validate.errors, null, 1)}`);
  return found.map((line) => String(line["type"]));
}

test("presets, explain and profile print what the schema has, and the guide names each", async () => {
  using dir = tempDir();
  mkdirSync(dir.join("source"));
  writeFileSync(dir.join("source/file"), "text");
  writeFileSync(dir.join("config.toml"), '[profiles.mine]\npreset = "backup"\nexclude = ["a", "b"]\n', { mode: 0o644 });
  await using daemon = await startDaemon({ path: dir.path });
  const env = { XDG_STATE_HOME: dir.join("state"), FASTSYNC_CONFIG: dir.join("config.toml") };
  const seen = new Set([
    ...(await lines(["presets"], env)),
    ...(await lines(["explain", dir.join("source/"), dir.join("target")])),
    ...(await lines(["explain", "--preset", "wan", "--bwlimit=1M", dir.join("source/"), daemon.place("target/")])),
  ]);
  for (const target of [dir.join("target"), daemon.place("pushed/")])
    expect((await fastsync(["copy", dir.join("source/"), target], { env })).exitCode).toBe(0);
  for (const what of [[], ["disable"], ["enable"], ["clear"]])
    for (const type of await lines(["profile", ...what], env)) seen.add(type);
  expect([...seen].sort()).toEqual(Object.keys((JSON.parse(TEXT) as { $defs: object }).$defs).sort());
  const guide = readFileSync(resolve(DOCS, "scripting.md"), "utf8");
  for (const type of seen) expect(guide).toContain(`\`${type}\``);
});
