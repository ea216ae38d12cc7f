/** dist/fastsync on its own: one file that needs nothing beside it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { findCompiler } from "../../scripts/build/compiler.ts";
import { givenSocket } from "../daemon/given-socket.ts";
import { isRoot, start } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { checkout, copyCheckout, makeSource, succeed } from "./package-files.ts";

const scratch = tempDir();
const source = makeSource(scratch.path);
const alone = scratch.join("alone");
const program = join(alone, "fastsync");

beforeAll(() => {
  mkdirSync(alone);
  // Away from dist/, so that nothing can be found beside it.
  copyFileSync(join(checkout, "dist", "fastsync"), program);
});
afterAll(() => scratch[Symbol.dispose]());

const withoutCompiler = findCompiler().kind === "none";

async function backendOf(command: readonly string[], env: Record<string, string | undefined> = {}) {
  const { stdout } = await succeed([...command, "capabilities", "--json"], { cwd: "/", env });
  return JSON.parse(stdout) as { backend: string; reason: string };
}

test.skipIf(withoutCompiler)("brings the native library with it", async () => {
  expect(await backendOf([program])).toMatchObject({ backend: "native" });
});

test.skipIf(withoutCompiler)("needs no variable of the environment", async () => {
  const bare = await start(["env", "-i", program, "capabilities", "--json"], { cwd: "/" }).result;
  expect(JSON.parse(bare.stdout)).toMatchObject({ backend: "native" });
});

test.skipIf(withoutCompiler)("leaves nothing behind in TMPDIR", async () => {
  const folder = scratch.join("tmp");
  mkdirSync(folder);
  await backendOf([program], { TMPDIR: folder, HOME: folder, XDG_CACHE_HOME: undefined, XDG_RUNTIME_DIR: undefined });
  expect(readdirSync(folder)).toEqual([]);
});

const noMount = !isRoot() || Bun.which("unshare") === null;
test.skipIf(withoutCompiler || noMount)("is native where no directory may hold programs", async () => {
  // In a mount namespace of its own: every writable place is mounted noexec, and the mounts go with the process.
  const script = `
    set -e
    for place in /tmp /var/tmp /dev/shm /run /root; do mount -t tmpfs -o noexec,nosuid tmpfs "$place"; done
    exec "$0" capabilities --json`;
  // The program itself has to lie where it may be executed.
  const safe = tempDir("/opt");
  try {
    const moved = safe.join("fastsync");
    copyFileSync(program, moved);
    const { stdout } = await succeed(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, moved], {
      cwd: "/",
      env: { TMPDIR: "/tmp", HOME: undefined, XDG_RUNTIME_DIR: undefined },
    });
    expect(JSON.parse(stdout)).toMatchObject({ backend: "native" });
  } finally {
    safe[Symbol.dispose]();
  }
});

test("works through a symlink of another name", async () => {
  const link = scratch.join("fs");
  symlinkSync(program, link);
  const target = scratch.join("through-link");
  await succeed([link, "copy", `${source}/`, `${target}/`]);
  await succeed(["diff", "-r", source, target]);
});

test("reads a list from a descriptor that a shell made for it", async () => {
  const target = scratch.join("by-list");
  const script = `exec "$0" copy --include-from <(echo '*') --exclude-from=<(echo '*.none') "$1/" "$2/"`;
  await succeed(["bash", "-c", script, program, source, target]);
  await succeed(["diff", "-r", source, target]);
});

test("called as fastsyncd it is the daemon, and keeps a socket that systemd passed", async () => {
  const link = scratch.join("fastsyncd");
  symlinkSync(program, link);
  expect((await succeed([link, "--help"])).stdout).toStartWith("fastsync daemon:");
  using given = givenSocket();
  const daemon = Bun.spawn(["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --root / --data-port 0', link], {
    stdio: ["ignore", "inherit", "pipe", given.fd],
    // What it notes of its jobs goes there.
    env: { ...process.env, XDG_STATE_HOME: scratch.join("state") },
  });
  try {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of daemon.stderr as ReadableStream<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes("\n")) break;
    }
    expect(text).toContain(` started listen=127.0.0.1:${given.port} `);
  } finally {
    daemon.kill("SIGTERM");
  }
  expect(await daemon.exited).toBe(0);
});

test("a build without a C compiler ends well and says what it means", async () => {
  const copy = scratch.join("checkout");
  copyCheckout(copy);
  const out = scratch.join("portable");
  const built = await succeed(["node", "scripts/bun.mjs", "build.ts", "--out", out], {
    cwd: copy,
    env: { CC: "no-such-compiler" },
  });
  expect(built.stderr).toContain("the portable backend will serve");
  expect(existsSync(join(copy, "ffi", "build", "libfsy.so"))).toBe(false);
  expect(await backendOf([join(out, "fastsync")])).toMatchObject({ backend: "portable" });
  const target = scratch.join("portable-target");
  await succeed([join(out, "fastsync"), "mirror", "--yes", `${source}/`, `${target}/`]);
  await succeed(["diff", "-r", source, target]);
});
