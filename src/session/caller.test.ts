import { expect, test } from "bun:test";
import { LIMITS } from "../core/limits.ts";
import { idleOf } from "./caller.ts";

test.each([
  [0, LIMITS.idleMs],
  [1, LIMITS.idleLeastMs],
  [5000, 5000],
  [0x7fffffff, LIMITS.idleMostMs],
  [0xffffffff, LIMITS.idleMostMs],
  [Number.MAX_SAFE_INTEGER, LIMITS.idleMostMs],
])("S26 a daemon that says to wait %d ms is waited for %d", (idleTimeoutMs, waited) => {
  expect(idleOf(idleTimeoutMs)).toBe(waited);
});
