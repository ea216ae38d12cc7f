/** Listens and takes every connection for a session, which lasts until the peer closes it. */
import { createServer, type Server, type Socket } from "node:net";
import type { Serve } from "../../src/daemon/server-contract.ts";

export const fakeServe: Serve = async ({ config, log }, { controlFd }) => {
  const open = new Set<Socket>();
  let onEmpty: (() => void) | undefined;
  const serve = (socket: Socket): void => {
    const peer = `${socket.remoteAddress}`;
    const module = config().modules[0]?.name;
    const start = { peer, session: "fake", module, role: "target", verb: "copy" } as const;
    log.sessionStart(start);
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      open.delete(socket);
      const counts = { files: 0, bytes: 0, deleted: 0, failed: 0 };
      log.sessionEnd({ ...start, ...counts, exitReason: "ok", durationMs: 0 });
      if (open.size === 0) onEmpty?.();
    });
    socket.resume();
  };
  const servers: Server[] = [];
  const listen = async (where: { host: string; port: number } | { fd: number }): Promise<number> => {
    const server = createServer(serve);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(where, resolve);
    });
    servers.push(server);
    return (server.address() as { port: number }).port;
  };
  const { bind, port, dataPort } = config();
  let controlPort = port;
  if (controlFd !== undefined) controlPort = await listen({ fd: controlFd });
  else for (const host of bind) controlPort = await listen({ host, port: controlPort });
  return {
    controlPort,
    dataPort: typeof dataPort === "number" ? dataPort : undefined,
    sessions: () => open.size,
    drain: () =>
      new Promise<void>((resolve) => {
        for (const server of servers) server.close();
        onEmpty = resolve;
        if (open.size === 0) resolve();
      }),
    stop: async () => {
      for (const server of servers) server.close();
      for (const socket of open) socket.destroy();
    },
  };
};
