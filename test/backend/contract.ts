/** What every `Backend` must do. Implementations skip tests only with a reason. */
import { describe } from "bun:test";
import type { Backend } from "../../src/fs/backend.ts";
import { Harness, type SkippedTests } from "./harness.ts";
import { attributeSection } from "./sections/attributes.ts";
import { cancelSection } from "./sections/cancel.ts";
import { copySection } from "./sections/copy.ts";
import { hashSection } from "./sections/hash.ts";
import { inPlaceSection } from "./sections/in-place.ts";
import { largeSection } from "./sections/large.ts";
import { publishSection } from "./sections/publish.ts";
import { removeSection } from "./sections/remove.ts";
import { resolveSection } from "./sections/resolve.ts";
import { walkSection } from "./sections/walk.ts";
import { wireSection } from "./sections/wire.ts";

export function backendContract(
  label: string,
  open: () => Backend,
  { skip = [] }: { skip?: readonly SkippedTests[] } = {},
): void {
  const sections: [string, (harness: Harness) => void][] = [
    ["walk and stat", walkSection],
    ["resolve", resolveSection],
    ["copy", copySection],
    ["publish, replace, back up", publishSection],
    ["attributes", attributeSection],
    ["in place and delta", inPlaceSection],
    ["large files", largeSection],
    ["remove, link, rename, sweep", removeSection],
    ["hash", hashSection],
    ["cancel, rate, probe", cancelSection],
    ["data plane", (harness) => wireSection(harness)],
  ];
  for (const [name, section] of sections) describe(`${label}: ${name}`, () => section(new Harness(open, skip)));
}
