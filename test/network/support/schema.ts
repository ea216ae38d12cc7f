/** Holds every line of `--json` to the published schema, and to knowing no other field. */
import { expectLines } from "../../support/events-schema.ts";
import type { JsonEvent } from "../../support/run.ts";

export function expectSchema(events: readonly JsonEvent[]): void {
  expectLines(events);
}
