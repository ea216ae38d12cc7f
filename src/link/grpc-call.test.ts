import { expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { dial } from "./dial.ts";
import { GrpcCall } from "./grpc-call.ts";

const WAYS: Readonly<Record<string, (socket: Socket) => void>> = {
  "in order": (socket) => socket.end(),
  "by a reset": (socket) => void socket.resetAndDestroy(),
};

test.each(Object.keys(WAYS))(
  "a connection that was dialled early and is closed by now fails at once: %s",
  async (way) => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      WAYS[way]!(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const socket = await dial({ host: "127.0.0.1", port }, new AbortController().signal);
    await new Promise((resolve) => socket.once("close", resolve));
    const call = new GrpcCall({ socket, authority: "127.0.0.1", path: "/a.B/C", messageBytes: 1024 });
    await call.send([new Uint8Array(1)]);
    await expect(call.messages().next()).rejects.toThrow("the connection was closed");
    server.close();
  },
);
