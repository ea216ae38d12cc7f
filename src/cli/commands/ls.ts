/** `ls [PLACE...]`: a directory's entries, one entry, or a daemon's modules. */
import { defineCommand } from "citty";
import { printable } from "../../core/paths.ts";
import type { CommandContext } from "../context.ts";
import { type Looking, look, takeParts } from "../look/look.ts";
import { tellModules } from "../look/modules.ts";
import type { LookPlace } from "../look/place.ts";
import { entryFields, OwnerNames } from "../look/records.ts";
import { Columns, LONG_LEFT, longRow, nameText, sizeText } from "../look/text.ts";
import { quoted } from "../words/parse-args.ts";
import { UsageError } from "../words/usage-error.ts";

export const lsCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    await look(data!, async (looking, places) => {
      const { args } = looking;
      if (args.has("after") && places.length > 1)
        throw new UsageError("--after goes on in one directory, and several are named", "Name one place.");
      looking.counts["entries"] = 0;
      let isFirst = true;
      await looking.each(places, async (place) => {
        // What cannot be used has no heading: below one it would look like an empty directory.
        const begin = (): void => {
          // With -d every entry is called as it was named.
          if (places.length === 1 || looking.records !== undefined || args.has("directory")) return;
          looking.out.line(`${isFirst ? "" : "\n"}${printable(place.shown).replace(/:$/, "")}:`);
          isFirst = false;
        };
        if (place.kind === "host") await tellModules(looking, place, begin);
        else await list(looking, place, begin);
      });
    });
  },
});

async function list(
  looking: Looking,
  place: LookPlace & { kind: "local" | "module" },
  begin: () => void,
): Promise<void> {
  const { args, out, records } = looking;
  const after = args.value("after")?.bytes ?? new Uint8Array(0);
  if (after.length > 255 || after.includes(0x2f))
    throw new UsageError(`--after: ${quoted(args.value("after")!)} is not the name of an entry`);
  const calls = await looking.calls(place);
  const names = new OwnerNames();
  const columns = new Columns();
  const size = sizeText(args.has("bytes"));
  const request = { all: args.has("all"), after, limit: looking.count("limit", 1, 0), self: args.has("directory") };
  let last: Uint8Array | undefined;
  let hasBegun = false;
  await takeParts(looking, place, calls.list(place.path, request), ({ entries, more }) => {
    if (!hasBegun) begin();
    hasBegun = true;
    names.learn(entries);
    looking.counts["entries"] = Number(looking.counts["entries"]) + entries.paths.length;
    if (more) looking.counts["more"] = true;
    // An entry that was named itself is called as it was named.
    const shown = entries.paths.map((path) => (path.length === 0 ? place.shown : path));
    last = entries.paths.at(-1) ?? last;
    if (records !== undefined) {
      const where = printable(place.shown);
      for (let at = 0; at < shown.length; at++) records.line("entry", entryFields(where, entries, at, names));
    } else if (args.has("long")) {
      const rows = shown.map((name, at) => longRow(entries, at, name, names, size));
      for (const line of columns.lines(rows, LONG_LEFT)) out.line(line);
    } else for (const [at, name] of shown.entries()) out.line(nameText(name, entries.modes[at]!));
    if (!more) return;
    looking.out.flush();
    if (last !== undefined) looking.err.line(`There is more; go on with --after ${shellWord(last)}`);
  });
}

/** As it may be pasted into a shell; a name with bytes that steer a terminal in the form of $'...'. */
export function shellWord(name: Uint8Array): string {
  const text = printable(name);
  const isPlain = Buffer.from(text).equals(Buffer.from(name));
  if (!isPlain) return `$'${text.replaceAll("'", "\\'")}'`;
  return /^[A-Za-z0-9._,:+@%/=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
