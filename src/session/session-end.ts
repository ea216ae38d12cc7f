/** How a session between two processes came to an end before its run did, as exit code and words. */
import { ExitCode } from "../core/exit-codes.ts";
import { RunError } from "../core/run-error.ts";
import type { StreamFailure } from "../link/control-stream.ts";

/** The connection is gone: another try may go on from what is there. */
export class SessionLost extends RunError {
  constructor(failure: StreamFailure, peer: string) {
    const [exitCode, reason, what] = LOST[failure.kind];
    super(
      exitCode,
      reason,
      `${what(peer)}: ${failure.message}; what is there is whole, and the next run goes on from here`,
    );
    this.name = "SessionLost";
  }
}

const LOST: Readonly<Record<StreamFailure["kind"], readonly [ExitCode, string, (peer: string) => string]>> = {
  broken: [ExitCode.stream, "connection_lost", (peer) => `the connection to ${peer} broke`],
  cut: [ExitCode.stream, "connection_lost", (peer) => `the connection to ${peer} broke`],
  silent: [ExitCode.timeout, "timeout", (peer) => `nothing more came from ${peer}`],
  misbehaved: [ExitCode.protocol, "protocol", (peer) => `the protocol was broken by ${peer}`],
};
