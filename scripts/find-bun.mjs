// Finds the Bun that this package pins. Plain JavaScript, because Node runs it before any Bun is known.
//
// npm may refuse to run the `bun` package's postinstall script. Then `node_modules/.bin/bun` is a text that only
// explains the refusal, while the real program already lies in the platform's own package: so look at both.
import { closeSync, openSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Absolute path of a runnable Bun, or undefined when none is installed beside this package. */
export function findBun() {
  const require = createRequire(import.meta.url);
  const bunPackage = packageFolder(require, "bun");
  if (bunPackage !== undefined) {
    const linked = join(bunPackage, "bin", "bun.exe");
    if (isProgram(linked)) return linked;
  }
  for (const name of platformPackages()) {
    // Resolved from bun's own folder as well: npm may nest the platform package below it.
    const folder = packageFolder(require, name, bunPackage);
    if (folder === undefined) continue;
    const program = join(folder, "bin", process.platform === "win32" ? "bun.exe" : "bun");
    if (isProgram(program)) return program;
  }
  return undefined;
}

function platformPackages() {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const machine = process.arch === "arm64" ? "aarch64" : process.arch;
  const base = `@oven/bun-${system}-${machine}`;
  if (system !== "linux") return [base];
  // Package managers that ignore `libc` install both.
  return runsOnGlibc() ? [base, `${base}-musl`] : [`${base}-musl`, base];
}

function runsOnGlibc() {
  return process.report?.getReport()?.header?.glibcVersionRuntime !== undefined;
}

function packageFolder(require, name, from) {
  try {
    return dirname(require.resolve(`${name}/package.json`, from === undefined ? undefined : { paths: [from] }));
  } catch {
    return undefined;
  }
}

/** Tells a native program (ELF, Mach-O, PE) from the explaining text by its first bytes. */
function isProgram(path) {
  let file;
  try {
    file = openSync(path, "r");
    const head = Buffer.alloc(4);
    if (readSync(file, head, 0, 4, 0) !== 4) return false;
    const magic = head.readUInt32BE(0);
    return magic === 0x7f454c46 || magic === 0xcffaedfe || magic === 0xcafebabe || magic >>> 16 === 0x4d5a;
  } catch {
    return false;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
