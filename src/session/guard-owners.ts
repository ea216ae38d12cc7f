/** Refuses, where the target is, an owner that this process cannot give. */
import { ExitCode } from "../core/exit-codes.ts";
import type { RunOptions } from "../core/options.ts";
import { RunError } from "../core/run-error.ts";
import { Capability, hasCapability } from "../fs/privileges.ts";

/** What --chown asks for must be possible: everything would arrive with another owner, and look well. */
export function guardOwners({ verb, preserve: { chownUid, chownGid } }: RunOptions): void {
  if (verb === "check" || hasCapability(Capability.chown)) return;
  const refuse = (what: string): never => {
    throw new RunError(ExitCode.usage, "chown_not_permitted", `--chown: only root can give files to ${what}`);
  };
  if (chownUid !== undefined && chownUid !== process.geteuid?.()) refuse(`user ${chownUid}`);
  if (chownGid !== undefined && chownGid !== process.getegid?.() && !process.getgroups?.().includes(chownGid))
    refuse(`group ${chownGid}, which you are not in`);
}
