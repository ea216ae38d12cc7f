/** Exit codes; the numbers are rsync's, so that scripts keep their meaning. */
export const ExitCode = {
  ok: 0,
  /** Wrong command line. For `check`: the trees differ. */
  usage: 1,
  protocol: 2,
  /** A source or target argument could not be used. */
  selecting: 3,
  starting: 5,
  socket: 10,
  fileIo: 11,
  stream: 12,
  interrupted: 20,
  /** Some items failed, or some attributes could not be applied. */
  partial: 23,
  /** Source files vanished while the run went on; everything else arrived. */
  vanished: 24,
  /** Deletions were refused: by a guard, by --max-delete, or by the person asked. */
  deletionRefused: 25,
  timeout: 30,
  connectTimeout: 35,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** A number that a peer says is an exit code. */
export function isExitCode(value: number): value is ExitCode {
  return (Object.values(ExitCode) as number[]).includes(value);
}
/** Of a refusal: whatever the peer says, it is no success. */
export function failureExitCode(value: number): ExitCode {
  return isExitCode(value) && value !== ExitCode.ok ? value : ExitCode.protocol;
}
