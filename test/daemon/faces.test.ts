/** The two faces know nothing of each other, and nobody below knows a face. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const SOURCE = resolve(import.meta.dir, "../../src");
const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));

/** `cli -> core`, one for each pair of folders in which a file of the one imports a file of the other. */
const arrows = new Set(
  files.flatMap((file) => {
    const text = readFileSync(join(SOURCE, file), "utf8");
    const imported = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]*)"/g)].map(([, path]) => path!);
    return imported.map((path) => {
      const target = relative(SOURCE, resolve(dirname(join(SOURCE, file)), path));
      return `${file.split("/")[0]} -> ${target.split("/")[0]}`;
    });
  }),
);

test("no face imports the other", () => {
  expect(arrows).toContain("cli -> core");
  expect(arrows).toContain("daemon -> core");
  expect([...arrows].filter((arrow) => /^(cli -> daemon|daemon -> cli)$/.test(arrow))).toEqual([]);
});

test("only main.ts imports a face", () => {
  const into = [...arrows].filter((arrow) => /-> (cli|daemon)$/.test(arrow));
  expect(into.filter((arrow) => !/^(cli -> cli|daemon -> daemon|main\.ts -> .*)$/.test(arrow))).toEqual([]);
});
