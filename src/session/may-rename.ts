/** Whether a move on one machine renames instead of copying. */
import type { RunOptions } from "../core/options.ts";
import type { DirectoryFacts } from "./facts.ts";

/** Renaming keeps every attribute and moves no byte: right when nothing was asked to change on the way. */
export function mayRename(
  options: RunOptions,
  source: Pick<DirectoryFacts, "dev">,
  target: Pick<DirectoryFacts, "dev"> | undefined,
): boolean {
  const { preserve, write } = options;
  const keepsAll =
    preserve.perms &&
    preserve.times &&
    preserve.owner &&
    preserve.group &&
    preserve.xattrs &&
    preserve.acls &&
    preserve.sparse;
  const plain =
    preserve.chownUid === undefined &&
    preserve.chownGid === undefined &&
    preserve.userMap.length + preserve.groupMap.length === 0 &&
    !options.copyLinks &&
    write.verify === "none";
  const sameFilesystem = target === undefined || source.dev === target.dev;
  return options.verb === "move" && sameFilesystem && keepsAll && plain && write.methods === undefined;
}
