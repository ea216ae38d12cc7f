/**
 * Three hosts in network namespaces of their own, behind one bridge:
 *
 *     caller 10.77.0.1      source 10.77.0.2      target 10.77.0.3      (and fd77::1, ::2, ::3)
 *
 * Each has its interface `eth0` and its own `/etc/hosts`. The machine's own network is not touched.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { isRoot } from "../../support/run.ts";

export interface Host {
  readonly address: string;
  readonly address6: string;
  /** Runs what follows on this host. */
  readonly prefix: readonly string[];
  /** Bytes that its interface received and sent so far. */
  traffic(): { readonly received: number; readonly sent: number };
  /** Link-local, without the zone. */
  linkLocal(): string;
  /** Replaces its names, or its nameserver. */
  names(hosts: Readonly<Record<string, string>>): void;
  nameserver(address: string): void;
  run(...command: string[]): string;
}

export interface Hosts extends Disposable {
  readonly caller: Host;
  readonly source: Host;
  readonly target: Host;
}

const ROLES = ["caller", "source", "target"] as const;

/** Why there are no such hosts here, or undefined where there are. */
export function hostsMissing(): string | undefined {
  if (!isRoot()) return "only root can make network namespaces";
  if (Bun.which("ip") === null) return "ip (iproute2) is not installed";
  const name = `fsy${process.pid}-probe`;
  const made = spawnSync("ip", ["netns", "add", name], { encoding: "utf8" });
  if (made.status !== 0) return `no network namespaces: ${made.stderr.trim()}`;
  const bridge = spawnSync("ip", ["-n", name, "link", "add", "br0", "type", "bridge"], { encoding: "utf8" });
  const veth = spawnSync("ip", ["-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1"], {
    encoding: "utf8",
  });
  spawnSync("ip", ["netns", "del", name]);
  if (bridge.status !== 0) return `no bridges: ${bridge.stderr.trim()}`;
  return veth.status === 0 ? undefined : `no veth: ${veth.stderr.trim()}`;
}

export function threeHosts(): Hosts {
  const id = `fsy${process.pid}`;
  const made: string[] = [];
  const dispose = (): void => {
    for (const name of made) {
      spawnSync("ip", ["netns", "del", name]);
      rmSync(`/etc/netns/${name}`, { recursive: true, force: true });
    }
  };
  const namespace = (name: string): string => {
    const full = `${id}-${name}`;
    call("ip", "netns", "add", full);
    made.push(full);
    mkdirSync(`/etc/netns/${full}`, { recursive: true });
    // Addresses of IPv6 can be used at once.
    const noDad = "for at in all default; do echo 0 >/proc/sys/net/ipv6/conf/$at/accept_dad; done; ip link set lo up";
    call("ip", "netns", "exec", full, "sh", "-c", noDad);
    return full;
  };
  try {
    const net = namespace("net");
    call("ip", "-n", net, "link", "add", "br0", "type", "bridge");
    call("ip", "-n", net, "link", "set", "br0", "up");
    const [caller, source, target] = ROLES.map((role, at) => {
      const name = namespace(role);
      const [address, address6] = [`10.77.0.${at + 1}`, `fd77::${at + 1}`];
      call("ip", "-n", net, "link", "add", role, "type", "veth", "peer", "name", "eth0", "netns", name);
      call("ip", "-n", net, "link", "set", role, "master", "br0", "up");
      call("ip", "-n", name, "addr", "add", `${address}/24`, "dev", "eth0");
      call("ip", "-n", name, "addr", "add", `${address6}/64`, "dev", "eth0", "nodad");
      call("ip", "-n", name, "link", "set", "eth0", "up");
      const host = hostOf(name, address, address6);
      host.names({});
      return host;
    });
    return { caller: caller!, source: source!, target: target!, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

function hostOf(name: string, address: string, address6: string): Host {
  return {
    address,
    address6,
    prefix: ["ip", "netns", "exec", name],
    traffic: () => {
      const [link] = JSON.parse(call("ip", "-n", name, "-s", "-j", "link", "show", "eth0")) as {
        stats64: { rx: { bytes: number }; tx: { bytes: number } };
      }[];
      return { received: link!.stats64.rx.bytes, sent: link!.stats64.tx.bytes };
    },
    linkLocal: () => /inet6 (fe80::[0-9a-f:]+)/.exec(call("ip", "-n", name, "-6", "addr", "show", "dev", "eth0"))![1]!,
    names: (hosts) => {
      const lines = Object.entries({ localhost: "127.0.0.1", ...hosts }).map(([host, at]) => `${at} ${host}\n`);
      writeFileSync(`/etc/netns/${name}/hosts`, lines.join(""));
      writeFileSync(`/etc/netns/${name}/resolv.conf`, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    },
    nameserver: (at) => writeFileSync(`/etc/netns/${name}/resolv.conf`, `nameserver ${at}\noptions timeout:2\n`),
    run: (...command) => call("ip", "netns", "exec", name, ...command),
  };
}

/** Runs it and gives what it printed. */
function call(...command: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command[0]!, command.slice(1), { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}
