/**
 * Answers those who watch the daemon: /metrics, /healthz and /readyz over HTTP/1.1, on an address of its own. It tells of
 * modules and counts, never of names in them or of callers.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { LIMITS } from "../../core/limits.ts";
import { OPEN_METRICS_TYPE } from "./open-metrics.ts";

export interface Watched {
  /** OpenMetrics text. */
  metrics(): string;
  /** False: sessions are not accepted (any more). */
  isReady(): boolean;
}

export interface MetricsListener {
  readonly port: number;
  stop(): void;
}

const PLAIN = "text/plain; charset=utf-8";
/** Of a connection: it is for one request, and given up when that takes longer. */
const CONNECTION_MS = 5_000;

/** Rejects with what listen(2) said. `connectionMs` is for tests. */
export async function listenForMetrics(
  host: string,
  port: number,
  watched: Watched,
  connectionMs = CONNECTION_MS,
): Promise<MetricsListener> {
  const server: Server = createServer((request, response) => answer(request, response, watched));
  server.maxConnections = LIMITS.metricConnections;
  // Bun has the server's own times, and does not keep them.
  server.on("connection", (socket: Socket) => {
    const timer = setTimeout(() => socket.destroy(), connectionMs);
    socket.once("close", () => clearTimeout(timer));
  });
  await new Promise<void>((resolve, reject) => {
    // Bun does not say which port it was.
    server.once("error", (error) => reject(Object.assign(error, { address: host, port })));
    server.listen({ host, port }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
  server.on("error", () => undefined);
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse, watched: Watched): void {
  const say = (status: number, type: string, text: string, more: Record<string, string> = {}): void => {
    response.writeHead(status, { "content-type": type, "cache-control": "no-store", connection: "close", ...more });
    response.end(request.method === "HEAD" ? undefined : text);
  };
  if (request.method !== "GET" && request.method !== "HEAD")
    return say(405, PLAIN, "only GET and HEAD\n", { allow: "GET, HEAD" });
  switch (request.url?.split("?", 1)[0]) {
    case "/metrics":
      return say(200, OPEN_METRICS_TYPE, watched.metrics());
    case "/healthz":
      return say(200, PLAIN, "ok\n");
    case "/readyz":
      return watched.isReady() ? say(200, PLAIN, "ready\n") : say(503, PLAIN, "stopping\n");
    default:
      return say(404, PLAIN, "there are /metrics, /healthz and /readyz\n");
  }
}
