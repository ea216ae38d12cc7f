/** The protocol's files: written as its linter wants them, understood by older peers, and what the generated code says. */
import { describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
const BIN = join(ROOT, "node_modules/.bin");
const GENERATED = [...new Bun.Glob("*_pb.ts").scanSync(join(ROOT, "src/wire/gen/fastsync/v1"))];

function buf(cwd: string, ...args: string[]): { exitCode: number; output: string } {
  const done = Bun.spawnSync([join(BIN, "buf"), ...args], {
    cwd,
    env: { ...process.env, PATH: `${BIN}:${process.env["PATH"]}` },
  });
  return { exitCode: done.exitCode, output: done.stdout.toString() + done.stderr.toString() };
}

describe("proto", () => {
  test("the linter finds nothing", () => {
    expect(buf(join(ROOT, "proto"), "lint")).toEqual({ exitCode: 0, output: "" });
  });

  test("nothing that was released is broken", () => {
    expect(buf(join(ROOT, "proto"), "breaking", "--against", "released/v1.binpb")).toEqual({ exitCode: 0, output: "" });
  });

  test("a field that changed its type would be noticed", () => {
    const copy = mkdtempSync(join(tmpdir(), "fastsync-proto-"));
    try {
      cpSync(join(ROOT, "proto"), copy, { recursive: true });
      const file = join(copy, "fastsync/v1/session.proto");
      const text = readFileSync(file, "utf8").replace("uint32 protocol_min = 1;", "string protocol_min = 1;");
      writeFileSync(file, text);
      expect(buf(copy, "breaking", "--against", "released/v1.binpb").exitCode).not.toBe(0);
    } finally {
      rmSync(copy, { recursive: true });
    }
  });

  test("the generated code is that of the files", () => {
    const copy = mkdtempSync(join(tmpdir(), "fastsync-proto-"));
    try {
      cpSync(join(ROOT, "proto"), join(copy, "proto"), { recursive: true });
      expect(buf(join(copy, "proto"), "generate").exitCode).toBe(0);
      for (const name of GENERATED) {
        const path = join("src/wire/gen/fastsync/v1", name);
        expect(readFileSync(join(copy, path), "utf8")).toBe(readFileSync(join(ROOT, path), "utf8"));
      }
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});
