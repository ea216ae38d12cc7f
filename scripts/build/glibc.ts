/** The newest `GLIBC_2.x` that an ELF file names, as "2.x"; undefined when it names none. */
export function glibcNeeded(elf: Uint8Array): string | undefined {
  const text = Buffer.from(elf.buffer, elf.byteOffset, elf.byteLength).toString("latin1");
  const minors = [...text.matchAll(/GLIBC_2\.(\d+)/g)].map((found) => Number(found[1]));
  return minors.length === 0 ? undefined : `2.${Math.max(...minors)}`;
}
