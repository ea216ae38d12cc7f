/** What modules admit, asked for by the command line: by their kind, by the caller's address, by their path. */
import { describe, expect, test } from "bun:test";
import { lchownSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { assertSameTrees } from "../support/diff.ts";
import { fastsync, fastsyncJson, isRoot, describe as shown } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { placeAt, startDaemon, type TestDaemon } from "./support/daemon.ts";
import { freePort } from "./support/ports.ts";

interface Ground {
  readonly dir: TempDir;
  readonly tree: string;
  readonly served: string;
}

function ground(dir: TempDir): Ground {
  for (const name of ["tree", "served", "back"]) mkdirSync(dir.join(name));
  writeFileSync(dir.join("tree/new"), "new");
  writeFileSync(dir.join("served/there"), "there");
  return { dir, tree: dir.join("tree"), served: dir.join("served") };
}

/** Further modules of the daemon, after the writable `m`. */
function moduleLines(name: string, path: string, lines: string): string {
  return `[[module]]\nname = ${JSON.stringify(name)}\npath = ${JSON.stringify(path)}\n${lines}\n`;
}

const at = (daemon: TestDaemon, module: string, path = ""): string => `127.0.0.1:${daemon.port}:/${module}/${path}`;

describe("what a module admits", () => {
  test("B64 S18 a read-only module takes nothing, whatever the verb and the flags", async () => {
    using dir = tempDir();
    const { tree, served } = ground(dir);
    await using daemon = await startDaemon({ path: served, module: moduleLines("ro", served, "") });
    const before = takeSnapshot(served);
    const place = at(daemon, "ro");
    for (const words of [
      ["copy", `${tree}/`, place],
      ["copy", `${tree}/`, at(daemon, "ro", "made/below/")],
      ["copy", "--dry-run", `${tree}/`, place],
      ["mirror", "--yes", `${tree}/`, place],
      ["mirror", "--yes", "--delete-excluded", "--exclude=*", "--max-delete=100%", `${tree}/`, place],
      ["copy", "--inplace", `${tree}/`, place],
      ["copy", "--temp-dir=.", "--backup-dir=kept", `${tree}/`, place],
      ["move", "--yes", place, `${dir.join("back")}/`],
      ["move", "--yes", `${tree}/`, place],
    ]) {
      const result = await fastsyncJson(words);
      expect([words, result.exitCode, result.summary["exit_reason"]]).toEqual([words, 3, "read_only_module"]);
      assertSameTrees(before, served);
    }
    expect(readFileSync(`${tree}/new`, "utf8")).toBe("new");
    expect(shown(await fastsync(["copy", place, `${dir.join("back")}/`]))).toStartWith("exit 0");
    expect(readdirSync(dir.join("back"))).toEqual(["there"]);
  });

  test("B64 a write-only module gives and tells nothing, and takes", async () => {
    using dir = tempDir();
    const { tree, served } = ground(dir);
    const lines = "read_only = false\nwrite_only = true";
    await using daemon = await startDaemon({ path: served, module: moduleLines("drop", served, lines) });
    const place = at(daemon, "drop");
    for (const words of [
      ["copy", place, `${dir.join("back")}/`],
      ["move", "--yes", place, `${dir.join("back")}/`],
      ["check", place, `${dir.join("back")}/`],
      ["check", `${tree}/`, place],
      ["copy", "--dry-run", `${tree}/`, place],
    ]) {
      const result = await fastsyncJson(words);
      expect([words, result.summary["exit_reason"]]).toEqual([words, "write_only_module"]);
      expect(result.stdout).not.toContain('there"');
    }
    expect(readdirSync(dir.join("back"))).toEqual([]);
    expect(shown(await fastsync(["copy", `${tree}/`, place]))).toStartWith("exit 0");
    expect(readFileSync(`${served}/new`, "utf8")).toBe("new");
  });

  test("B67 an address of either family is told apart, in either form of it", async () => {
    using dir = tempDir();
    const { served } = ground(dir);
    const modules = [
      moduleLines("four", served, 'allow = ["127.0.0.0/8"]'),
      moduleLines("six", served, 'allow = ["::1"]'),
      moduleLines("mapped", served, 'allow = ["::ffff:127.0.0.0/104"]'),
      moduleLines("denied", served, 'deny = ["127.0.0.1"]'),
    ];
    const settings = { path: served, module: modules.join("") };
    await using daemon = await startDaemon({ ...settings, bind: ["127.0.0.1", "::1"], port: await freePort() });
    const outcome = async (host: string, module: string): Promise<unknown> => {
      const place = placeAt(host, daemon.port).replace("/m/", `/${module}/`);
      return (await fastsyncJson(["copy", place, `${dir.join("back")}/`])).summary["exit_reason"];
    };
    expect(await outcome("127.0.0.1", "four")).toBe("ok");
    expect(await outcome("127.0.0.1", "mapped")).toBe("ok");
    expect(await outcome("127.0.0.1", "six")).toBe("no_such_module");
    expect(await outcome("127.0.0.1", "denied")).toBe("no_such_module");
    expect(await outcome("::1", "six")).toBe("ok");
    for (const module of ["four", "mapped"]) expect(await outcome("::1", module)).toBe("no_such_module");
    expect(await outcome("::1", "denied")).toBe("ok");
  });
});

describe("a module's path", () => {
  test("B70 may be /", async () => {
    using dir = tempDir();
    const { tree, served } = ground(dir);
    await using daemon = await startDaemon({ path: "/" });
    expect(shown(await fastsync(["copy", daemon.place(`${served.slice(1)}/`), `${dir.join("back")}/`]))).toStartWith(
      "exit 0",
    );
    expect(readdirSync(dir.join("back"))).toEqual(["there"]);
    expect(shown(await fastsync(["copy", `${tree}/`, daemon.place(`${served.slice(1)}/`)]))).toStartWith("exit 0");
    expect(readdirSync(served).sort()).toEqual(["new", "there"]);
  });

  const needsRoot = isRoot() ? undefined : "needs root";
  test.skipIf(needsRoot !== undefined)(
    `S15 is not followed through another user's link, leaf or parent; root's own is${needsRoot ? ` (skipped: ${needsRoot})` : ""}`,
    async () => {
      using dir = tempDir();
      const { tree, served } = ground(dir);
      mkdirSync(dir.join("elsewhere/inner"), { recursive: true });
      writeFileSync(dir.join("elsewhere/secret"), "secret");
      for (const [name, to, owner] of [
        ["planted", "elsewhere", 1234],
        ["own", "served", 0],
      ] as const) {
        symlinkSync(to, dir.join(name));
        lchownSync(dir.join(name), owner, owner);
      }
      const writable = "read_only = false";
      await using daemon = await startDaemon({
        path: served,
        module: [
          moduleLines("leaf", dir.join("planted"), writable),
          moduleLines("parent", dir.join("planted/inner"), writable),
          moduleLines("own", dir.join("own"), writable),
        ].join(""),
      });
      for (const module of ["leaf", "parent"]) {
        const pull = await fastsyncJson(["copy", at(daemon, module), `${dir.join("back")}/`]);
        const push = await fastsyncJson(["mirror", "--yes", `${tree}/`, at(daemon, module)]);
        for (const { summary, exitCode } of [pull, push])
          expect([module, exitCode, summary["exit_reason"]]).toEqual([module, 3, "module_unavailable"]);
        expect(readdirSync(dir.join("back"))).toEqual([]);
      }
      expect(readdirSync(dir.join("elsewhere")).sort()).toEqual(["inner", "secret"]);
      expect(readdirSync(dir.join("elsewhere/inner"))).toEqual([]);
      expect(shown(await fastsync(["copy", at(daemon, "own"), `${dir.join("back")}/`]))).toStartWith("exit 0");
      expect(readdirSync(dir.join("back"))).toEqual(["there"]);
    },
  );
});
