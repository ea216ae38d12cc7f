/**
 * The bench:
 * `bun bench/run.ts [local] [net] [scale] [--only S,net-L,...] [--renew] [--runs 5] [--fs xfs,xfs-noreflink] [--quick]`.
 * `local` is one machine, `net` is daemons over loopback, `scale` is trees of unusual size; none named: the first two.
 * `--only net-S` is net-S-push and net-S-pull. Needs root, to mount filesystems in RAM.
 * A whole run writes its parts of bench/RESULTS.md and leaves the other alone; less than a part, or a quick run, writes
 * bench/out/RESULTS.md. `--renew` writes the whole part all the same, with the tables that earlier runs on this machine
 * left for what `--only` leaves out, and says which these are. Raw figures go to bench/out. Exit code 1 when a bar is missed.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { canMount, FILESYSTEMS, type FilesystemKind } from "../test/support/filesystems.ts";
import { earlierLine, earlierTables } from "./earlier.ts";
import { runWorkload, type Table } from "./harness.ts";
import { describeMachine, type Machine } from "./machine.ts";
import { judgeAll, type Results, renderPart, replacePart } from "./report.ts";
import { select } from "./select.ts";
import { prepareTools } from "./tools.ts";
import type { Workload } from "./workload.ts";
import { PARTS, type Part, USUAL_PARTS, WORKLOADS } from "./workloads/all.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string" },
    fs: { type: "string" },
    runs: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    renew: { type: "boolean", default: false },
  },
});

const parts = positionals.length === 0 ? USUAL_PARTS : select(positionals, PARTS, "part");
const all = parts.flatMap((part) => WORKLOADS[part]);
const ids = all.map(({ id }) => id);
const chosen = select(values.only?.split(","), ids, "workload");
const filesystems = values.fs === undefined ? undefined : select(values.fs.split(","), FILESYSTEMS, "filesystem");
const runs = values.quick ? 1 : Number(values.runs);
if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs: not a number of runs: ${values.runs}`);
if (values.renew && (values.quick || filesystems !== undefined)) throw new Error("--renew is for whole workloads");
const isWhole = (values.only === undefined || values.renew) && filesystems === undefined && !values.quick;

const tools = prepareTools();
const log = (line: string) => console.error(line);
const out = resolve(import.meta.dir, "out");
const report = resolve(isWhole ? import.meta.dir : out, "RESULTS.md");

let hasFailed = false;
let text = isWhole && existsSync(report) ? readFileSync(report, "utf8") : "";
for (const part of parts) {
  const workloads = WORKLOADS[part].filter(({ id }) => chosen.includes(id));
  if (workloads.length > 0) await runPart(part, workloads);
}
process.exitCode = hasFailed ? 1 : 0;

/** Each table is kept as soon as it is there: what breaks off an hour later takes nothing with it. */
async function runPart(part: Part, workloads: readonly Workload[]): Promise<void> {
  const machine = describeMachine(tools.compiled);
  for (const line of machine.lines) log(line);
  const tables = new Map<string, Table[]>();
  const earlier = values.renew ? WORKLOADS[part].filter((one) => !workloads.includes(one)) : [];
  for (const workload of earlier) tables.set(workload.id, earlierTables(out, workload));
  const line = earlierLine([...tables.values()].flat());
  const about = line === undefined ? machine : { ...machine, lines: [...machine.lines, line] };
  for (const workload of workloads) {
    /* A workload asked for on a filesystem that is not its own runs there too. */
    for (const filesystem of filesystems ?? workload.filesystems) {
      const table = await runOn(workload, filesystem);
      if (table === undefined) continue;
      tables.set(workload.id, [...(tables.get(workload.id) ?? []), table]);
      keep({ tables: [table], workloads }, machine);
      const inOrder = WORKLOADS[part].flatMap(({ id }) => tables.get(id) ?? []);
      const results = { part, machine: about, tables: inOrder, workloads: WORKLOADS[part], runs, quick: values.quick };
      text = replacePart(text, part, renderPart(results));
      writeFileSync(report, text);
    }
  }
}

/** A workload that cannot be carried out is a failure, and the others go on. */
async function runOn(workload: Workload, filesystem: FilesystemKind): Promise<Table | undefined> {
  const reason = canMount(filesystem);
  if (reason !== undefined) {
    log(`${workload.id} on ${filesystem}: skipped: ${reason}`);
    return undefined;
  }
  try {
    return await runWorkload(workload, filesystem, tools, { runs, quick: values.quick, log });
  } catch (error) {
    hasFailed = true;
    log(`${workload.id} on ${filesystem}: broke off: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function keep(results: Pick<Results, "tables" | "workloads">, machine: Machine): void {
  for (const { table, verdicts } of judgeAll(results)) {
    const path = resolve(out, `${table.workload}-${table.filesystem}.json`);
    writeFileSync(path, `${JSON.stringify({ machine, table, verdicts }, null, 2)}\n`);
    for (const { bar, measured, result } of verdicts) {
      console.log(`${result}\t${table.workload}\t${table.filesystem}\t${bar}\t${measured}`);
      hasFailed ||= result === "FAIL";
    }
  }
}
