import { describe, expect, test } from "bun:test";
import type { BlockSharing } from "../fs/block-sharing.ts";
import { expectedMethods, type LadderPlace, methodLadder } from "./method-ladder.ts";

const [EXT4, XFS, TMPFS, NFS] = [0xef53, 0x58465342, 0x01021994, 0x6969];
const ALL = ["clone", "copy_file_range", "sendfile", "mmap", "read_write"] as const;
const at = (filesystemType: number, filesystem: string, files: BlockSharing["files"]): LadderPlace => ({
  filesystemType,
  sharing: { files, reason: `because it ${files}`, filesystem },
});

describe("the methods that are expected to move content", () => {
  test.each([
    ["one filesystem that shares blocks", at(XFS, "a", "can"), at(XFS, "a", "can"), [6, 1], "clone"],
    ["one that does not", at(XFS, "a", "cannot"), at(XFS, "a", "cannot"), [6, 1], "copy_file_range"],
    ["one that may", at(NFS, "a", "may"), at(NFS, "a", "may"), [6, 1], "clone copy_file_range"],
    ["one where a directory may", at(XFS, "a", "can"), at(XFS, "a", "may"), [6, 1], "clone copy_file_range"],
    ["two of one kind", at(XFS, "a", "can"), at(XFS, "b", "can"), [5, 19], "sendfile"],
    ["the same, with a kernel before 5.19", at(XFS, "a", "can"), at(XFS, "b", "can"), [5, 18], "copy_file_range"],
    ["the same, before 5.3", at(XFS, "a", "can"), at(XFS, "b", "can"), [4, 19], "sendfile"],
    ["two that copy themselves", at(NFS, "a", "may"), at(NFS, "b", "may"), [6, 1], "copy_file_range sendfile"],
    ["two of two kinds", at(TMPFS, "a", "cannot"), at(EXT4, "b", "cannot"), [6, 1], "sendfile"],
  ] as const)("%s", (_title, source, target, version, methods) => {
    const ladder = methodLadder(source, target, ALL, undefined, version);
    expect(ladder.map((one) => one.method)).toEqual([...ALL]);
    expect(
      expectedMethods(ladder)
        .map(({ method }) => method)
        .join(" "),
    ).toBe(methods);
  });

  test("why a clone is refused, or may be, is what the filesystem says", () => {
    const reason = (files: BlockSharing["files"]) =>
      methodLadder(at(XFS, "a", "can"), at(XFS, "a", files), ALL, undefined)[0]?.reason;
    expect(reason("cannot")).toBe("will be refused: because it cannot");
    expect(reason("may")).toBe("may be refused: because it may");
    expect(reason("can")).toBe("xfs can share blocks: no content moves at all");
  });

  test("what the engine or the run leaves out is not tried, and says why", () => {
    const [source, target] = [at(XFS, "a", "can"), at(XFS, "a", "can")];
    const ladder = methodLadder(source, target, ["read_write"], undefined);
    expect(expectedMethods(ladder).map(({ method }) => method)).toEqual(["read_write"]);
    expect(ladder[0]).toEqual({ method: "clone", outlook: "off", reason: "this engine does not have it" });
    const chosen = methodLadder(source, target, ALL, ["mmap"]);
    expect(expectedMethods(chosen).map(({ method }) => method)).toEqual(["mmap"]);
    expect(chosen[0]?.reason).toBe("turned off for this run");
  });
});
