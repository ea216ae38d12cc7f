import { mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { embeddedLibraryPlugin } from "../../ffi/embed-plugin.ts";
import { descriptorPlugin } from "./descriptor-plugin.ts";
import { note } from "./log.ts";
import { root } from "./root.ts";

/** Compiles `fastsync` into one file in `folder`, with `library` inside when there is one. Returns its path. */
export async function buildBinary(folder: string, library: string | undefined): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const name = process.platform === "win32" ? "fastsync.exe" : "fastsync";
  const binary = join(folder, name);
  // Under another name first: a program that runs cannot be overwritten, and a failed build leaves the old one whole.
  const fresh = join(folder, `.${name}.${process.pid}`);
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
      plugins: [descriptorPlugin(), ...(library === undefined ? [] : [embeddedLibraryPlugin(library)])],
      compile: {
        outfile: fresh,
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
    rmSync(fresh, { force: true });
  }
  note(
    `${binary} (${Math.round(statSync(binary).size / 2 ** 20)} MiB, ${library ? "native library inside" : "portable only"})`,
  );
  return binary;
}
