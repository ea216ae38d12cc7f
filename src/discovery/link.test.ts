import { expect, test } from "bun:test";
import { isFrom, type Place } from "./link.ts";

const NETWORKS = ["10.0.0.5/24", "fe80::5/64", "2001:db8:0:1::5/64"];
const place: Place = { interfaceName: "eth0", family: 6, own: "fe80::5", addresses: [], networks: NETWORKS };

test.each([
  ["10.0.0.9", true],
  ["10.0.1.9", false],
  ["fe80::9%eth0", true],
  ["FE80::9%eth0", true],
  ["fe80::9%eth1", false],
  // Of which link it is nobody knows.
  ["fe80::9", false],
  ["2001:db8:0:1::9", true],
  ["2001:db8:0:2::9", false],
  ["2001:db8:0:2::9%eth0", false],
  ["nonsense", false],
])("a packet from %s is of the link: %p", (address, isOurs) => {
  expect(isFrom(place, address)).toBe(isOurs);
});
