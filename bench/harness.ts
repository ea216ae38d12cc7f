/**
 * Runs one workload on one filesystem.
 *
 *   mount a fresh filesystem in RAM, make the source
 *   for each round:
 *     for each case, in an order that turns by one every round:
 *       make the target ready; make the filesystem quiet; run and time; hold the target to the source
 *
 * Turning the order keeps a case from always following the same neighbour. A run that fails or whose tree is not
 * equal is recorded as a failure and its time does not count.
 */
import { type FilesystemKind, mountFilesystem } from "../test/support/filesystems.ts";
import { removeTree } from "../test/support/temp.ts";
import type { Cost, Tools } from "./tools.ts";
import type { Case, Figures, Place, Workload } from "./workload.ts";

/** One run that counts. */
export interface Measured extends Cost {
  readonly figures?: Figures;
}

export interface Cell {
  readonly name: string;
  readonly role: Case["role"];
  readonly missing: string | undefined;
  readonly verify: Case["verify"];
  readonly bytes?: number | undefined;
  readonly costs: Measured[];
  readonly failures: string[];
}

export interface Table {
  readonly workload: string;
  readonly title: string;
  readonly filesystem: FilesystemKind;
  readonly cells: readonly Cell[];
}

export interface HarnessOptions {
  readonly runs: number;
  /** Small trees and one run: shows that the harness works, measures nothing. */
  readonly quick: boolean;
  readonly log: (line: string) => void;
}

const QUICK_DIVISOR = 20;

export async function runWorkload(
  workload: Workload,
  filesystem: FilesystemKind,
  tools: Tools,
  options: HarnessOptions,
): Promise<Table> {
  await using mounted = await mountFilesystem(filesystem, workload.size);
  await using services = new AsyncDisposableStack();
  const place: Place = {
    filesystem,
    mount: mounted.path,
    source: `${mounted.path}/source`,
    target: `${mounted.path}/target`,
    tools,
    services,
    scale: (full) => (options.quick ? Math.ceil(full / QUICK_DIVISOR) : full),
  };
  const cases = await workload.prepare(place);
  /* rsync leaves a directory's nanoseconds alone when its seconds are right already, so the source must be older. */
  await Bun.sleep(1100);
  const cells = cases.map(cellFor);
  const rounds = workload.sequential === true ? 1 : options.runs * (workload.repeat ?? 1);
  for (let round = 0; round < rounds; round++) {
    for (let step = 0; step < cases.length; step++) {
      const index = workload.sequential === true ? step : (step + round) % cases.length;
      const one = cases[index]!;
      if (one.missing !== undefined || round >= (one.maxRuns ?? rounds)) continue;
      await runCase(one, cells[index]!, place);
      options.log(`${workload.id} ${filesystem} ${round + 1}/${rounds} ${one.name}: ${outcome(cells[index]!)}`);
      /* A handler of ours can only run between commands. */
      await Bun.sleep(0);
    }
  }
  return { workload: workload.id, title: workload.title, filesystem, cells };
}

export function cellFor({ name, role, verify, missing, bytes }: Case): Cell {
  return { name, role, verify, missing, bytes, costs: [], failures: [] };
}

/** One run; its cost or what was wrong with it goes to the cell. */
export async function runCase(one: Case, cell: Cell, place: Place): Promise<void> {
  const { source, target } = one.trees ?? place;
  await (one.before ?? (() => removeTree(target)))();
  const look = one.observe?.();
  const { cost, stderr } = place.tools.timed(one.command, place.mount, one.stdout);
  if (cost.exitCode !== 0) {
    cell.failures.push(`exit ${cost.exitCode}: ${stderr.trim().slice(0, 500)}`);
    return;
  }
  if (one.silent === true && stderr.trim() !== "") {
    cell.failures.push(`a word: ${stderr.trim().slice(0, 500)}`);
    return;
  }
  let figures: Figures | undefined;
  try {
    figures = await look?.();
  } catch (error) {
    cell.failures.push(error instanceof Error ? error.message : String(error));
    return;
  }
  const differences = one.verify === "none" ? [] : place.tools.verify(one.verify, source, target);
  if (differences.length > 0) cell.failures.push(`another tree: ${differences.slice(0, 3).join("; ")}`);
  else cell.costs.push(figures === undefined ? cost : { ...cost, figures });
}

function outcome(cell: Cell): string {
  const failure = cell.failures.at(-1);
  if (failure !== undefined) return failure;
  const cost = cell.costs.at(-1)!;
  return `${cost.wallMs.toFixed(1)} ms, ${(cost.maxRssKiB / 1024).toFixed(0)} MiB`;
}
