/** What `capabilities` found, as text and as JSON. */
import { errnoName, errnoText } from "../../core/errno.ts";
import type { CopyMethod } from "../../core/options.ts";
import type { BackendCapabilities, ProbeResult } from "../../fs/backend.ts";
import { filesystemName } from "../../fs/filesystems.ts";
import { plural } from "../report/format.ts";
import { hanging } from "../report/screen.ts";
import { plain } from "../report/text-printer.ts";

export interface CapabilitiesReport {
  readonly backend: "native" | "portable";
  readonly reason: string;
  readonly candidates: readonly { readonly place: string; readonly outcome: string }[];
  readonly openFiles: number;
  readonly workers: number;
  readonly capabilities: BackendCapabilities;
  /** The variable that turns kernel copies off, if one is set. */
  readonly zeroCopyDisabledBy: string | undefined;
  readonly pair: { readonly source: string; readonly target: string; readonly probe: ProbeResult } | undefined;
}

const COLUMN = 18;

/** `width`: see `screen.ts`. */
export function capabilitiesText(report: CapabilitiesReport, width: number): string {
  const { capabilities, pair } = report;
  const rows: Row[] = [
    ["Backend", `${report.backend}: ${plain(report.reason)}`],
    ...report.candidates.map(({ place, outcome }): Row => ["", `${plain(place)}: ${plain(outcome)}`]),
    ["Workers", `${plural(report.workers, "thread")}`],
    ["Methods", capabilities.methods.join(", ")],
    ["Zero-copy", zeroCopyText(report)],
    ["Can keep", keptText(capabilities)],
    ["Open files", report.openFiles === 0 ? "limit unknown" : `at most ${report.openFiles}`],
    ...(pair === undefined ? [] : [undefined, ...pairRows(pair)]),
  ];
  const lines = rows.flatMap((row) => (row === undefined ? "" : hanging(row[0].padEnd(COLUMN), row[1], width)));
  return `${lines.join("\n")}\n`;
}

/** undefined: an empty line. */
type Row = readonly [label: string, text: string] | undefined;

function hasZeroCopy({ capabilities }: CapabilitiesReport): boolean {
  return capabilities.methods.some((method) => method !== "read_write");
}

function zeroCopyText(report: CapabilitiesReport): string {
  if (report.zeroCopyDisabledBy !== undefined) return `off: ${report.zeroCopyDisabledBy} is set`;
  return hasZeroCopy(report) ? "on" : `off: the ${report.backend} backend only reads and writes`;
}

function keptText(capabilities: BackendCapabilities): string {
  const parts = [
    ["extended attributes", capabilities.xattrs],
    ["ACLs", capabilities.acls],
    ["hard links", capabilities.hardLinks],
    ["special files", capabilities.specials],
    ["holes", capabilities.sparse],
  ] as const;
  const names = (wanted: boolean) => parts.filter(([, has]) => has === wanted).map(([name]) => name);
  const missing = names(false);
  return `${names(true).join(", ") || "data only"}${missing.length > 0 ? ` (not: ${missing.join(", ")})` : ""}`;
}

function pairRows({ source, target, probe }: NonNullable<CapabilitiesReport["pair"]>): Row[] {
  const place = (path: string, type: number, dev: number) =>
    `${path} (${filesystemName(type)}, device ${dev >>> 20}:${dev & 0xfffff})`;
  return [
    ["Source", place(source, probe.sourceFilesystemType, probe.sourceDev)],
    ["Target", place(target, probe.targetFilesystemType, probe.targetDev)],
    ["Same filesystem", probe.sameFilesystem ? "yes" : "no"],
    ...Object.entries(probe.methods).map(([name, status]): Row => [name, statusText(status)]),
    ["O_TMPFILE", statusText(probe.tmpfile)],
    ["xattrs", statusText(probe.xattrs)],
    ["ACLs", statusText(probe.acls)],
    ["hard links", statusText(probe.hardLinks)],
    ["symbolic links", statusText(probe.symlinks)],
    ["special files", statusText(probe.specials)],
    ["holes", statusText(probe.sparse)],
    ["Letter case", probe.caseInsensitive ? "ignored by the target" : "kept apart"],
    ["Time steps", `${probe.timeGranularityNs} ns`],
  ];
}

/** 0: works; negative errno: why not; anything else: not tried. */
function statusText(status: number): string {
  if (status === 0) return "works";
  return status < 0 ? `no: ${errnoText(status)} (${errnoName(status)})` : "not tried";
}

function statusJson(status: number): { works: boolean | null; errno: string | null } {
  return { works: status === 0 ? true : status < 0 ? false : null, errno: status < 0 ? errnoName(status) : null };
}

export function capabilitiesJson(report: CapabilitiesReport): Readonly<Record<string, unknown>> {
  const { capabilities, pair } = report;
  return {
    schema: 1,
    type: "capabilities",
    backend: report.backend,
    backend_reason: report.reason,
    candidates: report.candidates,
    workers: report.workers,
    open_files: report.openFiles,
    methods: capabilities.methods,
    keeps: {
      xattrs: capabilities.xattrs,
      acls: capabilities.acls,
      hard_links: capabilities.hardLinks,
      specials: capabilities.specials,
      sparse: capabilities.sparse,
    },
    zero_copy: {
      enabled: report.zeroCopyDisabledBy === undefined && hasZeroCopy(report),
      disabled_by: report.zeroCopyDisabledBy ?? null,
    },
    ...(pair === undefined ? {} : { pair: pairJson(pair) }),
  };
}

function pairJson({
  source,
  target,
  probe,
}: NonNullable<CapabilitiesReport["pair"]>): Readonly<Record<string, unknown>> {
  const methods = Object.entries(probe.methods) as [CopyMethod, number][];
  return {
    source: { path: source, filesystem: filesystemName(probe.sourceFilesystemType) },
    target: { path: target, filesystem: filesystemName(probe.targetFilesystemType) },
    same_filesystem: probe.sameFilesystem,
    methods: Object.fromEntries(methods.map(([name, status]) => [name, statusJson(status)])),
    tmpfile: statusJson(probe.tmpfile),
    xattrs: statusJson(probe.xattrs),
    acls: statusJson(probe.acls),
    hard_links: statusJson(probe.hardLinks),
    symlinks: statusJson(probe.symlinks),
    specials: statusJson(probe.specials),
    sparse: statusJson(probe.sparse),
    case_insensitive: probe.caseInsensitive,
    time_granularity_ns: probe.timeGranularityNs,
  };
}
