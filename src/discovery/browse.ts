/** Finds the daemons that announce themselves on the links of this machine. */
import type { DnsPacket, DnsRecord } from "multicast-dns";
import { LIMITS } from "../core/limits.ts";
import { type Link, openLink, places } from "./link.ts";
import { type FoundDaemon, factsOf, instanceOf, isSameName, SERVICE_TYPE } from "./service.ts";

export interface Browsed {
  /** By name. */
  readonly daemons: readonly FoundDaemon[];
  /** Links that were asked on. */
  readonly interfaces: readonly string[];
  /** Links that could not be used. */
  readonly problems: readonly string[];
}

/** When it is asked again, for what was lost on its way; milliseconds from the start. */
const ASK_AT_MS = [0, 300, 1000, 3000, 9000];

/** They have to fit into one packet. */
const QUESTIONS_MOST = 20;

/** What was heard, by names in lower case. */
export class Heard {
  private readonly instances = new Map<string, string>();
  private readonly services = new Map<string, { port: number; target: string }>();
  private readonly texts = new Map<string, readonly Uint8Array[]>();
  private readonly hosts = new Map<string, Map<string, string>>();

  /** `interfaceName`: where it came in, for addresses that mean something there only. */
  take({ answers = [], additionals = [] }: DnsPacket, interfaceName: string): void {
    for (const record of [...answers, ...additionals]) this.note(record, interfaceName);
  }

  private note(record: DnsRecord, interfaceName: string): void {
    const key = record.name.toLowerCase();
    const isGone = record.ttl === 0;
    switch (record.type) {
      case "PTR": {
        if (!isSameName(record.name, SERVICE_TYPE)) return;
        const instance = instanceOf(record.data);
        if (instance === undefined) return;
        if (isGone) this.instances.delete(record.data.toLowerCase());
        else if (this.instances.size < LIMITS.foundDaemons) this.instances.set(record.data.toLowerCase(), instance);
        return;
      }
      case "SRV":
        if (instanceOf(record.name) !== undefined && this.services.size < LIMITS.foundDaemons)
          this.services.set(key, { port: record.data.port, target: record.data.target.toLowerCase() });
        return;
      case "TXT":
        if (instanceOf(record.name) !== undefined && this.texts.size < LIMITS.foundDaemons)
          this.texts.set(
            key,
            record.data.map((item) => (typeof item === "string" ? Buffer.from(item) : item)),
          );
        return;
      case "A":
      case "AAAA": {
        const known = this.hosts.get(key) ?? new Map<string, string>();
        if (this.hosts.size >= LIMITS.foundDaemons * 2 || known.size >= LIMITS.foundAddresses) return;
        const isOfLink = record.type === "AAAA" && /^fe[89ab]/i.test(record.data);
        const address = isOfLink ? `${record.data}%${interfaceName}` : record.data;
        known.set(address, address);
        this.hosts.set(key, known);
        return;
      }
    }
  }

  /** What is still to be asked. */
  questions(): { readonly name: string; readonly type: string; readonly class: string }[] {
    const open = [{ name: SERVICE_TYPE, type: "PTR", class: "IN" }];
    for (const [key, instance] of this.instances) {
      const name = `${instance}.${SERVICE_TYPE}`;
      const service = this.services.get(key);
      if (service === undefined) open.push({ name, type: "SRV", class: "IN" });
      else if (!this.hosts.has(service.target))
        for (const type of ["A", "AAAA"]) open.push({ name: service.target, type, class: "IN" });
      if (!this.texts.has(key)) open.push({ name, type: "TXT", class: "IN" });
    }
    return open;
  }

  /** Those that can be reached. */
  daemons(): FoundDaemon[] {
    return [...this.instances]
      .flatMap(([key, name]): FoundDaemon[] => {
        const service = this.services.get(key);
        const addresses = [...(this.hosts.get(service?.target ?? "")?.values() ?? [])];
        if (service === undefined || addresses.length === 0) return [];
        const facts = factsOf(this.texts.get(key) ?? []);
        return [{ name, port: service.port, addresses: addresses.sort(byFamily), facts }];
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** IPv4 first, link-local addresses last. */
function byFamily(a: string, b: string): number {
  const rank = (address: string): number => (address.includes("%") ? 2 : address.includes(":") ? 1 : 0);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}

/** Asks on every link, and listens for `timeoutMs`. */
export async function browse(timeoutMs: number, signal: AbortSignal): Promise<Browsed> {
  const heard = new Heard();
  const problems: string[] = [];
  const links: Link[] = [];
  for (const place of places()) {
    try {
      const link = await openLink(place, (problem) => problems.push(problem));
      link.onPacket((packet) => {
        if (packet.type === "response") heard.take(packet, link.interfaceName);
      });
      links.push(link);
    } catch (error) {
      problems.push(`${place.interfaceName} (IPv${place.family}): ${error instanceof Error ? error.message : error}`);
    }
  }
  try {
    const startedMs = performance.now();
    for (const atMs of [...ASK_AT_MS.filter((ms) => ms < timeoutMs), timeoutMs]) {
      await pause(startedMs + atMs - performance.now(), signal);
      if (signal.aborted || atMs === timeoutMs) break;
      const packet: DnsPacket = { type: "query", questions: heard.questions().slice(0, QUESTIONS_MOST) };
      for (const link of links) link.send(packet);
    }
  } finally {
    await Promise.all(links.map((link) => link.close()));
  }
  const interfaces = [...new Set(links.map(({ interfaceName }) => interfaceName))];
  return { daemons: heard.daemons(), interfaces, problems };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
