/** What an ELF file says of itself, by `readelf`. */
import { start } from "../support/run.ts";

export interface ElfFacts {
  readonly machine: string;
  /** Libraries that it needs. */
  readonly needed: readonly string[];
  /** Names that it offers. */
  readonly exported: readonly string[];
  readonly hasRunPath: boolean;
  readonly bindsNow: boolean;
  readonly hasExecutableStack: boolean;
}

export function readelfMissing(): string | undefined {
  return Bun.which("readelf") === null ? "readelf is not installed" : undefined;
}

export async function elfFacts(path: string): Promise<ElfFacts> {
  const { exitCode, stdout, stderr } = await start(["readelf", "--wide", "-h", "-d", "-l", "--dyn-syms", path]).result;
  if (exitCode !== 0) throw new Error(`readelf ${path}: ${stderr}`);
  return {
    machine: /Machine:\s+(.*)/.exec(stdout)?.[1] ?? "?",
    needed: [...stdout.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name!),
    exported: [...stdout.matchAll(/ (?:FUNC|OBJECT) +GLOBAL +DEFAULT +\d+ (\S+)/g)].map(([, name]) => name!),
    hasRunPath: /\((RPATH|RUNPATH)\)/.test(stdout),
    bindsNow: /BIND_NOW|\bNOW\b/.test(stdout),
    hasExecutableStack: /GNU_STACK.*RWE/.test(stdout),
  };
}
