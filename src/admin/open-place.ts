/** Opens what a path names, below a module's held root or as the operator wrote it. The last name is never followed. */
import { type EntryBatch, FileType } from "../core/entry-batch.ts";
import { E } from "../core/errno.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { printable, printableInModule } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";
import { type Backend, type DirHandle, WORKING_DIRECTORY } from "../fs/backend.ts";
import { type Asking, whyNot } from "../fs/denied.ts";
import { cleanPath } from "../session/module-places.ts";
import { isContents, lastComponent, parentOf, withoutTrailingSlashes } from "../session/place-rules.ts";

export const HERE = Uint8Array.of(0x2e);
/** Names and what stat(2) says: all that these calls ever ask for. */
export const LOOK = {
  xattrs: false,
  acls: false,
  follow: false,
  openFollow: false,
  create: false,
  writable: false,
  selfOnly: false,
  blocks: true,
} as const;

/** Where paths begin. */
export type Ground =
  | { readonly kind: "operator" }
  /** Paths stay below it: no `..`, no link. `name` undefined: it is the daemon's root. */
  | { readonly kind: "module"; readonly root: DirHandle; readonly name: string | undefined };
export const OPERATOR: Ground = { kind: "operator" };

/** The place as its caller could write it; of a module without the host, which the caller knows. */
export function shownOn(ground: Ground, path: Uint8Array): string {
  return ground.kind === "operator" ? printable(path) : printableInModule(ground.name, path);
}

export function askingOn({ kind }: Ground): Asking {
  return kind === "operator" ? "here" : "daemon";
}

export type OpenedPlace =
  | { readonly kind: "directory"; readonly handle: DirHandle }
  | ({ readonly kind: "entry" } & EntryPlace);

/** Throws RunError, exit 3. */
export async function openPlace(backend: Backend, ground: Ground, path: Uint8Array): Promise<OpenedPlace> {
  const clean = pathOn(ground, path);
  if (clean.length === 0 || isContents(clean)) {
    const handle = await resolveOn(backend, ground, clean.length === 0 ? HERE : withoutTrailingSlashes(clean));
    if (handle < 0) throw unusable(ground, path, handle);
    return { kind: "directory", handle };
  }
  const { parent, entry } = await openEntry(backend, ground, path);
  if (entry.type(0) !== FileType.directory) return { kind: "entry", parent, entry };
  const name = entry.name(0).slice();
  backend.releaseBatch(entry);
  const handle = await backend.resolve(parent, name, { create: false, operator: false });
  backend.close([parent]);
  if (handle < 0) throw unusable(ground, path, handle);
  return { kind: "directory", handle };
}

export interface EntryPlace {
  /** The directory that it stands in. */
  readonly parent: DirHandle;
  /** Its only row. */
  readonly entry: EntryBatch;
}

/** The entry that the last name of the path is, whatever it is. Throws RunError, exit 3. */
export async function openEntry(backend: Backend, ground: Ground, path: Uint8Array): Promise<EntryPlace> {
  const found = await findEntry(backend, ground, path);
  if (typeof found === "number") throw unusable(ground, path, found);
  return found;
}

/** The same, or a negative errno. */
export async function findEntry(backend: Backend, ground: Ground, path: Uint8Array): Promise<EntryPlace | number> {
  const clean = withoutTrailingSlashes(pathOn(ground, path));
  const parent = await resolveOn(backend, ground, parentOf(clean));
  if (parent < 0) return parent;
  const entry = await backend.stat(parent, [lastComponent(clean).slice()], LOOK);
  const status = entry.rowStatus(0);
  if (status === 0) return { parent, entry };
  backend.releaseBatch(entry);
  backend.close([parent]);
  return status;
}

/** As it may be used; the empty path is the ground itself. Throws RunError, exit 3. */
export function pathOn(ground: Ground, path: Uint8Array): Uint8Array {
  if (ground.kind === "operator") return path;
  const clean = cleanPath(path);
  if (clean === undefined)
    throw new RunError(
      ExitCode.selecting,
      "place_unusable",
      `${shownOn(ground, path.subarray(0, 300))} is not a path below the module`,
    );
  return clean;
}

function resolveOn(backend: Backend, ground: Ground, path: Uint8Array): Promise<number> {
  return ground.kind === "operator"
    ? backend.resolve(WORKING_DIRECTORY, path, { create: false, operator: true })
    : backend.resolve(ground.root, path, { create: false, operator: false });
}

export function unusable(ground: Ground, path: Uint8Array, status: number): RunError {
  const why = whyUnusable(ground, status);
  return new RunError(ExitCode.selecting, "place_unusable", `${shownOn(ground, path)} cannot be used: ${why}`);
}

export function whyUnusable(ground: Ground, status: number): string {
  if (status === -E.NOENT) return "it does not exist";
  if (status === -E.LOOP) return "it is, or lies behind, a symbolic link that is not followed";
  return whyNot(status, askingOn(ground));
}
