/** What daemons announce in a local network (DNS-SD over mDNS: RFC 6762, RFC 6763), and how it reads. */

/** With the domain; instances stand in front of it. */
export const SERVICE_TYPE = "_fastsync._tcp.local";
export const META_QUERY = "_services._dns-sd._udp.local";

/** The key=value pairs of a daemon's TXT record. */
export interface ServiceFacts {
  /** Of fastsync. */
  readonly version: string;
  /** Of the session protocol. */
  readonly protocol: string;
  /** How many modules it names to those who ask. */
  readonly modules: string;
  /** What a caller has to prove: `none`. */
  readonly auth: string;
}

/** A daemon as it was found. Names and values come from the network. */
export interface FoundDaemon {
  /** Its instance name. */
  readonly name: string;
  readonly port: number;
  /** Of either family, link-local ones of IPv6 with their zone. */
  readonly addresses: readonly string[];
  readonly facts: Partial<ServiceFacts>;
}

const KEYS = ["version", "protocol", "modules", "auth"] as const;

/** RFC 6763, section 6.7: the first pair says which edition of the others it is. */
export function textOf(facts: ServiceFacts): string[] {
  return ["txtvers=1", ...KEYS.map((key) => `${key}=${facts[key]}`)];
}

export function factsOf(strings: readonly Uint8Array[]): Partial<ServiceFacts> {
  const facts: Partial<Record<(typeof KEYS)[number], string>> = {};
  for (const bytes of strings) {
    const text = Buffer.from(bytes).toString();
    const key = KEYS.find((known) => text.toLowerCase().startsWith(`${known}=`));
    // Of a key that is there twice the first counts.
    if (key !== undefined) facts[key] ??= text.slice(key.length + 1);
  }
  return facts;
}

/** `NAME`, then `NAME (2)` and so on, each within the 63 bytes of a label. */
export function nextName(name: string): string {
  const [, stem = name, number = "1"] = /^(.*) \((\d{1,6})\)$/s.exec(name) ?? [];
  const suffix = ` (${Number(number) + 1})`;
  let cut = stem;
  while (Buffer.byteLength(cut + suffix) > 63) cut = [...cut].slice(0, -1).join("");
  return cut + suffix;
}

/** One name in DNS is another only if more than the case of ASCII letters differs. */
export function isSameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** The instance of a full name; undefined: of another service. */
export function instanceOf(name: string): string | undefined {
  const suffix = `.${SERVICE_TYPE}`;
  return name.length > suffix.length && isSameName(name.slice(-suffix.length), suffix)
    ? name.slice(0, -suffix.length)
    : undefined;
}
