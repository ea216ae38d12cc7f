import type { ExitCode } from "./exit-codes.ts";

/** A run that cannot go on as a whole. Its message is for people and names the thing and the way out. */
export class RunError extends Error {
  readonly exitCode: ExitCode;
  /** A stable word for scripts. */
  readonly reason: string;

  constructor(exitCode: ExitCode, reason: string, message: string) {
    super(message);
    this.name = "RunError";
    this.exitCode = exitCode;
    this.reason = reason;
  }
}
