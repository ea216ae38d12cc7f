/** What the tests of documents share: files as text, and rows of tables. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

export const ROOT = resolve(import.meta.dir, "../..");

/** A file of the repository. */
export function textOf(path: string): string {
  return readFileSync(`${ROOT}/${path}`, "utf8");
}

/** The cells of every table row whose first cell begins as given. */
export function tableRows(text: string, first: RegExp): string[][] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("| ") && first.test(line.slice(2)))
    .map((line) => line.slice(2, -2).split(" | "));
}
