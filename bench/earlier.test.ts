import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../test/support/temp.ts";
import { earlierLine, earlierTables } from "./earlier.ts";

test("tables of earlier runs are found by workload and filesystem, and named", () => {
  using out = tempDir();
  const table = { workload: "S", title: "many", filesystem: "xfs", cells: [] };
  writeFileSync(join(out.path, "S-xfs.json"), JSON.stringify({ machine: {}, table, verdicts: [] }));
  const found = earlierTables(out.path, { id: "S", filesystems: ["xfs", "xfs-noreflink"] });
  expect(found).toEqual([table as never]);
  expect(earlierTables(out.path, { id: "L", filesystems: ["xfs"] })).toEqual([]);
  expect(earlierLine(found)).toEndWith(": S");
  expect(earlierLine([])).toBeUndefined();
});
