/** What the items of one request share. */
import { type CopyRequest, type DirHandle, NO_HANDLE, type WriteSettings } from "../backend.ts";
import { needsBothTimes } from "../filesystems.ts";
import { Capability, hasCapability } from "../privileges.ts";
import { hasDefaultAcl, type Wanted } from "./attributes.ts";
import { descriptorPath } from "./directories.ts";
import { filesystemType } from "./listing.ts";
import type { Slices } from "./slices.ts";

export interface Job {
  readonly slices: Slices;
  readonly settings: WriteSettings;
  readonly wanted: Wanted;
  readonly source: DirHandle;
  readonly target: DirHandle;
  /** Where temporary files are made; the target unless asked otherwise. */
  readonly temp: DirHandle;
  readonly backup: DirHandle;
  readonly suffix: Uint8Array;
  readonly mayChown: boolean;
  readonly euid: number;
  readonly groups: ReadonlySet<number>;
  /** The temp directory's default ACL decides the mode of new files, when modes and ACLs are not preserved. */
  readonly hasDefaultAcl: boolean;
  /** See `needsBothTimes`. */
  readonly setsBothTimes: boolean;
}

const NO_BYTES = new Uint8Array(0);

/** Everything off: for requests that write no metadata. */
export const PLAIN_SETTINGS: WriteSettings = {
  perms: false,
  times: false,
  dirTimes: false,
  linkTimes: false,
  owner: false,
  group: false,
  xattrs: false,
  acls: false,
  sparse: false,
  inplace: false,
  fsync: false,
  verify: "none",
  noAtime: false,
  follow: false,
  delta: false,
  methods: undefined,
  chownUid: undefined,
  rowOwners: false,
  chownGid: undefined,
  umask: 0o022,
  backupSuffix: NO_BYTES,
};

export function wantedOf(options: {
  readonly xattrs: boolean;
  readonly acls: boolean;
  readonly privileged?: boolean;
  readonly blocks?: boolean;
}): Wanted {
  return {
    blocks: options.blocks === true,
    xattrs: options.xattrs,
    acls: options.acls,
    privileged: options.xattrs && (options.privileged ?? process.geteuid?.() === 0),
  };
}

export function openJob(
  slices: Slices,
  settings: WriteSettings,
  directories: Pick<CopyRequest, "source" | "target" | "backup" | "temp">,
): Job {
  const { target, temp = target } = directories;
  const suffix = settings.backupSuffix;
  let backup = directories.backup ?? NO_HANDLE;
  // It would be kept under its own name.
  if (backup === target && suffix.length === 0) backup = NO_HANDLE;
  const setsTimes = settings.times || settings.dirTimes || settings.linkTimes;
  const asksAcl = !settings.perms && !settings.acls && temp >= 0;
  return {
    slices,
    settings,
    wanted: wantedOf(settings),
    source: directories.source,
    target,
    temp: temp >= 0 ? temp : target,
    backup,
    suffix,
    mayChown: hasCapability(Capability.chown),
    euid: process.geteuid?.() ?? 0,
    groups: new Set([process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])]),
    hasDefaultAcl: asksAcl && hasDefaultAcl(descriptorPath(temp)),
    setsBothTimes: setsTimes && target >= 0 && needsBothTimes(filesystemType(target)),
  };
}

/** A job that copies everything about an entry, for backups and moves between filesystems. */
export function wholeJob(of: Job, source: DirHandle, target: DirHandle): Job {
  const settings: WriteSettings = {
    ...PLAIN_SETTINGS,
    perms: true,
    times: true,
    linkTimes: true,
    owner: true,
    group: true,
    xattrs: true,
    acls: true,
    sparse: true,
    fsync: of.settings.fsync,
    privileged: of.wanted.privileged,
  };
  return openJob(of.slices, settings, { source, target });
}
