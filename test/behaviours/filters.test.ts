/** What the filters leave out is neither copied nor deleted, and what they take in is. */
import { expect, setDefaultTimeout } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { because, behavioursMissing, mirror } from "./behaviour.ts";
import { pair } from "./moments.ts";
import { describe, test } from "./placed-test.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

/** Everything that is not a directory, and directories with a slash where `directories`. */
function namesIn(root: string, directories = false): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => directories || !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1) + (entry.isDirectory() ? "/" : ""))
    .sort();
}

const FILES = [
  "Read.ME",
  "a.log",
  "a.txt",
  "build",
  "deep/a.log",
  "deep/a.txt",
  "deep/build/inside",
  "deep/er/a.log",
  "deep/er/a.txt",
  "deep/er/x1",
  "deep/er/xa",
  "other/build/inside",
  "other/build/keep/a.txt",
];

function without(...gone: readonly string[]): string[] {
  return FILES.filter((file) => !gone.includes(file));
}

function build(root: string): void {
  const tree = new TreeBuilder(root);
  for (const file of FILES) tree.file(file, file);
}

describe.skipIf(behavioursMissing !== undefined)(because("filters", behavioursMissing), () => {
  test.each<[readonly string[], readonly string[]]>([
    [["--exclude=*.log"], without("a.log", "deep/a.log", "deep/er/a.log")],
    [["--exclude=/*.log"], without("a.log")],
    [["--exclude=/deep/*.log"], without("deep/a.log")],
    [["--exclude=/deep/**.log"], without("deep/a.log", "deep/er/a.log")],
    [["--exclude=deep/*/a.txt"], without("deep/er/a.txt")],
    [["--exclude=build/"], without("deep/build/inside", "other/build/inside", "other/build/keep/a.txt")],
    [["--exclude=build"], without("build", "deep/build/inside", "other/build/inside", "other/build/keep/a.txt")],
    [["--exclude=/build"], without("build")],
    [["--exclude=x[!a]"], without("deep/er/x1")],
    [["--exclude=x[^a]"], without("deep/er/x1")],
    [["--exclude=x[0-9]"], without("deep/er/x1")],
    [["--exclude=x?"], without("deep/er/x1", "deep/er/xa")],
    [["--exclude=READ.me"], FILES],
    [["--include=/a.log", "--exclude=*.log"], without("deep/a.log", "deep/er/a.log")],
    [["--exclude=*.log", "--include=/a.log"], without("a.log", "deep/a.log", "deep/er/a.log")],
    [
      ["--include=*/", "--include=a.txt", "--exclude=*"],
      ["a.txt", "deep/a.txt", "deep/er/a.txt", "other/build/keep/a.txt"],
    ],
    [["--include=/deep/", "--include=/deep/*.txt", "--exclude=/deep/*", "--exclude=/*"], ["deep/a.txt"]],
    [["--include=/other/build/keep/", "--exclude=/other/build/*"], without("other/build/inside")],
    [["--filter=- *.log", "--filter=- /build"], without("a.log", "build", "deep/a.log", "deep/er/a.log")],
    [["--filter=+ /deep/a.log", "--filter=- *.log"], without("a.log", "deep/er/a.log")],
    /* What lies below a directory that is left out stays out, whatever a rule says of it. */
    [
      ["--include=/deep/er/a.txt", "--exclude=/deep/er"],
      without("deep/er/a.log", "deep/er/a.txt", "deep/er/x1", "deep/er/xa"),
    ],
  ])("B36 %p", async (flags, expected) => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    build(source);
    await mirror(source, target, flags);
    expect(namesIn(target)).toEqual([...expected]);
  });

  test("B36 a pattern that matched nothing is named", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    build(source);
    const { summary } = await mirror(source, target, ["--exclude=*.lgo", "--exclude=*.log"]);
    expect(summary["unmatched_patterns"]).toEqual(["--exclude *.lgo"]);
    expect(summary["skipped"]).toEqual({ excluded: 3 });
  });

  test("B37 what the filters leave out survives in the target, and goes with --delete-excluded", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    build(source);
    build(target);
    new TreeBuilder(target)
      .file("only/there.log", "x")
      .file("only/there.txt", "x")
      .file("gone/file", "x")
      .file("cache/deep/file", "x");
    const flags = ["--exclude=*.log", "--exclude=cache/"];
    await mirror(source, target, flags);
    expect(namesIn(target)).toEqual([...FILES, "cache/deep/file", "only/there.log"].sort());
    await mirror(source, target, [...flags, "--delete-excluded"]);
    expect(namesIn(target, true).filter((name) => !name.endsWith("/"))).toEqual(
      without("a.log", "deep/a.log", "deep/er/a.log"),
    );
    expect(namesIn(target, true)).not.toContain("only/");
    expect(namesIn(target, true)).not.toContain("cache/");
  });

  test("B37 a dry run lists just what --delete-excluded would delete", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    build(source);
    build(target);
    const flags = ["--exclude=*.log", "--delete-excluded"];
    const listed = await mirror(source, target, [...flags, "--dry-run"]);
    expect(namesIn(target)).toEqual(FILES);
    const done = await mirror(source, target, flags);
    const deletions = (result: typeof listed) =>
      result.events
        .filter((event) => event.type === "delete")
        .map((event) => event["path"])
        .sort();
    expect(deletions(listed)).toEqual(["a.log", "deep/a.log", "deep/er/a.log"]);
    expect(deletions(done)).toEqual(deletions(listed));
  });

  test("B38 --files-from takes just what is listed, with its parents", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    build(source);
    writeFileSync(dir.join("list"), "deep/er/x1\n/a.txt\n# a comment\n\nother/build/keep/a.txt\n./deep/a.log\n");
    await mirror(source, target, [`--files-from=${dir.join("list")}`]);
    expect(namesIn(target, true)).toEqual(
      [
        "a.txt",
        "deep/",
        "deep/a.log",
        "deep/er/",
        "deep/er/x1",
        "other/",
        "other/build/",
        "other/build/keep/",
        "other/build/keep/a.txt",
      ].sort(),
    );
  });

  test("B38 entries that end with NUL may hold newlines; - is stdin", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("a\nb", "x").file("#c", "x").file(" d ", "x").file("e", "x");
    await mirror(source, target, ["--files-from=-", "-0"], { stdin: "a\nb\0#c\0 d \0" });
    expect(namesIn(target)).toEqual([" d ", "#c", "a\nb"]);
  });

  test("B38 .. cannot rise above the source", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(dir.path).file("outside", "outside");
    new TreeBuilder(source).file("outside", "inside").file("deep/file", "x");
    writeFileSync(dir.join("list"), "../outside\ndeep/../../../outside\ndeep/../deep/file\n");
    await mirror(source, target, [`--files-from=${dir.join("list")}`]);
    expect(namesIn(target)).toEqual(["deep/file", "outside"]);
    expect(await Bun.file(join(target, "outside")).text()).toBe("inside");
  });

  test("B38 a listed name that is not there is a failure by name, and the rest arrives", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    build(source);
    writeFileSync(dir.join("list"), "a.txt\nmissing\n");
    const result = await mirror(source, target, [`--files-from=${dir.join("list")}`], { exitCode: 23 });
    expect(result.events).toContainEqual(
      expect.objectContaining({ type: "error", code: "not_found", path: "missing" }),
    );
    expect(namesIn(target)).toEqual(["a.txt"]);
  });

  test("B38 a mirror by --files-from deletes nothing that was not listed", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    build(source);
    new TreeBuilder(target).file("extra", "x").file("deep/extra", "x");
    writeFileSync(dir.join("list"), "deep/a.txt\n");
    await mirror(source, target, [`--files-from=${dir.join("list")}`]);
    expect(namesIn(target)).toEqual(["deep/a.txt", "deep/extra", "extra"]);
  });

  test("B39 a per-directory rule file counts for its directory and below, not above or beside", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source)
      .file("deep/.rules", "- *.tmp\n+ /kept\n- /only-here\n")
      .file("top.tmp", "x")
      .file("deep/a.tmp", "x")
      .file("deep/below/b.tmp", "x")
      .file("deep/only-here", "x")
      .file("deep/below/only-here", "x")
      .file("beside/c.tmp", "x");
    new TreeBuilder(target).file("deep/mine.tmp", "protected by the same rules").file("beside/extra", "x");
    await mirror(source, target, ["--filter=dir-merge .rules"]);
    expect(namesIn(target)).toEqual([
      "beside/c.tmp",
      "deep/.rules",
      "deep/below/only-here",
      "deep/mine.tmp",
      "top.tmp",
    ]);
  });

  test("B39 .gitignore files count for their directory and below", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source)
      .file(".gitignore", "*.o\n/build/\n!keep.o\n")
      .file("sub/.gitignore", "local\n")
      .file("a.o", "x")
      .file("keep.o", "x")
      .file("build/x", "x")
      .file("sub/build/y", "x")
      .file("sub/local", "x")
      .file("local", "x");
    await mirror(source, target, ["--gitignore"]);
    expect(namesIn(target)).toEqual([".gitignore", "keep.o", "local", "sub/.gitignore", "sub/build/y"]);
  });

  test("B39 an include that ends at a depth", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("one/two/three/file", "x").file("one/file", "x").file("one/two/file", "x");
    await mirror(source, target, ["--exclude=/*/*/*/"]);
    expect(namesIn(target)).toEqual(["one/file", "one/two/file"]);
  });

  test("B39 a mistake in a rule file is named by file and line, without the text of the line", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    build(source);
    const secret = "root:secret-hash:0:0";
    writeFileSync(dir.join("rules"), `- *.log\n${secret}\n`);
    const result = await mirror(source, target, [`--filter=merge ${dir.join("rules")}`], { exitCode: 1 });
    expect(result.stderr).toMatch(/rules:2/);
    expect(`${result.stderr}${result.stdout}`).not.toContain("secret-hash");
  });

  test("B40 --min-size and --max-size choose files at any depth; what they leave out stays in the target", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    const sizes = { small: 10, middle: 2048, large: 5000 };
    for (const where of ["", "deep/er/"])
      for (const [name, size] of Object.entries(sizes))
        new TreeBuilder(source).file(`${where}${name}`, Buffer.alloc(size));
    new TreeBuilder(target).file("small", "older, and by its size no match").file("extra", "x");
    const { summary } = await mirror(source, target, ["--min-size=1K", "--max-size=4K"]);
    expect(namesIn(target)).toEqual(["deep/er/middle", "middle", "small"]);
    expect(summary["skipped"]).toEqual({ size: 4 });
    await mirror(source, target, ["--min-size=2048", "--max-size=2048"]);
    expect(namesIn(target)).toEqual(["deep/er/middle", "middle", "small"]);
    expect(await Bun.file(join(target, "small")).text()).toBe("older, and by its size no match");
  });

  test("B40 --prune-empty-dirs leaves out directories without a file at any depth, and mirrors that", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    const plant = (root: string) =>
      new TreeBuilder(root)
        .dir("empty")
        .dir("hollow/one/two/three")
        .dir("hollow/four")
        .file("filled/deep/er/file", "x")
        .dir("filled/hollow/er")
        .dir("filtered/logs")
        .file("filtered/logs/a.log", "log")
        .file("a", "a");
    plant(source).symlink("linked/link", "nowhere");
    const flags = ["--prune-empty-dirs", "--exclude=*.log"];
    const stays = ["a", "filled/", "filled/deep/", "filled/deep/er/", "filled/deep/er/file", "linked/", "linked/link"];

    const first = await mirror(source, target, flags);
    expect(namesIn(target, true)).toEqual(stays);
    expect(first.summary["skipped"]).toEqual({ excluded: 1, empty_directory: 4 });
    const again = await mirror(source, target, flags);
    expect(again.summary["directories_created"]).toBe(0);

    // What is there by an earlier run goes, but for what the filters protect.
    plant(target);
    const third = await mirror(source, target, flags);
    expect(namesIn(target, true)).toEqual(
      [...stays, "filtered/", "filtered/logs/", "filtered/logs/a.log"].sort((a, b) => (a < b ? -1 : 1)),
    );
    expect(third.summary["files_deleted"]).toBe(8);

    await mirror(source, target, ["--exclude=*.log"]);
    expect(namesIn(target, true)).toContain("hollow/one/two/three/");
  });

  test("B40 --prune-empty-dirs keeps what is not known to be empty", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("large/file", Buffer.alloc(5000)).dir("empty/er").file("a", "a");
    new TreeBuilder(target).file("large/file", "an older one, which its size leaves alone");
    await mirror(source, target, ["--prune-empty-dirs", "--max-size=1K"]);
    expect(namesIn(target, true)).toEqual(["a", "large/", "large/file"]);
  });
});
