/** X: one file of 512 MiB beside 50,000 small ones. */
import {
  cp,
  FASTSYNC,
  fastsyncMirror,
  floor,
  RSYNC_FULL,
  RSYNC_INPLACE,
  RSYNC_WHOLE,
  rsync,
  tarPipe,
} from "../commands.ts";
import type { Workload } from "../workload.ts";

export const mixed: Workload = {
  id: "X",
  title: "512 MiB + 50,000 x 2 KiB, first mirror",
  filesystems: ["xfs", "xfs-noreflink"],
  size: "6G",
  prepare: (place) => {
    place.tools.gen("files", place.source, place.scale(50_000), 100, 2048, 0);
    place.tools.gen("large", `${place.source}/large.bin`, place.scale(512 << 20));
    return [
      fastsyncMirror(place),
      rsync(place, RSYNC_WHOLE),
      rsync(place, RSYNC_INPLACE),
      rsync(place, RSYNC_FULL, { maxRuns: 3 }),
      cp(place, "--reflink=never"),
      ...(place.filesystem === "xfs" ? [cp(place)] : []),
      tarPipe(place, "", { maxRuns: 3 }),
      floor(place),
    ];
  },
  bars: () => [{ kind: "ratio", subject: FASTSYNC, against: [RSYNC_WHOLE, RSYNC_INPLACE, RSYNC_FULL], max: 0.5 }],
};
