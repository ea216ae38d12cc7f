/** `WriteSettings` as the library reads them: one `fsy_options` block with the backup suffix behind it. */
import { KEEP_ID, Method, MMAP_BYTES, Opt, SMALL_BYTES } from "../../../ffi/fsy.ts";
import { OPTIONS } from "../../../ffi/layout.ts";
import { METHODS, type WriteSettings } from "../backend.ts";
import type { RequestRing } from "./request-ring.ts";

const AT = OPTIONS.at;
/** Room for the longest suffix; one size for all, so that what settings hold is known. */
export const SETTINGS_BYTES = 512;
/** All of the library's; METHODS goes on with what the session does itself. */
const ALL_METHODS = (1 << Object.keys(Method).length) - 2;

/** Bits `1 << FSY_METHOD_*` of the methods that may move data. */
export function methodMask(settings: WriteSettings): number {
  if (settings.methods === undefined) return ALL_METHODS;
  let mask = settings.delta ? 1 << METHODS.indexOf("delta") : 0;
  for (const method of settings.methods) mask |= 1 << METHODS.indexOf(method);
  // Without any method the library would read 0 as `all`; read/write is what cannot be refused.
  return mask & ~(1 << METHODS.indexOf("delta")) ? mask : mask | (1 << METHODS.indexOf("read_write"));
}

export function optionFlags(settings: WriteSettings, isPrivileged: boolean): number {
  const given: readonly [boolean, number][] = [
    [settings.perms, Opt.perms],
    [settings.times, Opt.times],
    [settings.dirTimes, Opt.dirTimes],
    [settings.linkTimes, Opt.linkTimes],
    [settings.owner, Opt.owner],
    [settings.group, Opt.group],
    [settings.xattrs, Opt.xattrs],
    [settings.xattrs && isPrivileged, Opt.xattrPrivileged],
    [settings.acls, Opt.acls],
    [settings.rowOwners, Opt.rowOwners],
    [settings.sparse, Opt.sparse],
    [settings.inplace, Opt.inplace],
    [settings.fsync, Opt.fsync],
    [settings.verify !== "none", Opt.verify],
    [settings.verify === "readback", Opt.readback],
    [settings.noAtime, Opt.noatime],
    [settings.follow, Opt.follow],
    [settings.delta, Opt.delta],
  ];
  return given.reduce((flags, [isOn, bit]) => (isOn ? flags | bit : flags), 0);
}

/** Returns the block; it lives as long as the ring. */
export function packOptions(
  ring: RequestRing,
  settings: WriteSettings,
  isPrivileged: boolean,
  runId: readonly [number, number],
): number {
  const suffix = settings.backupSuffix;
  if (suffix.length > 255 || suffix.includes(0)) throw new Error("a backup suffix of at most 255 bytes without NUL");
  const block = ring.alloc(SETTINGS_BYTES);
  const put = (at: number, value: number): void => {
    ring.u32[(block + at) >> 2] = value;
  };
  ring.u32.fill(0, block >> 2, (block + OPTIONS.bytes) >> 2);
  put(AT.flags, optionFlags(settings, isPrivileged));
  put(AT.methods, methodMask(settings));
  put(AT.chown_uid, settings.chownUid ?? KEEP_ID);
  put(AT.chown_gid, settings.chownGid ?? KEEP_ID);
  put(AT.umask_bits, settings.umask & 0o777);
  put(AT.small_bytes, SMALL_BYTES);
  put(AT.mmap_bytes, MMAP_BYTES);
  put(AT.run_id_lo, runId[0]);
  put(AT.run_id_hi, runId[1]);
  put(AT.confine, (settings.confine ?? -1) + 1);
  if (suffix.length > 0) {
    put(AT.suffix_at, block + OPTIONS.bytes);
    ring.bytes.set(suffix, block + OPTIONS.bytes);
    ring.bytes[block + OPTIONS.bytes + suffix.length] = 0;
  }
  return block;
}
