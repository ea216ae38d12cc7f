/** What the sides tell each other about their places, as messages, and back. */
import { create } from "@bufbuild/protobuf";
import { LIMITS } from "../core/limits.ts";
import {
  DirectoryIdentitySchema,
  type DirectoryIdentity as IdentityMessage,
  SourceFactsSchema,
  type SourceFacts as SourceMessage,
  TargetFactsSchema,
  type TargetFacts as TargetMessage,
} from "./gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import { told } from "./told.ts";

interface Identity {
  readonly dev: number;
  readonly inoLow: number;
  readonly inoHigh: number;
}
interface Argument {
  readonly entry: Uint8Array | undefined;
  readonly isDirectory: boolean;
  readonly written?: Uint8Array;
  readonly chain: readonly Identity[];
}
interface SourceFields {
  readonly arguments: readonly Argument[];
  readonly timeGranularityNs: number;
  readonly privileged: boolean;
  readonly doer: string;
  readonly openDirectories: number;
}
interface TargetFields {
  readonly makesDevices: boolean;
  readonly privileged: boolean;
  readonly chain: readonly Identity[];
  /** Infinity: not told. */
  readonly openDirectories: number;
}

/** Characters that are shown of whoever reads there. */
const DOER_MOST = 300;
const COARSEST_NS = 10_000_000_000;
const UINT32_MOST = 0xffffffff;

export function encodeSourceFacts(facts: SourceFields): SourceMessage {
  return create(SourceFactsSchema, {
    arguments: facts.arguments.map(({ entry, isDirectory, written, chain }) => ({
      entry: entry ?? new Uint8Array(0),
      isDirectory,
      written: written ?? new Uint8Array(0),
      chain: chain.map(encodeIdentity),
    })),
    timeGranularityNs: BigInt(facts.timeGranularityNs),
    privileged: facts.privileged,
    doer: facts.doer,
    openDirectories: Math.min(facts.openDirectories, UINT32_MOST),
  });
}

/** Throws ProtocolViolation. */
export function decodeSourceFacts(
  message: SourceMessage,
): SourceFields & { arguments: (Argument & { written: Uint8Array })[] } {
  if (message.arguments.length > LIMITS.sourceArguments) throw new ProtocolViolation("too many sources");
  return {
    arguments: message.arguments.map(({ entry, isDirectory, written, chain }) => {
      if (entry.length > 255 || entry.includes(0) || entry.includes(0x2f) || isDots(entry))
        throw new ProtocolViolation("a source that is not the name of an entry");
      return { entry: entry.length === 0 ? undefined : entry, isDirectory, written, chain: decodeChain(chain) };
    }),
    timeGranularityNs: Math.min(COARSEST_NS, Number(message.timeGranularityNs)),
    privileged: message.privileged,
    doer: told(message.doer.slice(0, DOER_MOST)),
    openDirectories: directoriesIn(message),
  };
}

function isDots(name: Uint8Array): boolean {
  return name.length > 0 && name.length <= 2 && name.every((byte) => byte === 0x2e);
}

export function encodeTargetFacts(facts: TargetFields): TargetMessage {
  return create(TargetFactsSchema, {
    makesDevices: facts.makesDevices,
    privileged: facts.privileged,
    chain: facts.chain.map(encodeIdentity),
    openDirectories: Math.min(facts.openDirectories, UINT32_MOST),
  });
}

export function decodeTargetFacts(message: TargetMessage): TargetFields {
  return {
    makesDevices: message.makesDevices,
    privileged: message.privileged,
    chain: decodeChain(message.chain),
    openDirectories: directoriesIn(message),
  };
}

function directoriesIn({ openDirectories }: { readonly openDirectories: number }): number {
  return openDirectories === 0 ? Infinity : openDirectories;
}

function encodeIdentity({ dev, inoLow, inoHigh }: Identity): IdentityMessage {
  return create(DirectoryIdentitySchema, { dev, ino: (BigInt(inoHigh) << 32n) | BigInt(inoLow) });
}

function decodeChain(chain: readonly IdentityMessage[]): Identity[] {
  if (chain.length > LIMITS.chainDirectories) throw new ProtocolViolation("a place too deep");
  return chain.map(({ dev, ino }) => ({
    dev,
    inoLow: Number(ino & 0xffffffffn),
    inoHigh: Number(ino >> 32n),
  }));
}
