/** Two hosts with a far line between them, `far-line.c`: network namespaces `10.88.0.1` and `10.88.0.2`. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { isRoot } from "../../support/run.ts";
import { type TempDir, tempDir } from "../../support/temp.ts";

export interface FarLine extends AsyncDisposable {
  /** Runs what follows at the near end, and at the far end. */
  readonly near: readonly string[];
  readonly far: readonly string[];
  readonly farAddress: string;
}

/** Why there is no such line here, or undefined where there is. */
export function farLineMissing(): string | undefined {
  if (!isRoot()) return "only root can make network namespaces";
  if (Bun.which("ip") === null) return "ip (iproute2) is not installed";
  if (compiler() === null) return "there is no C compiler";
  return spawnSync("sh", ["-c", ": <>/dev/net/tun"]).status === 0 ? undefined : "there is no /dev/net/tun";
}

const compiler = (): string | null => Bun.which(process.env["CC"] ?? "cc");

export async function farLine(roundTripMs: number): Promise<FarLine> {
  const stack = new AsyncDisposableStack();
  try {
    const scratch: TempDir = stack.use(tempDir());
    const program = scratch.join("far-line");
    call(compiler()!, "-O2", "-o", program, join(import.meta.dir, "far-line.c"));
    const names = ["near", "far"].map((end) => `fsy${process.pid}-${end}`) as [string, string];
    for (const name of names) {
      call("ip", "netns", "add", name);
      stack.defer(() => void spawnSync("ip", ["netns", "del", name]));
      call("ip", "-n", name, "link", "set", "lo", "up");
    }
    const line = Bun.spawn([program, ...names, String(roundTripMs)], { stdout: "pipe", stderr: "inherit" });
    stack.defer(async () => {
      line.kill("SIGKILL");
      await line.exited;
    });
    const { value } = await line.stdout.getReader().read();
    if (!Buffer.from(value ?? []).includes("ready")) throw new Error("the far line did not begin");
    for (const [at, name] of names.entries()) {
      call("ip", "-n", name, "addr", "add", `10.88.0.${at + 1}/24`, "dev", "far0");
      call("ip", "-n", name, "link", "set", "far0", "mtu", "9000", "up");
    }
    const prefixes = names.map((name) => ["ip", "netns", "exec", name]);
    const held = stack.move();
    return {
      near: prefixes[0]!,
      far: prefixes[1]!,
      farAddress: "10.88.0.2",
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

function call(...command: string[]): void {
  const { status, stderr } = spawnSync(command[0]!, command.slice(1), { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}
