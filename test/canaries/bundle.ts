/** The program in one file, for Bun to run: it starts in a fraction of the time that a hundred modules take. */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/program.ts";

/** Bundles the sources of this tree. Throws where they do not parse. */
export async function bundleTo(path: string): Promise<void> {
  const result = await Bun.build({ entrypoints: [join(ROOT, "src/main.ts")], target: "bun", throw: true });
  if (result.outputs.length !== 1) throw new Error(`the bundle has ${result.outputs.length} files`);
  await Bun.write(path, `#!${process.execPath}\n${await result.outputs[0]!.text()}`);
  chmodSync(path, 0o755);
}
