/**
 * A release that `npm run release` made: FASTSYNC_RELEASE names its folder. Each program is for the platform that it
 * says, and those that can be started here mirror a tree with their native library: by qemu where the processor is
 * another one, and where the C library is, with the loader and libraries of the directory that FASTSYNC_LIBRARIES_NAME
 * names (FASTSYNC_LIBRARIES_LINUX_X64_MUSL: what Alpine's musl and libstdc++ put into /lib and /usr/lib). `npm run
 * release:check` runs it.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { glibcNeeded } from "../../scripts/build/glibc.ts";
import { TARGET_NAMES, type TargetName, targetNamed } from "../../scripts/build/targets.ts";
import { inOverlayRoot } from "../support/overlay-root.ts";
import { describe as described } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { succeed } from "./package-files.ts";

const folder = process.env["FASTSYNC_RELEASE"];
const release = resolve(folder ?? "dist/release");
const scratch = tempDir();
afterAll(() => scratch[Symbol.dispose]());

/** The first bytes of each platform's programs, and the number of the processor. */
const MAGIC: Readonly<Record<TargetName, string>> = {
  "linux-x64": "ELF 3e",
  "linux-arm64": "ELF b7",
  "linux-x64-musl": "ELF 3e",
  "linux-arm64-musl": "ELF b7",
  "darwin-x64": "Mach-O 1000007",
  "darwin-arm64": "Mach-O 100000c",
  "windows-x64": "PE 8664",
};

function platformOf(path: string): string {
  const head = readFileSync(path).subarray(0, 4096);
  if (head.readUInt32BE(0) === 0x7f454c46) return `ELF ${head.readUInt16LE(18).toString(16)}`;
  if (head.readUInt32LE(0) === 0xfeedfacf) return `Mach-O ${head.readUInt32LE(4).toString(16)}`;
  if (head.toString("latin1", 0, 2) === "MZ")
    return `PE ${head.readUInt16LE(head.readUInt32LE(0x3c) + 4).toString(16)}`;
  return "?";
}

function programOf(name: TargetName): string {
  const found = readdirSync(release).find((file) => new RegExp(`^fastsync-[\\d.]+-${name}(\\.exe)?$`).test(file));
  if (found === undefined) throw new Error(`${release} has no program for ${name}`);
  return join(release, found);
}

/** How the program is started here, or why it cannot be. */
function starterOf(name: TargetName): { qemu: string; libraries: string } | string {
  const target = targetNamed(name)!;
  if (target.os !== "linux") return "nothing here runs it";
  const isForeign = process.arch !== target.arch;
  const machine = target.arch === "arm64" ? "aarch64" : "x86_64";
  const qemu = isForeign ? (Bun.which(`qemu-${machine}-static`) ?? undefined) : "";
  if (qemu === undefined) return `qemu-${machine}-static is not installed`;
  if (!isForeign && target.libc === "glibc") return { qemu, libraries: "" };
  const variable = `FASTSYNC_LIBRARIES_${name.toUpperCase().replaceAll("-", "_")}`;
  const libraries = process.env[variable] ?? (target.libc === "glibc" ? `/usr/${machine}-linux-gnu/lib` : undefined);
  return libraries !== undefined && existsSync(libraries) ? { qemu, libraries } : `${variable} names no directory`;
}

/** $1 program, $2 qemu or nothing, $3 directory of libraries or nothing. */
const MIRROR = `
touch "$root/opt/fastsync"; mount --bind "$1" "$root/opt/fastsync"
mkdir -p "$root/opt/libraries" "$root/srv/source/deep"
[ -z "$3" ] || cp -L "$3"/*.so* "$root/opt/libraries/"
for loader in "$root"/opt/libraries/ld-*; do [ ! -e "$loader" ] || cp "$loader" "$root/lib/"; done
for number in 1 2 3 4 5; do head -c \${number}0000 /dev/urandom > "$root/srv/source/deep/$number"; done
qemu=$2 libraries=$3
run() {
  if [ -n "$qemu" ]; then
    # The restart for tuning starts the program by its own path, which this kernel cannot run.
    inside env BUN_JSC_thresholdForFTLOptimizeAfterWarmUp=4000000 \\
      "$qemu" -E LD_LIBRARY_PATH=/opt/libraries /opt/fastsync "$@"
  else
    inside env \${libraries:+LD_LIBRARY_PATH=/opt/libraries} /opt/fastsync "$@"
  fi
}
run capabilities --json | grep -q '"backend":"native"'
run mirror --yes /srv/source/ /srv/target/
diff -r "$root/srv/source" "$root/srv/target"
echo the end`;

describe.skipIf(folder === undefined)("a release (FASTSYNC_RELEASE)", () => {
  test("has the checksums of all its files", async () => {
    await succeed(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], { cwd: release });
    const lines = readFileSync(join(release, "SHA256SUMS"), "utf8").trimEnd().split("\n");
    const files = readdirSync(release).filter((name) => name !== "SHA256SUMS");
    expect(lines.map((line) => line.slice(66)).sort()).toEqual(files.sort());
  });

  test.each(TARGET_NAMES)("%s is for its platform", (name) => {
    expect(platformOf(programOf(name))).toBe(MAGIC[name]);
    const glibc = glibcNeeded(readFileSync(programOf(name)));
    if (targetNamed(name)!.libc === "glibc") expect(Number(glibc?.split(".")[1])).toBeLessThanOrEqual(17);
  });

  for (const name of TARGET_NAMES) {
    const starter = starterOf(name);
    const isRun = typeof starter !== "string";
    const why = isRun ? "" : ` (skipped: ${starter})`;
    test.skipIf(!isRun)(`${name} mirrors a tree with its native library${why}`, async () => {
      if (!isRun) return;
      mkdirSync(scratch.join(name));
      const words = [programOf(name), starter.qemu, starter.libraries];
      const result = await inOverlayRoot(scratch.join(name), MIRROR, words);
      expect(result.exitCode === 0 ? "" : described(result)).toBe("");
      expect(result.stdout).toEndWith("the end\n");
    });
  }

  const lintian = Bun.which("lintian");
  test.skipIf(lintian === null)(
    `lintian has nothing to say${lintian === null ? " (skipped: not installed)" : ""}`,
    async () => {
      const packages = readdirSync(release).filter((name) => name.endsWith(".deb"));
      expect(packages.length).toBe(2);
      for (const name of packages) {
        const { stdout } = await succeed([
          "lintian",
          "--allow-root",
          "--fail-on",
          "error,warning",
          join(release, name),
        ]);
        expect(stdout).toBe("");
      }
    },
  );
});
