/** `du [PLACE...]`: what trees occupy. */
import { defineCommand } from "citty";
import { printable } from "../../core/paths.ts";
import type { CommandContext } from "../context.ts";
import { look, takeParts } from "../look/look.ts";
import { shownPath } from "../look/place.ts";
import { usageFields } from "../look/records.ts";
import { Columns, sizeText } from "../look/text.ts";
import { UsageError } from "../words/usage-error.ts";

const SIZE_WIDTH = 9;

export const duCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    await look(data!, async (looking, places) => {
      const { args, out, records } = looking;
      const size = sizeText(args.has("bytes"));
      const columns = new Columns(SIZE_WIDTH, SIZE_WIDTH);
      const maxDepth = args.has("summarize") ? 0 : looking.count("max-depth", 0);
      if (records === undefined) for (const line of columns.lines([["on disk", "apparent", "path"]])) out.line(line);
      await looking.each(places, async (place) => {
        if (place.kind === "host")
          throw new UsageError(
            `${printable(place.shown)} names no module`,
            "fastsync list-modules HOST shows what there is.",
          );
        const calls = await looking.calls(place);
        const parts = calls.usage(place.path, { maxDepth, oneFileSystem: args.has("one-file-system") });
        await takeParts(looking, place, parts, ({ directories }) => {
          if (records !== undefined) {
            for (const one of directories) records.line("usage", usageFields(printable(place.shown), one));
            return;
          }
          const rows = directories.map(({ path, diskBytes, apparentBytes }) => [
            size(diskBytes),
            size(apparentBytes),
            printable(shownPath(place, path)),
          ]);
          for (const line of columns.lines(rows)) out.line(line);
        });
      });
    });
  },
});
