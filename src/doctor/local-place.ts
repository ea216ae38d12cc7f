/** A directory of this machine: its space, and what its filesystem keeps. */
import { accessSync, constants, statfsSync } from "node:fs";
import { constants as system } from "node:os";
import { dirname } from "node:path";
import { deniedText, errnoText, isDenied } from "../core/errno.ts";
import { printable } from "../core/paths.ts";
import { type Backend, WORKING_DIRECTORY } from "../fs/backend.ts";
import { doer } from "../fs/denied.ts";
import { filesystemName, isRemoteFilesystem } from "../fs/filesystems.ts";
import { type Finding, finding } from "./finding.ts";

const GIB = 1 << 30;
/** Below both of them the target is about to be full. */
const FEW_BYTES = GIB;
const FEW_SHARE = 0.05;

/** With a place that can be written to a small temporary file is made there and removed. */
export async function examineLocalPlace(backend: Backend, path: Uint8Array): Promise<Finding[]> {
  const found = await nearestDirectory(backend, path);
  if (found.handle < 0)
    return [
      finding(
        "place",
        "problem",
        `cannot be opened: ${isDenied(found.handle) ? deniedText(found.handle, doer()) : errnoText(found.handle)}`,
        isDenied(found.handle) ? "run fastsync as a user who may (sudo)" : "check the path",
      ),
    ];
  const directory = Buffer.from(found.path);
  try {
    const stats = statfsSync(directory, { bigint: true });
    const room = {
      totalBytes: Number(stats.bsize * stats.blocks),
      availableBytes: Number(stats.bsize * stats.bavail),
      totalInodes: Number(stats.files),
      freeInodes: Number(stats.ffree),
    };
    const name = filesystemName(Number(BigInt.asIntN(64, stats.type)));
    const remote = isRemoteFilesystem(Number(BigInt.asIntN(64, stats.type))) ? ", over a network or a server" : "";
    const missing = found.climbed ? `; it is not there, this is of ${printable(found.path)}` : "";
    const writable = mayWrite(directory);
    const use = writable ? "" : "; cannot be written to, so it may be a source only";
    return [
      found.climbed
        ? finding(
            "place",
            "warning",
            `${name}${remote}${use}${missing}`,
            "as a source it has to exist; as a target it is made",
          )
        : finding("place", "ok", `${name}${remote}${use}`),
      ...(writable ? [spaceFinding(room), ...inodesFinding(room)] : []),
      ...(writable ? await keepsFindings(backend, found.handle) : []),
    ];
  } finally {
    backend.close([found.handle]);
  }
}

/** What a filesystem has room for; 0 inodes: it has no such bound. */
export interface Room {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly totalInodes: number;
  readonly freeInodes: number;
}

export function spaceFinding({ totalBytes, availableBytes }: Room): Finding {
  const text = `${size(availableBytes)} of ${size(totalBytes)} are free`;
  if (availableBytes === 0) return finding("space", "problem", "it is full", "make room: nothing can be written");
  if (availableBytes < FEW_BYTES && availableBytes < totalBytes * FEW_SHARE)
    return finding("space", "warning", text, "make room before a large run");
  return finding("space", "ok", text);
}

export function inodesFinding({ totalInodes, freeInodes }: Room): Finding[] {
  if (totalInodes === 0) return [];
  const text = `${count(freeInodes)} of ${count(totalInodes)} inodes are free`;
  if (freeInodes === 0)
    return [finding("inodes", "problem", "no inode is left", "remove files: no new one can be made")];
  if (freeInodes < totalInodes * FEW_SHARE)
    return [finding("inodes", "warning", text, "remove small files, or make the filesystem with more inodes")];
  return [finding("inodes", "ok", text)];
}

function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** What is asked of a filesystem, and the flag that stops asking. */
const KEPT = [
  ["xattrs", "extended attributes", "--no-xattrs"],
  ["acls", "ACLs", "--no-acls"],
  ["hardLinks", "hard links", "--no-hard-links"],
  ["symlinks", "symbolic links", "--copy-links"],
  ["specials", "special files", "--no-specials"],
  ["sparse", "holes", "--no-sparse"],
] as const;

async function keepsFindings(backend: Backend, handle: number): Promise<Finding[]> {
  const probe = await backend.probe(handle, handle);
  const kept = KEPT.filter(([name]) => probe[name] === 0);
  const lost = KEPT.filter(([name]) => probe[name] < 0);
  const ways = Object.entries(probe.methods)
    .filter(([, status]) => status === 0)
    .map(([name]) => name);
  const text = `keeps ${kept.map(([, words]) => words).join(", ") || "data only"}`;
  const cased = probe.caseInsensitive ? "; takes names that differ in case for one" : "";
  const steps = probe.timeGranularityNs > 1 ? `; times in steps of ${steptext(probe.timeGranularityNs)}` : "";
  return [
    lost.length === 0
      ? finding("keeps", "ok", `${text}${cased}${steps}`)
      : finding(
          "keeps",
          "warning",
          `${text}; does not keep ${lost.map(([, words]) => words).join(", ")}${cased}${steps}`,
          `as a target with ${lost.map(([, , flag]) => flag).join(" ")}, or on another filesystem`,
        ),
    finding("copies", "ok", `within it by ${ways.join(", ")}`),
  ];
}

function steptext(ns: number): string {
  return ns >= 1e9 ? `${ns / 1e9} s` : ns >= 1e6 ? `${ns / 1e6} ms` : `${ns / 1e3} us`;
}

function mayWrite(path: Buffer): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** The directory itself, or the nearest one above it: a target need not exist yet. */
async function nearestDirectory(
  backend: Backend,
  path: Uint8Array,
): Promise<{ handle: number; path: Uint8Array; climbed: boolean }> {
  let here = path;
  for (let climbed = false; ; climbed = true) {
    const handle = await backend.resolve(WORKING_DIRECTORY, here, { create: false, operator: true });
    const text = Buffer.from(here).toString("latin1");
    const above = dirname(text);
    const isMissing = [-system.errno.ENOENT, -system.errno.ENOTDIR].includes(handle);
    if (!isMissing || above === text) return { handle, path: here, climbed };
    here = Buffer.from(above, "latin1");
  }
}
