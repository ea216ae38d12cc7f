// Runs the pinned Bun with the given arguments: `node scripts/bun.mjs build.ts`. The npm scripts go through this file,
// because the `bun` on PATH may be another version, or a stub where npm refused the postinstall script.
import { spawnSync } from "node:child_process";
import { delimiter, dirname } from "node:path";
import { findBun } from "./find-bun.mjs";

const bun = findBun();
if (bun === undefined) {
  console.error("fastsync: Bun is not installed here; run `npm ci` (with optional dependencies) first");
  process.exit(1);
}
// Bun's own folder goes first on PATH, so that what it starts finds the same version.
const env = { ...process.env, PATH: `${dirname(bun)}${delimiter}${process.env.PATH ?? ""}` };
const { status, signal, error } = spawnSync(bun, process.argv.slice(2), { stdio: "inherit", env });
if (error) console.error(`fastsync: ${bun}: ${error.message}`);
if (signal) process.kill(process.pid, signal);
process.exit(status ?? 1);
