/** What lands where: the trailing slash, single files, missing targets, arguments given twice. */
import { expect } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { assertSameTrees } from "../support/diff.ts";
import { rsync, rsyncMissing } from "../support/oracle.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { because, behavioursMissing, itemsOf, run } from "./behaviour.ts";
import { describe, test } from "./placed-test.ts";

const VERBS = ["copy", "mirror", "move"] as const;

function confirmed(verb: string): string[] {
  return verb === "mirror" ? ["--yes"] : [];
}

function buildSource(root: string): void {
  new TreeBuilder(root)
    .file("source/one", "1", { mtimeNs: 1_000_000_001n })
    .file("source/inner/two", "2", { mtimeNs: 2_000_000_002n })
    .dir("source/inner", { mtimeNs: 3n })
    .dir("source", { mode: 0o750, mtimeNs: 4n })
    .finish();
}

/** Source as written, target as written, whether the target is there, and where `one` must land. */
const TABLE = [
  { source: "source/", target: "target", exists: true, lands: "target/one" },
  { source: "source/", target: "target", exists: false, lands: "target/one" },
  { source: "source/", target: "target/", exists: true, lands: "target/one" },
  { source: "source/", target: "target/", exists: false, lands: "target/one" },
  { source: "source//", target: "target", exists: false, lands: "target/one" },
  { source: "source/.", target: "target", exists: true, lands: "target/one" },
  { source: "./source/./", target: "./target", exists: false, lands: "target/one" },
  { source: "source/inner/..", target: "target", exists: false, lands: "target/one" },
  { source: "source", target: "target", exists: true, lands: "target/source/one" },
  { source: "source", target: "target", exists: false, lands: "target/source/one" },
  { source: "source", target: "target/", exists: true, lands: "target/source/one" },
  { source: "source", target: "target/", exists: false, lands: "target/source/one" },
  { source: "source/inner/../../source", target: "target", exists: true, lands: "target/source/one" },
  { source: "source/one", target: "target", exists: true, lands: "target/one" },
  { source: "source/one", target: "target", exists: false, lands: "target" },
  { source: "source/one", target: "target/", exists: true, lands: "target/one" },
  { source: "source/one", target: "target/", exists: false, lands: "target/one" },
] as const;

describe.skipIf(behavioursMissing !== undefined)(because("places", behavioursMissing), () => {
  for (const { source, target, exists, lands } of TABLE) {
    const title = `${source} to ${exists ? "existing" : "missing"} ${target} lands at ${lands}`;
    for (const verb of VERBS) {
      test(`B03 ${verb}: ${title}`, async () => {
        using dir = tempDir();
        buildSource(dir.path);
        if (exists) mkdirSync(dir.join("target"));
        const before = takeSnapshot(dir.join("source"));
        await run(verb, [...confirmed(verb), source, target], { cwd: dir.path });
        expect(readFileSync(dir.join(lands), "utf8")).toBe("1");
        const wasFile = source.endsWith("one");
        expect(existsSync(dir.join("target/source"))).toBe(lands.startsWith("target/source"));
        if (!wasFile) assertSameTrees(before, dir.join(lands.slice(0, -"/one".length)));
        expect(existsSync(dir.join("source/one"))).toBe(verb !== "move");
      });
    }

    test.skipIf(rsyncMissing !== undefined)(because(`B03 rsync agrees: ${title}`, rsyncMissing), () => {
      using dir = tempDir();
      buildSource(dir.path);
      if (exists) mkdirSync(dir.join("target"));
      expect(rsync(["-a", `${dir.path}/${source}`, `${dir.path}/${target}`]).exitCode).toBe(0);
      expect(readFileSync(dir.join(lands), "utf8")).toBe("1");
    });
  }
});

describe.skipIf(behavioursMissing !== undefined)(because("single files", behavioursMissing), () => {
  const content = "the content";

  for (const verb of VERBS) {
    test(`B04 ${verb}: a file replaces a file, and nothing beside it`, async () => {
      using dir = tempDir();
      writeFileSync(dir.join("file"), content);
      mkdirSync(dir.join("there"));
      for (const name of ["other", "bystander"]) writeFileSync(dir.join(`there/${name}`), name);
      await run(verb, [...confirmed(verb), "file", "there/other"], { cwd: dir.path });
      expect(readFileSync(dir.join("there/other"), "utf8")).toBe(content);
      expect(readFileSync(dir.join("there/bystander"), "utf8")).toBe("bystander");
      expect(readdirSync(dir.join("there")).sort()).toEqual(["bystander", "other"]);
    });

    test(`B04 ${verb}: a file into a directory leaves its other entries`, async () => {
      using dir = tempDir();
      writeFileSync(dir.join("file"), content);
      mkdirSync(dir.join("there/inner"), { recursive: true });
      writeFileSync(dir.join("there/bystander"), "");
      await run(verb, [...confirmed(verb), "file", "there"], { cwd: dir.path });
      expect(readFileSync(dir.join("there/file"), "utf8")).toBe(content);
      expect(readdirSync(dir.join("there")).sort()).toEqual(["bystander", "file", "inner"]);
    });

    test(`B04 ${verb}: missing parents are made, but not by a dry run`, async () => {
      using dir = tempDir();
      writeFileSync(dir.join("file"), content);
      const words = [...confirmed(verb), "file", "missing/parent/name"];
      const dry = await run(verb, ["--dry-run", ...words], { cwd: dir.path });
      expect(readdirSync(dir.path)).toEqual(["file"]);
      expect(dry.summary).toMatchObject({ exit_code: 0, dry_run: true, created: 1 });
      await run(verb, words, { cwd: dir.path });
      expect(readFileSync(dir.join("missing/parent/name"), "utf8")).toBe(content);
      expect(readdirSync(dir.join("missing/parent"))).toEqual(["name"]);
    });

    test(`B04 ${verb}: missing parents of a tree are made, but not by a dry run`, async () => {
      using dir = tempDir();
      buildSource(dir.path);
      const before = takeSnapshot(dir.join("source"));
      const words = [...confirmed(verb), "source/", "missing/parent/name"];
      const dry = await run(verb, ["--dry-run", ...words], { cwd: dir.path });
      expect(readdirSync(dir.path)).toEqual(["source"]);
      const real = await run(verb, words, { cwd: dir.path });
      assertSameTrees(before, dir.join("missing/parent/name"));
      const created = (items: string[]) => items.filter((item) => item.startsWith("create "));
      expect(created(itemsOf(dry))).toEqual(created(itemsOf(real)));
    });

    test(`B04 ${verb}: a tree onto a file, and a missing source, are refused before anything is touched`, async () => {
      using dir = tempDir();
      buildSource(dir.path);
      writeFileSync(dir.join("file"), content);
      const before = takeSnapshot(dir.path);
      const options = { cwd: dir.path, exitCode: 3 };
      await run(verb, [...confirmed(verb), "source/", "file"], options);
      await run(verb, [...confirmed(verb), "source", "file"], options);
      await run(verb, [...confirmed(verb), "no-such", "target"], options);
      await run(verb, [...confirmed(verb), "no-such/", "source"], options);
      await run(verb, [...confirmed(verb), "file/", "target"], options);
      await run(verb, [...confirmed(verb), "source/", "file/below"], options);
      assertSameTrees(before, dir.path);
    });
  }
});

describe.skipIf(behavioursMissing !== undefined)(because("several sources", behavioursMissing), () => {
  test("B09 an argument given ten times is copied once", async () => {
    using dir = tempDir();
    buildSource(dir.path);
    const spellings = ["source/", "source/", "source//", "source/", "source/", "source/", "source/", "source/"];
    const { summary } = await run("copy", [...spellings, "source/", "source/", "target"], { cwd: dir.path });
    expect(summary).toMatchObject({ created: 2, files_transferred: 2, files_examined: 2, files_failed: 0 });
    assertSameTrees(dir.join("source"), dir.join("target"));
  });

  test("B09 the same file by ten spellings is copied once", async () => {
    using dir = tempDir();
    buildSource(dir.path);
    const spellings = Array.from({ length: 10 }, (_, i) => `${"./".repeat(i)}source/one`);
    const { summary } = await run("copy", [...spellings, "target/"], { cwd: dir.path });
    expect(summary).toMatchObject({ created: 1, files_transferred: 1, files_failed: 0 });
  });

  test("B09 of two sources with one name the first wins, and the rest is merged", async () => {
    using dir = tempDir();
    new TreeBuilder(dir.path)
      .file("a/same", "from a", { mtimeNs: 1n })
      .file("a/only-a", "", { mtimeNs: 2n })
      .file("a/inner/same", "from a", { mtimeNs: 3n })
      .file("b/same", "from b", { mtimeNs: 4_000_000_000n })
      .file("b/only-b", "", { mtimeNs: 5n })
      .file("b/inner/same", "from b", { mtimeNs: 6n })
      .file("b/inner/only-b", "", { mtimeNs: 7n })
      .finish();
    const first = await run("copy", ["a/", "b/", "target"], { cwd: dir.path });
    for (const path of ["same", "inner/same"]) expect(readFileSync(dir.join(`target/${path}`), "utf8")).toBe("from a");
    for (const path of ["only-a", "only-b", "inner/only-b"]) expect(existsSync(dir.join(`target/${path}`))).toBe(true);
    expect(first.summary).toMatchObject({ created: 5, files_transferred: 5, files_failed: 0 });
    expect(first.summary["skipped"]).toEqual({ earlier_source: 2 });
    const again = await run("copy", ["a/", "b/", "target"], { cwd: dir.path });
    expect(again.summary).toMatchObject({ files_transferred: 0, repaired: 0 });
    await run("copy", ["b/", "a/", "target"], { cwd: dir.path });
    expect(readFileSync(dir.join("target/same"), "utf8")).toBe("from b");
  });

  test.skipIf(rsyncMissing !== undefined)(
    because("B09 rsync agrees: the first source has precedence", rsyncMissing),
    () => {
      using dir = tempDir();
      new TreeBuilder(dir.path)
        .file("a/same", "from a", { mtimeNs: 1n })
        .file("b/same", "from b", { mtimeNs: 9n })
        .finish();
      rsync(["-a", `${dir.path}/a/`, `${dir.path}/b/`, `${dir.path}/target`]);
      expect(readFileSync(dir.join("target/same"), "utf8")).toBe("from a");
    },
  );
});
