/**
 * Builds what a mutation is tested with, in memory and apart from the tree.
 *
 *   C           the objects of the tree once, the changed one and the library anew: FASTSYNC_LIBRARY names it
 *   TypeScript  a copy of the tree that shares its files, the changed one its own; the program bundled from there,
 *               the test run there, so that it sees the change as well when it imports what it tests
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { quickDir } from "../behaviours/moments.ts";
import { ROOT } from "../support/program.ts";
import { type Edit, edited } from "./mutation.ts";

export interface Built extends Disposable {
  /** Where the test runs. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Path and text of a file. */
type Text = readonly [string, string];

const BUILT_LIBRARY = join(ROOT, "ffi/build/libfsy.so");
const C_FILE = /^ffi\/[a-z_0-9]+\.c$/;
const TREE = ["src", "ffi", "proto", "test", "scripts", "bench", "bin", "docs", "packaging"];
const TREE_FILES = ["package.json", "bunfig.toml", "tsconfig.json", "build.ts", "README.md"];

export class Workshop implements Disposable {
  private readonly scratch = quickDir();
  private objects: Promise<string> | undefined;
  private pattern: string | undefined;
  private count = 0;

  [Symbol.dispose](): void {
    this.scratch[Symbol.dispose]();
  }

  /** Throws when an edit does not fit, or the result does not build. */
  async build(edits: readonly Edit[]): Promise<Built> {
    const place = this.scratch.join(`mutation${this.count++}`);
    mkdirSync(place);
    const files = [...new Set(edits.map(({ file }) => file))];
    const texts = new Map(
      files.map((file) => {
        const text = readFileSync(join(ROOT, file), "utf8");
        return [
          file,
          edited(
            file,
            text,
            edits.filter((change) => change.file === file),
          ),
        ];
      }),
    );
    const ofC = [...texts].filter(([file]) => C_FILE.test(file));
    const others = [...texts].filter(([file]) => !C_FILE.test(file));
    const program = others.length === 0 ? undefined : this.buildProgram(place, others);
    const library = ofC.length === 0 ? undefined : await this.buildLibrary(place, ofC);
    return {
      root: program?.root ?? ROOT,
      env: {
        ...(program === undefined ? {} : { FASTSYNC_BIN: program.bundle, FASTSYNC_LIBRARY: BUILT_LIBRARY }),
        ...(library === undefined ? {} : { FASTSYNC_LIBRARY: library }),
      },
      [Symbol.dispose]: () => rmSync(place, { recursive: true, force: true }),
    };
  }

  // ---- C -------------------------------------------------------------------------------------------------------

  private async buildLibrary(place: string, texts: readonly Text[]): Promise<string> {
    this.objects ??= this.compileAll();
    const folder = await this.objects;
    const objects = new Set(readdirSync(folder).map((name) => join(folder, name)));
    for (const [file, text] of texts) {
      const source = join(place, basename(file));
      const object = join(place, `${basename(file)}.o`);
      writeFileSync(source, text);
      await compile(source, object);
      objects.delete(join(folder, `${basename(file)}.o`));
      objects.add(object);
    }
    const library = join(place, "libfsy.so");
    await shell(`"$CC" "\${FLAGS[@]}" -shared -o "$1" "\${@:2}" -lpthread`, library, ...objects);
    return library;
  }

  private async compileAll(): Promise<string> {
    const folder = this.scratch.join("objects");
    mkdirSync(folder);
    const sources = readdirSync(join(ROOT, "ffi")).filter((name) => name.endsWith(".c"));
    const half = Math.ceil(sources.length / 2);
    const each = async (names: readonly string[]): Promise<void> => {
      for (const name of names) await compile(join(ROOT, "ffi", name), join(folder, `${name}.o`));
    };
    await Promise.all([each(sources.slice(0, half)), each(sources.slice(half))]);
    return folder;
  }

  // ---- TypeScript -------------------------------------------------------------------------------------------------

  private buildProgram(place: string, texts: readonly Text[]): { root: string; bundle: string } {
    this.pattern ??= this.copyTree();
    const root = join(place, "tree");
    run(["cp", "-al", this.pattern, root]);
    for (const [file, text] of texts) {
      rmSync(join(root, file));
      writeFileSync(join(root, file), text);
    }
    const bundle = join(place, "fastsync.ts");
    const code = `import { bundleTo } from "./test/canaries/bundle.ts"; await bundleTo(${JSON.stringify(bundle)});`;
    run([process.execPath, "-e", code], root);
    return { root, bundle };
  }

  private copyTree(): string {
    const pattern = this.scratch.join("pattern");
    mkdirSync(pattern);
    for (const name of TREE) run(["cp", "-r", join(ROOT, name), pattern]);
    rmSync(join(pattern, "ffi/build"), { recursive: true, force: true });
    for (const name of TREE_FILES) copyFileSync(join(ROOT, name), join(pattern, name));
    symlinkSync(join(ROOT, "node_modules"), join(pattern, "node_modules"));
    chmodSync(pattern, 0o755);
    return pattern;
  }
}

// ---- commands -----------------------------------------------------------------------------------------------------

async function compile(source: string, object: string): Promise<void> {
  await shell(`"$CC" "\${FLAGS[@]}" -O0 -g0 -w -fPIC -c -o "$1" "$2"`, object, source);
}

/** One line of bash with the flags of the library's build. */
async function shell(line: string, ...words: string[]): Promise<void> {
  const script = `set -euo pipefail; source "$0/flags.sh"; fsy_flags debug "$0"; ${line}`;
  const child = Bun.spawn(["bash", "-c", script, join(ROOT, "ffi"), ...words], { stdout: "ignore", stderr: "pipe" });
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`it does not build:\n${errors.slice(0, 2000)}`);
}

function run(command: readonly [string, ...string[]], cwd?: string): void {
  const [program, ...words] = command;
  const result = spawnSync(program, words, { encoding: "utf8", ...(cwd === undefined ? {} : { cwd }) });
  if (result.status !== 0) throw new Error(`${program}: ${(result.stderr || String(result.error)).slice(0, 2000)}`);
}
