/** M over the network: does the memory of either end grow with the number of files? Each run has a fresh daemon. */
import { removeTree } from "../../test/support/temp.ts";
import { fastsyncOver, openEnds, rsyncOver } from "../remote.ts";
import type { Workload } from "../workload.ts";
import { bothWays } from "./net.ts";

const NAMES = { first: "fastsync, first", noop: "fastsync, no-op" } as const;

export const NET_MILLION: readonly Workload[] = bothWays((direction) => ({
  id: `net-M-${direction}`,
  title: "1,000,000 empty files in 1,000 directories: peak RSS of both ends",
  filesystems: ["xfs"],
  /* XFS gives a quarter of its space to inodes: two million of 512 bytes must fit. */
  size: "8G",
  sequential: true,
  prepare: async (place) => {
    place.tools.gen("files", place.source, place.scale(1_000_000), place.scale(1_000), 0, 0);
    const ends = await openEnds(place);
    const fresh = () => removeTree(place.target);
    return [
      ...rsyncOver(place, ends, direction, undefined, { before: fresh }).slice(-1),
      fastsyncOver(place, ends, direction, [], {
        name: NAMES.first,
        before: async () => {
          fresh();
          await ends.daemon.restart();
        },
      }),
      fastsyncOver(place, ends, direction, [], { name: NAMES.noop, before: ends.daemon.restart }),
    ];
  },
  bars: () =>
    Object.values(NAMES).flatMap((subject) => [
      { kind: "rss", subject, maxMB: 250 },
      { kind: "rss", subject, maxMB: 250, end: "other" },
    ]),
}));
