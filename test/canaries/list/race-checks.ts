/** The races of `test/behaviours/race-cases.ts`, as checks. */
import type { RaceCell } from "../../behaviours/races.ts";
import type { Check } from "../mutation.ts";

const TITLES = {
  source: "S01 S02 source directories:",
  made: "S03 S05 target directories: nothing is made outside",
  replaced: "S03 S04 target directories: nothing outside is replaced",
  inPlace: "S04 target directories, by --inplace",
  denied: "S04 directories that deny their owner",
  deleted: "S06 the delete pass: only",
  extras: "S06 the delete pass below",
  moved: "S06 source removal by move",
  backup: "S03 S05 directories of backups",
  pushed: "S05 S15 a place below flipped directories",
  pulled: "S01 S15 a place below flipped directories",
  operator: "S09 the operator's own paths",
  sourceFiles: "S07 source files: a link",
  targetFiles: "S04 S07 target files: a link",
  hashed: "S07 target files, by --checksum with --copy-links",
  fullDirectory: "S07 target files: a directory",
  newLinks: "S04 S07 new links:",
  large: "S07 large files:",
} as const;

export type RaceName = keyof typeof TITLES;

/** What a race says when the outside was written to, and when it was opened or read. */
export const CHANGED = "the outside changed";
export const TOUCHED = "the outside was";

export function raceCheck(
  name: RaceName,
  backend: "native" | "portable",
  { placement, user }: RaceCell = { placement: "local", user: "root" },
): Check {
  const test = `races, ${placement}, ${user}: ${TITLES[name]}`;
  return { file: "test/behaviours/security-races.test.ts", test, backend };
}
