/** A daemon that is the source tells what its places are. It was asked for them by path, so most of that is known. */
import { equalBytes } from "../core/paths.ts";
import { decodeSourceFacts } from "../wire/facts.ts";
import type { SourceFacts as SourceFactsMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { cleanPath } from "./module-places.ts";
import { isContents, lastComponent } from "./place-rules.ts";

/** The facts, when they are of the places that were asked for. Throws ProtocolViolation. */
export function factsOf(asked: readonly Uint8Array[], message: SourceFactsMessage | undefined) {
  if (message === undefined) throw new ProtocolViolation("nothing is told of the source");
  const facts = decodeSourceFacts(message);
  if (facts.arguments.length !== asked.length)
    throw new ProtocolViolation(`${asked.length} sources were asked for, and ${facts.arguments.length} offered`);
  facts.arguments.forEach(({ entry }, i) => {
    const wanted = entryOf(asked[i]!);
    const fits = entry === undefined ? wanted === undefined : wanted !== undefined && equalBytes(entry, wanted);
    if (!fits) throw new ProtocolViolation("another source was offered than was asked for");
  });
  return facts;
}

/** As the daemon reads the path; undefined: the contents of a directory. */
function entryOf(path: Uint8Array): Uint8Array | undefined {
  const clean = cleanPath(path);
  return clean === undefined || clean.length === 0 || isContents(clean) ? undefined : lastComponent(clean);
}
