/** Z: a disk image that is almost all hole. */
import { cp, FASTSYNC, fastsyncMirror, rsync, tarPipe } from "../commands.ts";
import type { Workload } from "../workload.ts";

export const sparse: Workload = {
  id: "Z",
  title: "1 x 10 GiB sparse with 64 MiB of data in 64 pieces, first mirror",
  filesystems: ["xfs", "xfs-noreflink"],
  size: "2G",
  prepare: (place) => {
    place.tools.gen("files", place.source, 0, 0, 0, 0);
    place.tools.gen("sparse", `${place.source}/disk.img`, place.scale(10 * 2 ** 30), place.scale(64 << 20), 64);
    return [
      fastsyncMirror(place),
      cp(place, "--reflink=never"),
      tarPipe(place, "-S"),
      ...(place.filesystem === "xfs" ? [rsync(place, "rsync -aS", { maxRuns: 1 })] : []),
    ];
  },
  bars: () => [{ kind: "wall", subject: FASTSYNC, maxMs: 100 }],
};
