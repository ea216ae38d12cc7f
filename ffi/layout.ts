/**
 * The shared structs of `fsy.h` as tables. Offsets are computed from the tables by C's rules and folded into the same
 * fingerprint as `fsy_layout()` computes from the compiler's view, so that a library built from another header is
 * refused at load instead of misread.
 */

type Scalar = "u32" | "i32" | "u64" | "f64";
type Field = readonly [name: string, type: Scalar, count?: number];

const BYTES: Readonly<Record<Scalar, number>> = { u32: 4, i32: 4, u64: 8, f64: 8 };

export interface Layout<Name extends string = string> {
  readonly bytes: number;
  /** Byte offset of every field, in order of declaration. */
  readonly at: Readonly<Record<Name, number>>;
}

function layoutOf<const F extends readonly Field[]>(fields: F): Layout<F[number][0]> {
  const at: Record<string, number> = {};
  let end = 0;
  let align = 1;
  for (const [name, type, count] of fields) {
    const size = BYTES[type];
    align = Math.max(align, size);
    end = Math.ceil(end / size) * size;
    at[name] = end;
    end += size * (count ?? 1);
  }
  return { bytes: Math.ceil(end / align) * align, at: at as Record<F[number][0], number> };
}

export const CONTROL = layoutOf([
  ["abi", "u32"],
  ["control_bytes", "u32"],
  ["sq_at", "u32"],
  ["cq_at", "u32"],
  ["sq_tail", "u32"],
  ["cq_head", "u32"],
  ["cq_tail", "u32"],
  ["cancel", "u32"],
  ["workers", "u32"],
  ["reserved0", "u32"],
  ["rate_bytes_per_second", "f64"],
  ["bytes_done", "u64"],
  ["files_done", "u64"],
  ["arena_used", "u64"],
  ["busy_nanos", "u64"],
]);

export const BATCH = layoutOf([
  ["magic", "u32"],
  ["count", "u32"],
  ["total_bytes", "u32"],
  ["dirfd", "i32"],
  ["status", "i32"],
  ["flags", "u32"],
  ["fs_type", "u32"],
  ["kinds", "u32"],
  ["reserved", "u32", 8],
]);

export const RESULT = layoutOf([
  ["status", "i32"],
  ["stage", "u32"],
  ["method", "u32"],
  ["refused", "u32"],
  ["warnings", "u32"],
  ["warning_errno", "i32"],
  ["flags", "u32"],
  ["refused_errno", "i32"],
  ["bytes", "f64"],
  ["size", "f64"],
]);

export const OPTIONS = layoutOf([
  ["flags", "u32"],
  ["methods", "u32"],
  ["chown_uid", "u32"],
  ["chown_gid", "u32"],
  ["umask_bits", "u32"],
  ["suffix_at", "u32"],
  ["small_bytes", "u32"],
  ["mmap_bytes", "u32"],
  ["run_id_lo", "u32"],
  ["run_id_hi", "u32"],
  ["confine", "u32"],
  ["reserved", "u32", 5],
]);

export const SQE = layoutOf([
  ["op", "u32"],
  ["tag", "u32"],
  ["fd0", "i32"],
  ["fd1", "i32"],
  ["fd2", "i32"],
  ["fd3", "i32"],
  ["flags", "u32"],
  ["count", "u32"],
  ["batch", "u32"],
  ["rows", "u32"],
  ["results", "u32"],
  ["options", "u32"],
  ["path", "u32"],
  ["path_bytes", "u32"],
  ["extra", "u32"],
  ["need", "u32"],
  ["offset", "f64"],
  ["length", "f64"],
  ["reserved", "u32", 12],
]);

export const CQE = layoutOf([
  ["tag", "u32"],
  ["result", "i32"],
  ["fd0", "i32"],
  ["fd1", "i32"],
  ["block", "u32"],
  ["flags", "u32"],
  ["method", "u32"],
  ["count", "u32"],
  ["bytes", "f64"],
  ["length", "f64"],
  ["nanos", "f64"],
  ["reserved", "u32", 2],
]);

export const PROBE = layoutOf([
  ["same_filesystem", "u32"],
  ["method_status", "i32", 8],
  ["tmpfile_status", "i32"],
  ["xattr_status", "i32"],
  ["acl_status", "i32"],
  ["hardlink_status", "i32"],
  ["symlink_status", "i32"],
  ["mknod_status", "i32"],
  ["sparse_status", "i32"],
  ["case_insensitive", "u32"],
  ["time_granularity_ns", "u32"],
  ["target_fs_type", "u32"],
  ["source_fs_type", "u32"],
  ["target_dev", "u32"],
  ["source_dev", "u32"],
  ["earliest_sec", "f64"],
  ["latest_sec", "f64"],
  ["reserved", "u32", 6],
]);

/** In the order of `fsy.h`, which is the order of the fingerprint. */
export const STRUCTS: Readonly<Record<string, Layout>> = {
  fsy_control: CONTROL,
  fsy_batch: BATCH,
  fsy_result: RESULT,
  fsy_options: OPTIONS,
  fsy_sqe: SQE,
  fsy_cqe: CQE,
  fsy_probe: PROBE,
};

/** FNV-1a (32 bit) over little-endian words: per struct its size and offsets, then `counts`. See `layout.c`. */
export function fingerprint(counts: readonly number[]): number {
  let hash = 2166136261;
  const fold = (value: number): void => {
    for (let shift = 0; shift < 32; shift += 8) hash = Math.imul(hash ^ ((value >>> shift) & 0xff), 16777619);
  };
  for (const layout of Object.values(STRUCTS)) {
    fold(layout.bytes);
    for (const at of Object.values(layout.at)) fold(at);
  }
  for (const count of counts) fold(count);
  return hash >>> 0;
}
