/** `COUNT ADDRESS`: sends so many packets from there to the group of mDNS that are nearly some: cut, with lengths and pointers that lead astray. */
import { createSocket } from "node:dgram";

const [count, address] = [Number(process.argv[2]), process.argv[3]!];
/** A question for the service, as it should be. */
const GOOD = Buffer.from(
  "000084000000000100000000095f6661737473796e63045f746370056c6f63616c00000c0001000011940006036e6173c00c",
  "hex",
);
let seed = 12345;
const random = (below: number): number => {
  seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
  return seed % below;
};
const socket = createSocket({ type: "udp4", reuseAddr: true });
socket.bind(5353, "0.0.0.0", () => {
  socket.setMulticastTTL(255);
  socket.setMulticastInterface(address);
  let sent = 0;
  const next = (): void => {
    if (sent++ === count) return void socket.close();
    const packet = Buffer.from(GOOD);
    for (let n = random(4); n >= 0; n--) packet[random(packet.length)] = random(256);
    socket.send(packet.subarray(0, 1 + random(packet.length)), 5353, "224.0.0.251", next);
  };
  next();
});
