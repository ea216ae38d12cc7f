/**
 * Counts what runs over few and over twice as many files cost, in a process of its own, and prints it as JSON:
 *
 *   make the trees; run once to have everything loaded and compiled
 *   for few and for many files: a first mirror, then one that finds nothing to do; count each
 *
 * The environment must turn off the collector and the optimising compiler (`COUNTING_ENVIRONMENT`): then every
 * JavaScript object that was ever made is still there, and none was optimised away, so that the census of the heap is
 * the number of objects made.
 */
import { heapStats } from "bun:jsc";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesOf } from "../../src/core/paths.ts";
import type { RequestRing } from "../../src/fs/native/request-ring.ts";
import { optionsFor } from "../session/model.ts";

/** Baseline code stays: bun:ffi needs a compiler. */
export const COUNTING_ENVIRONMENT = { BUN_JSC_useGC: "0", BUN_JSC_useDFGJIT: "0" };

export type Counts = Readonly<Record<string, number>>;

export interface RunCounts {
  /** Taken from the ring. */
  readonly requests: number;
  /** Of the arena. */
  readonly blocks: number;
  /** Calls into the library, by function. */
  readonly ffi: Counts;
  /** Objects that JavaScript made, by type as the engine names it. */
  readonly objects: Counts;
}

export const SCENARIOS = ["first", "noop"] as const;
export type Scenario = (typeof SCENARIOS)[number];
export type Measured = Readonly<Record<Scenario, { readonly few: RunCounts; readonly many: RunCounts }>>;

export const FILES = 1000;

/** Code and shapes of objects: the engine's own, made when it finds that something is used often. */
const ENGINES_OWN =
  /^(Structure|PropertyTable|SymbolTable|FunctionExecutable|Cell Butterfly)|CodeBlock$|StructureRareData/;

class Tally {
  readonly counts: Record<string, number> = {};
  add(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
  reset(): void {
    for (const name of Object.keys(this.counts)) this.counts[name] = 0;
  }
}

type Call = (...args: unknown[]) => unknown;

/** Puts a counter before every function of libraries that are opened from now on: before `src` is loaded. */
function countFfi(tally: Tally): void {
  const ffi = require("bun:ffi") as { dlopen: (path: string, symbols: object) => { symbols: Record<string, Call> } };
  const open = ffi.dlopen;
  ffi.dlopen = (path, wanted) => {
    const library = open(path, wanted);
    const symbols: Record<string, Call> = {};
    for (const [name, call] of Object.entries(library.symbols)) {
      tally.counts[name] = 0;
      symbols[name] = (...args) => {
        tally.add(name);
        return call(...args);
      };
    }
    return { ...library, symbols };
  };
}

function countMethods(prototype: RequestRing, names: readonly ("take" | "alloc")[], tally: Tally): void {
  for (const name of names) {
    const original = prototype[name] as (this: RequestRing, argument: never) => number;
    tally.counts[name] = 0;
    prototype[name] = function (this: RequestRing, argument: never) {
      tally.add(name);
      return original.call(this, argument);
    };
  }
}

async function main(): Promise<Measured> {
  const ffi = new Tally();
  const ring = new Tally();
  countFfi(ffi);
  const { RequestRing } = await import("../../src/fs/native/request-ring.ts");
  const { startRun } = await import("../../src/session/run.ts");
  countMethods(RequestRing.prototype, ["take", "alloc"], ring);

  const options = optionsFor("mirror", false, undefined);
  /* In RAM where there is some: a slow disk only makes the counting long. */
  const scratch = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "fastsync-golden-"));
  const makeTree = (name: string, files: number): void => {
    mkdirSync(join(scratch, name));
    for (let i = 0; i < files; i++) writeFileSync(join(scratch, name, `file${i}`), "x".repeat(100));
  };
  const count = async (name: string): Promise<RunCounts> => {
    ffi.reset();
    ring.reset();
    const before = heapStats().objectTypeCounts;
    const run = await startRun({
      sources: [{ path: bytesOf(`${scratch}/${name}/`) }],
      target: { path: bytesOf(`${scratch}/${name}-target`) },
      options: { ...options, write: { ...options.write, workers: 2 } },
      hooks: {
        onEvent: () => undefined,
        onStart: () => undefined,
        wantsItems: false,
        confirmDeletions: async () => "declined",
      },
      signal: new AbortController().signal,
    });
    const { exitCode, message, backend } = await run.summary;
    if (exitCode !== 0 || backend !== "native") throw new Error(`exit ${exitCode} by ${backend}: ${message}`);
    const after = heapStats().objectTypeCounts;
    const objects: Record<string, number> = {};
    for (const [type, has] of Object.entries(after))
      if (!ENGINES_OWN.test(type)) objects[type] = has - (before[type] ?? 0);
    return { requests: ring.counts["take"]!, blocks: ring.counts["alloc"]!, ffi: { ...ffi.counts }, objects };
  };

  try {
    makeTree("warm", 300);
    makeTree("few", FILES);
    makeTree("many", 2 * FILES);
    for (let i = 0; i < 2; i++) await count("warm");
    const first = { few: await count("few"), many: await count("many") };
    const noop = { few: await count("few"), many: await count("many") };
    return { first, noop };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (import.meta.main) console.log(JSON.stringify(await main()));
