/**
 * A nameserver that changes its mind, for one test: `NAME FIRST THEN` answers the first query for an address of IPv4 of
 * NAME with FIRST and every later one with THEN. Prints each query as a line.
 */
import { createSocket } from "node:dgram";

const [wanted, first, then] = process.argv.slice(2) as [string, string, string];
const A = 1;
let asked = 0;

const server = createSocket("udp4");
server.on("message", (query, from) => {
  const { name, end } = nameAt(query, 12);
  const type = query.readUInt16BE(end);
  const question = query.subarray(12, end + 4);
  const isAnswered = name === wanted && type === A;
  console.log(`${name} ${type}`);
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(isAnswered ? 1 : 0, 6);
  const parts = [header, question];
  if (isAnswered) {
    const address = asked++ === 0 ? first : then;
    // A pointer to the name in the question, type A, class IN, to be forgotten at once.
    parts.push(Buffer.from([0xc0, 0x0c, 0, A, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split(".").map(Number)]));
  }
  server.send(Buffer.concat(parts), from.port, from.address);
});
server.bind(53, "127.0.0.1", () => console.log("ready"));

function nameAt(packet: Buffer, from: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = from;
  for (let length = packet[at]!; length > 0; length = packet[at]!) {
    labels.push(packet.toString("latin1", at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  return { name: labels.join("."), end: at + 1 };
}
