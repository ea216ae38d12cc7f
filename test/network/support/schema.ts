/** Holds every line of `--json` to the published schema. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import Ajv2020 from "ajv/dist/2020.js";
import type { JsonEvent } from "../../support/run.ts";

const FILE = resolve(import.meta.dir, "../../../docs/schema/events.schema.json");
const validate = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(
  JSON.parse(readFileSync(FILE, "utf8")),
);

export function expectSchema(events: readonly JsonEvent[]): void {
  for (const event of events)
    if (!validate(event)) throw new Error(`${JSON.stringify(event)}\n${JSON.stringify(validate.errors, null, 1)}`);
}
