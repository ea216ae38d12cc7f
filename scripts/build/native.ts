import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { prebuiltLibrary } from "../../ffi/library.ts";
import { findCompiler } from "./compiler.ts";
import { glibcNeeded } from "./glibc.ts";
import { note, warn } from "./log.ts";
import { root } from "./root.ts";
import type { Target } from "./targets.ts";
import { findToolchain } from "./toolchain.ts";

export const libraryName =
  process.platform === "win32" ? "fsy.dll" : process.platform === "darwin" ? "libfsy.dylib" : "libfsy.so";

const NO_XXHASH = "the package xxhash-addon is missing (was npm told to omit optional dependencies?)";

/** Where `ffi/library.ts` looks for the library of a checkout. */
const builtFolder = join(root, "ffi", "build");

/**
 * Compiles the native library. Returns its path; or that of the prebuilt one in a packed tarball; or undefined when
 * neither can be had, which is no error: the portable backend serves then. Throws when a working compiler fails.
 */
export function buildNative(): string | undefined {
  const compiler = findCompiler();
  if (compiler.kind === "none") return withoutCompiler(compiler.reason);
  if (xxhashFolder() === undefined) return withoutCompiler(NO_XXHASH);
  compileLibrary(compiler.command, builtFolder);
  const library = join(builtFolder, libraryName);
  note(`native library ${library} (${compiler.command})`);
  return library;
}

/**
 * The library for another target, compiled into `folder` so that it serves on systems older than this one. Returns its
 * path, or the reason why there is none.
 */
export function buildNativeFor(
  target: Target,
  folder: string,
): { readonly path: string } | { readonly reason: string } {
  const search = findToolchain(target);
  if (search.kind === "none") return { reason: search.reason };
  if (xxhashFolder() === undefined) return { reason: NO_XXHASH };
  const { name, cc, env } = search.toolchain;
  compileLibrary(cc, folder, env);
  const path = join(folder, "libfsy.so");
  const needs = glibcNeeded(readFileSync(path));
  note(`native library ${path} (${name}${needs === undefined ? "" : `, needs glibc ${needs}`})`);
  return { path };
}

/** Runs the C build into `folder`; throws with its output when it fails. */
function compileLibrary(cc: string, folder: string, env: Readonly<Record<string, string>> = {}): void {
  const include = xxhashFolder();
  const child = Bun.spawnSync(["bash", join(root, "ffi", "build.sh"), "release", folder], {
    cwd: root,
    env: { ...process.env, CC: cc, ...env, ...(include === undefined ? {} : { XXHASH_INCLUDE: include }) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (child.exitCode !== 0) {
    throw new Error(`ffi/build.sh failed with ${cc}:\n${child.stdout.toString()}${child.stderr.toString()}`);
  }
}

function withoutCompiler(reason: string): string | undefined {
  const prebuilt = prebuiltLibrary(join(root, "ffi"));
  if (existsSync(prebuilt)) {
    note(`${reason}; using the prebuilt native library`);
    return prebuilt;
  }
  warn(reason);
  warn("the portable backend will serve: it does the same work, more slowly, and `fastsync capabilities` says so");
  warn("for the native one, install a C compiler (Debian: apt-get install gcc libc6-dev) and build again");
  return undefined;
}

/** The header comes from a package that may be hoisted above this one, so the module resolver finds it. */
function xxhashFolder(): string | undefined {
  const named = process.env["XXHASH_INCLUDE"];
  if (named) return named;
  try {
    return join(dirname(Bun.resolveSync("xxhash-addon/package.json", root)), "xxHash");
  } catch {
    return undefined;
  }
}
