/** SECURITY.md promises what is tested: each line of its table names tests that are there. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { LIMITS } from "../../src/core/limits.ts";

const ROOT = resolve(import.meta.dir, "../..");
const text = readFileSync(`${ROOT}/SECURITY.md`, "utf8");
const section = text.slice(text.indexOf("## What is promised"), text.indexOf("## What is not promised"));
const promises = section.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| promise"));

test("every promise names files, and titles that stand in them", () => {
  expect(promises.length).toBeGreaterThan(10);
  for (const line of promises) {
    const claims = [...line.matchAll(/`((?:test|src|ffi)\/[^`]*)`(?:: ("[^"]*"(?:, "[^"]*")*))?/g)];
    const titles = claims.flatMap(([, path, list]) =>
      [...(list ?? "").matchAll(/"([^"]*)"/g)].map(([, title]) => [path!, title!] as const),
    );
    expect([line, titles.length > 0]).toEqual([line, true]);
    for (const [path, title] of titles) {
      expect([path, existsSync(`${ROOT}/${path}`)]).toEqual([path, true]);
      expect([path, title, readFileSync(`${ROOT}/${path}`, "utf8").includes(title)]).toEqual([path, title, true]);
    }
  }
});

test("its numbers are those of the program", () => {
  expect(text).toContain(`up to ${LIMITS.openBytes / 2 ** 30} GiB of listings`);
  for (const key of ["max_sessions", "max_connections_per_peer", "stall_timeout"])
    expect(readFileSync(`${ROOT}/docs/daemon.md`, "utf8")).toContain(`\`${key}\``);
});

test("it is found from the README", () => {
  expect(readFileSync(`${ROOT}/README.md`, "utf8")).toContain("(SECURITY.md)");
});
