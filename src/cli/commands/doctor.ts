/** `doctor [PLACE...]`: what stands in the way on this machine, at these places and on the way to these daemons. */
import { defineCommand } from "citty";
import { ExitCode } from "../../core/exit-codes.ts";
import { printable } from "../../core/paths.ts";
import type { Finding } from "../../doctor/finding.ts";
import type { CommandContext } from "../context.ts";
import { examineMachine, examinePlaces } from "../doctor/doctor-examination.ts";
import { findingJson, findingLines, totalsJson, totalsOf, totalsText } from "../doctor/doctor-text.ts";
import { proseWidthOf } from "../report/screen.ts";

export const doctorCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const context = data!;
    const { out } = context.outputs;
    const json = context.args.has("json");
    const width = proseWidthOf(out);
    const findings: Finding[] = [];
    const tell = (finding: Finding): void => {
      findings.push(finding);
      if (json) out.line(findingJson(finding));
      else for (const line of findingLines(finding, width, out.colour)) out.line(line);
      // A daemon may take its time to answer: what is known is shown.
      out.flush();
    };
    await examineMachine(context, tell);
    await examinePlaces(context, tell, (word) => {
      if (!json) out.line(`\n${printable(word.bytes)}`);
    });
    const totals = totalsOf(findings);
    context.exitCode = totals.problems === 0 ? ExitCode.ok : ExitCode.partial;
    out.line(json ? totalsJson(totals, context.exitCode) : `\n${totalsText(totals)}`);
  },
});
