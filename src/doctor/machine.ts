/** What can be said of the machine and of this process, without touching a place. */
import { readdirSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { Capability, hasCapability } from "../fs/privileges.ts";
import { type Finding, finding, type ReadText } from "./finding.ts";

export const readText: ReadText = (path) => {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
};

/** openat2(2) came with 5.6: a daemon confines followed links by it. copy_file_range(2) came with 4.5. */
export function kernelFinding(version: string = release()): Finding {
  const [major = 0, minor = 0] = version.split(/[.-]/).map(Number);
  const at = (otherMajor: number, otherMinor: number): boolean =>
    major > otherMajor || (major === otherMajor && minor >= otherMinor);
  if (at(5, 6)) return finding("kernel", "ok", `Linux ${version}`);
  const lacks = at(4, 5) ? "a daemon cannot follow links (openat2)" : "kernel copies (copy_file_range) and openat2";
  return finding("kernel", "warning", `Linux ${version} lacks: ${lacks}`, "5.6 or later has all that is used");
}

/** No file of today is older than this program. */
const EARLIEST_MS = Date.UTC(2026, 0, 1);
const LATEST_MS = Date.UTC(2100, 0, 1);

export function clockFinding(nowMs: number = Date.now()): Finding {
  const time = new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z");
  if (nowMs >= EARLIEST_MS && nowMs < LATEST_MS) return finding("clock", "ok", time);
  const why = "--update, --min-age and times of new files go by it";
  return finding(
    "clock",
    "problem",
    `it says ${time}, which cannot be: ${why}`,
    "set it, by NTP: timedatectl set-ntp true",
  );
}

export function userFinding(uid: number | undefined = process.geteuid?.()): Finding {
  if (uid === 0 && hasCapability(Capability.chown))
    return finding("user", "ok", "root: owners, groups and devices are kept");
  if (uid === 0)
    return finding(
      "user",
      "warning",
      "root without CAP_CHOWN: owners cannot be kept",
      "give the container that capability, or say --no-owner --no-group",
    );
  return finding("user", "ok", `user ${uid ?? "unknown"}: owners and devices can be kept by root only`);
}

/** Descriptors of one run: the directories that are open at a time, two for each worker, and streams. */
const FEW_FILES = 1024;

/** `limit` after it was raised as far as it goes; 0: unknown. */
export function openFilesFinding(limit: number): Finding {
  if (limit === 0) return finding("open_files", "ok", "the limit is not known");
  if (limit >= FEW_FILES) return finding("open_files", "ok", `${limit} may be open at a time`);
  return finding(
    "open_files",
    "warning",
    `only ${limit} may be open at a time: deep trees and many sessions wait or fail`,
    "ulimit -n 65536; for a service LimitNOFILE=65536",
  );
}

export interface Terminal {
  readonly isTerminal: boolean;
  readonly columns: number | undefined;
  readonly colour: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function terminalFinding({ isTerminal, columns, colour, env }: Terminal): Finding {
  if (!isTerminal) return finding("terminal", "ok", "none: no live line, no colours, nobody is asked");
  const term = env["TERM"] ?? "";
  if (term === "" || term === "dumb")
    return finding(
      "terminal",
      "warning",
      `TERM is ${term === "" ? "not set" : "dumb"}: progress comes as lines, without colours`,
      "set TERM to what it is, such as xterm-256color",
    );
  const locale = env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "";
  const facts = `${term}, ${columns ?? "unknown"} columns, ${colour ? "colours" : "no colours"}`;
  if (/^$|utf-?8/i.test(locale)) return finding("terminal", "ok", facts);
  return finding(
    "terminal",
    "warning",
    `${facts}; the locale ${locale} is not UTF-8, names with other letters look wrong`,
    "set LANG to one that ends in .UTF-8",
  );
}

const MIB = 1 << 20;
/** 12.5 MB are on their way at 1 Gbit/s and 100 ms; the kernel takes about half of a buffer for its own accounts. */
const AMPLE_BYTES = 16 * MIB;
const FEW_BYTES = 4 * MIB;
const BETTER = String(64 * MIB);

/** fastsync leaves buffers to the kernel, which sizes them up to these. */
export function tcpBuffersFinding(read: ReadText = readText): Finding {
  const most = (name: string): number | undefined => {
    const value = Number(read(`/proc/sys/net/ipv4/${name}`)?.split(/\s+/)[2]);
    return Number.isFinite(value) && value > 0 ? value : undefined;
  };
  const receive = most("tcp_rmem");
  const send = most("tcp_wmem");
  if (receive === undefined || send === undefined) return finding("tcp_buffers", "ok", "the limits are not known");
  const text = `the kernel grows them to ${mib(receive)} to receive and ${mib(send)} to send`;
  const smaller = Math.min(receive, send);
  if (smaller >= AMPLE_BYTES) return finding("tcp_buffers", "ok", text);
  const larger = [
    ...(receive < AMPLE_BYTES ? [`net.ipv4.tcp_rmem="4096 131072 ${BETTER}"`] : []),
    ...(send < AMPLE_BYTES ? [`net.ipv4.tcp_wmem="4096 16384 ${BETTER}"`] : []),
  ];
  return finding(
    "tcp_buffers",
    smaller >= FEW_BYTES ? "ok" : "warning",
    `${text}; one stream fills 1 Gbit/s up to a round trip of ${reachMs(smaller)} ms`,
    `for long fast lines: sysctl -w ${larger.join(" ")}`,
  );
}

/** The round trip up to which half of the buffer holds what 1 Gbit/s has under way. */
function reachMs(bytes: number): number {
  return Math.floor((bytes / 2 / 125_000_000) * 1000);
}

function mib(bytes: number): string {
  return bytes >= MIB ? `${Math.round((bytes / MIB) * 10) / 10} MiB` : `${Math.round(bytes / 1024)} KiB`;
}

export function congestionFinding(read: ReadText = readText): Finding {
  const current = read("/proc/sys/net/ipv4/tcp_congestion_control");
  if (current === undefined) return finding("congestion_control", "ok", "not known");
  if (current === "bbr") return finding("congestion_control", "ok", "bbr");
  const available = (read("/proc/sys/net/ipv4/tcp_available_congestion_control") ?? "").split(/\s+/);
  const way = available.includes("bbr")
    ? "sysctl -w net.ipv4.tcp_congestion_control=bbr"
    : "modprobe tcp_bbr && sysctl -w net.ipv4.tcp_congestion_control=bbr";
  return finding(
    "congestion_control",
    "ok",
    `${current}; bbr is faster on long lines that lose packets`,
    `where that is so: ${way}`,
  );
}

/** IPv6 asks for this much (RFC 8200, section 5). */
const SMALLEST_MTU = 1280;

export function mtuFinding(read: ReadText = readText, list: () => string[] = interfaces): Finding {
  const found = list().flatMap((name) => {
    const mtu = Number(read(`/sys/class/net/${name}/mtu`));
    const isUp = read(`/sys/class/net/${name}/operstate`) === "up";
    return name === "lo" || !isUp || !Number.isFinite(mtu) ? [] : [{ name, mtu }];
  });
  if (found.length === 0) return finding("mtu", "ok", "no interface but the loopback is up");
  const text = found.map(({ name, mtu }) => `${name} ${mtu}`).join(", ");
  const small = found.filter(({ mtu }) => mtu < SMALLEST_MTU);
  if (small.length === 0) return finding("mtu", "ok", text);
  return finding(
    "mtu",
    "warning",
    `${text}: small packets cost time`,
    `ip link set ${small[0]!.name} mtu 1500, where the line takes it`,
  );
}

function interfaces(): string[] {
  try {
    return readdirSync("/sys/class/net").sort();
  } catch {
    return [];
  }
}
