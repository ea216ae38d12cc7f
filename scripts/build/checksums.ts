import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const NAME = "SHA256SUMS";

/** Writes `SHA256SUMS` of all files in `folder`, as `sha256sum --check` reads it. Returns its path. */
export function writeChecksums(folder: string): string {
  const files = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== NAME && !entry.name.startsWith("."))
    .map(({ name }) => name)
    .sort();
  const lines = files.map((name) => {
    const digest = createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
    return `${digest}  ${name}\n`;
  });
  writeFileSync(join(folder, NAME), lines.join(""));
  return join(folder, NAME);
}
