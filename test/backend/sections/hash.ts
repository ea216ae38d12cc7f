import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import type { ItemResults } from "../../../src/fs/backend.ts";
import { type Harness, namesOf, rowOf } from "../harness.ts";
import { patterned } from "./copy.ts";

const { errno } = os.constants;
/** XXH3-128 of `patterned(n)`, made with xxHash's own header. */
export const XXH3_VECTORS: Readonly<Record<number, string>> = {
  0: "99aa06d3014798d86001c324468d497f",
  1: "beff62be44bc9be4429e81bc6744101c",
  3: "9dce807f4a9aaa5632dbb5c7774cc94f",
  4: "9772187e76395ea05def542b8e8255bb",
  8: "29a3277f85f28675da3ca77f4508da63",
  9: "57fc1cef528bd18785e53a642b77ffab",
  16: "f8ae1a6f144fb00b4c6929dc65a535a0",
  17: "0ad716e7cfed9dc843287186cdfec85d",
  128: "2b83749a25627c556772960c7e09e15b",
  129: "d2c5fdf14399d768d15020c0444d308f",
  240: "b2c3c2aa029b2279e16f608e11e76335",
  241: "e75e577a31d24834d6afac6f8fa85b01",
  256: "5f3bd3b68315e0249e6593bab96413da",
  257: "bd1fb14b2159e83dc7f456fff4eaca08",
  1024: "1ac8856c8b289d9abb9f0c3761cdfd54",
  1025: "15379a00bb4cec9895edccc1adc4d895",
  65536: "9f30f0a857570d69b25b6166131fa281",
  1000003: "32df120815fce3229031a6121d217151",
  3000000: "1d982c6f6718dbfe8b889475c6e412a8",
};
const SIZES = [0, 1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 256, 257, 1024, 1025, 65_536, 1_000_003, 3_000_000];

function digests(results: ItemResults): string[] {
  const all = Array.from({ length: results.count }, (_, i) => Buffer.from(results.digest(i)).toString("hex"));
  results.release();
  return all;
}

export function hashSection(h: Harness): void {
  h.test("hashes by both algorithms", async () => {
    for (const size of SIZES) h.write(`source/f${size}`, patterned(size));
    const { batch, handle } = await h.hold("source");
    const rows = Uint32Array.from(SIZES, (size) => rowOf(batch, `f${size}`));
    const sha = digests(await h.backend.hash(handle, batch, rows, "sha256", h.prepared()));
    const xxh = digests(await h.backend.hash(handle, batch, rows, "xxh3-128", h.prepared()));
    SIZES.forEach((size, i) => {
      expect(sha[i]).toBe(new Bun.CryptoHasher("sha256").update(patterned(size)).digest("hex"));
      expect([size, xxh[i]]).toEqual([size, XXH3_VECTORS[size]]);
    });
  });

  h.test("fails for what is not a file, and finds changes", async () => {
    h.write("source/f", "old");
    fs.mkdirSync(h.at("source/dir"));
    fs.symlinkSync("f", h.at("source/link"));
    const { batch, handle } = await h.hold("source");
    fs.writeFileSync(h.at("source/f"), "changed since");
    const rows = Uint32Array.from(namesOf(batch), (_, row) => row);
    const results = await h.backend.hash(handle, batch, rows, "sha256", h.prepared());
    const [dir, file, link] = [rowOf(batch, "dir"), rowOf(batch, "f"), rowOf(batch, "link")];
    expect([results.status(dir), results.status(link)]).toEqual([-errno.EINVAL, -errno.EINVAL]);
    expect([results.status(file), results.flags(file) & 1, results.size(file)]).toEqual([0, 1, 13]);
    expect(Buffer.from(results.digest(file)).toString("hex")).toBe(
      new Bun.CryptoHasher("sha256").update("changed since").digest("hex"),
    );
    results.release();
  });
}
