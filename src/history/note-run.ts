/** Notes a run that ended. Nothing that stands in the way is more than a run that is not noted. */
import { existsSync } from "node:fs";
import { History, isBroken, putAside } from "./history.ts";
import type { RunRecord } from "./run-record.ts";
import { type StatePlace, statePlace } from "./state-place.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** `address`: of the daemon that took part. The reason why it was not noted, for who looks for it; undefined: it was. */
export function noteRun(
  env: Environment,
  record: Omit<RunRecord, "peer">,
  address: string | undefined,
): string | undefined {
  const place = statePlace(env);
  if (place === undefined) return "there is no home directory";
  if (existsSync(place.off)) return "it is disabled";
  try {
    note(place, record, address);
    return undefined;
  } catch (error) {
    if (isBroken(error)) {
      try {
        putAside(place);
      } catch {
        // Then it stays, and `fastsync profile` tells.
      }
    }
    return error instanceof Error ? error.message : String(error);
  }
}

function note(place: StatePlace, record: Omit<RunRecord, "peer">, address: string | undefined): void {
  using history = History.open(place);
  history.add({ ...record, peer: address === undefined ? undefined : history.peerWord(address) });
}
