/** A rule that cannot be used. The message names where it was written; a merged file's text is never repeated. */
export class FilterError extends Error {
  /** `--filter 'RULE'`, or `FILE:LINE`. */
  readonly origin: string;
  /** What is wrong, without the place. */
  readonly problem: string;

  constructor(origin: string, problem: string) {
    super(`${origin}: ${problem}`);
    this.name = "FilterError";
    this.origin = origin;
    this.problem = problem;
  }
}
