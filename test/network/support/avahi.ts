/**
 * A real avahi on a host of `hosts.ts`, with a bus of its own: its files are seen by nobody else, and its packets do not
 * leave the made-up network.
 */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { type TempDir, tempDir } from "../../support/temp.ts";
import { eventually } from "./daemon.ts";
import type { Host } from "./hosts.ts";

export interface Avahi extends AsyncDisposable {
  /** Announces until it is disposed of. */
  publish(name: string, type: string, port: number, ...text: string[]): AsyncDisposable;
  /** What it found of this type, with everything resolved: one line an address. */
  browse(type: string): string[];
}

const PROGRAMS = ["avahi-daemon", "avahi-publish", "avahi-browse", "dbus-daemon"];

export function avahiMissing(): string | undefined {
  const path = `${process.env["PATH"]}:/usr/sbin`;
  const absent = PROGRAMS.filter((name) => Bun.which(name, { PATH: path }) === null);
  return absent.length === 0 ? undefined : `${absent.join(", ")} not installed`;
}

export async function startAvahi(host: Host, hostName: string): Promise<Avahi> {
  const scratch = tempDir();
  const socket = scratch.join("bus");
  writeFileSync(
    scratch.join("bus.conf"),
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow eavesdrop="true"/></policy>
</busconfig>`,
  );
  writeFileSync(
    scratch.join("avahi.conf"),
    `[server]\nhost-name=${hostName}\nuse-ipv4=yes\nuse-ipv6=yes\n[publish]\npublish-workstation=no\n[rlimits]\n`,
  );
  const env = { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${socket}`, LC_ALL: "C.UTF-8" };
  const spawn = (...command: string[]) =>
    Bun.spawn([...host.prefix, ...command], { env, stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  const bus = spawn("dbus-daemon", "--nofork", "--nopidfile", `--config-file=${scratch.join("bus.conf")}`);
  const query = (...command: string[]) =>
    spawnSync(host.prefix[0]!, [...host.prefix.slice(1), ...command], { env, encoding: "utf8", timeout: 15_000 });
  // Its directory for sockets and its id is one for the machine: it gets one of its own.
  const own =
    "mount -t tmpfs none /run && mkdir -p /run/avahi-daemon && exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f";
  const children = [bus];
  const dispose = async (): Promise<void> => {
    using _: TempDir = scratch;
    for (const child of children.reverse()) {
      child.kill("SIGTERM");
      await child.exited;
    }
  };
  try {
    // Avahi ends at once where there is no bus yet.
    await eventually(
      () => existsSync(socket),
      () => "a bus for avahi",
    );
    children.push(spawn("unshare", "--mount", "sh", "-c", `${own} ${scratch.join("avahi.conf")}`));
    await eventually(
      () => query("avahi-browse", "--terminate", "--all").status === 0,
      () => "avahi",
    );
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    publish: (name, type, port, ...text) => {
      const child = spawn("avahi-publish", "-s", name, type, String(port), ...text);
      children.push(child);
      return {
        [Symbol.asyncDispose]: async () => {
          child.kill("SIGTERM");
          await child.exited;
        },
      };
    },
    browse: (type) =>
      query("avahi-browse", "--terminate", "--resolve", "--parsable", type)
        .stdout.split("\n")
        .filter((line) => line.startsWith("=")),
    [Symbol.asyncDispose]: dispose,
  };
}
