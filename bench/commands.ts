/** How each tool is asked to make TARGET equal to SOURCE. */
import { existsSync, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { removeTree } from "../test/support/temp.ts";
import type { Case, Place } from "./workload.ts";

const ROOT = resolve(import.meta.dir, "..");

/** FASTSYNC_BIN where set, else the release binary, else the source. */
export function subjectCommand(): string[] {
  const release = resolve(ROOT, "dist/fastsync");
  const chosen = process.env["FASTSYNC_BIN"] ?? (existsSync(release) ? release : resolve(ROOT, "src/main.ts"));
  return chosen.endsWith(".ts") ? [process.execPath, chosen] : [resolve(chosen)];
}

export function subjectMissing(): string | undefined {
  const path = subjectCommand().at(-1)!;
  return existsSync(path) ? undefined : `there is no ${path}`;
}

type Extras = Partial<Pick<Case, "maxRuns" | "before" | "verify">>;

export const FASTSYNC = "fastsync";
export const RSYNC_WHOLE = "rsync -a --whole-file";
export const RSYNC_INPLACE = "rsync -a --whole-file --inplace";
export const RSYNC_FULL = "rsync -aHAXS";

/** `fastsync mirror` with further flags; they are part of the case's name. */
export function fastsyncMirror(place: Place, flags: readonly string[] = [], extras: Extras = {}): Case {
  return {
    name: [FASTSYNC, ...flags].join(" "),
    role: "subject",
    command: [...subjectCommand(), "mirror", "--yes", ...flags, `${place.source}/`, `${place.target}/`],
    verify: "full",
    missing: subjectMissing(),
    ...extras,
  };
}

/** The portable backend, for the record: no bar is set for it. */
export function fastsyncPortable(place: Place, extras: Extras = {}): Case {
  const native = fastsyncMirror(place, [], { maxRuns: 1, ...extras });
  return { ...native, name: "fastsync, portable backend", command: ["env", "FASTSYNC_NATIVE=off", ...native.command] };
}

/** What copies nothing: `version`, `mirror --help`, a press of the key that completes. */
export function fastsyncWords(...words: string[]): Case {
  const name = [FASTSYNC, ...words.filter((word) => word !== "")].join(" ");
  return { name, role: "subject", command: [...subjectCommand(), ...words], verify: "none", missing: subjectMissing() };
}

/** Any rsync: the name is the command. */
export function rsync(place: Place, name: string, extras: Extras = {}): Case {
  const command = [...name.split(" "), `${place.source}/`, `${place.target}/`];
  return { name, role: "peer", command, verify: "full", missing: lacking("rsync"), ...extras };
}

/** `cp -a` with further flags. */
export function cp(place: Place, flags = "", extras: Extras = {}): Case {
  const name = `cp -a${flags === "" ? "" : ` ${flags}`}`;
  return {
    name,
    role: "peer",
    command: [...name.split(" "), "-T", place.source, place.target],
    verify: "full",
    ...extras,
  };
}

/** Two tars and a pipe; `flags` for the writer. tar keeps whole seconds unless asked for the pax format. */
export function tarPipe(place: Place, flags = "", extras: Extras = {}): Case {
  const script = `tar --format=posix ${flags} -C "$1" -cf - . | tar -C "$2" -xpf -`;
  return {
    name: `tar${flags === "" ? "" : ` ${flags}`} | tar`,
    role: "peer",
    command: ["sh", "-c", script, "sh", place.source, place.target],
    verify: "full",
    before: () => emptyTarget(place),
    missing: lacking("tar"),
    ...extras,
  };
}

/** rclone says of itself that it keeps no modes or owners here, so only content is asked of it. */
export function rclone(place: Place, extras: Extras = {}): Case {
  const command = ["rclone", "--config", "/dev/null", "sync", "--create-empty-src-dirs", place.source, place.target];
  return {
    name: "rclone sync",
    role: "peer",
    command,
    verify: "content",
    maxRuns: 1,
    missing: lacking("rclone"),
    ...extras,
  };
}

/** What two threads of C take for the bare system calls of an atomic copy. */
export function floor(place: Place, extras: Extras = {}): Case {
  return {
    name: "floor in C",
    role: "floor",
    command: [place.tools.floor ?? "floor", place.source, place.target],
    verify: "content",
    missing: place.tools.floor === undefined ? "ffi/bench/floor.c is not there" : undefined,
    ...extras,
  };
}

export function emptyTarget(place: Place): void {
  removeTree(place.target);
  mkdirSync(place.target);
}

/** Why a program cannot be used, or undefined. */
export function lacking(program: string): string | undefined {
  return Bun.which(program) === null ? `${program} is not installed` : undefined;
}
