/** Where a verb that looks is to look: a local path, a module of a daemon, or the daemon itself. */
import { joinPath } from "../../core/paths.ts";
import { type DaemonEndpoint, formatEndpoint } from "../../endpoints/parse.ts";
import type { DaemonAddress } from "../../link/dial.ts";

export type LookPlace =
  | { readonly kind: "local"; readonly path: Uint8Array; readonly shown: Uint8Array }
  | {
      readonly kind: "module";
      readonly address: DaemonAddress;
      /** undefined: the daemon's root. */
      readonly module: string | undefined;
      readonly path: Uint8Array;
      readonly shown: Uint8Array;
    }
  | { readonly kind: "host"; readonly address: DaemonAddress; readonly shown: Uint8Array };

export function modulePlace(endpoint: DaemonEndpoint): LookPlace {
  const { host, port, module, path } = endpoint;
  return { kind: "module", address: { host, port }, module, path, shown: formatEndpoint(endpoint) };
}

/** What a relative path of an answer is called: as an operator could write it. */
export function shownPath({ shown }: LookPlace, relative: Uint8Array): Uint8Array {
  return relative.length === 0 ? shown : joinPath(shown, relative);
}

/** Whether one call can answer for both. */
export function isSameGround(a: LookPlace, b: LookPlace): boolean {
  if (a.kind === "local" || b.kind === "local") return a.kind === b.kind;
  if (a.address.host !== b.address.host || a.address.port !== b.address.port) return false;
  return a.kind === "module" && b.kind === "module" && a.module === b.module;
}
