/**
 * The results as Markdown: of each part the bars first, then every case beside its peers, with the losing cells marked.
 * A part lies between two comments, so that it is replaced alone.
 */
import { FASTSYNC } from "./commands.ts";
import type { Cell, Table } from "./harness.ts";
import type { Machine } from "./machine.ts";
import {
  figuresOf,
  judge,
  median,
  mibPerSecond,
  otherRssBytes,
  peakRssBytes,
  type Verdict,
  wallMs,
} from "./statistics.ts";
import type { Workload } from "./workload.ts";
import { PARTS, type Part } from "./workloads/all.ts";

export interface Results {
  readonly part: Part;
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

export function judgeAll({ tables, workloads }: Pick<Results, "tables" | "workloads">): JudgedTable[] {
  return tables.map((table) => {
    const workload = workloads.find(({ id }) => id === table.workload)!;
    return { table, verdicts: workload.bars(table.filesystem).map((bar) => judge(table, bar)) };
  });
}

const HEAD = `# Results

Written by \`bun bench/run.ts local\`, \`net\` and \`scale\`, each its own part. Ratios are what counts: absolute
times belong to the machine that each part names.
`;

/** The report with this part's text in the place of what it was; a report that is empty gets a head. */
export function replacePart(report: string, part: Part, text: string): string {
  const texts = PARTS.map((one) => (one === part ? text : partOf(report, one)));
  const kept = PARTS.map((one, i) => ({ one, text: texts[i] })).filter((entry) => entry.text !== undefined);
  return [
    HEAD,
    ...kept.map((entry) => `${opening(entry.one)}\n\n${entry.text!.trim()}\n\n${closing(entry.one)}\n`),
  ].join("\n");
}

/** The text of a part, or undefined where the report has none. */
export function partOf(report: string, part: Part): string | undefined {
  const from = report.indexOf(opening(part));
  const to = report.indexOf(closing(part));
  return from < 0 || to < from ? undefined : report.slice(from + opening(part).length, to).trim();
}

function opening(part: Part): string {
  return `<!-- ${part}: from here -->`;
}

function closing(part: Part): string {
  return `<!-- ${part}: to here -->`;
}

const TITLES: Readonly<Record<Part, string>> = {
  local: "On one machine",
  net: "Over the network",
  scale: "Trees of unusual size",
};

export function renderPart(results: Results): string {
  const judged = judgeAll(results);
  return [
    `## ${TITLES[results.part]}`,
    "",
    `Written by \`bun bench/run.ts ${results.part}\`.`,
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
    ...ABOUT[results.part],
    "",
    `### Bars ${BARS_OF[results.part]}`,
    "",
    "| workload | filesystem | bar | measured | |",
    "|---|---|---|---|---|",
    ...judged.flatMap(({ table, verdicts }) => verdicts.map((verdict) => barRow(table, verdict))),
    "",
    ...judged.flatMap(({ table }) => renderTable(table)),
  ].join("\n");
}

const BARS_OF: Readonly<Record<Part, string>> = {
  local: "on one machine",
  net: "over the network",
  scale: "of trees of unusual size",
};

const ABOUT: Readonly<Record<Part, readonly string[]>> = {
  local: ["`xfs` can share blocks (reflink=1), `xfs-noreflink` cannot."],
  net: [
    "",
    "Both ends are processes of this machine and share its processors. A push is",
    "`fastsync mirror --yes SOURCE/ 127.0.0.1:PORT:/tree/target/` to a `fastsync daemon`, beside",
    "`rsync -a --whole-file SOURCE/ rsync://127.0.0.1:PORT/tree/target/` to an `rsync --daemon`; a pull is the same with",
    "the places exchanged. With `--sockopts=TCP_NODELAY` both ends of rsync have it. The daemons run before the clock",
    "starts, one of each for all rounds (for M a new one each time), and their logs go to files. A run of fastsync counts",
    "only if it told nothing on stderr, the daemon's log calls the session `ok`, and the kernel saw data connections (with",
    "`--force-grpc`: none). *Other end* is the daemon with its children: processor time of the run, and its own peak RSS",
    "since it began. *Streams* are the data connections that a run opened, *wire* what the daemon counted on them, frames",
    "included. The floor is `ffi/bench/wire.c` with two connections. A line with a delay is `bench/c/delay.c`: a queue",
    "without limit, so no windows and no slow start.",
  ],
  scale: [
    "Each case runs once, in the order of the table, and builds on the last one. `full` includes here which names are of",
    "one inode, and extended attributes. A push goes to a daemon of this machine that was started for this run alone;",
    "*other end* is that daemon.",
  ],
};

function barRow(table: Table, { bar, measured, result }: Verdict): string {
  return `| ${table.workload} | ${table.filesystem} | ${bar} | ${measured} | ${result === "FAIL" ? "**FAIL**" : result} |`;
}

interface Column {
  readonly title: string;
  readonly align: "---" | "---:";
  readonly of: (cell: Cell) => string;
}

/** A peer that beats the default run of fastsync is a losing cell; the floor is no peer but the limit. */
function renderTable(table: Table): string[] {
  const subjects = table.cells.filter((cell) => cell.role === "subject");
  const own = wallMs(subjects.find((cell) => cell.name === FASTSYNC) ?? subjects[0]);
  const columns = columnsOf(table, own);
  return [
    `### ${table.workload} on ${table.filesystem}: ${table.title}`,
    "",
    `| case | ${columns.map(({ title }) => title).join(" | ")} | |`,
    `|---|${columns.map(({ align }) => align).join("|")}|---|`,
    ...table.cells.map((cell) => cellRow(cell, columns, own)),
    "",
  ];
}

/** Those of the other end and of the connections only where some case has them. */
function columnsOf(table: Table, own: number | undefined): Column[] {
  const optional: readonly [string, (cell: Cell) => string][] = [
    ["MiB/s", (cell) => rounded(mibPerSecond(cell))],
    ["other end: user + sys ms", (cell) => rounded(middle(figuresOf(cell, "otherCpuMs")))],
    ["other end: RSS MiB", (cell) => rounded(otherRssBytes(cell), 2 ** 20)],
    ["streams", (cell) => rounded(middle(figuresOf(cell, "streams")))],
    ["wire KiB", (cell) => rounded(middle(figuresOf(cell, "wireBytes")), 2 ** 10)],
    ["content KiB", (cell) => rounded(middle(figuresOf(cell, "payloadBytes")), 2 ** 10)],
  ];
  const present = optional.filter(([, of]) => table.cells.some((cell) => of(cell) !== ""));
  return [
    number("median ms", (cell) => wallMs(cell)!.toFixed(1)),
    number("min ms", (cell) => Math.min(...cell.costs.map((cost) => cost.wallMs)).toFixed(1)),
    number("fastsync takes", (cell) =>
      own === undefined || cell.role === "subject" ? "" : `${(own / wallMs(cell)!).toFixed(2)} x`,
    ),
    number("user + sys ms", (cell) => median(cell.costs.map((cost) => cost.userMs + cost.sysMs)).toFixed(0)),
    number("RSS MiB", (cell) => (peakRssBytes(cell)! / 2 ** 20).toFixed(0)),
    ...present.map(([title, of]) => number(title, of)),
    number("runs", (cell) => String(cell.costs.length)),
    { title: "verified", align: "---", of: (cell) => cell.verify },
  ];
}

function number(title: string, of: Column["of"]): Column {
  return { title, align: "---:", of };
}

function middle(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : median(values);
}

function rounded(value: number | undefined, unit = 1): string {
  return value === undefined ? "" : (value / unit).toFixed(0);
}

/** A case without a figure has empty columns. */
function cellRow(cell: Cell, columns: readonly Column[], own: number | undefined): string {
  const wall = wallMs(cell);
  const remark = remarkOn(cell, wall, own);
  const fields = wall === undefined ? columns.map(() => "") : columns.map(({ of }) => of(cell));
  return `| ${[escapeCell(cell.name), ...fields, remark].join(" | ")} |`;
}

function remarkOn(cell: Cell, wall: number | undefined, own: number | undefined): string {
  if (cell.missing !== undefined) return `not run: ${cell.missing}`;
  const [failure] = cell.failures;
  if (failure !== undefined) return `**failed**: ${escapeCell(failure)}`;
  return cell.role === "peer" && wall !== undefined && own !== undefined && wall < own ? "**fastsync loses**" : "";
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
