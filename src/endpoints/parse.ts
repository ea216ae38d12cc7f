/**
 * What a word of the command line names: a local path, or a place behind a daemon. Bytes in, bytes out.
 *
 *     no colon before the first slash, or it exists here       local
 *     fastsync://HOST[:PORT]/MODULE/PATH                       daemon; percent-escapes are decoded
 *     another known scheme                                     refused
 *     USER@HOST:...                                            refused
 *     HOST[:PORT]:/MODULE/PATH                                 daemon
 *     HOST[:PORT]://PATH                                       daemon, its root
 *     any other                                                refused, with the form that is right
 *
 * HOST is a name, an IPv4 address, or an IPv6 address in brackets, with a zone where it needs one.
 */
import { DEFAULT_PORT } from "../core/default-port.ts";
import { isIpv6 } from "../core/ip.ts";
import { bytesOf, printable, utf8Of } from "../core/paths.ts";

export interface LocalEndpoint {
  readonly kind: "local";
  readonly path: Uint8Array;
}

export interface DaemonEndpoint {
  readonly kind: "daemon";
  /** Without brackets, with the zone. */
  readonly host: string;
  readonly port: number;
  /** undefined: the daemon's root. */
  readonly module: string | undefined;
  /** Relative to the module, without empty, `.` and `..` components; ends with a slash where the word did. */
  readonly path: Uint8Array;
  /**
   * The word ended as words for "what is inside" do (`/`, `/.`). The path shows it too, unless it is empty:
   * `host:/photos` and `host:/photos/` differ here alone.
   */
  readonly contents: boolean;
}

export type Endpoint = LocalEndpoint | DaemonEndpoint;

/** A word that names no place; `way` is what to write instead. */
export class EndpointError extends Error {
  override readonly name = "EndpointError";
  readonly way: string;

  constructor(message: string, way: string) {
    super(message);
    this.way = way;
  }
}

export interface Surroundings {
  /** Whether something has this name here, without following a link at its end. */
  readonly exists: (path: Uint8Array) => boolean;
  /** Windows: one letter and a colon are a drive. */
  readonly drives: boolean;
}

const SLASH = 0x2f;
const COLON = 0x3a;
const FORMS = "Places behind a daemon are written HOST:/MODULE/PATH or HOST:PORT:/MODULE/PATH";
/** Schemes that people write. Any other word before `://` is a host, whose root is meant. */
const SCHEMES: Readonly<Record<string, string>> = {
  sftp: "does not speak SFTP",
  ssh: "does not speak SSH",
  scp: "does not speak SSH",
  s3: "does not speak S3",
  gs: "does not speak to object stores",
  http: "does not speak HTTP",
  https: "does not speak HTTP",
  ftp: "does not speak FTP",
  ftps: "does not speak FTP",
  rsync: "does not speak rsync's protocol",
  smb: "does not speak SMB",
  nfs: "does not speak NFS",
  webdav: "does not speak WebDAV",
};

export function parseEndpoint(word: Uint8Array, { exists, drives }: Surroundings): Endpoint {
  if (word.includes(0)) throw new EndpointError(`${quoted(word)} has a NUL byte, which no path can have`, FORMS);
  if (!hasColonFirst(word)) return { kind: "local", path: word };
  // Byte for byte, so that patterns and positions hold for any bytes.
  const text = Buffer.from(word).toString("latin1");
  if (/^[A-Za-z]:\\/.test(text) || (drives && /^[A-Za-z]:/.test(text)) || exists(word)) {
    return { kind: "local", path: word };
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme === "fastsync") return ofUrl(word, text.slice("fastsync://".length));
  if (scheme === "file") {
    throw new EndpointError(`${quoted(word)} is a URL of a local file`, "Write the path itself");
  }
  const unspoken = scheme !== undefined && Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined;
  if (unspoken !== undefined) {
    throw new EndpointError(`${quoted(word)} cannot be reached: this build ${unspoken}`, `${FORMS}. ${local(word)}`);
  }
  return ofShortForm(word, text);
}

export interface HostAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * A daemon as a whole: `HOST:`, `HOST:PORT:`, each also with a slash behind it, or `fastsync://HOST[:PORT]`. `bare`: also
 * without the last colon. Undefined: the word is something else.
 */
export function parseHost(word: Uint8Array, { bare }: { readonly bare: boolean }): HostAddress | undefined {
  const text = Buffer.from(word).toString("latin1");
  const url = /^fastsync:\/\/(\[[^\]/]*\]|[^:[\]/@]+)(?::(\d+))?\/?$/i.exec(text);
  const short = /^(\[[^\]/]*\]|[^:[\]/@]+)(?::(\d+))?(:\/?)$/.exec(text);
  const alone = bare ? /^(\[[^\]/]*\]|[^:[\]/@]+)(?::(\d+))?$/.exec(text) : null;
  const [, host, port] = url ?? short ?? alone ?? [];
  if (host === undefined) return undefined;
  return { host: hostOf(host, word), port: port === undefined ? DEFAULT_PORT : portOf(port, word) };
}

/** As scp and rsync tell a host from a path: a colon before any slash. That covers URLs, and `[` before a v6 address. */
function hasColonFirst(word: Uint8Array): boolean {
  const colon = word.indexOf(COLON);
  const slash = word.indexOf(SLASH);
  return colon >= 0 && (slash < 0 || colon < slash);
}

function ofShortForm(word: Uint8Array, text: string): DaemonEndpoint {
  const beforeSlash = text.split("/", 1)[0]!;
  if (beforeSlash.includes("@")) {
    const [, host, rest] = /@([^@:]*):(.*)$/s.exec(text) ?? [];
    throw new EndpointError(
      `${quoted(word)} names a user, and this build does not speak SSH; daemons know no users`,
      host && rest?.startsWith("/") ? `For a daemon write ${shown(`${host}:${rest}`)}` : FORMS,
    );
  }
  const bare = beforeSlash.replace(/:$/, "");
  if (isIpv6(bare)) {
    throw new EndpointError(
      `${quoted(word)} has an IPv6 address without brackets`,
      `Write ${shown(`[${bare}]:${text.slice(beforeSlash.length)}`)}`,
    );
  }
  const [, host, rest] = /^(\[[^\]/]*\]|[^:[]*):(.*)$/s.exec(text) ?? [];
  if (host === undefined || rest === undefined) throw unreadable(word);
  const name = hostOf(host, word);
  const [, port, path = rest] = /^(\d+):(\/.*)$/s.exec(rest) ?? [];
  if (path.startsWith("/")) {
    return located(word, name, port === undefined ? DEFAULT_PORT : portOf(port, word), latin1(path));
  }
  throw new EndpointError(`${quoted(word)} is no place behind a daemon`, `${rightForm(host, rest)}. ${local(word)}`);
}

/** `host:rel`, `host::module/x`, `host:9040/module`, `host:9040`: each as it should have been. */
function rightForm(host: string, rest: string): string {
  const [, port, path] = /^(\d{1,5})((?:[:/].*)?)$/s.exec(rest) ?? [];
  const [head, tail] = port === undefined ? [host, rest] : [`${host}:${port}`, path!];
  return `Write ${shown(`${head}:/${tail.replace(/^[:/]+/, "") || "MODULE/"}`)}`;
}

function ofUrl(word: Uint8Array, rest: string): DaemonEndpoint {
  const [, authority = "", path = ""] = /^([^/?#]*)(.*)$/s.exec(rest) ?? [];
  if (/[?#]/.test(path)) {
    throw new EndpointError(`${quoted(word)} has a ? or #, which mean something else in a URL`, "Write %3F or %23");
  }
  if (authority.includes("@")) {
    throw new EndpointError(`${quoted(word)} names a user; daemons know no users`, "Leave out what is before the @");
  }
  if (isIpv6(authority)) {
    throw new EndpointError(
      `${quoted(word)} has an IPv6 address without brackets`,
      `Write fastsync://[${authority}]${shown(path)}`,
    );
  }
  const [, host, port] = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d*))?$/.exec(authority) ?? [];
  if (host === undefined) throw unreadable(word);
  // RFC 6874 writes the % before a zone as %25.
  const name = hostOf(host.startsWith("[") ? host.replace("%25", "%") : host, word);
  return located(word, name, port ? portOf(port, word) : DEFAULT_PORT, decoded(path, word));
}

/** `/MODULE/PATH`, or `//PATH` below the daemon's root. */
function located(word: Uint8Array, host: string, port: number, path: Uint8Array): DaemonEndpoint {
  const base = { kind: "daemon", host, port } as const;
  if (path[1] === SLASH) return { ...base, module: undefined, ...cleaned(path, word) };
  const slash = path.indexOf(SLASH, 1);
  const name = path.subarray(1, slash < 0 ? path.length : slash);
  const module = utf8Of(name);
  if (name.length === 0) {
    throw new EndpointError(
      `${quoted(word)} names no module`,
      `Write the module after the slash, or ${bracketed(host)}://PATH for a path below the daemon's root`,
    );
  }
  if (module === undefined || /[\u0000-\u001f\u007f-\u009f]/.test(module) || module === "." || module === "..") {
    throw new EndpointError(`${quoted(word)}: no module can be named ${quoted(name)}`, FORMS);
  }
  return { ...base, module, ...cleaned(slash < 0 ? new Uint8Array() : path.subarray(slash), word) };
}

/** Without what changes nothing: leading and repeated slashes, and `.`. */
function cleaned(path: Uint8Array, word: Uint8Array): { path: Uint8Array; contents: boolean } {
  const components = Buffer.from(path).toString("latin1").split("/");
  if (components.includes("..")) {
    throw new EndpointError(`${quoted(word)} has '..' in it, which no daemon follows`, "Write the path without it");
  }
  const kept = components.filter((name) => name !== "" && name !== ".");
  const last = components.at(-1)!;
  const contents = path.length > 0 && (last === "" || last === ".");
  return { path: latin1(kept.join("/") + (contents && kept.length > 0 ? "/" : "")), contents };
}

function hostOf(written: string, word: Uint8Array): string {
  if (written === "") throw new EndpointError(`${quoted(word)} has no host before its colon`, local(word));
  if (written.startsWith("[")) {
    const inside = written.slice(1, -1);
    if (isIpv6(inside) && /^[0-9A-Fa-f:.]+(%[A-Za-z0-9._~-]+)?$/.test(inside)) return inside;
    throw new EndpointError(
      `${quoted(word)}: '${shown(inside)}' is no IPv6 address`,
      "Brackets are for IPv6 addresses only",
    );
  }
  if (/^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?$/.test(written) && !written.includes("..") && written.length <= 254)
    return written;
  const nonAscii = /[^\x20-\x7e]/.test(written) ? "A name beyond ASCII is written in its xn-- form. " : "";
  throw new EndpointError(`${quoted(word)}: '${shown(written)}' is no host name`, `${nonAscii}${local(word)}`);
}

function portOf(digits: string, word: Uint8Array): number {
  const port = Number(digits);
  if (port >= 1 && port <= 65_535) return port;
  throw new EndpointError(`${quoted(word)}: ${digits} is no port`, "Ports are 1 to 65535");
}

function decoded(path: string, word: Uint8Array): Uint8Array {
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) {
    throw new EndpointError(`${quoted(word)} has a % without two hexadecimal digits after it`, "Write %25 for a %");
  }
  const text = path.replace(/%([0-9A-Fa-f]{2})/g, (code, digits: string) => {
    if (/^(2f|00)$/i.test(digits)) {
      throw new EndpointError(`${quoted(word)} has ${code} in it, which no name can hold`, "Leave it out");
    }
    return String.fromCharCode(Number.parseInt(digits, 16));
  });
  return latin1(text);
}

function unreadable(word: Uint8Array): EndpointError {
  return new EndpointError(`${quoted(word)} is no place behind a daemon`, `${FORMS}. ${local(word)}`);
}

/** The place as an operator could have written it, for messages. */
export function formatEndpoint({ host, port, module, path, contents }: DaemonEndpoint): Uint8Array {
  // `ftp://PATH` would be a URL: with its port a host of that name is one.
  const isShort = port === DEFAULT_PORT && (module !== undefined || !isScheme(host));
  const head = `${bracketed(host)}:${isShort ? "" : `${port}:`}/${module ?? ""}`;
  const slash = path.length > 0 || contents || module === undefined ? "/" : "";
  return new Uint8Array(Buffer.concat([bytesOf(head + slash), path]));
}

function isScheme(host: string): boolean {
  const word = host.toLowerCase();
  return word === "fastsync" || word === "file" || Object.hasOwn(SCHEMES, word);
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function local(word: Uint8Array): string {
  return `If it is a local path, write ./${printable(word)}`;
}

function latin1(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

/** Text that stands for bytes, safe on a terminal. */
function shown(text: string): string {
  return printable(latin1(text));
}

function quoted(word: Uint8Array): string {
  return `'${printable(word)}'`;
}
