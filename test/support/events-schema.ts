/** The published schema of `--json`, for consumers and as strict as the program itself has to be. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import Ajv2020 from "ajv/dist/2020.js";
import { closedLook } from "../admin/support/look-schema.ts";

export interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly allOf?: readonly { readonly $ref: string }[];
  readonly enum?: readonly unknown[];
  readonly $defs?: Readonly<Record<string, Schema>>;
}
export type Line = Readonly<Record<string, unknown>>;

export const DOCS = resolve(import.meta.dir, "../../docs");
const TEXT = readFileSync(`${DOCS}/schema/events.schema.json`, "utf8");
export const SCHEMA = JSON.parse(TEXT) as Schema & { readonly $defs: Readonly<Record<string, Schema>> };
export const EVENTS = ["start", "progress", "item", "delete", "error", "summary"] as const;
/** Parts that others are made of: closed where they are used. */
const OPEN_PARTS = new Set(["counters"]);
const STRICT = { strict: true, allowUnionTypes: true, strictRequired: false };

/** What a consumer may check with. */
export const published = new Ajv2020(STRICT).compile(JSON.parse(TEXT));
/** Knows no field beside those that the schema names. */
export const closed = new Ajv2020(STRICT).compile(closedSchema(TEXT));

const DAEMONS_TEXT = readFileSync(`${DOCS}/schema/daemons.schema.json`, "utf8");
export const DAEMONS_SCHEMA = JSON.parse(DAEMONS_TEXT) as typeof SCHEMA;
/** It has the counters of a run, from the schema of events. */
const withEvents = (): Ajv2020 => new Ajv2020(STRICT).addSchema(JSON.parse(TEXT));
const publishedDaemons = withEvents().compile(JSON.parse(DAEMONS_TEXT));
export const closedDaemons = withEvents().compile(closedSchema(DAEMONS_TEXT));

/** Lines of `jobs --json`; what ends a command that could not be carried out is as everywhere. */
export function expectDaemonRecords(lines: readonly Line[]): void {
  for (const line of lines) {
    const isOwn = line["type"] !== "error" && line["type"] !== "summary";
    for (const validate of isOwn ? [closedDaemons, publishedDaemons] : [closedLook])
      if (!validate(line))
        throw new Error(`${JSON.stringify(line)}\n${JSON.stringify(validate.errors, null, 1).slice(0, 3000)}`);
  }
}

function closedSchema(text: string): object {
  const copy = JSON.parse(text) as { $defs: Record<string, Record<string, unknown>> };
  for (const [name, part] of Object.entries(copy.$defs))
    if (part["properties"] !== undefined && !OPEN_PARTS.has(name)) part["unevaluatedProperties"] = false;
  return copy;
}

/** Every line fits, the last of them is the one summary; types seen are returned. */
export function expectLines(lines: readonly Line[]): Set<string> {
  for (const line of lines) {
    for (const validate of [closed, published])
      if (!validate(line))
        throw new Error(`${JSON.stringify(line)}\n${JSON.stringify(validate.errors, null, 1).slice(0, 3000)}`);
  }
  const types = lines.map((line) => String(line["type"]));
  const summaries = types.filter((type) => type === "summary").length;
  if (summaries !== 1 || types.at(-1) !== "summary") throw new Error(`${summaries} summaries: ${types.join(" ")}`);
  return new Set(types);
}

/** Fields of an event, those of its parts among them. */
export function fieldsOf(schema: Schema): string[] {
  const own = Object.keys(schema.properties ?? {});
  const parts = (schema.allOf ?? []).flatMap(({ $ref }) => fieldsOf(SCHEMA.$defs[$ref.split("/").at(-1)!]!));
  return [...own, ...parts];
}
