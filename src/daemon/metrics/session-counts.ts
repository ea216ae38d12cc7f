/**
 * What the daemon did since it started, by module and role. Sessions that run are looked at when somebody asks, and their
 * last word is added up when they end: nothing is counted for a file.
 */
import { type Counters, PHASES, type Phase } from "../../core/events.ts";
import type { JobEnd } from "../../core/jobs.ts";
import { LIMITS } from "../../core/limits.ts";
import type { PhaseTimes } from "../../history/phase-clock.ts";
import type { Family, Labels } from "./open-metrics.ts";

export type Role = "source" | "target";
export const ROLES: readonly Role[] = ["source", "target"];

export interface SessionLook {
  readonly counters: Readonly<Counters>;
  readonly bytes: number;
  readonly phases: PhaseTimes;
}

interface Sums {
  bytes: number;
  files: number;
  failed: number;
  deleted: number;
  readonly phases: Record<Phase, number>;
}

interface Series {
  readonly module: string;
  readonly role: Role;
  readonly ended: Sums;
  readonly byExitCode: Map<number, number>;
  readonly running: Set<() => SessionLook>;
}

/** No module can be called this. */
const ROOT = "//";
/** Of more modules than anybody watches one by one. */
const OTHERS = "///";

/**
 * Why a caller is turned away, as far as there is a series for it. Another daemon's words, which delegation hands on, are
 * not among them unless they are ours too.
 */
const REASONS: ReadonlySet<string> = new Set([
  ...["too_many_sessions", "too_many_connections", "stopping", "handshake_timeout", "protocol", "version"],
  ...["no_such_module", "read_only_module", "write_only_module", "module_unavailable", "stray_data_connection"],
  ...["source_missing", "source_unusable", "target_unusable", "connection_lost", "connect_failed", "connect_timeout"],
  ...["delegation_disabled", "host_invalid", "host_not_allowed", "host_unresolvable", "internal_error"],
  ...["address_loopback", "address_link_local", "address_metadata", "address_unspecified", "address_multicast"],
]);

export class SessionCounts {
  private readonly series = new Map<string, Series>();
  private readonly refusals = new Map<string, number>();

  private of(name: string | undefined, role: Role): Series {
    const isKnown = this.series.has(`${role} ${name ?? ROOT}`);
    const module = isKnown || this.series.size < LIMITS.metricSeries ? (name ?? ROOT) : OTHERS;
    const key = `${role} ${module}`;
    const known = this.series.get(key);
    if (known !== undefined) return known;
    const made = {
      module,
      role,
      ended: noSums(),
      byExitCode: new Map([[0, 0]]),
      running: new Set<() => SessionLook>(),
    };
    this.series.set(key, made);
    return made;
  }

  /** Shows a module from the start, so that its first session is an increase. undefined: the root. */
  expect(module: string | undefined): void {
    for (const role of ROLES) this.of(module, role);
  }

  begin(module: string | undefined, role: Role, look: () => SessionLook): (end: JobEnd) => void {
    const series = this.of(module, role);
    series.running.add(look);
    return ({ exitCode }) => {
      if (!series.running.delete(look)) return;
      addTo(series.ended, look());
      series.byExitCode.set(exitCode, (series.byExitCode.get(exitCode) ?? 0) + 1);
    };
  }

  refused(reason: string): void {
    const label = REASONS.has(reason) ? reason : "other";
    this.refusals.set(label, (this.refusals.get(label) ?? 0) + 1);
  }

  families(): Family[] {
    const all = [...this.series.values()].map((series) => ({ series, sums: sumsNow(series) }));
    const by = (value: (sums: Sums) => number): Family["samples"] =>
      all.map(({ series, sums }) => ({ labels: labelsOf(series), value: value(sums) }));
    return [
      {
        ...{
          name: "fastsync_sessions_running",
          type: "gauge",
          help: "Sessions that run, by module and the daemon's role.",
        },
        samples: all.map(({ series }) => ({ labels: labelsOf(series), value: series.running.size })),
      },
      {
        ...{ name: "fastsync_sessions", type: "counter", help: "Sessions that ended, by exit code." },
        samples: all.flatMap(({ series }) =>
          [...series.byExitCode].map(([code, value]) => ({
            labels: { ...labelsOf(series), exit_code: String(code) },
            value,
          })),
        ),
      },
      {
        ...{
          name: "fastsync_refused",
          type: "counter",
          help: "Sessions and connections that were turned away, by reason.",
        },
        samples: [...this.refusals].map(([reason, value]) => ({ labels: { reason }, value })),
      },
      {
        ...{ name: "fastsync_content_bytes", type: "counter", unit: "bytes" },
        help: "Content with its frames, sent (role source) and received (role target).",
        samples: by(({ bytes }) => bytes),
      },
      {
        ...{
          name: "fastsync_files",
          type: "counter",
          help: "Files whose content arrived, or was asked for (role source).",
        },
        samples: by(({ files }) => files),
      },
      {
        ...{ name: "fastsync_failures", type: "counter", help: "Items that failed, where the daemon knows of it." },
        samples: by(({ failed }) => failed),
      },
      {
        ...{
          name: "fastsync_deletions",
          type: "counter",
          help: "Entries that were deleted, where the daemon knows of it.",
        },
        samples: by(({ deleted }) => deleted),
      },
      {
        ...{ name: "fastsync_phase_seconds", type: "counter", unit: "seconds" },
        help: "Time that sessions were in each phase.",
        samples: all.flatMap(({ series, sums }) =>
          PHASES.map((phase) => ({ labels: { ...labelsOf(series), phase }, value: sums.phases[phase] / 1000 })),
        ),
      },
    ];
  }
}

function labelsOf({ module, role }: Series): Labels {
  return { module, role };
}

function noSums(): Sums {
  const phases = Object.fromEntries(PHASES.map((phase) => [phase, 0])) as Sums["phases"];
  return { bytes: 0, files: 0, failed: 0, deleted: 0, phases };
}

function addTo(sums: Sums, { counters, bytes, phases }: SessionLook): void {
  sums.bytes += bytes;
  sums.files += counters.filesTransferred;
  sums.failed += counters.failed;
  sums.deleted += counters.deleted;
  for (const phase of PHASES) sums.phases[phase] += phases.get(phase) ?? 0;
}

function sumsNow({ ended, running }: Series): Sums {
  const sums = { ...ended, phases: { ...ended.phases } };
  for (const look of running) addTo(sums, look());
  return sums;
}
