/** Between the life of the daemon's process (`run-daemon.ts`) and what listens and serves (`serve.ts`). */
import type { DaemonConfig } from "./config.ts";
import type { DaemonLog } from "./log.ts";

export interface ServeHooks {
  /**
   * The configuration in force. Asked at each use: a reload replaces it. `bind`, `port` and `dataPort` stay what they
   * were at the start.
   */
  readonly config: () => DaemonConfig;
  readonly log: DaemonLog;
}

/** Sockets that were opened for the daemon, by systemd. */
export interface GivenSockets {
  /** A listening TCP socket for the control plane; `config().bind` and `port` are then its address. */
  readonly controlFd?: number;
}

export interface Listener {
  /** As bound; differs from the configured one where that was 0. */
  readonly controlPort: number;
  /** undefined: there is no data plane. */
  readonly dataPort: number | undefined;
  /** Where metrics are told, as ADDRESS:PORT; undefined: nowhere. */
  readonly metrics?: string | undefined;
  /** Sessions that are open now. */
  sessions(): number;
  /**
   * Accepts nothing new; resolves when the last session has ended. `deadlineMs` from now `stop` is called, so peers
   * can be told how long they have.
   */
  drain(deadlineMs: number): Promise<void>;
  /** Closes everything; sessions that are open are cut. */
  stop(): Promise<void>;
}

/** Listens before it resolves. Rejects with what listen(2) said (`code`, `address`, `port`), or with a RunError. */
export type Serve = (hooks: ServeHooks, sockets: GivenSockets) => Promise<Listener>;
