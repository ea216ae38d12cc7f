/** `completions SHELL`: the script that a shell reads. What is offered then, `__complete` decides each time. */
import { defineCommand } from "citty";
import { nearest } from "../../core/nearest.ts";
import bash from "../complete/fastsync.bash" with { type: "text" };
import fish from "../complete/fastsync.fish" with { type: "text" };
import powershell from "../complete/fastsync.ps1" with { type: "text" };
import zsh from "../complete/fastsync.zsh" with { type: "text" };
import type { CommandContext } from "../context.ts";
import { listed, quoted } from "../words/parse-args.ts";
import { UsageError } from "../words/usage-error.ts";
import { SHELLS } from "../words/verbs.ts";

export const COMPLETION_SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = { bash, zsh, fish, powershell };

export const completionsCommand = defineCommand({
  run({ data }: { data?: CommandContext }) {
    const { args, outputs } = data!;
    const [shell] = args.places;
    const known = SHELLS.find((name) => name === shell!.text || (name === "powershell" && shell!.text === "pwsh"));
    if (known === undefined) {
      const meant = nearest(shell!.text, SHELLS);
      throw new UsageError(
        `completions knows ${listed(SHELLS, "and")}, not ${quoted(shell!)}${meant === undefined ? "" : `; did you mean ${meant}?`}`,
      );
    }
    outputs.out.write(COMPLETION_SCRIPTS[known]);
  },
});
