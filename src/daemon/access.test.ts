import { expect, test } from "bun:test";
import { type IpNetwork, parseNetwork } from "../core/ip.ts";
import { decideAccess } from "./access.ts";

const networks = (text: string): IpNetwork[] =>
  text
    .split(" ")
    .filter((word) => word !== "")
    .map((word) => parseNetwork(word) as IpNetwork);

test.each([
  // allow, deny, peer, decision; "-" is no list
  ["-", "", "203.0.113.9", "allowed"],
  ["-", "", "not an address", "allowed"],
  ["-", "10.0.0.0/8", "10.1.2.3", "denied_by_list"],
  ["-", "10.0.0.0/8", "11.1.2.3", "allowed"],
  ["-", "10.0.0.0/8", "::ffff:10.1.2.3", "denied_by_list"],
  ["-", "10.0.0.0/8", "::FFFF:a01:203", "denied_by_list"],
  ["-", "fe80::/10", "fe80::1%eth0", "denied_by_list"],
  ["-", "0.0.0.0/0 ::/0", "2001:db8::1", "denied_by_list"],
  ["-", "10.0.0.0/8", "", "unknown_address"],
  ["", "", "127.0.0.1", "not_in_allow_list"],
  ["10.0.0.0/8", "", "10.1.2.3", "allowed"],
  ["10.0.0.0/8", "", "::ffff:10.1.2.3", "allowed"],
  ["10.0.0.0/8", "", "192.168.1.1", "not_in_allow_list"],
  ["10.0.0.0/8", "", "::1", "not_in_allow_list"],
  ["10.0.0.0/8", "10.1.2.3", "10.1.2.3", "denied_by_list"],
  ["10.0.0.0/8", "10.1.2.3", "10.1.2.4", "allowed"],
  ["10.1.2.3", "10.0.0.0/8", "10.1.2.3", "denied_by_list"],
  ["192.168.1.20 2001:db8::/32", "", "2001:db8:ffff::1", "allowed"],
  ["::ffff:10.0.0.0/104", "", "10.200.0.1", "allowed"],
  ["0.0.0.0/0", "", "::1", "not_in_allow_list"],
])("B67 allow [%s], deny [%s], peer %s: %s", (allow, deny, peer, decision) => {
  const rules = { allow: allow === "-" ? undefined : networks(allow), deny: networks(deny) };
  const decided = decideAccess(rules, peer);
  expect(decided.kind === "allowed" ? "allowed" : decided.reason).toBe(decision);
});
