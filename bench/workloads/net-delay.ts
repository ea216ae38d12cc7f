/** Over a long line: a proxy between the ends delays what passes, on all ports of the daemons. */
import { FASTSYNC } from "../commands.ts";
import { type Ends, farAway, fastsyncOver, openEnds, rsyncNames, rsyncOver, type Trees } from "../remote.ts";
import type { Place, Workload } from "../workload.ts";
import { bothWays } from "./net.ts";

const ROUND_TRIP_MS = 50;
const FAR = "127.0.0.2";
/** Behind a proxy as well, so that what it costs besides the delay is on both sides of the comparison. */
const NEAR = "127.0.0.3";

const delayed = bothWays((direction) => ({
  id: `net-RTT-${direction}`,
  title: `64 MiB + 2,000 x 4 KiB over a line of ${ROUND_TRIP_MS} ms, first mirror`,
  filesystems: ["xfs"],
  size: "2G",
  prepare: async (place) => {
    place.tools.gen("files", place.source, place.scale(2_000), 20, 4096, 0);
    place.tools.gen("large", `${place.source}/large.bin`, place.scale(64 << 20));
    const ends = await farAway(place, await openEnds(place), FAR, ROUND_TRIP_MS);
    return [fastsyncOver(place, ends, direction), ...rsyncOver(place, ends, direction)];
  },
  bars: () => [{ kind: "ratio", subject: FASTSYNC, against: rsyncNames(), max: 0.8 }],
}));

const NAMES = {
  far: { subject: `20,000 files, ${ROUND_TRIP_MS} ms`, few: `20 files, ${ROUND_TRIP_MS} ms` },
  near: { subject: "20,000 files, no delay", few: "20 files, no delay" },
} as const;

const trips = bothWays((direction) => ({
  id: `net-trips-${direction}`,
  title: `20,000 x 1 KiB in 100 directories against 20 in one, over a line of ${ROUND_TRIP_MS} ms and over one of none`,
  filesystems: ["xfs"],
  size: "2G",
  /* The bar lies on differences of four medians, each of which has to be good to a few milliseconds. */
  repeat: 3,
  prepare: async (place) => {
    const many = treesOf(place, "many");
    const few = treesOf(place, "few");
    place.tools.gen("files", many.source, place.scale(20_000), 100, 1024, 0);
    place.tools.gen("files", few.source, 20, 1, 1024, 0);
    const ends = await openEnds(place);
    const far = await farAway(place, ends, FAR, ROUND_TRIP_MS);
    const near = await farAway(place, ends, NEAR, 0);
    const mirror = (trees: Trees, by: Ends, name: string) => fastsyncOver(trees, by, direction, [], { name });
    return [
      mirror(many, far, NAMES.far.subject),
      mirror(few, far, NAMES.far.few),
      mirror(many, near, NAMES.near.subject),
      mirror(few, near, NAMES.near.few),
    ];
  },
  bars: () => [{ kind: "trips", ...NAMES.far, without: NAMES.near, roundTripMs: ROUND_TRIP_MS, max: 8 }],
}));

function treesOf({ mount }: Place, name: string): Trees {
  return { mount, source: `${mount}/${name}`, target: `${mount}/${name}-target` };
}

export const NET_DELAY: readonly Workload[] = [...delayed, ...trips];
