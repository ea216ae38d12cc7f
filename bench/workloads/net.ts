/**
 * Between two processes over loopback: pushes to and pulls from a daemon, beside rsync and its own. Both trees are on
 * one filesystem. What the local workloads S, X, L, N, I and M are on one machine, `net-S-push` and the others are here.
 */

import { FASTSYNC } from "../commands.ts";
import { DIRECTIONS, type Direction, fastsyncOver, openEnds, rsyncNames, rsyncOver, wireFloor } from "../remote.ts";
import { run } from "../tools.ts";
import type { Place, Workload } from "../workload.ts";
import { CHANGES_TITLE, prepareChanges } from "./incremental.ts";

const ONLY_XFS = ["xfs"] as const;

export function bothWays(make: (direction: Direction) => Workload): Workload[] {
  return DIRECTIONS.map(make);
}

interface FirstMirror {
  readonly name: string;
  readonly title: string;
  /** Of the faster line of rsync. */
  readonly max: number;
  readonly size: string;
  readonly makeSource: (place: Place) => void;
  /** Of all content, where speed says more than time. */
  readonly bytes?: number;
  readonly floor?: true;
}

function firstMirror({ name, title, max, size, makeSource, bytes, floor }: FirstMirror): Workload[] {
  return bothWays((direction) => ({
    id: `net-${name}-${direction}`,
    title: `${title}, first mirror`,
    filesystems: ONLY_XFS,
    size,
    prepare: async (place) => {
      makeSource(place);
      const ends = await openEnds(place);
      const cases = [fastsyncOver(place, ends, direction), ...rsyncOver(place, ends, direction)];
      if (floor === true) cases.push(wireFloor(place));
      return bytes === undefined ? cases : cases.map((one) => ({ ...one, bytes: place.scale(bytes) }));
    },
    bars: () => [{ kind: "ratio", subject: FASTSYNC, against: rsyncNames(), max }],
  }));
}

function makeSmall(place: Place): void {
  place.tools.gen("files", place.source, place.scale(100_000), 100, 4096, 0);
}

/** In a directory, as the floor wants it. */
function makeLarge(place: Place): void {
  place.tools.gen("files", place.source, 0, 0, 0, 0);
  place.tools.gen("files", `${place.source}/d0000`, 0, 0, 0, 0);
  place.tools.gen("large", `${place.source}/d0000/large.bin`, place.scale(1 << 30));
}

function makeMixed(place: Place): void {
  place.tools.gen("files", place.source, place.scale(50_000), 100, 2048, 0);
  place.tools.gen("large", `${place.source}/large.bin`, place.scale(512 << 20));
}

const SMALL_TITLE = "100,000 x 4 KiB in 100 directories";

const small = firstMirror({
  name: "S",
  title: SMALL_TITLE,
  max: 0.65,
  size: "4G",
  makeSource: makeSmall,
  floor: true,
});

const mixed = firstMirror({
  name: "X",
  title: "512 MiB + 50,000 x 2 KiB",
  max: 0.65,
  size: "5G",
  makeSource: makeMixed,
});

const large = firstMirror({
  name: "L",
  title: "1 x 1 GiB",
  max: 0.9,
  size: "5G",
  makeSource: makeLarge,
  bytes: 1 << 30,
  floor: true,
});

const noop = bothWays((direction) => ({
  id: `net-N-${direction}`,
  title: `${SMALL_TITLE}, nothing to do`,
  filesystems: ONLY_XFS,
  size: "4G",
  prepare: async (place) => {
    makeSmall(place);
    run(["rsync", "-aHAXS", `${place.source}/`, `${place.target}/`]);
    const ends = await openEnds(place);
    const before = () => {};
    return [
      fastsyncOver(place, ends, direction, [], { before }),
      ...rsyncOver(place, ends, direction, undefined, { before }),
    ];
  },
  bars: () => [{ kind: "ratio", subject: FASTSYNC, against: rsyncNames(), max: 0.75 }],
}));

const RSYNC_DELETE = "rsync -a --whole-file --delete";

const incremental = bothWays((direction) => ({
  id: `net-I-${direction}`,
  title: CHANGES_TITLE,
  filesystems: ONLY_XFS,
  size: "4G",
  repeat: 3,
  prepare: async (place) => {
    const before = prepareChanges(place);
    const ends = await openEnds(place);
    return [
      fastsyncOver(place, ends, direction, [], { before }),
      ...rsyncOver(place, ends, direction, RSYNC_DELETE, { before }),
    ];
  },
  bars: () => [{ kind: "ratio", subject: FASTSYNC, against: rsyncNames(RSYNC_DELETE), max: 1.0 }],
}));

const IN_CONTROL = "--force-grpc";

const carrier = bothWays((direction) => ({
  id: `net-carrier-${direction}`,
  title: "1 x 1 GiB inside the control connection, first mirror",
  filesystems: ONLY_XFS,
  size: "5G",
  prepare: async (place) => {
    makeLarge(place);
    const ends = await openEnds(place);
    return [fastsyncOver(place, ends, direction, [IN_CONTROL], { bytes: place.scale(1 << 30) })];
  },
  bars: () => [{ kind: "rate", subject: `${FASTSYNC} ${IN_CONTROL}`, minMiBPerSecond: 200 }],
}));

export const NET_BASIC: readonly Workload[] = [...small, ...mixed, ...large, ...noop, ...incremental, ...carrier];
