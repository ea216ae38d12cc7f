/** What the command line asks of the daemon, as it was written: the daemon reads it by the rules of its config file. */
export interface DaemonFlags {
  /** The config file. */
  readonly config: Uint8Array | undefined;
  /** The directory of config.toml and conf.d, where `config` is not given. */
  readonly configDir: Uint8Array | undefined;
  /** Empty: as the config file says. */
  readonly bind: readonly string[];
  readonly port: string | undefined;
  readonly dataPort: string | undefined;
  readonly root: Uint8Array | undefined;
  readonly noMdns: boolean;
  readonly mdnsName: string | undefined;
  readonly forceGrpcData: boolean;
}

/** Runs a daemon until it is told to stop; resolves to the exit code. Faces hand it to each other by this type. */
export type RunDaemon = (flags: DaemonFlags) => Promise<number>;

export type DaemonCheck =
  | { readonly kind: "checked"; readonly problems: readonly string[]; readonly warnings: readonly string[] }
  /** No file has a table of the daemon. */
  | { readonly kind: "none" }
  /** Nobody but others may read them. */
  | { readonly kind: "private" };

/** Looks at the daemon's configuration as a daemon would; `file` undefined: the system's, which its owner may keep to himself. */
export type CheckDaemon = (file: Uint8Array | undefined) => DaemonCheck;
