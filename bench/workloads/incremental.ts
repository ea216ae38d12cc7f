/** I: an old mirror brought up to date: some files rewritten, some added, some deleted, a large one touched inside. */
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { removeTree } from "../../test/support/temp.ts";
import { noise } from "../../test/support/tree.ts";
import { FASTSYNC, fastsyncMirror, rsync } from "../commands.ts";
import { run } from "../tools.ts";
import type { Place, Workload } from "../workload.ts";

const PLAIN = "rsync -a --delete";
const FULL = "rsync -aHAXS --delete";

export const CHANGES_TITLE =
  "128 MiB + 10,000 x 4 KiB; 1 % rewritten, 50 added, 50 deleted, 4 KiB changed inside the large file";

export const incremental: Workload = {
  id: "I",
  title: CHANGES_TITLE,
  filesystems: ["xfs"],
  size: "4G",
  prepare: (place) => {
    const before = prepareChanges(place);
    return [fastsyncMirror(place, [], { before }), rsync(place, PLAIN, { before }), rsync(place, FULL, { before })];
  },
  bars: () => [
    { kind: "ratio", subject: FASTSYNC, against: [PLAIN], max: 0.8 },
    { kind: "ratio", subject: FASTSYNC, against: [FULL], max: 0.6 },
  ],
};

/** Makes the changed source; what it answers makes the old target. */
export function prepareChanges(place: Place): () => void {
  const old = `${place.mount}/old`;
  makeOld(place);
  run(["cp", "-a", "--reflink=never", place.source, old]);
  change(place);
  /* Shared blocks would make an update in place slower than it is, so the old target owns its own. */
  return () => {
    removeTree(place.target);
    run(["cp", "-a", "--reflink=never", old, place.target]);
  };
}

function makeOld(place: Place): void {
  place.tools.gen("files", place.source, place.scale(10_000), 100, 4096, 0);
  place.tools.gen("large", `${place.source}/large.bin`, place.scale(128 << 20));
}

function change(place: Place): void {
  const path = (number: number) =>
    `${place.source}/d${String(number % 100).padStart(4, "0")}/file${String(number).padStart(8, "0")}.dat`;
  const count = place.scale(10_000);
  const share = count / 100;
  for (let i = 0; i < share; i++) writeFileSync(path((i * 97) % count), noise(4096, i + 500));
  for (let i = 0; i < share / 2; i++) rmSync(path((i * 89 + 1) % count), { force: true });
  for (let i = 0; i < share / 2; i++) writeFileSync(`${path(i)}.new`, noise(4096, i + 900));
  const fd = openSync(`${place.source}/large.bin`, "r+");
  writeSync(fd, noise(4096, 7), 0, 4096, place.scale(64 << 20));
  closeSync(fd);
}
