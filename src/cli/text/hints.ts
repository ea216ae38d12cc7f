/**
 * Hints for people who are new: each at most once in the life of an account, after a run that went well, on a terminal.
 * What was told is kept in $XDG_STATE_HOME/fastsync (~/.local/state/fastsync). Where that cannot be read or written
 * nothing is told: a hint that comes each time would be worse than none.
 */
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import type { RunSummary } from "../../core/events.ts";
import { makeStateDirectory, type StatePlace, statePlace } from "../../history/state-place.ts";
import type { Placement } from "../../session/api.ts";
import type { RunFacts } from "../report/printer.ts";

export interface HintSituation {
  readonly facts: RunFacts;
  readonly placement: Placement;
  readonly summary: Pick<RunSummary, "exitCode" | "counters">;
}

interface Hint {
  /** The name of its mark; never used for another hint. */
  readonly name: string;
  readonly fits: (situation: HintSituation) => boolean;
  readonly text: string;
}

/** The first that fits and was not told is told; the others wait for another run. */
const HINTS: readonly Hint[] = [
  {
    name: "slash",
    fits: ({ facts, placement, summary: { counters } }) =>
      facts.verb !== "check" &&
      placement.sources.some(({ kind }) => kind === "entry") &&
      counters.directoriesExamined > 1 &&
      counters.directoriesCreated > 0,
    text: "SOURCE without a slash at its end goes into TARGET under its own name; SOURCE/ means what is inside it.",
  },
  {
    name: "dry-run",
    fits: ({ facts, summary }) => facts.verb === "mirror" && !facts.dryRun && summary.counters.deleted > 0,
    text: "mirror -n shows what would be copied and deleted, and touches nothing.",
  },
  {
    name: "completions",
    fits: ({ facts }) => facts.verb === "copy" || facts.verb === "mirror",
    text: "fastsync completions bash (or zsh, fish) makes the shell complete verbs, flags and places.",
  },
];

export interface HintSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Somebody reads both outputs. */
  readonly onTerminal: boolean;
  readonly quiet: boolean;
  readonly json: boolean;
}

/** The hint for this run, marked as told; undefined: none. */
export function takeHint(
  situation: HintSituation,
  { env, onTerminal, quiet, json }: HintSurroundings,
): string | undefined {
  if (!onTerminal || quiet || json || situation.summary.exitCode !== 0 || isAutomated(env)) return undefined;
  const place = statePlace(env);
  if (place === undefined) return undefined;
  const hint = HINTS.find(({ fits, name }) => fits(situation) && mark(place, name));
  return hint === undefined ? undefined : `hint: ${hint.text} (This is told once.)`;
}

/** Terminals of build services have nobody in front of them. */
function isAutomated(env: HintSurroundings["env"]): boolean {
  return (env["CI"] ?? "") !== "" || env["TERM"] === "dumb";
}

/** True for who makes the mark; of two runs at a time one. */
function mark(place: StatePlace, name: string): boolean {
  try {
    makeStateDirectory(place);
    closeSync(openSync(join(place.directory, `hint-${name}`), "wx", 0o600));
    return true;
  } catch {
    return false;
  }
}
