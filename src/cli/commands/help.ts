import { defineCommand } from "citty";
import { nearest } from "../../core/nearest.ts";
import type { CommandContext } from "../context.ts";
import { overviewHelp, verbHelp } from "../text/help.ts";
import { quoted } from "../words/parse-args.ts";
import { UsageError } from "../words/usage-error.ts";
import { VERB_NAMES, verbNamed } from "../words/verbs.ts";

export const helpCommand = defineCommand({
  run({ data }: { data?: CommandContext }) {
    const { args, outputs } = data!;
    const topic = args.places[0];
    if (topic === undefined) {
      outputs.out.write(overviewHelp());
    } else if (verbNamed(topic.text) !== undefined) {
      outputs.out.write(verbHelp(verbNamed(topic.text)!));
    } else {
      const meant = nearest(topic.text, VERB_NAMES);
      throw new UsageError(
        `there is no verb ${quoted(topic)}${meant === undefined ? "" : `; did you mean ${meant}?`}`,
        `The verbs are ${VERB_NAMES.join(", ")}.`,
      );
    }
  },
});

/** `utils` alone: what there is. */
export const utilsCommand = defineCommand({
  run({ data }: { data?: CommandContext }) {
    data!.outputs.out.write(verbHelp("utils"));
  },
});
