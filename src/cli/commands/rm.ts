/**
 * `rm PLACE...`: removes entries, here or in modules.
 *
 *     without --yes, on a terminal:  counted first, and asked once for all of it
 *     without --yes, elsewhere:      nothing is removed, exit 25
 */
import { defineCommand } from "citty";
import type { RemovedPath } from "../../core/admin-calls.ts";
import { ExitCode } from "../../core/exit-codes.ts";
import { equalBytes, joinPath, printable } from "../../core/paths.ts";
import { RunError } from "../../core/run-error.ts";
import { saysYes } from "../confirm.ts";
import type { CommandContext } from "../context.ts";
import { type Looking, look, takeParts } from "../look/look.ts";
import { isSameGround, type LookPlace } from "../look/place.ts";
import { kindFields, removedFields } from "../look/records.ts";
import { formatBytes, plural } from "../report/format.ts";
import { pathFields } from "../report/json-printer.ts";
import { isTerminal } from "../report/terminal.ts";
import { UsageError } from "../words/usage-error.ts";

type Removable = LookPlace & { kind: "local" | "module" };
/** Places that one call removes. */
type Group = readonly [Removable, ...Removable[]];

const NAMED_MOST = 10;

export const rmCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    await look(data!, async (looking, places) => {
      const groups = groupsOf(places);
      const dryRun = looking.args.has("dry-run");
      looking.counts["dry_run"] = dryRun;
      looking.counts["entries"] = 0;
      looking.counts["disk_bytes"] = 0;
      if (!dryRun && !looking.args.has("yes") && !(await ask(looking, groups))) return;
      for (const group of groups) {
        if (looking.signal.aborted) return;
        await looking.each([group[0]], async () => {
          await remove(looking, group, dryRun, (removed, shown) => tell(looking, removed, shown, dryRun));
        });
      }
    });
  },
});

function groupsOf(places: readonly LookPlace[]): Group[] {
  const groups: [Removable, ...Removable[]][] = [];
  for (const place of places) {
    if (place.kind === "host")
      throw new UsageError(
        `${printable(place.shown)} names no module`,
        "fastsync list-modules HOST shows what there is.",
      );
    refuseRoots(place);
    const group = groups.find(([first]) => isSameGround(first, place));
    if (group === undefined) groups.push([place]);
    else if (!group.some(({ path }) => equalBytes(path, place.path))) group.push(place);
  }
  return groups;
}

/** What no deletion means, in any spelling; what is behind links and mounts is found when the place is opened. */
function refuseRoots({ kind, path, shown }: Removable): void {
  const names = Buffer.from(path)
    .toString("latin1")
    .split("/")
    .filter((name) => name !== "");
  const last = names.at(-1);
  const why =
    kind === "module" && last === undefined
      ? "it is the module itself"
      : last === undefined
        ? "it is the root of the file system"
        : last === "." || last === ".."
          ? `it ends with ${last}: name the directory`
          : undefined;
  if (why !== undefined)
    throw new RunError(ExitCode.selecting, "not_removed", `${printable(shown)} is not removed: ${why}`);
}

/** Throws RunError (exit 25) unless the answer is yes. False: there is nothing to ask about, which was told. */
async function ask(looking: Looking, groups: readonly Group[]): Promise<boolean> {
  const { err } = looking;
  const refused = (reason: string): RunError => new RunError(ExitCode.deletionRefused, "deletion_refused", reason);
  if (looking.records !== undefined || !isTerminal(0) || !err.isTerminal)
    throw refused("nothing is removed: nobody can be asked, and --yes is missing");
  let entries = 0;
  let bytes = 0;
  const going: Uint8Array[] = [];
  // What fails when it is counted fails again afterwards.
  looking.saidBefore = new Set();
  for (const group of groups)
    await remove(looking, group, true, (removed, shown) => {
      entries += removed.entries;
      bytes += removed.diskBytes;
      if (removed.entries > 0) going.push(shown);
    });
  if (entries === 0) return false;
  if (looking.failures > 0) err.line("");
  for (const shown of going.slice(0, NAMED_MOST)) err.line(`  ${printable(shown)}`);
  if (going.length > NAMED_MOST) err.line(`  and ${going.length - NAMED_MOST} more`);
  const question = `${plural(entries, "entry", "entries")} (${formatBytes(bytes)}) will be removed. Remove? [y/N] `;
  if (!(await saysYes(question, err, looking.signal))) throw refused("nothing is removed: the answer was no");
  looking.failures = 0;
  return true;
}

async function remove(
  looking: Looking,
  group: Group,
  dryRun: boolean,
  tellPath: (removed: RemovedPath, shown: Uint8Array) => void,
): Promise<void> {
  const [first] = group;
  const calls = await looking.calls(first);
  const tellEntries = looking.args.has("verbose");
  const request = { recursive: looking.args.has("recursive"), dryRun, tellEntries };
  const ground = groundOf(first);
  const shownOf = (path: Uint8Array): Uint8Array =>
    group.find((place) => equalBytes(place.path, path))?.shown ?? joinPath(ground, path);
  const parts = calls.remove(
    group.map(({ path }) => path),
    request,
  );
  await takeParts(looking, { ...first, shown: ground }, parts, ({ paths, entries, entryModes }) => {
    for (const [at, path] of entries.entries()) tellEntry(looking, joinPath(ground, path), entryModes[at], dryRun);
    for (const removed of paths) tellPath(removed, shownOf(removed.path));
  });
}

/** What stands in front of the paths of answers: the module with its slash; of local paths nothing. */
function groundOf({ kind, path, shown }: Removable): Uint8Array {
  return kind === "local" ? new Uint8Array(0) : shown.subarray(0, shown.length - path.length);
}

function tellEntry({ records, out }: Looking, shown: Uint8Array, mode: number | undefined, dryRun: boolean): void {
  if (records !== undefined) records.line("delete", { ...pathFields(shown), ...kindFields(mode), dry_run: dryRun });
  else out.line(`${dryRun ? "would remove" : "removed"} ${printable(shown)}`);
}

function tell(looking: Looking, removed: RemovedPath, shown: Uint8Array, dryRun: boolean): void {
  const { records, out, counts } = looking;
  counts["entries"] = Number(counts["entries"]) + removed.entries;
  counts["disk_bytes"] = Number(counts["disk_bytes"]) + removed.diskBytes;
  if (records !== undefined) {
    records.line("removed", removedFields(shown, removed, dryRun));
    return;
  }
  if (looking.args.has("quiet") || (!removed.removed && removed.entries === 0)) return;
  // It was the only entry, and named as such.
  if (looking.args.has("verbose") && removed.removed && !removed.isDirectory) return;
  const what = dryRun ? "would remove" : removed.removed ? "removed" : "removed part of";
  const count = `${plural(removed.entries, "entry", "entries")}, ${formatBytes(removed.diskBytes)}`;
  out.line(`${what} ${printable(shown)} (${count})`);
}
