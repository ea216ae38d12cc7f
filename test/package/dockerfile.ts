/** The instructions of a Dockerfile, stage by stage. Reads what this repository's one uses. */
export interface Instruction {
  readonly name: string;
  readonly text: string;
}

export interface Stage {
  readonly from: string;
  readonly as: string | undefined;
  readonly instructions: readonly Instruction[];
}

const KNOWN = ["RUN", "WORKDIR", "COPY", "USER", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"];

/** Throws on an instruction that it does not know. */
export function stagesOf(dockerfile: string): Stage[] {
  const lines = dockerfile
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .join("\n")
    .replace(/\\\n/g, " ")
    .split("\n")
    .filter((line) => line.trim() !== "");
  const stages: { from: string; as: string | undefined; instructions: Instruction[] }[] = [];
  for (const line of lines) {
    const [, name = "", text = ""] = /^(\S+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (name === "FROM") {
      const [, from = "", as] = /^(\S+)(?:\s+AS\s+(\S+))?$/.exec(text) ?? [];
      stages.push({ from, as, instructions: [] });
    } else if (KNOWN.includes(name)) stages.at(-1)!.instructions.push({ name, text: text.replace(/\s+/g, " ") });
    else throw new Error(`what is ${line}?`);
  }
  return stages;
}

/** The last of that name, which is the one that counts. */
export function lastOf(stage: Stage, name: string): string | undefined {
  return stage.instructions.findLast((instruction) => instruction.name === name)?.text;
}
