/** The verbs, and what stands after them. */

/** The headings of the overview, in its order. */
export const VERB_GROUPS = ["Transfer", "Look at", "Serve", "Settings"] as const;

export interface VerbInfo {
  readonly group: (typeof VERB_GROUPS)[number];
  /** At most 64 characters: a line of the overview. */
  readonly summary: string;
  readonly usage: string;
  readonly minPlaces: number;
  readonly maxPlaces: number;
  /** Paragraphs of the verb's help, above its flags. */
  readonly notes: readonly string[];
}

const SLASH_NOTE =
  "SOURCE/ with a slash at its end means what is inside it; SOURCE without one means the entry itself, which then appears under its own name in TARGET.";

const PLACES_NOTE =
  "A place is a local path, or HOST:/MODULE/PATH behind a daemon (HOST:PORT:/MODULE/PATH, HOST://PATH below its root, [IPV6]:/MODULE/PATH). A local path that exists comes first.";

export const VERBS = {
  copy: {
    group: "Transfer",
    summary: "copy files and trees; deletes nothing",
    usage: "fastsync copy [flags] SOURCE... TARGET",
    minPlaces: 2,
    maxPlaces: Number.POSITIVE_INFINITY,
    notes: [
      SLASH_NOTE,
      PLACES_NOTE,
      "What is already equal in the target is left alone, so a second run finishes an interrupted one.",
    ],
  },
  mirror: {
    group: "Transfer",
    summary: "make the target equal to the source, deletions included",
    usage: "fastsync mirror [flags] SOURCE TARGET",
    minPlaces: 2,
    maxPlaces: 2,
    notes: [
      SLASH_NOTE,
      PLACES_NOTE,
      "Deletions come last, only after the source was read completely. On a terminal you are asked first; elsewhere nothing is deleted without --yes.",
    ],
  },
  move: {
    group: "Transfer",
    summary: "copy, then remove each source that arrived safely",
    usage: "fastsync move [flags] SOURCE... TARGET",
    minPlaces: 2,
    maxPlaces: Number.POSITIVE_INFINITY,
    notes: [
      SLASH_NOTE,
      PLACES_NOTE,
      "A source is removed only after its own copy is on disk (--fsync is `end` by default here).",
    ],
  },
  check: {
    group: "Transfer",
    summary: "compare two trees and list what differs; exit 1 when they differ",
    usage: "fastsync check [flags] SOURCE TARGET",
    minPlaces: 2,
    maxPlaces: 2,
    notes: [
      SLASH_NOTE,
      PLACES_NOTE,
      "Changes nothing. Compares sizes, times and attributes; --checksum compares contents too.",
    ],
  },
  daemon: {
    group: "Serve",
    summary: "serve directories to other machines",
    usage: "fastsync daemon [flags]",
    minPlaces: 0,
    maxPlaces: 0,
    notes: [
      "Serves the modules of its configuration until SIGTERM or SIGINT, which let running sessions end; a second one stops at once. SIGHUP reads the configuration again. The same as calling the program by the name fastsyncd.",
      "There is no authentication and no encryption yet: listen on loopback, in a network that you trust, or behind ssh -L.",
    ],
  },
  capabilities: {
    group: "Settings",
    summary: "show how files will be copied here, or between two places",
    usage: "fastsync capabilities [--json] [SOURCE TARGET]",
    minPlaces: 0,
    maxPlaces: 2,
    notes: [
      "With two directories it tries each copy method between them. TARGET must be writable: a small temporary file is made there and removed.",
    ],
  },
  config: {
    group: "Settings",
    summary: "show what the configuration says and where, or check it",
    usage: "fastsync config [show|check] [flags]",
    minPlaces: 0,
    maxPlaces: 1,
    notes: [
      "Settings come from the command line, FASTSYNC_* variables, a profile, the remote that is used, ./.fastsync.toml (with --project), ~/.config/fastsync and /etc/fastsync, in this order; docs/configuration.md has the keys.",
    ],
  },
  version: {
    group: "Settings",
    summary: "show the version",
    usage: "fastsync version [--json]",
    minPlaces: 0,
    maxPlaces: 0,
    notes: [],
  },
  help: {
    group: "Settings",
    summary: "show this help, or that of a verb",
    usage: "fastsync help [VERB]",
    minPlaces: 0,
    maxPlaces: 1,
    notes: [],
  },
} as const satisfies Readonly<Record<string, VerbInfo>>;

export type VerbName = keyof typeof VERBS;
export const VERB_NAMES = Object.keys(VERBS) as VerbName[];

export function isVerb(word: string): word is VerbName {
  return Object.hasOwn(VERBS, word);
}

/** Words that other tools use for our verbs. */
export const FOREIGN_VERBS: Readonly<Record<string, VerbName>> = {
  cp: "copy",
  rsync: "copy",
  sync: "mirror",
  clone: "copy",
  mv: "move",
  rename: "move",
  compare: "check",
  diff: "check",
  cmp: "check",
  verify: "check",
  serve: "daemon",
  server: "daemon",
  fastsyncd: "daemon",
  rsyncd: "daemon",
  settings: "config",
  configuration: "config",
  caps: "capabilities",
  features: "capabilities",
};
