/** Sessions played up to the point where a test wants to begin, and a healthy one to end with. */
import { expect } from "bun:test";
import { Caller, type OpenFields, pullFrom, pushTo } from "./caller.ts";
import { type Daemon, named } from "./daemon.ts";
import { bye, shard } from "./frames.ts";
import { manifest, type Row } from "./listing.ts";

/** Into the writable module. */
export function into(daemon: Daemon, path = "", more: Partial<OpenFields> = {}): OpenFields {
  return pushTo(daemon.modules.write, named(daemon, path), more);
}
/** Out of the writable module. */
export function outOf(daemon: Daemon, path = "", more: Partial<OpenFields> = {}): OpenFields {
  return pullFrom(daemon.modules.write, named(daemon, path), more);
}

/** A push whose content travels in the control plane: accepted, nothing offered yet. */
export async function pushing(daemon: Daemon, path = "hostile/", more: Partial<OpenFields> = {}): Promise<Caller> {
  const caller = new Caller(daemon);
  await caller.open(into(daemon, path, more));
  return caller.say({ case: "carrier", value: { inStream: true } });
}

/** A pull, accepted; its root listing (directory 0) has arrived. */
export async function pulling(daemon: Daemon, open = pullFrom(daemon.modules.read)) {
  const caller = new Caller(daemon);
  await caller.open(open);
  caller.say({ case: "carrier", value: { inStream: true } });
  const root = await caller.until("manifest");
  return { caller, root };
}

let places = 0;
/** One whole push: the daemon is in good health. */
export async function healthy(daemon: Daemon, path = `healthy-${places++}/`): Promise<void> {
  using caller = await pushing(daemon, path);
  const content = Buffer.from(`${Math.random()}`);
  const row: Row = { name: "f", size: content.length, mtime: Math.floor(Math.random() * 1e9) };
  caller.say(
    { case: "manifest", value: manifest({ dir: 0 }, [row]) },
    { case: "scanned", value: { complete: true, entries: 1n } },
  );
  const { need } = await caller.until("need");
  const member = { name: "f", content, mode: 0o100644, mtime: row.mtime! };
  caller.say({ case: "payload", value: { data: shard(need, [member]) } });
  await caller.until("finished");
  caller.say({ case: "payload", value: { data: bye(), end: true } }, { case: "closed", value: {} });
  const { summary } = await caller.ended();
  expect(summary?.exitReason).toBe("ok");
}

let refusals = 0;
export interface Refused {
  readonly reason: string;
  readonly exitCode: number;
}
export const PROTOCOL: Refused = { reason: "protocol", exitCode: 2 };

/** The session is over, the caller was told why, and the daemon serves the next one. */
export async function refusedAs(caller: Caller, daemon: Daemon, refused: Refused): Promise<string> {
  const { refusal, summary, status } = await caller.ended();
  caller.close();
  expect(summary).toBeUndefined();
  const ending = `the call ended with ${status.code} ${status.details}`;
  expect({ reason: refusal?.reason, exitCode: refusal?.exitCode }, ending).toEqual({ ...refused });
  // The next case opens a session too: a whole one now and then is enough.
  if (++refusals % 4 === 0) await healthy(daemon);
  return refusal!.message;
}
