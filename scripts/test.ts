/**
 * Everything that `npm test` runs; each part is one command, and the last line of the output is the sum of them all.
 *
 *   npm test                  every part
 *   npm test -- types native  only these
 */

import { availableParallelism } from "node:os";
import { runInLanes } from "./test/lanes.ts";
import { testParts } from "./test/parts.ts";
import { type PartResult, runPart } from "./test/run-part.ts";
import { useScratch } from "./test/scratch.ts";

const parts = testParts();
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !parts.some((part) => part.name === name));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(", ")} (there are ${parts.map((part) => part.name).join(", ")})`);
  process.exit(1);
}

const needed = parts.filter((part) => wanted.includes(part.name)).flatMap((part) => part.needs ?? []);
const chosen = parts.filter(({ name }) => wanted.length === 0 || wanted.includes(name) || needed.includes(name));

await useScratch();

// Two at a time use two processors well; more would only make what waits for a time limit late.
const lanes = Math.min(2, availableParallelism());
const results = await runInLanes(chosen, lanes, runPart, (chunk, to) => process[to].write(chunk));

const sum = (of: (result: PartResult) => number): number => results.reduce((total, result) => total + of(result), 0);
console.log("");
for (const { part, failures } of results)
  if (failures !== undefined) console.log(`=== what failed in ${part.name}\n${failures.join("\n")}\n`);
for (const { part, passed, failed, skipped, seconds, note } of results) {
  const numbers = `${passed} passed, ${failed} failed, ${skipped} skipped`;
  console.log(`  ${part.name.padEnd(12)} ${numbers}, ${seconds.toFixed(1)} s${note ? ` (${note})` : ""}`);
}
const failed = sum((result) => result.failed);
console.log(`${sum((result) => result.passed)} passed, ${failed} failed, ${sum((result) => result.skipped)} skipped`);
process.exit(failed === 0 ? 0 : 1);
