/** `profile`: what earlier runs of this user took; `enable`, `disable` and `clear`. */
import { existsSync, rmSync } from "node:fs";
import { defineCommand } from "citty";
import { ExitCode } from "../../core/exit-codes.ts";
import { RunError } from "../../core/run-error.ts";
import { whyThrown } from "../../fs/denied.ts";
import { History, isBroken } from "../../history/history.ts";
import type { RunRecord } from "../../history/run-record.ts";
import { makePrivateFile, makeStateDirectory, type StatePlace, statePlace } from "../../history/state-place.ts";
import type { CommandContext } from "../context.ts";
import { failuresFile } from "../diagnostics/failures.ts";
import { proseWidthOf } from "../report/screen.ts";
import { plain } from "../report/text-printer.ts";
import { type HistoryReport, historyJson, historyText } from "../text/history-text.ts";
import { unknownWord } from "../words/parse-args.ts";
import { VERBS } from "../words/verbs.ts";

/** Runs that are shown; --json gives all. */
const SHOWN = 10;
/** Runs that the figures by kind are taken from. */
const COUNTED = 1000;

export const profileCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const { args, outputs } = data!;
    const place = statePlace(process.env);
    if (place === undefined)
      throw new RunError(
        ExitCode.selecting,
        "place_unusable",
        "neither HOME nor XDG_STATE_HOME names a place for a history",
      );
    const [what] = args.places;
    const json = args.has("json");
    const say = (text: string, fields: object): void =>
      outputs.out.line(json ? JSON.stringify({ schema: 1, type: "profile", ...fields }) : text);
    switch (what?.text ?? "show") {
      case "show": {
        const report = reportOf(place, json);
        outputs.out.write(json ? historyJson(report) : historyText(report, SHOWN, proseWidthOf(outputs.out)));
        return;
      }
      case "enable":
        attempt(() => {
          makeStateDirectory(place);
          rmSync(place.off, { force: true });
        });
        return say("Runs are noted from now on.", { enabled: true });
      case "disable":
        attempt(() => {
          makeStateDirectory(place);
          makePrivateFile(place.off);
        });
        return say("Runs are not noted any more. What was noted stays until: fastsync profile clear", {
          enabled: false,
        });
      case "clear": {
        const runs = reportOf(place, false).count;
        attempt(() => {
          for (const name of ["", "-journal", ".broken"]) rmSync(place.database + name, { force: true });
          rmSync(failuresFile(place), { force: true });
        });
        return say(`Forgot ${runs === 1 ? "1 run" : `${runs} runs`}.`, {
          cleared: runs,
          enabled: !existsSync(place.off),
        });
      }
      default:
        throw unknownWord("profile", VERBS.profile.operands, what!);
    }
  },
});

function attempt(change: () => void): void {
  try {
    change();
  } catch (error) {
    const { path } = error as NodeJS.ErrnoException;
    const where = path === undefined ? "the history cannot be changed" : `${path} cannot be changed`;
    throw new RunError(ExitCode.fileIo, "place_unusable", plain(`${where}: ${whyThrown(error)}`));
  }
}

function reportOf(place: StatePlace, all: boolean): HistoryReport {
  const enabled = !existsSync(place.off);
  const base = { enabled, path: place.database, count: 0, runs: [] as readonly RunRecord[] };
  if (!existsSync(place.database)) return { ...base, problem: undefined };
  try {
    using history = History.read(place);
    return {
      ...base,
      count: history.count,
      runs: history.latest(all ? Number.MAX_SAFE_INTEGER : COUNTED),
      problem: undefined,
    };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const way = isBroken(error) ? "; the next run begins a new one, or: fastsync profile clear" : "";
    return { ...base, problem: `${message}${way}` };
  }
}
