/** Errors of the system as the numbers that `Backend` answers: 0, or a negative errno. */
import os from "node:os";

export const E = os.constants.errno;

/** An error of our own that answers with an errno, like those of node:fs. */
export class StatusError extends Error {
  /** Negative, as node:fs has it. */
  readonly errno: number;
  constructor(status: number) {
    super(`errno ${-status}`);
    this.errno = status;
  }
}

/** The negative errno of a system error; anything else is a bug and goes on. */
export function statusOf(error: unknown): number {
  if (error instanceof Error && "errno" in error && typeof error.errno === "number" && error.errno !== 0) {
    return error.errno < 0 ? error.errno : -error.errno;
  }
  throw error;
}

/** Runs it; 0 or a negative errno. */
export function attempt(work: () => unknown): number {
  try {
    work();
    return 0;
  } catch (error) {
    return statusOf(error);
  }
}

/**
 * The call, again while it is interrupted, and while something would have to be waited for, at most `waitMs`: see
 * `fsy_again` in `ffi/fault.h`. Waiting holds up the whole thread.
 */
export function again<T>(call: () => T, waitMs = 1000): T {
  for (let pauseMs = 1, leftMs = waitMs; ; ) {
    try {
      return call();
    } catch (error) {
      const status = statusOf(error);
      if (status === -E.EINTR) continue;
      if (status !== -E.EAGAIN || leftMs <= 0) throw error;
      Bun.sleepSync(pauseMs);
      leftMs -= pauseMs;
      pauseMs = Math.min(pauseMs * 2, 100);
    }
  }
}

/** Turns a negative answer into an error. */
export function must(answer: number): number {
  if (answer < 0) throw new StatusError(answer);
  return answer;
}

const REFUSALS = new Set<number>([E.EPERM, E.EACCES, E.ENOTSUP, E.EOPNOTSUPP, E.ENOSYS, E.EINVAL, E.EROFS, E.ENOTTY]);
/** Not permitted, or not known here: worth a warning, not a failure. */
export function isRefusal(status: number): boolean {
  return REFUSALS.has(-status);
}
