/** A configuration that cannot be used, through the program itself: exit 1, one message, and nothing listens. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { fastsync } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";

const scratch = tempDir();
afterAll(() => scratch[Symbol.dispose]());

test("B71 everything that is wrong is told at once, with file and key", async () => {
  const file = scratch.join("bad.toml");
  writeFileSync(
    file,
    '[daemon]\nprot = 9\n[[module]]\nname = "a\\u001b[2J"\npath = "/x"\n[[module]]\nname = "b"\npath = "b"\n',
  );
  const { exitCode, stdout, stderr } = await fastsync(["daemon", "--config", file, "--bind", "nas"]);
  expect(stderr).toBe(
    [
      "fastsync daemon: the configuration cannot be used:",
      `  ${file}: module 1.name: "a\\u001b[2J" has a control character`,
      `  ${file}: module "b".path: "b" is not absolute; it begins with /`,
      '  --bind: "nas" is not an IP address; write an address of this machine',
      `  ${file}: daemon.prot: unknown key; did you mean port?`,
      "",
    ].join("\n"),
  );
  expect([exitCode, stdout]).toEqual([1, ""]);
});

test("B71 without anything to serve it does not start, and never serves where it stands", async () => {
  mkdirSync(scratch.join("empty"));
  const named = await fastsync(["daemon", "--config-dir", scratch.join("empty")], { cwd: scratch.path });
  expect(named.stderr).toContain(`${scratch.join("empty")}/config.toml: there is no such file`);
  expect(named.exitCode).toBe(1);
  writeFileSync(scratch.join("no-modules.toml"), "[daemon]\nport = 0\n");
  const bare = await fastsync(["daemon", "--config", scratch.join("no-modules.toml")], { cwd: scratch.path });
  expect(bare.stderr).toContain("nothing is served: no [[module]], no root");
  expect(bare.exitCode).toBe(1);
});
