/** What this process may do (capabilities(7)): in a container, root alone says little. */
import { readFileSync } from "node:fs";

/** Bit numbers of linux/capability.h. */
export const Capability = { chown: 0, mknod: 27 } as const;

let effective: bigint | undefined;

/** Where it cannot be asked, root may everything and others nothing. */
export function hasCapability(bit: (typeof Capability)[keyof typeof Capability]): boolean {
  effective ??= readEffective() ?? (process.geteuid?.() === 0 ? ~0n : 0n);
  return ((effective >> BigInt(bit)) & 1n) === 1n;
}

function readEffective(): bigint | undefined {
  try {
    const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1];
    return hex === undefined ? undefined : BigInt(`0x${hex}`);
  } catch {
    return undefined;
  }
}
