import { expect, test } from "bun:test";
import { select } from "./select.ts";

const KNOWN = ["S", "xfs", "xfs-noreflink", "net-S-push", "net-S-pull", "net-L-push"] as const;

test("without words everything is chosen", () => {
  expect(select(undefined, KNOWN, "name")).toEqual(KNOWN);
  expect(select([], KNOWN, "name")).toEqual(KNOWN);
});

test("a whole name is that one, the beginning of names is all of them, in their own order", () => {
  expect(select(["S"], KNOWN, "name")).toEqual(["S"]);
  expect(select(["xfs"], KNOWN, "name")).toEqual(["xfs"]);
  expect(select(["net-L", "net-S"], KNOWN, "name")).toEqual(["net-S-push", "net-S-pull", "net-L-push"]);
});

test("a word that chooses nothing is an error that says what there is", () => {
  expect(() => select(["net-S-pu"], KNOWN, "workload")).toThrow("no workload net-S-pu; there are S, xfs");
});
