import { describe, expect, test } from "bun:test";
import { expectedMethod, methodLadder } from "./method-ladder.ts";

const [EXT4, XFS, TMPFS, UNKNOWN] = [61267, 1481003842, 16914836, 0x1234];
const ALL = ["clone", "copy_file_range", "sendfile", "mmap", "read_write"] as const;
const at = (filesystemType: number, dev: number) => ({ filesystemType, dev });

describe("the method that is expected to move content", () => {
  test.each([
    ["one filesystem that shares blocks", at(XFS, 1), at(XFS, 1), "clone"],
    ["one that does not", at(EXT4, 1), at(EXT4, 1), "copy_file_range"],
    ["one that is not known", at(UNKNOWN, 1), at(UNKNOWN, 1), "clone"],
    ["two of one kind", at(XFS, 1), at(XFS, 2), "copy_file_range"],
    ["two of two kinds", at(TMPFS, 1), at(EXT4, 2), "sendfile"],
  ])("%s", (_title, source, target, method) => {
    const ladder = methodLadder(source, target, ALL, undefined);
    expect(ladder.map((one) => one.method)).toEqual([...ALL]);
    expect(expectedMethod(ladder)?.method).toBe(method as (typeof ALL)[number]);
  });

  test("what the engine or the run leaves out is not tried, and says why", () => {
    const ladder = methodLadder(at(XFS, 1), at(XFS, 1), ["read_write"], undefined);
    expect(expectedMethod(ladder)?.method).toBe("read_write");
    expect(ladder[0]).toEqual({ method: "clone", isTried: false, reason: "this engine does not have it" });
    const chosen = methodLadder(at(XFS, 1), at(XFS, 1), ALL, ["mmap"]);
    expect(expectedMethod(chosen)?.method).toBe("mmap");
    expect(chosen[0]?.reason).toBe("turned off for this run");
  });
});
