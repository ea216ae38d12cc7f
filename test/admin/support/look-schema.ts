/** The published schema of the records of ls, find, du, df, list-modules and rm, as strict as the program has to be. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import Ajv2020 from "ajv/dist/2020.js";

type Line = Readonly<Record<string, unknown>>;
interface Part {
  readonly properties: Readonly<Record<string, unknown>>;
}

const FILE = resolve(import.meta.dir, "../../../docs/schema/look.schema.json");
export const LOOK_SCHEMA = JSON.parse(readFileSync(FILE, "utf8")) as { readonly $defs: Readonly<Record<string, Part>> };
const STRICT = { strict: true, allowUnionTypes: true, strictRequired: false };
const published = new Ajv2020(STRICT).compile(LOOK_SCHEMA);
/** Knows no field beside those that the schema names. */
export const closedLook = new Ajv2020(STRICT).compile({
  ...LOOK_SCHEMA,
  $id: "https://fastsync.invalid/schema/look-closed.schema.json",
  $defs: Object.fromEntries(
    Object.entries(LOOK_SCHEMA.$defs).map(([name, part]) => [name, { ...part, unevaluatedProperties: false }]),
  ),
});

/** Every line fits, and the last of them is the one summary. */
export function expectLookLines(lines: readonly Line[]): void {
  for (const line of lines)
    for (const validate of [closedLook, published])
      if (!validate(line))
        throw new Error(`${JSON.stringify(line)}\n${JSON.stringify(validate.errors, null, 1).slice(0, 2000)}`);
  const types = lines.map((line) => line["type"]);
  if (types.indexOf("summary") !== types.length - 1) throw new Error(`no summary at the end: ${types.join(" ")}`);
}
