/** What earlier runs found out. Nothing that stands in the way is more than a run that finds it out again. */
import { existsSync } from "node:fs";
import { History } from "./history.ts";
import { statePlace } from "./state-place.ts";

/** Streams that helped runs to the daemon at `address`, as far as this user's history knows. */
export function learntStreams(
  env: Readonly<Record<string, string | undefined>>,
  address: string,
  nowMs: number,
): number | undefined {
  const place = statePlace(env);
  if (place === undefined || !existsSync(place.database) || existsSync(place.off)) return undefined;
  try {
    using history = History.read(place);
    return history.foundStreams(history.peerWord(address), nowMs);
  } catch {
    return undefined;
  }
}
