/** What kind of device a filesystem lies on. */
import { readFileSync } from "node:fs";

/** `dev` is major << 20 | minor. False when nothing is known: network and virtual filesystems have no queue. */
export function isRotational(dev: number): boolean {
  const name = `/sys/dev/block/${dev >>> 20}:${dev & 0xfffff}`;
  for (const queue of [`${name}/queue/rotational`, `${name}/../queue/rotational`]) {
    try {
      return readFileSync(queue, "latin1").trim() === "1" && !isLoop(dev);
    } catch {
      // a partition keeps its queue one level up
    }
  }
  return false;
}

/** A loop device says "rotational" whatever its backing file lies on. */
function isLoop(dev: number): boolean {
  return dev >>> 20 === 7;
}
