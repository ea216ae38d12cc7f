/** Chooses the implementation for this process, and remembers why. */
import { findLibrary, type LibraryCandidate } from "../../ffi/library.ts";
import type { Backend } from "./backend.ts";
import { NativeBackend } from "./native/native-backend.ts";
import { libc } from "./portable/libc.ts";
import { PortableBackend } from "./portable/portable-backend.ts";

export interface OpenedBackend {
  readonly backend: Backend;
  /** Every place where the native library was looked for, with what came of it. Empty with FASTSYNC_NATIVE=off. */
  readonly candidates: readonly LibraryCandidate[];
  /** The limit on open files now in force; 0: unknown. */
  readonly openFiles: number;
}

/** Opens a backend with the full story, for `fastsync capabilities`. */
export function openBackendExplained(options: { workers: number }): OpenedBackend {
  if (process.env["FASTSYNC_NATIVE"] === "off") {
    return {
      backend: new PortableBackend("FASTSYNC_NATIVE=off"),
      candidates: [],
      openFiles: libc?.raiseOpenFiles() ?? 0,
    };
  }
  const { library, candidates } = findLibrary();
  if (library !== undefined) {
    try {
      const openFiles = library.raiseOpenFiles();
      return { backend: new NativeBackend(library, options.workers), candidates, openFiles };
    } catch (error) {
      const outcome = error instanceof Error ? error.message : String(error);
      const all = [...candidates, { place: "starting the workers", outcome }];
      return { backend: new PortableBackend(outcome), candidates: all, openFiles: libc?.raiseOpenFiles() ?? 0 };
    }
  }
  const tried = candidates.map(({ place, outcome }) => `${place}: ${outcome}`).join("; ");
  return {
    backend: new PortableBackend(`no native library (${tried})`),
    candidates,
    openFiles: libc?.raiseOpenFiles() ?? 0,
  };
}

export function openBackend(options: { workers: number }): Backend {
  return openBackendExplained(options).backend;
}
