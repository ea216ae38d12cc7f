/** `df [PLACE...]`: how full the file systems below places are. */
import { defineCommand } from "citty";
import type { FilesystemStats } from "../../core/admin-calls.ts";
import { printable } from "../../core/paths.ts";
import type { CommandContext } from "../context.ts";
import { look } from "../look/look.ts";
import { filesystemFields } from "../look/records.ts";
import { percent, sizeText } from "../look/text.ts";
import { tableLines, widthOf } from "../report/screen.ts";
import { plain } from "../report/text-printer.ts";
import { UsageError } from "../words/usage-error.ts";

const HEAD = ["type", "size", "used", "available", "use", "inodes", "place"];
const NUMBERS = new Set([1, 2, 3, 4, 5]);

export const dfCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    await look(data!, async (looking, places) => {
      const { args, out, records } = looking;
      const size = sizeText(args.has("bytes"));
      const rows: string[][] = [];
      await looking.each(places, async (place) => {
        if (place.kind === "host")
          throw new UsageError(
            `${printable(place.shown)} names no module`,
            "fastsync list-modules HOST shows what there is.",
          );
        const stats = await (await looking.calls(place)).filesystem(place.path);
        const shown = printable(place.shown);
        if (records === undefined) rows.push(rowOf(stats, shown, size));
        else records.line("filesystem", filesystemFields(shown, stats));
      });
      if (rows.length > 0) for (const line of tableLines([HEAD, ...rows], widthOf(out), NUMBERS)) out.line(line);
    });
  },
});

function rowOf(stats: FilesystemStats, shown: string, size: (bytes: number) => string): string[] {
  const used = stats.totalBytes - stats.freeBytes;
  return [
    plain(stats.filesystem),
    size(stats.totalBytes),
    size(used),
    size(stats.availableBytes),
    // Of what can be used at all: what is kept back for root is not.
    percent(used, used + stats.availableBytes),
    percent(stats.totalInodes - stats.freeInodes, stats.totalInodes),
    stats.readOnly ? `${shown} (read-only)` : shown,
  ];
}
