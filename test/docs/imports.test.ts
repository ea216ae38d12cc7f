/** No ring of files that need each other when they run; what only names types is gone by then. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const SOURCE = resolve(import.meta.dir, "../../src");

/**
 * Those whose work comes back to itself: what is replaced is backed up, where no link can be made by a copy, and what is
 * copied is published.
 */
const RECURRING = ["fs/portable/copy-entry.ts", "fs/portable/publish.ts", "fs/portable/write-regular.ts"];

type Graph = ReadonlyMap<string, readonly string[]>;

/** Each file with those that it imports, at once or when it is used. */
function imports(): Graph {
  const scanner = new Bun.Transpiler({ loader: "ts" });
  const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((name) =>
    /(?<!\.test|\.d)\.ts$/.test(name),
  );
  return new Map(
    files.map((file) => {
      const directory = dirname(join(SOURCE, file));
      const found = scanner.scanImports(readFileSync(join(SOURCE, file), "utf8"));
      const paths = found.filter(({ path }) => path.startsWith(".")).map(({ path }) => resolve(directory, path));
      return [file, paths.filter((path) => existsSync(path)).map((path) => relative(SOURCE, path))];
    }),
  );
}

/** Files on a ring, or between two of them: what is left when all goes that imports none of the rest, or that none imports. */
function ringed(graph: Graph): string[] {
  const left = new Map([...graph].map(([file, paths]) => [file, new Set(paths.filter((path) => graph.has(path)))]));
  for (let before = -1; before !== left.size; ) {
    before = left.size;
    const imported = new Set([...left.values()].flatMap((paths) => [...paths]));
    for (const [file, paths] of left) if (paths.size === 0 || !imported.has(file)) left.delete(file);
    for (const paths of left.values()) for (const path of paths) if (!left.has(path)) paths.delete(path);
  }
  return [...left.keys()].sort();
}

test("files of src import each other in no ring but the one that recurs", () => {
  const graph = imports();
  expect(graph.get("main.ts")).toContain("session/run.ts");
  expect(graph.get("session/run.ts")).toContain("session/remote-run.ts");
  expect(ringed(graph)).toEqual(RECURRING);
});

test("a ring is seen, whatever leads into it or out of it", () => {
  const chain = new Map(Object.entries({ a: ["b"], b: ["c"], c: [] }));
  expect(ringed(chain)).toEqual([]);
  expect(ringed(new Map([...chain, ["c", ["d"]], ["d", ["b", "e"]], ["e", []]]))).toEqual(["b", "c", "d"]);
});
