/** Who may use a module, by the address of the peer. */
import { contains, type IpNetwork, parseIp } from "../core/ip.ts";
import type { AccessRules } from "./config.ts";

export type AccessDecision =
  | { readonly kind: "allowed" }
  | { readonly kind: "denied"; readonly reason: "denied_by_list" | "not_in_allow_list" | "unknown_address" };

/**
 * `deny` outranks `allow`; an `allow` closes the module for everybody else. `peer` is the address as the socket tells
 * it, with zone or in IPv4-mapped form. Where it cannot be read, rules cannot be applied, so nobody gets in by it.
 */
export function decideAccess({ allow, deny }: AccessRules, peer: string): AccessDecision {
  if (allow === undefined && deny.length === 0) return { kind: "allowed" };
  const address = parseIp(peer);
  if (address === undefined) return { kind: "denied", reason: "unknown_address" };
  const holds = (network: IpNetwork): boolean => contains(network, address);
  if (deny.some(holds)) return { kind: "denied", reason: "denied_by_list" };
  if (allow !== undefined && !allow.some(holds)) return { kind: "denied", reason: "not_in_allow_list" };
  return { kind: "allowed" };
}
