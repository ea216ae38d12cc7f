/** The helpers that run programs and mount filesystems keep their promises. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { decodeAcl, encodeAcl } from "../support/acl.ts";
import { buildDeepTree } from "../support/deep-tree.ts";
import { canMount, FILESYSTEMS, mountFilesystem } from "../support/filesystems.ts";
import { libcMissing, lstat, setTimes } from "../support/libc.ts";
import { asUserMissing, ORDINARY_USER, start } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";

describe("run", () => {
  test("passes arguments as bytes and returns output and exit code", async () => {
    const odd = Buffer.from([0x61, 0xff, 0x0a, 0x0a]);
    const command = ["sh", "-c", 'printf %s "$1"; printf %s "$2" >&2; exit 7', "sh", odd, "b c"];
    const result = await start(command).result;
    expect(Buffer.from(result.stdoutBytes)).toEqual(odd);
    expect([result.stderr, result.exitCode]).toEqual(["b c", 7]);
  });

  test("kills what takes too long and says so", async () => {
    await expect(start(["sleep", "60"], { timeoutMs: 50 }).result).rejects.toThrow("still running after 50 ms");
  });

  test("names the signal that ended a process", async () => {
    const child = start(["sleep", "60"]);
    child.kill("SIGTERM");
    expect(await child.result).toMatchObject({ exitCode: 143, signal: "SIGTERM" });
  });

  test.skipIf(asUserMissing() !== undefined)("becomes an ordinary user without capabilities", async () => {
    const command = ["sh", "-c", "id -u; id -G; grep CapEff /proc/self/status"];
    const { stdout } = await start(command, { asUser: ORDINARY_USER }).result;
    expect(stdout).toBe("65534\n65534\nCapEff:\t0000000000000000\n");
  });
});

describe("filesystems", () => {
  for (const kind of FILESYSTEMS) {
    const reason = canMount(kind);
    test.skipIf(reason !== undefined)(
      `${kind} comes and goes${reason ? ` (${reason})` : ""}`,
      async () => {
        let path: string;
        {
          await using filesystem = await mountFilesystem(kind, "512M");
          path = filesystem.path;
          expect(await mountType(path)).toBe(kind.replace("-noreflink", ""));
        }
        expect(existsSync(path)).toBe(false);
      },
      60_000,
    );
  }
});

async function mountType(path: string): Promise<string | undefined> {
  const mounts = (await Bun.file("/proc/mounts").text()).split("\n").map((line) => line.split(" "));
  return mounts.find((fields) => fields[1] === path)?.[2];
}

describe.skipIf(libcMissing !== undefined)("system calls", () => {
  test("times keep their nanoseconds on both sides of the epoch", () => {
    using dir = tempDir();
    for (const time of [-1n, -1_000_000_000n, 1n, 0n, 1_700_000_000_123_456_789n]) {
      setTimes(dir.path, time);
      expect(lstat(dir.path).mtimeNs).toBe(time);
    }
  });

  test("ACLs survive their encoding", () => {
    const text = "user::rwx,user:5:r--,group::r-x,group:6:-w-,mask::rwx,other::--x";
    expect(decodeAcl(encodeAcl(text))).toBe(text);
  });

  test("a tree deeper than PATH_MAX is recorded", () => {
    using dir = tempDir();
    buildDeepTree(dir.path, "d".repeat(200), 30);
    const paths = [...takeSnapshot(dir.path).keys()];
    expect(Math.max(...paths.map((path) => path.length))).toBe(30 * 201 - 1 + "/file".length);
  });
});
