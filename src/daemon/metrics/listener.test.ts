import { afterEach, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { LIMITS } from "../../core/limits.ts";
import { listenForMetrics, type MetricsListener } from "./listener.ts";

let listener: MetricsListener | undefined;
const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
  listener?.stop();
});

async function listening(connectionMs: number): Promise<number> {
  listener = await listenForMetrics("127.0.0.1", 0, { metrics: () => "# EOF\n", isReady: () => true }, connectionMs);
  return listener.port;
}

/** Says this; resolves with what came back until the other side closed the connection. */
function say(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1", () => socket.write(text));
  open.push(socket);
  let heard = "";
  socket.on("data", (bytes) => {
    heard += bytes;
  });
  socket.on("error", () => undefined);
  return new Promise((resolve) => socket.on("close", () => resolve(heard)));
}

test.each(["", "GET /healthz HTTP/1.1\r\nhost: x\r\n", "POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1"])(
  "requests that do not end keep nobody out: %j",
  async (half) => {
    const port = await listening(100);
    await Promise.all(Array.from({ length: LIMITS.metricConnections }, () => say(port, half)));
    expect(await say(port, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")).toStartWith("HTTP/1.1 200");
  },
);

test("a connection is for one request", async () => {
  const port = await listening(60_000);
  const answer = await say(port, "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n");
  expect(answer).toStartWith("HTTP/1.1 200");
  expect(answer.toLowerCase()).toContain("connection: close");
});
