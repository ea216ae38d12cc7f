/**
 * The behaviours that are promised, in the order of docs/behaviours.md. A test proves a row by beginning its title, or
 * the title of a group around it, with the row's id. Where it was proved, and as whom, is what the runs say
 * (scripts/behaviours.ts); here is what no run can say: where a row is asked for, and what is not there.
 */

/** Both sides in one process; the target or the sources behind a daemon; about a daemon as such. */
export type Place = "local" | "push" | "pull" | "daemon";

export interface Row {
  readonly id: string;
  readonly what: string;
  readonly level: "must" | "should";
  readonly places: readonly Place[];
  /** What of the row is not there. Where tests hold the rest, the row holds in part; else it is not there yet. */
  readonly open?: string;
  /** A remark on how the row is met. */
  readonly note?: string;
  /** Why rsync is not run beside it. */
  readonly noReference?: string;
}

const EVERYWHERE: readonly Place[] = ["local", "push", "pull"];
const LOCAL: readonly Place[] = ["local"];
const DAEMON: readonly Place[] = ["daemon"];

const RACE = "a race that is not lost proves nothing of the loser";
const MOMENT = "the moment within its run cannot be chosen from outside";
const OURS = "about our own protocol";
const ABSENT = "nothing to compare yet";
const SERVER = "about our own daemon's configuration";

type Extras = Omit<Row, "id" | "what" | "level" | "places">;

function must(id: string, places: readonly Place[], what: string, extras: Extras = {}): Row {
  return { id, what, level: "must", places, ...extras };
}

function should(id: string, places: readonly Place[], what: string, extras: Extras = {}): Row {
  return { id, what, level: "should", places, ...extras };
}

export const ROWS: readonly Row[] = [
  must("B01", EVERYWHERE, "a mirror of a tree of every kind of entry is equal in everything a filesystem records"),
  must("B02", EVERYWHERE, "a second run moves nothing, changes no inode and says that all is up to date"),
  must("B03", EVERYWHERE, "what lands where follows rsync's rules for slashes at the end"),
  must("B04", EVERYWHERE, "single files; missing parents are made, and by a dry run nothing"),
  must("B05", EVERYWHERE, "paths longer than PATH_MAX mirror, and are deleted"),
  must("B06", EVERYWHERE, "names of any character arrive byte for byte"),
  must("B07", EVERYWHERE, "names that are not UTF-8 arrive byte for byte, and are escaped where they are shown"),
  must("B08", EVERYWHERE, "names of 255 bytes, however the temporary is called"),
  must("B09", EVERYWHERE, "a source given ten times is copied once; of two with one name the first wins"),
  must("B10", LOCAL, "1,100 inherited descriptors are no obstacle"),
  should("B11", EVERYWHERE, "--relative", { open: "no such flag; --files-from keeps parents", noReference: ABSENT }),

  must("B12", EVERYWHERE, "same size and time, other bytes: skipped, and copied with --checksum"),
  must("B13", EVERYWHERE, "--size-only, --ignore-times and --modify-window change exactly that decision"),
  must("B14", EVERYWHERE, "--update, --existing and --ignore-existing leave alone what they say"),
  must("B15", EVERYWHERE, "what a killed --update run leaves is not taken for a newer file"),
  must("B16", EVERYWHERE, "every hash and compression that is offered gives the same bytes", {
    open: "neither is offered by name: one digest (XXH3-128), and content travels uncompressed",
    noReference: ABSENT,
  }),

  must("B17", EVERYWHERE, "symbolic links with their exact text and time"),
  should("B18", EVERYWHERE, "--copy-links puts referents in the place of links; loops are failures of their entry", {
    open: "there is no --copy-dirlinks",
  }),
  should("B19", EVERYWHERE, "--safe-links leaves out links that lead out, judged by their text"),
  must("B20", EVERYWHERE, "names of one inode are one inode in the target, and are not without hard links"),
  must("B21", EVERYWHERE, "hard-link groups over workers and batches, present members, single files; sent once"),
  should("B22", EVERYWHERE, "where a filesystem refuses to link, a copy is made", {
    noReference: "-H reports an error there (23) and leaves the other names out: seen on exFAT",
  }),
  must("B23", LOCAL, "a target that is the operator's own link is followed, somebody else's is refused"),
  should("B24", LOCAL, "--keep-dirlinks", { open: "no such flag", noReference: ABSENT }),

  must("B25", EVERYWHERE, "modes at every depth, for root and for users who are subject to them"),
  must("B26", EVERYWHERE, "directory times after entries came, changed and went"),
  must("B27", EVERYWHERE, "set-id bits only where asked for and permitted; without modes the umask counts"),
  must(
    "B28",
    EVERYWHERE,
    "owners by name or number, mapped by --chown and the maps; an unknown one never becomes root",
  ),
  must("B29", EVERYWHERE, "extended attributes of every namespace; extraneous ones go"),
  must("B30", EVERYWHERE, "access and default ACLs of each entry; inherited ones where they are not kept"),
  must("B31", EVERYWHERE, "NFSv4 ACLs of ZFS as they are", {
    open: "shown with a library that stands for ZFS, never on ZFS itself",
    noReference: "it does not carry them",
  }),
  must("B32", EVERYWHERE, "holes stay holes, and the content is the same with and without"),
  must("B33", EVERYWHERE, "FIFOs, sockets and devices are made or counted, and never opened"),
  must("B34", EVERYWHERE, "an attribute that cannot be applied costs neither the data nor the other attributes"),
  should("B35", LOCAL, "reading leaves access times alone", { open: "there is no --atimes" }),

  must("B36", EVERYWHERE, "filter patterns: first match, anchors, directories, **, classes, case", {
    note: "patterns tell case apart on both sides; there is no case-blind form",
  }),
  must("B37", EVERYWHERE, "what filters leave out survives a mirror, and goes with --delete-excluded", {
    note: "deletions have one time, the end",
  }),
  must("B38", EVERYWHERE, "--files-from takes what is listed, and nothing above the source"),
  should("B39", EVERYWHERE, "per-directory rules count for their directory and below; mistakes are named by line"),
  must("B40", EVERYWHERE, "--min-size, --max-size and --prune-empty-dirs"),

  must("B41", EVERYWHERE, "extraneous entries and subtrees go; a dry run lists the very same"),
  must("B42", EVERYWHERE, "more deletions than --max-delete: none is made, exit 25"),
  must("B43", EVERYWHERE, "a source that cannot be read as a whole deletes nothing"),
  must("B44", LOCAL, "a filesystem mounted in the target is neither entered nor removed"),
  must("B45", EVERYWHERE, "types change places without anything being followed or lost", {
    note: "a mirror replaces a directory that is not empty, a copy refuses; there is no --force",
  }),
  must("B46", EVERYWHERE, "move removes a source when its copy is durable; overlapping places destroy nothing"),
  should("B47", EVERYWHERE, "--backup and --backup-dir keep what is replaced and what is deleted"),

  must("B48", EVERYWHERE, "a reader sees old or new content, nothing between; --inplace keeps the inode"),
  must("B49", EVERYWHERE, "killed in the middle: nothing partial under a final name, and the next run goes on"),
  must("B50", EVERYWHERE, "what is there is compared before it is kept: the result is the source as it is now"),
  must("B51", EVERYWHERE, "--temp-dir on another filesystem"),
  must("B52", EVERYWHERE, "read-only files are updated, and never left writable"),
  must("B53", EVERYWHERE, "a full target: old files whole, temporaries gone, documented exit"),
  should("B54", EVERYWHERE, "--link-dest, --copy-dest, --compare-dest", { open: "no such flags", noReference: ABSENT }),
  should("B55", EVERYWHERE, "--delay-updates", { open: "no such flag", noReference: ABSENT }),
  should("B56", EVERYWHERE, "--fuzzy", { open: "no such flag", noReference: ABSENT }),

  must("B57", EVERYWHERE, "a file grows meanwhile: the run ends, later files arrive", { noReference: MOMENT }),
  must("B58", EVERYWHERE, "a file shrinks meanwhile: nothing is padded", { noReference: MOMENT }),
  must("B59", EVERYWHERE, "a file vanishes meanwhile: a warning, exit 24, the rest arrives", { noReference: MOMENT }),
  must("B60", EVERYWHERE, "a file changes while it is read: read again, else named and not put in place", {
    noReference: MOMENT,
  }),

  must("B61", EVERYWHERE, "counts are the truth; -q prints nothing; errors are on stderr"),
  must("B62", EVERYWHERE, "control characters of names are escaped wherever they are shown"),
  must("B63", DAEMON, "a peer that is killed at any moment: the other ends in time, with a documented code", {
    note: "a run within one process has no peer; what is left of one that is killed is B49",
    noReference: OURS,
  }),

  must("B64", DAEMON, "a read-only module takes nothing, a write-only one gives nothing, an unlisted one serves"),
  must("B65", DAEMON, "credentials are checked before any access to files", {
    open: "there is no authentication; docs/daemon.md says so first",
    noReference: ABSENT,
  }),
  must("B66", DAEMON, "a secrets file that others may read closes its module", {
    open: "there are no secrets; only a configuration that everybody may write to is refused",
    noReference: ABSENT,
  }),
  must("B67", DAEMON, "allow and deny by address and network, v4 and v6; what cannot be decided is denied", {
    note: "rules hold addresses and networks only, so nothing is looked up that could fail open",
    noReference: SERVER,
  }),
  must("B68", DAEMON, "sessions have a limit, half-open ones count, crashes give theirs back", { noReference: SERVER }),
  must("B69", DAEMON, "an absolute deadline for the handshake, apart from the idle timeout", { noReference: SERVER }),
  must("B70", DAEMON, "a module below a private directory after the drop of privileges; the module /", {
    open: "the daemon drops no privileges by itself: systemd starts it as who it is to be",
  }),
  must("B71", DAEMON, "a wrong configuration is told clearly; a module that is missing harms no other", {
    noReference: SERVER,
  }),
  should("B72", DAEMON, "a forbidden operation is forbidden by every name it has", {
    open: "modules forbid reading or writing as a whole, not single operations",
    noReference: ABSENT,
  }),
  should("B73", DAEMON, "masks for modes that come and go", {
    open: "only set-id bits can be dropped",
    noReference: ABSENT,
  }),
  should("B74", DAEMON, "hooks before and after a session", { open: "there are none", noReference: ABSENT }),
  must("B75", DAEMON, "neighbouring releases understand each other, or refuse by name", {
    open: "there is one release of the protocol so far; builds and backends that differ are run against each other",
    noReference: OURS,
  }),

  must("S01", EVERYWHERE, "a source's parent flips to a link: nothing outside is read", { noReference: RACE }),
  must("S02", EVERYWHERE, "nor listed", { noReference: RACE }),
  must("S03", EVERYWHERE, "a target's parent flips: nothing is made or renamed outside", { noReference: RACE }),
  must("S04", EVERYWHERE, "nor given modes, owners, times, attributes or ACLs", { noReference: RACE }),
  must("S05", EVERYWHERE, "nor are directories, nodes or links made there", { noReference: RACE }),
  must("S06", EVERYWHERE, "deleting and moving unlink nothing outside", { noReference: RACE }),
  must("S07", EVERYWHERE, "a name changes its type between look and open: not followed, not blocked on", {
    noReference: RACE,
  }),
  must("S08", EVERYWHERE, "links planted in the target are replaced, and not written through"),
  must("S09", EVERYWHERE, "auxiliary paths go through links of root and of the operator only", {
    note: "there are no key or log files",
  }),
  must("S10", EVERYWHERE, "layouts with links that are meant go on working"),

  must("S11", DAEMON, "paths that climb, are absolute, too long or hold NUL are refused", { noReference: OURS }),
  must("S12", DAEMON, "a link that leads out of a module is neither read, listed, written nor deleted through", {
    noReference: OURS,
  }),
  must("S13", DAEMON, "links within a module work with --copy-links; what climbs above its root does not", {
    noReference: OURS,
  }),
  must("S14", DAEMON, "directories that a peer chooses stay in the module, and tell nothing of what is outside", {
    noReference: OURS,
  }),
  must("S15", DAEMON, "a link that somebody planted in a module's own path is not followed", { noReference: SERVER }),
  must("S16", DAEMON, "a hidden part of a module has no other name", {
    open: "modules hide nothing inside them; what is not to be served belongs into no module",
    noReference: ABSENT,
  }),
  must("S17", DAEMON, "links that were uploaded lead nowhere for the daemon", { noReference: OURS }),
  must("S18", DAEMON, "nothing that a caller may say loosens what a module allows", { noReference: OURS }),
  must("S19", DAEMON, "by default no devices, FIFOs, sockets or set-id bits arrive", { noReference: SERVER }),
  should("S20", DAEMON, "restricted roots for ssh", { open: "there is no such mode", noReference: ABSENT }),

  must("S21", DAEMON, "a hostile daemon makes, changes and deletes nothing but what was asked for", {
    noReference: OURS,
  }),
  must("S22", DAEMON, "nor does a link that it sends redirect what it sends later", { noReference: OURS }),
  must("S23", DAEMON, "duplicates, freed numbers, wrong phases: a clean protocol error", { noReference: OURS }),
  must("S24", DAEMON, "lengths, counts and times out of range are refused before anything is allocated", {
    noReference: OURS,
  }),
  must("S25", DAEMON, "floods grow neither stack, memory nor log", { noReference: OURS }),
  must("S26", DAEMON, "a peer neither turns off nor overflows a timeout", { noReference: OURS }),
  must("S27", DAEMON, "a peer does not raise what is allocated for it", { noReference: OURS }),
  must("S28", DAEMON, "nothing that a peer says costs more than linear work, or more threads", {
    note: "blocks are compared at their own positions only, so there are no chains of equal sums to search",
    noReference: OURS,
  }),
  must("S29", DAEMON, "what unpacks to more than its limit is refused with bounded memory", {
    note: "content is never compressed; messages of the control plane may be, as gRPC has it",
    noReference: OURS,
  }),
  must("S30", DAEMON, "a data connection is bound to its session and stream, once", {
    open: "there is no TLS to bind to",
    noReference: OURS,
  }),
  must("S31", DAEMON, "HTTP/2 and protobuf as weapons", { noReference: OURS }),
  must("S32", DAEMON, "one peer has so many sessions, streams and descriptors; slow readers are cut", {
    noReference: OURS,
  }),
  must("S33", ["local", "push", "pull", "daemon"], "names and hosts inject nothing into logs, lines or commands", {
    note: "there are no hooks, and no command is run for a remote place",
  }),
  must("S34", DAEMON, "TLS checks chain and name", { open: "there is no TLS", noReference: ABSENT }),
  must("S35", DAEMON, "no downgrade; secrets are shown nowhere", {
    open: "there are neither TLS nor secrets",
    noReference: ABSENT,
  }),
  must("S36", DAEMON, "PROXY headers from listed peers only", {
    open: "they are not understood: such a connection is closed",
    noReference: ABSENT,
  }),
  must("S37", DAEMON, "a crash ends its session only; fuzzing finds none", {
    open: "sessions share one process: a crash of the native library would end them all",
    noReference: OURS,
  }),
  must("S38", DAEMON, "a caller cannot point a daemon at addresses that are not listed", { noReference: OURS }),
];

/** Begins a title: one or more ids, each followed by a space or a colon. */
const IDS = /^(?:[BS]\d\d(?=[ :,]|$)[ :,]*)+/;

/** The ids that a title begins with. */
export function rowsOf(title: string): string[] {
  return IDS.exec(title)?.[0].match(/[BS]\d\d/g) ?? [];
}
