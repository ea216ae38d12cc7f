/** Ports that a test must know before anything listens on them, or that have to be free a second time. */
import { createServer } from "node:net";

/**
 * Below what the kernel gives to outgoing connections (net.ipv4.ip_local_port_range begins at 32,768): a port from that
 * range may be some other test's connection by the time it is bound again, and connecting to it while nobody listens
 * may even connect to itself.
 */
const [FIRST, LAST] = [10_000, 32_000];

/** A port of 127.0.0.1 that is free, and so is the one above it (a daemon's data port). */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + 2 * Math.floor((Math.random() * (LAST - FIRST)) / 2);
    if ((await isFree(port)) && (await isFree(port + 1))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
