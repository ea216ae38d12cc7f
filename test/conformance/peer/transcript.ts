/**
 * A session as text: what each side said, in order, ids, tokens, times and measurements replaced. The two sides are
 * written apart, since how they interleave is the network's affair.
 */
import { expect } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { SessionRequestSchema } from "../../../src/wire/gen/fastsync/v1/session_pb.ts";
import { type Body, message, type Said } from "./caller.ts";
import type { Daemon } from "./daemon.ts";
import { parseFrames } from "./frames.ts";

const GOLDEN = join(import.meta.dir, "../golden");
const NAMES = ["", "SHARD", "FILE", "DATA", "END", "BYE"];

/** Values that differ from run to run, by the field they stand in. */
const VOLATILE: Readonly<Record<string, string>> = {
  sessionId: "<16 bytes>",
  tokens: "<tokens>",
  dataPort: "<port>",
  maxStreams: "<configured>",
  idleTimeoutMs: "<configured>",
  bootId: "<boot id>",
  product: "<product>",
  chain: "<directories>",
  durationMs: "<ms>",
  workers: "<workers>",
  backend: "<backend>",
  timeGranularityNs: "<ns>",
  makesDevices: "<as it may>",
  privileged: "<as it may>",
  openDirectories: "<as it may>",
  doer: "<who>",
  filesystemType: "<type>",
  inodes: "<inodes>",
  devs: "<device>",
  uids: "<owner>",
  gids: "<group>",
  users: "<names>",
  groups: "<names>",
  methods: "<methods>",
  refused: "<methods>",
  attributes: "<digests>",
  nlinks: "<counts>",
  network: "<measured>",
  sizes: "<sizes>",
  flags: "<flags>",
};
/** Counters that a protocol change would change; others measure. */
const COUNTED = ["created", "deleted", "entriesExamined", "failed", "filesToTransfer", "filesTransferred", "unchanged"];

function shown(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Uint8Array) {
    const text = Buffer.from(value).toString("latin1");
    return /^[\x20-\x7e\0]*$/.test(text) && !/^\0+$/.test(text)
      ? text.replaceAll("\0", "\\0")
      : `hex ${Buffer.from(value).toString("hex")}`;
  }
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== "object" || value === null) return value;
  if ("entriesExamined" in value)
    return COUNTED.map((name) => `${name} ${(value as Record<string, number>)[name] ?? 0}`).join(", ");
  const fields = Object.entries(value).filter(([name, of]) => !name.startsWith("$") && !isEmpty(of));
  return Object.fromEntries(fields.map(([name, of]) => [name, VOLATILE[name] ?? shown(of)]));
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === 0 || value === 0n || value === false || value === "") return true;
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  return false;
}

/** Payloads as the frames in them: how they were cut into messages is nobody's business. */
function lines(bodies: readonly Said[]): string[] {
  const told: string[] = [];
  let payload: Buffer = Buffer.alloc(0);
  for (const { case: name, value } of bodies) {
    if (name === undefined || name === "progress" || name === "heartbeat" || name === "payloadCredit") continue;
    if (name === "settled" || name === "released") {
      // How many share a message is a matter of timing.
      for (const dir of value.dirs) told.push(`${name} directory ${dir}`);
      continue;
    }
    if (name !== "payload") {
      const text = JSON.stringify(shown(value));
      told.push(text === "{}" ? name : `${name} ${text}`);
      continue;
    }
    payload = Buffer.concat([payload, value.data]);
    const { frames, rest } = parseFrames(payload);
    payload = rest;
    for (const { type, need, item, offset, payload: content } of frames)
      told.push(`payload ${NAMES[type]} need ${need} item ${item} offset ${offset}, ${content.length} bytes`);
    if (value.end) told.push("payload end");
  }
  return told;
}

export class Transcript {
  private readonly said: Said[] = [];

  /** To be handed to `Caller.record`. */
  readonly onRequest = (bytes: Uint8Array): void => {
    for (const { body } of fromBinary(SessionRequestSchema, bytes).messages) this.said.push(body);
  };
  add(body: Body): void {
    this.said.push(message(body).body);
  }

  /** Another daemon's names as those of one that is started here. */
  text(heard: readonly Said[], { modules, prefix }: Daemon): string {
    const caller = lines(this.said).map((line) => `> ${line}`);
    const told = lines(heard);
    // Between the acceptance and the end the directories of a tree are worked on side by side.
    const from = told.findIndex((line) => line.startsWith("accept")) + 1;
    const to = told.findIndex((line) => line === "finished" || line.startsWith("closed"));
    const daemon = [...told.slice(0, from), ...told.slice(from, to).sort(), ...told.slice(to)].map(
      (line) => `< ${line}`,
    );
    const text = `${[...caller, "", ...daemon].join("\n")}\n`.replaceAll(
      `"module":"${modules.write}"`,
      '"module":"rw"',
    );
    return prefix === "" ? text : text.replaceAll(prefix, "");
  }
}

/** UPDATE_GOLDEN=1 writes it anew. */
export function expectGolden(name: string, text: string): void {
  const file = join(GOLDEN, name);
  if (process.env["UPDATE_GOLDEN"] === "1" || !existsSync(file)) writeFileSync(file, text);
  expect(text).toBe(readFileSync(file, "utf8"));
}
