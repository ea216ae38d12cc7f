/** The verbs, and what stands after them. */

/** The headings of the overview, in its order. */
export const VERB_GROUPS = ["Transfer", "Look at", "Serve", "Settings", "Help"] as const;

/**
 * Which letters the flags of a verb have: a letter means one thing in all verbs of a set. `transfer` is for those who come
 * with the habits of cp(1) and of tools that move data in parallel: `-p` is a number of streams there. `look` is for verbs
 * that people know from ls(1), du(1) and rm(1).
 */
export type LetterSet = "usual" | "transfer" | "look";

/** Words of the verb's own stand first, and perhaps something else behind them. */
export type Operands =
  | "places"
  | "directories"
  | "hosts"
  | "verbs"
  | readonly string[]
  | { readonly first: readonly string[]; readonly next: "hosts" };

export interface VerbInfo {
  readonly group: (typeof VERB_GROUPS)[number];
  /** Default: usual. */
  readonly letters?: LetterSet;
  /** At most 64 characters: a line of the overview. */
  readonly summary: string;
  readonly usage: string;
  /** It is reached as `fastsync utils VERB` and `fastsync-utils VERB` too. */
  readonly utility?: true;
  readonly minPlaces: number;
  readonly maxPlaces: number;
  /** What completion offers in the place of an argument; default: places. */
  readonly operands?: Operands;
  /** Paragraphs of the verb's help, above its flags. */
  readonly notes: readonly string[];
}

const SLASH_NOTE =
  "SOURCE/ with a slash at its end means what is inside it; SOURCE without one means the entry itself, which then appears under its own name in TARGET.";

const PLACES_NOTE =
  "A place is a local path, or HOST:/MODULE/PATH behind a daemon (HOST:PORT:/MODULE/PATH, HOST://PATH below its root, [IPV6]:/MODULE/PATH). A local path that exists comes first.";

const LETTERS_NOTE =
  "Letters: -p is --progress and -c is --checksum here; in cp and sync -p N is --streams, -c SIZE is --chunk-size and -P is --progress.";

/** Those that `completions` writes for. */
export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

const LOOK_NOTE =
  "PLACE is a local path (default: the current directory), HOST:/MODULE/PATH behind a daemon, or NAME:PATH of a configured remote. Its last name is not followed when it is a symbolic link; a local one is with a slash at its end.";

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
      LETTERS_NOTE,
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
      LETTERS_NOTE,
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
      LETTERS_NOTE,
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
      LETTERS_NOTE,
    ],
  },
  cp: {
    group: "Transfer",
    letters: "transfer",
    summary: "copy, as cp is written: -R for directories, -p N streams",
    usage: "fastsync cp [flags] SOURCE... TARGET",
    minPlaces: 2,
    maxPlaces: Number.POSITIVE_INFINITY,
    notes: [
      "Does what copy does. Directories are copied with -R only, so that a slip of the hand does not copy a whole tree.",
      SLASH_NOTE,
      PLACES_NOTE,
      "What is already equal in the target is left alone, and an interrupted transfer goes on where it stopped.",
      "cp -R DIRECTORY NAME makes NAME/DIRECTORY, also when NAME is new; DIRECTORY/ with a slash makes NAME itself. A file takes a new NAME as its own.",
      "Letters that are others than in cp(1): -n is --dry-run, -i --itemize (nobody is asked), -p N --streams and -P --progress; permissions and times are kept without a flag. In copy and mirror -p is --progress and -c is --checksum.",
    ],
  },
  sync: {
    group: "Transfer",
    letters: "transfer",
    summary: "copy what differs; with --delete, make the target equal",
    usage: "fastsync sync [flags] SOURCE TARGET",
    minPlaces: 2,
    maxPlaces: 2,
    notes: [
      "Without --delete it does what copy does, with it what mirror does: what only the target has stays, or goes.",
      SLASH_NOTE,
      PLACES_NOTE,
      "Letters: -p N is --streams, -c SIZE is --chunk-size and -P is --progress here; in copy, mirror, move and check -p is --progress and -c is --checksum.",
    ],
  },
  explain: {
    group: "Transfer",
    summary: "say what a run would decide, and why; touch nothing",
    usage: "fastsync explain [VERB] [flags] SOURCE... TARGET",
    minPlaces: 2,
    maxPlaces: Number.POSITIVE_INFINITY,
    notes: [
      "Looks at both sides as a dry run does, and tells how many files would be copied, what a mirror would delete, which methods would move the data, and the reason of each decision.",
      "Before the line of a run it takes that line as it is, such as fastsync explain mirror -nv A/ B/, tells of that run, and refuses what it would refuse. Without a verb it takes the flags below, and looks as a mirror would.",
      SLASH_NOTE,
      PLACES_NOTE,
    ],
  },
  ls: {
    group: "Look at",
    letters: "look",
    utility: true,
    summary: "list a directory, an entry, or the modules of a daemon",
    usage: "fastsync ls [flags] [PLACE...]",
    minPlaces: 0,
    maxPlaces: Number.POSITIVE_INFINITY,
    notes: [
      LOOK_NOTE,
      "HOST: alone lists the modules that its daemon shows. Names come in the order of their bytes; of a huge directory --limit shows so many, and --after NAME goes on behind them.",
      "The verb list does the same.",
    ],
  },
  find: {
    group: "Look at",
    letters: "look",
    utility: true,
    summary: "find entries of trees by name, type, size or age",
    usage: "fastsync find [flags] [PLACE...]",
    minPlaces: 0,
    maxPlaces: Number.POSITIVE_INFINITY,
    notes: [
      LOOK_NOTE,
      "Everything that is asked has to fit; of several --name, or several --path, one is enough. Patterns are those of filter rules: a star stops at a slash, two stars do not.",
    ],
  },
  du: {
    group: "Look at",
    letters: "look",
    utility: true,
    summary: "show what trees occupy on disk, and what their files add up to",
    usage: "fastsync du [flags] [PLACE...]",
    minPlaces: 0,
    maxPlaces: Number.POSITIVE_INFINITY,
    notes: [LOOK_NOTE, "A file with several names counts once for each PLACE, where it is first met."],
  },
  df: {
    group: "Look at",
    letters: "look",
    utility: true,
    summary: "show how full the file systems of places are",
    usage: "fastsync df [flags] [PLACE...]",
    minPlaces: 0,
    maxPlaces: Number.POSITIVE_INFINITY,
    notes: [LOOK_NOTE],
  },
  "list-modules": {
    group: "Look at",
    letters: "look",
    utility: true,
    summary: "list what daemons serve",
    usage: "fastsync list-modules [flags] HOST...",
    minPlaces: 1,
    maxPlaces: Number.POSITIVE_INFINITY,
    operands: "hosts",
    notes: [
      "HOST, HOST:PORT or [IPV6]:PORT, or NAME of a configured remote. A module that is hidden or closed to you is not shown.",
    ],
  },
  rm: {
    group: "Look at",
    letters: "look",
    utility: true,
    summary: "remove entries here or behind a daemon; asks first",
    usage: "fastsync rm [flags] PLACE...",
    minPlaces: 1,
    maxPlaces: Number.POSITIVE_INFINITY,
    notes: [
      "Removes the entry itself, with or without a slash at its end; directories only with -r. Symbolic links are removed, never followed. On a terminal you are asked first; elsewhere nothing is removed without --yes.",
      "What must not go is refused before anything is removed: the root of a file system, the current directory and those above it, a module itself, a mount point, anything in a read-only module. Mount points within a directory are not entered.",
    ],
  },
  utils: {
    group: "Look at",
    summary: "the utilities under one name, which is also fastsync-utils",
    usage: "fastsync utils VERB [flags] ...",
    minPlaces: 0,
    maxPlaces: 0,
    notes: ["Each of these verbs is also one of fastsync itself."],
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
  jobs: {
    group: "Serve",
    summary: "list, watch or cancel what a daemon does",
    usage: "fastsync jobs [list|watch|cancel] [HOST] [ID]",
    minPlaces: 0,
    maxPlaces: 3,
    operands: { first: ["list", "watch", "cancel"], next: "hosts" },
    notes: [
      "HOST is where the daemon is: HOST, HOST:PORT or [IPV6]:PORT, or NAME of a configured remote; without it the daemon of this machine (127.0.0.1). ID is what --detach, the daemon's log and the list name.",
      "list shows the jobs that run and those that ended last, watch tells what they do (watch ID follows one to its end and exits with its exit code), cancel asks one to stop in order; what is there stays whole.",
      "A daemon tells of your own jobs: those that were started from the same address or, on its own machine, by the same user. With admin = true in its configuration root sees and cancels all of them, on that machine.",
    ],
  },
  scan: {
    group: "Look at",
    utility: true,
    summary: "find the daemons that announce themselves in this network",
    usage: "fastsync scan [--timeout SECONDS] [--json]",
    minPlaces: 0,
    maxPlaces: 0,
    notes: [
      "Asks by mDNS (UDP port 5353) on every interface and lists what answers: name, version, how many modules, and each address with its port as a place begins with it. A daemon answers only with mdns = true in its configuration, and only in the local network.",
      "Whoever is in the network may announce anything under any name: what is listed is no proof of who it is.",
    ],
  },
  capabilities: {
    group: "Settings",
    summary: "show how files will be copied here, or between two places",
    usage: "fastsync capabilities [--json] [SOURCE TARGET]",
    minPlaces: 0,
    maxPlaces: 2,
    operands: "directories",
    notes: [
      "With two directories it tries each copy method between them. TARGET must be writable: a small temporary file is made there and removed.",
    ],
  },
  presets: {
    group: "Settings",
    summary: "show what each --preset turns on",
    usage: "fastsync presets [--json]",
    minPlaces: 0,
    maxPlaces: 0,
    notes: [
      "Presets come with the program; [profiles.NAME] of a configuration are listed after them, and one that has a preset's name stands in its place.",
    ],
  },
  profile: {
    group: "Settings",
    utility: true,
    summary: "show what earlier runs took, and how; or forget it",
    usage: "fastsync profile [show|enable|disable|clear] [--json]",
    operands: ["show", "enable", "disable", "clear"],
    minPlaces: 0,
    maxPlaces: 1,
    notes: [
      "Runs that went well are noted after their summary was printed: how much, how fast and by which means, and no name of a file, a place or a host. --no-history leaves one run out, disable all of them.",
    ],
  },
  config: {
    group: "Settings",
    summary: "show what the configuration says and where, or check it",
    usage: "fastsync config [show|check] [flags]",
    minPlaces: 0,
    maxPlaces: 1,
    operands: ["show", "check"],
    notes: [
      "Settings come from the command line, FASTSYNC_* variables, a profile, the remote that is used, ./.fastsync.toml (with --project), ~/.config/fastsync and /etc/fastsync, in this order; docs/configuration.md has the keys.",
    ],
  },
  doctor: {
    group: "Help",
    summary: "look for what stands in the way, here and at places",
    usage: "fastsync doctor [flags] [PLACE...]",
    minPlaces: 0,
    maxPlaces: Number.POSITIVE_INFINITY,
    notes: [
      "Each line is ok, a warning (it works, with less than it could) or a problem (something will fail), and says what helps. A place is a local path, or HOST:/MODULE/PATH behind a daemon, which is reached for it. In a local directory that can be written to a small temporary file is made and removed.",
    ],
  },
  diagnostics: {
    group: "Help",
    summary: "gather what a bug report needs, without names, paths and secrets",
    usage: "fastsync diagnostics [flags] [PLACE...]",
    minPlaces: 0,
    maxPlaces: Number.POSITIVE_INFINITY,
    notes: [
      "Versions, what doctor finds, and the configuration; of values only numbers, switches and words of fastsync's own. Places are looked at as doctor does, and not named. Nothing is sent anywhere.",
    ],
  },
  completions: {
    group: "Help",
    utility: true,
    summary: "print what makes a shell complete verbs, flags and places",
    usage: "fastsync completions bash|zsh|fish|powershell",
    minPlaces: 1,
    maxPlaces: 1,
    operands: SHELLS,
    notes: [
      "bash: source <(fastsync completions bash), in ~/.bashrc.",
      "zsh: source <(fastsync completions zsh), in ~/.zshrc after compinit.",
      "fish: fastsync completions fish > ~/.config/fish/completions/fastsync.fish",
      "PowerShell: fastsync completions powershell | Out-String | Invoke-Expression, in $PROFILE.",
      "Profiles and remotes come from the configuration, and paths behind a daemon from the daemon, if it answers within a second.",
    ],
  },
  version: {
    group: "Help",
    summary: "show the version",
    usage: "fastsync version [--json]",
    minPlaces: 0,
    maxPlaces: 0,
    notes: [],
  },
  help: {
    group: "Help",
    summary: "show this help, or that of a verb",
    usage: "fastsync help [VERB]",
    minPlaces: 0,
    maxPlaces: 1,
    operands: "verbs",
    notes: [],
  },
} as const satisfies Readonly<Record<string, VerbInfo>>;

export type VerbName = keyof typeof VERBS;
export const VERB_NAMES = Object.keys(VERBS) as VerbName[];

export function letterSetOf(verb: VerbName): LetterSet {
  const { letters }: VerbInfo = VERBS[verb];
  return letters ?? "usual";
}

export function isVerb(word: string): word is VerbName {
  return Object.hasOwn(VERBS, word);
}

/** Those whose line `explain` takes. */
export const EXPLAINED_VERBS: readonly VerbName[] = ["copy", "mirror", "move", "cp", "sync"];

/** Other names of verbs. */
export const VERB_ALIASES: Readonly<Record<string, VerbName>> = { list: "ls" };

export function verbNamed(word: string): VerbName | undefined {
  if (isVerb(word)) return word;
  return Object.hasOwn(VERB_ALIASES, word) ? VERB_ALIASES[word] : undefined;
}

export function isUtility(verb: VerbName): boolean {
  const { utility }: VerbInfo = VERBS[verb];
  return utility === true;
}

/** Verbs of others that are not there yet, and why. */
export const PENDING_VERBS: Readonly<Record<string, string>> = {
  dl: "this build does not speak HTTP",
  download: "this build does not speak HTTP",
};

/** Words that other tools use for our verbs. */
export const FOREIGN_VERBS: Readonly<Record<string, VerbName>> = {
  push: "copy",
  pull: "copy",
  get: "copy",
  put: "copy",
  upload: "copy",
  rsync: "sync",
  scp: "cp",
  clone: "copy",
  mv: "move",
  rename: "move",
  compare: "check",
  diff: "check",
  cmp: "check",
  verify: "check",
  discover: "scan",
  browse: "scan",
  job: "jobs",
  ps: "jobs",
  tasks: "jobs",
  status: "jobs",
  serve: "daemon",
  server: "daemon",
  fastsyncd: "daemon",
  rsyncd: "daemon",
  settings: "config",
  configuration: "config",
  bugreport: "diagnostics",
  checkup: "doctor",
  health: "doctor",
  completion: "completions",
  autocomplete: "completions",
  caps: "capabilities",
  dir: "ls",
  modules: "list-modules",
  search: "find",
  locate: "find",
  delete: "rm",
  del: "rm",
  remove: "rm",
  purge: "rm",
  utilities: "utils",
  features: "capabilities",
};
