/**
 * The gate before this daemon dials another one because a caller asked for it. Without it any caller could make the
 * daemon reach what only the daemon can reach.
 *
 *     off                                      refused
 *     the host, as it was asked for, resolved once
 *     each address that came of it:
 *       not IPv4 or IPv6 unicast               refused, always
 *       loopback, link-local, metadata         only by an entry that lies within that range
 *       any other                              by a name, address or network of the list
 *     the first address that passes is dialled: the name is not looked up again
 */
import { contains, covers, formatIp, type IpAddress, type IpNetwork, parseIp, parseNetwork } from "../core/ip.ts";
import type { DelegationConfig } from "./config.ts";

export type DelegationRefusal =
  | "delegation_disabled"
  | "host_invalid"
  | "host_not_allowed"
  | "host_unresolvable"
  | "address_unspecified"
  | "address_multicast"
  | "address_loopback"
  | "address_link_local"
  | "address_metadata";

export type DelegationDecision =
  /** `address` is what has to be dialled, an IP address; a zone that was asked for is kept. */
  | { readonly kind: "allowed"; readonly address: string }
  | { readonly kind: "refused"; readonly reason: DelegationRefusal; readonly message: string };

/** All addresses of a name, in the order of preference. Rejects or is empty when there are none. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

interface SpecialRange {
  readonly reason: DelegationRefusal;
  readonly words: string;
  readonly networks: readonly IpNetwork[];
  /** An entry of the list can open it. */
  readonly canBeNamed: boolean;
}

/** Order matters: the metadata address is link-local too. */
const SPECIAL: readonly SpecialRange[] = [
  // Clouds hand out credentials there, to whoever can connect: AWS, Azure, GCP and most others; AWS over IPv6; Alibaba;
  // Azure's agent.
  special("address_metadata", "a metadata service of a cloud", true, [
    "169.254.169.254",
    "169.254.170.2",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
  ]),
  special("address_loopback", "the daemon's own machine", true, ["127.0.0.0/8", "::1"]),
  special("address_link_local", "a link-local address", true, ["169.254.0.0/16", "fe80::/10"]),
  // Connecting to 0.0.0.0 reaches the own machine.
  special("address_unspecified", "no address of a host", false, ["0.0.0.0/8", "::"]),
  special("address_multicast", "an address of many hosts", false, ["224.0.0.0/4", "240.0.0.0/4", "ff00::/8"]),
];

/** Addresses of IPv6 that stand for one of IPv4: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible (RFC 4291). */
const EMBEDDING: readonly { readonly network: IpNetwork; readonly shift: bigint }[] = [
  { network: known("64:ff9b::/96"), shift: 0n },
  { network: known("2002::/16"), shift: 80n },
  { network: known("::/96"), shift: 0n },
];

export async function decideDelegation(
  config: DelegationConfig,
  host: string,
  resolve: ResolveHost,
): Promise<DelegationDecision> {
  if (!config.enabled) return refused("delegation_disabled", "this daemon does not dial others (delegation is off)");
  const name = host.toLowerCase().replace(/\.$/, "");
  const literal = parseIp(host);
  if (literal === undefined && !/^[a-z0-9_.-]{1,253}$/.test(name)) {
    return refused("host_invalid", "that is no host name or IP address");
  }
  const isNamed = literal === undefined && config.hosts.includes(name);
  // Looking a name up is an act already: only where the list could let its addresses pass.
  if (literal === undefined && !isNamed && config.networks.length === 0) return notAllowed();
  const addresses = literal === undefined ? await addressesOf(name, resolve) : [host];
  if (addresses.length === 0) return refused("host_unresolvable", "the name has no address");
  let first: DelegationDecision | undefined;
  for (const address of addresses) {
    const decision = decideAddress(config, address, isNamed, name);
    if (decision.kind === "allowed") return decision;
    first ??= decision;
  }
  return first!;
}

async function addressesOf(name: string, resolve: ResolveHost): Promise<readonly string[]> {
  try {
    return await resolve(name);
  } catch {
    return [];
  }
}

function decideAddress(config: DelegationConfig, text: string, isNamed: boolean, name: string): DelegationDecision {
  const address = parseIp(text);
  if (address === undefined) return refused("host_unresolvable", "the name has no address");
  const range = specialRange(address);
  if (range !== undefined) {
    // Whoever lists localhost by name means just that.
    const isOwnName = isNamed && name === "localhost" && range.reason === "address_loopback";
    const isListed = isOwnName || config.networks.some((entry) => opens(entry, range, address));
    if (range.canBeNamed && isListed) return { kind: "allowed", address: text };
    return refused(range.reason, `it is ${range.words}${range.canBeNamed ? ", which is not in the allow list" : ""}`);
  }
  if (isNamed || config.networks.some((entry) => contains(entry, address))) return { kind: "allowed", address: text };
  return notAllowed();
}

/** 0.0.0.0/0 holds loopback too, but does not name it. */
function opens(entry: IpNetwork, range: SpecialRange, address: IpAddress): boolean {
  return contains(entry, address) && range.networks.some((network) => covers(network, entry));
}

function specialRange(address: IpAddress): SpecialRange | undefined {
  const own = SPECIAL.find(({ networks }) => networks.some((network) => contains(network, address)));
  if (own !== undefined || address.family === 4) return own;
  const embedding = EMBEDDING.find(({ network }) => contains(network, address));
  if (embedding === undefined) return undefined;
  return specialRange({ family: 4, bits: (address.bits >> embedding.shift) & 0xffffffffn });
}

function refused(reason: DelegationRefusal, message: string): DelegationDecision {
  return { kind: "refused", reason, message };
}

function notAllowed(): DelegationDecision {
  return refused("host_not_allowed", "the host is not in this daemon's list (delegation.allow)");
}

function special(
  reason: DelegationRefusal,
  words: string,
  canBeNamed: boolean,
  networks: readonly string[],
): SpecialRange {
  return { reason, words, canBeNamed, networks: networks.map(known) };
}

function known(text: string): IpNetwork {
  const network = parseNetwork(text);
  if (typeof network === "string") throw new Error(`${text} ${network}`);
  return network;
}

/** Asks the system, as the rest of the machine would: /etc/hosts first, then DNS. */
export async function resolveHost(host: string): Promise<readonly string[]> {
  const { lookup } = await import("node:dns/promises");
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** For messages and logs: which ranges the list opens although they are special. */
export function openedRanges({ enabled, networks, hosts }: DelegationConfig): string[] {
  if (!enabled) return [];
  const entries = networks.filter((entry) => SPECIAL.some((range) => range.networks.some((own) => covers(own, entry))));
  const named = hosts.includes("localhost") ? ["localhost"] : [];
  return [...named, ...entries.map((entry) => `${formatIp(entry)}/${entry.prefix}`)];
}
