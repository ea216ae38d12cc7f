/**
 * The races, by the steps of a run that they lie in wait for. Which naive step each of them catches is in
 * `test/canaries`.
 */
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isRoot } from "../support/run.ts";
import type { TempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { fillOutside, fillTree, linkTo, nameOf, type Race, type RaceCell, type RacePlaces, SECRET } from "./races.ts";

export interface RaceCase extends Race {
  /** Begins with the rows. */
  readonly title: string;
  /** Where the race has a subject; everywhere unless said. */
  readonly where?: (cell: RaceCell & { readonly isPortable: boolean }) => boolean;
}

/** Neither root nor the user of the runs. */
const STRANGER = 4711;
/** Several chances in each run. */
const FLIPPED = ["flips0", "flips1", "flips2", "flips3", "flips4", "flips5"] as const;
const SAME = ["same0", "same1", "same2", "same3", "same4", "same5"] as const;
export const FLIPPED_FILES = ["file0", "file3", "file7", "attributes", "acl", "hard-a", "fifo"] as const;
const ENTRIES = 8;

export function below(root: string, names: readonly string[]): string[] {
  return names.map((name) => join(root, name));
}

export function emptied(paths: readonly string[]): void {
  for (const path of paths) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { recursive: true });
  }
}

export function mirrorWords({ source, target }: Pick<RacePlaces, "source" | "target">): string[] {
  return ["mirror", "--yes", "--max-delete", "100%", "--allow-empty-source", "--json", `${source}/`, `${target}/`];
}

/** Two versions of the source, so that every run has something to replace and to mend. */
function buildVersions(dir: TempDir, names: readonly string[]): void {
  for (const version of [0, 1])
    for (const name of names) fillTree(dir.join(`versions/${version}/${name}`), version, ENTRIES);
}

function versionWords({ dir, target }: RacePlaces, round: number): string[] {
  return mirrorWords({ source: dir.join(`versions/${round % 2}`), target });
}

function buildReplaced({ dir, target, outside }: RacePlaces): void {
  buildVersions(dir, FLIPPED);
  for (const name of FLIPPED) fillTree(join(target, name), 1, ENTRIES);
  fillOutside(outside);
}

const flipTargetDirectories: Race["flips"] = ({ target, outside }) => ({
  names: below(target, FLIPPED),
  impostor: linkTo(outside),
});

const flipSourceDirectories: Race["flips"] = ({ source, outside }) => ({
  names: below(source, FLIPPED),
  impostor: linkTo(outside),
});

/** A temporary that a later run would adopt. */
function partOf(name: string): string {
  return `.fastsync.${Bun.hash.xxHash3(name).toString(16).padStart(16, "0")}.part`;
}

/** Split, and all but empty. */
const BIG = { bytes: 50 << 20, pieces: [{ at: 1 << 20, data: "data" }] };

const directories: readonly RaceCase[] = [
  {
    title: "S01 S02 source directories: the outside is neither listed nor read",
    build: ({ source, outside }) => {
      for (const name of FLIPPED)
        for (const inner of ["", "more/below"]) fillTree(join(source, name, inner), 1, ENTRIES);
      for (const inner of ["", "more/below"]) fillOutside(join(outside, inner));
    },
    flips: flipSourceDirectories,
    before: ({ target }) => emptied([target]),
    words: mirrorWords,
  },
  {
    title: "S03 S05 target directories: nothing is made outside",
    build: ({ source, outside, target }) => {
      for (const name of FLIPPED) {
        for (const inner of ["", "more/below"]) fillTree(join(source, name, inner), 1, ENTRIES);
        /* Where the outside has none of the name. */
        const tree = new TreeBuilder(join(source, name));
        for (let i = 0; i < 4; i++) tree.dir(`made/${i}`).symlink(`made-link${i}`, "nowhere");
        tree.file("made-file", "made").hardlink("made-hard", "made-file").hardlink("made/hard", "made-file").finish();
      }
      emptied(below(target, FLIPPED));
      fillOutside(outside);
      mkdirSync(join(outside, "more"));
    },
    flips: flipTargetDirectories,
    before: (_places, _round, names) => emptied(names),
    words: mirrorWords,
  },
  {
    title: "S03 S04 target directories: nothing outside is replaced, nor are its attributes",
    build: buildReplaced,
    flips: flipTargetDirectories,
    words: versionWords,
  },
  {
    title: "S04 target directories, by --inplace, which opens what is there",
    build: buildReplaced,
    flips: flipTargetDirectories,
    words: (places, round) => [...versionWords(places, round), "--inplace"],
  },
  {
    title: "S04 directories that deny their owner: no other is opened up",
    where: ({ user }) => user === "ordinary" && isRoot(),
    build: ({ dir, target, outside }) => {
      buildVersions(dir, FLIPPED);
      for (const name of FLIPPED) fillTree(join(target, name), 1, ENTRIES);
      fillOutside(outside);
      chmodSync(outside, 0o505);
    },
    flips: flipTargetDirectories,
    before: (_places, _round, names) => {
      names.forEach((path, index) => {
        if (existsSync(path)) chmodSync(path, index % 2 === 0 ? 0o555 : 0o333);
      });
    },
    words: versionWords,
  },
  {
    title: "S06 the delete pass: only names inside the tree go",
    build: ({ source, outside, target }) => {
      emptied(below(source, FLIPPED));
      for (const name of FLIPPED) fillTree(join(target, name), 1, ENTRIES);
      fillOutside(outside);
    },
    flips: flipTargetDirectories,
    before: (_places, round, names) => {
      emptied(names);
      for (const path of names) fillTree(path, round, ENTRIES);
    },
    words: mirrorWords,
  },
  {
    title: "S06 the delete pass below directories that only the target has: only names inside the tree go",
    build: ({ source, outside, target }) => {
      fillTree(source, 1, 2);
      for (const name of FLIPPED) fillTree(join(target, "extra", name), 1, ENTRIES);
      fillOutside(outside);
    },
    flips: ({ target, outside }) => ({ names: below(join(target, "extra"), FLIPPED), impostor: linkTo(outside) }),
    before: (_places, round, names) => {
      emptied(names);
      for (const path of names) fillTree(path, round, ENTRIES);
    },
    words: mirrorWords,
  },
  {
    title: "S06 source removal by move, copied or renamed: only names inside the tree go",
    build: ({ source, outside }) => {
      for (const name of FLIPPED) fillTree(join(source, name), 1, ENTRIES);
      fillOutside(outside);
    },
    flips: flipSourceDirectories,
    before: ({ target }, round, names) => {
      emptied([...below(target, FLIPPED), ...names]);
      for (const path of names) fillTree(path, round, ENTRIES);
    },
    /* A choice of methods rules renames out: files are copied, then unlinked. */
    words: ({ source, target }, round) => [
      ...["move", "--yes", "--json", ...(round % 2 === 0 ? ["--copy-method", "read_write"] : [])],
      ...[`${source}/`, `${target}/`],
    ],
  },
  {
    title: "S03 S05 directories of backups: nothing is kept, made or replaced outside",
    build: (places) => {
      buildReplaced(places);
      emptied(below(places.dir.join("backup"), FLIPPED));
      mkdirSync(join(places.outside, "inner/deep/made"), { recursive: true });
    },
    flips: ({ dir, outside }) => ({ names: below(dir.join("backup"), FLIPPED), impostor: linkTo(outside) }),
    before: ({ dir }, _round, names) => emptied([dir.join("temporary"), ...names]),
    words: (places, round) => [
      ...versionWords(places, round),
      ...["--backup", "--backup-dir", places.dir.join("backup"), "--temp-dir", places.dir.join("temporary")],
      /* Names that the outside does not have, and names that it has. */
      ...(round % 2 === 0 ? ["--suffix", ".kept"] : []),
    ],
  },
  {
    title: "S05 S15 a place below flipped directories of a module: nothing is made outside",
    where: ({ placement }) => placement === "push",
    build: ({ source, target, outside }) => {
      fillTree(source, 1, 2);
      emptied(below(target, FLIPPED.slice(0, 2)));
      fillOutside(outside);
    },
    flips: ({ target, outside }) => ({ names: below(target, FLIPPED.slice(0, 2)), impostor: linkTo(outside) }),
    before: (_places, _round, names) => emptied(names),
    words: ({ source, target }, round) =>
      mirrorWords({ source, target: join(target, FLIPPED[round % 2]!, "new/deep") }),
  },
  {
    title: "S01 S15 a place below flipped directories of a module: nothing outside is opened",
    where: ({ placement }) => placement === "pull",
    build: ({ source, outside }) => {
      for (const name of FLIPPED.slice(0, 2)) fillTree(join(source, name), 1, 2);
      fillOutside(outside);
    },
    flips: ({ source, outside }) => ({ names: below(source, FLIPPED.slice(0, 2)), impostor: linkTo(outside) }),
    before: ({ target }) => emptied([target]),
    words: ({ source, target }, round) => mirrorWords({ source: join(source, FLIPPED[round % 2]!, "inner"), target }),
  },
  {
    title: "S09 the operator's own paths: a stranger's link on the way is never followed",
    where: ({ user }) => user === "root",
    build: ({ dir, source, outside }) => {
      fillTree(source, 1, 2);
      for (const root of [dir.join("shared/a"), outside]) fillShared(root, root === outside ? SECRET : "harmless");
    },
    flips: ({ dir, outside }) => ({ names: [dir.join("shared/a")], impostor: linkTo(outside, STRANGER) }),
    before: ({ target, dir }) => {
      emptied([target, dir.join("shared/a/target")]);
      for (const file of SHARED_FILES) new TreeBuilder(target).file(file, "older");
    },
    /* A list that cannot be read is a wrong command line. */
    mayEnd: [1],
    words: ({ dir, source, target }, round) => operatorWords(dir.join("shared/a"), source, target, round),
  },
];

const SHARED_FILES = ["file0", "file1"];

/** What an operator may name in a directory that others can write to. */
function fillShared(root: string, content: string): void {
  mkdirSync(root, { recursive: true });
  const tree = new TreeBuilder(root).file("list", `${content}\n`);
  for (const directory of ["source", "target", "temporary", "backup"])
    for (const file of SHARED_FILES) tree.file(`${directory}/${file}`, content);
  tree.finish();
}

/** Each of the words that name a place, in turn. */
function operatorWords(shared: string, source: string, target: string, round: number): string[] {
  const flags = ["--temp-dir", "--backup-dir", "--exclude-from", "--files-from"] as const;
  const names = ["temporary", "backup", "list", "list"] as const;
  const turn = round % 6;
  if (turn === 4) return mirrorWords({ source: join(shared, "source"), target });
  if (turn === 5) return mirrorWords({ source, target: join(shared, "target") });
  const words = [flags[turn]!, join(shared, names[turn]!)];
  return [...mirrorWords({ source, target }), ...(turn === 1 ? ["--backup"] : []), ...words];
}

/** The path of a module itself. `serve` starts the daemon for it and answers its port. */
export function modulePathRace(serve: (path: string) => number): Race {
  let port = 0;
  return {
    build: ({ dir, source, outside }) => {
      fillTree(source, 1, 2);
      for (const root of [dir.join("shared/a"), outside]) fillShared(root, root === outside ? SECRET : "harmless");
      port = serve(dir.join("shared/a"));
    },
    flips: ({ dir, outside }) => ({ names: [dir.join("shared/a")], impostor: linkTo(outside, STRANGER) }),
    before: ({ target, dir }) => emptied([target, dir.join("shared/a/target")]),
    words: ({ source, target }, round) => {
      const module = `127.0.0.1:${port}:/root`;
      return mirrorWords(
        round % 2 === 0 ? { source: `${module}/source`, target } : { source, target: `${module}/target` },
      );
    },
  };
}

/** Nothing that a copy may put a file in the place of. */
const FULL_DIRECTORY = {
  make: (path: string): void => {
    new TreeBuilder(path).file("kept", "kept").finish();
    chmodSync(path, 0o711);
  },
  is: (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true,
};

function isAsMade(path: string): boolean {
  return (lstatSync(path).mode & 0o7777) === 0o711 && readFileSync(join(path, "kept"), "utf8") === "kept";
}

const leaves: readonly RaceCase[] = [
  {
    title: "S07 source files: a link in their place is not followed",
    build: ({ source, outside }) => {
      fillTree(source, 1);
      fillOutside(outside);
    },
    flips: ({ source, outside }) => ({
      names: below(source, FLIPPED_FILES),
      impostor: linkTo(join(outside, "file3")),
    }),
    before: ({ target }) => emptied([target]),
    words: mirrorWords,
  },
  {
    title: "S04 S07 target files: a link in their place is never written through, read, nor given attributes",
    build: ({ outside, target, dir }) => {
      buildVersions(dir, [""]);
      fillTree(target, 1, ENTRIES);
      fillOutside(outside);
    },
    flips: ({ target, outside }) => ({
      names: below(target, FLIPPED_FILES),
      impostor: linkTo(join(outside, "file3")),
    }),
    words: (places, round) => [
      ...versionWords(places, round),
      ...(round % 3 === 0 ? ["--inplace"] : round % 3 === 1 ? ["--checksum"] : []),
    ],
  },
  {
    title: "S07 target files, by --checksum with --copy-links: links are followed in the source alone",
    /* Where it is refused. */
    where: ({ isPortable, placement }) => !isPortable || placement !== "pull",
    build: ({ outside, target, dir }) => {
      mkdirSync(dir.join("versions"));
      for (const root of [dir.join("versions/0"), target, outside]) {
        const tree = new TreeBuilder(root);
        const content = root === outside ? SECRET : "x".repeat(SECRET.length);
        for (let i = 0; i < 200; i++) tree.file(`file${i}`, content, { mtimeNs: 1n });
      }
    },
    flips: ({ target, outside }) => ({
      names: below(target, FLIPPED_FILES.slice(0, 3)),
      impostor: linkTo(join(outside, "file3")),
    }),
    words: (places) => [...versionWords(places, 0), "--checksum", "--copy-links"],
  },
  {
    title: "S07 target files: a directory in their place keeps its mode, its attributes and what is in it",
    build: ({ outside, target, dir }) => {
      /* Of the same content: mended, in one version, and replaced in the other. */
      for (const [root, version] of [
        [dir.join("versions/0"), 0],
        [dir.join("versions/1"), 1],
        [target, 0],
      ] as const) {
        mkdirSync(root, { recursive: true });
        const tree = new TreeBuilder(root);
        for (const name of SAME)
          tree.file(name, "same", {
            mode: 0o600 + 0o40 * version,
            mtimeNs: 1n,
            xattrs: { "user.version": `${version}` },
          });
      }
      fillOutside(outside);
    },
    flips: ({ target }) => ({ names: below(target, SAME), impostor: FULL_DIRECTORY }),
    words: ({ dir, target }, round) => [
      ...["copy", "--json", ...(round % 4 < 2 ? [] : ["--ignore-times"])],
      ...[`${dir.join(`versions/${round % 2}`)}/`, `${target}/`],
    ],
    holds: ({ dir, target }) => {
      const places = SAME.flatMap((name, index) => [join(target, name), dir.join(`the-other${index}`)]);
      const kept = places.filter((path) => FULL_DIRECTORY.is(path));
      if (kept.length !== SAME.length) return `of the directories ${kept.length} are left`;
      const changed = kept.filter((path) => !isAsMade(path));
      return changed.length === 0 ? undefined : `a directory changed: ${changed}`;
    },
  },
  {
    title: "S04 S07 new links: another's file that takes their place is not given their owner and times",
    build: ({ source, target, outside }) => {
      const tree = new TreeBuilder(source);
      const owner = isRoot() ? { uid: 1000, gid: 1000 } : {};
      for (const name of FLIPPED) tree.symlink(name, "nowhere", { mtimeNs: 1n, ...owner });
      emptied([target]);
      fillOutside(outside);
    },
    flips: ({ target, outside }) => ({ names: below(target, FLIPPED), impostor: nameOf(join(outside, "file3")) }),
    before: (_places, _round, names) => {
      for (const path of names) rmSync(path, { force: true });
    },
    words: mirrorWords,
  },
  {
    title: "S07 large files: links in the place of a part and of an older version are neither written through nor read",
    /* The twin takes seconds to read so much. */
    where: ({ isPortable, placement }) => !isPortable || placement === "local",
    build: ({ source, outside }) => {
      new TreeBuilder(source).sparse("big", BIG.bytes, BIG.pieces).finish();
      new TreeBuilder(outside).sparse("big", BIG.bytes, [{ at: 2 << 20, data: SECRET }]).finish();
    },
    flips: ({ target, outside }) => ({
      names: below(target, ["big", partOf("big")]),
      impostor: linkTo(join(outside, "big")),
    }),
    /* An older version is looked at where nothing was begun. */
    before: ({ target }, round) => {
      const tree = new TreeBuilder(target).file("big", "older");
      if (round % 2 === 1) tree.file(partOf("big"), "begun");
      else rmSync(join(target, partOf("big")), { force: true });
    },
    words: (places, round) => [
      ...mirrorWords(places),
      ...(round % 2 === 0 ? ["--resume"] : ["--copy-method", "read_write"]),
    ],
  },
];

export const RACES: readonly RaceCase[] = [...directories, ...leaves];
