import { describe, expect, test } from "bun:test";
import { buildBatch } from "../core/entry-batch.ts";
import { Accounts } from "../fs/accounts.ts";
import { OwnerMap, OwnerTeller } from "./owner-names.ts";

function accounts(passwd: string, group: string): Accounts {
  return new Accounts((file) => Buffer.from(file === "/etc/passwd" ? passwd : group, "latin1"));
}

const THERE = accounts("root:x:0:0\nanna:x:1000:100\nbj\xf6rn:x:1001:100\nonly-there:x:1002:100\n", "users:x:100:\n");
const HERE = accounts("root:x:0:0\nanna:x:501:20\nbj\xf6rn:x:502:20\nother:x:1000:20\n", "users:x:20:\n");

const listing = (...owners: readonly (readonly [uid: number, gid: number])[]) =>
  buildBatch([
    ...owners.map(([uid, gid], i) => ({ name: Buffer.from(`file${i}`), mode: 0o100644, uid, gid })),
    { name: Buffer.from("."), mode: 0o040755, uid: 0, gid: 0 },
  ]);

describe("owners between two machines", () => {
  test("are told once, looked up by name, and keep their number where the name is unknown", () => {
    const teller = new OwnerTeller(THERE);
    const map = new OwnerMap(HERE);
    const first = teller.newNames(listing([1000, 100], [1001, 100], [1002, 100], [7777, 7777]));
    map.learn("user", first.users);
    map.learn("group", first.groups);
    expect([0, 1000, 1001, 1002, 7777].map((id) => map.of("user", id))).toEqual([0, 501, 502, 1002, 7777]);
    expect([0, 100, 7777].map((id) => map.of("group", id))).toEqual([0, 20, 7777]);
    expect(teller.newNames(listing([1000, 100], [7777, 100]))).toEqual({ users: [], groups: [] });
  });

  test("a side without account files changes no number", () => {
    const none = new Accounts(() => {
      throw new Error("no such file");
    });
    const map = new OwnerMap(none);
    map.learn("user", new OwnerTeller(THERE).newNames(listing([1000, 100])).users);
    expect(map.of("user", 1000)).toBe(1000);
    expect(new OwnerTeller(none).newNames(listing([1000, 100]))).toEqual({ users: [], groups: [] });
  });
});
