/** HTTP/2 used as a weapon, as far as bytes on a socket go: the daemon may drop the connection, and serves everybody else. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import { closed, dialPort, SESSION } from "./peer/caller.ts";
import { configured, type Daemon, daemonUnderTest, eventually, watched } from "./peer/daemon.ts";
import { healthy } from "./peer/sessions.ts";

let daemon: Daemon;
let rss = 0;
let descriptors = 0;
beforeAll(async () => {
  daemon = await daemonUnderTest({ idle: "3s" });
  await healthy(daemon);
  await healthy(daemon);
  rss = daemon.process?.rssBytes() ?? 0;
  descriptors = daemon.process?.descriptors().length ?? 0;
});
afterAll(() => daemon[Symbol.asyncDispose]());

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const [HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION] = [1, 3, 4, 6, 9];
function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}
/** A header field, literal, never indexed. */
function field(name: string, value: string): Buffer {
  const text = (of: string): Buffer => {
    const bytes = Buffer.from(of);
    if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    const length: number[] = [127];
    let rest = bytes.length - 127;
    for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128);
    return Buffer.concat([Buffer.from([...length, rest]), bytes]);
  };
  return Buffer.concat([Buffer.from([0x10]), text(name), text(value)]);
}
const request = Buffer.concat([
  field(":method", "POST"),
  field(":scheme", "http"),
  field(":path", SESSION),
  field(":authority", "x"),
  field("content-type", "application/grpc"),
  field("te", "trailers"),
]);

/** Says all of it, however the other side takes it, and leaves. */
async function assault(...pieces: readonly Buffer[]): Promise<void> {
  const socket: Socket = await dialPort(daemon.host, daemon.port);
  socket.resume();
  const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  for (const piece of [PREFACE, frame(SETTINGS, 0, 0), ...pieces]) {
    if (socket.destroyed) break;
    if (!socket.write(piece))
      await Promise.race([gone, new Promise<void>((resolve) => socket.once("drain", resolve)), Bun.sleep(2000)]);
  }
  await healthy(daemon);
  socket.destroy();
}
const times = (count: number, of: (i: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => of(i)));

test("S31 50,000 pings", () => assault(times(50_000, () => frame(PING, 0, 0, Buffer.alloc(8)))));
test("S31 50,000 settings", () => assault(times(50_000, () => frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0])))));
test("S31 10,000 streams that are reset at once", () =>
  assault(
    times(10_000, (i) =>
      Buffer.concat([
        frame(HEADERS, 4, 2 * i + 1, request),
        frame(RST_STREAM, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8])),
      ]),
    ),
  ));
test("S31 8 MiB of headers in continuations", () =>
  assault(
    frame(HEADERS, 0, 1, request),
    times(1000, () => frame(CONTINUATION, 0, 1, field("x", "y".repeat(8000)))),
  ));
test("S31 20,000 empty continuations", () =>
  assault(
    frame(HEADERS, 0, 1, request),
    times(20_000, () => frame(CONTINUATION, 0, 1)),
  ));
test("S31 a frame longer than was agreed", () => assault(frame(0, 0, 1, Buffer.alloc(2 << 20))));
test("S36 a PROXY header before the protocol", async () => {
  const socket = await dialPort(daemon.host, daemon.port);
  socket.write(Buffer.concat([Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), PREFACE, frame(SETTINGS, 0, 0)]));
  await closed(socket);
  await healthy(daemon);
});
test("S31 another protocol", async () => {
  const socket = await dialPort(daemon.host, daemon.port);
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await healthy(daemon);
  socket.destroy();
});
test("S31 500 calls that are cancelled", async () => {
  const session = connectHttp2(`http://${daemon.host}:${daemon.port}`);
  session.on("error", () => {});
  for (let i = 0; i < 500 && !session.destroyed; i++) {
    const stream = session.request({
      ":method": "POST",
      ":path": SESSION,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {});
    stream.close(8);
  }
  await healthy(daemon);
  session.destroy();
});
configured("S31 a connection that says nothing is closed", async () => {
  const socket = await dialPort(daemon.host, daemon.port);
  await closed(socket);
});
test("S31 another service and another content type", async () => {
  const session = connectHttp2(`http://${daemon.host}:${daemon.port}`);
  session.on("error", () => {});
  for (const [path, type] of [
    ["/other.Service/Call", "application/grpc"],
    [SESSION, "text/plain"],
    ["/../../etc/passwd", "application/grpc"],
  ]) {
    const stream = session.request({ ":method": "POST", ":path": path!, "content-type": type! });
    stream.on("error", () => {});
    stream.end();
  }
  await healthy(daemon);
  session.destroy();
});

test("the daemon goes on", () => healthy(daemon));
watched("S31 the daemon is as it was", async () => {
  await eventually(() => daemon.process!.descriptors().length <= descriptors + 4, "descriptors go back", 30_000);
  expect(daemon.process!.isAlive).toBe(true);
  expect(daemon.process!.rssBytes() - rss).toBeLessThan(400 << 20);
  expect(daemon.process!.stderr).not.toContain("internal error");
  // A flood does not become a flood in the log.
  expect(daemon.process!.stderr.length).toBeLessThan(8 << 20);
});
