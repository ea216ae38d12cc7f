/** What honest sessions of the simulator say, as messages of the wire. */

import { encodeSource, encodeTarget } from "../../src/session/wire-messages.ts";
import type { SessionMessage } from "../../src/wire/gen/fastsync/v1/session_pb.ts";
import { type ModelNode, modelDirectory, modelFile, randomGenerator, randomTree, simulate } from "./model.ts";

export const VERBS = ["copy", "mirror", "move", "check"] as const;

export interface Transcript {
  readonly verb: (typeof VERBS)[number];
  /** The tree that was offered, as it was before. */
  readonly source: () => ModelNode;
  readonly bySource: readonly SessionMessage[];
  readonly byTarget: readonly SessionMessage[];
}

/** Files, links, several names of one file, three levels. */
function sourceTree(seed: number): ModelNode {
  const tree = randomTree(randomGenerator(seed), 3);
  if (seed % 2 === 0) {
    const shared = modelFile("shared", 9);
    tree.children.set("h", shared);
    tree.children.set("i", modelDirectory({ j: shared, k: modelFile("k".repeat(300), 2) }));
  }
  return tree;
}

export function honestSession(seed: number): Transcript {
  const verb = VERBS[seed % VERBS.length]!;
  const bySource: SessionMessage[] = [];
  const byTarget: SessionMessage[] = [];
  const encoding = { inodes: seed % 3 === 0, loops: undefined, names: () => ({ users: [], groups: [] }) };
  simulate({
    source: sourceTree(seed),
    target: randomTree(randomGenerator(seed * 7), 2),
    verb,
    seed,
    payload: "streams",
    hear: (said) => {
      if (said.by === "source") bySource.push(...encodeSource(said.message, encoding));
      else byTarget.push(...[encodeTarget(said.message)].filter((one) => one !== undefined));
    },
  });
  return { verb, source: () => sourceTree(seed), bySource, byTarget };
}
