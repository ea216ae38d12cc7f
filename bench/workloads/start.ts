/** start: what a run costs before it copies anything. */
import { cp, FASTSYNC, fastsyncMirror, fastsyncVersion, rsync } from "../commands.ts";
import type { Workload } from "../workload.ts";

export const start: Workload = {
  id: "start",
  title: "`fastsync version`; a mirror of 3 files",
  filesystems: ["xfs"],
  size: "512M",
  repeat: 5,
  prepare: (place) => {
    place.tools.gen("files", place.source, 3, 1, 4096, 0);
    return [fastsyncVersion(), fastsyncMirror(place), cp(place), rsync(place, "rsync -a")];
  },
  bars: () => [
    { kind: "wall", subject: "fastsync version", maxMs: 60 },
    { kind: "wall", subject: FASTSYNC, maxMs: 60 },
  ],
};
