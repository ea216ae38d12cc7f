/** A place behind a daemon: whether it is reached, how far away it is, and how content would travel. */
import { listModules, RemoteCalls } from "../admin/remote.ts";
import { LIMITS } from "../core/limits.ts";
import type { RunOptions } from "../core/options.ts";
import { printable } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";
import type { DaemonEndpoint } from "../endpoints/parse.ts";
import { dialStreams } from "../link/data-client.ts";
import { type DaemonAddress, dial, printableAddress } from "../link/dial.ts";
import { descriptorOf, lineRoundTripMs } from "../link/line.ts";
import { leaveSession, openSession } from "../session/caller.ts";
import { encodeTargetFacts } from "../wire/facts.ts";
import { Role } from "../wire/gen/fastsync/v1/session_pb.ts";
import { encodeOptions } from "../wire/options.ts";
import { type Finding, finding } from "./finding.ts";
import { inodesFinding, spaceFinding } from "./local-place.ts";

/** For connecting, and again for an answer. */
const PATIENCE_MS = 10_000;

interface Reached {
  readonly socket: Awaited<ReturnType<typeof dial>>;
  /** That it was, and how far away it is. */
  readonly words: string;
}

async function reach(address: DaemonAddress): Promise<Reached | Finding> {
  const never = new AbortController().signal;
  const dialledMs = performance.now();
  try {
    const socket = await dial(address, never, PATIENCE_MS);
    const connectMs = performance.now() - dialledMs;
    const fd = descriptorOf(socket);
    const roundTripMs = fd === undefined ? connectMs : lineRoundTripMs(fd, connectMs);
    const words = `reached, round trip ${roundTripMs < 10 ? roundTripMs.toFixed(1) : Math.round(roundTripMs)} ms`;
    return { socket, words };
  } catch (error) {
    return finding("daemon", "problem", messageOf(error), fixOf(error, address));
  }
}

const IS_IT = "is it a fastsync daemon, of about this version?";

/** A daemon as such: whether it answers, and what it shows. */
export async function examineDaemon(address: DaemonAddress): Promise<Finding[]> {
  const reached = await reach(address);
  if ("check" in reached) return [reached];
  reached.socket.destroy();
  const signal = AbortSignal.timeout(PATIENCE_MS);
  try {
    const modules = await listModules(address, signal);
    const where = printableAddress(address);
    const names = modules.map(({ name }) => name).join(", ");
    return [
      finding("daemon", "ok", reached.words),
      modules.length === 0
        ? finding("module", "warning", "none is shown to you", "the daemon's operator decides that")
        : finding("module", "ok", `${names}; fastsync doctor ${where}:/MODULE looks at one`),
    ];
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    return [signal.aborted ? unanswered(reached.words) : finding("daemon", "problem", messageOf(error), IS_IT)];
  }
}

function unanswered(reached: string): Finding {
  const silence = `${reached}, but nothing answered within ${PATIENCE_MS / 1000} s`;
  return finding("daemon", "problem", silence, "is it a fastsync daemon?");
}

/** `options`: of a run that changes nothing. The daemon sees a session that looks at the place and leaves. */
export async function examineDaemonPlace(place: DaemonEndpoint, options: RunOptions): Promise<Finding[]> {
  const found = await reach(place);
  if ("check" in found) return [found];
  const { socket, words: reached } = found;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE_MS);
  try {
    const session = await openSession(
      place,
      {
        daemonRole: Role.SOURCE,
        sources: [{ module: place.module ?? "", path: place.path }],
        options: encodeOptions(options),
        targetFacts: encodeTargetFacts({
          makesDevices: false,
          privileged: false,
          chain: [],
          openDirectories: Infinity,
        }),
        maxStreams: 1,
      },
      stop.signal,
      undefined,
      Promise.resolve(socket),
    );
    try {
      return [
        finding(
          "daemon",
          "ok",
          `${reached}, ${session.product || "of no name"}, protocol ${session.accept.protocol}${session.oneMachine ? ", on this machine" : ""}`,
        ),
        finding("module", "ok", "can be read"),
        await dataPortFinding(place, session.accept),
        ...(await roomFindings(place)),
      ];
    } finally {
      await leaveSession(session);
    }
  } catch (error) {
    socket.destroy();
    if (stop.signal.aborted) return [unanswered(reached)];
    return refused(error, reached, place);
  } finally {
    clearTimeout(timer);
  }
}

/** A daemon of a version that does not tell has none of these lines. */
async function roomFindings(place: DaemonEndpoint): Promise<Finding[]> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const room = await new RemoteCalls(place, place.module, signal).filesystem(place.path).catch(() => undefined);
  if (room === undefined) return [];
  const use = room.readOnly ? ", read-only: a source, and no target" : "";
  return [
    finding("place", "ok", `${room.filesystem}${use}`),
    ...(room.readOnly ? [] : [spaceFinding(room), ...inodesFinding(room)]),
  ];
}

interface Grant {
  readonly dataPort: number;
  readonly sessionId: Uint8Array;
  readonly tokens: readonly Uint8Array[];
}

async function dataPortFinding({ host }: DaemonEndpoint, { dataPort, sessionId, tokens }: Grant): Promise<Finding> {
  const slower = "content goes through the control connection, which is slower";
  if (dataPort === 0 || tokens.length === 0)
    return finding(
      "data_port",
      "warning",
      `the daemon offers none: ${slower}`,
      "set data_port in its [daemon], and drop force_grpc_data",
    );
  const dialled = await dialStreams(
    { host, port: dataPort, sessionId, tokens: tokens.slice(0, 1), firstIndex: 0 },
    LIMITS.dataConnectMs,
  );
  if (dialled.kind === "unreachable")
    return finding(
      "data_port",
      "warning",
      `${dataPort} cannot be reached (${plain(dialled.reason)}): ${slower}`,
      `let port ${dataPort} through the firewall`,
    );
  for (const stream of dialled.sockets) stream.release();
  return finding("data_port", "ok", `${dataPort} is open`);
}

/** The daemon answered, and said no: that says a lot of it. */
function refused(error: unknown, reached: string, { module }: DaemonEndpoint): Finding[] {
  if (!(error instanceof RunError)) throw error;
  const message = messageOf(error);
  switch (error.reason) {
    case "write_only_module":
      return [finding("daemon", "ok", reached), finding("module", "ok", "can be written to only, which was not tried")];
    case "no_session":
    case "protocol":
    case "version":
    case "timeout":
      return [finding("daemon", "problem", message, IS_IT)];
    case "source_missing":
      return [
        finding("daemon", "ok", reached),
        finding("module", "warning", message, "as a source it has to exist; as a target it is made"),
      ];
    default:
      return [
        finding("daemon", "ok", reached),
        finding(
          "module",
          "problem",
          message,
          module === undefined ? "write HOST:/MODULE/PATH" : "the daemon's operator decides that",
        ),
      ];
  }
}

function fixOf(error: unknown, { host, port }: DaemonAddress): string {
  const message = messageOf(error);
  if (error instanceof RunError && error.reason === "connect_timeout")
    return `let port ${port} through the firewall, or use ssh -L ${port}:127.0.0.1:${port} ${host}`;
  if (message.includes("cannot be resolved"))
    return "write its address, or give the name an address in DNS or /etc/hosts";
  if (message.includes("no route")) return "is the network up, and the address right?";
  return "start it there (systemctl start fastsyncd), and let it listen on that address (bind)";
}

function messageOf(error: unknown): string {
  return plain(error instanceof Error ? error.message : String(error));
}

function plain(text: string): string {
  return printable(Buffer.from(text));
}
