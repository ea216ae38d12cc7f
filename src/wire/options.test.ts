import { describe, expect, test } from "bun:test";
import { create } from "@bufbuild/protobuf";
import type { FilterSpec } from "../core/filter-spec.ts";
import { LIMITS } from "../core/limits.ts";
import { bytesOf } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";
import { Fsync, RunOptionsSchema, Verb, Verify } from "./gen/fastsync/v1/options_pb.ts";
import { decodeOptions, encodeOptions } from "./options.ts";

const PARTS = { compare: {}, preserve: {}, delete: {}, write: { fsync: Fsync.NONE, verify: Verify.NONE }, filter: {} };
const OPTIONS = decodeOptions(create(RunOptionsSchema, { verb: Verb.COPY, ...PARTS }));
const rule = (text: string): FilterSpec["rules"][number] => ({ text: bytesOf(text), origin: "" });

function encode(filter: Partial<FilterSpec>): unknown {
  try {
    return encodeOptions({ ...OPTIONS, filter: { ...OPTIONS.filter, ...filter } }).filter?.rules.length;
  } catch (error) {
    return error;
  }
}

describe("more than a daemon takes is refused before it is sent, as a wrong command line", () => {
  const { filterRules, filterRuleBytes, messageBytes } = LIMITS;
  const path = bytesOf("x".repeat(4000));
  test.each<[string, Partial<FilterSpec>, string]>([
    ["rules", { rules: Array(filterRules + 1).fill(rule("- a")) }, "65537 filter rules are more than the 65536"],
    ["a rule", { rules: [rule("-".repeat(filterRuleBytes + 1))] }, "a filter rule of 65537 bytes"],
    ["paths", { filesFrom: Array(Math.ceil(messageBytes / 4000)).fill(path) }, "divide the list"],
  ])("%s", (_, filter, message) => {
    const error = encode(filter);
    expect(error).toBeInstanceOf(RunError);
    expect(error).toMatchObject({ exitCode: 1, reason: "usage", message: expect.stringContaining(message) });
  });
  test("and no less", () => {
    expect(encode({ rules: Array(filterRules).fill(rule("- a")) })).toBe(filterRules);
    expect(encode({ rules: [rule("-".repeat(filterRuleBytes))], filesFrom: Array(7000).fill(path) })).toBe(1);
  });
});
