/** Advertisers on a link that is made up, in a time that is made up: names, conflicts, answers, goodbyes. */
import { expect, test } from "bun:test";
import type { DnsPacket, DnsRecord } from "multicast-dns";
import { Advertiser, type AdvertiserWorld } from "./advertise.ts";
import { Heard } from "./browse.ts";
import { type Link, MDNS_PORT, type Place, type Sender } from "./link.ts";
import { SERVICE_TYPE, type ServiceFacts } from "./service.ts";

const FACTS: ServiceFacts = { version: "0.1.0", protocol: "1", modules: "2", auth: "none" };
const FULL = `nas.${SERVICE_TYPE}`;

/** Time goes on when nobody has anything to do. */
class MadeUpTime {
  nowMs = 0;
  private waiting: { atMs: number; go: () => void }[] = [];

  pause = (ms: number): Promise<void> =>
    new Promise((go) => {
      this.waiting.push({ atMs: this.nowMs + ms, go });
    });

  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (;;) {
      await settle();
      const next = this.waiting.sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.waiting.shift();
      this.nowMs = next.atMs;
      next.go();
    }
    this.nowMs = endMs;
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

/** One wire: whoever is on it hears everybody, himself too. */
class Wire {
  readonly takers = new Set<(packet: DnsPacket, from: Sender) => void>();
  readonly packets: { readonly packet: DnsPacket; readonly to: Sender | undefined }[] = [];

  say(packet: DnsPacket, address: string, to?: Sender): void {
    this.packets.push({ packet, to });
    if (to === undefined) for (const take of this.takers) take(packet, { address, port: MDNS_PORT });
  }
  answers(): DnsRecord[] {
    return this.packets.flatMap(({ packet }) => (packet.type === "response" ? [...(packet.answers ?? [])] : []));
  }
}

function hostOn(wire: Wire, time: MadeUpTime, address: string, current: Place[] = [placeOf(address)]) {
  const takers: ((packet: DnsPacket, from: Sender) => void)[] = [];
  const openLink = async (place: Place): Promise<Link> => ({
    ...{ interfaceName: place.interfaceName, family: place.family, addresses: place.addresses },
    send: (packet, to) => wire.say(packet, address, to),
    onPacket: (take) => {
      wire.takers.add(take);
      takers.push(take);
    },
    close: async () => {
      for (const take of takers) wire.takers.delete(take);
    },
  });
  const world: AdvertiserWorld = { places: () => current, openLink, pause: time.pause, random: () => 0.5 };
  const names: string[] = [];
  const start = (name = "nas", port = 9040): Advertiser =>
    Advertiser.start(
      { name, host: `fastsync-${address}.local`, port, facts: FACTS },
      (one) => one !== "192.0.2.1",
      { onNamed: (named) => names.push(named), onProblem: (problem) => names.push(problem) },
      world,
    );
  return { start, names };
}

function placeOf(address: string): Place {
  const addresses = [address, "fe80::1", "192.0.2.1"];
  return { interfaceName: "eth0", family: 4, own: address, addresses, networks: ["10.0.0.1/24"] };
}

function scene() {
  return { wire: new Wire(), time: new MadeUpTime() };
}

test("asks three times, announces twice, and is found with its addresses", async () => {
  const { wire, time } = scene();
  const { start, names } = hostOn(wire, time, "10.0.0.1");
  const advertiser = start();
  await time.pass(600);
  expect(wire.answers()).toEqual([]);
  await time.pass(400);
  expect(names).toEqual(["nas"]);
  expect(wire.packets.filter(({ packet }) => packet.type === "query")).toHaveLength(3);
  await time.pass(5000);
  const pointers = wire.answers().filter((record) => record.type === "PTR" && record.name === SERVICE_TYPE);
  expect(pointers).toHaveLength(2);
  const heard = new Heard();
  for (const { packet } of wire.packets) heard.take(packet, "eth0");
  expect(heard.daemons()).toEqual([{ name: "nas", port: 9040, addresses: ["10.0.0.1", "fe80::1%eth0"], facts: FACTS }]);
  await advertiser.stop();
});

test("answers who asks, unless he knows; and plain DNS at its own address", async () => {
  const { wire, time } = scene();
  const advertiser = hostOn(wire, time, "10.0.0.1").start();
  await time.pass(5000);
  wire.packets.length = 0;
  const question = { name: SERVICE_TYPE.toUpperCase(), type: "PTR", class: "IN" };
  wire.say({ type: "query", questions: [question] }, "10.0.0.9");
  await time.pass(1000);
  expect(wire.packets).toHaveLength(2);
  expect(wire.packets[1]!.packet.additionals?.map(({ type }) => type)).toEqual(["SRV", "TXT", "A", "AAAA"]);
  const known = [{ name: SERVICE_TYPE, type: "PTR", ttl: 4000, data: FULL }] as const;
  wire.say({ type: "query", questions: [question], answers: known }, "10.0.0.9");
  wire.say({ type: "query", questions: [{ name: "_http._tcp.local", type: "PTR" }] }, "10.0.0.9");
  await time.pass(1000);
  expect(wire.packets).toHaveLength(4);
  const legacy = { address: "10.0.0.9", port: 40_000 };
  for (const take of [...wire.takers]) take({ id: 7, type: "query", questions: [question] }, legacy);
  await time.pass(1000);
  const { packet, to } = wire.packets.at(-1)!;
  expect(to).toEqual(legacy);
  expect(packet).toMatchObject({ id: 7, questions: [question] });
  expect([...packet.answers!, ...packet.additionals!].filter(({ ttl, flush }) => ttl! > 10 || flush)).toEqual([]);
  await advertiser.stop();
});

test("a name that somebody has becomes the next one, at the start", async () => {
  const { wire, time } = scene();
  const first = hostOn(wire, time, "10.0.0.1");
  const second = hostOn(wire, time, "10.0.0.2");
  const one = first.start();
  await time.pass(3000);
  const two = second.start("NAS");
  await time.pass(5000);
  expect([first.names, second.names]).toEqual([["nas"], ["NAS (2)"]]);
  const third = hostOn(wire, time, "10.0.0.3");
  const three = third.start();
  await time.pass(5000);
  expect(third.names).toEqual(["nas (3)"]);
  for (const one_ of [one, two, three]) await one_.stop();
});

test("of two that ask at the same moment one keeps the name", async () => {
  const { wire, time } = scene();
  const hosts = ["10.0.0.1", "10.0.0.2"].map((address) => hostOn(wire, time, address));
  const both = hosts.map(({ start }) => start());
  await time.pass(10_000);
  expect(hosts.flatMap(({ names }) => names).sort()).toEqual(["nas", "nas (2)"]);
  for (const one of both) await one.stop();
});

test("a conflict that comes later: the name changes, and stays announced", async () => {
  const { wire, time } = scene();
  const { start, names } = hostOn(wire, time, "10.0.0.1");
  const advertiser = start();
  await time.pass(3000);
  const service = { name: FULL, type: "SRV", ttl: 120, class: "IN" } as const;
  const foreign: DnsRecord = { ...service, data: { port: 1, target: "other.local" } };
  // Somebody who lost it says so over and over; the other defends it until he hears.
  wire.say({ type: "response", answers: [foreign] }, "10.0.0.9");
  const take = (packet: DnsPacket): void => {
    if (packet.type === "query" && packet.questions?.some(({ name }) => name === FULL))
      queueMicrotask(() => wire.say({ type: "response", answers: [foreign] }, "10.0.0.9"));
  };
  wire.takers.add(take);
  await time.pass(10_000);
  expect(names).toEqual(["nas", "nas (2)"]);
  await advertiser.stop();
});

test("links that come later are announced on as well, when there was none at first, too", async () => {
  const { wire, time } = scene();
  const current: Place[] = [];
  const { start, names } = hostOn(wire, time, "10.0.0.1", current);
  const advertiser = start();
  await time.pass(3000);
  expect([names, wire.packets]).toEqual([[], []]);
  current.push(placeOf("10.0.0.1"));
  await time.pass(4000);
  expect(names).toEqual(["nas"]);
  const before = wire.packets.length;
  current.push({ ...placeOf("10.0.0.1"), interfaceName: "eth1" });
  await time.pass(10_000);
  expect(names).toEqual(["nas"]);
  expect(wire.packets.slice(before).filter(({ packet }) => packet.type === "query")).toHaveLength(6);
  expect(wire.packets.slice(before).filter(({ packet }) => packet.type === "response")).toHaveLength(4);
  current.length = 0;
  await time.pass(10_000);
  expect(wire.takers.size).toBe(0);
  await advertiser.stop();
});

test("what the configuration says anew is announced anew", async () => {
  const { wire, time } = scene();
  const advertiser = hostOn(wire, time, "10.0.0.1").start();
  await time.pass(3000);
  wire.packets.length = 0;
  advertiser.update(FACTS);
  await time.pass(3000);
  expect(wire.packets).toEqual([]);
  advertiser.update({ ...FACTS, modules: "5" });
  await time.pass(3000);
  const texts = wire.answers().filter(({ type }) => type === "TXT");
  expect(texts.map(({ data, flush }) => [data, flush])).toEqual(
    Array(2).fill([["txtvers=1", "version=0.1.0", "protocol=1", "modules=5", "auth=none"], true]),
  );
  await advertiser.stop();
});

test("says goodbye, once it was announced", async () => {
  const { wire, time } = scene();
  const early = hostOn(wire, time, "10.0.0.1").start();
  await time.pass(100);
  await early.stop();
  expect(wire.answers()).toEqual([]);
  const late = hostOn(wire, time, "10.0.0.2").start();
  await time.pass(3000);
  wire.packets.length = 0;
  await late.stop();
  expect(wire.answers().map(({ type, ttl }) => [type, ttl])).toEqual([
    ["PTR", 0],
    ["SRV", 0],
    ["TXT", 0],
    ["A", 0],
    ["AAAA", 0],
  ]);
  const heard = new Heard();
  heard.take({ answers: [{ name: SERVICE_TYPE, type: "PTR", ttl: 9, data: FULL }] }, "eth0");
  for (const { packet } of wire.packets) heard.take(packet, "eth0");
  expect(heard.questions()).toHaveLength(1);
});

test("interfaces that cannot be looked at are told once, and looked at again", async () => {
  const { wire, time } = scene();
  const place = placeOf("10.0.0.1");
  let isBroken = true;
  const current = new Proxy([place], {
    get: (target, key) => {
      if (isBroken) throw new Error("too many open files");
      return Reflect.get(target, key);
    },
  });
  const { start, names } = hostOn(wire, time, "10.0.0.1", current);
  const advertiser = start();
  await time.pass(5000);
  expect(names).toEqual(["mDNS: too many open files"]);
  isBroken = false;
  await time.pass(5000);
  expect(names).toEqual(["mDNS: too many open files", "nas"]);
  isBroken = true;
  await time.pass(6000);
  await advertiser.stop();
});
