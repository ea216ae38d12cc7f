/** docs/coverage.md names tests that exist: every file it names is there and holds the titles named with it. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { ROOT, tableRows, textOf } from "./documents.ts";

const STATUSES = ["tested", "untested", "open", "later"];

interface Row {
  readonly ids: string;
  readonly status: string;
  readonly where: string;
}

interface Claim {
  readonly path: string;
  readonly titles: readonly string[];
}

const rows = tableRows(textOf("docs/coverage.md"), /^[FOBS]\d/).map(
  ([ids = "", , status = "", ...where]): Row => ({ ids, status, where: where.join(" | ") }),
);
const claims = rows.flatMap(({ where }) => claimsOf(where));

/** Files in backticks, each with the quoted titles that follow it: `path`: "title", "title". */
function claimsOf(where: string): Claim[] {
  return [...where.matchAll(/`((?:test|src|ffi|bench|scripts)\/[^`]*)`(?:: ("[^"]*"(?:, "[^"]*")*))?/g)].map(
    ([, path, titles]) => ({ path: path!, titles: [...(titles ?? "").matchAll(/"([^"]*)"/g)].map(([, one]) => one!) }),
  );
}

describe("docs/coverage.md", () => {
  test("is a table that this test can read", () => {
    expect(rows.length).toBeGreaterThan(150);
    expect(claims.flatMap(({ titles }) => titles).length).toBeGreaterThan(150);
    for (const { ids, status } of rows) expect([ids, STATUSES.includes(status)]).toEqual([ids, true]);
    const quotes = rows.flatMap(({ where }) => [...where.matchAll(/"/g)]).length;
    expect(quotes).toBe(2 * claims.flatMap(({ titles }) => titles).length);
  });

  test("names files that exist", () => {
    for (const { path } of claims) expect([path, existsSync(`${ROOT}/${path}`)]).toEqual([path, true]);
  });

  test("names titles that stand in their files", () => {
    for (const { path, titles } of claims)
      for (const title of titles) expect([path, title, textOf(path).includes(title)]).toEqual([path, title, true]);
  });

  test("calls nothing tested without naming a test", () => {
    for (const { ids, status, where } of rows) {
      if (status !== "tested") continue;
      const named = claimsOf(where).some(({ path, titles }) => titles.length > 0 && isTest(path));
      expect([ids, named]).toEqual([ids, true]);
    }
  });

  test("has each behaviour once", () => {
    const wanted = [...numbered("B", 63), ...numbered("S", 10)];
    const found = rows.map(({ ids }) => ids).filter((ids) => /^[BS]\d\d$/.test(ids));
    expect(found.sort()).toEqual(wanted.sort());
  });
});

function isTest(path: string): boolean {
  return (
    path.endsWith(".test.ts") || /^(test\/backend\/sections\/|ffi\/test\/|test\/behaviours\/race-cases\.ts$)/.test(path)
  );
}

function numbered(letter: string, last: number): string[] {
  return Array.from({ length: last }, (_, i) => `${letter}${String(i + 1).padStart(2, "0")}`);
}
