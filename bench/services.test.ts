import { expect, test } from "bun:test";
import { payloadOf } from "./remote.ts";
import { connectionsWith, freePorts, HERE, parseConnections, parseUse, sessionEndsOf, trafficOf } from "./services.ts";

test("processor time and peak memory of a process, whatever its name is", () => {
  const stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 900 800 0 0 11 22 33 44 20 0 1 0 100 1000 200 0 0";
  expect(parseUse(stat, "Name:\tx\nVmPeak:\t 999 kB\nVmHWM:\t  1234 kB\nVmRSS:\t 10 kB\n")).toEqual({
    cpuMs: 1100,
    peakRssKiB: 1234,
  });
});

test("connections with one address are counted once, from either end, those that listen not at all", () => {
  const row = (local: string, remote: string, state: string) =>
    `   1: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 0 1`;
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    row("0100007F:2351", "00000000:0000", "0A"),
    row("0100007F:2351", "0100007F:C001", "01"),
    row("0100007F:C001", "0100007F:2351", "01"),
    row("0100007F:C002", "0100007F:2351", "06"),
    row("0200007F:2351", "0100007F:C003", "06"),
    row("0100007F:2350", "0100007F:C004", "06"),
    "",
  ].join("\n");
  expect([...parseConnections(table, "127.0.0.1", 0x2351)]).toEqual(["0100007F:C001", "0100007F:C002"]);
  expect([...parseConnections(table, "127.0.0.2", 0x2351)]).toEqual(["0100007F:C003"]);
});

test.skipIf(process.platform !== "linux")("the kernel tells of connections that are over", async () => {
  const [port] = freePorts(1) as [number];
  const server = Bun.listen({ hostname: HERE, port, socket: { data: (socket) => void socket.end() } });
  expect(connectionsWith(HERE, port).size).toBe(0);
  for (let i = 0; i < 3; i++) {
    const closed = Promise.withResolvers<void>();
    const socket = await Bun.connect({ hostname: HERE, port, socket: { data() {}, close: () => closed.resolve() } });
    socket.write("x");
    await closed.promise;
  }
  server.stop(true);
  expect(connectionsWith(HERE, port).size).toBe(3);
});

test("ends of sessions are found in a daemon's log", () => {
  const log = [
    '{"time":"t","level":"info","event":"started","pid":1}',
    '{"time":"t","level":"info","event":"session_end","files":3,"bytes":18320,"exit_reason":"ok"}',
    '{"time":"t","level":"info","event":"session_end","files":0,"bytes":5,"exit_reason":"partial"}',
    "",
  ].join("\n");
  expect(sessionEndsOf(log)).toEqual([
    { bytes: 18320, exitReason: "ok" },
    { bytes: 5, exitReason: "partial" },
  ]);
});

test("the line tells what passed, port by port", () => {
  expect(trafficOf("ready\n9040 2 10 20\n9041 4 30 40\n")).toEqual([
    { port: 9040, connections: 2, bytesThere: 10, bytesBack: 20 },
    { port: 9041, connections: 4, bytesThere: 30, bytesBack: 40 },
  ]);
});

test("the bytes of content are those of the summary", () => {
  expect(payloadOf('{"type":"start"}\n{"type":"summary","bytes_transferred":15000}\n')).toBe(15000);
  expect(() => payloadOf('{"type":"start"}\n')).toThrow("no summary");
});
