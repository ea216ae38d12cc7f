/** The descriptors that the build writes down are those of the generated code. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type DescFile, type DescMessage, toBinary } from "@bufbuild/protobuf";
import type { GenFile } from "@bufbuild/protobuf/codegenv2";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { withWrittenDescriptors, writtenFile } from "../../scripts/build/descriptor-plugin.ts";
import { file_fastsync_v1_admin } from "../../src/wire/gen/fastsync/v1/admin_pb.ts";
import { file_fastsync_v1_jobs } from "../../src/wire/gen/fastsync/v1/jobs_pb.ts";
import { file_fastsync_v1_options } from "../../src/wire/gen/fastsync/v1/options_pb.ts";
import { file_fastsync_v1_session } from "../../src/wire/gen/fastsync/v1/session_pb.ts";
import { fileOf, type WrittenFile } from "../../src/wire/written-file.ts";

const viaText = (file: GenFile): WrittenFile => JSON.parse(JSON.stringify(writtenFile(file))) as WrittenFile;
const options = fileOf(viaText(file_fastsync_v1_options));
const session = fileOf(viaText(file_fastsync_v1_session), [options]);
const jobs = fileOf(viaText(file_fastsync_v1_jobs), [session]);
const admin = fileOf(viaText(file_fastsync_v1_admin));

/** What encoders and decoders look at. */
function shape(message: DescMessage): unknown {
  return {
    name: message.typeName,
    fields: message.fields.map((field) => ({
      ...{ number: field.number, name: field.name, local: field.localName, kind: field.fieldKind },
      ...{ presence: field.presence, oneof: field.oneof?.localName, jsonName: field.jsonName },
      scalar: "scalar" in field ? field.scalar : undefined,
      list: field.fieldKind === "list" ? [field.listKind, field.packed] : undefined,
      map: field.fieldKind === "map" ? [field.mapKey, field.mapKind] : undefined,
      of: field.message?.typeName ?? field.enum?.typeName,
      default: field.fieldKind === "scalar" ? field.getDefaultValue() : undefined,
    })),
    oneofs: message.oneofs.map(({ name, fields }) => [name, fields.map(({ number }) => number)]),
    nested: message.nestedMessages.map(shape),
    enums: message.nestedEnums.map(({ typeName, values }) => [
      typeName,
      values.map(({ name, number }) => [name, number]),
    ]),
  };
}

function shapes(file: DescFile): unknown {
  return {
    messages: file.messages.map(shape),
    enums: file.enums.map(({ typeName, open, values }) => [
      typeName,
      open,
      values.map(({ name, number }) => [name, number]),
    ]),
    services: file.services.map(({ typeName, methods }) => [
      typeName,
      methods.map(({ name, methodKind, input, output }) => [name, methodKind, input.typeName, output.typeName]),
    ]),
    dependencies: file.dependencies.map(({ proto }) => proto.name),
  };
}

describe.each([
  ["options.proto", file_fastsync_v1_options, options],
  ["session.proto", file_fastsync_v1_session, session],
  ["jobs.proto", file_fastsync_v1_jobs, jobs],
  ["admin.proto", file_fastsync_v1_admin, admin],
] as const)("%s", (_, generated, written) => {
  test("is the same file", () => {
    expect(toBinary(FileDescriptorProtoSchema, written.proto)).toEqual(
      toBinary(FileDescriptorProtoSchema, generated.proto),
    );
  });
  test("describes the same messages", () => {
    expect(shapes(written)).toEqual(shapes(generated));
  });
});

test("a module without descriptors is refused, instead of built as it is", async () => {
  const here = join(import.meta.dir, "written-descriptors.test.ts");
  expect(withWrittenDescriptors(here)).rejects.toThrow("no single fileDesc");
});
