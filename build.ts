/**
 * Builds fastsync. Without `--target` and the like: the native library in ffi/build, then the one-file program
 * dist/fastsync with the library inside. Without a C compiler the program is built all the same and uses its portable
 * backend.
 *
 *   bun build.ts [--native-only] [--quiet] [--out DIR]
 *   bun build.ts --target NAME... [--deb]   dist/release/fastsync-VERSION-NAME, and its Debian package
 *   bun build.ts --all                      every target, every Debian package, and SHA256SUMS
 *   bun build.ts --deb                      the Debian package for this machine
 *
 * The runtimes of other platforms come from npm. C compilers are looked for: that of this machine, cross compilers of
 * gcc, musl-gcc, zig. Where there is none, or the library has no code for the platform, the program is portable only.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildBinary } from "./scripts/build/binary.ts";
import { setQuiet } from "./scripts/build/log.ts";
import { buildNative } from "./scripts/build/native.ts";
import { buildRelease } from "./scripts/build/release.ts";
import { root } from "./scripts/build/root.ts";
import { hostTargetName, programName, TARGET_NAMES, type TargetName, targetNamed } from "./scripts/build/targets.ts";

const { values } = parseArgs({
  options: {
    "native-only": { type: "boolean", default: false },
    target: { type: "string", multiple: true, default: [] },
    all: { type: "boolean", default: false },
    deb: { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
    out: { type: "string" },
  },
});

setQuiet(values.quiet);
const named = values.out === undefined ? undefined : resolve(values.out);
// Paths relative to the working directory get into the program: two builds of the same sources are to be the same.
process.chdir(root);
try {
  const isRelease = values.all || values.deb || values.target.length > 0;
  if (isRelease) await release();
  else {
    const library = buildNative();
    const host = targetNamed(hostTargetName() ?? "");
    const folder = named ?? join(root, "dist");
    if (!values["native-only"]) await buildBinary(join(folder, programName(host)), library);
  }
} catch (error) {
  // AggregateError holds what the bundler refused, one error a place.
  const causes = error instanceof AggregateError ? error.errors : [error];
  for (const cause of causes) console.error(cause instanceof Error ? cause.message : String(cause));
  process.exitCode = 1;
}

function release(): Promise<void> {
  return buildRelease({
    targets: values.all ? TARGET_NAMES : values.target.length > 0 ? values.target.map(targetName) : [hostTarget()],
    folder: named ?? join(root, "dist", "release"),
    debian: values.deb || values.all,
  });
}

function targetName(word: string): TargetName {
  if (targetNamed(word) !== undefined) return word as TargetName;
  throw new Error(`--target ${word}: there are ${TARGET_NAMES.join(", ")}`);
}

function hostTarget(): TargetName {
  const name = hostTargetName();
  if (name === undefined) throw new Error(`this machine is none of ${TARGET_NAMES.join(", ")}; name one with --target`);
  return name;
}
