import { defineCommand } from "citty";
import type { CommandContext } from "../context.ts";
import { writeVersion } from "../text/version-text.ts";

export const versionCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    await writeVersion(data!.outputs.out, data!.args.has("json"));
  },
});
