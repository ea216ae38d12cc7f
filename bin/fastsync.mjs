#!/usr/bin/env node
/**
 * `fastsync` as npm installs it. Needs only Node; the work is done by the compiled binary of a built checkout, or by
 * the Bun of the npm package `bun`.
 *
 * Node hands arguments over as text: a path that is not UTF-8 does not survive this launcher. Name its directory
 * instead, or call dist/fastsync or Bun directly; there such arguments arrive unchanged.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants, devNull } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findBun } from "../scripts/find-bun.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, "src", "main.ts");
// Bun would read bunfig.toml (which can preload code) and .env from the working directory, and fetch missing packages:
// a copier runs inside directories that others write to, and takes nothing from there.
const bunFlags = [`--config=${devNull}`, "--no-env-file", "--no-install"];

if (process.versions.bun !== undefined) {
  await import(main);
} else {
  launch();
}

function launch() {
  const compiled = join(root, "dist", process.platform === "win32" ? "fastsync.exe" : "fastsync");
  const isCompiled = existsSync(compiled);
  const command = isCompiled ? compiled : findBun();
  if (command === undefined) {
    console.error("fastsync: Bun is missing. Run npm install in the project, without --omit=optional.");
    process.exit(5);
  }
  const words = [...(isCompiled ? [] : [...bunFlags, main]), ...process.argv.slice(2)];
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
