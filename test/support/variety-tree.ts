/**
 * The variety tree: one tree that holds every type, attribute and kind of name which a copy must carry, the same at
 * every build. A mirror of it that the differ finds equal is the program's first promise.
 */
import { bytesOf } from "../../src/core/paths.ts";
import { encodeAcl } from "./acl.ts";
import { listXattrs, setXattr } from "./libc.ts";
import { type Attributes, type Name, noise, TreeBuilder } from "./tree.ts";

export interface VarietyOptions {
  /** Devices, foreign owners, trusted.* and security.*. Default: whether we are root. */
  readonly privileged?: boolean;
  /** Default true: the filesystem's own limits are found out by trying. */
  readonly xattrs?: boolean;
  readonly acls?: boolean;
}

const SECOND = 1_000_000_000n;

/** Seconds that programs get wrong: before the epoch, at it, and past 32 bits signed. */
const TIMES: readonly bigint[] = [
  1_600_000_000n * SECOND + 123_456_789n,
  -1n,
  -86_400n * 365n * SECOND + 500_000_001n,
  0n,
  1n,
  2_147_483_647n * SECOND + 999_999_999n,
  2_147_483_648n * SECOND,
  4_000_000_000n * SECOND + 7n,
];

const FILE_MODES = [0o644, 0o600, 0o755, 0o4755, 0o2755, 0o000, 0o444, 0o6711, 0o1644, 0o111] as const;
const DIRECTORY_MODES = [0o755, 0o700, 0o1777, 0o2775, 0o555, 0o711, 0o3770, 0o750] as const;
const SIZES = [0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 262144, 1048579] as const;

const raw = (...parts: (string | number)[]): Uint8Array =>
  Buffer.concat(parts.map((part) => (typeof part === "number" ? Buffer.from([part]) : Buffer.from(part))));

/** Names that break programs which take paths for text, options, patterns or lines. */
export const HOSTILE_NAMES: readonly Uint8Array[] = [
  ...[" ", " leading", "trailing ", "two  spaces", "new\nline", "\n", "tab\there", "carriage\rreturn", "quote'single"],
  ...['quote"double', "back\\slash", "\\n", "$HOME", "`id`", "$(id)", ";id", "a|b", "a&b", "a>b", "-", "--", "-rf"],
  ...[
    "--delete",
    "*",
    "?",
    "[a-z]",
    "**",
    "{a,b}",
    "!bang",
    "#hash",
    "~",
    "~root",
    "%s%n",
    "...",
    "trailing.",
    ".hidden",
  ],
  ...[
    "host:path",
    "C:\\x",
    "a=b",
    "+x",
    ":",
    "\u00e9",
    "e\u0301",
    "\u65e5\u672c\u8a9e",
    "\ud83d\ude00",
    "\u202egpj.exe",
  ],
  ...["\u2028", "\u0001\u001b[31mred\u001b[0m", "\u007f", "CON", "nul.txt", "a".repeat(255), ".fastsync", "x~"],
].map((name) => bytesOf(name));

/** Names that are not UTF-8 at all. */
export const RAW_NAMES: readonly Uint8Array[] = [
  raw(0xff),
  raw(0xf9),
  raw("a", 0xff, "b"),
  raw("cut-", 0xc3),
  raw("cut-", 0xe2, 0x82),
  raw("cut-", 0xf0, 0x9f, 0x98),
  raw("long-", 0xc0, 0xaf),
  raw("half-", 0xed, 0xa0, 0x80),
  raw("c1-", 0x9b, "31m"),
  raw("latin-", 0xe9, 0x74, 0xe9),
  raw(0xff, "x".repeat(253), 0xfe),
];

/** Builds it below `root` (made if missing) and says what this place or user cannot hold. */
export function buildVarietyTree(root: Name, options: VarietyOptions = {}): { skipped: string[] } {
  const tree = new TreeBuilder(root);
  const skipped: string[] = [];
  const privileged = options.privileged ?? process.getuid?.() === 0;
  const xattrs = (options.xattrs ?? true) && takesXattr(tree.root, "user.probe", bytesOf("x"));
  const aclText = "user::rwx,user:12345:r-x,group::r-x,group:23456:-w-,mask::rwx,other::---";
  const acls = (options.acls ?? true) && takesXattr(tree.root, "system.posix_acl_access", encodeAcl(PLAIN_ACL));
  if (!privileged) skipped.push("devices, owners, trusted and security attributes: not root");
  if (!xattrs) skipped.push("extended attributes: not on this filesystem");
  if (!acls) skipped.push("POSIX ACLs: not on this filesystem");

  addLevels(tree, privileged);
  addNames(tree);
  addHardLinks(tree);
  addSparse(tree);
  addSymlinks(tree);
  if (xattrs) addXattrs(tree, privileged);
  if (acls) addAcls(tree, aclText);
  tree.dir("", { mode: 0o751, mtimeNs: 1_234_567_890_123_456_789n });
  tree.finish();
  return { skipped };
}

const PLAIN_ACL = "user::rwx,group::r-x,other::r-x";

function takesXattr(path: Uint8Array, name: string, value: Uint8Array): boolean {
  try {
    setXattr(path, name, value);
  } catch {
    return false;
  }
  return name.startsWith("system.") || listXattrs(path).includes(name);
}

function timeOf(index: number): bigint {
  return TIMES[index % TIMES.length]! + BigInt(index);
}

/** Eight levels, each with files of telling sizes and modes, the special types, and an empty directory. */
function addLevels(tree: TreeBuilder, privileged: boolean): void {
  let directory = "";
  for (let level = 0; level <= 8; level++) {
    const owner: Attributes = privileged ? { uid: 1000 + level, gid: 2000 + level } : {};
    if (level > 0) {
      directory += `${level === 1 ? "" : "/"}level${level}`;
      const mode = privileged ? DIRECTORY_MODES[level - 1]! : DIRECTORY_MODES[level - 1]! | 0o700;
      tree.dir(directory, { ...owner, mode, mtimeNs: timeOf(level) });
    }
    const at = (name: string) => (directory === "" ? name : `${directory}/${name}`);
    for (let i = 0; i < 3; i++) {
      const number = level * 3 + i;
      const size = SIZES[number % SIZES.length]!;
      const mode = FILE_MODES[number % FILE_MODES.length]!;
      /* An ordinary user could not read those modes back. */
      const readable = privileged ? mode : mode | 0o400;
      tree.file(at(`file${i}`), noise(size, number + 1), { ...owner, mode: readable, mtimeNs: timeOf(number) });
    }
    tree.dir(at("empty"), { ...owner, mtimeNs: timeOf(level + 100) });
    tree.special(at("fifo"), "fifo", [0, 0], { ...owner, mode: 0o640, mtimeNs: timeOf(level + 3) });
    tree.special(at("socket"), "socket", [0, 0], { ...owner, mode: 0o755, mtimeNs: timeOf(level + 4) });
    tree.symlink(at("to-file"), "file0", { ...owner, mtimeNs: timeOf(level + 5) });
    if (!privileged) continue;
    tree.special(at("char"), "char", [1, 3 + level], { ...owner, mode: 0o666, mtimeNs: timeOf(level + 6) });
    tree.special(at("block"), "block", [259, 70000 + level], { ...owner, mode: 0o660, mtimeNs: timeOf(level + 7) });
  }
}

function addNames(tree: TreeBuilder): void {
  const names = [...HOSTILE_NAMES, ...RAW_NAMES];
  names.forEach((name, index) => {
    tree.file(join("level1/level2/names", name), `name ${index}`, { mtimeNs: timeOf(index) });
  });
  for (const name of RAW_NAMES) {
    const directory = join("level1/level2/level3/directories", name);
    tree.file(join(directory, name), "inside", { mtimeNs: 5n }).dir(directory, { mode: 0o750, mtimeNs: 6n });
    tree.symlink(join("level1/links", name), name, { mtimeNs: 7n });
  }
  tree.dir("level1/level2/names", { mtimeNs: 8n });
  tree.dir("level1/level2/level3/directories", { mtimeNs: 9n });
  tree.dir("level1/links", { mtimeNs: 10n });
}

function join(directory: Name, name: Name): Uint8Array {
  return Buffer.concat([Buffer.from(directory), Buffer.from("/"), Buffer.from(name)]);
}

/** Groups whose members lie levels apart; a link and a FIFO have second names too. */
function addHardLinks(tree: TreeBuilder): void {
  const deep = "level1/level2/level3/level4/level5/level6/level7/level8";
  tree.file("linked-a", noise(5000, 77), { mode: 0o640, mtimeNs: 11n });
  tree.hardlink("level1/linked-b", "linked-a").hardlink(`${deep}/linked-c`, "linked-a");
  tree.file(`${deep}/pair`, noise(100_000, 78), { mtimeNs: 12n }).hardlink("0-pair", `${deep}/pair`);
  tree.file("level1/empty-a", "", { mtimeNs: 13n }).hardlink("level1/level2/empty-b", "level1/empty-a");
  tree.hardlink(`${deep}/fifo-again`, "level1/fifo");
  tree.hardlink("to-file-again", "level1/to-file");
}

function addSparse(tree: TreeBuilder): void {
  const mib = 1 << 20;
  const block = noise(4096, 90);
  tree.sparse("sparse/middle", 8 * mib, [{ at: 4 * mib, data: block }], { mtimeNs: 14n });
  tree.sparse("sparse/ends", 4 * mib, [{ at: 0, data: block }], { mtimeNs: 15n });
  tree.sparse("sparse/starts", 4 * mib + 5, [{ at: 4 * mib, data: "tail!" }], { mtimeNs: 16n });
  tree.sparse("sparse/hole-only", 3 * mib + 1, [], { mtimeNs: 17n });
  tree.sparse(
    "sparse/many",
    8 * mib,
    [1, 2, 3, 5, 7].map((i) => ({ at: i * mib, data: block })),
    { mtimeNs: 18n },
  );
  tree.dir("sparse", { mtimeNs: 19n });
}

function addSymlinks(tree: TreeBuilder): void {
  const targets: [string, Name][] = [
    ["to-directory", "../level1"],
    ["to-link", "to-directory"],
    ["to-fifo", "../fifo"],
    ["to-socket", "../level1/socket"],
    ["dangling", "no/such/thing"],
    ["absolute", "/etc/hostname"],
    ["absolute-dangling", "/no/such/root"],
    ["escaping", "../../../../../../../../etc/passwd"],
    ["parent", ".."],
    ["self", "self"],
    ["dot", "."],
    ["slashes", "..//level1/./level2/"],
    ["not-utf8", raw("x", 0xff, 0xc3)],
    ["newline", "a\nb"],
    ["long", "d/".repeat(510)],
  ];
  targets.forEach(([name, target], index) => {
    tree.symlink(`symlinks/${name}`, target, { mtimeNs: timeOf(index) });
  });
  tree.dir("symlinks", { mtimeNs: 20n });
}

function addXattrs(tree: TreeBuilder, privileged: boolean): void {
  const user = {
    "user.text": "value",
    "user.empty": "",
    "user.bytes": raw(0, 1, 0xff, 0),
    /* ext4 keeps all attributes of an inode in one block unless told otherwise. */
    "user.large": noise(1500, 91),
  };
  tree.file("attributes/file", "x", { xattrs: user, mode: 0o640, mtimeNs: 21n });
  tree.file("attributes/read-only", "x", { xattrs: { "user.ro": "1" }, mode: 0o444, mtimeNs: 22n });
  tree.dir("attributes/directory", { xattrs: { "user.dir": "d" }, mtimeNs: 23n });
  tree.file("attributes/large-file", noise(300_000, 92), { xattrs: { "user.one": "1" }, mtimeNs: 24n });
  if (privileged) {
    const xattrs = { "trusted.secret": "t", "security.fastsync": "s", "user.both": "u" };
    tree.file("attributes/privileged", "x", { xattrs, mtimeNs: 25n });
    tree.symlink("attributes/link", "file", { xattrs: { "trusted.link": "l" }, mtimeNs: 26n });
    tree.special("attributes/fifo", "fifo", [0, 0], { xattrs: { "trusted.fifo": "f" }, mtimeNs: 27n });
  }
  tree.dir("attributes", { mtimeNs: 28n });
}

function addAcls(tree: TreeBuilder, acl: string): void {
  const inherited = "user::rwx,user:777:rwx,group::---,mask::rwx,other::---";
  tree.file("acls/file", "x", { acl, mtimeNs: 29n });
  /* Made before the default ACL is set, so that they stay without one. */
  tree.file("acls/directory/plain", "x", { mode: 0o604, mtimeNs: 30n });
  tree.dir("acls/directory/child", { defaultAcl: acl, mtimeNs: 31n });
  tree.dir("acls/directory", { acl, defaultAcl: inherited, mtimeNs: 32n });
  tree.dir("acls/default-only", { defaultAcl: inherited, mode: 0o770, mtimeNs: 33n });
  tree.file("acls/default-only/born-before", "x", { mode: 0o666, mtimeNs: 34n });
  tree.dir("acls", { mtimeNs: 35n });
}
