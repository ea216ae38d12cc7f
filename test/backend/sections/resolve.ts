import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import { bytesOf } from "../../../src/core/paths.ts";
import { WORKING_DIRECTORY } from "../../../src/fs/backend.ts";
import type { Harness } from "../harness.ts";

const { errno } = os.constants;

export function resolveSection(h: Harness): void {
  const inodeOf = (handle: number): number => fs.fstatSync(handle).ino;

  h.test("opens below a handle, component by component", async () => {
    fs.mkdirSync(h.at("source/a/b/c"), { recursive: true });
    const { handle } = await h.hold("source");
    const plain = { create: false, operator: false };
    for (const text of ["a/b/c", "a//b/./c/"]) {
      const found = h.keepHandle(await h.backend.resolve(handle, bytesOf(text), plain));
      expect(inodeOf(found)).toBe(fs.statSync(h.at("source/a/b/c")).ino);
    }
    const self = h.keepHandle(await h.backend.resolve(handle, bytesOf(""), plain));
    expect(inodeOf(self)).toBe(fs.statSync(h.at("source")).ino);
  });

  h.test("refuses .., absolute paths and links", async () => {
    fs.mkdirSync(h.at("source/a"));
    fs.symlinkSync("a", h.at("source/link"));
    fs.symlinkSync("/", h.at("source/a/out"));
    h.write("source/file", "");
    const { handle } = await h.hold("source");
    for (const create of [false, true]) {
      const ask = (text: string) => h.backend.resolve(handle, bytesOf(text), { create, operator: false });
      for (const text of ["..", "a/../..", "a/..", h.at("target"), "/"]) expect(await ask(text)).toBe(-errno.EXDEV);
      for (const text of ["link", "a/out", "a/out/etc"]) {
        const status = await ask(text);
        expect([-errno.ELOOP, -errno.ENOTDIR]).toContain(status);
      }
      expect(await ask("file")).toBe(-errno.ENOTDIR);
      expect(await ask("x".repeat(256))).toBe(-errno.ENAMETOOLONG);
    }
    expect(await h.backend.resolve(handle, bytesOf("nope/x"), { create: false, operator: false })).toBe(-errno.ENOENT);
  });

  h.test("makes what is missing, private", async () => {
    const { handle } = await h.hold("target");
    const made = await h.backend.resolve(handle, bytesOf("x/y/z"), { create: true, operator: false });
    expect(h.keepHandle(made)).toBeGreaterThanOrEqual(0);
    expect(fs.statSync(h.at("target/x")).mode & 0o7777).toBe(0o700);
    expect(inodeOf(made)).toBe(fs.statSync(h.at("target/x/y/z")).ino);
  });

  h.test("follows links in the operator's own paths", async () => {
    fs.mkdirSync(h.at("source/real/deep"), { recursive: true });
    fs.symlinkSync("real", h.at("source/relative"));
    fs.symlinkSync(h.at("source/real"), h.at("source/absolute"));
    fs.symlinkSync("turn", h.at("source/turn"));
    const ask = (text: string, create = false) =>
      h.backend.resolve(WORKING_DIRECTORY, bytesOf(text), { create, operator: true });
    const wanted = fs.statSync(h.at("source/real/deep")).ino;
    for (const text of ["source/relative/deep", "source/absolute/deep", "source/absolute/../real/deep"]) {
      expect(inodeOf(h.keepHandle(await ask(h.at(text))))).toBe(wanted);
    }
    expect(await ask(h.at("source/turn"))).toBe(-errno.ELOOP);
    expect(await ask(h.at("source/missing"))).toBe(-errno.ENOENT);
    expect(h.keepHandle(await ask(h.at("target/new/deep"), true))).toBeGreaterThanOrEqual(0);
    expect(fs.statSync(h.at("target/new/deep")).isDirectory()).toBe(true);
  });

  if (process.geteuid?.() === 0) {
    h.test("does not follow a stranger's link in an operator's path", async () => {
      fs.symlinkSync(h.at("target"), h.at("source/planted"));
      fs.lchownSync(h.at("source/planted"), 4242, 4242);
      const path = bytesOf(h.at("source/planted"));
      expect(await h.backend.resolve(WORKING_DIRECTORY, path, { create: false, operator: true })).toBe(-errno.ELOOP);
    });
  }
}
