/**
 * The Debian package as its users get it: installed by dpkg into a root file system of its own, used, upgraded, removed,
 * purged. This machine's packages stay as they are.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { buildDebian } from "../../scripts/build/debian.ts";
import { setQuiet } from "../../scripts/build/log.ts";
import { hostTargetName, targetNamed } from "../../scripts/build/targets.ts";
import { inOverlayRoot, overlayRootMissing } from "../support/overlay-root.ts";
import { describe as described } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { checkout, succeed } from "./package-files.ts";

const scratch = tempDir();
const architecture = targetNamed(hostTargetName() ?? "")?.debian;
const missing =
  architecture === undefined
    ? "Debian has no name for this machine"
    : Bun.which("dpkg-deb") === null
      ? "dpkg-deb is not installed"
      : undefined;
let first = "";
let second = "";
let contents: string[] = [];

beforeAll(async () => {
  if (missing !== undefined) return;
  setQuiet(true);
  const binary = join(checkout, "dist", "fastsync");
  // Compressing is most of the time, and of no interest here.
  const options = { binary, architecture: architecture!, compression: "none" } as const;
  [first, second] = ["first", "second"].map((name) => {
    mkdirSync(scratch.join(name));
    return buildDebian({ ...options, folder: scratch.join(name) });
  }) as [string, string];
  contents = (await succeed(["dpkg-deb", "--contents", first])).stdout.trimEnd().split("\n");
});
afterAll(() => scratch[Symbol.dispose]());

describe.skipIf(missing !== undefined)(`the package${missing === undefined ? "" : ` (skipped: ${missing})`}`, () => {
  test("holds the program under its three names, units, manual pages, completions and documents", () => {
    const paths = contents.map((line) => line.split(/\s+/).slice(5).join(" "));
    for (const path of [
      "./usr/bin/fastsync",
      "./usr/bin/fastsyncd -> fastsync",
      "./usr/bin/fastsync-utils -> fastsync",
      "./usr/lib/systemd/system/fastsyncd.service",
      "./usr/lib/systemd/system/fastsyncd.socket",
      "./etc/fastsync/config.toml",
      "./etc/fastsync/conf.d/",
      "./usr/share/man/man1/fastsync.1.gz",
      "./usr/share/man/man1/fastsync-utils.1.gz",
      "./usr/share/man/man8/fastsyncd.8.gz",
      "./usr/share/bash-completion/completions/fastsync",
      "./usr/share/zsh/vendor-completions/_fastsync",
      "./usr/share/fish/vendor_completions.d/fastsync.fish",
      "./usr/share/doc/fastsync/copyright",
      "./usr/share/doc/fastsync/changelog.gz",
      "./usr/share/doc/fastsync/daemon.md",
      "./usr/share/doc/fastsync/guides/nas.md",
    ])
      expect(paths).toContain(path);
  });

  test("belongs to root, and nobody else may write to it", () => {
    const wrong = contents.filter((line) => !/^(-rw-r--r--|-rwxr-xr-x|drwxr-xr-x|lrwxrwxrwx) root\/root /.test(line));
    expect(wrong).toEqual([]);
  });

  test("is the same when it is built again", () => {
    expect(readFileSync(second).equals(readFileSync(first))).toBe(true);
  });

  test("documents that its units name are there", () => {
    for (const unit of ["fastsyncd.service", "fastsyncd.socket"]) {
      const text = readFileSync(join(checkout, "packaging/systemd", unit), "utf8");
      const [, path] = /Documentation=.*file:(\S+)/.exec(text)!;
      expect(contents.some((line) => line.endsWith(` .${path}`))).toBe(true);
    }
  });

  const sealed = overlayRootMissing();
  test.skipIf(sealed !== undefined)(
    `is installed, used, upgraded, removed and purged${sealed ? ` (${sealed})` : ""}`,
    async () => {
      mkdirSync(scratch.join("root"));
      const result = await inOverlayRoot(scratch.join("root"), LIFE, [first]);
      expect(result.exitCode === 0 ? "" : described(result)).toBe("");
      expect(result.stdout.trim().split("\n").at(-1)).toBe("the end");
    },
  );
});

/** $1: the package. Every line has to succeed. */
const LIFE = `
package=$root/tmp/fastsync.deb
cp "$1" "$package"
# The index of all manual pages of this machine is none of our business.
rm -f "$root/var/lib/man-db/auto-update"
step() { echo "== $* ($SECONDS s)"; }
step install
inside dpkg --force-unsafe-io --install /tmp/fastsync.deb
[ "$(inside dpkg-query -W -f '\${Status}' fastsync)" = "install ok installed" ]
# Nothing is enabled, nothing listens.
if ls "$root"/etc/systemd/system/*.wants/fastsyncd* 2>/dev/null; then exit 1; fi
step use
mkdir "$root/srv/data"
echo one > "$root/srv/data/one"
inside fastsync version
inside fastsync mirror --yes /srv/data/ /srv/copy/
cmp "$root/srv/data/one" "$root/srv/copy/one"
inside fastsync config check
inside fastsyncd --help | grep -q '^fastsync daemon:'
if inside test -x /usr/bin/systemd-analyze; then
  inside systemd-analyze verify --man=no /usr/lib/systemd/system/fastsyncd.service /usr/lib/systemd/system/fastsyncd.socket
fi
if inside test -x /usr/bin/man; then inside man --where fastsync fastsyncd; fi
# A daemon with the example made real.
ip link set lo up
cat >> "$root/etc/fastsync/config.toml" <<CONFIG
[[module]]
name = "data"
path = "/srv/data"
CONFIG
inside fastsyncd > "$root/tmp/log" 2>&1 &
for _ in $(seq 200); do grep -q ' started ' "$root/tmp/log" && break; sleep 0.05; done
inside fastsync copy localhost:/data/ /srv/fetched/
cmp "$root/srv/data/one" "$root/srv/fetched/one"
kill -TERM "$(sed -n 's/.* started .* pid=\\([0-9]*\\).*/\\1/p' "$root/tmp/log")"
wait $!
step upgrade
inside dpkg --force-unsafe-io --install --force-confold /tmp/fastsync.deb
# What the administrator wrote stays.
grep -q 'name = "data"' "$root/etc/fastsync/config.toml"
step remove
mkdir -p "$root/var/lib/fastsync"
touch "$root/var/lib/fastsync/state"
inside dpkg --remove fastsync
[ ! -e "$root/usr/bin/fastsync" ] && [ ! -e "$root/usr/bin/fastsyncd" ]
[ -e "$root/etc/fastsync/config.toml" ] && [ -e "$root/var/lib/fastsync/state" ]
step purge
inside dpkg --purge fastsync
[ ! -e "$root/etc/fastsync" ] && [ ! -e "$root/var/lib/fastsync" ] && [ ! -e "$root/usr/share/doc/fastsync" ]
# Data is nobody's business.
[ -e "$root/srv/data/one" ]
if inside dpkg-query -W fastsync 2>/dev/null; then exit 1; fi
echo the end
`;

test.skipIf(missing !== undefined)("the changelog names the version of the package", () => {
  const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as { version: string };
  expect(readFileSync(join(checkout, "packaging/debian/changelog"), "utf8")).toStartWith(`fastsync (${version}) `);
  expect(existsSync(first)).toBe(true);
});
