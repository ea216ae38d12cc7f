/** Whose a job is: addresses in all their forms, users of this machine, the administrator. */
import { expect, test } from "bun:test";
import { type Caller, mayKnow, ownerOf, rightsOf } from "./ownership.ts";

const caller = (peer: string, user?: number): Caller => ({ peer, user: Promise.resolve(user) });

test.each([
  ["10.0.0.5", undefined, "address 10.0.0.5"],
  ["::ffff:10.0.0.5", undefined, "address 10.0.0.5"],
  ["2001:DB8:0::5", undefined, "address 2001:db8::5"],
  ["fe80::1%eth0", undefined, "address fe80::1%eth0"],
  ["127.0.0.1", 1000, "user 1000"],
  ["127.9.9.9", 1000, "user 1000"],
  ["::1", 1000, "user 1000"],
  ["::ffff:127.0.0.1", 1000, "user 1000"],
  // Somebody of this machine, and nobody knows who: that proves nothing.
  ["127.0.0.1", undefined, undefined],
  ["", undefined, undefined],
] as const)("%s, user %p", async (peer, user, owner) => {
  expect(await ownerOf(caller(peer, user))).toBe(owner as string);
});

const own = process.geteuid!();
test.each([
  ["127.0.0.1", 0, true, true],
  ["::1", own, true, true],
  ["127.0.0.1", 0, false, false],
  ["127.0.0.1", 54_321, true, false],
  ["127.0.0.1", undefined, true, false],
  // A user is never told of another machine; nor would it count.
  ["10.0.0.5", 0, true, false],
] as const)("%s, user %p, with admin = %p: %p", async (peer, user, admin, isAdmin) => {
  expect((await rightsOf(caller(peer, user), admin)).isAdmin).toBe(isAdmin);
});

test("nobody's job is for the administrator only", () => {
  expect(mayKnow({ owner: undefined, isAdmin: false }, { owner: undefined })).toBe(false);
  expect(mayKnow({ owner: "user 1", isAdmin: false }, { owner: undefined })).toBe(false);
  expect(mayKnow({ owner: "user 1", isAdmin: false }, { owner: "user 2" })).toBe(false);
  expect(mayKnow({ owner: "user 1", isAdmin: false }, { owner: "user 1" })).toBe(true);
  expect(mayKnow({ owner: undefined, isAdmin: true }, { owner: undefined })).toBe(true);
});
