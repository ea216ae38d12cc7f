/** Refuses, where the target is, an owner that this process cannot give. */
import { ExitCode } from "../core/exit-codes.ts";
import type { RunOptions } from "../core/options.ts";
import { RunError } from "../core/run-error.ts";
import { Capability, hasCapability } from "../fs/privileges.ts";

/** What --chown and the maps ask for must be possible: everything would arrive with another owner, and look well. */
export function guardOwners({ verb, preserve: { chownUid, chownGid, userMap, groupMap } }: RunOptions): void {
  if (verb === "check" || hasCapability(Capability.chown)) return;
  const refuse = (flag: string, what: string): never => {
    throw new RunError(ExitCode.usage, "chown_not_permitted", `${flag}: only root can give files to ${what}`);
  };
  const isOther = (user: number): boolean => user !== process.geteuid?.();
  const isForeign = (group: number): boolean => group !== process.getegid?.() && !process.getgroups?.().includes(group);
  if (chownUid !== undefined && isOther(chownUid)) refuse("--chown", `user ${chownUid}`);
  if (chownGid !== undefined && isForeign(chownGid)) refuse("--chown", `group ${chownGid}, which you are not in`);
  const user = userMap.find(({ to }) => isOther(to));
  if (user !== undefined) refuse("--usermap", `user ${user.to}`);
  const group = groupMap.find(({ to }) => isForeign(to));
  if (group !== undefined) refuse("--groupmap", `group ${group.to}, which you are not in`);
}
