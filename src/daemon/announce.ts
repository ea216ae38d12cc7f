/** Makes the daemon known in the local network, with `mdns = true`: nothing else loads what it takes. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import packageJson from "../../package.json";
import { formatIp, isLoopback, parseIp } from "../core/ip.ts";
import type { ServiceFacts } from "../discovery/service.ts";
import { PROTOCOL_VERSION } from "../session/messages.ts";
import type { DaemonConfig } from "./config.ts";
import type { DaemonLog } from "./log.ts";

export interface Announcer {
  /** The configuration was read again. */
  update(config: DaemonConfig): void;
  stop(): Promise<void>;
}

/** undefined: it is not to be announced, or nobody could reach it. */
export async function announce(config: DaemonConfig, port: number, log: DaemonLog): Promise<Announcer | undefined> {
  if (!config.mdns.enabled) return undefined;
  const outward = config.bind.filter((address) => !isLoopback(address));
  if (outward.length === 0) {
    log.warning(
      "mdns is on, but the daemon listens on loopback only, where nobody else finds it: nothing is announced",
    );
    return undefined;
  }
  const { Advertiser } = await import("../discovery/advertise.ts");
  const announced = {
    name: config.mdns.name ?? firstLabel(hostname()),
    // Not the machine's own name: that is for its own resolver to announce.
    host: `fastsync-${randomBytes(6).toString("hex")}.local`,
    port,
    facts: factsOf(config),
  };
  const advertiser = Advertiser.start(announced, reachedBy(outward), {
    onNamed: (name) => log.event("info", "announced", { name, port }),
    onProblem: (problem) => log.warning(problem),
  });
  return {
    update: (fresh) => advertiser.update(factsOf(fresh)),
    stop: () => advertiser.stop(),
  };
}

function factsOf({ modules }: DaemonConfig): ServiceFacts {
  return {
    version: packageJson.version,
    protocol: String(PROTOCOL_VERSION),
    modules: String(modules.filter(({ list }) => list).length),
    auth: "none",
  };
}

/** A dot would end the label. */
function firstLabel(name: string): string {
  return name.split(".", 1)[0] || "fastsync";
}

/** Whether the daemon listens on an address of this machine. */
function reachedBy(bind: readonly string[]): (address: string) => boolean {
  const plain = (address: string): string => {
    const ip = parseIp(address);
    return ip === undefined ? address : formatIp(ip);
  };
  const listed = new Set(bind.map(plain));
  return (address) => {
    const isSix = address.includes(":");
    return listed.has(isSix ? "::" : "0.0.0.0") || listed.has(plain(address));
  };
}
