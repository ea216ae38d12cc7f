/** The tables of the bindings against the header itself: names, order, values. */
import { describe, expect, test } from "bun:test";
import fs from "node:fs";
import path from "node:path";
import * as fsy from "../../ffi/fsy.ts";
import { fingerprint, STRUCTS } from "../../ffi/layout.ts";
import { findLibrary } from "../../ffi/library.ts";
import { BATCH_MAGIC, BatchFlag, Kind, RowFlag, U32_COLUMNS } from "../../src/core/entry-batch.ts";
import { PACKED_COLUMNS } from "../../src/core/row-loops.ts";
import { ItemFlag, METHODS, ROW_EXISTS, STAGES, Warning } from "../../src/fs/backend.ts";

const header = fs
  .readFileSync(path.join(import.meta.dir, "../../ffi/fsy.h"), "utf8")
  .replace(/\/\*[\s\S]*?\*\//g, "")
  .replace(/\/\/.*/g, "");

/** Members of the enum that has `member`, in order. */
function enumWith(member: string): string[] {
  for (const [, body] of header.matchAll(/enum\s*\{([^}]*)\}/g)) {
    const members = body!
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "");
    if (members.includes(member)) return members;
  }
  throw new Error(`no enum with ${member}`);
}

/** Value of a macro; expressions of numbers and shifts only. */
function macro(name: string): number {
  const text = new RegExp(`#define\\s+${name}\\s+(.+)`).exec(header)?.[1];
  if (text === undefined) throw new Error(`no ${name}`);
  const number = text.replace(/(0x[0-9a-fA-F]+|\d+)(?:u|ull|l)+\b/gi, "$1").trim();
  const shift = /^\(\s*(\d+)\s*<<\s*(\d+)\s*\)$/.exec(number);
  if (shift !== null) return Number(shift[1]) * 2 ** Number(shift[2]);
  return Number(number.replace(/^\((-?\d+)\)$/, "$1"));
}

const camel = (name: string): string =>
  name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

describe("fsy.h", () => {
  test("structs have the fields of the tables, in order", () => {
    const sizes: Readonly<Record<string, string>> = { uint32_t: "u32", int32_t: "i32", uint64_t: "u64", double: "f64" };
    for (const [name, layout] of Object.entries(STRUCTS)) {
      const body = new RegExp(`typedef struct ${name} \\{([^}]*)\\} ${name};`).exec(header)?.[1];
      const fields: string[] = [];
      for (const line of body!.split(";")) {
        const [, type, names] = /^\s*(\w+)\s+([\s\S]+)$/.exec(line) ?? [];
        if (type === undefined) continue;
        expect(Object.keys(sizes)).toContain(type);
        for (const field of names!.split(",")) fields.push(field.trim().replace(/\[.*/, ""));
      }
      expect([name, fields]).toEqual([name, Object.keys(layout.at)]);
    }
  });

  test("the loaded library agrees on every size and offset", () => {
    const { library, candidates } = findLibrary();
    expect(candidates.at(-1)?.outcome).toBe("loaded");
    expect(library).toBeDefined();
  });

  test("a library of another layout would be refused", () => {
    const counts = [fsy.F64_COLUMN_COUNT, fsy.U32_COLUMN_COUNT, Object.keys(fsy.Op).length, 7];
    expect(fingerprint(counts)).not.toBe(fingerprint([...counts.slice(0, 3), 8]));
  });

  test("columns", () => {
    const names: Readonly<Record<string, string>> = {
      INO_LO: "inoLow",
      INO_HI: "inoHigh",
      ATTR_LO: "attrLow",
      ATTR_HI: "attrHigh",
      NAME_LEN: "nameLength",
      LINK_LEN: "linkLength",
    };
    const columns = enumWith("FSY_U32_MTIME_NSEC").map((name) => name.replace("FSY_U32_", ""));
    expect(columns.pop()).toBe("COLUMNS");
    expect(columns.map((name) => names[name] ?? camel(name))).toEqual([...U32_COLUMNS]);
    expect(fsy.U32_COLUMN_COUNT).toBe(U32_COLUMNS.length);
    expect(enumWith("FSY_F64_SIZE")).toEqual(["FSY_F64_SIZE", "FSY_F64_MTIME_SEC", "FSY_F64_COLUMNS"]);
  });

  test("operations, methods and stages", () => {
    const members = (prefix: string, first: string): string[] =>
      enumWith(`FSY_${prefix}_${first}`)
        .map((name) => name.replace(`FSY_${prefix}_`, ""))
        .filter((name) => name !== "COUNT");
    expect(members("OP", "NOP").map(camel)).toEqual(Object.keys(fsy.Op));
    expect(Object.values(fsy.Op).map(Number)).toEqual(Object.keys(fsy.Op).map((_, index) => index));
    expect(members("METHOD", "NONE").map(camel)).toEqual(Object.keys(fsy.Method));
    // What follows in METHODS is the session's own.
    const methods = members("METHOD", "NONE").map((name) => name.toLowerCase());
    expect([...METHODS.slice(0, methods.length)].map(String)).toEqual(methods);
    expect(members("STAGE", "NONE").map(camel)).toEqual(Object.keys(fsy.Stage));
    expect(Object.keys(fsy.Stage).length).toBe(STAGES.length);
    expect(members("REASON", "NONE").map((name) => name.toLowerCase())).toEqual([...fsy.REASONS]);
  });

  test("columns of a manifest", () => {
    const columns = enumWith("FSY_PACK_NAMES").map((name) => camel(name.replace("FSY_PACK_", "")));
    expect(columns.pop()).toBe("columns");
    expect(columns).toEqual([...PACKED_COLUMNS]);
    expect(fsy.PACK_COLUMN_COUNT).toBe(PACKED_COLUMNS.length);
  });

  test("constants", () => {
    const same: readonly [string, number][] = [
      ["FSY_ABI", fsy.ABI],
      ["FSY_ARENA_BYTES", fsy.ARENA_BYTES],
      ["FSY_SQ_SIZE", fsy.SQ_SIZE],
      ["FSY_CQ_SIZE", fsy.CQ_SIZE],
      ["FSY_MAX_WORKERS", fsy.MAX_WORKERS],
      ["FSY_MAX_STREAMS", fsy.MAX_STREAMS],
      ["FSY_BATCH_MAGIC", BATCH_MAGIC],
      ["FSY_ROW_EXISTS", ROW_EXISTS],
      ["FSY_DELETE_SAME", fsy.DELETE_SAME],
      ["FSY_CLOSE_QUIET", fsy.CLOSE_QUIET],
      ["FSY_SYNC_FILESYSTEM", fsy.SYNC_FILESYSTEM],
      ["FSY_PACK_WITH_INODES", fsy.PACK_WITH_INODES],
      ["FSY_HASH_XXH3_128", fsy.Hash.xxh3],
      ["FSY_HASH_SHA256", fsy.Hash.sha256],
    ];
    for (const [name, value] of same) expect([name, macro(name)]).toEqual([name, value]);
  });

  test("flags", () => {
    const tables: readonly [string, Readonly<Record<string, number>>][] = [
      ["FSY_OPT_", fsy.Opt],
      ["FSY_WALK_", fsy.Walk],
      ["FSY_RESOLVE_", fsy.Resolve],
      ["FSY_LARGE_", fsy.Large],
      ["FSY_STREAM_", fsy.Stream],
      ["FSY_WIRE_", fsy.Wire],
      ["FSY_WARN_", Warning],
      ["FSY_ITEM_", ItemFlag],
      ["FSY_BATCH_", BatchFlag],
      ["FSY_KIND_", Kind],
      ["FSY_CHECK_", fsy.RowCheck],
      ["FSY_ROW_", RowFlag],
    ];
    const skipped = ["FSY_BATCH_MAGIC", "FSY_ROW_EXISTS"];
    for (const [prefix, table] of tables) {
      const names = [...header.matchAll(/#define\s+(FSY_\w+)\s/g)].map(([, name]) => name!);
      const members = names.filter((name) => name.startsWith(prefix) && !skipped.includes(name));
      const fromHeader = Object.fromEntries(members.map((name) => [camel(name.slice(prefix.length)), macro(name)]));
      expect([prefix, fromHeader]).toEqual([prefix, { ...table }]);
    }
  });
});
