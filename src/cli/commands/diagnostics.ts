/** `diagnostics [PLACE...]`: a text for a bug report, to be read before it is sent. */
import { defineCommand } from "citty";
import type { CommandContext } from "../context.ts";
import type { NotedFailure } from "../diagnostics/failures.ts";
import { type Diagnostics, diagnose } from "../diagnostics/report.ts";
import { findingLines } from "../doctor/doctor-text.ts";
import { formatBytes, formatCount, plural } from "../report/format.ts";
import { jsonText } from "../report/json-printer.ts";
import { hanging, proseWidthOf } from "../report/screen.ts";

const WIDTH = 80;
const READ_IT =
  "Read it before you send it: names, paths and texts of yours were left out, as far as that can be known.";

export const diagnosticsCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const context = data!;
    const { out, err } = context.outputs;
    const report = await diagnose(context);
    if (context.args.has("json")) {
      out.line(jsonText(jsonOf(report)));
      return;
    }
    out.write(`${linesOf(report).join("\n")}\n`);
    if (!err.isTerminal) return;
    out.flush();
    for (const line of hanging("", READ_IT, proseWidthOf(err, "stderr"))) err.line(line);
  },
});

function linesOf(report: Diagnostics): string[] {
  const { configuration } = report;
  const places = [...new Set(report.findings.flatMap(({ place }) => (place === undefined ? [] : [place])))];
  const of = (place: string | undefined): string[] =>
    report.findings.filter((found) => found.place === place).flatMap((found) => findingLines(found, WIDTH, false));
  return [
    `fastsync ${report.version}, ${report.compiled ? "compiled" : "from its sources"}, bun ${report.bun}`,
    `${report.platform}, ${report.libc}, ${plural(report.cpus, "processor")}, ${formatBytes(report.memoryBytes)} of memory`,
    "",
    ...of(undefined),
    ...places.flatMap((place) => ["", place, ...of(place)]),
    "",
    `Configuration: ${plural(configuration.files, "file")}, ${plural(configuration.profiles, "profile")}, ${plural(configuration.remotes, "remote")}`,
    ...configuration.problems.map((problem) => `  wrong: ${problem}`),
    ...configuration.settings.map(({ key, value, origin }) => `  ${key} = ${value}  (${origin})`),
    "",
    ...failureLines(report.recentFailures),
    "",
    `Variables that are set: ${report.variables.join(", ") || "none"}`,
  ];
}

function failureLines(failures: readonly NotedFailure[]): string[] {
  if (failures.length === 0) return ["Recent failures: none noted"];
  return [
    "Recent failures:",
    ...failures.map(({ ended, version, verb, command = verb, exit_code, exit_reason, codes }) => {
      const kinds = Object.entries(codes).map(([code, count]) => `${code} ${formatCount(count)}`);
      const why = kinds.length === 0 ? "" : `: ${kinds.join(", ")}`;
      return `  ${ended.slice(0, 16).replace("T", " ")}  ${command}  exit ${exit_code} ${exit_reason}${why}  (${version})`;
    }),
  ];
}

function jsonOf(report: Diagnostics): Readonly<Record<string, unknown>> {
  const { memoryBytes, recentFailures, ...rest } = report;
  return { schema: 1, type: "diagnostics", ...rest, memory_bytes: memoryBytes, recent_failures: recentFailures };
}
