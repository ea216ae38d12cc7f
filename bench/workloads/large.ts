/** L: one file of 1 GiB, where the kernel can share its blocks and where it cannot. */
import {
  cp,
  FASTSYNC,
  fastsyncMirror,
  floor,
  RSYNC_INPLACE,
  RSYNC_WHOLE,
  rclone,
  rsync,
  tarPipe,
} from "../commands.ts";
import type { Workload } from "../workload.ts";

export const large: Workload = {
  id: "L",
  title: "1 x 1 GiB, first mirror",
  filesystems: ["xfs-noreflink", "xfs"],
  size: "5G",
  prepare: (place) => {
    place.tools.gen("files", place.source, 0, 0, 0, 0);
    place.tools.gen("large", `${place.source}/large.bin`, place.scale(1 << 30));
    const reflink = place.filesystem === "xfs";
    return [
      fastsyncMirror(place),
      reflink ? cp(place, "--reflink=always") : cp(place, "--reflink=never"),
      rsync(place, RSYNC_WHOLE),
      ...(reflink ? [] : [rsync(place, RSYNC_INPLACE), tarPipe(place), floor(place), rclone(place)]),
    ];
  },
  bars: (filesystem) =>
    filesystem === "xfs"
      ? [{ kind: "wall", subject: FASTSYNC, maxMs: 60 }]
      : [{ kind: "ratio", subject: FASTSYNC, against: ["cp -a --reflink=never"], max: 1.1 }],
};
