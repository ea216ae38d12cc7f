/**
 * Flags that people bring from rsync, cp, rclone and robocopy and that do not exist here. Accepting them silently would
 * promise what is not done, so each is answered with what to write instead.
 */
import { letterSetOf, type VerbName } from "./verbs.ts";

const DEFAULT = "is the default here; leave it out";

const BY_LONG: Readonly<Record<string, string>> = {
  archive: DEFAULT,
  recursive: DEFAULT,
  links: `${DEFAULT}; --copy-links copies what links point at`,
  devices: `${DEFAULT}; --no-specials turns it off`,
  partial: "is the default here: an interrupted large file goes on where it stopped; leave it out",
  append: "is not here; use --resume",
  "append-verify": "is not here; use --resume",
  delete: "is not a flag here; use the verb mirror, or sync --delete",
  del: "is not a flag here; use the verb mirror, or sync --delete",
  "delete-before": "is not here; use the verb mirror, which deletes after everything arrived",
  "delete-during": "is not here; use the verb mirror, which deletes after everything arrived",
  "delete-delay": "is not here; use the verb mirror, which deletes after everything arrived",
  "delete-after": "is not here; use the verb mirror, which deletes after everything arrived",
  "remove-source-files": "is not a flag here; use the verb move",
  mirror: "is a verb here: fastsync mirror SOURCE TARGET",
  force: "is not here; leave it out",
  "human-readable": DEFAULT,
  "whole-file": `${DEFAULT} on one machine`,
  "no-whole-file": "is not here; --resume uses what the target already has",
  compress: "is not here: content travels as it is; leave it out",
  rsh: "is not here: other machines are reached through their daemon, HOST:/MODULE/PATH",
  relative: "is not here; --files-from takes paths relative to SOURCE",
  parallel: "is called --streams N between machines, and --workers N on one",
  threads: "is called --workers N",
  jobs: "is called --workers N",
  transfers: "is called --workers N",
  checkers: "is called --workers N",
  "preserve-all": DEFAULT,
  preserve: `${DEFAULT}; the flags --no-perms, --no-times and so on turn parts off`,
  reflink: "is called --copy-method clone; clones are tried first anyway",
  "link-dest": "is not here yet; on a filesystem with reflink, clones cost no space",
  "compare-dest": "is not here yet",
  "copy-dest": "is not here yet",
  "partial-dir": "is not here; unfinished files are kept hidden and resumed by the next run",
  "size-limit": "is called --max-size",
  "no-acl": "is called --no-acls",
  "no-xattr": "is called --no-xattrs",
  "no-permissions": "is called --no-perms",
  "no-mtime": "is called --no-times",
  "omit-dir-times": "is called --no-dir-times",
  "exclude-if-present": "is not here; write a .gitignore-like file and --filter ': NAME'",
  "cvs-exclude": "is not here; use --gitignore, or --filter ':C'",
  "itemize-changes": "is called --itemize",
  interactive: "is not here; mirror asks on a terminal before it deletes",
  silent: "is called --quiet",
  info: "is called --progress; --verbose tells more",
  "no-clobber": "is called --ignore-existing",
  dereference: "is called --copy-links",
};

/** Turned off by `--no-NAME`. */
function part(name: string): string {
  return `${DEFAULT}; --no-${name} turns it off`;
}

const BY_LETTER: Readonly<Record<string, string>> = {
  a: "is the default here, with hard links, ACLs and extended attributes; leave it out",
  r: "is the default here: trees are copied whole; leave it out",
  R: "is the default here: trees are copied whole; leave it out",
  l: BY_LONG["links"]!,
  t: part("times"),
  o: part("owner"),
  g: part("group"),
  D: part("specials"),
  H: part("hard-links"),
  A: part("acls"),
  X: part("xattrs"),
  S: part("sparse"),
  P: "is not here; progress is -p or --progress (-P is for cp and sync), and interrupted large files go on by themselves",
  z: BY_LONG["compress"]!,
  e: BY_LONG["rsh"]!,
  W: BY_LONG["whole-file"]!,
  I: "is called --ignore-times",
  C: BY_LONG["cvs-exclude"]!,
  f: "is called --filter",
  F: "is not here; use --filter ': /.rsync-filter'",
  T: "is called --temp-dir",
  m: "is called --prune-empty-dirs",
  O: "is called --no-dir-times",
  d: "is not here: SOURCE and TARGET are written without flags",
  j: BY_LONG["jobs"]!,
  s: "is not here: SOURCE and TARGET are written without flags",
  V: "is called --version",
};

/** What the letters and words of cp(1) are in the verb that is named after it, where the tables above would mislead. */
const TARGET_LAST = "is not here: TARGET is written last, behind its sources";
const AS_ITSELF =
  "is not here: TARGET is a name of its own when it does not exist, and of a directory SOURCE/ is its content";
const REPLACED = "is the default here: what is in the way is replaced as a whole; leave it out";
const LINKED = "is the default here: links are copied as links; leave it out";
const NO_LINK = "is not here: fastsync copies and makes no links instead";
const ARCHIVE = "is -R here (--recursive); attributes are kept without a flag";

const CP_LONG: Readonly<Record<string, string>> = {
  archive: ARCHIVE,
  "target-directory": TARGET_LAST,
  "no-target-directory": AS_ITSELF,
  force: REPLACED,
  "remove-destination": REPLACED,
  "no-dereference": LINKED,
  link: NO_LINK,
  "symbolic-link": NO_LINK,
  parents: BY_LONG["relative"]!,
  interactive: "is not here; --ignore-existing replaces nothing, --dry-run shows what would be replaced",
};

const CP_LETTER: Readonly<Record<string, string>> = {
  a: ARCHIVE,
  t: TARGET_LAST,
  T: AS_ITSELF,
  f: REPLACED,
  d: LINKED,
  l: NO_LINK,
  s: NO_LINK,
  H: "is not here; --copy-links copies what links point at",
  S: "is called --suffix, with --backup",
};

const DELETES_LAST = "is called --delete here, which deletes after everything arrived";
const IS_MIRROR = "is what mirror does, after everything arrived; leave it out";
const TELLS_DELETIONS = "is told anyway: what a mirror would delete is a part of what explain says; leave it out";

function deletion(verb: VerbName): string | undefined {
  switch (verb) {
    case "sync":
      return DELETES_LAST;
    case "mirror":
      return IS_MIRROR;
    case "explain":
      return TELLS_DELETIONS;
    default:
      return undefined;
  }
}

const DELETIONS = ["delete", "del", "delete-before", "delete-during", "delete-delay", "delete-after"];

/** What find(1) and rm(1) write, and what it is here. */
const LOOK_LONG: Partial<Record<VerbName, Readonly<Record<string, string>>>> = {
  find: {
    iname: "is not here; write a pattern that has both: --name '[Ii][Ss][Oo]*'",
    ipath: "is not here; write a pattern that has both cases with --path",
    delete: "is not here: find removes nothing; fastsync rm does",
    exec: "is not here; --print0 | xargs -0 hands names to other programs",
    print: "is the default here; leave it out",
    mtime: "is called --newer and --older here: --newer 7d",
    mmin: "is called --newer and --older here: --newer 15m",
    maxdepth: "is called --max-depth",
    xdev: "is called --one-file-system",
    mount: "is called --one-file-system",
    ls: "is called --long",
    empty: "is not here; --type f --size 0 finds empty files",
  },
  rm: { force: "is not here; --yes answers the question", interactive: "is the default on a terminal; leave it out" },
};

const LOOK_LETTER: Partial<Record<VerbName, Readonly<Record<string, string>>>> = {
  rm: {
    f: "is not here; --yes (-y) answers the question",
    i: "is the default on a terminal; leave it out",
    I: "is the default on a terminal; leave it out",
  },
};

/** What to write instead of `--name`, as the end of a sentence that begins with the flag. */
export function foreignFlag(name: string, verb: VerbName): string | undefined {
  const own = verb === "cp" ? CP_LONG : LOOK_LONG[verb];
  if (own !== undefined && Object.hasOwn(own, name)) return own[name];
  if (letterSetOf(verb) === "look") return undefined;
  const deleting = DELETIONS.includes(name) ? deletion(verb) : undefined;
  if (deleting !== undefined) return deleting;
  return Object.hasOwn(BY_LONG, name) ? BY_LONG[name] : undefined;
}

export function foreignLetter(letter: string, verb: VerbName): string | undefined {
  const own = verb === "cp" ? CP_LETTER : LOOK_LETTER[verb];
  if (own !== undefined && Object.hasOwn(own, letter)) return own[letter];
  if (letterSetOf(verb) === "look") return undefined;
  return Object.hasOwn(BY_LETTER, letter) ? BY_LETTER[letter] : undefined;
}
