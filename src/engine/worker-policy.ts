/**
 * How many workers a job gets. Small files are bound by the rate at which a filesystem makes names, which a few
 * workers reach; large ones by the device, which more workers keep busy; one arm is slowed by every further one; a
 * network filesystem answers late, so that waiting in parallel is what helps.
 */
export interface WorkerFacts {
  readonly cores: number;
  /** Source or target lies on a device with one arm. */
  readonly rotational: boolean;
  /** Source or target is reached over a network or a user-space server. */
  readonly remote: boolean;
  /** Of the files that need content, so far; undefined before any is known. */
  readonly averageFileBytes: number | undefined;
}

const ROTATIONAL_WORKERS = 2;
const REMOTE_WORKERS = 8;
const FEWEST_WORKERS = 2;
const MOST_WORKERS = 8;
/** More only contend for the directories' locks when files are small. */
const SMALL_FILE_WORKERS = 4;
const SMALL_AVERAGE_BYTES = 1 << 20;

export interface WorkerChoice {
  readonly workers: number;
  /** For people. */
  readonly reason: string;
}

export function workersFor(facts: WorkerFacts): number {
  return workerChoice(facts).workers;
}

export function workerChoice({ cores, rotational, remote, averageFileBytes }: WorkerFacts): WorkerChoice {
  if (rotational) return { workers: ROTATIONAL_WORKERS, reason: "a rotating disk is slowed by every further one" };
  if (remote)
    return { workers: REMOTE_WORKERS, reason: "a network filesystem answers late: waiting in parallel helps" };
  const areSmall = averageFileBytes !== undefined && averageFileBytes < SMALL_AVERAGE_BYTES;
  const most = areSmall ? SMALL_FILE_WORKERS : MOST_WORKERS;
  const workers = Math.max(FEWEST_WORKERS, Math.min(most, cores));
  const processors = cores === 1 ? "1 processor" : `${cores} processors`;
  if (workers === cores || workers === FEWEST_WORKERS) return { workers, reason: processors };
  const why = areSmall
    ? "small files: more would wait for each other's names"
    : "more would not keep the device busier";
  return { workers, reason: `${processors}; ${why}` };
}

/** The average is looked at again whenever this many more files are known. */
export const WORKER_REVIEW_FILES = 256;
