/** The results as Markdown: the bars first, then every case beside its peers, with the losing cells marked. */
import { FASTSYNC } from "./commands.ts";
import type { Cell, Table } from "./harness.ts";
import type { Machine } from "./machine.ts";
import { judge, median, peakRssBytes, type Verdict, wallMs } from "./statistics.ts";
import type { Workload } from "./workload.ts";

export interface Results {
  readonly machine: Machine;
  readonly tables: readonly Table[];
  readonly workloads: readonly Workload[];
  readonly runs: number;
  readonly quick: boolean;
}

export interface JudgedTable {
  readonly table: Table;
  readonly verdicts: readonly Verdict[];
}

export function judgeAll({ tables, workloads }: Results): JudgedTable[] {
  return tables.map((table) => {
    const workload = workloads.find(({ id }) => id === table.workload)!;
    return { table, verdicts: workload.bars(table.filesystem).map((bar) => judge(table, bar)) };
  });
}

export function renderReport(results: Results): string {
  const judged = judgeAll(results);
  return [
    "# Results",
    "",
    "Written by `bun bench/run.ts`. Ratios are what counts: absolute times belong to the machine below.",
    ...(results.quick
      ? ["", "**A quick run on small trees: it shows that the harness works and measures nothing.**"]
      : []),
    "",
    ...results.machine.lines.map((line) => `- ${line}`),
    "",
    `Each workload has a fresh filesystem in RAM with both trees on it; every round runs all cases once, the order`,
    `turning by one; rounds: ${results.runs} unless the table says otherwise. Before a run the target is prepared and the`,
    "filesystem made quiet, outside the timing; the source is in the page cache. After a run the target is compared",
    "with its source (`full`: types, modes, owners, times in ns, every byte, holes; `content`: types and bytes), and",
    "only a good one counts. Times are wall time, medians in ms; RSS is the highest seen of any one process of the case.",
    "`xfs` can share blocks (reflink=1), `xfs-noreflink` cannot.",
    "",
    "## Bars",
    "",
    "| workload | filesystem | bar | measured | |",
    "|---|---|---|---|---|",
    ...judged.flatMap(({ table, verdicts }) => verdicts.map((verdict) => barRow(table, verdict))),
    "",
    ...judged.flatMap(({ table }) => renderTable(table)),
  ].join("\n");
}

function barRow(table: Table, { bar, measured, result }: Verdict): string {
  return `| ${table.workload} | ${table.filesystem} | ${bar} | ${measured} | ${result === "FAIL" ? "**FAIL**" : result} |`;
}

/** A peer that beats the default run of fastsync is a losing cell; the floor is no peer but the limit. */
function renderTable(table: Table): string[] {
  const subjects = table.cells.filter((cell) => cell.role === "subject");
  const own = wallMs(subjects.find((cell) => cell.name === FASTSYNC) ?? subjects[0]);
  return [
    `## ${table.workload} on ${table.filesystem}: ${table.title}`,
    "",
    "| case | median ms | min ms | fastsync takes | user + sys ms | RSS MiB | runs | verified | |",
    "|---|---:|---:|---:|---:|---:|---:|---|---|",
    ...table.cells.map((cell) => cellRow(cell, own)),
    "",
  ];
}

function cellRow(cell: Cell, own: number | undefined): string {
  const name = escapeCell(cell.name);
  if (cell.missing !== undefined) return `| ${name} | | | | | | 0 | | not run: ${cell.missing} |`;
  const wall = wallMs(cell);
  const failed = cell.failures.length === 0 ? "" : `**failed**: ${escapeCell(cell.failures[0]!)}`;
  if (wall === undefined) return `| ${name} | | | | | | ${cell.costs.length} | | ${failed} |`;
  const loses = cell.role === "peer" && own !== undefined && wall < own;
  const fields = [
    name,
    wall.toFixed(1),
    Math.min(...cell.costs.map((cost) => cost.wallMs)).toFixed(1),
    own === undefined || cell.role === "subject" ? "" : `${(own / wall).toFixed(2)} x`,
    median(cell.costs.map((cost) => cost.userMs + cost.sysMs)).toFixed(0),
    (peakRssBytes(cell)! / 2 ** 20).toFixed(0),
    cell.costs.length,
    cell.verify,
    loses ? "**fastsync loses**" : "",
  ];
  return `| ${fields.join(" | ")} |`;
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
