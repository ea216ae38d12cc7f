/** S: many small files, first mirror. N: the same again, nothing to do. */
import {
  cp,
  FASTSYNC,
  fastsyncMirror,
  fastsyncPortable,
  floor,
  RSYNC_FULL,
  RSYNC_INPLACE,
  RSYNC_WHOLE,
  rclone,
  rsync,
  tarPipe,
} from "../commands.ts";
import { run } from "../tools.ts";
import type { Place, Workload } from "../workload.ts";

function makeSource(place: Place): void {
  place.tools.gen("files", place.source, place.scale(100_000), 100, 4096, 0);
}

export const small: Workload = {
  id: "S",
  title: "100,000 x 4 KiB in 100 directories, first mirror",
  filesystems: ["xfs"],
  size: "8G",
  prepare: (place) => {
    makeSource(place);
    return [
      fastsyncMirror(place),
      rsync(place, RSYNC_WHOLE),
      rsync(place, RSYNC_INPLACE),
      rsync(place, RSYNC_FULL),
      cp(place),
      tarPipe(place),
      floor(place),
      fastsyncPortable(place),
      rclone(place),
    ];
  },
  bars: () => [
    { kind: "ratio", subject: FASTSYNC, against: [RSYNC_WHOLE, RSYNC_INPLACE], max: 0.6 },
    { kind: "ratio", subject: FASTSYNC, against: [RSYNC_FULL], max: 0.5 },
    { kind: "ratio", subject: FASTSYNC, against: ["cp -a"], max: 1.0 },
  ],
};

const WITHOUT_XATTRS = ["--no-xattrs", "--no-acls"];

export const noop: Workload = {
  id: "N",
  title: "the same again, nothing to do",
  filesystems: ["xfs"],
  size: "8G",
  prepare: (place) => {
    makeSource(place);
    run(["rsync", "-aHAXS", `${place.source}/`, `${place.target}/`]);
    const before = () => {};
    return [
      fastsyncMirror(place, [], { before }),
      fastsyncMirror(place, WITHOUT_XATTRS, { before }),
      rsync(place, "rsync -a", { before }),
      rsync(place, RSYNC_FULL, { before }),
      fastsyncPortable(place, { before }),
    ];
  },
  bars: () => [
    { kind: "ratio", subject: FASTSYNC, against: [RSYNC_FULL], max: 0.5 },
    { kind: "ratio", subject: [FASTSYNC, ...WITHOUT_XATTRS].join(" "), against: ["rsync -a"], max: 0.6 },
  ],
};
