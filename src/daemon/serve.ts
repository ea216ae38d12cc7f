/** What the daemon listens on: the control plane (gRPC over HTTP/2) and the data plane's port. */
import { lookup } from "node:dns/promises";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, type DescService } from "@bufbuild/protobuf";
import { createContextKey, createContextValues, type HandlerContext } from "@connectrpc/connect";
import type { Counters } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { isLoopback } from "../core/ip.ts";
import { type JobEnd, onlyLooks, workOf } from "../core/jobs.ts";
import { LIMITS } from "../core/limits.ts";
import { RunError } from "../core/run-error.ts";
import { ControlStream } from "../link/control-stream.ts";
import { DataListener } from "../link/data-listener.ts";
import { type DaemonAddress, printableAddress } from "../link/dial.ts";
import { HTTP2_SETTINGS, HTTP2_WINDOW_BYTES } from "../link/http2-settings.ts";
import { descriptorOf } from "../link/line.ts";
import { AdminService } from "../wire/gen/fastsync/v1/admin_pb.ts";
import { JobsService } from "../wire/gen/fastsync/v1/jobs_pb.ts";
import {
  type SessionRequest,
  type SessionResponse,
  SessionResponseSchema,
  TransferService,
} from "../wire/gen/fastsync/v1/session_pb.ts";
import { moduleFor, shownModule, type Use } from "./admission.ts";
import { boundedRequests, type RequestBounds } from "./bounded-requests.ts";
import type { ModuleConfig } from "./config.ts";
import { decideDelegation } from "./delegation.ts";
import { type Caller, ownerOf, rightsOf } from "./jobs/ownership.ts";
import { JobRegistry } from "./jobs/registry.ts";
import { jobsService } from "./jobs/service.ts";
import { openJobStore } from "./jobs/store.ts";
import type { Refused, SessionStart } from "./log.ts";
import { userOfPeer } from "./loopback-user.ts";
import { daemonMetrics } from "./metrics/daemon-metrics.ts";
import type { MetricsListener } from "./metrics/listener.ts";
import { SessionCounts } from "./metrics/session-counts.ts";
import { serveSession } from "./serve-session.ts";
import { servedAdmin } from "./served-admin.ts";
import type { ServedEnd, SessionHost } from "./served-session.ts";
import type { GivenSockets, Listener, Serve, ServeHooks } from "./server-contract.ts";
import { stateDirectory } from "./state-directory.ts";

export const serve: Serve = async (hooks, sockets) => {
  const server = new DaemonServer(hooks, await openJobs(hooks));
  await server.listen(sockets);
  return server;
};

const SESSION_BOUNDS = {
  bytes: LIMITS.messageBytes,
  parts: LIMITS.messageParts,
  elements: LIMITS.messageElements,
} as const;
const CALL_BYTES = 4096;
/** Of the others: calls beside sessions ask for little. */
const BOUNDS: ReadonlyMap<DescService, RequestBounds> = new Map<DescService, RequestBounds>([
  [
    AdminService,
    { bytes: LIMITS.adminRequestBytes, parts: LIMITS.adminRequestParts, elements: LIMITS.adminRequestParts },
  ],
  [JobsService, { bytes: CALL_BYTES, parts: CALL_BYTES, elements: CALL_BYTES }],
]);

/** What is wrong with the history of jobs is told, and nothing more. */
async function openJobs({ config, log }: ServeHooks): Promise<JobRegistry> {
  const directory = config().jobHistory === 0 ? undefined : stateDirectory(config(), process.env);
  const { store, warnings } =
    directory === undefined ? { store: undefined, warnings: [] } : await openJobStore(directory);
  for (const warning of warnings) log.warning(warning);
  return new JobRegistry({
    kept: () => config().jobHistory,
    store,
    onProblem: (problem) => log.warning(problem),
  });
}

/** After the end of every session its connection gets so long. */
const LAST_WORDS_MS = 500;

/** Who calls, as its socket tells it. */
const CALLER = createContextKey<Caller>({ peer: "", user: Promise.resolve(undefined) });
const DESCRIPTOR = createContextKey<number | undefined>(undefined);

function connectionOf(request: object): ServerHttp2Session | undefined {
  return (request as { stream?: { session?: ServerHttp2Session } }).stream?.session;
}

/** Its calls ask this later, when the connection may be gone. */
function callerOf({ socket }: ServerHttp2Session): Caller {
  const { remoteAddress: peer = "", remotePort, localAddress, localPort } = socket;
  const isKnown = isLoopback(peer) && remotePort !== undefined && localAddress && localPort !== undefined;
  return {
    peer,
    user: isKnown
      ? userOfPeer({ peerAddress: peer, peerPort: remotePort, ownAddress: localAddress, ownPort: localPort })
      : Promise.resolve(undefined),
  };
}

class DaemonServer implements Listener {
  controlPort = 0;
  private readonly hooks: ServeHooks;
  private readonly jobs: JobRegistry;
  private readonly servers: Http2Server[] = [];
  private readonly connections = new Map<ServerHttp2Session, Caller>();
  private readonly perPeer = new Map<string, number>();
  private readonly open = new Set<Promise<void>>();
  private readonly perModule = new Map<string, number>();
  /** Sessions that were let in. Those that still say what they want take nobody's place. */
  private admitted = 0;
  private readonly stopping = new AbortController();
  private data: DataListener | undefined;
  private readonly counts = new SessionCounts();
  private watching: MetricsListener | undefined;
  private isDraining = false;

  constructor(hooks: ServeHooks, jobs: JobRegistry) {
    this.hooks = hooks;
    this.jobs = jobs;
  }

  get dataPort(): number | undefined {
    return this.data?.port;
  }
  get metrics(): string | undefined {
    const where = this.hooks.config().metrics;
    return where === undefined || this.watching === undefined
      ? undefined
      : printableAddress({ host: where.host, port: this.watching.port });
  }
  sessions(): number {
    return this.open.size;
  }

  // ---- listening ----------------------------------------------------------------------------------------------

  async listen({ controlFd }: GivenSockets): Promise<void> {
    const { bind, port } = this.hooks.config();
    try {
      if (controlFd !== undefined) this.controlPort = await this.listenControl({ fd: controlFd });
      else {
        for (const host of bind) {
          const chosen = this.controlPort === 0 ? port : this.controlPort;
          this.controlPort = await this.listenControl({ host, port: chosen, ipv6Only: host.includes(":") });
        }
      }
      if (controlFd !== undefined && this.controlPort === 0) this.controlPort = port;
      this.listenData(controlFd !== undefined);
      await this.listenMetrics();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  private listenControl(where: { fd: number } | { host: string; port: number; ipv6Only: boolean }): Promise<number> {
    const server = createServer(
      { settings: HTTP2_SETTINGS },
      boundedRequests({
        routes: (router) => {
          router.service(TransferService, {
            session: (requests, context) => this.session(requests, context),
          });
          const peerOf = (context: HandlerContext): string => context.values.get(CALLER).peer;
          router.service(
            JobsService,
            jobsService(this.jobs, {
              rightsOf: (context) => rightsOf(context.values.get(CALLER), this.hooks.config().admin),
              peerOf,
              times: () => {
                const { idleTimeoutMs } = this.hooks.config();
                return { aliveMs: Math.min(LIMITS.heartbeatMs, idleTimeoutMs / 4), idleMs: idleTimeoutMs };
              },
            }),
          );
          router.service(
            AdminService,
            servedAdmin({
              hooks: this.hooks,
              peerOf,
              refused: (refusal) => this.refused(refusal),
              isDraining: () => this.isDraining,
              signal: this.stopping.signal,
              wait: (work) => this.track(work),
            }),
          );
        },
        bounds: (service) => BOUNDS.get(service) ?? SESSION_BOUNDS,
        contextValues: (request) => {
          const connection = connectionOf(request);
          const values = createContextValues().set(DESCRIPTOR, descriptorOf(connection?.socket));
          const caller = connection === undefined ? undefined : this.connections.get(connection);
          return caller === undefined ? values : values.set(CALLER, caller);
        },
      }),
    );
    this.servers.push(server);
    server.on("session", (connection) => this.onConnection(connection));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(where, () => {
        server.removeListener("error", reject);
        server.on("error", (error: Error) => this.hooks.log.warning(`the control plane: ${error.message}`));
        const address = server.address() as AddressInfo | null;
        resolve(address?.port ?? 0);
      });
    });
  }

  /** On every address that has the control plane. A socket of IPv6 from systemd takes IPv4 too, unless it was told not to. */
  private listenData(isGiven: boolean): void {
    const config = this.hooks.config();
    if (config.dataPort === "none") return;
    const { handshakeTimeoutMs, maxConnectionsPerPeer, maxSessions, maxStreams } = config;
    this.data = new DataListener({
      hostnames: config.bind,
      bothFamilies: isGiven,
      port: config.dataPort === "any" ? 0 : config.dataPort,
      handshakeMs: handshakeTimeoutMs,
      halfOpenMost: maxSessions * maxStreams,
      halfOpenPerPeer: maxConnectionsPerPeer,
      onStray: (peer, detail) => this.refused({ peer, reason: "stray_data_connection", detail }),
    });
  }

  private async listenMetrics(): Promise<void> {
    const where = this.hooks.config().metrics;
    if (where === undefined) return;
    const { listenForMetrics } = await import("./metrics/listener.ts");
    const startedSeconds = Date.now() / 1000;
    this.watching = await listenForMetrics(where.host, where.port, {
      isReady: () => !this.isDraining,
      metrics: () => {
        const { modules, root } = this.hooks.config();
        for (const module of root === undefined ? modules : [root, ...modules]) this.counts.expect(labelOf(module));
        return daemonMetrics(this.counts, { startedSeconds, isDraining: this.isDraining });
      },
    });
  }

  private refused(refusal: Refused): void {
    this.counts.refused(refusal.reason);
    this.hooks.log.refused(refusal);
  }

  private onConnection(connection: ServerHttp2Session): void {
    const peer = connection.socket.remoteAddress ?? "";
    const count = (this.perPeer.get(peer) ?? 0) + 1;
    if (this.isDraining || count > this.hooks.config().maxConnectionsPerPeer) {
      if (!this.isDraining) this.refused({ peer, reason: "too_many_connections" });
      connection.destroy();
      return;
    }
    this.perPeer.set(peer, count);
    this.connections.set(connection, callerOf(connection));
    // A session's messages may be large: the connection's window is as wide as a stream's.
    try {
      connection.setLocalWindowSize(HTTP2_WINDOW_BYTES * 2);
    } catch {
      // Gone already.
    }
    connection.on("error", () => connection.destroy());
    // Sessions say something several times in that time; a connection on which nothing is said serves nobody.
    const { handshakeTimeoutMs, idleTimeoutMs } = this.hooks.config();
    connection.setTimeout(handshakeTimeoutMs + idleTimeoutMs, () => connection.destroy());
    connection.once("close", () => {
      this.connections.delete(connection);
      const left = (this.perPeer.get(peer) ?? 1) - 1;
      if (left === 0) this.perPeer.delete(peer);
      else this.perPeer.set(peer, left);
    });
  }

  // ---- sessions -----------------------------------------------------------------------------------------------

  private async *session(
    requests: AsyncIterable<SessionRequest>,
    context: HandlerContext,
  ): AsyncGenerator<SessionResponse> {
    const stream = new ControlStream(context.values.get(DESCRIPTOR));
    const caller = context.values.get(CALLER);
    const onLeft = (): void => stream.fail("broken", "the caller closed the connection");
    context.signal.addEventListener("abort", onLeft);
    if (context.signal.aborted) onLeft();
    stream.read(requests);
    const served = this.serveOne(stream, caller);
    this.track(served);
    for await (const messages of stream.outbox) yield create(SessionResponseSchema, { messages });
    await served;
  }

  /** The daemon does not end before this does. */
  private track(work: Promise<void>): void {
    this.open.add(work);
    void work.finally(() => this.open.delete(work));
  }

  private async serveOne(stream: ControlStream, caller: Caller): Promise<void> {
    const { log } = this.hooks;
    const { peer } = caller;
    const startedMs = performance.now();
    let start: SessionStart | undefined;
    let isLook = false;
    let jobEnded: ((end: JobEnd) => void) | undefined;
    const end: ServedEnd = await serveSession(stream, {
      ...this.hostOf(peer),
      onStart: ({ session, ...facts }, controls) => {
        start = { peer, ...facts, session, verb: workOf(facts) };
        isLook = onlyLooks(facts);
        log.sessionStart(start);
        const ends = [
          this.jobs.begin({ ...facts, id: session, peer }, ownerOf(caller), controls),
          this.counts.begin(facts.module, facts.role, isLook ? () => undone(controls.look()) : controls.look),
        ];
        jobEnded = (how) => {
          for (const tell of ends) tell(how);
        };
      },
    });
    if (start === undefined) {
      this.refused({ peer, reason: end.exitReason, ...(end.message === undefined ? {} : { detail: end.message }) });
      return;
    }
    jobEnded?.(end);
    const { counters } = isLook ? undone(end) : end;
    log.sessionEnd({
      ...start,
      files: counters.filesTransferred,
      bytes: end.bytes,
      deleted: counters.deleted,
      failed: counters.failed,
      exitReason: end.exitReason,
      durationMs: Math.round(performance.now() - startedMs),
    });
  }

  private hostOf(peer: string): Omit<SessionHost, "onStart"> {
    const config = this.hooks.config();
    const { data } = this;
    return {
      admit: (name, use) => this.admit(name, use, peer),
      dialable: (host, port) => this.dialable(host, port),
      handshakeMs: config.handshakeTimeoutMs,
      idleMs: config.idleTimeoutMs,
      stalledMs: config.stallTimeoutMs,
      streamsMost: config.maxStreams,
      data: config.forceGrpcData ? undefined : data,
      signal: this.stopping.signal,
      onConnection: config.traceDataPlane
        ? (session, told) => this.hooks.log.connection({ peer, session, ...told })
        : undefined,
    };
  }

  private admit(name: string | undefined, use: Use, peer: string): ReturnType<SessionHost["admit"]> {
    const config = this.hooks.config();
    const shown = shownModule(name);
    if (this.isDraining) throw new RunError(ExitCode.starting, "stopping", "the daemon is stopping; try again later");
    if (this.admitted >= config.maxSessions) {
      throw new RunError(
        ExitCode.starting,
        "too_many_sessions",
        `the daemon serves ${config.maxSessions} sessions already; try again later`,
      );
    }
    const module = moduleFor(config, name, use, peer, (message) => this.hooks.log.warning(message));
    const used = (this.perModule.get(module.name) ?? 0) + 1;
    if (module.maxSessions !== undefined && used > module.maxSessions)
      throw new RunError(
        ExitCode.starting,
        "too_many_sessions",
        `${shown} serves ${module.maxSessions} sessions already; try again later`,
      );
    this.perModule.set(module.name, used);
    this.admitted++;
    const leave = (): void => {
      this.admitted--;
      this.perModule.set(module.name, (this.perModule.get(module.name) ?? 1) - 1);
    };
    return { module, leave };
  }

  private async dialable(host: string, port: number): Promise<DaemonAddress> {
    const decision = await decideDelegation(this.hooks.config().delegation, host, resolveHost);
    if (decision.kind === "allowed") return { host: decision.address, port };
    const { reason, message } = decision;
    throw new RunError(ExitCode.selecting, reason, `it may not dial ${printableAddress({ host, port })}: ${message}`);
  }

  // ---- the end ------------------------------------------------------------------------------------------------

  async drain(_deadlineMs: number): Promise<void> {
    this.isDraining = true;
    for (const server of this.servers) server.close();
    while (this.open.size > 0) await Promise.allSettled([...this.open]);
  }

  async stop(): Promise<void> {
    this.isDraining = true;
    this.stopping.abort();
    for (const server of this.servers) server.close();
    await Promise.allSettled([...this.open]);
    this.data?.stop();
    this.watching?.stop();
    // What callers are told last gets its time to leave.
    for (const connection of this.connections.keys()) connection.close();
    for (let waitedMs = 0; this.connections.size > 0 && waitedMs < LAST_WORDS_MS; waitedMs += 10) await Bun.sleep(10);
    for (const connection of this.connections.keys()) connection.destroy();
    this.jobs.close();
  }
}

/** As sessions name their module; undefined: the root. */
function labelOf({ name }: ModuleConfig): string | undefined {
  return name === "" ? undefined : name;
}

/** All addresses of a host, as the system prefers them. */
export async function resolveHost(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** Of a session that only looks: what would have been done was not. */
function undone<Told extends { readonly counters: Readonly<Counters> }>(told: Told): Told {
  return { ...told, counters: { ...told.counters, filesTransferred: 0, deleted: 0 } };
}
