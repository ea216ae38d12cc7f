/** The records of one daemon, and which of them answer a question. */
import type { DnsPacket, DnsQuestion, DnsRecord } from "multicast-dns";
import { isSameName, META_QUERY, SERVICE_TYPE, type ServiceFacts, textOf } from "./service.ts";

/** Seconds: RFC 6762, section 10. Of a host's addresses and its services less, since they come and go with it. */
const LONG_TTL = 4500;
const HOST_TTL = 120;
/** What a resolver that is none of ours may keep (section 6.7). */
const LEGACY_TTL = 10;
const AUTHORITATIVE = 1 << 10;

export interface Announced {
  /** The instance. */
  readonly name: string;
  /** Whose addresses they are; a name that nobody else has. */
  readonly host: string;
  readonly port: number;
  readonly facts: ServiceFacts;
}

export interface RecordSet {
  /** Shared with other instances. */
  readonly pointer: DnsRecord;
  readonly meta: DnsRecord;
  readonly service: Extract<DnsRecord, { type: "SRV" }>;
  readonly text: DnsRecord;
  readonly addresses: readonly DnsRecord[];
}

export function recordsOf({ name, host, port, facts }: Announced, addresses: readonly string[]): RecordSet {
  const full = `${name}.${SERVICE_TYPE}`;
  return {
    pointer: { name: SERVICE_TYPE, type: "PTR", ttl: LONG_TTL, class: "IN", data: full },
    meta: { name: META_QUERY, type: "PTR", ttl: LONG_TTL, class: "IN", data: SERVICE_TYPE },
    service: {
      ...{ name: full, type: "SRV", ttl: HOST_TTL, class: "IN", flush: true },
      data: { priority: 0, weight: 0, port, target: host },
    },
    text: { name: full, type: "TXT", ttl: LONG_TTL, class: "IN", flush: true, data: textOf(facts) },
    addresses: addresses.map((data) => ({
      ...{ name: host, type: data.includes(":") ? "AAAA" : "A", ttl: HOST_TTL, class: "IN", flush: true },
      data,
    })),
  };
}

export function announcement(set: RecordSet): DnsPacket {
  const { pointer, meta, service, text, addresses } = set;
  return response([pointer, service, text, ...addresses, meta]);
}

/** Everybody forgets it. What it says of the service type may still be true of others. */
export function goodbye({ pointer, service, text, addresses }: RecordSet): DnsPacket {
  return response([pointer, service, text, ...addresses].map((record) => ({ ...record, ttl: 0 })));
}

export function probe({ service }: RecordSet): DnsPacket {
  return {
    type: "query",
    questions: [{ name: service.name, type: "ANY", class: "IN" }],
    authorities: [{ ...service, flush: false }],
  };
}

/** undefined: nothing of it is ours, or who asks knows it. `isLegacy`: it asks by plain DNS, and is answered so. */
export function answerTo(set: RecordSet, query: DnsPacket, isLegacy: boolean): DnsPacket | undefined {
  const { questions = [], answers: known = [] } = query;
  const answers = new Set<DnsRecord>();
  for (const question of questions) for (const record of matching(set, question)) answers.add(record);
  // Section 7.1: of what is shared, what the asker has for at least half of its time.
  const isKnown = ({ name, type, ttl = 0, data }: DnsRecord): boolean =>
    type === "PTR" &&
    known.some(
      (record) =>
        record.type === "PTR" &&
        isSameName(record.name, name) &&
        isSameName(record.data, String(data)) &&
        (record.ttl ?? 0) >= ttl / 2,
    );
  for (const record of answers) if (isKnown(record)) answers.delete(record);
  if (answers.size === 0) return undefined;
  const additionals = answers.has(set.pointer)
    ? [set.service, set.text, ...set.addresses]
    : answers.has(set.service)
      ? set.addresses
      : [];
  const more = additionals.filter((record) => !answers.has(record));
  if (!isLegacy) return { ...response([...answers]), additionals: more };
  const brief = (record: DnsRecord): DnsRecord => ({
    ...record,
    flush: false,
    ttl: Math.min(LEGACY_TTL, record.ttl ?? LEGACY_TTL),
  });
  return {
    ...response([...answers].map(brief)),
    ...(query.id === undefined ? {} : { id: query.id }),
    questions,
    additionals: more.map(brief),
  };
}

function matching({ pointer, meta, service, text, addresses }: RecordSet, { name, type }: DnsQuestion): DnsRecord[] {
  const fits = (record: DnsRecord): boolean =>
    isSameName(record.name, name) && (type === "ANY" || type === record.type);
  return [pointer, meta, service, text, ...addresses].filter(fits);
}

function response(answers: readonly DnsRecord[]): DnsPacket {
  return { type: "response", flags: AUTHORITATIVE, answers };
}

/** Says that our name is somebody else's: another service of that name. */
export function conflicts(set: RecordSet, packet: DnsPacket): boolean {
  const { answers = [], additionals = [] } = packet;
  return [...answers, ...additionals].some(
    (record) =>
      record.type === "SRV" &&
      (record.ttl ?? 0) > 0 &&
      isSameName(record.name, set.service.name) &&
      !isOurs(set, record),
  );
}

/** Somebody else asks for the same name at this very moment; who has the later record wins it (section 8.2). */
export function losesTo(set: RecordSet, packet: DnsPacket): boolean {
  const theirs = (packet.authorities ?? []).find(
    (record) => record.type === "SRV" && isSameName(record.name, set.service.name),
  );
  if (theirs === undefined || theirs.type !== "SRV" || isOurs(set, theirs)) return false;
  return Buffer.compare(rdata(theirs), rdata(set.service)) > 0;
}

type Service = Extract<DnsRecord, { type: "SRV" }>;

function isOurs({ service }: RecordSet, { data }: Service): boolean {
  return data.port === service.data.port && isSameName(data.target, service.data.target);
}

/** As it stands in a packet, uncompressed. */
function rdata({ data: { priority = 0, weight = 0, port, target } }: Service): Buffer {
  const numbers = Buffer.alloc(6);
  for (const [at, value] of [priority, weight, port].entries()) numbers.writeUInt16BE(value, 2 * at);
  const labels = target.split(".").map((label) => {
    const bytes = Buffer.from(label);
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  return Buffer.concat([numbers, ...labels, Buffer.from([0])]);
}
