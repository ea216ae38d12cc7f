import { defineCommand } from "citty";
import { nearest } from "../../core/nearest.ts";
import type { CommandContext } from "../context.ts";
import { overviewHelp, verbHelp } from "../help.ts";
import { quoted } from "../parse-args.ts";
import { UsageError } from "../usage-error.ts";
import { isVerb, VERB_NAMES } from "../verbs.ts";

export const helpCommand = defineCommand({
  run({ data }: { data?: CommandContext }) {
    const { args, outputs } = data!;
    const topic = args.places[0];
    if (topic === undefined) {
      outputs.out.write(overviewHelp());
    } else if (isVerb(topic.text)) {
      outputs.out.write(verbHelp(topic.text));
    } else {
      const meant = nearest(topic.text, VERB_NAMES);
      throw new UsageError(
        `there is no verb ${quoted(topic)}${meant === undefined ? "" : `; did you mean ${meant}?`}`,
        `The verbs are ${VERB_NAMES.join(", ")}.`,
      );
    }
  },
});
