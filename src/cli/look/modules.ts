/** What a daemon serves, for `list-modules` and for `ls HOST:`. */
import { printable } from "../../core/paths.ts";
import { tableLines, widthOf } from "../report/screen.ts";
import type { Looking } from "./look.ts";
import type { LookPlace } from "./place.ts";
import { moduleFields } from "./records.ts";

/** `begin` is told before the first of them. */
export async function tellModules(
  looking: Looking,
  { address, shown }: LookPlace & { kind: "host" },
  begin: () => void,
): Promise<void> {
  const { listModules } = await import("../../admin/remote.ts");
  const modules = await listModules(address, looking.signal);
  looking.counts["modules"] = Number(looking.counts["modules"] ?? 0) + modules.length;
  const { records, out } = looking;
  begin();
  if (records !== undefined) {
    for (const module of modules) records.line("module", { host: printable(shown), ...moduleFields(module) });
    return;
  }
  // Told by the daemon, and escaped when they were decoded.
  const rows = modules.map(({ name, comment, readOnly, writeOnly, available }) => {
    const use = !available ? "not available" : readOnly ? "read-only" : writeOnly ? "write-only" : "read-write";
    return [name, use, comment];
  });
  for (const line of tableLines(rows, widthOf(out))) out.line(line);
  if (modules.length === 0) looking.err.line(`The daemon at ${printable(shown)} shows no module to you.`);
}
