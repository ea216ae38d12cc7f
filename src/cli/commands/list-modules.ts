/** `list-modules HOST...`: what daemons serve. */
import { defineCommand } from "citty";
import type { CommandContext } from "../context.ts";
import { lookAtHosts } from "../look/look.ts";
import { tellModules } from "../look/modules.ts";

export const listModulesCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    await lookAtHosts(data!, tellModules);
  },
});
