/**
 * The Dockerfile. Where there is no docker, what its last stage does is done here: its commands run in a root file system
 * of their own, and its entry point as its user.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inOverlayRoot, overlayRootMissing } from "../support/overlay-root.ts";
import { describe as described } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { lastOf, stagesOf } from "./dockerfile.ts";
import { checkout } from "./package-files.ts";

const scratch = tempDir();
afterAll(() => scratch[Symbol.dispose]());

const stages = stagesOf(readFileSync(join(checkout, "Dockerfile"), "utf8"));
const [build, final] = stages as [(typeof stages)[number], (typeof stages)[number]];
const words = (text: string | undefined): string[] => JSON.parse(text ?? "[]") as string[];

describe("the Dockerfile", () => {
  test("builds in one stage and keeps the program only", () => {
    expect(stages.map(({ as }) => as)).toEqual(["build", undefined]);
    const copies = final.instructions.filter(({ name }) => name === "COPY").map(({ text }) => text);
    expect(copies).toEqual(["--from=build /fastsync/dist/fastsync /usr/bin/fastsync"]);
  });

  test("takes images by their plain names, with a version", () => {
    for (const { from } of stages) expect(from).toMatch(/^[a-z]+:[a-z0-9.-]+$/);
    expect(stages.some(({ from }) => from.endsWith(":latest"))).toBe(false);
  });

  test("installs what the lock file says, without the scripts of packages, and leaves no package lists", () => {
    const runs = build.instructions.filter(({ name }) => name === "RUN").map(({ text }) => text);
    expect(runs.join("\n")).toContain("npm ci --omit=dev --ignore-scripts");
    for (const run of runs.filter((text) => text.includes("apt-get install"))) {
      expect(run).toContain("--no-install-recommends");
      expect(run).toContain("rm -rf /var/lib/apt/lists/*");
    }
    // The lock file comes before the sources, so that a changed source does not fetch everything again.
    const copies = build.instructions.filter(({ name }) => name === "COPY").map(({ text }) => text.split(" "));
    for (const file of copies[0]!.slice(0, -1)) expect([file, existsSync(join(checkout, file))]).toEqual([file, true]);
    expect(copies[1]).toEqual([".", "."]);
  });

  test("keeps what is built and fetched here out of the image", () => {
    const ignored = readFileSync(join(checkout, ".dockerignore"), "utf8").split("\n");
    for (const name of [".git", "node_modules", "dist", "ffi/build", "ffi/prebuilt"]) expect(ignored).toContain(name);
  });

  test("runs as an ordinary user, by number", () => {
    expect(lastOf(final, "USER")).toMatch(/^[1-9]\d+:[1-9]\d+$/);
    expect(words(lastOf(final, "ENTRYPOINT"))).toEqual(["/usr/bin/fastsync"]);
    expect(words(lastOf(final, "CMD"))).toEqual(["help"]);
  });

  const missing = overlayRootMissing();
  test.skipIf(missing !== undefined)(
    `its commands make a root in which that user can work${missing ? ` (${missing})` : ""}`,
    async () => {
      const [uid = "", gid = ""] = lastOf(final, "USER")!.split(":");
      const runs = final.instructions.filter(({ name }) => name === "RUN").map(({ text }) => text);
      const script = `
rm -f "$root"/usr/bin/fastsync "$root"/usr/bin/fastsyncd "$root"/usr/bin/fastsync-utils
touch "$root/usr/bin/fastsync"; mount --bind "$1" "$root/usr/bin/fastsync"
inside sh -euc ${JSON.stringify(runs.join("; ")).replaceAll("$", "\\$")}
as_user() {
  env -i PATH=/usr/sbin:/usr/bin:/bin HOME="$home" chroot "$root" sh -c 'cd ${lastOf(final, "WORKDIR")}; exec "$@"' sh \\
    setpriv --reuid=${uid} --regid=${gid} --clear-groups --inh-caps=-all --no-new-privs "$@"
}
home=$(inside getent passwd ${uid} | cut -d: -f6)
[ "$(inside stat -c %u "$home")" = ${uid} ]
entry=${words(lastOf(final, "ENTRYPOINT"))[0]}
as_user "$entry" ${words(lastOf(final, "CMD")).join(" ")} > /dev/null
[ "$(stat -c %u:%g "$root/data")" = ${uid}:${gid} ]
# Volumes of the host: one to read, one to write.
mkdir "$root/data/photos" "$root/data/backup"
echo one > "$root/data/photos/one"
chown ${uid}:${gid} "$root/data/backup"
mount -t tmpfs tmpfs "$root/data/photos"; echo one > "$root/data/photos/one"; mount -o remount,ro "$root/data/photos"
as_user "$entry" mirror --yes --no-owner --no-group photos/ backup/
cmp "$root/data/photos/one" "$root/data/backup/one"
[ "$(stat -c %u "$root/data/backup/one")" = ${uid} ]
# It is nobody who could write elsewhere.
if as_user "$entry" copy photos/one /usr/bin/ 2> "$root/tmp/refused"; then exit 1; fi
# The daemon, on the ports that the image names.
ip link set lo up
as_user "$entry" daemon --bind 0.0.0.0 --root /data > "$root/tmp/log" 2>&1 &
daemon=$!
for _ in $(seq 200); do grep -q ' started ' "$root/tmp/log" && break; sleep 0.05; done
for port in ${lastOf(final, "EXPOSE")}; do bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"; done
inside fastsync copy localhost://photos/one /tmp/fetched
cmp "$root/data/photos/one" "$root/tmp/fetched"
kill -TERM "$(sed -n 's/.* started .* pid=\\([0-9]*\\).*/\\1/p' "$root/tmp/log")"
wait $daemon
# What it keeps for itself is not among what it serves.
[ "$(ls -A "$root/data" | tr '\\n' ' ')" = "backup photos " ]
echo the end`;
      mkdirSync(scratch.join("root"));
      const result = await inOverlayRoot(scratch.join("root"), script, [join(checkout, "dist", "fastsync")]);
      expect(result.exitCode === 0 ? "" : described(result)).toBe("");
      expect(result.stdout.trim().split("\n").at(-1)).toBe("the end");
    },
  );
});
