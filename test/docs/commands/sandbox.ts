/** Runs the blocks of one document in the scene of `scene.sh`. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NAMESPACES, overlayRootMissing } from "../../support/overlay-root.ts";
import { fastsyncCommand } from "../../support/program.ts";
import { start } from "../../support/run.ts";
import { tempDir } from "../../support/temp.ts";
import { type Fence, reasonNotToRun } from "./fences.ts";

export interface BlockResult {
  readonly code: number;
  /** Both streams, as they came. */
  readonly printed: string;
}

/** Why documents cannot be run here; undefined where they can. */
export function sandboxMissing(): string | undefined {
  const program = fastsyncCommand();
  if (program.length > 1 || !existsSync(program[0]!))
    return "they run the compiled program: FASTSYNC_BIN=dist/fastsync";
  return overlayRootMissing();
}

/** Results by the line of the block; those that are not run have none. Throws when the scene could not be set. */
export async function runDocument(fences: readonly Fence[]): Promise<Map<number, BlockResult>> {
  using scratch = tempDir();
  const steps: string[] = [];
  for (const fence of fences) {
    const step = stepOf(fence);
    if (step === undefined) continue;
    writeFileSync(scratch.join(String(fence.line)), fence.text);
    steps.push(step);
  }
  if (steps.length === 0) return new Map();
  mkdirSync(scratch.join("fs"));
  writeFileSync(scratch.join("steps"), `${steps.join("\n")}\n`);
  const scene = ["bash", join(import.meta.dir, "scene.sh"), scratch.path, fastsyncCommand()[0]!, scratch.join("steps")];
  const { exitCode, stderr } = await start([...NAMESPACES, ...scene]).result;
  if (exitCode !== 0 || !existsSync(scratch.join("ready"))) throw new Error(`scene.sh: exit ${exitCode}\n${stderr}`);
  const results = new Map<number, BlockResult>();
  for (const { line } of fences) {
    const code = scratch.join(`${line}.code`);
    if (!existsSync(code)) continue;
    const printed = Buffer.from(readFileSync(scratch.join(`${line}.out`))).toString();
    results.set(line, { code: Number(readFileSync(code, "utf8")), printed });
  }
  return results;
}

/** As scene.sh reads it; undefined for what is neither a command to run nor a file to write. */
function stepOf(fence: Fence): string | undefined {
  const file = fence.marks.find((mark) => mark.kind === "file");
  if (file !== undefined) return `write ${fence.line} ${file.path}`;
  if (fence.language !== "sh" || reasonNotToRun(fence) !== undefined) return undefined;
  return `${fence.marks.some((mark) => mark.kind === "background") ? "background" : "run"} ${fence.line}`;
}
