/** What is not checked with one side behind a daemon, and why. Everything else is. */
import type { Placement } from "../support/placement.ts";

interface LeftOut {
  /** How the name of the test or of the group begins. */
  readonly name: string;
  /** Default: both. */
  readonly placement?: Placement;
  readonly reason: string;
}

const STREAMED = "between two processes content travels in streams, by no method of copying";
const IN_MODULE = "a path in a module is never followed through a symbolic link";
const ABSOLUTE = "a daemon takes absolute links as leading out of the module";

export const LEFT_OUT: readonly LeftOut[] = [
  { name: "every way of copying", reason: STREAMED },
  { name: "--no-zero-copy and its variables", reason: STREAMED },
  { name: "the ladder, from a RAM filesystem to this disk", reason: STREAMED },
  { name: "B10 1,100 descriptors", reason: "about the one process that inherits them" },

  { name: "B23 a target that is the operator's own link", placement: "push", reason: IN_MODULE },
  { name: "B23 an ordinary user's own link and one of root's", placement: "push", reason: IN_MODULE },
  { name: "S09 B23 a target that is another user's link", placement: "push", reason: IN_MODULE },
  { name: "S10 --temp-dir, --backup-dir and lists through links", placement: "push", reason: IN_MODULE },
  { name: "S10 source and target given by links", reason: IN_MODULE },
  { name: "B23 a source argument that is a link", placement: "pull", reason: IN_MODULE },
  { name: "S33 names that look like flags", placement: "pull", reason: IN_MODULE },

  { name: "B18 --copy-links puts referents", placement: "pull", reason: ABSOLUTE },
];

/** Why a test is left out, or undefined. */
export function leftOut(name: string, placement: Placement): string | undefined {
  return LEFT_OUT.find(
    (entry) => name.startsWith(entry.name) && (entry.placement === undefined || entry.placement === placement),
  )?.reason;
}
