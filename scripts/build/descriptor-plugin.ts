/** Writes the descriptors of generated code down as plain values: see `src/wire/written-file.ts`. */
import { basename } from "node:path";
import type { GenFile } from "@bufbuild/protobuf/codegenv2";
import type { BunPlugin } from "bun";
import type { WrittenFile, WrittenMessage } from "../../src/wire/written-file.ts";

export function descriptorPlugin(): BunPlugin {
  return {
    name: "fastsync-descriptors",
    setup(build) {
      build.onLoad({ filter: /[\\/]wire[\\/]gen[\\/].*_pb\.ts$/ }, async ({ path }) => ({
        loader: "ts",
        contents: await withWrittenDescriptors(path),
      }));
    },
  };
}

/** The generated module at `path` with its one `fileDesc("...")` replaced. Throws when it does not look as expected. */
export async function withWrittenDescriptors(path: string): Promise<string> {
  const text = await Bun.file(path).text();
  const call = /\bfileDesc\("[A-Za-z0-9+/=]+"/;
  if (text.match(new RegExp(call, "g"))?.length !== 1) throw new Error(`${basename(path)}: no single fileDesc("...")`);
  const module = (await import(path)) as Record<string, unknown>;
  const file = Object.entries(module).find(([name]) => name.startsWith("file_"))?.[1] as GenFile | undefined;
  if (file === undefined) throw new Error(`${basename(path)}: no descriptor of the file`);
  const from = JSON.stringify(new URL("../../src/wire/written-file.ts", import.meta.url).pathname);
  return `import { fileOf } from ${from};\n${text.replace(call, `fileOf(${JSON.stringify(writtenFile(file))}`)}`;
}

export function writtenFile(file: GenFile): WrittenFile {
  const defaults: Record<string, object> = {};
  return { file: written(file.proto, defaults) as WrittenMessage, defaults };
}

function written(value: unknown, defaults: Record<string, object>): unknown {
  if (Array.isArray(value)) return value.map((one) => written(one, defaults));
  if (typeof value === "bigint" || value instanceof Uint8Array) throw new Error("an option that JSON does not hold");
  if (typeof value !== "object" || value === null) return value;
  const typeName = (value as Partial<WrittenMessage>).$typeName;
  if (typeName !== undefined) defaults[typeName] ??= { ...Object.getPrototypeOf(value) };
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, written(one, defaults)]));
}
