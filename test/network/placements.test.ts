/** The table of what is left out between two processes names tests that exist. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LEFT_OUT } from "../behaviours/placements.ts";
import { placed } from "../support/placement.ts";

const FOLDER = join(import.meta.dir, "../behaviours");
const files = readdirSync(FOLDER).filter((name) => name.endsWith(".test.ts"));
const text = files.map((name) => readFileSync(join(FOLDER, name), "utf8")).join("\n");
/** Titles with the first words of their rows put in. */
const rows = [...text.matchAll(/^ {4}\["([a-z]+)"/gm)].map(([, word]) => word!);

test.each(LEFT_OUT.map(({ name }) => name))("left out: %s", (name) => {
  const found = text.includes(name) || rows.some((word) => text.includes(name.replace(word, "%s")));
  expect(found).toBe(true);
});

test("words are placed: the target or the sources, never the value of a flag", () => {
  const words = ["copy", "--exclude", "x/", "-v", "a/", "b", "--", "-c/"];
  expect(placed(words, "push", 1, "/w").map(String)).toEqual([...words.slice(0, 7), "127.0.0.1:1:/root/w/-c/"]);
  expect(placed(words, "pull", 1, "/w").map(String)).toEqual([
    ...words.slice(0, 4),
    "127.0.0.1:1:/root/w/a/",
    "127.0.0.1:1:/root/w/b",
    "--",
    "-c/",
  ]);
  expect(placed(["check", "../s/.", "/t"], "pull", 1, "/w/x").map(String)).toEqual([
    "check",
    "127.0.0.1:1:/root/w/s/",
    "/t",
  ]);
});
