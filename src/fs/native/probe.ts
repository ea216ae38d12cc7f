import { PROBE } from "../../../ffi/layout.ts";
import type { ProbeResult } from "../backend.ts";
import { type TimeKeeping, triedTimes } from "../filesystems.ts";
import type { RequestRing } from "./request-ring.ts";

/** Copies the answer of a probe out of its arena block. */
export function readProbe(ring: RequestRing, block: number): ProbeResult {
  const u32 = (at: number): number => ring.u32[(block + at) >> 2]!;
  const i32 = (at: number): number => ring.i32[(block + at) >> 2]!;
  const { at } = PROBE;
  const method = (index: number): number => i32(at.method_status + index * 4);
  return {
    sameFilesystem: u32(at.same_filesystem) !== 0,
    methods: {
      clone: method(1),
      copy_file_range: method(2),
      sendfile: method(3),
      mmap: method(4),
      read_write: method(5),
    },
    tmpfile: i32(at.tmpfile_status),
    xattrs: i32(at.xattr_status),
    acls: i32(at.acl_status),
    hardLinks: i32(at.hardlink_status),
    symlinks: i32(at.symlink_status),
    specials: i32(at.mknod_status),
    sparse: i32(at.sparse_status),
    caseInsensitive: u32(at.case_insensitive) !== 0,
    timeGranularityNs: u32(at.time_granularity_ns),
    targetFilesystemType: u32(at.target_fs_type),
    sourceFilesystemType: u32(at.source_fs_type),
    targetDev: u32(at.target_dev),
    sourceDev: u32(at.source_dev),
  };
}

/** Undefined where times cannot be set. */
export function readTimes(ring: RequestRing, block: number): TimeKeeping | undefined {
  const stepNs = ring.u32[(block + PROBE.at.time_granularity_ns) >> 2]!;
  const earliestSec = ring.f64[(block + PROBE.at.earliest_sec) >> 3]!;
  const latestSec = ring.f64[(block + PROBE.at.latest_sec) >> 3]!;
  return triedTimes(stepNs, earliestSec, latestSec);
}
