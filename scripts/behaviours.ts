/**
 * Writes docs/behaviours.md: which of the promised behaviours (test/behaviours/rows.ts) were shown to hold, where, and
 * what rsync makes of the same.
 *
 *   npm run behaviours                  run every test that names a row, in every placement, and write the table
 *   npm run behaviours -- --into DIR    keep the reports in DIR; what has a report there is not run again
 *   npm run behaviours -- --lanes N     run N files at a time (default: 2, on one processor 1)
 *   npm run behaviours -- --from DIR    run nothing: write the table from the reports in DIR
 *   ... --commit TEXT                   of which commits the reports are, where that is not the one that is checked out
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, release, tmpdir, version } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { rowFiles } from "../test/behaviours/row-tests.ts";
import { rsyncVersion } from "../test/support/oracle.ts";
import { evidenceOf } from "./behaviours/evidence.ts";
import { readReports, repeated, runFiles } from "./behaviours/run-files.ts";
import { judge, summaryLines, tableLines } from "./behaviours/table.ts";
import { root } from "./build/root.ts";
import { useScratch } from "./test/scratch.ts";

const { values } = parseArgs({
  options: {
    into: { type: "string" },
    from: { type: "string" },
    lanes: { type: "string" },
    commit: { type: "string" },
  },
});
const kept = values.from ?? values.into;
const directory = kept ?? mkdtempSync(join(tmpdir(), "fastsync-behaviours-"));

if (values.from === undefined) {
  await useScratch();
  await runFiles(rowFiles(), directory, Number(values.lanes ?? Math.min(2, availableParallelism())), console.log);
}

const runsAs = process.getuid?.() === 0 ? "root" : "ordinary user";
const reports = readReports(directory);
const results = judge(reports.flatMap(({ run, outcomes }) => evidenceOf(outcomes, run, runsAs)));
const again = repeated(directory);
const tests = reports.reduce((total, { outcomes }) => total + outcomes.length, 0);
writeFileSync(join(root, "docs/behaviours.md"), documentText());
if (kept === undefined) rmSync(directory, { recursive: true });
console.log(summaryLines(results).join("\n"));

function documentText(): string {
  const { version: own } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const head = spawnSync("git", ["rev-parse", "--short=10", "HEAD"], { cwd: root, encoding: "utf8" }).stdout.trim();
  const commit = values.commit ?? head;
  return `# Behaviours

Written by \`npm run behaviours\`; not to be edited. What is promised, whether it was seen to hold, and what rsync makes
of the same trees, compared by the same differ.

fastsync ${own} at ${commit}, rsync ${rsyncVersion() ?? "not installed"}, Linux ${release()} (${version()}), Bun
${Bun.version}, as ${runsAs}, ${new Date().toISOString().slice(0, 10)}; ${tests} tests in ${reports.length} reports.
Files that failed while others ran beside them were run once more, alone, and count as they ended then: ${again}.

${summaryLines(results).join("\n")}

- **local**: both sides in one process, with the native library; **portable**: with its twin; **push**, **pull**: the
  target, or the sources, behind a daemon; **daemon**: about daemons, and callers, as such.
- **holds**: every test that names the row passed there (their number, and how many of them were skipped); **in part**:
  they passed, and the note says what is not there; **fails**: one did not; **skipped**: none could run, see the note;
  **not there yet**: the note says why; **–**: not asked for there.
- **rsync**: **agrees**, or **differs** in what the note says; **not applicable**: why, is in the note.
- **shown**: as which user, and on which filesystems where a test goes through several; others ran on one.
- A row marked *should* is wanted, the others must be.

${tableLines(results).join("\n")}
`;
}
