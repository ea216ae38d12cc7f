/** Small trees in memory: written to disk for a reference tool, and walked by the filter as a run walks a directory. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { buildBatch, compareNames, type EntryBatch, type EntryFields, FileType } from "../../src/core/entry-batch.ts";
import { bytesOf, joinPath } from "../../src/core/paths.ts";
import { Decision, type DirectoryFilter } from "../../src/filter/filter.ts";

export type ModelNode =
  | { readonly kind: "file"; readonly text: Uint8Array }
  | { readonly kind: "symlink" }
  | { readonly kind: "directory"; readonly entries: ModelDirectory };

/** Where many small trees are cheap; undefined: the system's place. */
export const IN_MEMORY = existsSync("/dev/shm") ? "/dev/shm" : undefined;

/** By name; latin1 text stands for bytes, so that any byte can be written. */
export type ModelDirectory = Map<string, ModelNode>;

export const bytes = (latin1: string): Uint8Array => new Uint8Array(Buffer.from(latin1, "latin1"));
export const latin1 = (path: Uint8Array): string => Buffer.from(path).toString("latin1");

export function writeTree(tree: ModelDirectory, at: Uint8Array): void {
  mkdirSync(Buffer.from(at), { recursive: true });
  for (const [name, node] of tree) {
    const path = Buffer.from(joinPath(at, bytes(name)));
    if (node.kind === "directory") writeTree(node.entries, path);
    else if (node.kind === "symlink") symlinkSync("nowhere", path);
    else writeFileSync(path, node.text);
  }
}

export function listingOf(tree: ModelDirectory): EntryBatch {
  const type = { file: FileType.regular, symlink: FileType.symlink, directory: FileType.directory } as const;
  const rows: EntryFields[] = [...tree]
    .map(([name, node]) => ({
      name: bytes(name),
      mode: type[node.kind] | 0o755,
      size: node.kind === "file" ? node.text.length : 0,
    }))
    .sort((a, b) => compareNames(a.name, 0, a.name.length, b.name, 0, b.name.length));
  return buildBatch([...rows, { name: bytesOf("."), mode: FileType.directory | 0o755 }]);
}

/** The directory's filter with its own rule files taken in. */
function withRuleFiles(filter: DirectoryFilter, tree: ModelDirectory | undefined): DirectoryFilter {
  let state = filter;
  for (;;) {
    const name = state.perDirectoryFiles().find((wanted) => tree?.get(latin1(wanted))?.kind === "file");
    if (name === undefined) return state;
    const file = tree!.get(latin1(name))!;
    if (file.kind === "file") state = state.withMerged(name, file.text);
  }
}

/** Calls `row` for each entry of a directory in order. */
function eachRow(
  tree: ModelDirectory,
  row: (name: Uint8Array, node: ModelNode, batch: EntryBatch, at: number) => void,
) {
  const batch = listingOf(tree);
  for (let at = 0; at < batch.count; at++) {
    const name = batch.name(at).slice();
    row(name, tree.get(latin1(name))!, batch, at);
  }
}

/** What the source offers: paths, directories with a slash behind them. */
export function offered(tree: ModelDirectory, root: DirectoryFilter): Set<string> {
  const found = new Set<string>();
  const walk = (directory: ModelDirectory, filter: DirectoryFilter, prefix: string): void => {
    const state = withRuleFiles(filter, directory);
    eachRow(directory, (name, node, batch, at) => {
      if (state.decide(batch, at, "source") !== Decision.include) return;
      const path = prefix + latin1(name);
      found.add(node.kind === "directory" ? `${path}/` : path);
      if (node.kind === "directory") walk(node.entries, state.enter(name), `${path}/`);
    });
  };
  walk(tree, root, "");
  return found;
}

/**
 * What a mirror deletes from the target, which reads the rule files that it has itself. A directory stays when
 * anything in it does.
 */
export function deleted(target: ModelDirectory, kept: ReadonlySet<string>, root: DirectoryFilter): Set<string> {
  const gone = new Set<string>();
  const walk = (directory: ModelDirectory, filter: DirectoryFilter, prefix: string, doomed: boolean): boolean => {
    const state = withRuleFiles(doomed ? filter.doomed() : filter, directory);
    let empty = true;
    eachRow(directory, (name, node, batch, at) => {
      const path = prefix + latin1(name);
      const isDirectory = node.kind === "directory";
      const shown = isDirectory ? `${path}/` : path;
      if (kept.has(shown)) {
        if (isDirectory) walk(node.entries, state.enter(name), shown, false);
        empty = false;
      } else if (state.decide(batch, at, "target") !== Decision.include) empty = false;
      else if (!isDirectory || walk(node.entries, state.enter(name), shown, true)) gone.add(shown);
      else empty = false;
    });
    return empty;
  };
  walk(target, root, "", false);
  return gone;
}

/** Every path of the tree, as `offered` writes them. */
export function allPaths(tree: ModelDirectory, prefix = ""): string[] {
  return [...tree].flatMap(([name, node]) =>
    node.kind === "directory"
      ? [`${prefix}${name}/`, ...allPaths(node.entries, `${prefix}${name}/`)]
      : [`${prefix}${name}`],
  );
}
