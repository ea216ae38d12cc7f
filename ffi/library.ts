/**
 * Finding the native library. Candidates in order, the first that loads and passes the checks wins:
 *
 *   1. $FASTSYNC_LIBRARY: for tests, which have libraries that fail and die on purpose (fault.h). As with LD_PRELOAD,
 *      whoever starts a program says what runs in it; so it counts for nothing where the program has privileges that
 *      its caller has not (set-user-ID, file capabilities)
 *   2. in a compiled binary: the copy inside it, through a memfd, else through a private directory where files may be
 *      executed (Bun's own unpacking to TMPDIR fails when that is mounted noexec); then libfsy.so beside the
 *      executable, where nobody else can write
 *   3. from source: build/libfsy.so beside this file, then prebuilt/<platform>/libfsy.so, which the packed npm tarball
 *      carries for machines without a compiler, one for each processor and C library
 *
 * Every candidate that failed is kept with its reason: `fastsync capabilities` shows them.
 */
import { dlopen, ptr } from "bun:ffi";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { embeddedLibrary } from "./embedded.ts";
import { type Library, loadLibrary } from "./fsy.ts";
import { libcOfProcess } from "./process-libc.ts";

export interface LibraryCandidate {
  /** Where: a path, or `embedded (memfd)` and the like. */
  readonly place: string;
  /** `loaded`, or why not, in one line. */
  readonly outcome: string;
}

export interface LibrarySearch {
  readonly library: Library | undefined;
  readonly candidates: readonly LibraryCandidate[];
}

const FILE_NAME =
  process.platform === "win32" ? "fsy.dll" : process.platform === "darwin" ? "libfsy.dylib" : "libfsy.so";
const MFD_CLOEXEC = 1;
const MFD_EXEC = 0x10;

const PRIVILEGED = "not asked: this program has privileges that whoever started it has not";
const AT_NULL = 0n;
const AT_SECURE = 23n;

/** The kernel's word on it: getauxval(3). */
export function isSecureExecution(auxiliaryVector: Uint8Array): boolean {
  const words = new BigUint64Array(auxiliaryVector.slice().buffer, 0, auxiliaryVector.length >> 3);
  for (let at = 0; at + 1 < words.length && words[at] !== AT_NULL; at += 2)
    if (words[at] === AT_SECURE) return words[at + 1] !== 0n;
  return false;
}

function isMorePrivilegedThanItsCaller(): boolean {
  if (process.platform !== "linux") return false;
  try {
    return isSecureExecution(fs.readFileSync("/proc/self/auxv"));
  } catch {
    // Of a process with privileges /proc belongs to root.
    return true;
  }
}

export function findLibrary(): LibrarySearch {
  const candidates: LibraryCandidate[] = [];
  const attempt = (place: string, load: () => Library): Library | undefined => {
    try {
      const library = load();
      candidates.push({ place, outcome: "loaded" });
      return library;
    } catch (error) {
      candidates.push({ place, outcome: oneLine(error) });
      return undefined;
    }
  };
  const fromFile = (place: string): Library | undefined =>
    attempt(place, () => {
      // Bun's dlopen error does not tell a missing file from a broken one.
      if (!fs.existsSync(place)) throw new Error("no such file");
      return loadLibrary(place);
    });
  const named = process.env["FASTSYNC_LIBRARY"];
  let library: Library | undefined;
  if (named !== undefined && named !== "") {
    if (isMorePrivilegedThanItsCaller()) candidates.push({ place: named, outcome: PRIVILEGED });
    else library = fromFile(path.resolve(named));
  }
  const embedded: string | undefined = embeddedLibrary;
  if (embedded === undefined) return { library: library ?? firstOf(sourcePlaces(), fromFile), candidates };
  if (process.platform === "linux") library ??= attempt("embedded (memfd)", () => loadThroughMemfd(embedded));
  // A file there could be exchanged by who started us.
  library ??= firstOf(isMorePrivilegedThanItsCaller() ? [] : unpackPlaces(), (directory) =>
    attempt(`embedded (unpacked to ${directory})`, () => loadUnpacked(embedded, directory)),
  );
  library ??= firstOf(besideExecutable(), fromFile);
  return { library, candidates };
}

function sourcePlaces(): string[] {
  return [path.join(import.meta.dir, "build", FILE_NAME), prebuiltLibrary(import.meta.dir)];
}

/** The one that fits this process. */
export function prebuiltLibrary(ffi: string): string {
  return path.join(ffi, "prebuilt", `${process.platform}-${process.arch}-${libcOfProcess()}`, FILE_NAME);
}

/** A library in a directory that others can write to may be anybody's. */
function besideExecutable(): string[] {
  const directory = path.dirname(process.execPath);
  try {
    const { mode, uid } = fs.statSync(directory);
    const isOurs = uid === 0 || uid === process.geteuid?.();
    return isOurs && (mode & 0o022) === 0 ? [path.join(directory, FILE_NAME)] : [];
  } catch {
    return [];
  }
}

/** A file in memory belongs to no mount, so that `noexec` does not concern it, and leaves nothing behind. */
function loadThroughMemfd(embedded: string): Library {
  const libc = openLibc({ memfd_create: { args: ["ptr", "u32"], returns: "i32" } });
  const name = Buffer.from("libfsy\0");
  // MFD_EXEC (Linux 6.3) says what vm.memfd_noexec would otherwise deny; older kernels refuse the unknown flag.
  let fd = libc.symbols.memfd_create(ptr(name), MFD_CLOEXEC | MFD_EXEC);
  if (fd < 0) fd = libc.symbols.memfd_create(ptr(name), MFD_CLOEXEC);
  if (fd < 0) throw new Error("memfd_create refused");
  try {
    writeAll(fd, fs.readFileSync(embedded));
    return loadLibrary(`/proc/self/fd/${fd}`, "embedded (memfd)");
  } finally {
    fs.closeSync(fd);
  }
}

function openLibc<const S extends Parameters<typeof dlopen>[1]>(symbols: S): ReturnType<typeof dlopen<S>> {
  try {
    return dlopen("libc.so.6", symbols);
  } catch {
    return dlopen(`libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`, symbols);
  }
}

function loadUnpacked(embedded: string, parent: string): Library {
  fs.mkdirSync(parent, { recursive: true, mode: 0o700 });
  // A fresh directory of mode 0700: nobody else can put another library under the name.
  const directory = fs.mkdtempSync(path.join(parent, "fastsync-lib-"));
  const file = path.join(directory, FILE_NAME);
  try {
    fs.writeFileSync(file, fs.readFileSync(embedded), { mode: 0o700, flag: "wx" });
    return loadLibrary(file, `embedded (${parent})`);
  } finally {
    // The mapping outlives the name. Windows keeps loaded files; there the directory stays until the next cleaning.
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

function unpackPlaces(): string[] {
  const runtime = process.env["XDG_RUNTIME_DIR"];
  const cache = process.env["XDG_CACHE_HOME"] || path.join(os.homedir(), ".cache");
  const places = [path.join(cache, "fastsync"), os.tmpdir(), path.dirname(process.execPath), "/dev/shm"];
  if (runtime) places.unshift(runtime);
  return places.filter((place) => path.isAbsolute(place));
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at, bytes.length - at, at);
}

function firstOf<T, R>(items: readonly T[], use: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const result = use(item);
    if (result !== undefined) return result;
  }
  return undefined;
}

function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, " ").trim().slice(0, 300);
}
