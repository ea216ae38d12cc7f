/** The commands as citty values. Each verb's code is loaded when it is called. */
import { type CommandDef, defineCommand } from "citty";
import { VERBS, type VerbName } from "../verbs.ts";
import { VERSION } from "../version.ts";

const tree = () => import("./tree.ts").then((module) => module.treeCommand);

const LOADERS: Readonly<Record<VerbName, () => Promise<CommandDef>>> = {
  copy: tree,
  mirror: tree,
  move: tree,
  check: tree,
  capabilities: () => import("./capabilities.ts").then((module) => module.capabilitiesCommand),
  version: () => import("./version.ts").then((module) => module.versionCommand),
  help: () => import("./help.ts").then((module) => module.helpCommand),
};

export const rootCommand = defineCommand({
  meta: { name: "fastsync", version: VERSION, description: "Copies, mirrors and moves file trees." },
  subCommands: Object.fromEntries(
    Object.entries(LOADERS).map(([name, load]) => [
      name,
      async () => {
        const command = await load();
        return { ...command, meta: { name, description: VERBS[name as VerbName].summary } };
      },
    ]),
  ),
});

export function loadCommand(verb: VerbName): Promise<CommandDef> {
  return LOADERS[verb]();
}
