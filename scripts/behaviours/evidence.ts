/** What the outcome of one test says about the rows of the table. */
import { type Column, columnOf, type Run } from "../../test/behaviours/row-tests.ts";
import { rowsOf } from "../../test/behaviours/rows.ts";
import type { Outcome, State } from "./junit.ts";

export interface Evidence {
  readonly row: string;
  readonly title: string;
  readonly state: State;
  /** Why it was skipped, where its title says so. */
  readonly reason?: string;
  /** Undefined: it is about rsync. */
  readonly column?: Column;
  readonly reference?: Reference;
  readonly user: "root" | "ordinary user";
  readonly filesystem?: string;
}

export interface Reference {
  readonly verdict: "agrees" | "differs";
  /** In what. */
  readonly text: string;
}

const REFERENCE = /^(?:[BS]\d\d[ :,]*)+rsync (agrees|differs): (.*)$/s;
const REASON = /\((?:skipped|not in this placement): ([^\n]*)\)$/;

export function evidenceOf(outcomes: readonly Outcome[], run: Run, runsAs: Evidence["user"]): Evidence[] {
  return outcomes.flatMap(({ file, titles, state }) => {
    // A test that names rows itself is not about all of its group's.
    const naming = titles.findLast((title) => rowsOf(title).length > 0);
    const title = titles.at(-1)!;
    const all = titles.join(" / ");
    const found = REFERENCE.exec(title);
    const reference = found && { verdict: found[1] as Reference["verdict"], text: withoutReason(found[2]!) };
    const reason = titles.map((one) => REASON.exec(one)?.[1]).findLast((one) => one !== undefined);
    const filesystem = / on (xfs-noreflink|xfs|ext4|btrfs|tmpfs|ramfs)\b/.exec(all)?.[1];
    return rowsOf(naming ?? "").map((row) => ({
      row,
      title: all,
      state,
      user: /\bordinary\b/.test(all) ? "ordinary user" : runsAs,
      ...(reason === undefined ? {} : { reason }),
      ...(filesystem === undefined ? {} : { filesystem }),
      ...(reference ? { reference } : { column: columnOf(file, run) }),
    }));
  });
}

function withoutReason(text: string): string {
  return text.replace(REASON, "").trimEnd();
}
