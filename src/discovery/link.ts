/**
 * mDNS on each link of this machine: a socket an interface and family, on port 5353, beside others that use it. What comes
 * in is handed on with the link it came by; what is sent leaves by one link.
 */
import { createSocket, type Socket } from "node:dgram";
import { networkInterfaces } from "node:os";
import type { DnsPacket, MulticastDns } from "multicast-dns";
import { type IpAddress, parseIp } from "../core/ip.ts";

export interface Sender {
  readonly address: string;
  readonly port: number;
}

/** One family on one interface. */
export interface Link {
  readonly interfaceName: string;
  readonly family: 4 | 6;
  /** Addresses of the interface, both families; link-local ones of IPv6 without zone. */
  readonly addresses: readonly string[];
  send(packet: DnsPacket, to?: Sender): void;
  onPacket(take: (packet: DnsPacket, from: Sender) => void): void;
  close(): Promise<void>;
}

export const MDNS_PORT = 5353;
const LEAVE_MS = 500;
const GROUPS = { 4: "224.0.0.251", 6: "ff02::fb" } as const;

export interface Place {
  readonly interfaceName: string;
  readonly family: 4 | 6;
  /** Of the family: what the interface is chosen by. */
  readonly own: string;
  readonly addresses: readonly string[];
  /** Who is on this link, `10.0.0.5/24`, both families; of link-local addresses of IPv6 the zone tells. */
  readonly networks: readonly string[];
}

/** Where there are links now: every interface but loopback, once for each family that it has. */
export function places(): Place[] {
  return Object.entries(networkInterfaces()).flatMap(([interfaceName, infos = []]) => {
    const outward = infos.filter(({ internal }) => !internal);
    const addresses = outward.map(({ address }) => address.replace(/%.*$/, ""));
    return ([4, 6] as const).flatMap((family): Place[] => {
      const own = outward.find((info) => info.family === `IPv${family}` && (family === 4 || isLinkLocal(info.address)));
      if (own === undefined) return [];
      const networks = outward.flatMap((info) => info.cidr ?? []);
      return [{ interfaceName, family, own: own.address.replace(/%.*$/, ""), addresses, networks }];
    });
  });
}

/** Rejects as bind(2) and setsockopt(2) do. */
export async function openLink(place: Place, onProblem: (problem: string) => void): Promise<Link> {
  const { default: multicastDns } = await import("multicast-dns");
  const { interfaceName, family, addresses } = place;
  const socket: Socket = createSocket({
    type: `udp${family}`,
    reuseAddr: true,
    ...(family === 6 ? { ipv6Only: true } : {}),
  });
  const dns = await new Promise<MulticastDns>((resolve, reject) => {
    const made = multicastDns({
      socket,
      type: `udp${family}`,
      ip: GROUPS[family],
      port: MDNS_PORT,
      // By its own address packets to the group would not arrive.
      bind: family === 4 ? "0.0.0.0" : "::",
      interface: family === 4 ? place.own : `::%${interfaceName}`,
    });
    made.once("error", reject);
    made.once("ready", () => {
      made.off("error", reject);
      resolve(made);
    });
  });
  const tell = (error: Error): void => onProblem(`mDNS on ${interfaceName}: ${error.message}`);
  dns.on("error", tell);
  const sending = new Set<Promise<void>>();
  return {
    interfaceName,
    family,
    addresses,
    send: (packet, to) => {
      const sent = new Promise<void>((resolve) => {
        dns.send(packet, to ?? null, (error) => {
          if (error) tell(error);
          resolve();
        });
      });
      sending.add(sent);
      void sent.then(() => sending.delete(sent));
    },
    onPacket: (take) => {
      dns.on("packet", (packet, from) => {
        // Each socket hears every link that any of them has joined.
        if (isFrom(place, from.address)) take(packet, from);
      });
    },
    close: async () => {
      // What was said last still has to leave; a system that never says that it did holds nobody up.
      await within(LEAVE_MS, Promise.all(sending));
      await within(LEAVE_MS, new Promise<void>((resolve) => dns.destroy(() => resolve())));
    },
  };
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}

/** Whether a packet's sender is on this link: what was routed here, or came by another link, says nothing. */
export function isFrom({ interfaceName, networks }: Place, address: string): boolean {
  const zone = /%(.*)$/.exec(address)?.[1];
  if (isLinkLocal(address)) return zone === interfaceName;
  const ip = parseIp(address);
  return ip !== undefined && networks.some((text) => isIn(text, ip));
}

function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address);
}

/** As the system writes it, `10.0.0.5/24`: the host's bits stand. */
function isIn(cidr: string, ip: IpAddress): boolean {
  const [address = "", prefix = ""] = cidr.split("/");
  const own = parseIp(address.replace(/%.*$/, ""));
  if (own === undefined) return false;
  const rest = (own.family === 4 ? 32n : 128n) - BigInt(prefix);
  return own.family === ip.family && own.bits >> rest === ip.bits >> rest;
}
