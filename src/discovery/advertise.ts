/**
 * Announces a daemon in the local network (RFC 6762, section 8), on every link that comes and goes.
 *
 *     probe       asks three times whether anybody has the name
 *                 somebody does: the next name, and again
 *                 somebody asks for it too, and is stronger: waits a second, and again
 *     announce    twice; from then on answers questions
 *     conflict    somebody comes who has the name too: the next name, from the probe on
 *     goodbye     everybody forgets it
 */
import type { DnsPacket } from "multicast-dns";
import { type Link, MDNS_PORT, openLink, type Place, places, type Sender } from "./link.ts";
import {
  type Announced,
  announcement,
  answerTo,
  conflicts,
  goodbye,
  losesTo,
  probe,
  type RecordSet,
  recordsOf,
} from "./records.ts";
import { nextName, type ServiceFacts } from "./service.ts";

export interface AdvertiserHooks {
  /** The name was free, or it became another one: it is announced under `name`. */
  readonly onNamed: (name: string) => void;
  readonly onProblem: (problem: string) => void;
}

/** What tests put in the place of the network and the clock. */
export interface AdvertiserWorld {
  readonly places: () => Place[];
  readonly openLink: (place: Place, onProblem: (problem: string) => void) => Promise<Link>;
  readonly pause: (ms: number) => Promise<void>;
  /** From 0 to 1. */
  readonly random: () => number;
}

const WORLD: AdvertiserWorld = {
  places,
  openLink,
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref()),
  random: Math.random,
};

const PROBES = 3;
const PROBE_MS = 250;
const LOST_MS = 1000;
const ANNOUNCE_AGAIN_MS = 1000;
/** Interfaces are looked at so often: they come up after a daemon has started, and get their addresses later still. */
const LOOK_MS = 5000;
const FIRST_LOOKS_MS = 500;
/** What several may answer is answered a little later, each at its own time (section 6). */
const SHARED_MS = { least: 20, most: 120 };
/** After so many other names something answers to all of them, and asking goes on slowly (section 8.1). */
const NAMES_AT_ONCE = 15;
const PATIENCE_MS = 5000;

interface OpenLink {
  readonly link: Link;
  readonly set: RecordSet;
}

export class Advertiser {
  private readonly links = new Map<string, OpenLink>();
  private readonly hooks: AdvertiserHooks;
  private readonly world: AdvertiserWorld;
  /** Of these addresses of an interface the daemon is reached by. */
  private readonly isReached: (address: string) => boolean;
  private announced: Announced;
  private state: "probing" | "announced" | "stopped" = "probing";
  /** What was heard since the last probe. */
  private heard: "nothing" | "conflict" | "stronger" = "nothing";
  private claiming: Promise<void> | undefined;
  private looking: Promise<void> = Promise.resolve();
  private told: string | undefined;
  private readonly troubles = new Set<string>();

  private constructor(
    announced: Announced,
    isReached: (address: string) => boolean,
    hooks: AdvertiserHooks,
    world: AdvertiserWorld,
  ) {
    this.announced = announced;
    this.isReached = isReached;
    this.hooks = hooks;
    this.world = world;
  }

  /** Returns at once; the name is known a moment later. Never fails: what is wrong with a link is told to `onProblem`. */
  static start(
    announced: Announced,
    isReached: (address: string) => boolean,
    hooks: AdvertiserHooks,
    world: AdvertiserWorld = WORLD,
  ): Advertiser {
    const advertiser = new Advertiser(announced, isReached, hooks, world);
    void advertiser.keepLooking();
    return advertiser;
  }

  get name(): string {
    return this.announced.name;
  }

  update(facts: ServiceFacts): void {
    if (JSON.stringify(facts) === JSON.stringify(this.announced.facts)) return;
    this.rewrite({ ...this.announced, facts });
    if (this.state === "announced") void this.announce();
  }

  async stop(): Promise<void> {
    const wasAnnounced = this.state === "announced";
    this.state = "stopped";
    await this.looking;
    if (wasAnnounced) this.tell(goodbye);
    await Promise.all([...this.links.values()].map(({ link }) => link.close()));
    this.links.clear();
  }

  // ---- links --------------------------------------------------------------------------------------------------

  private async keepLooking(): Promise<void> {
    while (!this.isStopped()) {
      this.looking = this.look().catch((error: unknown) => this.trouble(`mDNS: ${reasonOf(error)}`));
      await this.looking;
      await this.world.pause(this.links.size === 0 ? FIRST_LOOKS_MS : LOOK_MS);
    }
  }

  private async look(): Promise<void> {
    const wanted = new Map<string, Place>();
    for (const place of this.world.places()) {
      const addresses = place.addresses.filter(this.isReached);
      const key = [place.interfaceName, place.family, place.own, ...addresses].join(" ");
      if (addresses.length > 0) wanted.set(key, { ...place, addresses });
    }
    for (const [key, { link }] of this.links) {
      if (wanted.has(key)) continue;
      this.links.delete(key);
      await link.close();
    }
    const before = this.links.size;
    for (const [key, place] of wanted) if (!this.links.has(key) && !this.isStopped()) await this.open(key, place);
    // Whether a name is free is asked on each link.
    if (this.links.size > before) this.claiming ??= this.claim();
  }

  private async open(key: string, place: Place): Promise<void> {
    try {
      const link = await this.world.openLink(place, (problem) => this.trouble(problem));
      this.links.set(key, { link, set: recordsOf(this.announced, link.addresses) });
      link.onPacket((packet, from) => this.take(key, packet, from));
    } catch (error) {
      this.trouble(`mDNS on ${place.interfaceName} (IPv${place.family}): ${reasonOf(error)}`);
    }
  }

  /** Told once. */
  private trouble(problem: string): void {
    if (this.state === "stopped" || this.troubles.has(problem)) return;
    this.troubles.add(problem);
    this.hooks.onProblem(problem);
  }

  private rewrite(announced: Announced): void {
    this.announced = announced;
    for (const [key, { link }] of this.links) this.links.set(key, { link, set: recordsOf(announced, link.addresses) });
  }

  private tell(packet: (set: RecordSet) => DnsPacket): void {
    for (const { link, set } of this.links.values()) link.send(packet(set));
  }

  // ---- the name -----------------------------------------------------------------------------------------------

  private async claim(): Promise<void> {
    for (let names = 1; this.state !== "stopped"; ) {
      this.state = "probing";
      const found = await this.probe();
      if (found === "nothing") break;
      if (found === "stronger") {
        await this.world.pause(LOST_MS);
        continue;
      }
      this.rewrite({ ...this.announced, name: nextName(this.announced.name) });
      if (++names > NAMES_AT_ONCE) await this.world.pause(PATIENCE_MS);
    }
    if (this.isStopped()) return;
    this.state = "announced";
    this.claiming = undefined;
    if (this.told !== this.announced.name) this.hooks.onNamed(this.announced.name);
    this.told = this.announced.name;
    await this.announce();
  }

  private async probe(): Promise<"nothing" | "conflict" | "stronger"> {
    await this.world.pause(PROBE_MS * this.world.random());
    this.heard = "nothing";
    for (let at = 0; at < PROBES && this.heard === "nothing" && !this.isStopped(); at++) {
      this.tell(probe);
      await this.world.pause(PROBE_MS);
    }
    return this.heard;
  }

  private async announce(): Promise<void> {
    this.tell(announcement);
    await this.world.pause(ANNOUNCE_AGAIN_MS);
    if (this.state === "announced") this.tell(announcement);
  }

  private isStopped(): boolean {
    return this.state === "stopped";
  }

  // ---- what others say ----------------------------------------------------------------------------------------

  private take(key: string, packet: DnsPacket, from: Sender): void {
    const open = this.links.get(key);
    if (open === undefined || this.state === "stopped") return;
    if (packet.type === "response") {
      if (!conflicts(open.set, packet)) return;
      this.heard = "conflict";
      if (this.state === "announced") this.claiming ??= this.claim();
    } else if (this.state === "probing") {
      if (this.heard === "nothing" && losesTo(open.set, packet)) this.heard = "stronger";
    } else void this.answer(open, packet, from);
  }

  private async answer({ link, set }: OpenLink, query: DnsPacket, from: Sender): Promise<void> {
    const isLegacy = from.port !== MDNS_PORT;
    const answer = answerTo(set, query, isLegacy);
    if (answer === undefined) return;
    const isShared = answer.answers?.some(({ type }) => type === "PTR") === true;
    const { least, most } = SHARED_MS;
    if (isShared && !isLegacy) await this.world.pause(least + (most - least) * this.world.random());
    if (this.state === "announced") link.send(answer, isLegacy ? from : undefined);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
