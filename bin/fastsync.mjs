#!/usr/bin/env node
/**
 * `fastsync` as npm installs it. Needs only Node; the work is done by the compiled binary of a built checkout, or by
 * the Bun of the npm package `bun`.
 *
 * Node hands arguments over as text: a path that is not UTF-8 does not survive this launcher. Name its directory
 * instead, or call dist/fastsync or Bun directly; there such arguments arrive unchanged.
 */
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, "src", "main.ts");

if (process.versions.bun !== undefined) {
  await import(main);
} else {
  launch();
}

function launch() {
  const compiled = join(root, "dist", process.platform === "win32" ? "fastsync.exe" : "fastsync");
  const bun = existsSync(compiled) ? undefined : findBun();
  if (bun === null) {
    console.error(
      "fastsync: Bun is missing. Run npm install in the project (without --omit=optional), or install bun.",
    );
    process.exit(5);
  }
  const command = bun ?? compiled;
  const words = [...(bun === undefined ? [] : [main]), ...process.argv.slice(2)];
  const child = spawn(command, words, { stdio: "inherit" });
  // The child decides how to stop; a signal to this process alone has to reach it. From a terminal it then gets the
  // signal twice, which it takes for one.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`fastsync: cannot start ${command}: ${error.message}`);
    process.exit(5);
  });
  child.on("exit", (code, signal) => {
    // As shells say it: 128 and the signal's number.
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  });
}

/** The path of Bun, or null. */
function findBun() {
  const name = process.platform === "win32" ? "bun.exe" : "bun";
  const places = [];
  try {
    // The package has bin/bun.exe on every platform.
    places.push(join(dirname(createRequire(import.meta.url).resolve("bun/package.json")), "bin", "bun.exe"));
  } catch {
    // Not installed beside us; perhaps elsewhere.
  }
  places.push(join(root, "node_modules", ".bin", name), join(root, "..", ".bin", name));
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    if (directory !== "") places.push(join(directory, name));
  }
  return places.find(isBinary) ?? null;
}

/** The package's file is a small script of excuses when its install step did not run. */
function isBinary(path) {
  try {
    return statSync(path).size > 1_000_000;
  } catch {
    return false;
  }
}
