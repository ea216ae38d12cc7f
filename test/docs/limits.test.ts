/** docs/limits.md is the table of `LIMITS`, with the comment of each as its reason. UPDATE_GOLDEN=1 writes it anew. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FRAME_LIMITS } from "../../src/core/frames.ts";
import { LIMITS } from "../../src/core/limits.ts";

const ROOT = join(import.meta.dir, "../..");
const DOCUMENT = join(ROOT, "docs/limits.md");

function shown(name: string, value: unknown): string {
  if (typeof value !== "number") return "see the source";
  if (name.endsWith("Ms")) return value >= 1000 ? `${value / 1000} s` : `${value} ms`;
  if (/Bytes(Most)?$/.test(name) || name === "payloadBytes")
    for (const [unit, of] of [
      ["GiB", 2 ** 30],
      ["MiB", 2 ** 20],
      ["KiB", 2 ** 10],
    ] as const)
      if (value >= of && value % of === 0) return `${value / of} ${unit}`;
  return value.toLocaleString("en");
}

/** The comment in front of each key; a key without one shares that of the key before. */
function reasons(file: string, table: string): Map<string, string> {
  const source = readFileSync(join(ROOT, file), "utf8");
  const from = source.indexOf(`export const ${table} = {`);
  const body = source.slice(from, source.indexOf("} as const;", from));
  const found = new Map<string, string>();
  let comment = "";
  for (const [, text, key] of body.matchAll(/\/\*\*([\s\S]*?)\*\/|^ {2}(\w+):/gm)) {
    if (text !== undefined) comment = text.replaceAll(/\s*\n\s*\*\s?/g, " ").trim();
    else if (key !== undefined) found.set(key, comment);
  }
  return found;
}

function section(title: string, file: string, table: string, values: Readonly<Record<string, unknown>>): string {
  const why = reasons(file, table);
  const rows = Object.entries(values).map(
    ([name, value]) => `| \`${name}\` | ${shown(name, value)} | ${why.get(name) ?? ""} |`,
  );
  return [
    `## ${title}`,
    "",
    `\`${table}\` in \`${file}\`.`,
    "",
    "| bound | value | why |",
    "|---|---:|---|",
    ...rows,
    "",
  ].join("\n");
}

test("docs/limits.md is the table of all bounds", () => {
  const text = [
    "# Limits",
    "",
    "Every bound and threshold of the program. What a peer may say is held to these before memory is taken for it; what",
    "exceeds them ends its session, exit code 2. Relations between them are asserted when the program starts. This file is",
    "written by `UPDATE_GOLDEN=1 bun test test/docs/limits.test.ts`.",
    "",
    section("Sessions, planning, memory", "src/core/limits.ts", "LIMITS", LIMITS),
    section("Frames of the data plane", "src/core/frames.ts", "FRAME_LIMITS", FRAME_LIMITS),
  ].join("\n");
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(DOCUMENT, text);
  expect(readFileSync(DOCUMENT, "utf8")).toBe(text);
});
