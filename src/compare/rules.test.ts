import { describe, expect, test } from "bun:test";
import { compareRules, type RulesOver } from "../../test/support/compare-rules.ts";
import { listingOf, type Made } from "../../test/support/listings.ts";
import { type EntryBatch, FileType, RowFlag } from "../core/entry-batch.ts";
import { bytesOf } from "../core/paths.ts";
import {
  type CompareRules,
  Difference,
  dataVerdict,
  describeDifference,
  differenceWords,
  metadataDifference,
  sameTime,
  targetIsNewer,
} from "./rules.ts";

const FILE: Made = { mode: FileType.regular | 0o644, size: 10, mtimeSec: 1_000_000, mtimeNsec: 5, uid: 1, gid: 1 };
const LINK: Made = { ...FILE, mode: FileType.symlink | 0o777, linkText: bytesOf("a") };
const BLOCK: Made = { ...FILE, mode: FileType.blockDevice | 0o600, rdev: 7 };
const CHARACTER: Made = { ...FILE, mode: FileType.charDevice | 0o600, rdev: 7 };
const FIFO: Made = { ...FILE, mode: FileType.fifo | 0o600 };
const SUBDIRECTORY: Made = { ...FILE, mode: FileType.directory | 0o755, size: 0 };
const ENDS = { earliestSec: 1000, latestSec: 2000 };
const AT_END: Made = { ...FILE, mtimeSec: 2000, mtimeNsec: 0 };
const OLDER = { mtimeSec: 999_999 };
const NEWER = { mtimeSec: 1_000_001 };

type Rule<T> = (rules: CompareRules, source: EntryBatch, row: number, target: EntryBatch, targetRow: number) => T;

/** Calls a rule with one source and one target entry. */
function of<T>(rule: Rule<T>, over: RulesOver, source: Made, target: Made): T {
  return rule(compareRules(over), listingOf([["x", source]]), 0, listingOf([["x", target]]), 0);
}

describe("dataVerdict", () => {
  const CASES: readonly [what: string, over: RulesOver, source: Made, target: Made, verdict: string][] = [
    ["equal size and time", {}, FILE, FILE, "same"],
    ["another size", {}, FILE, { ...FILE, size: 11 }, "differs"],
    ["another size beyond 32 bits", {}, { ...FILE, size: 2 ** 32 + 10 }, FILE, "differs"],
    ["another second", {}, FILE, { ...FILE, ...OLDER }, "differs"],
    ["another nanosecond", {}, FILE, { ...FILE, mtimeNsec: 6 }, "differs"],
    [
      "one nanosecond across a second",
      {},
      { ...FILE, mtimeNsec: 0 },
      { ...FILE, ...OLDER, mtimeNsec: 999_999_999 },
      "differs",
    ],
    [
      "that nanosecond within a window",
      { windowNs: 1 },
      { ...FILE, mtimeNsec: 0 },
      { ...FILE, ...OLDER, mtimeNsec: 999_999_999 },
      "same",
    ],
    ["a second within a window of one", { windowNs: 1e9 }, FILE, { ...FILE, ...NEWER }, "same"],
    ["more than the window", { windowNs: 1e9 }, FILE, { ...FILE, ...NEWER, mtimeNsec: 6 }, "differs"],
    ["before 1970", {}, { ...FILE, mtimeSec: -1 }, { ...FILE, mtimeSec: -1 }, "same"],
    ["ages apart", { windowNs: 1e9 }, { ...FILE, mtimeSec: -(2 ** 40) }, { ...FILE, mtimeSec: 2 ** 40 }, "differs"],
    ["beyond the end of times, kept as the end", { times: ENDS }, { ...FILE, mtimeSec: 5000 }, AT_END, "same"],
    ["at the end, with nanoseconds that are not kept", { times: ENDS }, { ...FILE, mtimeSec: 2000 }, AT_END, "same"],
    ["before the beginning", { times: ENDS }, { ...FILE, mtimeSec: -5 }, { ...AT_END, mtimeSec: 1000 }, "same"],
    [
      "beyond the end, kept as another time",
      { times: ENDS },
      { ...FILE, mtimeSec: 5000 },
      { ...FILE, mtimeSec: 1999 },
      "differs",
    ],
    [
      "another nanosecond inside",
      { times: ENDS },
      { ...FILE, mtimeSec: 1500 },
      { ...FILE, mtimeSec: 1500, mtimeNsec: 6 },
      "differs",
    ],
    ["beyond either end", { times: ENDS }, { ...FILE, mtimeSec: 5000 }, { ...AT_END, mtimeSec: 1000 }, "differs"],
    ["only metadata differs", {}, FILE, { ...FILE, mode: FileType.regular | 0o600, uid: 2 }, "same"],
    ["--size-only: another time", { options: { sizeOnly: true } }, FILE, { ...FILE, ...OLDER }, "same"],
    ["--size-only: another size", { options: { sizeOnly: true } }, FILE, { ...FILE, size: 1 }, "differs"],
    ["--ignore-times: equal", { options: { ignoreTimes: true } }, FILE, FILE, "differs"],
    ["--checksum: equal size and time", { options: { checksum: true } }, FILE, FILE, "digest"],
    ["--checksum: another time", { options: { checksum: true } }, FILE, { ...FILE, ...OLDER }, "digest"],
    [
      "--checksum: another size needs no digest",
      { options: { checksum: true } },
      FILE,
      { ...FILE, size: 1 },
      "differs",
    ],
    ["--update: the target is newer", { options: { update: true } }, FILE, { ...FILE, ...NEWER }, "newer"],
    [
      "--update: newer, and of another size",
      { options: { update: true } },
      FILE,
      { ...FILE, ...NEWER, size: 1 },
      "newer",
    ],
    ["--update: the target is older", { options: { update: true } }, FILE, { ...FILE, ...OLDER }, "differs"],
    ["--update: equal times, another size", { options: { update: true } }, FILE, { ...FILE, size: 1 }, "differs"],
    [
      "--update: newer within the window is not newer",
      { options: { update: true }, windowNs: 1e9 },
      FILE,
      { ...FILE, ...NEWER, size: 1 },
      "differs",
    ],
    [
      "--update and --checksum: newer",
      { options: { update: true, checksum: true } },
      FILE,
      { ...FILE, ...NEWER },
      "newer",
    ],
    [
      "--update and --ignore-times: newer",
      { options: { update: true, ignoreTimes: true } },
      FILE,
      { ...FILE, ...NEWER },
      "newer",
    ],
    ["a link of the same text", {}, LINK, { ...LINK, ...OLDER }, "same"],
    ["a link of another text", {}, LINK, { ...LINK, linkText: bytesOf("b") }, "differs"],
    ["a link whose text is a prefix", {}, LINK, { ...LINK, linkText: bytesOf("aa") }, "differs"],
    [
      "--update: a newer link of another text",
      { options: { update: true } },
      LINK,
      { ...LINK, ...NEWER, linkText: bytesOf("b") },
      "newer",
    ],
    ["--update: a newer link of the same text", { options: { update: true } }, LINK, { ...LINK, ...NEWER }, "same"],
    [
      "--update: an older link of another text",
      { options: { update: true } },
      LINK,
      { ...LINK, ...OLDER, linkText: bytesOf("b") },
      "differs",
    ],
    ["--ignore-times: links have no content to read", { options: { ignoreTimes: true } }, LINK, LINK, "same"],
    ["a block device of the same number", {}, BLOCK, { ...BLOCK, ...OLDER }, "same"],
    ["a block device of another number", {}, BLOCK, { ...BLOCK, rdev: 8 }, "differs"],
    ["a character device of another number", {}, CHARACTER, { ...CHARACTER, rdev: 8 }, "differs"],
    ["a FIFO has nothing that could differ", {}, FIFO, { ...FIFO, ...OLDER, size: 4, rdev: 3 }, "same"],
  ];
  test.each(CASES)("%s", (_, over, source, target, verdict) => {
    expect(of(dataVerdict, over, source, target)).toBe(verdict as ReturnType<typeof dataVerdict>);
  });
});

describe("metadataDifference", () => {
  const mode = (bits: number): Made => ({ ...FILE, mode: FileType.regular | bits });
  const NONE = 0;
  const CASES: readonly [what: string, over: RulesOver, source: Made, target: Made, bits: number][] = [
    ["equal", {}, FILE, FILE, NONE],
    ["the size is not metadata", {}, FILE, { ...FILE, size: 1 }, NONE],
    ["permissions", {}, mode(0o644), mode(0o600), Difference.mode],
    ["sticky bit", {}, mode(0o1644), mode(0o644), Difference.mode],
    ["--no-perms", { preserve: { perms: false } }, mode(0o644), mode(0o600), NONE],
    ["a link has no mode of its own", {}, LINK, { ...LINK, mode: FileType.symlink | 0o700 }, NONE],
    ["time", {}, FILE, { ...FILE, ...OLDER }, Difference.mtime],
    ["time within the window", { windowNs: 1e9 }, FILE, { ...FILE, ...OLDER }, NONE],
    ["time of a link", {}, LINK, { ...LINK, ...OLDER }, Difference.mtime],
    ["--no-times", { preserve: { times: false } }, FILE, { ...FILE, ...OLDER }, NONE],
    ["time of a directory", {}, SUBDIRECTORY, { ...SUBDIRECTORY, ...OLDER }, Difference.mtime],
    [
      "--no-dir-times: a directory",
      { preserve: { dirTimes: false } },
      SUBDIRECTORY,
      { ...SUBDIRECTORY, ...OLDER },
      NONE,
    ],
    ["--no-dir-times: a file", { preserve: { dirTimes: false } }, FILE, { ...FILE, ...OLDER }, Difference.mtime],
    ["owner", {}, FILE, { ...FILE, uid: 2 }, Difference.owner],
    ["owner, by who may not give files away", { mayChown: false }, FILE, { ...FILE, uid: 2 }, NONE],
    ["--no-owner", { preserve: { owner: false } }, FILE, { ...FILE, uid: 2 }, NONE],
    ["--chown to the source's owner's stead", { preserve: { chownUid: 9 } }, FILE, FILE, Difference.owner],
    ["--chown has happened", { preserve: { chownUid: 9 } }, FILE, { ...FILE, uid: 9 }, NONE],
    ["group", {}, FILE, { ...FILE, gid: 2 }, Difference.group],
    ["group, by a member", { mayChown: false, groups: [1] }, FILE, { ...FILE, gid: 2 }, Difference.group],
    ["group, by somebody else", { mayChown: false, groups: [2] }, FILE, { ...FILE, gid: 2 }, NONE],
    ["--no-group", { preserve: { group: false } }, FILE, { ...FILE, gid: 2 }, NONE],
    ["--chown to a group", { preserve: { chownGid: 9 } }, FILE, FILE, Difference.group],
    ["--chown to a group, by somebody else", { preserve: { chownGid: 9 }, mayChown: false }, FILE, FILE, NONE],
    ["attributes, low", {}, { ...FILE, attrLow: 1 }, FILE, Difference.attributes],
    ["attributes, high", {}, FILE, { ...FILE, attrHigh: 1 }, Difference.attributes],
    ["attributes that could not be read", {}, { ...FILE, flags: RowFlag.attrFailed }, FILE, Difference.attributes],
    ["--no-xattrs keeps ACLs", { preserve: { xattrs: false } }, { ...FILE, attrLow: 1 }, FILE, Difference.attributes],
    ["--no-xattrs --no-acls", { preserve: { xattrs: false, acls: false } }, { ...FILE, attrLow: 1 }, FILE, NONE],
    ["everything", {}, FILE, { ...mode(0o600), ...OLDER, uid: 2, gid: 2, attrLow: 3 }, 31],
  ];
  test.each(CASES)("%s", (_, over, source, target, bits) => {
    expect(of(metadataDifference, over, source, target)).toBe(bits);
  });

  // Set-id bits are withheld from a file of another owner. Counting that as a difference would repair it in each run.
  const strangers = { mayChown: false };
  const SETID: readonly [what: string, over: RulesOver, source: Made, target: Made, bits: number][] = [
    ["setuid is missing, the owner is right", {}, mode(0o4755), mode(0o755), Difference.mode],
    ["setuid is missing, the owner cannot be given", strangers, mode(0o4755), { ...mode(0o755), uid: 2 }, NONE],
    ["and is there though it was withheld", strangers, mode(0o755), { ...mode(0o4755), uid: 2 }, NONE],
    ["other bits count all the same", strangers, mode(0o4755), { ...mode(0o700), uid: 2 }, Difference.mode],
    [
      "setuid is missing, the owner will be given",
      {},
      mode(0o4755),
      { ...mode(0o755), uid: 2 },
      Difference.mode | Difference.owner,
    ],
    ["setuid is missing, --no-owner", { preserve: { owner: false } }, mode(0o4755), { ...mode(0o755), uid: 2 }, NONE],
    [
      "setuid is missing, --no-owner, yet the owner is right",
      { preserve: { owner: false } },
      mode(0o4755),
      mode(0o755),
      Difference.mode,
    ],
    ["setgid is missing, the group is right", {}, mode(0o2755), mode(0o755), Difference.mode],
    ["setgid is missing, the group cannot be given", strangers, mode(0o2755), { ...mode(0o755), gid: 2 }, NONE],
    ["setgid does not hang on the owner", strangers, mode(0o2755), { ...mode(0o755), uid: 2 }, Difference.mode],
    ["setuid does not hang on the group", strangers, mode(0o4755), { ...mode(0o755), gid: 2 }, Difference.mode],
    [
      "setgid with --chown to another group",
      { preserve: { chownGid: 9 } },
      mode(0o2755),
      { ...mode(0o755), gid: 9 },
      Difference.mode,
    ],
  ];
  test.each(SETID)("set-id: %s", (_, over, source, target, bits) => {
    expect(of(metadataDifference, over, source, target)).toBe(bits);
  });
});

describe("times", () => {
  test.each([
    ["equal", FILE, 0, true, false],
    ["a nanosecond newer", { ...FILE, mtimeNsec: 6 }, 0, false, true],
    ["a nanosecond older", { ...FILE, mtimeNsec: 4 }, 0, false, false],
    ["just within the window", { ...FILE, mtimeNsec: 105 }, 100, true, false],
    ["just outside", { ...FILE, mtimeNsec: 106 }, 100, false, true],
    ["just within, older", { ...FILE, ...OLDER }, 1e9, true, false],
  ] as const)("the target is %s", (_, target, windowNs, same, newer) => {
    expect(of(sameTime, { windowNs }, FILE, target)).toBe(same);
    expect(of(targetIsNewer, { windowNs }, FILE, target)).toBe(newer);
  });
});

describe("describeDifference", () => {
  test.each<[string, Made, Made, string]>([
    ["nothing", FILE, FILE, ""],
    ["size and time", FILE, { ...FILE, ...OLDER, size: 1 }, "size,mtime"],
    ["the type alone, whatever else differs", FILE, { ...LINK, ...OLDER, uid: 2 }, "type"],
    ["a link's text and time", LINK, { ...LINK, ...OLDER, linkText: bytesOf("b") }, "mtime,link"],
    ["a device's number", BLOCK, { ...BLOCK, rdev: 8 }, "device"],
    ["the size of a directory is nothing", SUBDIRECTORY, { ...SUBDIRECTORY, size: 4096 }, ""],
    [
      "metadata",
      FILE,
      { ...FILE, mode: FileType.regular | 0o600, uid: 2, gid: 2, attrLow: 1 },
      "mode,owner,group,attributes",
    ],
  ])("%s", (_, source, target, words) => {
    expect(differenceWords(of(describeDifference, {}, source, target))).toBe(words);
  });

  test("every difference has its own word", () => {
    const words = Object.values(Difference).map((bit) => differenceWords(bit));
    expect(new Set(words).size).toBe(words.length);
    expect(words).not.toContain("");
  });
});
