/** A daemon without a place in it, as it stands on a command line: HOST, HOST:PORT, [IPV6]:PORT, or what fastsync URLs are. */
import { DEFAULT_PORT } from "../core/default-port.ts";
import { isIpv6 } from "../core/ip.ts";
import { bytesOf, printable } from "../core/paths.ts";
import { EndpointError, parseEndpoint } from "./parse.ts";

export interface HostAddress {
  /** Without brackets, with the zone. */
  readonly host: string;
  readonly port: number;
}

const FORMS = "A daemon is written HOST, HOST:PORT or [IPV6]:PORT";

export function parseHost(word: Uint8Array): HostAddress {
  const text = Buffer.from(word).toString("latin1");
  const shown = `'${printable(word)}'`;
  const url = /^fastsync:\/\/([^/?#]*)\/?$/i.exec(text)?.[1];
  const written = url ?? text.replace(/:$/, "");
  if (isIpv6(written)) throw new EndpointError(`${shown} has an IPv6 address without brackets`, `Write [${written}]`);
  const [, host, port] = /^(\[[^\]/]*\]|[^:/[\]]+)(?::(\d{1,6}))?$/.exec(written) ?? [];
  if (host === undefined) {
    const rest = /^([^/]*):\/.*$/.exec(text)?.[1];
    throw new EndpointError(
      `${shown} is no daemon`,
      rest ? `${FORMS}, without a module: ${printable(bytesOf(rest))}` : FORMS,
    );
  }
  // Which names and numbers are right is decided in one place.
  const place = new Uint8Array(Buffer.from(`${host}:${port ?? DEFAULT_PORT}:/m`, "latin1"));
  try {
    const endpoint = parseEndpoint(place, { exists: () => false, drives: false });
    if (endpoint.kind === "daemon") return { host: endpoint.host, port: endpoint.port };
  } catch (error) {
    if (!(error instanceof EndpointError)) throw error;
  }
  throw new EndpointError(`${shown} is no daemon`, FORMS);
}
