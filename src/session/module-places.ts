/**
 * Places that a peer names, below a module's root. Everything is reached from the held root, component by component, and
 * never through a symbolic link: a path is only ever text until it has been opened.
 */
import { FileType } from "../core/entry-batch.ts";
import { E, LINK_LEADS_OUT, NO_INODES } from "../core/errno.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { LIMITS } from "../core/limits.ts";
import { joinPath, printableInModule } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";
import { type Backend, type DirHandle, NO_HANDLE } from "../fs/backend.ts";
import { whyNot } from "../fs/denied.ts";
import { isOutOfInodes } from "./device.ts";
import type { OpenTarget } from "./open-places.ts";
import { type Ground, onGround } from "./overlap.ts";
import {
  decideTarget,
  isContents,
  lastComponent,
  type PathKind,
  parentOf,
  type SourceArgument,
  type TargetDecision,
  withoutTrailingSlashes,
} from "./place-rules.ts";
import { makeBelow } from "./places.ts";
import type { SourceRoot } from "./source-runner.ts";

const SLASH = 0x2f;
const DOT = 0x2e;
const HERE = Uint8Array.of(DOT);
const STAT = { xattrs: false, acls: false, follow: false } as const;

/** The path as it may be used, or undefined: it is too long, or leads elsewhere. Keeps a trailing slash. */
export function cleanPath(path: Uint8Array): Uint8Array | undefined {
  if (path.length > LIMITS.pathBytes || path.includes(0) || path[0] === SLASH) return undefined;
  const kept: Uint8Array[] = [];
  for (let from = 0; from <= path.length; ) {
    const slash = path.indexOf(SLASH, from);
    const to = slash < 0 ? path.length : slash;
    const name = path.subarray(from, to);
    if (name.length > 255 || (name.length === 2 && name[0] === DOT && name[1] === DOT)) return undefined;
    if (name.length > 0 && !(name.length === 1 && name[0] === DOT)) kept.push(name);
    from = to + 1;
  }
  if (kept.length === 0) return new Uint8Array(0);
  const joined = kept.flatMap((name, i) => (i === 0 ? [...name] : [SLASH, ...name]));
  return Uint8Array.from(isContents(path) ? [...joined, SLASH] : joined);
}

/** A module's directory, held, and its name; undefined: it is the daemon's root. */
export interface HeldModule {
  readonly root: DirHandle;
  readonly name: string | undefined;
}

/** The place as it stands behind the host, which the caller puts before it. */
export function shownIn({ name }: HeldModule, path: Uint8Array): string {
  return printableInModule(name, withoutDot(path));
}

function pathOrThrow(module: HeldModule, path: Uint8Array, side: string): Uint8Array {
  const clean = cleanPath(path);
  if (clean === undefined)
    throw new RunError(
      ExitCode.selecting,
      `${side}_unusable`,
      `${side} ${shownIn(module, path.subarray(0, 300))} is not a path below the module`,
    );
  return clean;
}

export interface ModuleSource {
  readonly root: SourceRoot;
  readonly argument: SourceArgument & { readonly written: Uint8Array };
}

function reasonOf(status: number): string {
  if (status === -E.NOENT) return "it does not exist";
  return status === -E.XDEV ? LINK_LEADS_OUT : whyNot(status, "daemon");
}

/**
 * Throws RunError (exit 3) for a source that is not there. An empty path is the module's contents. `confine`: the entry
 * counts as what it leads to, see `Confinement`.
 */
export async function openModuleSource(
  backend: Backend,
  module: HeldModule,
  path: Uint8Array,
  confine?: DirHandle,
): Promise<ModuleSource> {
  const clean = pathOrThrow(module, path, "source");
  const missing = (status: number): RunError =>
    new RunError(
      ExitCode.selecting,
      "source_missing",
      `source ${shownIn(module, path)} cannot be used: ${reasonOf(status)}`,
    );
  const contents = clean.length === 0 || isContents(clean);
  const directory = contents ? withoutTrailingSlashes(clean) : parentOf(clean);
  const handle = await backend.resolve(module.root, directory.length === 0 ? HERE : directory, {
    create: false,
    operator: false,
  });
  if (handle < 0) throw missing(handle);
  if (contents) {
    return {
      root: { handle, entry: undefined, follow: false },
      argument: { entry: undefined, isDirectory: true, written: path },
    };
  }
  const entry = lastComponent(clean).slice();
  const found = await backend.stat(handle, [entry], confine === undefined ? STAT : { ...STAT, follow: true, confine });
  const status = found.rowStatus(0);
  const isDirectory = found.type(0) === FileType.directory;
  backend.releaseBatch(found);
  if (status !== 0) {
    backend.close([handle]);
    throw missing(status);
  }
  return { root: { handle, entry, follow: false }, argument: { entry, isDirectory, written: path } };
}

export interface ModuleTarget {
  /** Something is at the place that was named. */
  readonly exists: boolean;
  readonly decision: TargetDecision;
  readonly opened: OpenTarget;
}

/**
 * Throws RunError (exit 3, 11) for a target that cannot be used. Without `writes` nothing is made. `guard` may refuse
 * what was decided, before anything is made.
 */
export async function openModuleTarget(
  backend: Backend,
  module: HeldModule,
  sources: readonly SourceArgument[],
  path: Uint8Array,
  writes: boolean,
  guard: (ground: Ground, decision: TargetDecision) => void,
): Promise<ModuleTarget> {
  const clean = pathOrThrow(module, path, "target");
  const show = (shown: Uint8Array): string => shownIn(module, shown);
  const kind = await kindOf(backend, module, withoutTrailingSlashes(clean));
  const parent = await kindOf(backend, module, clean.length === 0 ? HERE : parentOf(clean));
  const decision = decideTarget(sources, clean.length === 0 ? HERE : clean, { target: kind, parent }, show);
  const exists = kind !== "missing";
  const resolve = (below: Uint8Array) => backend.resolve(module.root, below, { create: false, operator: false });
  await onGround(backend, resolve, decision.target, (ground) => guard(ground, decision));
  if (!decision.targetExists && !writes) return { decision, exists, opened: { handle: NO_HANDLE, created: true } };
  const handle = decision.targetExists
    ? await backend.resolve(module.root, decision.target, { create: false, operator: false })
    : await makeBelow(backend, module.root, decision.target);
  if (handle < 0) {
    throw new RunError(
      decision.targetExists || handle === -E.LOOP ? ExitCode.selecting : ExitCode.fileIo,
      "target_unusable",
      `target ${show(path)} cannot be ${decision.targetExists ? "opened" : "made"}: ${whyNotMade(module, handle)}`,
    );
  }
  return { decision, exists, opened: { handle, created: !decision.targetExists } };
}

function whyNotMade({ root }: HeldModule, errno: number): string {
  return errno === -E.NOSPC && isOutOfInodes(root) ? NO_INODES : whyNot(errno, "daemon");
}

/**
 * --temp-dir and --backup-dir of a caller: below the target, or below the module where they begin with a slash. `below`:
 * the target's path.
 */
export async function openModuleAuxiliary(
  backend: Backend,
  module: HeldModule,
  target: DirHandle,
  below: Uint8Array,
  { flag, path }: { readonly flag: string; readonly path: Uint8Array | undefined },
): Promise<DirHandle> {
  if (path === undefined || target < 0) return NO_HANDLE;
  const isAbsolute = path[0] === SLASH;
  const clean = cleanPath(isAbsolute ? path.subarray(path.findIndex((byte) => byte !== SLASH)) : path);
  const handle = clean === undefined ? -E.INVAL : await makeBelow(backend, isAbsolute ? module.root : target, clean);
  if (handle < 0) {
    const why = clean === undefined ? "it is not a path below the module" : whyNotMade(module, handle);
    const whole = clean === undefined || isAbsolute ? (clean ?? path) : joinPath(withoutDot(below), clean);
    throw new RunError(
      ExitCode.selecting,
      "target_unusable",
      `${shownIn(module, whole)} cannot be used for ${flag}: ${why}`,
    );
  }
  return handle;
}

function withoutDot(path: Uint8Array): Uint8Array {
  return path.length === 1 && path[0] === DOT ? path.subarray(1) : path;
}

async function kindOf(backend: Backend, module: HeldModule, path: Uint8Array): Promise<PathKind> {
  if (path.length === 0 || (path.length === 1 && path[0] === DOT)) return "directory";
  const handle = await backend.resolve(module.root, path, { create: false, operator: false });
  if (handle >= 0) {
    backend.close([handle]);
    return "directory";
  }
  if (handle === -E.LOOP) {
    // What it leads to may be a directory to go into, or nothing to touch: neither is guessed.
    throw new RunError(
      ExitCode.selecting,
      "target_unusable",
      `target ${shownIn(module, path)} is, or lies behind, a symbolic link, and those are not followed in a module; name what it leads to`,
    );
  }
  return handle === -E.NOENT ? "missing" : await fileKind(backend, module.root, path);
}

/** Of what is there and no directory. */
async function fileKind(backend: Backend, moduleRoot: DirHandle, path: Uint8Array): Promise<PathKind> {
  const parent = await backend.resolve(moduleRoot, parentOf(path), { create: false, operator: false });
  if (parent < 0) return "file";
  const found = await backend.stat(parent, [lastComponent(path)], STAT);
  const isSpecial = found.rowStatus(0) === 0 && found.type(0) !== FileType.regular;
  backend.releaseBatch(found);
  backend.close([parent]);
  return isSpecial ? "special" : "file";
}
