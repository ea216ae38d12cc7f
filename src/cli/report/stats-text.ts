/** The block of `--stats`: what rsync's users look for, with every row there whatever its number is. */
import type { Phase, RunSummary } from "../../core/events.ts";
import { formatBytes, formatCount, formatDuration, formatRate, plural } from "./format.ts";
import type { PhaseTimes, RunFacts } from "./printer.ts";
import { networkText, row, SOURCES_WOULD_GO, workLines } from "./summary-text.ts";

const WORDS: Readonly<Record<Phase, string>> = {
  scanning: "scanning",
  copying: "copying after the scan",
  linking: "linking",
  deleting: "deleting",
  finishing: "finishing",
};

export function statsLines(summary: RunSummary, facts: RunFacts, phases: PhaseTimes): string[] {
  const { counters, durationMs } = summary;
  const seconds = durationMs / 1000;
  const regular = counters.filesExamined - counters.symlinksExamined - counters.specialsExamined;
  const kinds = [
    plural(regular, "file"),
    plural(counters.directoriesExamined, "directory", "directories"),
    plural(counters.symlinksExamined, "symbolic link"),
    plural(counters.specialsExamined, "special file"),
  ];
  const matched = Math.max(0, counters.bytesLogical - counters.bytesTransferred);
  const sources = plural(counters.sourcesRemoved, "source");
  const would = onlyWould(facts) ? " (would be)" : "";
  const onlyLooks = facts.dryRun || facts.verb === "check";
  return [
    onlyLooks ? "Statistics (nothing was changed)" : "Statistics",
    row("Source", kinds.join(", ")),
    row("Source size", exactBytes(counters.bytesExamined)),
    row(
      facts.verb === "check" ? "Source only" : "New",
      `${plural(counters.created, "file")}, ${plural(counters.directoriesCreated, "directory", "directories")}${would}`,
    ),
    facts.verb === "check"
      ? row("Different", plural(counters.updated, "file"))
      : row("Replaced", `${plural(counters.updated, "file")}${would}`),
    row("Repaired", `${plural(counters.repaired, "entry", "entries")}${would}, attributes only`),
    row("Linked", `${plural(counters.linked, "name")}${would}`),
    row("Unchanged", plural(counters.unchanged, "entry", "entries")),
    facts.verb === "check"
      ? row("Target only", plural(counters.deleted, "entry", "entries"))
      : row("Deleted", `${plural(counters.deleted, "entry", "entries")}${would}`),
    ...(facts.verb === "move" ? [row("Removed", facts.dryRun ? SOURCES_WOULD_GO : sources)] : []),
    row("Failed", `${formatCount(counters.failed)}, vanished ${formatCount(counters.vanished)}`),
    row("Compared", `${exactBytes(counters.bytesCompared)} by content`),
    row("Transferred", `${plural(counters.filesTransferred, "file")}, ${exactBytes(counters.bytesLogical)}`),
    row("Literal", `${exactBytes(counters.bytesTransferred)} moved`),
    row("Matched", `${exactBytes(matched)} shared, already there or holes`),
    ...(summary.network === undefined ? [] : [row("Network", networkText(summary.network))]),
    ...workLines(summary),
    row("Speedup", speedup(summary)),
    row("Time", timeText(durationMs, phases)),
    row("Rate", seconds > 0 ? formatRate(counters.bytesLogical / seconds) : "-"),
  ];
}

/** A check is no run that was only tried: its numbers are what it found. */
function onlyWould({ dryRun, verb }: RunFacts): boolean {
  return dryRun && verb !== "check";
}

/** With the exact number, since a rounded one cannot be compared. */
function exactBytes(bytes: number): string {
  return bytes < 1024 ? formatBytes(bytes) : `${formatBytes(bytes)} (${formatCount(bytes)} bytes)`;
}

/** The size of the source by what had to move for it. */
function speedup({ counters, network }: RunSummary): string {
  const moved = network?.bytes ?? counters.bytesTransferred;
  if (moved === 0) return counters.bytesExamined === 0 ? "-" : "nothing had to move";
  const times = counters.bytesExamined / moved;
  return `${times >= 100 ? formatCount(times) : times.toFixed(2)}, the size of the source by what moved`;
}

function timeText(durationMs: number, phases: PhaseTimes): string {
  const parts = (Object.entries(phases) as [Phase, number][])
    .filter(([, ms]) => ms >= 1)
    .map(([phase, ms]) => `${WORDS[phase]} ${formatDuration(ms)}`);
  return `${formatDuration(durationMs)}${parts.length === 0 ? "" : `: ${parts.join(", ")}`}`;
}
