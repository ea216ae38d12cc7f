/** Through `ssh -L` of the control port alone, with a real OpenSSH server: everything works, in the control connection. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { assertSameTrees } from "../support/diff.ts";
import { fastsync, fastsyncJson, describe as shown } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { eventually, placeAt, startDaemon, type TestDaemon } from "./support/daemon.ts";
import { freePort } from "./support/ports.ts";
import { expectSchema } from "./support/schema.ts";
import { MIB, mixedTree } from "./support/trees.ts";

const SSHD = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].find((path) => existsSync(path));
const missing =
  SSHD === undefined
    ? "openssh-server is not installed"
    : Bun.which("ssh") === null
      ? "openssh-client is not installed"
      : undefined;

describe.skipIf(missing !== undefined)(`ssh -L${missing === undefined ? "" : ` (${missing})`}`, () => {
  let scratch: TempDir;
  const stack = new AsyncDisposableStack();
  let daemon: TestDaemon;
  let forwarded: number;
  let tree: string;
  let served: string;

  beforeAll(async () => {
    scratch = tempDir();
    // sshd refuses keys below a directory that others may write to.
    chmodSync(scratch.path, 0o700);
    tree = scratch.join("tree");
    mixedTree(tree, 2 * MIB);
    served = scratch.join("served");
    mkdirSync(served);
    daemon = stack.use(await startDaemon({ path: served, bind: ["127.0.7.1"] }));
    const sshPort = await freePort();
    for (const name of ["host", "user"]) call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", scratch.join(name));
    writeFileSync(scratch.join("authorized_keys"), readFileSync(scratch.join("user.pub")), { mode: 0o600 });
    const config = scratch.join("sshd_config");
    writeFileSync(
      config,
      `Port ${sshPort}
ListenAddress 127.0.0.1
HostKey ${scratch.join("host")}
AuthorizedKeysFile ${scratch.join("authorized_keys")}
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
`,
    );
    if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true });
    const sshd = Bun.spawn([SSHD!, "-D", "-e", "-f", config], {
      stdio: ["ignore", "ignore", Bun.file(scratch.join("sshd.log"))],
    });
    stack.defer(() => end(sshd));
    forwarded = await freePort();
    const options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
    const words = options.flatMap((option) => ["-o", option]);
    const forward = `127.0.0.1:${forwarded}:${daemon.host}:${daemon.port}`;
    let ssh: Bun.Subprocess | undefined;
    stack.defer(() => (ssh === undefined ? undefined : end(ssh)));
    const start = () =>
      Bun.spawn(
        [
          "ssh",
          "-N",
          "-F",
          "none",
          ...words,
          "-o",
          "ExitOnForwardFailure=yes",
          "-i",
          scratch.join("user"),
          "-L",
          forward,
        ].concat("-p", String(sshPort), `${userName()}@127.0.0.1`),
        { stdio: ["ignore", "ignore", "inherit"] },
      );
    await eventually(
      () => readFileSync(scratch.join("sshd.log"), "utf8").includes("Server listening"),
      () => "sshd",
    );
    ssh = start();
    await eventually(
      () => spawnSync("bash", ["-c", `exec 3<>/dev/tcp/127.0.0.1/${forwarded}`]).status === 0,
      () => "ssh -L",
    );
  });
  afterAll(async () => {
    await stack.disposeAsync();
    scratch?.[Symbol.dispose]();
  });

  // The daemon has an address of its own, so that its data port is not where ssh listens.
  const there = (path = ""): string => placeAt("127.0.0.1", forwarded, path);

  test("push, check, pull, and a mirror with deletions", async () => {
    const push = await fastsyncJson(["copy", `${tree}/`, there("a/")]);
    expect(shown(push)).toStartWith("exit 0");
    expectSchema(push.events);
    expect(push.summary["notices"]).toMatchObject([{ code: "in_stream" }]);
    assertSameTrees(tree, `${served}/a`);
    const check = await fastsync(["check", `${tree}/`, there("a/")]);
    expect(check.exitCode).toBe(0);
    const back = scratch.join("back");
    const pull = await fastsync(["copy", there("a/"), `${back}/`]);
    expect(shown(pull)).toStartWith("exit 0");
    assertSameTrees(tree, back);
    new TreeBuilder(`${served}/a/old`).file("one").finish();
    const mirror = await fastsync(["mirror", "--yes", `${tree}/`, there("a/")]);
    expect(shown(mirror)).toStartWith("exit 0");
    assertSameTrees(tree, `${served}/a`);
    expect(readdirSync(served)).toEqual(["a"]);
  });
});

async function end(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGTERM");
  await child.exited;
}

function call(...command: string[]): void {
  const { status, stderr } = spawnSync(command[0]!, command.slice(1), { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

/** As sshd knows it. */
function userName(): string {
  return spawnSync("id", ["-un"], { encoding: "utf8" }).stdout.trim();
}
