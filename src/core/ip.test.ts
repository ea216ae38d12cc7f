import { describe, expect, test } from "bun:test";
import { isIP } from "node:net";
import fc from "fast-check";
import { contains, covers, formatIp, type IpNetwork, parseIp, parseNetwork } from "./ip.ts";

describe("addresses", () => {
  test.each([
    ["0.0.0.0", "0.0.0.0"],
    ["192.168.1.20", "192.168.1.20"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["fe80::1%eth0", "fe80::1"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["::FFFF:0a01:0203", "10.1.2.3"],
    ["64:ff9b::127.0.0.1", "64:ff9b::7f00:1"],
    ["1:0:0:0:10:0:0:0", "1::10:0:0:0"],
  ])("%s is %s", (text, canonical) => {
    expect(formatIp(parseIp(text)!)).toBe(canonical);
  });
  test.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "0x7f.0.0.1",
    "127.1",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "12345::",
    "g::",
    ":1",
    "1:",
    "1.2.3.4::",
    "fe80::1%",
    "%eth0",
    "fe80::1%../x",
    "fe80::1%eth0%1",
    "localhost",
    "1.2.3.4%eth0",
  ])("%p is none", (text) => {
    expect(parseIp(text)).toBeUndefined();
  });
  test("agrees with node about what is one", () => {
    const piece = fc.constantFrom("0", "1", "ff", "::", ":", ".", "127", "1.2.3.4", "abcd", "10000", "00");
    const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(text, (candidate) => {
        expect([candidate, parseIp(candidate) !== undefined]).toEqual([candidate, isIP(candidate) !== 0]);
      }),
      { numRuns: 5000 },
    );
  });
  test("what is printed is read back", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 128n) - 1n), (bits) => {
        const address = { family: 6 as const, bits: bits | (1n << 127n) };
        expect(parseIp(formatIp(address))).toEqual(address);
      }),
    );
  });
});

describe("networks", () => {
  const network = (text: string): IpNetwork => {
    const parsed = parseNetwork(text);
    if (typeof parsed === "string") throw new Error(`${text} ${parsed}`);
    return parsed;
  };
  test.each([
    ["10.0.0.0/8", "10.255.0.1", true],
    ["10.0.0.0/8", "11.0.0.1", false],
    ["10.0.0.0/8", "::ffff:10.0.0.1", true],
    ["::ffff:10.0.0.0/104", "10.9.9.9", true],
    ["192.168.1.20", "192.168.1.20", true],
    ["192.168.1.20", "192.168.1.21", false],
    ["0.0.0.0/0", "8.8.8.8", true],
    ["0.0.0.0/0", "::1", false],
    ["::/0", "2001:db8::1", true],
    ["::/0", "8.8.8.8", false],
    ["fd00::/8", "fdff::1", true],
    ["fd00::/8", "fe00::1", false],
    ["fe80::/10", "fe80::1%eth0", true],
    ["2001:db8::5", "2001:db8::5", true],
  ])("%s and %s: %p", (text, address, inside) => {
    expect(contains(network(text), parseIp(address)!)).toBe(inside);
  });
  test.each([
    ["10.0.0.5/8", "has bits after its prefix; write 10.0.0.0/8 for the network or 10.0.0.5 for the address"],
    ["10.0.0.0/33", "needs a prefix from 0 to 32"],
    ["10.0.0.0/", "needs a prefix from 0 to 32"],
    ["10.0.0.0/08", "needs a prefix from 0 to 32"],
    ["::/129", "needs a prefix from 0 to 128"],
    ["fe80::1%eth0", "has a zone, which belongs to one machine's interfaces"],
    ["::ffff:0:0/90", "covers more than the IPv4 addresses in it; write them as a.b.c.d/n"],
    ["nas", "is not an IP address or CIDR"],
  ])("%s %s", (text, problem) => {
    expect(parseNetwork(text)).toBe(problem);
  });
  test("one network inside another", () => {
    expect(covers(network("127.0.0.0/8"), network("127.0.0.1"))).toBe(true);
    expect(covers(network("127.0.0.0/8"), network("0.0.0.0/0"))).toBe(false);
    expect(covers(network("0.0.0.0/0"), network("::1"))).toBe(false);
  });
});
