/** What a caller says of itself and of the run it asks for. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Fsync,
  type RunOptions,
  type RunOptionsSchema,
  Verb,
  Verify,
} from "../../../src/wire/gen/fastsync/v1/options_pb.ts";
import type { SourceFactsSchema, TargetFactsSchema } from "../../../src/wire/gen/fastsync/v1/session_pb.ts";

export type Options = Exclude<MessageInitShape<typeof RunOptionsSchema>, RunOptions>;

export function options(more: Options = {}): Options {
  const parts = more as Record<string, object | undefined>;
  return {
    verb: Verb.COPY,
    strictAttrs: true,
    ...more,
    compare: { ...parts["compare"] },
    preserve: { perms: true, times: true, dirTimes: true, hardLinks: true, specials: true, ...parts["preserve"] },
    delete: { ...parts["delete"] },
    write: { fsync: Fsync.NONE, verify: Verify.NONE, ...parts["write"] },
    filter: { ...parts["filter"] },
  };
}

/** The contents of one directory. */
export function sourceFacts(
  more: MessageInitShape<typeof SourceFactsSchema> = {},
): MessageInitShape<typeof SourceFactsSchema> {
  return {
    arguments: [{ entry: new Uint8Array(0), isDirectory: true, written: Buffer.from("tree/") }],
    timeGranularityNs: 1n,
    ...more,
  };
}

export function targetFacts(
  more: MessageInitShape<typeof TargetFactsSchema> = {},
): MessageInitShape<typeof TargetFactsSchema> {
  return { ...more };
}
