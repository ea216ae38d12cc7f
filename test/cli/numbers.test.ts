import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatBytes, formatClock, formatCount, formatDuration, plural } from "../../src/cli/report/format.ts";
import {
  parseAge,
  parseCount,
  parseDeleteLimit,
  parseSeconds,
  parseSize,
  parseWindow,
} from "../../src/cli/words/sizes.ts";
import { UsageError } from "../../src/cli/words/usage-error.ts";
import { editDistance, nearest } from "../../src/core/nearest.ts";
import { fuzzing } from "../support/fuzzing.ts";

describe("sizes as they are read", () => {
  test.each([
    ["0", 0],
    ["4096", 4096],
    ["100B", 100],
    ["1K", 1024],
    ["4M", 4 * 1024 ** 2],
    ["8m", 8 * 1024 ** 2],
    ["16MiB", 16 * 1024 ** 2],
    ["16MB", 16e6],
    ["1kb", 1000],
    ["1.5G", 1.5 * 1024 ** 3],
    [".5K", 512],
    ["1.005MB", 1_005_000],
    ["4.1KB", 4100],
    ["2T", 2 * 1024 ** 4],
    ["0.3", 0],
  ])("%s is %d", (text, bytes) => expect(parseSize(text, "max-size")).toBe(bytes));
  test.each(["", "M", "-1", "1 M", "1.K", "1e3", "0x10", "1iB", "1KK", "1Q", "10%", "9999999T"])(
    "%p is refused",
    (text) => expect(() => parseSize(text, "max-size")).toThrow("is not a size"),
  );
});

describe("spans and ages as they are read", () => {
  test.each([
    ["2", 2e9],
    ["0.5", 5e8],
    ["1s", 1e9],
    ["100ms", 1e8],
    ["3us", 3000],
    ["10ns", 10],
  ])("window %s is %d ns", (text, ns) => expect(parseWindow(text, "modify-window")).toBe(ns));
  test.each([
    ["90s", 90],
    ["15m", 900],
    ["2h", 7200],
    ["7d", 604_800],
    ["4w", 2_419_200],
    ["1y", 31_536_000],
    ["1.5d", 129_600],
  ])("age %s is %d seconds", (text, seconds) => expect(parseAge(text, "min-age", 1e9)).toBe(1e9 - seconds));
  test("dates", () => {
    expect(parseAge("2024-12-31T18:00:00Z", "min-age", 0)).toBe(Date.UTC(2024, 11, 31, 18) / 1000);
    expect(parseAge("2024-12-31T18:00+02:00", "min-age", 0)).toBe(Date.UTC(2024, 11, 31, 16) / 1000);
    expect(parseAge("2024-12-31", "min-age", 0)).toBe(new Date(2024, 11, 31).getTime() / 1000);
  });
  test.each(["7", "d", "-1d", "2024-13-01", "2023-02-29", "yesterday", "2024"])("age %p is refused", (text) =>
    expect(() => parseAge(text, "min-age", 0)).toThrow("is not an age"),
  );
});

test("limits of deletions", () => {
  expect(parseDeleteLimit("0", "max-delete")).toEqual({ kind: "count", count: 0 });
  expect(parseDeleteLimit("12.5%", "max-delete")).toEqual({ kind: "percent", percent: 12.5 });
  for (const text of ["", "%", "1.5", "-1", "101%", "1e2"])
    expect(() => parseDeleteLimit(text, "max-delete")).toThrow();
});

describe("numbers as they are shown", () => {
  test.each([
    [0, "0 B"],
    [1023, "1,023 B"],
    [1024, "1.00 KiB"],
    [1536, "1.50 KiB"],
    [10_239, "10.0 KiB"],
    [1024 ** 2 - 1, "1.00 MiB"],
    [123 * 1024 ** 2, "123 MiB"],
    [1000 * 1024 ** 3, "1,000 GiB"],
    [5 * 1024 ** 4, "5.00 TiB"],
  ])("%d bytes", (bytes, text) => expect(formatBytes(bytes)).toBe(text));
  test.each([
    [12, "0.012 s"],
    [1234, "1.23 s"],
    [45_600, "45.6 s"],
    [59_960, "1 min 00 s"],
    [185_000, "3 min 05 s"],
    [3_720_000, "1 h 02 min"],
  ])("%d ms", (ms, text) => expect(formatDuration(ms)).toBe(text));
  test("counts and clocks", () => {
    expect(formatCount(1_234_567)).toBe("1,234,567");
    expect(formatCount(999)).toBe("999");
    expect(plural(1, "entry", "entries")).toBe("1 entry");
    expect(plural(2, "entry", "entries")).toBe("2 entries");
    expect(formatClock(6.1)).toBe("0:07");
    expect(formatClock(3723)).toBe("1:02:03");
  });
});

test("the nearest name", () => {
  expect(editDistance("abc", "abc")).toBe(0);
  expect(editDistance("abcd", "acbd")).toBe(1);
  expect(editDistance("kitten", "sitting")).toBe(3);
  expect(nearest("progess", ["progress", "perms"])).toBe("progress");
  expect(nearest("delete-ex", ["delete-excluded", "existing"])).toBe("delete-excluded");
  expect(nearest("xyz", ["progress", "perms"])).toBeUndefined();
});

describe("numbers of any form", () => {
  const digits = fc.bigInt(0n, 10n ** 12n).map(String);
  const written = fc
    .tuple(fc.constantFrom("", "0", "00"), digits, fc.option(fc.tuple(digits, fc.nat(6)), { nil: undefined }))
    .map(([zeros, whole, fraction]) => ({
      whole: zeros + whole,
      fraction: fraction === undefined ? "" : "0".repeat(fraction[1]) + fraction[0],
    }));
  const POWERS = ["", "k", "m", "g", "t", "p"];

  test("a size is what exact arithmetic makes of it, rounded down, or refused", () => {
    fc.assert(
      fc.property(
        written,
        fc.nat(5),
        fc.constantFrom("", "B", "iB"),
        fc.boolean(),
        ({ whole, fraction }, power, unit, upper) => {
          const suffix = POWERS[power]! + unit;
          const text = whole + (fraction === "" ? "" : `.${fraction}`) + (upper ? suffix.toUpperCase() : suffix);
          const base = power > 0 && unit === "B" ? 1000n : 1024n;
          const exact = (BigInt(whole + fraction) * base ** BigInt(power)) / 10n ** BigInt(fraction.length);
          const refused = exact > BigInt(Number.MAX_SAFE_INTEGER) || suffix === "iB";
          if (refused) expect(() => parseSize(text, "max-size")).toThrow(UsageError);
          else expect([text, parseSize(text, "max-size")]).toEqual([text, Number(exact)]);
        },
      ),
      fuzzing(3000),
    );
  });

  /** Nothing but a number in its bounds or a UsageError that can be printed, whatever the text. */
  const anything = fc.oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc
      .array(
        fc.constantFrom(
          "0",
          "9",
          ".",
          "-",
          "+",
          "e",
          "K",
          "iB",
          "%",
          "s",
          "ms",
          "T",
          ":",
          "Z",
          " ",
          "\n",
          "\u001b",
          "٣",
          "1e9",
          "Infinity",
          "NaN",
          "2024-02-30",
        ),
        { maxLength: 6 },
      )
      .map((parts) => parts.join("")),
  );
  const READERS: readonly (readonly [string, (text: string) => number])[] = [
    ["a size", (text) => parseSize(text, "x")],
    ["a count", (text) => parseCount(text, "x", 1, 64)],
    ["a window", (text) => parseWindow(text, "x")],
    ["seconds", (text) => parseSeconds(text, "x")],
    ["an age", (text) => parseAge(text, "x", 1e9)],
    ["a limit", (text) => Object.values(parseDeleteLimit(text, "x")).find((value) => typeof value === "number")!],
  ];
  test.each(READERS)("S33 %s of any text is a number, or refused in words", (name, read) => {
    fc.assert(
      fc.property(anything, (text) => {
        let value: number;
        try {
          value = read(text);
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
          expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
          return;
        }
        expect(Number.isFinite(value)).toBe(true);
        if (name !== "an age") expect(value).toBeGreaterThanOrEqual(0);
      }),
      fuzzing(2000),
    );
  });
});
