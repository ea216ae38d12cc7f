/** Listings by hand: a manifest's columns, from the comments of session.proto alone. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ManifestSchema } from "../../../src/wire/gen/fastsync/v1/session_pb.ts";

export const DIRECTORY = 0o040755;
export const REGULAR = 0o100644;
export const LINK = 0o120777;

export interface Row {
  readonly name: string | Uint8Array;
  readonly mode?: number;
  readonly size?: number;
  readonly mtime?: number;
  readonly nsec?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly rdev?: number;
  readonly nlink?: number;
  readonly ino?: bigint;
  readonly dev?: number;
  readonly flags?: number;
  readonly status?: number;
  readonly link?: string | Uint8Array;
}

export type ManifestFields = MessageInitShape<typeof ManifestSchema>;

const bytesOf = (text: string | Uint8Array): Uint8Array =>
  typeof text === "string" ? Buffer.from(text, "latin1") : text;

function column<T>(values: readonly T[], width: number, write: (to: Buffer, value: T, at: number) => void): Buffer {
  const to = Buffer.alloc(values.length * width);
  values.forEach((value, i) => void write(to, value, i * width));
  return to;
}
const u16 = (values: readonly number[]) => column(values, 2, (to, value, at) => to.writeUInt16LE(value, at));
const u32 = (values: readonly number[]) => column(values, 4, (to, value, at) => to.writeUInt32LE(value >>> 0, at));
const f64 = (values: readonly number[]) => column(values, 8, (to, value, at) => to.writeDoubleLE(value, at));
const u64 = (values: readonly bigint[]) => column(values, 8, (to, value, at) => to.writeBigUInt64LE(value, at));
const texts = (values: readonly Uint8Array[]): Buffer =>
  Buffer.concat(values.flatMap((value) => (value.length === 0 ? [] : [value, Uint8Array.of(0)])));

/** The rows and the directory's own behind them; `at`: the directory, its parent and its row there. */
export function manifest(
  at: { readonly dir: number; readonly parent?: number; readonly row?: number },
  rows: readonly Row[],
  more: ManifestFields = {},
  own: Row = { name: ".", mode: DIRECTORY, mtime: 1_700_000_000 },
): ManifestFields {
  const all = [...rows, own];
  const names = all.map(({ name }) => bytesOf(name));
  const links = all.map(({ link }) => (link === undefined ? new Uint8Array(0) : bytesOf(link)));
  return {
    dir: at.dir,
    parent: at.parent === undefined ? 0 : at.parent + 1,
    parentRow: at.row === undefined ? 0 : at.row + 1,
    rows: all.length,
    names: texts(names),
    nameLengths: u16(names.map(({ length }) => length)),
    modes: u32(all.map(({ mode }) => mode ?? REGULAR)),
    sizes: f64(all.map(({ size }) => size ?? 0)),
    mtimeSeconds: f64(all.map(({ mtime }) => mtime ?? 1_700_000_000)),
    mtimeNanos: u32(all.map(({ nsec }) => nsec ?? 0)),
    uids: u32(all.map(({ uid }) => uid ?? 0)),
    gids: u32(all.map(({ gid }) => gid ?? 0)),
    rdevs: u32(all.map(({ rdev }) => rdev ?? 0)),
    nlinks: u32(all.map(({ nlink }) => nlink ?? 1)),
    inodes: u64(all.map(({ ino }) => ino ?? 0n)),
    devs: u32(all.map(({ dev }) => dev ?? 1)),
    flags: Uint8Array.from(all.map(({ flags }) => flags ?? 0)),
    statuses: u32(all.map(({ status }) => status ?? 0)),
    linkLengths: u16(links.map(({ length }) => length)),
    links: texts(links),
    entered: true,
    owned: true,
    ...more,
  };
}

/** Rows of a listing that arrived: names and modes. */
export function rowsOf(listing: {
  rows: number;
  names: Uint8Array;
  nameLengths: Uint8Array;
  modes: Uint8Array;
}): { name: string; mode: number }[] {
  const names = Buffer.from(listing.names).toString("latin1").split("\0");
  const modes = Buffer.from(listing.modes);
  return Array.from({ length: listing.rows }, (_, row) => ({
    name: names[row]!,
    mode: modes.length === 0 ? 0 : modes.readUInt32LE(modes.length === 4 ? 0 : row * 4),
  }));
}
