import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { embeddedLibraryPlugin } from "../../ffi/embed-plugin.ts";
import { descriptorPlugin } from "./descriptor-plugin.ts";
import { note } from "./log.ts";
import { root } from "./root.ts";
import { runtimeOf } from "./runtime.ts";
import { programName, type Target } from "./targets.ts";

/** Compiles `fastsync` into the file `binary`, with `library` inside when there is one; for this machine, or `target`. */
export async function buildBinary(binary: string, library: string | undefined, target?: Target): Promise<void> {
  mkdirSync(dirname(binary), { recursive: true });
  // Elsewhere first: a program that runs cannot be overwritten, and a failed build leaves the old one whole. The name of
  // the file itself goes into the program, so it is always the same one: equal sources make equal bytes.
  const scratch = mkdtempSync(join(dirname(binary), ".build-"));
  const fresh = join(scratch, programName(target));
  try {
    await Bun.build({
      entrypoints: [join(root, "src", "main.ts")],
      target: "bun",
      // Parsing is most of the start time: bytecode takes it from 36 to 15 ms. Minifying saves nothing more, and would
      // make stack traces unreadable.
      minify: false,
      bytecode: true,
      // Only this form allows import.meta and top-level await.
      format: "esm",
      // Each import() becomes a chunk of its own. In one piece all of the program's bytecode is decoded at each start, and
      // twice where it restarts itself: 173 ms of processor time for the copy of one file, 107 ms in chunks.
      splitting: true,
      plugins: [descriptorPlugin(), ...(library === undefined ? [] : [embeddedLibraryPlugin(library)])],
      compile: {
        outfile: fresh,
        ...(target === undefined ? {} : { target: target.bun, executablePath: runtimeOf(target) }),
        // A copier is run inside directories that others write to: nothing there may configure it or run code in it.
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
      },
      throw: true,
    });
    renameSync(fresh, binary);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const size = Math.round(statSync(binary).size / 2 ** 20);
  note(`${binary} (${size} MiB, ${library === undefined ? "portable only" : "native library inside"})`);
}
