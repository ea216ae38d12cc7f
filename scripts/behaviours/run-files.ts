/** Runs test files one by one, each in every placement it has, and keeps a JUnit report of each. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { type RowFile, RUNS, type Run } from "../../test/behaviours/row-tests.ts";
import { root } from "../build/root.ts";
import { type Outcome, readJunit } from "./junit.ts";

/** Far above what a file needs. */
const fileLimitMs = 30 * 60_000;

interface Task {
  readonly file: RowFile;
  readonly run: Run;
}

const ENVIRONMENT: Readonly<Record<Run, Readonly<Record<string, string>>>> = {
  native: {},
  portable: { FASTSYNC_NATIVE: "off" },
  push: { FASTSYNC_PLACEMENT: "push" },
  pull: { FASTSYNC_PLACEMENT: "pull" },
};

function reportOf(directory: string, { file, run }: Task): string {
  return join(directory, run, `${file.path.replaceAll("/", "_")}.xml`);
}

/** What the report of a first attempt is called when there was a second. */
const FIRST = ".first";

/**
 * Runs what has no report in `directory` yet, `lanes` files at a time. What fails beside others is run once more,
 * alone: the second attempt counts, and `repeated` tells how many there were.
 */
export async function runFiles(
  files: readonly RowFile[],
  directory: string,
  lanes: number,
  say: (line: string) => void,
): Promise<void> {
  const tasks = RUNS.flatMap((run) => files.filter(({ runs }) => runs.includes(run)).map((file) => ({ file, run })));
  const waiting = tasks.filter((task) => !existsSync(reportOf(directory, task)));
  say(`${tasks.length} runs of files, ${waiting.length} of them to be made`);
  const next = async (): Promise<void> => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      const startedMs = performance.now();
      const ending = await runFile(task, directory);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      say(`${task.run} ${task.file.path}: ${ending}, ${seconds} s, ${waiting.length} left`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, next));
  for (const task of tasks) {
    const report = reportOf(directory, task);
    if (existsSync(report + FIRST) || readJunit(readFileSync(report, "utf8")).every(({ state }) => state !== "failed"))
      continue;
    renameSync(report, report + FIRST);
    say(`${task.run} ${task.file.path} again, alone: ${await runFile(task, directory)}`);
  }
}

/** How many files were run a second time. */
export function repeated(directory: string): number {
  return readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(FIRST)).length;
}

async function runFile(task: Task, directory: string): Promise<string> {
  const report = reportOf(directory, task);
  mkdirSync(dirname(report), { recursive: true });
  const isPlaced = task.run === "push" || task.run === "pull";
  // A busy machine is no failure.
  const words = [
    ...["test", "--timeout=600000", "--reporter=junit", `--reporter-outfile=${report}.part`],
    ...(isPlaced ? ["--preload=./test/behaviours/stop-daemons.ts"] : []),
    `./${task.file.path}`,
  ];
  const log = Bun.file(`${report}.log`);
  const child = Bun.spawn([process.execPath, ...words], {
    cwd: root,
    env: { ...process.env, FASTSYNC_BIN: "dist/fastsync", ...ENVIRONMENT[task.run] },
    stdin: "ignore",
    stdout: log,
    stderr: log,
    timeout: fileLimitMs,
    killSignal: "SIGKILL",
  });
  const exitCode = await child.exited;
  // A file that crashed, or did not load, has no report: its rows are then shown as failing.
  if (existsSync(`${report}.part`)) renameSync(`${report}.part`, report);
  else await Bun.write(report, crashReport(task.file));
  return child.signalCode === null ? `exit ${exitCode}` : `killed by ${child.signalCode}`;
}

function crashReport({ path, rows }: RowFile): string {
  const cases = [...rows].map(
    (row) => `<testcase name="${row} ${path} came to no end" file="${path}"><failure/></testcase>`,
  );
  return `<testsuites><testsuite name="${path}" file="${path}">${cases.join("")}</testsuite></testsuites>\n`;
}

/**
 * Every report below `directory`, by run: `push/*.xml` or `push.xml`. A usual test run leaves such reports where
 * FASTSYNC_JUNIT says; its part `network` is one more run of the native library.
 */
export function readReports(directory: string): { readonly run: Run; readonly outcomes: readonly Outcome[] }[] {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".xml"));
  // The part `package` proves no rows.
  return names
    .sort()
    .filter((name) => name !== "package.xml")
    .map((name) => {
      const first = name.split("/")[0]!.replace(/\.xml$/, "");
      const run = RUNS.find((one) => one === (first === "network" ? "native" : first));
      if (run === undefined)
        throw new Error(`${name} in ${directory} is of no run: there are ${RUNS.join(", ")}, network`);
      return { run, outcomes: readJunit(readFileSync(join(directory, name), "utf8")) };
    });
}
