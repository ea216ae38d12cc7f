/** The calls on places, by a client that is not ours (@grpc/grpc-js): what they answer, and what they do not take. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type ClientReadableStream,
  credentials,
  makeGenericClientConstructor,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { LIMITS } from "../../src/core/limits.ts";
import { AdminService } from "../../src/wire/gen/fastsync/v1/admin_pb.ts";
import { tempDir } from "../support/temp.ts";
import {
  type Address,
  configured,
  type Daemon,
  daemonUnderTest,
  eventually,
  fileOf,
  named,
  startDaemon,
  watched,
  withFiles,
} from "./peer/daemon.ts";
import { healthy } from "./peer/sessions.ts";

type Methods = typeof AdminService.method;
type Name = keyof Methods;
const asTheyAre = (bytes: Buffer): Buffer => bytes;
const Client = makeGenericClientConstructor(
  Object.fromEntries(
    Object.values(AdminService.method).map((method) => [
      method.name,
      {
        path: `/${AdminService.typeName}/${method.name}`,
        requestStream: false,
        responseStream: true,
        ...{ requestSerialize: asTheyAre, requestDeserialize: asTheyAre },
        ...{ responseSerialize: asTheyAre, responseDeserialize: asTheyAre },
      },
    ]),
  ),
  "AdminService",
);

let daemon: Daemon;
let rss = 0;
beforeAll(async () => {
  daemon = await daemonUnderTest();
  if (daemon.directory !== undefined) {
    mkdirSync(fileOf(daemon, "admin/sub"), { recursive: true });
    for (const name of ["a", "b", "sub/c"]) writeFileSync(fileOf(daemon, `admin/${name}`), name);
  }
  await healthy(daemon);
  rss = daemon.process?.rssBytes() ?? 0;
});
afterAll(() => daemon[Symbol.asyncDispose]());

function start(
  name: Name,
  bytes: Uint8Array,
  { host, port }: Address = daemon,
): { call: ClientReadableStream<Buffer>; close: () => void } {
  const client = new Client(`${host}:${port}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": -1,
  });
  const method = client[AdminService.method[name].name] as unknown as (bytes: Buffer) => ClientReadableStream<Buffer>;
  return { call: method.call(client, Buffer.from(bytes)), close: () => client.close() };
}

/** All answers. Rejects with what grpc-js makes of a status. */
async function askBytes<N extends Name>(
  name: N,
  bytes: Uint8Array,
  at?: Address,
): Promise<MessageShape<Methods[N]["output"]>[]> {
  const { call, close } = start(name, bytes, at);
  const answers: MessageShape<Methods[N]["output"]>[] = [];
  try {
    for await (const answer of call)
      answers.push(fromBinary(AdminService.method[name].output as DescMessage, answer) as never);
    return answers;
  } finally {
    close();
  }
}
function ask<N extends Name>(name: N, request: MessageInitShape<Methods[N]["input"]>) {
  const { input } = AdminService.method[name];
  return askBytes(name, toBinary(input as DescMessage, create(input as DescMessage, request as never)));
}
const refusal = async (asked: Promise<unknown>): Promise<ServiceError> => {
  try {
    await asked;
  } catch (error) {
    return error as ServiceError;
  }
  throw new Error("it was taken");
};
const texts = (paths: readonly Uint8Array[]): string[] => paths.map((path) => Buffer.from(path).toString());
const bytes = (text: string): Uint8Array => Buffer.from(text);
const rw = (path: string) => ({ module: daemon.modules.write, path: bytes(named(daemon, path)) });

describe("B060 B061 B062 B063 B064 B065 a client of another make", () => {
  test("lists modules", async () => {
    const [answer] = await ask("listModules", {});
    expect(answer!.modules.map(({ name }) => name)).toContain(daemon.modules.write);
    expect(answer!.modules.find(({ name }) => name === daemon.modules.read)?.readOnly).toBe(true);
  });
  withFiles("lists a directory", async () => {
    const answers = await ask("list", { place: rw("admin") });
    expect(answers.flatMap(({ entries }) => texts(entries?.paths ?? []))).toEqual(["a", "b", "sub"]);
    expect(answers[0]!.isDirectory).toBe(true);
    const [{ entries }] = (await ask("list", { place: rw("admin/a") })) as [(typeof answers)[number]];
    expect([texts(entries!.paths), entries!.sizes, entries!.modes]).toEqual([[""], [1], [0o100644]]);
  });
  withFiles("finds", async () => {
    const answers = await ask("find", { place: rw("admin"), types: "f", names: [bytes("[bc]")] });
    expect(answers.flatMap(({ entries }) => texts(entries?.paths ?? []))).toEqual(["b", "sub/c"]);
  });
  withFiles("counts what is occupied", async () => {
    const answers = await ask("diskUsage", { place: rw("admin") });
    const told = answers.flatMap(({ directories }) => directories);
    expect(told.map(({ path, files, apparentBytes }) => [texts([path])[0], files, apparentBytes])).toEqual([
      ["sub", 1, 5],
      ["", 3, 7],
    ]);
  });
  test("asks for the size of the file system", async () => {
    const [answer] = await ask("filesystemStats", { place: { module: daemon.modules.read } });
    expect(answer!.totalBytes).toBeGreaterThan(0);
    expect(answer!.readOnly).toBe(true);
  });
  withFiles("completes a path", async () => {
    const complete = async (path: string, more = {}): Promise<string[]> =>
      texts((await ask("completePath", { place: rw(path), ...more }))[0]!.names);
    expect(await complete("admin/")).toEqual(["a", "b", "sub/"]);
    expect(await complete("admin/s")).toEqual(["sub/"]);
    expect(await complete("admin/", { directoriesOnly: true })).toEqual(["sub/"]);
    const [limited] = await ask("completePath", { place: rw("admin/"), limit: 1 });
    expect([texts(limited!.names), limited!.more]).toEqual([["a"], true]);
  });
  withFiles("B066 removes", async () => {
    writeFileSync(fileOf(daemon, "admin/gone"), "gone");
    const answers = await ask("remove", { module: daemon.modules.write, paths: [rw("admin/gone").path] });
    expect(answers.flatMap(({ paths }) => paths.map(({ removed, entries }) => [removed, entries]))).toEqual([
      [true, 1],
    ]);
  });
});

configured("a request without a place is about the daemon's root", async () => {
  using served = tempDir();
  writeFileSync(served.join("there"), "there");
  await using own = await startDaemon({ daemon: `root = "${served.path}"` });
  const nothing = new Uint8Array(0);
  const [listed] = await askBytes("list", nothing, own);
  expect(texts(listed!.entries!.paths)).toEqual(["there"]);
  expect((await askBytes("find", nothing, own)).flatMap(({ entries }) => texts(entries?.paths ?? []))).toContain(
    "there",
  );
  for (const name of ["diskUsage", "filesystemStats"] as const)
    expect(await askBytes(name, nothing, own)).not.toEqual([]);
  expect((await askBytes("completePath", nothing, own)).flatMap(({ names }) => names)).toHaveLength(1);
  expect(own.process.stderr).not.toContain("internal error");
});

describe("what is not taken", () => {
  const place = () => ({ module: daemon.modules.read });
  const wrong: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["a type that is none", () => ask("find", { place: place(), types: "x" })],
    [
      "too many patterns",
      () => ask("find", { place: place(), names: Array(LIMITS.findPatterns + 1).fill(bytes("a")) }),
    ],
    [
      "a pattern that is too long",
      () => ask("find", { place: place(), paths: [Buffer.alloc(LIMITS.pathBytes + 1, 97)] }),
    ],
    ["a size that is none", () => ask("find", { place: place(), minSize: (1n << 64n) - 1n })],
    ["a time that is none", () => ask("find", { place: place(), modifiedAfter: Number.NaN })],
    ["a name to go on behind that is a path", () => ask("list", { place: place(), after: bytes("a/b") })],
    ["no path to remove", () => ask("remove", { module: daemon.modules.write, paths: [] })],
    [
      "too many paths to remove",
      () => ask("remove", { module: daemon.modules.write, paths: Array(LIMITS.removePaths + 1).fill(bytes("a")) }),
    ],
    ["bytes that are no message", () => askBytes("list", Buffer.from([0x0a, 0xff]))],
  ];
  test.each(wrong)("%s", async (_, asked) => {
    const error = await refusal(asked());
    expect(error.code).toBe(status.INVALID_ARGUMENT);
  });
  test("a pattern that is none is told as a mistake of the command line", async () => {
    const error = await refusal(ask("find", { place: place(), names: [bytes("[a")] }));
    expect([error.code, error.metadata.get("fastsync-exit-code")]).toEqual([status.INVALID_ARGUMENT, ["1"]]);
  });

  const paths = ["..", "../x", "a/../b", "/etc", "/", "a\0b", `${"x".repeat(256)}`, "x/".repeat(3000)];
  test.each(paths)("a path like %j, whoever asks", async (path) => {
    const place = { module: daemon.modules.write, path: bytes(path) };
    for (const name of ["list", "find", "diskUsage", "filesystemStats", "completePath"] as const) {
      const error = await refusal(ask(name, { place }));
      expect([name, error.metadata.get("fastsync-reason")]).toEqual([name, ["place_unusable"]]);
    }
    const error = await refusal(ask("remove", { module: place.module, paths: [place.path], recursive: true }));
    expect(error.metadata.get("fastsync-exit-code")).toEqual(["3"]);
  });
  test.each(["", ".", "./", "././/"])("the module itself, written %j, for removal", async (path) => {
    const error = await refusal(ask("remove", { module: daemon.modules.write, paths: [bytes(path)], recursive: true }));
    expect(error.metadata.get("fastsync-reason")).toEqual(["not_removed"]);
  });
  test("a removal in a read-only module, dry or not", async () => {
    for (const dryRun of [true, false]) {
      const error = await refusal(ask("remove", { module: daemon.modules.read, paths: [bytes("file")], dryRun }));
      expect([error.code, error.metadata.get("fastsync-reason")]).toEqual([
        status.PERMISSION_DENIED,
        ["read_only_module"],
      ]);
    }
  });
  test("a request that is larger than any has to be", async () => {
    const most = LIMITS.adminRequestBytes;
    const error = await refusal(ask("find", { place: place(), names: [Buffer.alloc(most + 1)] }));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
  });
  test("a request of millions of empty parts", async () => {
    const error = await refusal(askBytes("remove", Buffer.alloc(5_000_000, Buffer.from([0x12, 0]))));
    expect([status.INVALID_ARGUMENT, status.RESOURCE_EXHAUSTED]).toContain(error.code);
  });
});

describe("a caller that leaves", () => {
  withFiles("B070 ends the work, of which nothing was done ahead of it", async () => {
    const wide = fileOf(daemon, "wide");
    mkdirSync(wide);
    // Several MB of answers: more than all that holds them on their way.
    for (let i = 0; i < 12_000; i++) writeFileSync(`${wide}/${"n".repeat(240)}${i}`, "");
    const before = daemon.process?.descriptors().length ?? 0;
    const asked = toBinary(
      AdminService.method.find.input,
      create(AdminService.method.find.input, { place: rw("wide") }),
    );
    const running = Array.from({ length: 8 }, () => start("find", asked));
    const first = ({ call }: (typeof running)[number]): Promise<void> =>
      new Promise((resolve) =>
        call.once("data", () => {
          call.pause();
          resolve();
        }),
      );
    await Promise.all(running.map(first));
    for (const { call, close } of running) {
      call.on("error", () => {});
      call.cancel();
      close();
    }
    if (daemon.process === undefined) return;
    await eventually(() => daemon.process!.descriptors().length <= before, "descriptors are given back");
    // None of them had been told all: what was not taken was not looked for.
    const told = () => daemon.process!.log("call").filter(({ path }) => path === "wide");
    const ends = await eventually(() => told().length === running.length && told(), "every call is logged");
    expect(ends.map((end) => end["exit_reason"])).toEqual(Array(8).fill("left"));
  });
  watched("the daemon is as it was", async () => {
    await healthy(daemon);
    expect(daemon.process!.stderr).not.toContain("internal error");
    await eventually(() => daemon.process!.rssBytes() - rss < 200 * 2 ** 20, "memory goes back", 30_000);
  });
});
