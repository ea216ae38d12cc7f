/**
 * IP addresses and networks as numbers. An IPv4 address that came in over IPv6 (`::ffff:a.b.c.d`) is that IPv4 address:
 * a rule for 10.0.0.0/8 must not be passed by writing the peer differently.
 */

export interface IpAddress {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

export interface IpNetwork {
  readonly family: 4 | 6;
  /** The bits after the prefix are zero. */
  readonly bits: bigint;
  readonly prefix: number;
}

const MAPPED = 0xffffn;
const MAPPED_PREFIX = 96;

export function widthOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** An address; undefined when `text` is none. A zone (`fe80::1%eth0`) names an interface, not another address. */
export function parseIp(text: string): IpAddress | undefined {
  const four = parseFour(text);
  if (four !== undefined) return { family: 4, bits: four };
  const six = parseSix(withoutZone(text));
  if (six === undefined) return undefined;
  return six >> 32n === MAPPED ? { family: 4, bits: six & 0xffffffffn } : { family: 6, bits: six };
}

/** Whether `text` is an IPv6 address as it is written, mapped IPv4 ones among them; with a zone or without. */
export function isIpv6(text: string): boolean {
  return text.includes(":") && parseIp(text) !== undefined;
}

/** Why `text` is no network, for people; or the network. An address alone is a network of one. */
export function parseNetwork(text: string): IpNetwork | string {
  const slash = text.indexOf("/");
  const host = slash < 0 ? text : text.slice(0, slash);
  if (host.includes("%")) return "has a zone, which belongs to one machine's interfaces";
  const address = parseIp(host);
  if (address === undefined) return "is not an IP address or CIDR";
  const written = host.includes(":") ? 128 : 32;
  const length = slash < 0 ? String(written) : text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > written) return `needs a prefix from 0 to ${written}`;
  const isMapped = written === 128 && address.family === 4;
  const prefix = Number(length) - (isMapped ? MAPPED_PREFIX : 0);
  if (prefix < 0) return `covers more than the IPv4 addresses in it; write them as a.b.c.d/n`;
  const bits = networkBits(address, prefix);
  if (bits !== address.bits) {
    const network = formatIp({ family: address.family, bits });
    return `has bits after its prefix; write ${network}/${prefix} for the network or ${formatIp(address)} for the address`;
  }
  return { family: address.family, bits, prefix };
}

const LOOPBACK: readonly IpNetwork[] = [
  { family: 4, bits: 127n << 24n, prefix: 8 },
  { family: 6, bits: 1n, prefix: 128 },
];

/** An address that only this machine reaches; also in its IPv4-mapped form. False for what is no address. */
export function isLoopback(text: string): boolean {
  const address = parseIp(text);
  return address !== undefined && LOOPBACK.some((network) => contains(network, address));
}

export function contains(network: IpNetwork, address: IpAddress): boolean {
  return network.family === address.family && networkBits(address, network.prefix) === network.bits;
}

/** True when every address of `inner` is in `outer`. */
export function covers(outer: IpNetwork, inner: IpNetwork): boolean {
  return inner.prefix >= outer.prefix && contains(outer, inner);
}

/** IPv6 in the form of RFC 5952: lower case, the longest run of zeros left out. */
export function formatIp({ family, bits }: IpAddress): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => ((bits >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  const runs = [...groups.join(":").matchAll(/(?<![0-9a-f])0(:0)+(?![0-9a-f])/g)];
  const longest = runs.reduce((best, [run]) => (run.length > best.length ? run : best), "");
  if (longest === "") return groups.join(":");
  const at = runs.find(([run]) => run === longest)!.index;
  const text = groups.join(":");
  return `${text.slice(0, at).replace(/:$/, "")}::${text.slice(at + longest.length).replace(/^:/, "")}`;
}

function networkBits({ family, bits }: IpAddress, prefix: number): bigint {
  const rest = BigInt(widthOf(family) - prefix);
  return (bits >> rest) << rest;
}

function withoutZone(text: string): string {
  return text.replace(/%[A-Za-z0-9._~-]+$/, "");
}

/** Four decimal numbers without leading zeros, which some libraries take for octal. */
function parseFour(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

function parseSix(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half) => groupsOf(half));
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const given = head.length + (tail?.length ?? 0);
  if (halves.length === 1 ? given !== 8 : given > 7) return undefined;
  // The dotted form stands for the last two groups, so nothing may follow it.
  if (halves.length === 2 && halves[0]!.includes(".")) return undefined;
  const all = [...head, ...Array<number>(8 - given).fill(0), ...(tail ?? [])];
  return all.reduce((bits, group) => (bits << 16n) | BigInt(group), 0n);
}

function groupsOf(half: string): number[] | undefined {
  if (half === "") return [];
  const groups: number[] = [];
  const parts = half.split(":");
  for (const [index, part] of parts.entries()) {
    const four = index === parts.length - 1 && part.includes(".") ? parseFour(part) : undefined;
    if (four !== undefined) groups.push(Number(four >> 16n), Number(four & 0xffffn));
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}
