/** All that /metrics tells. */
import packageJson from "../../../package.json";
import { openMetrics } from "./open-metrics.ts";
import type { SessionCounts } from "./session-counts.ts";

export function daemonMetrics(
  counts: SessionCounts,
  { startedSeconds, isDraining }: { readonly startedSeconds: number; readonly isDraining: boolean },
): string {
  return openMetrics([
    {
      ...{ name: "fastsync_build", type: "info", help: "The program that serves." },
      samples: [{ labels: { version: packageJson.version }, value: 1 }],
    },
    {
      ...{ name: "fastsync_start_time_seconds", type: "gauge", unit: "seconds", help: "When it started, since 1970." },
      samples: [{ labels: {}, value: startedSeconds }],
    },
    {
      ...{ name: "fastsync_draining", type: "gauge", help: "1 when nothing new is accepted." },
      samples: [{ labels: {}, value: isDraining ? 1 : 0 }],
    },
    ...counts.families(),
  ]);
}
