/** Names and texts of the service. */
import { expect, test } from "bun:test";
import { factsOf, instanceOf, nextName, textOf } from "./service.ts";

test.each([
  ["nas", "nas (2)"],
  ["nas (2)", "nas (3)"],
  ["nas (9)", "nas (10)"],
  ["nas (x)", "nas (x) (2)"],
  ["a".repeat(63), `${"a".repeat(59)} (2)`],
  ["ü".repeat(31), `${"ü".repeat(29)} (2)`],
])("after %s comes %s", (name, next) => {
  expect(nextName(name)).toBe(next);
  expect(Buffer.byteLength(nextName(name))).toBeLessThanOrEqual(63);
});

test("a text there and back; what is not known is left out, of two the first counts", () => {
  const facts = { version: "0.1.0", protocol: "1", modules: "3", auth: "none" };
  expect(factsOf(textOf(facts).map((text) => Buffer.from(text)))).toEqual(facts);
  expect(factsOf(["MODULES=7", "modules=8", "auth", "colour=red", "=x"].map((text) => Buffer.from(text)))).toEqual({
    modules: "7",
  });
});

test("an instance is what stands before the type", () => {
  expect(instanceOf("Büro NAS._fastsync._tcp.local")).toBe("Büro NAS");
  expect(instanceOf("a.b._FastSync._TCP.local")).toBe("a.b");
  expect(instanceOf("_fastsync._tcp.local")).toBeUndefined();
  expect(instanceOf("nas._http._tcp.local")).toBeUndefined();
});
