import { existsSync } from "node:fs";
import { join } from "node:path";
import { findCompiler, findFuzzer } from "../build/compiler.ts";
import { root } from "../build/root.ts";
import { bunCounts, plainCounts, wholeCounts } from "./counts.ts";
import type { Part } from "./run-part.ts";

const bun = process.execPath;
const bunTest = [bun, "test", "--timeout=60000"];
// Packing and installing, hosts and servers, faulty programs and programs whose calls fail have parts of their own.
const ordinary = ["package", "network", "canaries", "faults"].map(
  (folder) => `--path-ignore-patterns=test/${folder}/**`,
);
/**
 * Tests that come out the same whatever FASTSYNC_NATIVE says, so that once is enough. What is not named here runs with
 * both backends.
 */
const sameWithEither = [
  // Peers do not see which backend a daemon has, and test/network has daemons of both.
  "test/conformance/**",
  // They make the backends that they test themselves, the portable one among them.
  "test/backend/**",
  // A command line up to the run, which is made up (test/cli/fake-run.ts) or of no concern.
  ...["endings", "flags", "launcher", "numbers", "operator-file"].map((name) => `test/cli/${name}.test.ts`),
  ...["config", "jobs", "settings"].map((name) => `test/cli/${name}.test.ts`),
  // The portable twin knows one method.
  "test/cli/methods.test.ts",
  // Noted by the program, whichever backend moved the data.
  ...["cp-sync", "history"].map((name) => `test/cli/${name}.test.ts`),
  "test/docs/commands-schema.test.ts",
  ...["output", "printers", "progress", "raw-args", "usage-errors"].map((name) => `test/cli/${name}.test.ts`),
  ...["completions", "diagnostics", "doctor", "hints", "stats"].map((name) => `test/cli/${name}.test.ts`),
  // A configuration is read, names are resolved, sources and units are looked at; no daemon serves anything.
  ...["config", "config-errors", "faces", "resolve", "systemd-unit"].map((name) => `test/daemon/${name}.test.ts`),
  // Pure functions against git, rsync, models, documents and generated code.
  ...["test/filter/**", "test/session/**", "test/proto/**"],
  ...["behaviours", "commands", "coverage", "imports", "limits", "man-pages"].map(
    (name) => `test/docs/${name}.test.ts`,
  ),
  // Walks of large trees; that both backends walk alike is what test/backend is about.
  ...["test/edges/scale.test.ts", "test/admin/trees.test.ts", "test/admin/daemon.test.ts"],
  // Words, which the faces have, and the daemon.
  ...["test/admin/words.test.ts", "test/cli/screen.test.ts"],
  // One run beside rsync; that both backends do the same is what the behaviours are about.
  "test/reference/**",
  // The native library is counted, and comparing counts needs none.
  "test/golden/**",
  // The tests' own tools; no program of ours runs.
  "test/tree/**",
].map((path) => `--path-ignore-patterns=${path}`);

/** Every part of `npm test`, in the order in which a failure is cheapest to learn. */
export function testParts(): Part[] {
  const compiler = findCompiler();
  const skipNative = compiler.kind === "none" ? compiler.reason : undefined;
  const parts: Part[] = [
    { name: "types", command: ["node", bin("typescript/bin/tsc"), "-p", "tsconfig.json"], counts: wholeCounts },
    {
      name: "lint",
      command: ["node", bin("@biomejs/biome/bin/biome"), "check", "--error-on-warnings", "."],
      counts: wholeCounts,
    },
    { name: "build", command: [bun, "build.ts"], counts: wholeCounts },
    ...cParts(skipNative),
    {
      name: "native",
      command: [...bunTest, ...ordinary],
      counts: bunCounts,
      needs: "build",
      // The compiled program is tested; the sources run in test/cli/real-run.test.ts, test/daemon and test/network.
      env: { FASTSYNC_BIN: "dist/fastsync" },
      skip: skipNative && `${skipNative}; the portable part runs the same tests`,
    },
    {
      name: "portable",
      // Tests beside the code touch no backend: with the native part skipped they still have to run once.
      command: [...bunTest, ...ordinary, ...(skipNative === undefined ? [...sameWithEither, "./test"] : [])],
      counts: bunCounts,
      needs: "build",
      env: { FASTSYNC_BIN: "dist/fastsync", FASTSYNC_NATIVE: "off" },
    },
    {
      // They choose the backend that fails, the portable one among them.
      name: "faults",
      command: [...bunTest, "./test/faults"],
      counts: bunCounts,
      needs: "build",
      env: { FASTSYNC_BIN: "dist/fastsync" },
      skip: skipNative,
    },
    {
      name: "network",
      command: [...bunTest, "./test/network"],
      counts: bunCounts,
      needs: "build",
      env: { FASTSYNC_BIN: "dist/fastsync" },
    },
    ...placementParts(skipNative),
    {
      name: "canaries",
      command: [...bunTest, "./test/canaries"],
      counts: bunCounts,
      needs: "build",
      env: { FASTSYNC_BIN: "dist/fastsync" },
      skip: skipNative,
    },
    fuzzPart(skipNative),
    { name: "package", command: [...bunTest, "./test/package"], counts: bunCounts, needs: "build" },
  ];
  return parts.map(reporting);
}

/** FASTSYNC_JUNIT is a directory for a report of each part, as `npm run behaviours -- --from` reads them. */
function reporting(part: Part): Part {
  const directory = process.env["FASTSYNC_JUNIT"];
  if (directory === undefined || part.command[1] !== "test") return part;
  const report = ["--reporter=junit", `--reporter-outfile=${join(directory, `${part.name}.xml`)}`];
  return { ...part, command: [...part.command.slice(0, 2), ...report, ...part.command.slice(2)] };
}

/**
 * The behaviours that are most of what a mirror promises once more, with one side behind a daemon.
 * FASTSYNC_PLACEMENTS=all runs all of them so, which takes half an hour.
 */
function placementParts(skip: string | undefined): Part[] {
  const files = [...new Bun.Glob("*.test.ts").scanSync(join(root, "test/behaviours"))].sort();
  const isAll = process.env["FASTSYNC_PLACEMENTS"] === "all";
  return (["push", "pull"] as const).map((placement) => ({
    name: placement,
    command: [
      ...bunTest,
      "--preload=./test/behaviours/stop-daemons.ts",
      ...files.filter((file) => isAll || IN_BOTH.test(file)).map((file) => `./test/behaviours/${file}`),
    ],
    counts: bunCounts,
    needs: "build",
    env: { FASTSYNC_BIN: "dist/fastsync", FASTSYNC_PLACEMENT: placement },
    skip,
  }));
}

/** Behaviours whose two directions are two different programs, and which take little time. */
const IN_BOTH = /^(compare|filters|links-hard|move|trees-names|trees-places|deletion)\.test\.ts$/;

/** The C tests: plain, with the address and undefined-behaviour sanitizers, and with the thread sanitizer. */
function cParts(skipNative: string | undefined): Part[] {
  return ["plain", "asan", "tsan"].map((kind) => ({
    name: `c-${kind}`,
    command: ["bash", "ffi/test/run.sh", kind],
    counts: plainCounts,
    skip: skipNative,
  }));
}

/** A few seconds of each fuzz target; FASTSYNC_FUZZ_SECONDS gives each that time. */
function fuzzPart(skipNative: string | undefined): Part {
  const fuzzer = findFuzzer();
  return {
    name: "fuzz",
    command: ["bash", "ffi/fuzz/run.sh", "all", process.env["FASTSYNC_FUZZ_SECONDS"] ?? "3"],
    counts: plainCounts,
    skip: skipNative ?? (fuzzer.kind === "none" ? fuzzer.reason : undefined),
  };
}

function bin(path: string): string {
  const found = join(root, "node_modules", path);
  if (!existsSync(found)) throw new Error(`${found} is missing: run \`npm ci\` first`);
  return found;
}
