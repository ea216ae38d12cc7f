/** The commands as citty values. Each verb's code is loaded when it is called. */
import type { CommandDef } from "citty";
import type { VerbName } from "../words/verbs.ts";

const tree = () => import("./tree.ts").then((module) => module.treeCommand);

const LOADERS: Readonly<Record<VerbName, () => Promise<CommandDef>>> = {
  copy: tree,
  mirror: tree,
  move: tree,
  check: tree,
  cp: tree,
  sync: tree,
  explain: () => import("./explain.ts").then((module) => module.explainCommand),
  ls: () => import("./ls.ts").then((module) => module.lsCommand),
  find: () => import("./find.ts").then((module) => module.findCommand),
  du: () => import("./du.ts").then((module) => module.duCommand),
  df: () => import("./df.ts").then((module) => module.dfCommand),
  "list-modules": () => import("./list-modules.ts").then((module) => module.listModulesCommand),
  rm: () => import("./rm.ts").then((module) => module.rmCommand),
  utils: () => import("./help.ts").then((module) => module.utilsCommand),
  daemon: () => import("./daemon.ts").then((module) => module.daemonCommand),
  jobs: () => import("./jobs.ts").then((module) => module.jobsCommand),
  scan: () => import("./scan.ts").then((module) => module.scanCommand),
  capabilities: () => import("./capabilities.ts").then((module) => module.capabilitiesCommand),
  presets: () => import("./presets.ts").then((module) => module.presetsCommand),
  profile: () => import("./profile.ts").then((module) => module.profileCommand),
  config: () => import("./config.ts").then((module) => module.configCommand),
  completions: () => import("./completions.ts").then((module) => module.completionsCommand),
  doctor: () => import("./doctor.ts").then((module) => module.doctorCommand),
  diagnostics: () => import("./diagnostics.ts").then((module) => module.diagnosticsCommand),
  version: () => import("./version.ts").then((module) => module.versionCommand),
  help: () => import("./help.ts").then((module) => module.helpCommand),
};

export function loadCommand(verb: VerbName): Promise<CommandDef> {
  return LOADERS[verb]();
}
