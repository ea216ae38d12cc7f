/**
 * Builds fastsync: the native library in ffi/build, then the one-file program dist/fastsync with the library inside.
 *
 *   bun build.ts [--native-only] [--quiet] [--out DIR]
 *
 * Without a C compiler the program is built all the same and uses its portable backend.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildBinary } from "./scripts/build/binary.ts";
import { setQuiet } from "./scripts/build/log.ts";
import { buildNative } from "./scripts/build/native.ts";
import { root } from "./scripts/build/root.ts";

const { values } = parseArgs({
  options: {
    "native-only": { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
    out: { type: "string", default: join(root, "dist") },
  },
});

setQuiet(values.quiet);
try {
  const library = buildNative();
  if (!values["native-only"]) await buildBinary(resolve(values.out), library);
} catch (error) {
  // AggregateError holds what the bundler refused, one error a place.
  const causes = error instanceof AggregateError ? error.errors : [error];
  for (const cause of causes) console.error(cause instanceof Error ? cause.message : String(cause));
  process.exitCode = 1;
}
