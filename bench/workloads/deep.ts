/** T: more directories than most trees have for their files. */
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

export const deep: Workload = {
  id: "T",
  title: "20,000 x 1 KiB in 8,000 directories, 40 deep, first mirror",
  filesystems: ["xfs"],
  size: "4G",
  prepare: (place) => {
    place.tools.gen("deep", place.source, place.scale(200), 40, place.scale(20_000), 1024);
    return [
      fastsyncMirror(place),
      rsync(place, RSYNC_WHOLE),
      rsync(place, RSYNC_INPLACE),
      rsync(place, RSYNC_FULL),
      cp(place),
      tarPipe(place),
      floor(place),
    ];
  },
  bars: () => [{ kind: "ratio", subject: FASTSYNC, against: [RSYNC_WHOLE, RSYNC_INPLACE, RSYNC_FULL], max: 0.6 }],
};
