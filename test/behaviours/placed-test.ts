/** `test` and `describe` that leave out, with its reason in the name, what a placement of the sides cannot show. */
import { describe as bunDescribe, test as bunTest } from "bun:test";
import { PLACEMENT } from "../support/placement.ts";
import { leftOut } from "./placements.ts";

type Define = (name: string, ...rest: never[]) => void;

/** The name of one row's test, as far as the table of what is left out needs it. */
function named(name: string, row: unknown): string {
  return name.replace(/%[sp]/, String(Array.isArray(row) ? row[0] : row));
}

function placedDefine<T extends typeof bunTest | typeof bunDescribe>(original: T): T {
  const skip = original.skip as unknown as Define;
  const guarded = (define: unknown): Define => {
    return (name, ...rest) => {
      const reason = PLACEMENT === undefined ? undefined : leftOut(name, PLACEMENT);
      if (reason === undefined) (define as Define)(name, ...rest);
      else skip(`${name} (not in this placement: ${reason})`, ...(rest.slice(0, 1) as never[]));
    };
  };
  const loose = original as unknown as Record<string, (...args: unknown[]) => unknown>;
  const wrapped = guarded(original) as unknown as Record<string, unknown>;
  for (const name of ["skipIf", "if", "todoIf"]) wrapped[name] = (...args: unknown[]) => guarded(loose[name]!(...args));
  wrapped["each"] = (rows: readonly unknown[]) => {
    const all: Define = (name, ...rest) => {
      const isKept = (row: unknown): boolean => leftOut(named(name, row), PLACEMENT!) === undefined;
      const kept = rows.filter(isKept);
      if (kept.length > 0) (loose["each"]!(kept) as Define)(name, ...rest);
      for (const row of rows) if (!isKept(row)) guarded(skip)(named(name, row), ...rest);
    };
    return all;
  };
  for (const name of ["skip", "todo"]) wrapped[name] = loose[name]!.bind(original);
  return wrapped as unknown as T;
}

export const test = PLACEMENT === undefined ? bunTest : placedDefine(bunTest);
export const describe = PLACEMENT === undefined ? bunDescribe : placedDefine(bunDescribe);
