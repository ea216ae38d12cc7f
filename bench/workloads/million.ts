/** M: does memory grow with the number of files? One million, then two, each mirrored and then found up to date. */
import { removeTree } from "../../test/support/temp.ts";
import { fastsyncMirror, rsync } from "../commands.ts";
import type { Case, Place, Workload } from "../workload.ts";

const NAMES = {
  first: "fastsync, 1 M files, first",
  noop: "fastsync, 1 M files, no-op",
  firstOfTwo: "fastsync, 2 M files, first",
  noopOfTwo: "fastsync, 2 M files, no-op",
} as const;

export const million: Workload = {
  id: "M",
  title: "1,000,000 empty files in 1,000 directories, then 2,000,000: peak RSS",
  filesystems: ["xfs"],
  /* XFS gives a quarter of its space to inodes: four million of 512 bytes must fit. */
  size: "12G",
  sequential: true,
  prepare: (place) => {
    addMillion(place, 0);
    const mirror = (name: string, before: () => void): Case => ({ ...fastsyncMirror(place, [], { before }), name });
    const fresh = () => removeTree(place.target);
    const again = () => {};
    return [
      rsync(place, "rsync -a", { before: fresh }),
      mirror(NAMES.first, fresh),
      mirror(NAMES.noop, again),
      mirror(NAMES.firstOfTwo, () => {
        addMillion(place, 1);
        fresh();
      }),
      mirror(NAMES.noopOfTwo, again),
    ];
  },
  bars: () => [
    { kind: "rss", subject: NAMES.first, maxMB: 200 },
    { kind: "rss", subject: NAMES.noop, maxMB: 200 },
    { kind: "growth", subject: NAMES.firstOfTwo, from: NAMES.first, max: 1.1 },
    { kind: "growth", subject: NAMES.noopOfTwo, from: NAMES.noop, max: 1.1 },
  ],
};

/** The second million lies in directories of its own, so that only the number of files doubles. */
function addMillion(place: Place, which: number): void {
  const count = place.scale(1_000_000);
  place.tools.gen("files", place.source, 0, 0, 0, 0);
  place.tools.gen("files", `${place.source}/part${which}`, count, place.scale(1_000), 0, which * count);
}
