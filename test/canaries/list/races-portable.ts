/** The same of the portable twin. */
import { byPath, type Edit, edit, type Mutation } from "../mutation.ts";
import { type RaceName, raceCheck } from "./race-checks.ts";

const LOCAL = { placement: "local", user: "root" } as const;
const LOCAL_USER = { placement: "local", user: "ordinary" } as const;
const PUSH = { placement: "push", user: "root" } as const;
const PULL = { placement: "pull", user: "root" } as const;

type Cell = Parameters<typeof raceCheck>[2];

function race(name: RaceName, cell: Cell, step: string, edits: readonly Edit[], says = "the outside "): Mutation {
  return {
    title: `S race ${name}, portable, ${cell!.placement}, ${cell!.user}: ${step}`,
    edits,
    check: raceCheck(name, "portable", cell),
    says,
  };
}

const AT = "src/fs/portable";

const DIRECTORY_FOLLOWS = edit(`${AT}/directories.ts`, "OPEN | (follow ? 0 : O_NOFOLLOW)", "OPEN");
const UNLINK_BY_PATH = byPath(`${AT}/remove.ts`, "else fs.unlinkSync(path);", "else fs.unlinkSync(naive(path));");
const READ_BY_PATH = byPath(
  `${AT}/local-content.ts`,
  "const path = below(job.source, name);",
  "const path = naive(below(job.source, name));",
);

export const RACES_PORTABLE: readonly Mutation[] = [
  race("source", LOCAL, "a directory is opened through a link", DIRECTORY_FOLLOWS),
  race("source", LOCAL, "a file is read by its path", READ_BY_PATH),
  race("source", PULL, "a file is read by its path", READ_BY_PATH),
  race("sourceFiles", LOCAL, "a file is opened through a link", [
    ...edit(`${AT}/local-content.ts`, "O_NONBLOCK | (job.settings.follow ? 0 : O_NOFOLLOW)", "O_NONBLOCK"),
  ]),
  race("made", LOCAL, "a directory is made by its path", [
    ...byPath(`${AT}/listing.ts`, "fs.mkdirSync(path, { mode: 0o700 })", "fs.mkdirSync(naive(path), { mode: 0o700 })"),
  ]),
  race("made", PUSH, "a temporary is made by its path", [
    ...byPath(`${AT}/publish.ts`, "fs.openSync(below(job.temp, name)", "fs.openSync(naive(below(job.temp, name))"),
  ]),
  race("made", LOCAL_USER, "a new file gets its name by its path", [
    ...byPath(
      `${AT}/publish.ts`,
      "const to = below(job.target, name);\n  try",
      "const to = naive(below(job.target, name));\n  try",
    ),
  ]),
  race("made", LOCAL, "links and FIFOs are made by their path", [
    ...byPath(
      `${AT}/copy-entry.ts`,
      "const status = make(below(job.target, name));",
      "const status = make(naive(below(job.target, name)));",
    ),
  ]),
  race("replaced", LOCAL, "metadata is mended by path", [
    ...byPath(
      `${AT}/hold-entry.ts`,
      "fs.openSync(path, O_PATH | O_NOFOLLOW)",
      "fs.openSync(naive(path), O_PATH | O_NOFOLLOW)",
    ),
  ]),
  race("targetFiles", LOCAL, "metadata is mended through a link", [
    ...byPath(`${AT}/hold-entry.ts`, "fs.openSync(path, O_PATH | O_NOFOLLOW)", "fs.openSync(late(path), O_PATH)"),
  ]),
  race("hashed", LOCAL, "the target's digests follow links", [
    ...edit("src/session/target-runner.ts", "{ ...settings.settings, follow: false }", "{ ...settings.settings }"),
  ]),
  race(
    "fullDirectory",
    LOCAL,
    "what is mended may be of another type",
    edit(
      `${AT}/copy-entry.ts`,
      "if (typeOf(held.stats.mode) !== typeOf(entry.mode)) throw new StatusError(-E.ESTALE);",
      "",
    ),
    "a directory changed",
  ),
  race("inPlace", LOCAL, "a file is written by its path", [
    ...byPath(`${AT}/write-regular.ts`, "fs.openSync(path, C.O_RDWR", "fs.openSync(naive(path), C.O_RDWR"),
  ]),
  race("denied", LOCAL_USER, "a directory is opened up by its name", [
    ...byPath(
      `${AT}/listing.ts`,
      "fs.chmodSync(held.path, (mode & 0o7777) | 0o700)",
      "fs.chmodSync(late(below(parent, name)), (mode & 0o7777) | 0o700)",
    ),
  ]),
  race("newLinks", LOCAL, "a link is looked at, and its metadata set by its name", [
    ...byPath(
      `${AT}/copy-entry.ts`,
      "const now = { ...stateOf(held.stats, false), mayHaveAttributes: false, replaces };",
      `const now = { ...stateOf(held.stats, false), mayHaveAttributes: false, replaces };
      const own_ = late(below(job.target, own));
      return applyMetadata(job, { path: own_, follow: false }, entry, now, attributes, item);`,
    ),
  ]),
  race("deleted", LOCAL, "a file is deleted by its path", UNLINK_BY_PATH),
  race("extras", PUSH, "a file is deleted by its path", UNLINK_BY_PATH),
  race("moved", LOCAL, "a source is removed by its path", UNLINK_BY_PATH),
  race("backup", LOCAL, "a backup is made by its path", [
    ...byPath(
      `${AT}/publish.ts`,
      "const to = below(job.backup, backup);",
      "const to = naive(below(job.backup, backup));",
    ),
  ]),
  race("large", LOCAL, "a part is opened through a link", [
    ...edit(`${AT}/large-file.ts`, "C.O_RDWR | C.O_CREAT | O_NOFOLLOW |", "C.O_RDWR | C.O_CREAT |"),
  ]),
  race("operator", LOCAL, "whose link it is is asked before it is opened", [
    ...byPath(
      `${AT}/open-beneath.ts`,
      "directory = openDirectory(child, false);\n        continue;",
      "directory = openDirectory(late(child), true);\n        continue;",
    ),
  ]),
  race("pushed", PUSH, "a directory is opened through a link", DIRECTORY_FOLLOWS),
];
