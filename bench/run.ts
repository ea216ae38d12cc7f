/**
 * The bench: `bun bench/run.ts [--only S,N,...] [--runs 5] [--fs xfs,xfs-noreflink] [--quick]`.
 * Needs root, to mount filesystems in RAM. A whole run writes bench/RESULTS.md; a part of it, or a quick one, writes
 * bench/out/RESULTS.md. Raw figures go to bench/out. Exit code 1 when a bar is missed.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { canMount, FILESYSTEMS, type FilesystemKind } from "../test/support/filesystems.ts";
import { runWorkload, type Table } from "./harness.ts";
import { describeMachine } from "./machine.ts";
import { judgeAll, type Results, renderReport } from "./report.ts";
import { prepareTools } from "./tools.ts";
import { WORKLOADS } from "./workloads/all.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    fs: { type: "string" },
    runs: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
  },
});

const chosen = choose(
  values.only,
  WORKLOADS.map(({ id }) => id),
  "workload",
);
const filesystems = choose(values.fs, FILESYSTEMS, "filesystem");
const runs = values.quick ? 1 : Number(values.runs);
if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs: not a number of runs: ${values.runs}`);

const tools = prepareTools();
const machine = describeMachine(tools.compiled);
const log = (line: string) => console.error(line);
for (const line of machine.lines) log(line);

const tables: Table[] = [];
for (const workload of WORKLOADS) {
  if (!chosen.includes(workload.id)) continue;
  for (const filesystem of pick(workload.filesystems)) {
    const reason = canMount(filesystem);
    if (reason === undefined)
      tables.push(await runWorkload(workload, filesystem, tools, { runs, quick: values.quick, log }));
    else log(`${workload.id} on ${filesystem}: skipped: ${reason}`);
  }
}

const results: Results = { machine, tables, workloads: WORKLOADS, runs, quick: values.quick };
const judged = judgeAll(results);
const whole = values.only === undefined && values.fs === undefined && !values.quick;
const out = resolve(import.meta.dir, "out");
for (const { table, verdicts } of judged)
  writeFileSync(
    resolve(out, `${table.workload}-${table.filesystem}.json`),
    `${JSON.stringify({ machine, table, verdicts }, null, 2)}\n`,
  );
writeFileSync(resolve(whole ? import.meta.dir : out, "RESULTS.md"), renderReport(results));
for (const { table, verdicts } of judged)
  for (const { bar, measured, result } of verdicts)
    console.log(`${result}\t${table.workload}\t${table.filesystem}\t${bar}\t${measured}`);
process.exitCode = judged.some(({ verdicts }) => verdicts.some(({ result }) => result === "FAIL")) ? 1 : 0;

/** A workload asked for on a filesystem that is not its own runs there too. */
function pick(own: readonly FilesystemKind[]): readonly FilesystemKind[] {
  return values.fs === undefined ? own : filesystems;
}

function choose<Name extends string>(list: string | undefined, known: readonly Name[], what: string): readonly Name[] {
  if (list === undefined) return known;
  return list.split(",").map((name) => {
    const found = known.find((one) => one === name);
    if (found === undefined) throw new Error(`no ${what} ${name}; there are ${known.join(", ")}`);
    return found;
  });
}
