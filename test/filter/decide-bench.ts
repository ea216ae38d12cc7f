/**
 * Time of one `decide`, in nanoseconds: `bun test/filter/decide-bench.ts`. A directory of 1,000 entries, warmed up,
 * the best of 20 rounds.
 */
import { buildBatch, FileType } from "../../src/core/entry-batch.ts";
import { type FilterSpec, NO_FILTER } from "../../src/core/filter-spec.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { compileFilter } from "../../src/filter/compile.ts";
import type { DirectoryFilter } from "../../src/filter/filter.ts";

const ENTRIES = 1000;
const names = Array.from({ length: ENTRIES }, (_, i) =>
  bytesOf(`file-${i.toString(36)}.${["ts", "o", "txt", "jpg"][i % 4]}`),
);
const batch = buildBatch([
  ...names.map((name) => ({ name, mode: FileType.regular | 0o644, size: 100 })),
  { name: bytesOf("."), mode: FileType.directory },
]);

const rules = (...texts: string[]): FilterSpec => ({
  ...NO_FILTER,
  rules: texts.map((text) => ({ text: bytesOf(text), origin: "--filter" })),
});
const literals = ["node_modules", ".git", "target", "dist", "build", ".cache", "__pycache__", ".venv", "tmp", "out"];
const deep = (filter: DirectoryFilter): DirectoryFilter => filter.enter(bytesOf("some")).enter(bytesOf("directory"));

const CASES: readonly (readonly [string, FilterSpec])[] = [
  ["size limit only", { ...NO_FILTER, minSize: 1 }],
  ["10 literal names", rules(...literals.map((name) => `- ${name}`))],
  ["10 names that begin and end alike", rules(...literals.map((name) => `- file-${name}.o`))],
  ["10 suffixes, one hits a quarter", rules(...["o", "a", "so", "pyc", "bak", "tmp", "log", "swp", "elc", "Z"].map((end) => `- *.${end}`))], // biome-ignore format: a table
  ["10 patterns with directories", rules(...literals.map((name) => `- /${name}/**/*.o`))],
  ["40 literal names", rules(...Array.from({ length: 40 }, (_, i) => `- name${i}`))],
  ["-C", rules("-C")],
  ["*[0-9]*.t?t", rules("- *[0-9]*.t?t")],
  ["100,000 listed files", { ...NO_FILTER, filesFrom: Array.from({ length: 100_000 }, (_, i) => bytesOf(`some/directory/file-${i.toString(36)}.o`)) }], // biome-ignore format: a table
];

for (const [label, spec] of CASES) {
  const filter = deep(compileFilter(spec, { deleteExcluded: false }).root());
  let best = Number.POSITIVE_INFINITY;
  let out = 0;
  for (let round = 0; round < 20; round++) {
    const started = Bun.nanoseconds();
    for (let repeat = 0; repeat < 20; repeat++)
      for (let row = 0; row < ENTRIES; row++) if (filter.decide(batch, row, "source") !== 0) out++;
    best = Math.min(best, (Bun.nanoseconds() - started) / (20 * ENTRIES));
  }
  console.log(`${best.toFixed(1).padStart(7)} ns  ${label} (${Math.round(out / 400)} of ${ENTRIES} left out)`);
}
