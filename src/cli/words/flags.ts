/**
 * The flag table: the one place that knows which flags exist. The parser, the help (and what else is made from it, such
 * as man page and completions) read it; `resolve-options.ts` gives the flags their meaning.
 */
import { type LetterSet, letterSetOf, VERB_NAMES, type VerbName } from "./verbs.ts";

export const GROUPS = [
  "General",
  "Output",
  "Comparing",
  "Selecting",
  "Deleting",
  "Writing",
  "Attributes",
  "Speed",
  "Network",
  "Serving",
] as const;

export interface Flag {
  readonly name: string;
  /** Its letters in each set, the first of which is shown; a string is the letters in every set. */
  readonly short?: string | Readonly<Partial<Record<LetterSet, string>>>;
  readonly verbs: readonly VerbName[];
  /** Absent: the flag takes no value. */
  readonly value?: {
    readonly hint: string;
    /** The value may be left out; it is then written only as --flag=value. */
    readonly optional?: true;
    readonly choices?: readonly string[];
  };
  readonly repeatable?: true;
  readonly group: (typeof GROUPS)[number];
  readonly help: string;
  /** What is said in its place in the help of single verbs. */
  readonly helpIn?: Readonly<Partial<Record<VerbName, string>>>;
  /** Flags that contradict this one. One direction is enough. */
  readonly conflicts?: readonly string[];
  /** One of these must be given too, in verbs that have any of them. */
  readonly needs?: readonly string[];
}

/** Verbs that look at places and daemons. */
const LOOK = ["ls", "find", "du", "df", "rm", "list-modules"] as const;
/** Verbs that run over trees, and those of them that write. */
const RUN = ["copy", "mirror", "move", "check", "cp", "sync"] as const;
const WRITING_RUN = ["copy", "mirror", "move", "cp", "sync"] as const;
/** The same, and the verb that tells what they would do. */
const TREE = [...RUN, "explain"] as const;
const WRITE = [...WRITING_RUN, "explain"] as const;
/** Verbs that may delete in the target, or tell what would be deleted. */
const DELETING = ["mirror", "sync", "explain"] as const;
const DAEMON = ["daemon"] as const;
/** Verbs that a configuration of runs concerns. */
const CONFIGURED = [...TREE, "config", "doctor", "diagnostics"] as const;
/** Verbs that read the same files. */
const READS_FILES = [...CONFIGURED, ...LOOK, "jobs", "presets"] as const;

export const COPY_METHODS = ["clone", "copy_file_range", "sendfile", "mmap", "read_write"] as const;
export const FSYNC_CHOICES = ["none", "file", "end"] as const;

const ASKS_NOTHING = "for lines that are used with mirror too: nothing is deleted here, and nothing asked";

const TABLE = [
  // General
  {
    name: "dry-run",
    short: "n",
    verbs: [...WRITING_RUN, "rm"],
    group: "General",
    help: "show what would happen; touch nothing",
  },
  {
    name: "yes",
    short: "y",
    verbs: [...WRITING_RUN, "rm"],
    group: "General",
    help: "answer yes to the question before deletions",
    helpIn: {
      copy: ASKS_NOTHING,
      move: ASKS_NOTHING,
      cp: ASKS_NOTHING,
      rm: "answer yes to the question before anything is removed",
    },
  },
  {
    name: "retry",
    verbs: WRITING_RUN,
    value: { hint: "N" },
    group: "General",
    help: "try a failed run again up to N times",
  },
  {
    name: "wait",
    verbs: WRITING_RUN,
    value: { hint: "SECONDS" },
    group: "General",
    help: "pause before each --retry (default 1)",
    needs: ["retry"],
  },
  {
    name: "profile",
    verbs: CONFIGURED,
    value: { hint: "NAME" },
    group: "General",
    help: "use the settings of [profiles.NAME], or those of the preset of that name",
  },
  {
    name: "preset",
    verbs: CONFIGURED,
    value: { hint: "NAME" },
    group: "General",
    help: "use a set of settings that comes with the program; fastsync presets shows them",
  },
  {
    name: "config",
    verbs: [...READS_FILES, ...DAEMON],
    value: { hint: "FILE" },
    group: "General",
    help: "read this configuration (default: config.toml and conf.d of /etc/fastsync; for runs ~/.config/fastsync too)",
    conflicts: ["config-dir", "no-config"],
  },
  { name: "no-config", verbs: READS_FILES, group: "General", help: "read no configuration file" },
  {
    name: "project",
    verbs: READS_FILES,
    group: "General",
    help: "read ./.fastsync.toml too",
    conflicts: ["no-config"],
  },
  { name: "no-history", verbs: WRITING_RUN, group: "General", help: "do not note this run for fastsync profile" },
  { name: "help", short: "h", verbs: VERB_NAMES, group: "General", help: "show this help" },
  { name: "version", verbs: VERB_NAMES, group: "General", help: "show the version" },

  // Output
  {
    name: "verbose",
    short: "v",
    verbs: [...RUN, "rm"],
    group: "Output",
    help: "list every item, and more in the summary",
  },
  {
    name: "quiet",
    short: "q",
    verbs: [...RUN, "rm", "jobs"],
    group: "Output",
    help: "print nothing but errors",
    helpIn: { jobs: "of watch ID and cancel: print nothing but errors; the exit code tells" },
    conflicts: ["verbose", "progress", "itemize", "stats"],
  },
  {
    name: "progress",
    short: { usual: "p", transfer: "P" },
    verbs: RUN,
    group: "Output",
    help: "show progress: a live line on a terminal (the default there), else a line each second on stderr",
    conflicts: ["no-progress"],
  },
  { name: "no-progress", verbs: RUN, group: "Output", help: "show no progress" },
  { name: "itemize", short: "i", verbs: RUN, group: "Output", help: "list every item with the reason why" },
  {
    name: "stats",
    verbs: RUN,
    group: "Output",
    help: "end with statistics: numbers by kind, bytes, speedup, time by phase",
  },
  {
    name: "log-file",
    verbs: RUN,
    value: { hint: "FILE" },
    group: "Output",
    help: "add every item, failure and the summary to FILE, as --json writes them",
  },
  {
    name: "json",
    verbs: [
      ...TREE,
      ...LOOK,
      "jobs",
      "scan",
      "capabilities",
      "presets",
      "profile",
      "config",
      "doctor",
      "diagnostics",
      "version",
    ],
    group: "Output",
    help: "one JSON object a line on stdout; text for people goes to stderr",
  },

  {
    name: "long",
    short: { look: "l" },
    verbs: ["ls", "find"],
    group: "Output",
    help: "show mode, names, owner, group, size and time too",
  },
  {
    name: "bytes",
    short: { look: "b" },
    verbs: ["ls", "find", "du", "df"],
    group: "Output",
    help: "show sizes in bytes",
  },
  {
    name: "print0",
    verbs: ["find"],
    group: "Output",
    help: "names as they are, each ended by a NUL byte, for xargs -0 and --files-from",
    conflicts: ["json", "long"],
  },
  {
    name: "summarize",
    short: { look: "s" },
    verbs: ["du"],
    group: "Output",
    help: "show each PLACE only, as --max-depth 0 does",
    conflicts: ["max-depth"],
  },
  {
    name: "limit",
    verbs: ["ls", "find", "jobs"],
    value: { hint: "N" },
    group: "Output",
    help: "stop after N entries",
    helpIn: { jobs: "of list: show the N latest" },
  },
  { name: "after", verbs: ["ls"], value: { hint: "NAME" }, group: "Output", help: "begin behind this name" },

  // Comparing
  {
    name: "checksum",
    short: { usual: "c" },
    verbs: TREE,
    group: "Comparing",
    help: "compare contents, not only size and time",
    conflicts: ["size-only", "ignore-times"],
  },
  {
    name: "size-only",
    verbs: TREE,
    group: "Comparing",
    help: "files of equal size are equal",
    conflicts: ["ignore-times"],
  },
  { name: "ignore-times", verbs: WRITE, group: "Comparing", help: "copy also what has equal size and time" },
  {
    name: "modify-window",
    verbs: TREE,
    value: { hint: "SECONDS" },
    group: "Comparing",
    help: "times that differ by no more are equal: 2, 0.5, 100ms, 1us, 10ns",
  },
  { name: "ignore-existing", verbs: WRITE, group: "Comparing", help: "leave alone what exists in the target" },
  { name: "existing", verbs: WRITE, group: "Comparing", help: "create nothing new in the target" },
  {
    name: "update",
    short: "u",
    verbs: WRITE,
    group: "Comparing",
    help: "leave files alone that are newer in the target",
  },

  // Selecting
  {
    name: "recursive",
    short: { transfer: "Rr", look: "rR" },
    verbs: ["cp", "sync", "rm"],
    group: "Selecting",
    help: "take directories with all that is in them (-r and -R alike)",
    helpIn: { sync: "done anyway: directories are taken with all that is in them (-r and -R alike)" },
  },
  { name: "all", short: { look: "a" }, verbs: ["ls"], group: "Selecting", help: "names that begin with a dot too" },
  {
    name: "directory",
    short: { look: "d" },
    verbs: ["ls"],
    group: "Selecting",
    help: "the directory itself, not what is in it",
  },
  {
    name: "name",
    verbs: ["find"],
    value: { hint: "PATTERN" },
    repeatable: true,
    group: "Selecting",
    help: "whose name matches: '*.iso'",
  },
  {
    name: "path",
    verbs: ["find"],
    value: { hint: "PATTERN" },
    repeatable: true,
    group: "Selecting",
    help: "whose path below PLACE matches as a whole: 'src/**/*.c'",
  },
  {
    name: "type",
    verbs: ["find"],
    value: { hint: "LIST" },
    group: "Selecting",
    help: "of these types: f (file), d (directory), l (link), p (FIFO), s (socket), c, b (devices)",
  },
  {
    name: "size",
    verbs: ["find"],
    value: { hint: "SIZE" },
    repeatable: true,
    group: "Selecting",
    help: "files of that size; of more with a + before it, of less with a -: +100M, -4K",
  },
  {
    name: "newer",
    verbs: ["find"],
    value: { hint: "AGE" },
    group: "Selecting",
    help: "modified since then: 90s, 15m, 2h, 7d, 4w, 1y, or a date such as 2024-12-31",
  },
  { name: "older", verbs: ["find"], value: { hint: "AGE" }, group: "Selecting", help: "not modified since then" },
  {
    name: "max-depth",
    verbs: ["find", "du"],
    value: { hint: "N" },
    group: "Selecting",
    help: "go (du: show) so many levels deep; 0 is PLACE itself",
  },
  {
    name: "exclude",
    verbs: TREE,
    value: { hint: "PATTERN" },
    repeatable: true,
    group: "Selecting",
    help: "leave out what matches (rsync patterns; the first rule that matches decides)",
  },
  {
    name: "include",
    verbs: TREE,
    value: { hint: "PATTERN" },
    repeatable: true,
    group: "Selecting",
    help: "keep what matches, whatever later rules say",
  },
  {
    name: "filter",
    verbs: TREE,
    value: { hint: "RULE" },
    repeatable: true,
    group: "Selecting",
    help: "add an rsync filter rule, such as '- *.o'",
  },
  {
    name: "exclude-from",
    verbs: TREE,
    value: { hint: "FILE" },
    repeatable: true,
    group: "Selecting",
    help: "read exclude patterns from FILE, one a line (- is stdin)",
  },
  {
    name: "include-from",
    verbs: TREE,
    value: { hint: "FILE" },
    repeatable: true,
    group: "Selecting",
    help: "read include patterns from FILE, one a line (- is stdin)",
  },
  {
    name: "files-from",
    verbs: TREE,
    value: { hint: "FILE" },
    group: "Selecting",
    help: "take only the paths listed in FILE, relative to SOURCE (- is stdin)",
  },
  {
    name: "from0",
    short: "0",
    verbs: TREE,
    group: "Selecting",
    help: "entries of the --*-from files end with a NUL byte, not with a newline",
    needs: ["files-from", "exclude-from", "include-from"],
  },
  { name: "gitignore", verbs: TREE, group: "Selecting", help: "leave out what .gitignore files leave out" },
  {
    name: "min-size",
    verbs: TREE,
    value: { hint: "SIZE" },
    group: "Selecting",
    help: "leave out smaller files: 100K, 1.5G",
  },
  { name: "max-size", verbs: TREE, value: { hint: "SIZE" }, group: "Selecting", help: "leave out larger files" },
  {
    name: "min-age",
    verbs: TREE,
    value: { hint: "AGE" },
    group: "Selecting",
    help: "leave out files modified more recently: 90s, 15m, 2h, 7d, 4w, 1y, or a date such as 2024-12-31",
  },
  {
    name: "max-age",
    verbs: TREE,
    value: { hint: "AGE" },
    group: "Selecting",
    help: "leave out files modified longer ago",
  },
  {
    name: "one-file-system",
    short: "x",
    verbs: [...TREE, "find", "du"],
    group: "Selecting",
    help: "do not enter other mounted filesystems",
  },
  {
    name: "copy-links",
    short: "L",
    verbs: TREE,
    group: "Selecting",
    help: "copy what symbolic links point at, not the links",
  },
  {
    name: "safe-links",
    verbs: TREE,
    group: "Selecting",
    help: "leave out symbolic links that are absolute or lead out of the tree",
  },
  {
    name: "prune-empty-dirs",
    verbs: TREE,
    group: "Selecting",
    help: "leave out directories that have nothing but directories in them and below",
  },

  // Deleting
  {
    name: "delete",
    verbs: ["sync"],
    group: "Deleting",
    help: "delete what the source does not have, after everything arrived",
  },
  {
    name: "delete-excluded",
    verbs: DELETING,
    group: "Deleting",
    help: "also delete what the filters leave out",
    needs: ["delete"],
  },
  {
    name: "max-delete",
    verbs: DELETING,
    value: { hint: "N|P%" },
    group: "Deleting",
    help: "delete nothing when it would be more than N entries, or P% of the target (default: over 100 and over half)",
    needs: ["delete"],
  },
  {
    name: "allow-empty-source",
    verbs: DELETING,
    group: "Deleting",
    help: "an empty source may empty the target",
    needs: ["delete"],
  },

  // Writing
  {
    name: "inplace",
    verbs: WRITE,
    group: "Writing",
    help: "write into existing files; an interruption leaves them half-written",
    // A half-written file is newer than its source: with --update no later run would finish it.
    conflicts: ["temp-dir", "backup", "backup-dir", "update"],
  },
  {
    name: "temp-dir",
    verbs: WRITE,
    value: { hint: "DIR" },
    group: "Writing",
    help: "write temporary files in DIR (relative to TARGET, made when missing), not beside the target",
  },
  {
    name: "backup",
    short: { usual: "b", transfer: "b" },
    verbs: WRITE,
    group: "Writing",
    help: "keep what is replaced or deleted, under its name plus --suffix",
  },
  {
    name: "backup-dir",
    verbs: WRITE,
    value: { hint: "DIR" },
    group: "Writing",
    help: "keep what is replaced or deleted below DIR (relative to TARGET)",
  },
  {
    name: "suffix",
    verbs: WRITE,
    value: { hint: "TEXT" },
    group: "Writing",
    help: "what --backup adds to names (default ~, or nothing with --backup-dir)",
    needs: ["backup", "backup-dir"],
  },
  {
    name: "resume",
    verbs: WRITE,
    group: "Writing",
    help: "use what the target already has of a differing file, after comparing it (large files from another machine: always, where the filesystem can share blocks)",
  },
  {
    name: "fsync",
    verbs: WRITE,
    value: { hint: "WHEN", choices: FSYNC_CHOICES },
    group: "Writing",
    help: "wait until data is on disk: none, file (each file) or end (of the run); default none, for move end",
  },
  {
    name: "verify",
    verbs: WRITE,
    value: { hint: "readback", optional: true, choices: ["readback"] },
    group: "Writing",
    help: "compare what landed with the source, byte by byte; =readback reads it back from disk",
  },

  // Attributes
  {
    name: "numeric-ids",
    verbs: TREE,
    group: "Attributes",
    help: "keep owner and group by number; between machines they go by name where both know it",
  },
  {
    name: "chown",
    verbs: TREE,
    value: { hint: "USER:GROUP" },
    group: "Attributes",
    help: "give everything this owner and group; either may be left out",
  },
  {
    name: "usermap",
    verbs: TREE,
    value: { hint: "FROM:TO,..." },
    group: "Attributes",
    help: "give what belongs to user FROM (a name, a pattern, a number, 100-199, or * for everybody) to user TO; the first that fits counts",
  },
  {
    name: "groupmap",
    verbs: TREE,
    value: { hint: "FROM:TO,..." },
    group: "Attributes",
    help: "the same for groups",
  },
  { name: "no-perms", verbs: TREE, group: "Attributes", help: "do not keep permissions" },
  { name: "no-times", verbs: TREE, group: "Attributes", help: "do not keep modification times" },
  { name: "no-owner", verbs: TREE, group: "Attributes", help: "do not keep owners" },
  { name: "no-group", verbs: TREE, group: "Attributes", help: "do not keep groups" },
  { name: "no-xattrs", verbs: TREE, group: "Attributes", help: "do not keep extended attributes" },
  { name: "no-acls", verbs: TREE, group: "Attributes", help: "do not keep access control lists" },
  { name: "no-hard-links", verbs: TREE, group: "Attributes", help: "copy each name of a hard-linked file on its own" },
  { name: "no-specials", verbs: TREE, group: "Attributes", help: "leave out FIFOs, sockets and devices" },
  { name: "no-sparse", verbs: WRITE, group: "Attributes", help: "write holes of sparse files as zeros" },
  { name: "no-dir-times", verbs: TREE, group: "Attributes", help: "do not keep modification times of directories" },
  {
    name: "no-strict-attrs",
    verbs: WRITE,
    group: "Attributes",
    help: "exit 0, not 23, when attributes could not be applied; a move then removes their sources",
  },

  // Speed
  {
    name: "bwlimit",
    verbs: WRITE,
    value: { hint: "RATE" },
    group: "Speed",
    help: "move at most RATE bytes a second: 500K, 10M (0: no limit)",
  },
  {
    name: "chunk-size",
    short: { transfer: "c" },
    verbs: WRITE,
    value: { hint: "SIZE" },
    group: "Speed",
    help: "move large files in ranges of SIZE: 1M to 64M (default: 8 to 32 MiB, by their size)",
  },
  {
    name: "buffer-size",
    verbs: WRITE,
    value: { hint: "SIZE" },
    group: "Speed",
    help: "let at most SIZE of content be on its way at a time, at least 1M (default: what keeps all busy)",
  },
  {
    name: "small-file-size",
    verbs: WRITE,
    value: { hint: "SIZE" },
    group: "Speed",
    help: "files below SIZE travel whole, many at a time: up to 16M (default 1M)",
  },
  {
    name: "workers",
    verbs: TREE,
    value: { hint: "N" },
    group: "Speed",
    help: "threads that do the work (default: chosen by device and work)",
  },
  {
    name: "copy-method",
    verbs: WRITE,
    value: { hint: "LIST" },
    group: "Speed",
    help: `use only these methods, comma-separated: ${COPY_METHODS.join(", ")}`,
    conflicts: ["zero-copy", "no-zero-copy"],
  },
  {
    name: "zero-copy",
    verbs: WRITE,
    group: "Speed",
    help: "let the kernel copy (the default); overrides FASTSYNC_NO_ZERO_COPY",
    conflicts: ["no-zero-copy"],
  },
  { name: "no-zero-copy", verbs: WRITE, group: "Speed", help: "copy only by read and write" },

  // Network
  {
    name: "force-grpc",
    verbs: TREE,
    group: "Network",
    help: "send content through the control connection, without trying the data port",
  },
  {
    name: "trace-data-plane",
    verbs: RUN,
    group: "Network",
    help: "tell on stderr of each connection that carries content: opened, how much it carried, how it ended",
    conflicts: ["quiet"],
  },
  {
    name: "streams",
    short: { transfer: "p" },
    verbs: TREE,
    value: { hint: "N" },
    group: "Network",
    help: "data connections at most (default: as many as help)",
    conflicts: ["force-grpc"],
  },
  {
    name: "tcp-send-buffer",
    verbs: WRITE,
    value: { hint: "SIZE" },
    group: "Network",
    help: "what the kernel holds for each data connection on its way out (default: as it learns the line)",
  },
  {
    name: "tcp-recv-buffer",
    verbs: WRITE,
    value: { hint: "SIZE" },
    group: "Network",
    help: "the same on its way in",
  },
  {
    name: "detach",
    verbs: WRITING_RUN,
    group: "Network",
    help: "between two daemons: leave once the run goes on without us, and print its job's id",
    conflicts: ["dry-run", "progress"],
  },

  {
    name: "timeout",
    verbs: ["scan"],
    value: { hint: "SECONDS" },
    group: "Network",
    help: "listen so long for answers (default 2)",
  },

  // Serving
  {
    name: "config-dir",
    verbs: DAEMON,
    value: { hint: "DIR" },
    group: "Serving",
    help: "the directory of config.toml and conf.d (default /etc/fastsync)",
  },
  {
    name: "bind",
    verbs: DAEMON,
    value: { hint: "ADDRESS" },
    repeatable: true,
    group: "Serving",
    help: "listen on this IP address (default 127.0.0.1); 0.0.0.0 or :: for all",
  },
  {
    name: "port",
    verbs: DAEMON,
    value: { hint: "PORT" },
    group: "Serving",
    help: "the control port (default 9040); 0 takes any free one",
  },
  {
    name: "data-port",
    verbs: DAEMON,
    value: { hint: "PORT" },
    group: "Serving",
    help: "the port for contents (default: the one after --port); 0: none, contents travel in the control connection",
  },
  {
    name: "root",
    verbs: DAEMON,
    value: { hint: "DIR" },
    group: "Serving",
    help: "serve this directory as host://, read-only unless the configuration says otherwise",
  },
  { name: "no-mdns", verbs: DAEMON, group: "Serving", help: "do not announce the daemon", conflicts: ["mdns-name"] },
  {
    name: "mdns-name",
    verbs: DAEMON,
    value: { hint: "NAME" },
    group: "Serving",
    help: "announce the daemon under this name",
  },
  {
    name: "force-grpc-data",
    verbs: DAEMON,
    group: "Serving",
    help: "let contents travel in the control connection, even where the data port can be reached",
  },
] as const satisfies readonly Flag[];

export type FlagName = (typeof TABLE)[number]["name"];

/** The table under its general type. */
export const FLAGS: readonly (Flag & { readonly name: FlagName })[] = TABLE;

const BY_NAME = new Map<string, (typeof FLAGS)[number]>(FLAGS.map((flag) => [flag.name, flag]));

export function flagNamed(name: string): (typeof FLAGS)[number] | undefined {
  return BY_NAME.get(name);
}

/** The letters of a flag in a verb, the first of which is shown. */
export function lettersOf({ short }: Flag, verb: VerbName): string {
  return typeof short === "string" ? short : (short?.[letterSetOf(verb)] ?? "");
}

/** The help line of a flag in a verb. */
export function helpOf({ help, helpIn }: Flag, verb: VerbName): string {
  return helpIn?.[verb] ?? help;
}

/** Whichever flag has this letter in the verb's set, also one that the verb has no use for. */
export function flagOfLetter(letter: string, verb: VerbName): (typeof FLAGS)[number] | undefined {
  return FLAGS.find((flag) => lettersOf(flag, verb).includes(letter));
}

export function flagsOf(verb: VerbName): (typeof FLAGS)[number][] {
  return FLAGS.filter((flag) => flag.verbs.includes(verb));
}
