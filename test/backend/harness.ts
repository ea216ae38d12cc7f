/** What the sections of the contract share: a backend, a fresh directory per test, and short ways to ask for things. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { type EntryBatch, FileType } from "../../src/core/entry-batch.ts";
import { bytesOf } from "../../src/core/paths.ts";
import {
  type Backend,
  type CopyRequest,
  type DirHandle,
  type ItemResults,
  ROW_EXISTS,
  type WalkOptions,
  WORKING_DIRECTORY,
  type WriteSettings,
} from "../../src/fs/backend.ts";

/** Disks of test machines are slow at times; nothing here waits on purpose. */
const TIMEOUT_MS = 60_000;

export const isRoot = process.geteuid?.() === 0;

export const WALK: WalkOptions = {
  xattrs: false,
  acls: false,
  follow: false,
  openFollow: false,
  create: false,
  writable: false,
  selfOnly: false,
};

/** Everything that is preserved by default, and nothing that costs extra. */
export const SETTINGS: WriteSettings = {
  perms: true,
  times: true,
  dirTimes: true,
  linkTimes: true,
  owner: true,
  group: true,
  xattrs: true,
  acls: true,
  sparse: true,
  inplace: false,
  fsync: false,
  verify: "none",
  noAtime: false,
  follow: false,
  delta: false,
  methods: undefined,
  chownUid: undefined,
  chownGid: undefined,
  rowOwners: false,
  umask: 0o022,
  backupSuffix: new Uint8Array(0),
};

export interface SkippedTests {
  readonly reason: string;
  readonly tests: readonly string[];
}

export interface Held {
  readonly path: string;
  readonly handle: DirHandle;
  readonly batch: EntryBatch;
}

/** One row's outcome, copied out. */
export interface Outcome {
  readonly status: number;
  readonly stage: number;
  readonly method: number;
  readonly warnings: number;
  readonly flags: number;
  readonly bytes: number;
  readonly size: number;
}

export class Harness {
  root = "";
  private opened: Backend | undefined;
  private readonly open: () => Backend;
  private readonly skip: readonly SkippedTests[];
  private handles: DirHandle[] = [];
  private batches: EntryBatch[] = [];

  constructor(open: () => Backend, skip: readonly SkippedTests[]) {
    this.open = open;
    this.skip = skip;
    beforeAll(() => {
      this.opened = open();
    });
    afterAll(async () => {
      await this.opened?.shutdown();
    });
    beforeEach(() => {
      this.root = fs.mkdtempSync(path.join(os.tmpdir(), "fastsync-contract-"));
      fs.mkdirSync(this.at("source"));
      fs.mkdirSync(this.at("target"));
    });
  }

  get backend(): Backend {
    if (this.opened === undefined) throw new Error("the backend is open only inside tests");
    return this.opened;
  }

  /** A test that also asserts that nothing is left: no block, no descriptor, no temporary file. */
  test(name: string, body: () => Promise<void>): void {
    const skipped = this.skip.find(({ tests }) => tests.includes(name));
    const define = skipped === undefined ? test : test.skip;
    define(
      skipped === undefined ? name : `${name} (${skipped.reason})`,
      async () => {
        try {
          await body();
          expect(leftovers(this.root)).toEqual([]);
        } finally {
          for (const batch of this.batches.splice(0)) this.backend.releaseBatch(batch);
          this.backend.close(this.handles.splice(0));
          fs.rmSync(this.root, { recursive: true, force: true });
        }
        // Closes have no answer: what they hold is given back a moment later.
        let left = await this.left();
        for (let i = 0; i < 400 && (left.arena !== 0 || left.descriptors.length > 0); i++) {
          await Bun.sleep(5);
          left = await this.left();
        }
        expect(left).toEqual({ arena: 0, descriptors: [] });
      },
      TIMEOUT_MS,
    );
  }

  /** Bytes of the arena in use, and open descriptors of this test's files. */
  private async left(): Promise<{ arena: number; descriptors: string[] }> {
    const { backend } = this;
    backend.releaseBatch(await backend.stat(WORKING_DIRECTORY, [], WALK));
    const arena = "arenaUsed" in backend && typeof backend.arenaUsed === "function" ? Number(backend.arenaUsed()) : 0;
    const descriptors: string[] = [];
    for (const fd of fs.readdirSync("/proc/self/fd")) {
      try {
        const file = fs.readlinkSync(`/proc/self/fd/${fd}`);
        if (file.startsWith(this.root)) descriptors.push(file);
      } catch {
        // The one that listed the directory is gone by now.
      }
    }
    return { arena, descriptors };
  }

  /** A second backend of the same kind, for tests that end or slow it. */
  another(): Backend {
    return this.open();
  }

  at(...parts: string[]): string {
    return path.join(this.root, ...parts);
  }
  write(name: string, content: string | Uint8Array, mode = 0o644): string {
    const file = this.at(name);
    fs.writeFileSync(file, content);
    fs.chmodSync(file, mode);
    return file;
  }

  async hold(name: string, options: Partial<WalkOptions> = {}): Promise<Held> {
    const file = this.at(name);
    const batch = await this.backend.walk(WORKING_DIRECTORY, bytesOf(file), { ...WALK, ...options });
    this.batches.push(batch);
    if (batch.dirfd >= 0) this.handles.push(batch.dirfd);
    return { path: file, handle: batch.dirfd, batch };
  }
  keep(batch: EntryBatch): EntryBatch {
    this.batches.push(batch);
    if (batch.dirfd >= 0) this.handles.push(batch.dirfd);
    return batch;
  }
  keepHandle(handle: DirHandle): DirHandle {
    if (handle >= 0) this.handles.push(handle);
    return handle;
  }

  /** Copies all rows of source/ to target/, names that exist there marked as such. */
  async copyAll(settings: Partial<WriteSettings> = {}, more: Partial<CopyRequest> = {}): Promise<Map<string, Outcome>> {
    const source = await this.hold("source", { xattrs: true, acls: true });
    const target = await this.hold("target");
    const names = namesOf(target.batch);
    const rows: number[] = [];
    for (let row = 0; row < source.batch.count; row++) {
      if (source.batch.type(row) === FileType.directory) continue;
      rows.push(names.includes(nameOf(source.batch, row)) ? row + ROW_EXISTS : row);
    }
    const results = await this.backend.copy({
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.from(rows),
      settings: this.prepared(settings),
      ...more,
    });
    return new Map(
      outcomes(results).map((outcome, i) => [nameOf(source.batch, (rows[i]! & ~ROW_EXISTS) >>> 0), outcome]),
    );
  }

  /** Copies one file, and returns its outcome. */
  async copyOne(
    name: string,
    settings: Partial<WriteSettings> = {},
    more: Partial<CopyRequest> = {},
  ): Promise<Outcome> {
    const source = await this.hold("source", { xattrs: true, acls: true });
    const target = await this.hold("target");
    const wanted = more.targetName === undefined ? name : Buffer.from(more.targetName).toString("latin1");
    const exists = namesOf(target.batch).includes(wanted) ? ROW_EXISTS : 0;
    const results = await this.backend.copy({
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.of(rowOf(source.batch, name) + exists),
      settings: this.prepared(settings),
      ...more,
    });
    return outcomes(results)[0]!;
  }

  prepared(settings: Partial<WriteSettings> = {}) {
    return this.backend.prepare({ ...SETTINGS, ...settings });
  }
}

/** Copies results out and releases them. */
export function outcomes(results: ItemResults): Outcome[] {
  const out: Outcome[] = [];
  for (let i = 0; i < results.count; i++) {
    out.push({
      status: results.status(i),
      stage: results.stage(i),
      method: results.method(i),
      warnings: results.warnings(i),
      flags: results.flags(i),
      bytes: results.bytes(i),
      size: results.size(i),
    });
  }
  results.release();
  return out;
}

export function nameOf(batch: EntryBatch, row: number): string {
  return Buffer.from(batch.name(row)).toString("latin1");
}
export function namesOf(batch: EntryBatch): string[] {
  return Array.from({ length: batch.count }, (_, row) => nameOf(batch, row));
}
export function rowOf(batch: EntryBatch, name: string): number {
  const row = namesOf(batch).indexOf(name);
  if (row < 0) throw new Error(`no ${name} in [${namesOf(batch).join(", ")}]`);
  return row;
}

/** Temporary names below `root`; Bun's recursive readdir would follow links. */
function leftovers(root: string): string[] {
  const found: string[] = [];
  const visit = (directory: Buffer): void => {
    for (const name of fs.readdirSync(directory, { encoding: "buffer" })) {
      const file = Buffer.concat([directory, Buffer.from("/"), name]);
      if (/^\.fastsync\.[0-9a-f]{16}\.tmp$/.test(name.toString("latin1"))) found.push(file.toString("latin1"));
      if (fs.lstatSync(file).isDirectory()) visit(file);
    }
  };
  visit(Buffer.from(root));
  return found;
}

export function mtimeNs(file: string): bigint {
  return fs.lstatSync(file, { bigint: true }).mtimeNs;
}
export function modeOf(file: string): number {
  return fs.lstatSync(file).mode & 0o7777;
}
