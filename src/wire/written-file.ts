/**
 * Descriptors of a .proto file from plain values. The generated code has them in their binary form, and reading it takes
 * the descriptors of descriptor.proto first: most of what a short run over the network spends before it connects. In the
 * compiled program the build puts `fileOf` in the place of that (`scripts/build/descriptor-plugin.ts`).
 */
import { createFileRegistry } from "@bufbuild/protobuf";
import type { GenFile } from "@bufbuild/protobuf/codegenv2";

/** A message of descriptor.proto as it was set; `$typeName` says which. */
export interface WrittenMessage {
  readonly $typeName: string;
  readonly [field: string]: unknown;
}

export interface WrittenFile {
  readonly file: WrittenMessage;
  /** What fields that are not set read as, by `$typeName`. */
  readonly defaults: Readonly<Record<string, object>>;
}

/** `imports` in the order of the file's dependencies. */
export function fileOf({ file, defaults }: WrittenFile, imports: readonly GenFile[] = []): GenFile {
  const proto = revived(file, defaults) as GenFile["proto"];
  const registry = createFileRegistry(proto, (name) => imports.find((one) => one.proto.name === name));
  return registry.getFile(proto.name)!;
}

function revived(value: unknown, defaults: WrittenFile["defaults"]): unknown {
  if (Array.isArray(value)) return value.map((one) => revived(one, defaults));
  if (typeof value !== "object" || value === null) return value;
  const message = value as WrittenMessage;
  const made = Object.create(defaults[message.$typeName] ?? Object.prototype) as Record<string, unknown>;
  for (const name in message) made[name] = revived(message[name], defaults);
  return made;
}
