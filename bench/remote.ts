/** How each tool is asked to make TARGET equal to SOURCE when one of them is behind a daemon. */
import { readFileSync } from "node:fs";
import { lacking, subjectCommand, subjectMissing } from "./commands.ts";
import {
  connectionsWith,
  type Daemon,
  HERE,
  hasChildren,
  processUse,
  type Rsyncd,
  startDaemon,
  startDelayProxy,
  startRsyncd,
} from "./services.ts";
import type { Case, Figures, Place } from "./workload.ts";

/** Push: the target is behind the daemon. Pull: the source is. */
export const DIRECTIONS = ["push", "pull"] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** The other ends, and the address by which they are called. */
export interface Ends {
  readonly host: string;
  readonly daemon: Daemon;
  /** With and without TCP_NODELAY; none where there is no rsync. */
  readonly rsyncds: readonly Rsyncd[];
}

const NODELAY = "--sockopts=TCP_NODELAY";

/** They serve the workload's filesystem, and end with the workload. */
export async function openEnds(place: Place): Promise<Ends> {
  const daemon = place.services.use(await startDaemon(place.mount));
  const rsyncds: Rsyncd[] = [];
  if (lacking("rsync") === undefined)
    for (const flags of [[], [NODELAY]]) rsyncds.push(place.services.use(await startRsyncd(place.mount, flags)));
  return { host: HERE, daemon, rsyncds };
}

/** The same ends behind a long line. `host` is an address of this machine that nothing else uses. */
export async function farAway(place: Place, ends: Ends, host: string, roundTripMs: number): Promise<Ends> {
  const { daemon, rsyncds } = ends;
  if (place.tools.delay === undefined) throw new Error("the delay proxy needs a C compiler");
  const ports = [daemon.port, daemon.dataPort, ...rsyncds.map(({ port }) => port)];
  place.services.use(await startDelayProxy(place.tools.delay, host, roundTripMs, ports));
  return { ...ends, host };
}

export type Trees = Pick<Place, "mount" | "source" | "target">;
type Extras = Partial<Pick<Case, "maxRuns" | "before" | "bytes" | "name">>;

const LAST_WORD_MS = 5000;

/** `fastsync mirror`. The run must tell nothing on stderr: one that had to go another way measures something else. */
export function fastsyncOver(
  { mount, source, target }: Trees,
  { host, daemon }: Ends,
  direction: Direction,
  flags: readonly string[] = [],
  extras: Extras & { readonly verb?: "mirror" | "check"; readonly isIdle?: boolean } = {},
): Case {
  const { verb = "mirror", isIdle = verb === "check", ...more } = extras;
  const far = (path: string) => `${host}:${daemon.port}:/tree/${path.slice(mount.length + 1)}/`;
  const places = direction === "push" ? [`${source}/`, far(target)] : [far(source), `${target}/`];
  const json = flags.includes("--json") ? `${mount}/stdout.json` : undefined;
  return {
    name: ["fastsync", ...flags].join(" "),
    role: "subject",
    command: [...subjectCommand(), verb, ...(verb === "check" ? [] : ["--yes"]), ...flags, ...places],
    verify: "full",
    trees: { source, target },
    missing: subjectMissing(),
    ...(json === undefined ? { silent: true } : { stdout: json }),
    observe: () => observeDaemon(daemon, host, flags.includes("--force-grpc"), isIdle, json),
    ...more,
  };
}

/** Both lines of rsync: with and without TCP_NODELAY, at both ends. */
export function rsyncOver(
  { mount, source, target }: Trees,
  { host, rsyncds }: Ends,
  direction: Direction,
  name: string = RSYNC_WHOLE,
  extras: Extras = {},
): Case[] {
  return rsyncds.map(({ pid, port, flags }) => {
    const far = (path: string) => `rsync://${host}:${port}/tree/${path.slice(mount.length + 1)}/`;
    const places = direction === "push" ? [`${source}/`, far(target)] : [far(source), `${target}/`];
    return {
      name: [name, ...flags].join(" "),
      role: "peer",
      command: [...name.split(" "), ...flags, ...places],
      verify: "full",
      trees: { source, target },
      observe: () => observeRsyncd(pid),
      ...extras,
    };
  });
}

export const RSYNC_WHOLE = "rsync -a --whole-file";

/** The names of the cases that `rsyncOver` makes. */
export function rsyncNames(name: string = RSYNC_WHOLE): string[] {
  return [name, `${name} ${NODELAY}`];
}

/**
 * Two processes of C and two connections: both know the tree beforehand, nothing is compared or told. The tree must be
 * files in directories of the first level.
 */
export function wireFloor({ tools, source, target }: Place): Case {
  const wire = tools.wire();
  return {
    name: "floor in C",
    role: "floor",
    command: [wire ?? "wire", "send", source, target, "2"],
    verify: "content",
    missing: wire === undefined ? "ffi/bench/wire.c could not be compiled" : undefined,
  };
}

function observeRsyncd(pid: number) {
  const { cpuMs } = processUse(pid);
  return async (): Promise<Figures> => {
    /* A child of the daemon serves; what it used is known when it has ended. */
    for (const endMs = performance.now() + LAST_WORD_MS; hasChildren(pid); await Bun.sleep(5))
      if (performance.now() > endMs) throw new Error("a child of the daemon does not end");
    return { otherCpuMs: processUse(pid).cpuMs - cpuMs };
  };
}

/** Throws when content did not go where it should. `isIdle`: there is none. */
function observeDaemon(daemon: Daemon, host: string, inControl: boolean, isIdle: boolean, json: string | undefined) {
  const connections = connectionsWith(host, daemon.dataPort);
  const sessions = daemon.sessionEnds().length;
  const { cpuMs } = processUse(daemon.pid);
  return async (): Promise<Figures> => {
    /* The daemon's last word may come after the caller's end. */
    for (const endMs = performance.now() + LAST_WORD_MS; daemon.sessionEnds().length === sessions; await Bun.sleep(5))
      if (performance.now() > endMs) throw new Error("the daemon's log does not know that the session ended");
    const end = daemon.sessionEnds().at(-1)!;
    if (end.exitReason !== "ok") throw new Error(`the daemon's end of the session: ${end.exitReason}`);
    const streams = [...connectionsWith(host, daemon.dataPort)].filter((one) => !connections.has(one)).length;
    if (streams === 0 && !inControl && !isIdle) throw new Error("there was no data connection");
    if (streams > 0 && inControl) throw new Error(`there were ${streams} data connections`);
    const use = processUse(daemon.pid);
    return {
      otherCpuMs: use.cpuMs - cpuMs,
      otherRssKiB: use.peakRssKiB,
      streams,
      ...(inControl ? {} : { wireBytes: end.bytes }),
      ...(json === undefined ? {} : { payloadBytes: payloadOf(readFileSync(json, "utf8")) }),
    };
  };
}

/** From the summary, the last line. */
export function payloadOf(json: string): number {
  const last = json.trimEnd().split("\n").at(-1)!;
  const { type, bytes_transferred: bytes } = JSON.parse(last) as { type: string; bytes_transferred: number };
  if (type !== "summary") throw new Error(`the last line is no summary but ${type}`);
  return bytes;
}
