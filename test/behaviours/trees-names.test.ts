/** Names of any bytes, any length and any depth arrive as they are, and are shown without harm. */
import { expect } from "bun:test";
import { joinPath, utf8Of } from "../../src/core/paths.ts";
import { buildDeepTree } from "../support/deep-tree.ts";
import { assertSameTrees } from "../support/diff.ts";
import { type Argument, fastsync, fastsyncCommand, start } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { HOSTILE_NAMES, RAW_NAMES } from "../support/variety-tree.ts";
import { because, behavioursMissing, expectNothingDone, mirror, run } from "./behaviour.ts";
import { describe, test } from "./placed-test.ts";

const NAMES = [...HOSTILE_NAMES, ...RAW_NAMES];

describe.skipIf(behavioursMissing !== undefined)(because("names", behavioursMissing), () => {
  test("B06 B07 as files, directories, links and extraneous entries, at depth", async () => {
    using dir = tempDir();
    const tree = new TreeBuilder(dir.join("source"));
    for (const name of NAMES) tree.file(joinPath(joinPath(Buffer.from("deep/er"), name), name), name);
    for (const name of NAMES) tree.symlink(joinPath(Buffer.from("links"), name), name);
    tree.finish();
    const stale = new TreeBuilder(dir.join("target"));
    for (const name of NAMES) stale.file(joinPath(Buffer.from("deep/stale"), name), name);
    stale.finish();
    const first = await mirror(dir.join("source"), dir.join("target"));
    assertSameTrees(dir.join("source"), dir.join("target"));
    expect(first.summary["files_deleted"]).toBe(NAMES.length + 1);
    expectNothingDone(await mirror(dir.join("source"), dir.join("target")));
  });

  test("B06 B07 as arguments: sources and targets", async () => {
    using dir = tempDir();
    const tree = new TreeBuilder(dir.join("source"));
    for (const name of NAMES) tree.file(joinPath(name, Buffer.from("inside")), name);
    tree.finish();
    const argument = (name: Uint8Array): Argument => joinPath(Buffer.from("source"), name);
    await run("copy", [...NAMES.map(argument), "all"], { cwd: dir.path });
    assertSameTrees(dir.join("source"), dir.join("all"), { except: (path) => path === "" });
    for (const name of [Buffer.from("new\nline"), Buffer.from("-rf"), RAW_NAMES[3]!]) {
      const target = joinPath(Buffer.from("./"), name);
      await run("mirror", ["--yes", "source/", target], { cwd: dir.path });
      assertSameTrees(dir.join("source"), joinPath(Buffer.from(dir.path), name));
    }
  });

  test("B07 JSON carries every name exactly, text never its control bytes", async () => {
    using dir = tempDir();
    const tree = new TreeBuilder(dir.join("source"));
    for (const name of NAMES) tree.file(name, "");
    tree.finish();
    const { events, stdoutBytes } = await mirror(dir.join("source"), dir.join("target"));
    const reported = events
      .filter((event) => event.type === "item" && event["kind"] === "file")
      .map((event) => Buffer.from(String(event["path_b64"] ?? event["path"]), event["path_b64"] ? "base64" : "utf8"));
    expect(reported.map((name) => name.toString("latin1")).sort()).toEqual(
      NAMES.map((name) => Buffer.from(name).toString("latin1")).sort(),
    );
    for (const event of events) expect(event["path_b64"] !== undefined).toBe(/\ufffd/.test(String(event["path"])));
    expectHarmless(stdoutBytes);

    const verbose = await fastsync(["copy", "--verbose", `${dir.join("source")}/`, dir.join("other")]);
    expect(verbose.exitCode).toBe(0);
    expectHarmless(verbose.stdoutBytes);
    expectHarmless(Buffer.from(verbose.stderr));
    const lines = verbose.stdout.split("\n").filter((line) => /^create {2}/.test(line));
    expect(lines.length).toBe(NAMES.length + 1);
  });

  test("B08 a component of 255 bytes, at depth, new, replaced, linked and in place", async () => {
    using dir = tempDir();
    const long = "l".repeat(255);
    const build = (text: string) =>
      new TreeBuilder(dir.join("source"))
        .file(`${long}/${long}`, text)
        .hardlink(`${long}/${"h".repeat(255)}`, `${long}/${long}`)
        .symlink(`${long}/${"s".repeat(255)}`, long)
        .special(`${long}/${"f".repeat(255)}`, "fifo");
    build("first").finish();
    await mirror(dir.join("source"), dir.join("target"));
    assertSameTrees(dir.join("source"), dir.join("target"));
    for (const flags of [[], ["--inplace"], ["--temp-dir", dir.path]]) {
      new TreeBuilder(dir.join("source")).file(`${long}/${long}`, `again ${flags[0]}`).finish();
      await mirror(dir.join("source"), dir.join("target"), flags);
      assertSameTrees(dir.join("source"), dir.join("target"));
    }
  });

  test("B05 paths beyond PATH_MAX mirror, and are deleted", async () => {
    using dir = tempDir();
    const levels = 70;
    for (const name of ["source", "stale"]) new TreeBuilder(dir.join(name)).finish();
    buildDeepTree(dir.join("source"), "c".repeat(175), levels);
    const { summary } = await mirror(dir.join("source"), dir.join("target"));
    assertSameTrees(dir.join("source"), dir.join("target"));
    expect(takeSnapshot(dir.join("target"), { content: false }).size).toBe(2 * levels + 1);
    expect(summary).toMatchObject({ files_transferred: levels, directories_created: levels + 1 });
    expectNothingDone(await mirror(dir.join("source"), dir.join("target")));

    /* Now all of it is extraneous, and something else has the same depth. */
    buildDeepTree(dir.join("stale"), "d".repeat(175), levels);
    const deletion = await mirror(dir.join("stale"), dir.join("target"), ["--max-delete", "100%"]);
    assertSameTrees(dir.join("stale"), dir.join("target"));
    expect(deletion.summary["files_deleted"]).toBe(2 * levels);
  });

  test("B10 1,100 descriptors that it inherits are no obstacle", async () => {
    using dir = tempDir();
    const tree = new TreeBuilder(dir.join("source"));
    for (let i = 0; i < 300; i++) tree.file(`d${i % 20}/file${i}`, `${i}`);
    tree.finish();
    const script = 'ulimit -n 4096; for i in $(seq 10 1110); do eval "exec $i</dev/null"; done; exec "$@"';
    const words = ["mirror", "--yes", `${dir.join("source")}/`, dir.join("target")];
    const result = await start(["bash", "-c", script, "bash", ...fastsyncCommand(), ...words]).result;
    expect([result.exitCode, result.stderr]).toEqual([0, ""]);
    assertSameTrees(dir.join("source"), dir.join("target"));
  });
});

/** No byte of a name may move a cursor or pass for another character: C0, DEL, C1 as bytes or as UTF-8, bidi. */
function expectHarmless(output: Uint8Array): void {
  const text = utf8Of(output);
  expect(text).toBeDefined();
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
}
