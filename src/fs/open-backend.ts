/** Chooses the implementation for this process, and remembers why. */
import { findLibrary, type LibraryCandidate, type LibrarySearch } from "../../ffi/library.ts";
import type { Backend } from "./backend.ts";
import { NativeBackend } from "./native/native-backend.ts";
import { isNativeOff } from "./native-switch.ts";

export interface OpenedBackend {
  readonly backend: Backend;
  /** Every place where the native library was looked for, with what came of it. Empty with FASTSYNC_NATIVE=off. */
  readonly candidates: readonly LibraryCandidate[];
  /** The limit on open files now in force; 0: unknown. */
  readonly openFiles: number;
}

/** Once for the process: whatever is loaded stays in memory, and a daemon opens a backend for each session. */
let search: LibrarySearch | undefined;

/** Opens a backend with the full story, for `fastsync capabilities`. */
export function openBackendExplained(options: { workers: number }): OpenedBackend {
  if (isNativeOff(process.env["FASTSYNC_NATIVE"])) return openPortable("FASTSYNC_NATIVE=off", []);
  search ??= findLibrary();
  const { library, candidates } = search;
  if (library === undefined) {
    const tried = candidates.map(({ place, outcome }) => `${place}: ${outcome}`).join("; ");
    return openPortable(`no native library (${tried})`, candidates);
  }
  try {
    const openFiles = library.raiseOpenFiles();
    return { backend: new NativeBackend(library, options.workers), candidates, openFiles };
  } catch (error) {
    const outcome = error instanceof Error ? error.message : String(error);
    return openPortable(outcome, [...candidates, { place: "starting the workers", outcome }]);
  }
}

export function openBackend(options: { workers: number }): Backend {
  return openBackendExplained(options).backend;
}

/** Loaded only when it is needed: the start of a native run does not pay for its twin. */
function openPortable(reason: string, candidates: readonly LibraryCandidate[]): OpenedBackend {
  const { PortableBackend } =
    require("./portable/portable-backend.ts") as typeof import("./portable/portable-backend.ts");
  const { libc } = require("./portable/libc.ts") as typeof import("./portable/libc.ts");
  return { backend: new PortableBackend(reason), candidates, openFiles: libc?.raiseOpenFiles() ?? 0 };
}
