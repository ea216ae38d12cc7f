/** What is not checked with one side behind a daemon, and why. Everything else is. */
import type { Placement } from "../support/placement.ts";

interface LeftOut {
  /** How the name of the test or of the group begins. */
  readonly name: string;
  /** Default: both. */
  readonly placement?: Placement;
  readonly reason: string;
}

export const LEFT_OUT: readonly LeftOut[] = [];

/** Why a test is left out, or undefined. */
export function leftOut(name: string, placement: Placement): string | undefined {
  return LEFT_OUT.find(
    (entry) => name.startsWith(entry.name) && (entry.placement === undefined || entry.placement === placement),
  )?.reason;
}
