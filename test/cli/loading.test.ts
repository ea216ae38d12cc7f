/**
 * What a command loads before it does anything is most of the time that a short run takes. Imports at the top of a module
 * are followed here; what comes by import() is loaded when it is needed.
 */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const SRC = join(import.meta.dir, "../../src");
const transpiler = new Bun.Transpiler({ loader: "ts" });

/** Everything that loading `entries` loads: paths below src, and names of packages. */
function loadedBy(entries: readonly string[]): Set<string> {
  const loaded = new Set<string>();
  const waiting = entries.map((entry) => join(SRC, entry));
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const name = relative(SRC, file);
    if (loaded.has(name)) continue;
    loaded.add(name);
    if (!file.endsWith(".ts")) continue;
    for (const { path, kind } of transpiler.scanImports(readFileSync(file, "utf8"))) {
      if (kind !== "import-statement") continue;
      if (path.startsWith(".")) waiting.push(join(dirname(file), path));
      else loaded.add(path);
    }
  }
  return loaded;
}

const PROGRAM = ["main.ts", "cli/cli.ts"];
const COPY = [...PROGRAM, "cli/commands/index.ts", "cli/commands/tree.ts", "session/run.ts"];

test.each([
  ["the help", [...PROGRAM], /^(node:net|node:http2|bun:sqlite|bun:ffi|@bufbuild|@connectrpc|session\/|engine\/|fs\/)/],
  [
    "a copy on one machine",
    COPY,
    /^(node:net|node:http2|bun:sqlite|@bufbuild|@connectrpc|wire\/(?!protocol-violation)|daemon\/|admin\/)/,
  ],
] as const)("%s loads nothing that it has no use for", (_, entries, unused) => {
  for (const entry of entries) expect(existsSync(join(SRC, entry))).toBe(true);
  const loaded = [...loadedBy(entries)].sort();
  expect(loaded.length).toBeGreaterThan(10);
  expect(loaded.filter((name) => unused.test(name))).toEqual([]);
});

test("a session with a daemon does load messages", () => {
  const loaded = [...loadedBy(["session/remote-run.ts"])];
  expect(loaded.some((name) => name.startsWith("wire/gen/"))).toBe(true);
});
