/** start: what a run costs before it copies anything. */
import { VERB_NAMES } from "../../src/cli/words/verbs.ts";
import { cp, FASTSYNC, fastsyncMirror, fastsyncWords, rsync } from "../commands.ts";
import type { Workload } from "../workload.ts";

/** Nobody waits for these. */
const AT_ONCE = [
  ["version"],
  ...VERB_NAMES.map((verb) => [verb, "--help"]),
  ["__complete", "zsh", "", "fastsync", "mirror", "--"],
];

export const start: Workload = {
  id: "start",
  title: "`fastsync version`; the help of each verb; a completion; a mirror of 3 files",
  filesystems: ["xfs"],
  size: "512M",
  repeat: 5,
  prepare: (place) => {
    place.tools.gen("files", place.source, 3, 1, 4096, 0);
    return [
      ...AT_ONCE.map((words) => fastsyncWords(...words)),
      fastsyncMirror(place),
      cp(place),
      rsync(place, "rsync -a"),
    ];
  },
  bars: () =>
    [FASTSYNC, ...AT_ONCE.map((words) => fastsyncWords(...words).name)].map((subject) => ({
      kind: "wall",
      subject,
      maxMs: 60,
    })),
};
