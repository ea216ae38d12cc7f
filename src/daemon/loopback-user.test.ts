/** The kernel's list of sockets, as it stands, and a real connection in it. */
import { expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { userIn, userOfPeer } from "./loopback-user.ts";

const FOUR = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2350 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11111 1 0000000000000000
   1: 0100007F:A3F2 0100007F:2350 01 00000000:00000000 00:00000000 00000000  1000        0 22222 1 0000000000000000
   2: 0100007F:A3F3 0100007F:2350 06 00000000:00000000 03:00001770 00000000     0        0 66666 3 0000000000000000
   3: 0100007F:A3F4 0100007F:2350 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000
   4: 0200007F:A3F5 0100007F:2350 01 00000000:00000000 00:00000000 00000000  1001        0 33333 1 0000000000000000
`;
const SIX = `  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000001000000:A3F2 00000000000000000000000001000000:2350 01 00000000:00000000 00:00000000 00000000  1002        0 44444 1 0000000000000000
   1: 0000000000000000FFFF00000100007F:A3F6 0000000000000000FFFF00000100007F:2350 01 00000000:00000000 00:00000000 00000000  1003        0 55555 1 0000000000000000
`;
const from = (peerAddress: string, peerPort: number, ownAddress = "127.0.0.1") => ({
  ...{ peerAddress, peerPort, ownAddress, ownPort: 0x2350 },
});

test.each([
  ["its user", FOUR, from("127.0.0.1", 0xa3f2), 1000],
  ["as IPv6 shows it", FOUR, from("::ffff:127.0.0.1", 0xa3f2, "::ffff:127.0.0.1"), 1000],
  ["the address counts", FOUR, from("127.0.0.1", 0xa3f5), undefined],
  ["another one of loopback", FOUR, from("127.0.0.2", 0xa3f5), 1001],
  ["the own side counts", FOUR, from("127.0.0.1", 0xa3f2, "127.0.0.2"), undefined],
  ["a connection that is over is nobody's, not root's", FOUR, from("127.0.0.1", 0xa3f3), undefined],
  ["a socket that nobody holds", FOUR, from("127.0.0.1", 0xa3f4), undefined],
  ["IPv6", SIX, from("::1", 0xa3f2, "::1"), 1002],
  ["IPv4 in a socket of IPv6", SIX, from("127.0.0.1", 0xa3f6), 1003],
  ["nothing", "", from("127.0.0.1", 0xa3f2), undefined],
] as const)("%s", (_, table, connection, user) => {
  expect(userIn(table, connection)).toBe(user as number);
});

test("of a connection that we have with ourselves", async () => {
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer(accepted.resolve).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const client = connect((server.address() as { port: number }).port, "127.0.0.1");
  const { remoteAddress, remotePort, localAddress, localPort } = await accepted.promise;
  const connection = {
    ...{ peerAddress: remoteAddress!, peerPort: remotePort!, ownAddress: localAddress!, ownPort: localPort! },
  };
  expect(await userOfPeer(connection)).toBe(process.getuid!());
  expect(await userOfPeer({ ...connection, peerPort: 1 })).toBeUndefined();
  client.destroy();
  server.close();
});
