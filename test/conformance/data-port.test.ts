/** The data port: whoever has no token that was granted for just this stream is closed, and harms nobody. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Caller, closedWithoutAWord, dialPort, pullFrom } from "./peer/caller.ts";
import { configured, type Daemon, daemonUnderTest, watched } from "./peer/daemon.ts";
import { bye, greetingBytes, shard } from "./peer/frames.ts";
import { manifest } from "./peer/listing.ts";
import { healthy, into } from "./peer/sessions.ts";

let daemon: Daemon;
let port = 0;
beforeAll(async () => {
  daemon = await daemonUnderTest();
  using caller = new Caller(daemon);
  port = (await caller.open(into(daemon))).dataPort;
});
afterAll(() => daemon[Symbol.asyncDispose]());

async function opened(): Promise<Caller> {
  const caller = new Caller(daemon);
  await caller.open(into(daemon, "streams/"));
  return caller;
}

const ID = Buffer.alloc(16, 1);
const TOKEN = Buffer.alloc(32, 2);
const changed = (at: number, byte: number): Buffer => {
  const bytes = greetingBytes(0, ID, TOKEN);
  bytes[at] = byte;
  return bytes;
};

describe("S30 a stray connection is closed that says", () => {
  const strays: [string, Buffer][] = [
    ["garbage", Buffer.alloc(64, 0xaa)],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: somewhere.example.org\r\nAccept: */*\r\n\r\n\r\n\r\n")],
    ["S36 a PROXY header", Buffer.from(`PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n${"x".repeat(64)}`)],
    ["TLS", Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), Buffer.alloc(64)])],
    ["another version", changed(4, 2)],
    ["reserved bytes", changed(63, 1)],
    ["an unknown session", greetingBytes(0, ID, TOKEN)],
    ["more than a greeting", Buffer.concat([greetingBytes(0, ID, TOKEN), Buffer.alloc(100)])],
    ["1 MiB", Buffer.alloc(1 << 20, 0x46)],
    ["a frame", bye()],
  ];
  for (const [name, bytes] of strays)
    test.concurrent(name, async () => {
      const socket = await dialPort(daemon.host, port);
      socket.write(bytes);
      await closedWithoutAWord(socket);
      socket.destroy();
    });
  test.concurrent("B69 nothing: at the handshake deadline", async () => {
    const socket = await dialPort(daemon.host, port);
    await closedWithoutAWord(socket);
  });
  configured.concurrent("B69 a byte now and then: at the same deadline", async () => {
    const socket = await dialPort(daemon.host, port);
    const bytes = greetingBytes(0, ID, TOKEN);
    let at = 0;
    const trickling = setInterval(() => socket.write(bytes.subarray(at, ++at)), 60);
    try {
      await closedWithoutAWord(socket);
    } finally {
      clearInterval(trickling);
    }
    // It had not said all of it: the deadline is absolute.
    expect(at).toBeLessThan(64);
  });
});

describe("S30 a token", () => {
  test("of another session opens nothing", async () => {
    using one = await opened();
    using other = await opened();
    const socket = await other.knock(greetingBytes(0, other.accepted!.sessionId, one.accepted!.tokens[0]!));
    await closedWithoutAWord(socket);
    await one.dial(0);
  });
  test("of another stream opens nothing", async () => {
    using caller = await opened();
    await closedWithoutAWord(
      await caller.knock(greetingBytes(1, caller.accepted!.sessionId, caller.accepted!.tokens[0]!)),
    );
  });
  test("for an index that was not granted opens nothing", async () => {
    using caller = await opened();
    await closedWithoutAWord(
      await caller.knock(greetingBytes(999, caller.accepted!.sessionId, caller.accepted!.tokens[0]!)),
    );
  });
  test("that is wrong by a bit opens nothing", async () => {
    using caller = await opened();
    const token = Buffer.from(caller.accepted!.tokens[0]!);
    token[31]! ^= 1;
    await closedWithoutAWord(await caller.knock(greetingBytes(0, caller.accepted!.sessionId, token)));
  });
  test("opens one stream, once", async () => {
    using caller = await opened();
    await caller.dial(0);
    await closedWithoutAWord(
      await caller.knock(greetingBytes(0, caller.accepted!.sessionId, caller.accepted!.tokens[0]!)),
    );
  });
  configured("expires", async () => {
    using caller = await opened();
    const beating = setInterval(() => caller.say({ case: "heartbeat", value: {} }), 200);
    await Bun.sleep(2500);
    clearInterval(beating);
    await closedWithoutAWord(
      await caller.knock(greetingBytes(0, caller.accepted!.sessionId, caller.accepted!.tokens[0]!)),
    );
  });
  watched("of a session that is over opens nothing, and is not told as a stray", async () => {
    const strays = (): number =>
      daemon.process!.log("refused").filter(({ reason }) => reason === "stray_data_connection").length;
    const before = strays();
    const caller = await opened();
    const { accepted } = caller;
    caller.cancel();
    await daemon.process!.logged(
      "session_end",
      ({ session }) => session === Buffer.from(accepted!.sessionId).subarray(0, 6).toString("hex"),
    );
    const socket = await dialPort(daemon.host, port);
    socket.write(greetingBytes(0, accepted!.sessionId, accepted!.tokens[0]!));
    await closedWithoutAWord(socket);
    caller.close();
    expect(strays()).toBe(before);
  });
  test("is granted only so often", async () => {
    using caller = await opened();
    const { tokens, maxStreams } = caller.accepted!;
    caller.say({ case: "carrier", value: {} }, { case: "streamRequest", value: { count: 0xffffffff } });
    const more = await caller.expect("streamGrant");
    expect(tokens.length + more.tokens.length).toBe(maxStreams);
    caller.say({ case: "streamRequest", value: { count: 5 } });
    expect((await caller.expect("streamGrant")).tokens).toEqual([]);
  });
});

test("S30 a session among strays comes to its end", async () => {
  using caller = await opened();
  const strays = await Promise.all(Array.from({ length: 50 }, () => dialPort(daemon.host, port)));
  for (const [i, stray] of strays.entries()) if (i % 2 === 0) stray.write(Buffer.alloc(64, i));
  const socket = await caller.dial(0);
  caller.say(
    { case: "carrier", value: {} },
    { case: "manifest", value: manifest({ dir: 0 }, [{ name: "a", size: 1, mtime: 1 }]) },
    { case: "scanned", value: { complete: true, entries: 1n } },
  );
  const { need } = await caller.until("need");
  socket.write(shard(need, [{ name: "a", content: Buffer.from("x"), mode: 0o100644, mtime: 1 }]));
  await caller.until("finished");
  socket.write(bye());
  caller.say({ case: "closed", value: {} });
  expect((await caller.ended()).summary?.exitReason).toBe("ok");
  for (const stray of strays) stray.destroy();
});

test("a source sends no byte of content before its caller is ready", async () => {
  using caller = new Caller(daemon);
  await caller.open(pullFrom(daemon.modules.read));
  const socket = await caller.dial(0);
  await caller.until("manifest");
  caller.say({ case: "need", value: { need: 1, dir: 0, rows: [0], purpose: 1 } });
  await Bun.sleep(100);
  expect(socket.readableLength).toBe(0);
  caller.say({ case: "carrier", value: {} });
  for (let heard = 0; heard < 32; heard = socket.readableLength) await Bun.sleep(10);
});

test("the daemon goes on", () => healthy(daemon));
watched("its log names the strays", () => {
  const strays = daemon.process!.log("refused").filter(({ reason }) => reason === "stray_data_connection");
  expect(strays.length).toBeGreaterThan(10);
  expect(daemon.process!.stderr).not.toContain("internal error");
});
