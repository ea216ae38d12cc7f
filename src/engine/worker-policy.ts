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

export function workersFor(facts: WorkerFacts): number {
  if (facts.rotational) return ROTATIONAL_WORKERS;
  if (facts.remote) return REMOTE_WORKERS;
  const most =
    facts.averageFileBytes !== undefined && facts.averageFileBytes < SMALL_AVERAGE_BYTES
      ? SMALL_FILE_WORKERS
      : MOST_WORKERS;
  return Math.max(FEWEST_WORKERS, Math.min(most, facts.cores));
}

/** The average is looked at again whenever this many more files are known. */
export const WORKER_REVIEW_FILES = 256;
