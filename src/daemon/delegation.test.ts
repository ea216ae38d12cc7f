import { describe, expect, test } from "bun:test";
import { type IpNetwork, parseNetwork } from "../core/ip.ts";
import { decideDelegation, openedRanges } from "./delegation.ts";

const NAMES: Readonly<Record<string, readonly string[]>> = {
  nas: ["192.168.1.20"],
  "nas.example.org": ["2001:db8::20", "203.0.113.20"],
  localhost: ["::1", "127.0.0.1"],
  evil: ["127.0.0.1"],
  mixed: ["169.254.169.254", "192.168.1.21"],
  link: ["fe80::5%eth0"],
  "2130706433": ["127.0.0.1"],
  broken: ["what"],
};

function config(allow: string, enabled = true) {
  const entries = allow.split(" ").filter((entry) => entry !== "");
  const networks = entries.map(parseNetwork).filter((entry): entry is IpNetwork => typeof entry !== "string");
  return { enabled, networks, hosts: entries.filter((entry) => typeof parseNetwork(entry) === "string") };
}

async function decide(allow: string, host: string): Promise<string> {
  const decision = await decideDelegation(config(allow), host, async (name) => {
    const addresses = NAMES[name];
    if (addresses === undefined) throw new Error("ENOTFOUND");
    return addresses;
  });
  return decision.kind === "allowed" ? decision.address : decision.reason;
}

test.each([
  // by name
  ["nas", "nas", "192.168.1.20"],
  ["nas", "NAS.", "192.168.1.20"],
  ["nas", "192.168.1.20", "host_not_allowed"],
  ["nas", "nas2", "host_not_allowed"],
  ["nas none", "none", "host_unresolvable"],
  ["nas.example.org", "nas.example.org", "2001:db8::20"],
  ["broken", "broken", "host_unresolvable"],
  // by address
  ["192.168.1.20", "192.168.1.20", "192.168.1.20"],
  ["192.168.1.0/24", "nas", "192.168.1.20"],
  ["192.168.1.0/24", "::ffff:192.168.1.20", "::ffff:192.168.1.20"],
  ["192.168.2.0/24", "nas", "host_not_allowed"],
  ["203.0.113.0/24", "nas.example.org", "203.0.113.20"],
  ["0.0.0.0/0", "8.8.8.8", "8.8.8.8"],
  ["0.0.0.0/0", "2001:db8::1", "host_not_allowed"],
  ["::/0", "2001:db8::1", "2001:db8::1"],
  // the own machine
  ["0.0.0.0/0 ::/0", "127.0.0.1", "address_loopback"],
  ["0.0.0.0/0 ::/0", "localhost", "address_loopback"],
  ["0.0.0.0/0 ::/0", "2130706433", "address_loopback"],
  ["0.0.0.0/0 ::/0", "::ffff:127.0.0.1", "address_loopback"],
  ["0.0.0.0/0 ::/0", "64:ff9b::7f00:1", "address_loopback"],
  ["0.0.0.0/0 ::/0", "2002:7f00:1::", "address_loopback"],
  ["0.0.0.0/0 ::/0", "::7f00:1", "address_loopback"],
  ["evil", "evil", "address_loopback"],
  ["126.0.0.0/7", "127.0.0.1", "address_loopback"],
  ["127.0.0.0/8", "127.1.2.3", "127.1.2.3"],
  ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
  ["127.0.0.1", "127.0.0.2", "address_loopback"],
  ["127.0.0.1", "localhost", "127.0.0.1"],
  ["localhost", "localhost", "::1"],
  ["localhost", "evil", "host_not_allowed"],
  ["localhost 10.0.0.0/8", "evil", "address_loopback"],
  ["::1", "::1", "::1"],
  // link-local and metadata
  ["0.0.0.0/0", "169.254.1.1", "address_link_local"],
  ["169.254.0.0/16", "169.254.1.1", "169.254.1.1"],
  ["169.254.0.0/16", "169.254.169.254", "address_metadata"],
  ["169.254.169.254", "169.254.169.254", "169.254.169.254"],
  ["fd00::/8", "fd00:ec2::254", "address_metadata"],
  ["0.0.0.0/0", "100.100.100.200", "address_metadata"],
  ["link", "link", "address_link_local"],
  ["fe80::/10", "link", "fe80::5%eth0"],
  ["fe80::/10", "fe80::1%eth0", "fe80::1%eth0"],
  ["0.0.0.0/0", "mixed", "192.168.1.21"],
  ["mixed", "mixed", "192.168.1.21"],
  // never
  ["0.0.0.0/0", "0.0.0.0", "address_unspecified"],
  ["0.0.0.0", "0.0.0.0", "address_unspecified"],
  ["::/0", "::", "address_unspecified"],
  ["224.0.0.0/4", "224.0.0.1", "address_multicast"],
  ["0.0.0.0/0", "255.255.255.255", "address_multicast"],
  ["::/0", "ff02::1", "address_multicast"],
  // no host at all
  ["0.0.0.0/0", "", "host_invalid"],
  ["0.0.0.0/0", "a b", "host_invalid"],
  ["fe80::/10", "fe80::1%../x", "host_invalid"],
  ["0.0.0.0/0", "a/b", "host_invalid"],
  ["0.0.0.0/0", "a\0b", "host_invalid"],
  ["0.0.0.0/0", "a\nb", "host_invalid"],
])("S38 allow [%s], %s: %s", async (allow, host, outcome) => {
  expect(await decide(allow, host)).toBe(outcome);
});

describe("S38 looking names up", () => {
  test("is not done where it is off, or the name could not pass", async () => {
    const never = async (): Promise<string[]> => {
      throw new Error("looked up");
    };
    expect(await decideDelegation(config("nas", false), "nas", never)).toMatchObject({ reason: "delegation_disabled" });
    expect(await decideDelegation(config("nas"), "other", never)).toMatchObject({ reason: "host_not_allowed" });
  });
  test("is done once, and what came of it is dialled", async () => {
    let asked = 0;
    const rebinding = async (): Promise<string[]> => [asked++ === 0 ? "203.0.113.1" : "127.0.0.1"];
    const decision = await decideDelegation(config("nas"), "nas", rebinding);
    expect([decision, asked]).toEqual([{ kind: "allowed", address: "203.0.113.1" }, 1]);
  });
});

test("which special ranges are open can be told", () => {
  expect(openedRanges(config("nas 0.0.0.0/0 127.0.0.1 localhost fe80::/10"))).toEqual([
    "localhost",
    "127.0.0.1/32",
    "fe80::/10",
  ]);
  expect(openedRanges(config("127.0.0.1", false))).toEqual([]);
});
