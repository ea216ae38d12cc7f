/** The end of a run in words: what was done, what was not, and what failed, by name. */
import { E, errnoText, isDenied } from "../../core/errno.ts";
import { type Failure, type NetworkSummary, type RunSummary, type SkipReason, skipEntries } from "../../core/events.ts";
import { printable } from "../../core/paths.ts";
import { DENIED_WAY } from "./ending-text.ts";
import { formatBytes, formatCount, formatDuration, formatRate, plural } from "./format.ts";
import { rootOr } from "./json-printer.ts";
import type { RunFacts } from "./printer.ts";

const LABEL_WIDTH = 12;
/** A block of failures that is longer would push everything else off the screen. */
const FAILURES_SHOWN = 50;

/** What follows the number; two where one and many differ. */
const SKIP_WORDS: Readonly<Record<SkipReason, string | readonly [one: string, many: string]>> = {
  excluded: "excluded",
  size: "by size",
  age: "by age",
  special: ["special file", "special files"],
  device: ["device (needs root)", "devices (need root)"],
  unsafe_link: ["unsafe link", "unsafe links"],
  empty_directory: ["empty directory", "empty directories"],
  temporary: "temporary",
  target_inside_source: "the target itself",
  earlier_source: "named by an earlier source",
  existing: "existing",
  newer: "newer in the target",
  missing_in_target: "not in the target",
  protected: "protected",
  mount_in_target: ["mount point in the target", "mount points in the target"],
  hard_link_copied: ["hard link became a copy", "hard links became copies"],
};

/** Which ones is known only when they have arrived. */
export const SOURCES_WOULD_GO = "each source that arrives (would be)";

/** `details`: how it was done, and not only what; statistics have that too. */
export function summaryLines(summary: RunSummary, facts: RunFacts, verbose: boolean, details = true): string[] {
  if (summary.job !== undefined) {
    const { id, daemon } = summary.job;
    const at = printable(Buffer.from(daemon));
    return [`Detached: job ${id} goes on at ${at}`, `  fastsync jobs watch ${at} ${id} follows it to its end`];
  }
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
  const linked = counters.linked > 1 ? "hard links" : would === "" ? "hard link" : "a hard link";
  const lines: string[] = [];
  if (changed === 0 && summary.exitCode === 0) {
    lines.push(
      `Up to date: ${formatCount(counters.entriesExamined)} examined in ${formatDuration(summary.durationMs)}`,
    );
    return [...lines, ...detailLines(summary, verbose, details)];
  }
  lines.push(
    row("Examined", `${plural(counters.entriesExamined, "entry", "entries")} in ${formatDuration(summary.durationMs)}`),
  );
  lines.push(row("Transferred", transferText(summary, facts)));
  lines.push(
    ...optionalRow("Created", counters.created, `${would}new`),
    ...optionalRow("Updated", counters.updated, `${would}replaced`),
    ...optionalRow("Directories", counters.directoriesCreated, `${would}new`),
    ...optionalRow("Linked", counters.linked, `${would}${linked}`),
    ...optionalRow("Repaired", counters.repaired, "attributes only"),
    ...optionalRow("Unchanged", counters.unchanged, ""),
    ...optionalRow("Deleted", counters.deleted, facts.dryRun ? "would be deleted" : ""),
    ...optionalRow("Removed", counters.sourcesRemoved, "from the source"),
    ...(facts.dryRun && facts.verb === "move" ? [row("Removed", SOURCES_WOULD_GO)] : []),
  );
  return [...lines, ...detailLines(summary, verbose, details)];
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
  return `${moved}, ${formatBytes(counters.bytesLogical)}${rate}${movedText(counters)}`;
}

/** A clone shares its bytes instead of moving them; a file that was not finished moved some for nothing yet. */
function movedText({ bytesLogical, bytesTransferred }: RunSummary["counters"]): string {
  if (bytesTransferred === bytesLogical) return "";
  const moved = formatBytes(bytesTransferred);
  return bytesTransferred > bytesLogical ? `; ${moved} moved, unfinished files included` : `, of which ${moved} moved`;
}

function detailLines(summary: RunSummary, verbose: boolean, details: boolean): string[] {
  const { counters } = summary;
  const lines = skippedLines(summary);
  if (counters.vanished > 0) lines.push(row("Vanished", formatCount(counters.vanished)));
  if (counters.failed > 0) {
    const named = counters.failed > FAILURES_SHOWN ? `the first ${FAILURES_SHOWN} named above` : "named above";
    lines.push(row("Failed", `${formatCount(counters.failed)} (${named})`));
  }
  if (!details) return lines;
  lines.push(...methodLines(summary));
  if (verbose) lines.push(...refusedLines(summary));
  if (verbose) lines.push(...planLines(summary));
  if (verbose) lines.push(...engineLines(summary));
  if (verbose && summary.network !== undefined) lines.push(row("Network", networkText(summary.network)));
  return lines;
}

function methodLines({ methods }: RunSummary): string[] {
  const used = Object.entries(methods).filter(([, files]) => files > 0);
  if (used.length === 0) return [];
  return [row("Copied by", used.map(([name, files]) => `${name} ${formatCount(files)}`).join(", "))];
}

function refusedLines({ refused }: RunSummary): string[] {
  return refused.map(({ method, reason }) => row("Refused", `${method}: ${reason}`));
}

function planLines({ plan: { shards, bundles, large, direct } }: RunSummary): string[] {
  const mix = [
    [shards, "shard", "shards"],
    [bundles, "bundle", "bundles"],
    [large, "large file", "large files"],
    [direct, "direct", "direct"],
  ] as const;
  const tasks = mix.filter(([count]) => count > 0).map(([count, one, many]) => plural(count, one, many));
  return tasks.length === 0 ? [] : [row("Planned as", tasks.join(", "))];
}

function engineLines({ backend, workers }: RunSummary): string[] {
  if (backend === undefined || workers === undefined) return [];
  return [row("Engine", `${backend}, ${plural(workers, "worker")}`)];
}

/** How it was done, for who looks at figures. */
export function workLines(summary: RunSummary): string[] {
  return [...methodLines(summary), ...refusedLines(summary), ...planLines(summary), ...engineLines(summary)];
}

export function networkText({ carrier, streams, bytes, firstContentMs, roundTripMs }: NetworkSummary): string {
  const way = carrier === "in_stream" ? "in the control connection" : `on ${plural(streams, "stream")}`;
  const first = firstContentMs === undefined ? "" : `, first content after ${formatDuration(firstContentMs)}`;
  const line = roundTripMs === undefined ? "" : `, round trip ${roundTripMs.toFixed(2)} ms`;
  return `${formatBytes(bytes)} ${way}${line}${first}`;
}

function skippedLines(summary: RunSummary): string[] {
  const skipped = skipEntries(summary.skipped).filter(([, entries]) => entries > 0);
  if (skipped.length === 0) return [];
  const words = skipped.map(([reason, entries]) => {
    const known = SKIP_WORDS[reason];
    return typeof known === "string" ? `${formatCount(entries)} ${known}` : plural(entries, ...known);
  });
  return [row("Skipped", words.join(", "))];
}

export function row(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)} ${text}`.trimEnd();
}

function optionalRow(label: string, count: number, words: string): string[] {
  return count === 0 ? [] : [row(label, words === "" ? formatCount(count) : `${formatCount(count)} ${words}`)];
}

/** Failures in one block that can be copied as it is, those that vanished last. */
export function failureLines(summary: RunSummary): string[] {
  const { failures, counters } = summary;
  const total = Math.max(counters.failed + counters.vanished, failures.length);
  if (failures.length === 0) return [];
  const shown = failures.slice(0, FAILURES_SHOWN);
  const lines = [`Failed (${formatCount(total)}):`, ...shown.map((failure) => `  ${failureLine(failure)}`)];
  const more = total - shown.length;
  if (more > 0) lines.push(`  and ${formatCount(more)} more; --json and --log-file list each`);
  if (failures.some(({ errno }) => isDenied(errno))) lines.push(`  ${DENIED_WAY}`);
  return lines;
}

export function failureLine({ path, side, operation, message }: Failure): string {
  const doing = operation === "" ? "" : `cannot ${operation === "publish" ? "put in place" : operation}: `;
  return `${printable(rootOr(path))}: ${doing}${printable(Buffer.from(message))} (${side})`;
}

const OWNERS: Readonly<Record<string, string>> = { owner: "--no-owner", group: "--no-group" };

/** Files are given away by root, or by who has CAP_CHOWN. */
function attributeWay(attribute: string, errno: number): string {
  const flag = OWNERS[attribute];
  return flag === undefined || errno !== E.PERM ? "" : `; only root may, and ${flag} does not try`;
}

/** Attributes that could not be applied, one block a kind: how many entries, and the first of them by name. */
export function attributeLines(summary: RunSummary): string[] {
  return summary.attributeWarnings.flatMap(({ attribute, errno, entries, examples }) => {
    const more = entries - examples.length;
    return [
      `warning: could not set ${attribute} on ${plural(entries, "entry", "entries")}: ${errnoText(errno)}${attributeWay(attribute, errno)}`,
      ...examples.map((path) => `  ${printable(rootOr(path))}`),
      ...(examples.length > 0 && more > 0 ? [`  and ${formatCount(more)} more`] : []),
    ];
  });
}
