/**
 * The same trees and the same direction of the bytes, once opened by the source's end (push) and once by the target's
 * (pull): who called makes no difference.
 */
import { fastsyncOver, openEnds } from "../remote.ts";
import type { Place, Workload } from "../workload.ts";

const NAMES = { push: "fastsync, push", pull: "fastsync, pull" } as const;
/** For the bytes of content, which only the summary has exactly. A line for every file is no part of what is timed. */
const JSON_NAMES = { push: "fastsync --json, push", pull: "fastsync --json, pull" } as const;

function symmetry(id: string, title: string, makeSource: (place: Place) => void): Workload {
  return {
    id: `net-symmetry-${id}`,
    title: `${title}: push against pull`,
    filesystems: ["xfs"],
    size: "5G",
    prepare: async (place) => {
      makeSource(place);
      const ends = await openEnds(place);
      return [
        fastsyncOver(place, ends, "push", [], { name: NAMES.push }),
        fastsyncOver(place, ends, "pull", [], { name: NAMES.pull }),
        fastsyncOver(place, ends, "push", ["--json"], { name: JSON_NAMES.push, maxRuns: 1 }),
        fastsyncOver(place, ends, "pull", ["--json"], { name: JSON_NAMES.pull, maxRuns: 1 }),
      ];
    },
    bars: () => [
      { kind: "near", subject: NAMES.push, other: NAMES.pull, max: 1.15 },
      { kind: "same", subject: NAMES.push, other: NAMES.pull, figure: "streams" },
      { kind: "same", subject: JSON_NAMES.push, other: JSON_NAMES.pull, figure: "payloadBytes" },
    ],
  };
}

export const NET_SYMMETRY: readonly Workload[] = [
  symmetry("S", "100,000 x 4 KiB in 100 directories", (place) => {
    place.tools.gen("files", place.source, place.scale(100_000), 100, 4096, 0);
  }),
  symmetry("L", "1 x 1 GiB", (place) => {
    place.tools.gen("files", place.source, 0, 0, 0, 0);
    place.tools.gen("large", `${place.source}/large.bin`, place.scale(1 << 30));
  }),
];
