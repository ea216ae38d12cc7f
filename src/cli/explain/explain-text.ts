/** `explain` as text for people, and as one line of JSON. */
import { printable } from "../../core/paths.ts";
import { formatBytes, formatCount, formatDuration, plural } from "../report/format.ts";
import { pathFields } from "../report/json-printer.ts";
import { hanging, wrap } from "../report/screen.ts";
import { plain } from "../report/text-printer.ts";
import type { Explained, Preview, Side } from "./explain-plan.ts";
import { sideText } from "./explain-plan.ts";

const LABEL = 16;

export function explainText(
  { verb, preview, source, target, methods, decisions }: Explained,
  notes: readonly string[],
  width: number,
): string {
  const row = (label: string, text: string, column = LABEL): string[] => hanging(label.padEnd(column), text, width);
  const { placement } = preview;
  const state = placement.targetExists ? "" : " (new)";
  const sources = placement.sources.map(({ path }) => printable(path)).join(", ");
  const lines = [
    ...wrap(
      `explain${verb === undefined ? "" : ` ${verb}:`} ${sources} -> ${printable(placement.target)}${state}`,
      width,
    ),
    "",
    ...row("source", sideText(source)),
    ...row("target", sideText(target)),
    ...row("to do", workText(preview)),
    ...row("deletions", deletionText(preview, verb !== undefined)),
    ...preview.notices.filter(({ code }) => !SAID.has(code)).flatMap(({ message }) => row("note", plain(message))),
    "",
    ...decisions.flatMap(({ topic, value, reason }) => row(topic.replaceAll("_", " "), `${value}: ${plain(reason)}`)),
  ];
  if (methods !== undefined) {
    lines.push("", ...wrap("Methods, in this order; what a filesystem refuses falls to the next:", width));
    for (const { method, outlook, reason } of methods)
      lines.push(...row(`  ${method}`, outlook === "off" ? `not tried: ${reason}` : reason, LABEL + 4));
  }
  if (notes.length > 0) lines.push("", ...notes.flatMap((note) => wrap(plain(note), width)));
  lines.push("", "Nothing was changed.");
  return `${lines.join("\n")}\n`;
}

/** Remarks that a decision tells already. */
const SAID: ReadonlySet<string> = new Set(["in_stream", "relayed", "socket_buffers", "deletion_limit", "empty_source"]);

function workText({ counters, durationMs }: Preview): string {
  const { filesToTransfer, bytesToTransfer, directoriesCreated, repaired, linked, unchanged, failed } = counters;
  const parts = [
    filesToTransfer === 0
      ? "nothing to copy"
      : `${plural(filesToTransfer, "file")} to copy, ${formatBytes(bytesToTransfer)}`,
    ...(directoriesCreated > 0 ? [`${plural(directoriesCreated, "directory", "directories")} to make`] : []),
    ...(repaired > 0 ? [`${formatCount(repaired)} whose attributes alone differ`] : []),
    ...(linked > 0 ? [`${plural(linked, "hard link")} to make`] : []),
    ...(unchanged > 0 ? [`${formatCount(unchanged)} as they should be`] : []),
    ...(failed > 0 ? [`${formatCount(failed)} that cannot be read`] : []),
  ];
  const examined = plural(counters.entriesExamined, "entry", "entries");
  return `${parts.join(", ")} (${examined} examined in ${formatDuration(durationMs)})`;
}

/** `isMirror`: it is about a run that deletes, and not about any. */
function deletionText({ deletions: { entries, refusal } }: Preview, isMirror: boolean): string {
  if (entries === undefined) return `not counted: ${plain(refusal ?? "not looked at")}`;
  if (entries === 0) return "none: the target has nothing that the source lacks";
  const found = `${plural(entries, "entry", "entries")} in the target only`;
  if (isMirror)
    return refusal === undefined
      ? `${found}, to be deleted after everything arrived`
      : `${found}, and none would be deleted: ${plain(refusal)}`;
  return refusal === undefined
    ? `${found}: copy and sync leave them, mirror and sync --delete would delete them`
    : `${found}: copy and sync leave them. A mirror would too: ${plain(refusal)}`;
}

export function explainJson({ verb, preview, source, target, methods, decisions }: Explained): object {
  const { placement, counters, deletions, network } = preview;
  return {
    schema: 1,
    type: "explain",
    ...(verb === undefined ? {} : { verb }),
    sources: placement.sources.map(({ path, kind }) => ({ ...pathFields(path), kind, ...sideJson(source) })),
    target: { ...pathFields(placement.target), exists: placement.targetExists, ...sideJson(target) },
    examined: counters.entriesExamined,
    files_to_transfer: counters.filesToTransfer,
    bytes_to_transfer: counters.bytesToTransfer,
    directories_to_create: counters.directoriesCreated,
    to_repair: counters.repaired,
    to_link: counters.linked,
    unchanged: counters.unchanged,
    unreadable: counters.failed,
    deletions: { entries: deletions.entries ?? null, refusal: deletions.refusal ?? null },
    ...(methods === undefined
      ? {}
      : {
          methods: methods.map(({ method, outlook, reason }) => ({
            method,
            tried: outlook !== "off",
            ...(outlook === "off" ? {} : { outlook }),
            reason,
          })),
        }),
    ...(network?.roundTripMs === undefined ? {} : { round_trip_ms: Math.round(network.roundTripMs * 1000) / 1000 }),
    decisions: decisions.map(({ topic, value, reason }) => ({ topic, value, reason })),
    notices: preview.notices.map(({ code, message }) => ({ code, message })),
    duration_ms: preview.durationMs,
  };
}

function sideJson({ kind, facts }: Side): object {
  if (facts === undefined) return { place: kind };
  const { dev, rotational, remote } = facts;
  return {
    place: kind,
    filesystem: sideText({ kind, facts }).split(" ", 1)[0],
    device: `${dev >>> 20}:${dev & 0xfffff}`,
    rotational,
    remote,
  };
}
