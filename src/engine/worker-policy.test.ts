import { describe, expect, test } from "bun:test";
import { workersFor } from "./worker-policy.ts";

const MIB = 1 << 20;

describe("workersFor", () => {
  test.each([
    [
      "one arm gets few, however many cores",
      { cores: 32, rotational: true, remote: false, averageFileBytes: 100 * MIB },
      2,
    ],
    [
      "a network filesystem gets many, however few cores",
      { cores: 2, rotational: false, remote: true, averageFileBytes: 4096 },
      8,
    ],
    ["small files get a few", { cores: 32, rotational: false, remote: false, averageFileBytes: 4096 }, 4],
    ["large files get more", { cores: 32, rotational: false, remote: false, averageFileBytes: 100 * MIB }, 8],
    ["never more than the cores", { cores: 3, rotational: false, remote: false, averageFileBytes: 100 * MIB }, 3],
    [
      "never fewer than two, so that one may wait for the disk",
      { cores: 1, rotational: false, remote: false, averageFileBytes: undefined },
      2,
    ],
  ])("%s", (_, facts, workers) => {
    expect(workersFor(facts)).toBe(workers);
  });
});
