/** The twin of `c/gen.c`: the same commands and the same names, other bytes, and slower. */
import { closeSync, ftruncateSync, mkdirSync, openSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { noise } from "../test/support/tree.ts";

const BLOCK = 1 << 20;

export function generate(what: string | number, root: string | number, ...numbers: (string | number)[]): void {
  const path = String(root);
  const [a = 0, b = 0, c = 0, d = 0] = numbers.map(Number);
  if (what === "files") makeFiles(path, a, b, c, d);
  else if (what === "deep") makeChains(path, a, b, c, d);
  else if (what === "large") makeLarge(path, a);
  else if (what === "sparse") makeSparse(path, a, b, c);
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

function makeSparse(path: string, size: number, data: number, pieces: number): void {
  const fd = openSync(path, "w");
  ftruncateSync(fd, size);
  const length = data / pieces;
  for (let i = 0; i < pieces; i++) writeSync(fd, noise(length, i + 1), 0, length, (size / pieces) * i);
  closeSync(fd);
}
