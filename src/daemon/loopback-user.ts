/**
 * Which user of this machine is at the other end of a connection: the kernel lists its sockets with their owners
 * (proc_net_tcp(5)). Only for connections over loopback, whose other end is in that list.
 */
import { readFile } from "node:fs/promises";
import { endianness } from "node:os";
import { formatIp, parseIp } from "../core/ip.ts";

export interface Connection {
  readonly peerAddress: string;
  readonly peerPort: number;
  readonly ownAddress: string;
  readonly ownPort: number;
}

/** Through `self`, which a unit with ProcSubset=pid leaves. */
const TABLES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
const ESTABLISHED = "01";
/** The list is no snapshot: while others connect and leave, what stands in it may be passed over. */
const LOOKS = 3;

/** undefined: the list cannot be read, or the connection is not in it any more. */
export async function userOfPeer(connection: Connection): Promise<number | undefined> {
  for (let look = 0; look < LOOKS; look++) {
    for (const path of TABLES) {
      const user = userIn(await readFile(path, "latin1").catch(() => ""), connection);
      if (user !== undefined) return user;
    }
  }
  return undefined;
}

/** One line a socket: `sl local remote state queues timer retransmits uid timeout inode ...` */
export function userIn(table: string, { peerAddress, peerPort, ownAddress, ownPort }: Connection): number | undefined {
  const [peer, own] = [plain(peerAddress), plain(ownAddress)];
  if (peer === undefined || own === undefined) return undefined;
  // Most lines are of other ports: they are not taken apart.
  const [from, to] = [portText(peerPort), portText(ownPort)];
  for (const line of table.split("\n")) {
    if (!line.includes(from) || !line.includes(to)) continue;
    const [, local, remote, state, , , , uid, , inode] = line.trim().split(/\s+/);
    // A socket that nobody holds any more is listed as root's.
    if (state !== ESTABLISHED || inode === undefined || inode === "0") continue;
    if (endOf(local!) === `${peer} ${peerPort}` && endOf(remote!) === `${own} ${ownPort}`) return Number(uid);
  }
  return undefined;
}

function portText(port: number): string {
  return `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
}

function plain(address: string): string | undefined {
  const ip = parseIp(address);
  return ip === undefined ? undefined : formatIp(ip);
}

/** `0100007F:2350`: 32-bit words in the machine's order of bytes, and the port. */
function endOf(text: string): string | undefined {
  const [address = "", port = ""] = text.split(":");
  const words = address.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => {
    const four = word.match(/../g)!.map((digits) => Number.parseInt(digits, 16));
    return endianness() === "LE" ? four.reverse() : four;
  });
  const written =
    bytes.length === 4
      ? bytes.join(".")
      : words.length === 4
        ? Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16)).join(":")
        : "";
  const ip = plain(written);
  return ip === undefined ? undefined : `${ip} ${Number.parseInt(port, 16)}`;
}
