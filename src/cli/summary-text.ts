/** The end of a run in words: what was done, what was not, and what failed, by name. */
import { errnoText } from "../core/errno.ts";
import type { Failure, RunSummary } from "../core/events.ts";
import { printable } from "../core/paths.ts";
import { formatBytes, formatCount, formatDuration, formatRate, plural } from "./format.ts";
import { rootOr } from "./json-printer.ts";
import type { RunFacts } from "./printer.ts";

const LABEL_WIDTH = 12;

const SKIP_WORDS: Readonly<Record<string, string>> = {
  excluded: "excluded",
  size: "by size",
  age: "by age",
  special: "special files",
  existing: "existing",
  newer: "newer in the target",
  mount: "mount points",
  missing: "not in the target",
};

export function summaryLines(summary: RunSummary, facts: RunFacts, verbose: boolean): string[] {
  if (facts.verb === "check") return checkLines(summary);
  const { counters } = summary;
  const would = facts.dryRun ? "would be " : "";
  const changed =
    counters.filesTransferred +
    counters.created +
    counters.updated +
    counters.repaired +
    counters.linked +
    counters.directoriesCreated +
    counters.deleted +
    counters.sourcesRemoved +
    counters.failed;
  const lines: string[] = [];
  if (changed === 0 && summary.exitCode === 0) {
    lines.push(
      `Up to date: ${formatCount(counters.entriesExamined)} examined in ${formatDuration(summary.durationMs)}`,
    );
    return [...lines, ...detailLines(summary, verbose)];
  }
  lines.push(
    row("Examined", `${plural(counters.entriesExamined, "entry", "entries")} in ${formatDuration(summary.durationMs)}`),
  );
  lines.push(row("Transferred", transferText(summary, facts)));
  lines.push(
    ...optionalRow("Created", counters.created, `${would}new`),
    ...optionalRow("Updated", counters.updated, `${would}replaced`),
    ...optionalRow("Directories", counters.directoriesCreated, `${would}new`),
    ...optionalRow("Linked", counters.linked, `${would}hard links`),
    ...optionalRow("Repaired", counters.repaired, "attributes only"),
    ...optionalRow("Unchanged", counters.unchanged, ""),
    ...optionalRow("Deleted", counters.deleted, facts.dryRun ? "would be deleted" : ""),
    ...optionalRow("Removed", counters.sourcesRemoved, `${would === "" ? "" : "would be removed, "}from the source`),
  );
  return [...lines, ...detailLines(summary, verbose)];
}

function checkLines(summary: RunSummary): string[] {
  const { counters } = summary;
  const examined = `${formatCount(counters.entriesExamined)} examined in ${formatDuration(summary.durationMs)}`;
  const verdict = summary.exitCode === 0 ? "Equal" : summary.exitCode === 1 ? "Different" : "Not known";
  const differences =
    summary.exitCode === 1 && summary.message !== undefined ? `${printable(Buffer.from(summary.message))}, ` : "";
  return [
    `${verdict}: ${differences}${examined}`,
    ...optionalRow("Failed", counters.failed, ""),
    ...skippedLines(summary),
  ];
}

function transferText(summary: RunSummary, { dryRun }: RunFacts): string {
  const { counters, durationMs } = summary;
  if (dryRun) return `${plural(counters.filesToTransfer, "file")}, ${formatBytes(counters.bytesToTransfer)} (would be)`;
  const moved = plural(counters.filesTransferred, "file");
  const seconds = durationMs / 1000;
  const rate = seconds > 0 && counters.bytesLogical > 0 ? ` (${formatRate(counters.bytesLogical / seconds)})` : "";
  // A clone shares its bytes instead of moving them.
  const shared =
    counters.bytesLogical !== counters.bytesTransferred
      ? `, of which ${formatBytes(counters.bytesTransferred)} moved`
      : "";
  return `${moved}, ${formatBytes(counters.bytesLogical)}${rate}${shared}`;
}

function detailLines(summary: RunSummary, verbose: boolean): string[] {
  const lines = skippedLines(summary);
  if (summary.counters.vanished > 0) lines.push(row("Vanished", formatCount(summary.counters.vanished)));
  if (summary.counters.failed > 0) lines.push(row("Failed", `${formatCount(summary.counters.failed)} (named above)`));
  const methods = Object.entries(summary.methods).filter(([, files]) => files > 0);
  if (methods.length > 0)
    lines.push(row("Copied by", methods.map(([name, files]) => `${name} ${formatCount(files)}`).join(", ")));
  if (verbose) {
    for (const { method, reason } of summary.refused) {
      lines.push(row("Refused", `${method}: ${reason}`));
    }
  }
  const { shards, bundles, large, direct } = summary.plan;
  const mix = [
    [shards, "tar shards"],
    [bundles, "bundles"],
    [large, "large files"],
    [direct, "direct"],
  ] as const;
  const tasks = mix.filter(([count]) => count > 0).map(([count, name]) => `${formatCount(count)} ${name}`);
  if (tasks.length > 0) lines.push(row("Planned as", tasks.join(", ")));
  if (verbose && summary.workers > 0)
    lines.push(row("Engine", `${summary.backend}, ${plural(summary.workers, "worker")}`));
  return lines;
}

function skippedLines(summary: RunSummary): string[] {
  const skipped = Object.entries(summary.skipped).filter(([, entries]) => entries > 0);
  if (skipped.length === 0) return [];
  return [
    row(
      "Skipped",
      skipped.map(([reason, entries]) => `${formatCount(entries)} ${SKIP_WORDS[reason] ?? reason}`).join(", "),
    ),
  ];
}

function row(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)} ${text}`.trimEnd();
}

function optionalRow(label: string, count: number, words: string): string[] {
  return count === 0 ? [] : [row(label, words === "" ? formatCount(count) : `${formatCount(count)} ${words}`)];
}

/** All failures in one block that can be copied as it is. */
export function failureLines(summary: RunSummary): string[] {
  const { failures, counters } = summary;
  const total = Math.max(counters.failed, failures.length);
  if (failures.length === 0) return [];
  const lines = [`Failed (${formatCount(total)}):`, ...failures.map((failure) => `  ${failureLine(failure)}`)];
  const more = total - failures.length;
  if (more > 0) lines.push(`  and ${formatCount(more)} more; --json lists each`);
  return lines;
}

export function failureLine({ path, side, operation, message }: Failure): string {
  const doing = operation === "" ? "" : `cannot ${operation}: `;
  return `${printable(rootOr(path))}: ${doing}${printable(Buffer.from(message))} (${side})`;
}

/** Attributes that could not be applied, one line a kind. */
export function attributeLines(summary: RunSummary): string[] {
  return summary.attributeWarnings.map(
    ({ attribute, errno, entries }) =>
      `warning: could not set ${attribute} on ${plural(entries, "entry", "entries")}: ${errnoText(errno)}`,
  );
}
