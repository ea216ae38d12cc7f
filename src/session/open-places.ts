/** Opens the local places of a run and closes them at its end. */
import { closeSync } from "node:fs";
import { E, NO_INODES } from "../core/errno.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { equalBytes, printable } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";
import { type Backend, type DirHandle, NO_HANDLE, WORKING_DIRECTORY } from "../fs/backend.ts";
import { whyNot } from "../fs/denied.ts";
import { isOutOfInodes } from "./device.ts";
import { parentOf, type TargetDecision } from "./place-rules.ts";
import { openMaking, type SourcePlace } from "./places.ts";
import type { SourceRoot } from "./source-runner.ts";

export interface OpenTarget {
  readonly handle: DirHandle;
  readonly created: boolean;
}

export class OpenPlaces {
  private readonly backend: Backend;
  private readonly handles: DirHandle[] = [];

  constructor(backend: Backend) {
    this.backend = backend;
  }

  async sources(places: readonly SourcePlace[]): Promise<SourceRoot[]> {
    const roots: SourceRoot[] = [];
    for (const place of places) {
      const handle = await this.backend.resolve(WORKING_DIRECTORY, place.directory, { create: false, operator: true });
      if (handle < 0) {
        throw new RunError(
          ExitCode.selecting,
          "source_unreadable",
          `source ${printable(place.directory)} cannot be opened: ${whyNot(handle)}`,
        );
      }
      this.handles.push(handle);
      roots.push({ handle, entry: place.entry, follow: false });
    }
    return roots;
  }

  async target(places: TargetDecision, writes: boolean): Promise<OpenTarget> {
    if (!places.targetExists && !writes) return { handle: NO_HANDLE, created: true };
    const handle = places.targetExists
      ? await this.backend.resolve(WORKING_DIRECTORY, places.target, { create: false, operator: true })
      : await openMaking(this.backend, places.target);
    if (handle < 0) {
      throw new RunError(
        places.targetExists || handle === -E.LOOP ? ExitCode.selecting : ExitCode.fileIo,
        "target_unusable",
        `target ${printable(places.target)} cannot be ${places.targetExists ? "opened" : "made"}: ${await this.whyNotMade(places.target, handle)}`,
      );
    }
    this.handles.push(handle);
    return { handle, created: !places.targetExists };
  }

  /** --backup-dir and --temp-dir; relative ones lie below the target. */
  async auxiliary(path: Uint8Array | undefined, target: Uint8Array, writes: boolean): Promise<DirHandle> {
    if (path === undefined || !writes) return NO_HANDLE;
    const whole = path[0] === 0x2f ? path : Uint8Array.from([...target, 0x2f, ...path]);
    const handle = await openMaking(this.backend, whole);
    if (handle < 0) {
      throw new RunError(
        ExitCode.selecting,
        "target_unusable",
        `directory ${printable(whole)} cannot be used: ${await this.whyNotMade(whole, handle)}`,
      );
    }
    this.handles.push(handle);
    return handle;
  }

  /** Where a directory cannot be made for lack of space, the one above that is there tells of what. */
  private async whyNotMade(path: Uint8Array, errno: number): Promise<string> {
    if (errno !== -E.NOSPC) return whyNot(errno);
    for (let above = parentOf(path); ; above = parentOf(above)) {
      const handle = await this.backend.resolve(WORKING_DIRECTORY, above, { create: false, operator: true });
      if (handle < 0 && !equalBytes(above, parentOf(above))) continue;
      const isOut = isOutOfInodes(handle);
      if (handle >= 0) this.backend.close([handle]);
      return isOut ? NO_INODES : whyNot(errno);
    }
  }

  close(): void {
    for (const handle of this.handles) {
      try {
        closeSync(handle);
      } catch {
        // nothing is left to be done about it
      }
    }
  }
}
