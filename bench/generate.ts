/** The twin of `c/gen.c`: the same commands and the same names, other bytes, and slower. */
import { closeSync, ftruncateSync, mkdirSync, openSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { buildDeepTree } from "../test/support/deep-tree.ts";
import { setXattr } from "../test/support/libc.ts";
import { noise, TreeBuilder } from "../test/support/tree.ts";

const BLOCK = 1 << 20;

export function generate(what: string | number, root: string | number, ...numbers: (string | number)[]): void {
  const path = String(root);
  const [a = 0, b = 0, c = 0, d = 0] = numbers.map(Number);
  if (what === "files") makeFiles(path, a, b, c, d);
  else if (what === "deep") makeChains(path, a, b, c, d);
  else if (what === "large") makeLarge(path, a);
  else if (what === "sparse") makeSparse(path, a, b, c);
  else if (what === "links") makeLinks(path, a, b, c);
  else if (what === "chains") makeLongChains(path, a, b, c);
  else if (what === "xattrs") makeAttributes(path, a, b, c);
  else throw new Error(`no generator ${what}`);
}

function makeFiles(root: string, count: number, directories: number, size: number, first: number): void {
  for (let n = 0; n < count; n++) {
    const directory = join(root, `d${String(n % directories).padStart(4, "0")}`);
    if (n < directories) mkdirSync(directory, { recursive: true });
    makeFile(directory, first + n, size);
  }
}

function makeChains(root: string, chains: number, depth: number, files: number, size: number): void {
  const directories: string[] = [];
  for (let chain = 0; chain < chains; chain++) {
    let directory = join(root, `chain${String(chain).padStart(4, "0")}`);
    for (let level = 0; level < depth; level++) {
      if (level > 0) directory = join(directory, `level${String(level).padStart(2, "0")}`);
      mkdirSync(directory, { recursive: true });
      directories.push(directory);
    }
  }
  for (let n = 0; n < files; n++) makeFile(directories[n % directories.length]!, n, size);
}

function makeFile(directory: string, number: number, size: number): void {
  const path = join(directory, `file${String(number).padStart(8, "0")}.dat`);
  writeFileSync(path, noise(size, number + 1));
  utimesSync(path, 1500000000, 1500000000 + number);
}

function makeLarge(path: string, size: number): void {
  const fd = openSync(path, "w");
  for (let at = 0; at < size; at += BLOCK) writeSync(fd, noise(Math.min(BLOCK, size - at), at / BLOCK + 1));
  closeSync(fd);
}

function makeLinks(root: string, names: number, inodes: number, group: number): void {
  const nameOf = (n: number) => `d${String(Math.floor(n / group)).padStart(4, "0")}/name${String(n).padStart(8, "0")}`;
  const tree = new TreeBuilder(root);
  for (let n = 0; n < names; n++) {
    if (n < inodes) tree.file(nameOf(n), noise(512, n + 1), { mtimeNs: BigInt(1500000000 + n) * 1_000_000_000n });
    else tree.hardlink(nameOf(n), nameOf(n % inodes));
  }
  tree.finish();
}

function makeLongChains(root: string, chains: number, levels: number, bytes: number): void {
  mkdirSync(root, { recursive: true });
  for (let chain = 0; chain < chains; chain++)
    buildDeepTree(root, `chain${String(chain).padStart(4, "0")}-`.padEnd(bytes, "x"), levels);
}

function makeAttributes(root: string, files: number, each: number, most: number): void {
  mkdirSync(root, { recursive: true });
  for (let n = 0; n <= files; n++) {
    makeFile(root, n, 64);
    const path = join(root, `file${String(n).padStart(8, "0")}.dat`);
    for (let i = 0; i < (n === files ? most : each); i++)
      setXattr(path, `user.a${String(i).padStart(5, "0")}`, `value ${i} of ${n}`);
  }
}

function makeSparse(path: string, size: number, data: number, pieces: number): void {
  const fd = openSync(path, "w");
  ftruncateSync(fd, size);
  const length = data / pieces;
  for (let i = 0; i < pieces; i++) writeSync(fd, noise(length, i + 1), 0, length, (size / pieces) * i);
  closeSync(fd);
}
