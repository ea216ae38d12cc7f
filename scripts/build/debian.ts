/**
 * The Debian package: a tree as it is to be installed, made into one file by `dpkg-deb`. Nothing in it depends on when
 * or where it was built: times are those of the changelog, owners are root.
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import manifest from "../../package.json" with { type: "json" };
import { glibcNeeded } from "./glibc.ts";
import { note } from "./log.ts";
import { writeManPages } from "./man-pages.ts";
import { root } from "./root.ts";

export interface DebianOptions {
  /** A program that is compiled for `architecture`. */
  readonly binary: string;
  readonly architecture: "amd64" | "arm64";
  /** Where the package goes. */
  readonly folder: string;
  /** As dpkg-deb calls it; `xz` unless said otherwise, which every Debian reads. */
  readonly compression?: "xz" | "none";
}

/** Documents that are about the sources. */
const DEVELOPERS_OWN = /\/docs\/(architecture|behaviours|coverage|dependencies)\.md$|\/docs\/decisions$/;

/** Writes `fastsync_VERSION_ARCHITECTURE.deb` and returns its path. Throws where there is no dpkg-deb. */
export function buildDebian({ binary, architecture, folder, compression = "xz" }: DebianOptions): string {
  if (Bun.which("dpkg-deb") === null) throw new Error("dpkg-deb is not here: Debian packages are made on Debian");
  const parts = join(root, "packaging", "debian");
  const changelog = readFileSync(join(parts, "changelog"), "utf8");
  if (!changelog.startsWith(`fastsync (${manifest.version}) `))
    throw new Error(`packaging/debian/changelog begins with another version than ${manifest.version}`);
  const seconds = Date.parse(/ {2}(\w{3}, \d.*)$/m.exec(changelog)![1]!) / 1000;
  const scratch = mkdtempSync(join(tmpdir(), "fastsync-deb-"));
  try {
    const tree = join(scratch, "fastsync");
    installTree(tree, binary, changelog, seconds);
    mkdirSync(join(tree, "DEBIAN"));
    for (const name of ["postinst", "prerm", "postrm"]) install(join(parts, name), join(tree, "DEBIAN", name), 0o755);
    write(join(tree, "DEBIAN", "conffiles"), "/etc/fastsync/config.toml\n");
    const control = readFileSync(join(parts, "control"), "utf8")
      .replace("@VERSION@", manifest.version)
      .replace("@ARCHITECTURE@", architecture)
      .replace("@SIZE@", String(kibibytes(tree)))
      .replace("@GLIBC@", glibcNeeded(readFileSync(binary)) ?? "2.17");
    write(join(tree, "DEBIAN", "control"), control);
    write(join(tree, "DEBIAN", "md5sums"), md5sums(tree));
    settle(tree, seconds);
    const path = join(folder, `fastsync_${manifest.version}_${architecture}.deb`);
    // The best level takes minutes, and saves a tenth.
    const command = ["dpkg-deb", "--root-owner-group", `-Z${compression}`, "-z1", "--build", tree, path];
    const child = Bun.spawnSync(command, {
      env: { ...process.env, SOURCE_DATE_EPOCH: String(seconds) },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    if (child.exitCode !== 0) throw new Error(`${command.join(" ")}:\n${child.stdout}${child.stderr}`);
    note(`${path} (${Math.round(statSync(path).size / 2 ** 20)} MiB)`);
    return path;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function installTree(tree: string, binary: string, changelog: string, seconds: number): void {
  const parts = join(root, "packaging", "debian");
  install(binary, join(tree, "usr/bin/fastsync"), 0o755);
  for (const name of ["fastsyncd", "fastsync-utils"]) symlinkSync("fastsync", join(tree, "usr/bin", name));
  for (const name of ["fastsyncd.service", "fastsyncd.socket"])
    install(join(root, "packaging/systemd", name), join(tree, "usr/lib/systemd/system", name));
  install(join(parts, "config.toml"), join(tree, "etc/fastsync/config.toml"));
  mkdirSync(join(tree, "etc/fastsync/conf.d"));

  const documents = join(tree, "usr/share/doc/fastsync");
  cpSync(join(root, "docs"), documents, { recursive: true, filter: (from) => !DEVELOPERS_OWN.test(from) });
  install(join(root, "SECURITY.md"), join(documents, "SECURITY.md"));
  const mit = readFileSync(join(root, "LICENSE-MIT"), "utf8");
  write(join(documents, "copyright"), readFileSync(join(parts, "copyright"), "utf8") + mit);
  // Without a name or time of its own, so that two builds are the same.
  write(join(documents, "changelog.gz"), gzipSync(changelog, { level: 9 }));
  install(join(parts, "lintian-overrides"), join(tree, "usr/share/lintian/overrides/fastsync"));

  const man = join(tree, "usr/share/man");
  for (const page of writeManPages(man, { SOURCE_DATE_EPOCH: String(seconds) })) {
    write(join(man, `${page}.gz`), gzipSync(readFileSync(join(man, page)), { level: 9 }));
    rmSync(join(man, page));
  }
  const completions = join(root, "src/cli/complete");
  install(join(completions, "fastsync.bash"), join(tree, "usr/share/bash-completion/completions/fastsync"));
  install(join(completions, "fastsync.zsh"), join(tree, "usr/share/zsh/vendor-completions/_fastsync"));
  install(join(completions, "fastsync.fish"), join(tree, "usr/share/fish/vendor_completions.d/fastsync.fish"));
}

function install(from: string, to: string, mode = 0o644): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, mode);
}

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** Every path below `tree`, directories before what is in them, in the order of their bytes. */
function pathsIn(tree: string): string[] {
  return (readdirSync(tree, { recursive: true }) as string[]).sort();
}

function kibibytes(tree: string): number {
  return pathsIn(tree).reduce((sum, path) => sum + sizeKiB(join(tree, path)), 0);
}

function sizeKiB(path: string): number {
  const entry = lstatSync(path);
  return entry.isFile() ? Math.ceil(entry.size / 1024) : 1;
}

function md5sums(tree: string): string {
  const lines = pathsIn(tree).flatMap((path) => {
    const file = join(tree, path);
    if (path.startsWith("DEBIAN") || path === "etc/fastsync/config.toml" || !lstatSync(file).isFile()) return [];
    return [`${new Bun.CryptoHasher("md5").update(readFileSync(file)).digest("hex")}  ${path}\n`];
  });
  return lines.join("");
}

/** Modes that do not depend on the umask, and one time for all. */
function settle(tree: string, seconds: number): void {
  for (const path of ["", ...pathsIn(tree)]) {
    const file = join(tree, path);
    if (!lstatSync(file).isSymbolicLink()) {
      const isProgram = statSync(file).isDirectory() || (statSync(file).mode & 0o100) !== 0;
      chmodSync(file, isProgram ? 0o755 : 0o644);
    }
    lutimesSync(file, seconds, seconds);
  }
}
