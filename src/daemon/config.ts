/** What a daemon is configured to be: the result of reading files and flags, with every value checked. */
import type { IpNetwork } from "../core/ip.ts";

export interface DaemonConfig {
  /** The files it was read from, for messages; empty where flags alone made it. */
  readonly files: readonly string[];
  /** IP addresses as written, at least one. */
  readonly bind: readonly string[];
  /** 0: any free port. */
  readonly port: number;
  /** `any`: any free port; `none`: contents travel in the control connection. */
  readonly dataPort: number | "any" | "none";
  readonly mdns: { readonly enabled: boolean; readonly name: string | undefined };
  /** What `host://path` reaches; its name is empty. */
  readonly root: ModuleConfig | undefined;
  readonly maxSessions: number;
  readonly handshakeTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** For a session in which there are only heartbeats. */
  readonly stallTimeoutMs: number;
  /** How long running sessions may go on after the daemon was told to stop. */
  readonly drainTimeoutMs: number;
  readonly logFormat: LogFormat;
  /** Absolute, where it was written; see `state-directory.ts`. */
  readonly stateDirectory: string | undefined;
  /** Jobs that are remembered after their end; 0: none. */
  readonly jobHistory: number;
  /** Root and the daemon's own user, calling from this machine, may see and cancel every job. */
  readonly admin: boolean;
  /** Where metrics and health are told; undefined: nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  /** No data plane, although there may be a data port. */
  readonly forceGrpcData: boolean;
  /** Each data connection has lines in the log. */
  readonly traceDataPlane: boolean;
  /** Data streams of one session. */
  readonly maxStreams: number;
  /** Connections of one address at a time, whatever they are for. */
  readonly maxConnectionsPerPeer: number;
  /** In the order of the files; names are unique. */
  readonly modules: readonly ModuleConfig[];
  readonly delegation: DelegationConfig;
}

export type LogFormat = "text" | "json";

export interface ModuleConfig extends AccessRules {
  readonly name: string;
  /** Absolute. */
  readonly path: Uint8Array;
  readonly comment: string;
  readonly access: "read_only" | "read_write" | "write_only";
  /** Named to peers that ask which modules there are. */
  readonly list: boolean;
  /** undefined: as many as the daemon has. */
  readonly maxSessions: number | undefined;
  /** setuid and setgid bits that arrive are dropped. */
  readonly stripSetid: boolean;
  readonly allowDevices: boolean;
  /** FIFOs and sockets. */
  readonly allowSpecials: boolean;
}

export interface AccessRules {
  /** undefined: everybody who is not denied. Empty: nobody. */
  readonly allow: readonly IpNetwork[] | undefined;
  readonly deny: readonly IpNetwork[];
}

/** Which hosts this daemon dials when a caller asks it to. */
export interface DelegationConfig {
  readonly enabled: boolean;
  /** Lower case, without a dot at the end. */
  readonly hosts: readonly string[];
  readonly networks: readonly IpNetwork[];
}

/** undefined: it is the root. */
export function nameOf({ name }: ModuleConfig): string | undefined {
  return name === "" ? undefined : name;
}

/** The module of this name, compared exactly; undefined asks for the root. */
export function moduleNamed({ modules, root }: DaemonConfig, name: string | undefined): ModuleConfig | undefined {
  return name === undefined ? root : modules.find((module) => module.name === name);
}
