import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A C compiler that was seen to work, or the reason why there is none. */
export type CompilerSearch =
  | { readonly kind: "found"; readonly command: string }
  | { readonly kind: "none"; readonly reason: string };

// Needs the headers of libc and a linker, as the library does: a compiler alone (gcc without libc6-dev) is not enough.
const trial = "#include <pthread.h>\n#include <sys/stat.h>\nint trial(void) { return (int)sizeof(pthread_t); }\n";

/** Looks for `names` in order and takes the first that compiles and links a shared library. */
export function findCompiler(names: readonly string[] = hostCompilers()): CompilerSearch {
  const present = names.filter((name) => Bun.which(name) !== null);
  if (present.length === 0) return { kind: "none", reason: `no C compiler found (looked for ${names.join(", ")})` };
  for (const name of present) if (linksLibrary(name)) return { kind: "found", command: name };
  return {
    kind: "none",
    reason: `${present.join(", ")} cannot build a shared library here (are libc's headers installed?)`,
  };
}

// What libFuzzer's own main is linked to.
const fuzzTrial = "int LLVMFuzzerTestOneInput(const char *data, unsigned long bytes) { return !data && bytes; }\n";

/** A clang that has libFuzzer and the sanitizers, or the reason why there is none. */
export function findFuzzer(name = process.env["CLANG"] ?? "clang"): CompilerSearch {
  if (Bun.which(name) === null) return { kind: "none", reason: `no ${name}, which has libFuzzer` };
  const flags = ["-std=c11", "-fsanitize=fuzzer,address,undefined"];
  if (links(name, fuzzTrial, flags)) return { kind: "found", command: name };
  return { kind: "none", reason: `${name} has no libFuzzer here (it comes with libclang-rt-dev)` };
}

function hostCompilers(): string[] {
  const chosen = process.env["CC"];
  return chosen ? [chosen] : ["cc", "gcc", "clang"];
}

/** Whether `command`, with `env` added to its environment, makes a shared library. */
export function linksLibrary(command: string, env: Readonly<Record<string, string>> = {}): boolean {
  return links(command, trial, ["-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-pthread"], env);
}

function links(
  command: string,
  program: string,
  flags: readonly string[],
  env: Readonly<Record<string, string>> = {},
): boolean {
  const folder = mkdtempSync(join(tmpdir(), "fastsync-build-"));
  try {
    const source = join(folder, "trial.c");
    writeFileSync(source, program);
    const argv = [command, ...flags, "-o", join(folder, "trial.out"), source];
    const silent = { stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const;
    return Bun.spawnSync(argv, { ...silent, env: { ...process.env, ...env } }).exitCode === 0;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
