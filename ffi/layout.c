/* The fingerprint of the shared structs, so that bindings built against another header refuse to run.
 *
 * FNV-1a (32 bit) over 32-bit little-endian words, in this order: for each struct as it stands in fsy.h, its size and
 * then the offset of every field in order of declaration (reserved ones too); at the end the counts of f64 columns,
 * u32 columns, operations and methods. */
#include "internal.h"

static uint32_t fold(uint32_t hash, size_t value) {
  for (int i = 0; i < 4; i++) {
    hash ^= (uint32_t)(value >> (8 * i)) & 0xffu;
    hash *= 16777619u;
  }
  return hash;
}

#define SIZE(type) hash = fold(hash, sizeof(type))
#define AT(type, field) hash = fold(hash, offsetof(type, field))

FSY_API uint32_t fsy_abi(void) { return FSY_ABI; }

FSY_API uint32_t fsy_layout(void) {
  uint32_t hash = 2166136261u;
  SIZE(fsy_control);
  AT(fsy_control, abi);
  AT(fsy_control, control_bytes);
  AT(fsy_control, sq_at);
  AT(fsy_control, cq_at);
  AT(fsy_control, sq_tail);
  AT(fsy_control, cq_head);
  AT(fsy_control, cq_tail);
  AT(fsy_control, cancel);
  AT(fsy_control, workers);
  AT(fsy_control, reserved0);
  AT(fsy_control, rate_bytes_per_second);
  AT(fsy_control, bytes_done);
  AT(fsy_control, files_done);
  AT(fsy_control, arena_used);
  AT(fsy_control, busy_nanos);
  SIZE(fsy_batch);
  AT(fsy_batch, magic);
  AT(fsy_batch, count);
  AT(fsy_batch, total_bytes);
  AT(fsy_batch, dirfd);
  AT(fsy_batch, status);
  AT(fsy_batch, flags);
  AT(fsy_batch, fs_type);
  AT(fsy_batch, kinds);
  AT(fsy_batch, reserved);
  SIZE(fsy_result);
  AT(fsy_result, status);
  AT(fsy_result, stage);
  AT(fsy_result, method);
  AT(fsy_result, refused);
  AT(fsy_result, warnings);
  AT(fsy_result, warning_errno);
  AT(fsy_result, flags);
  AT(fsy_result, refused_errno);
  AT(fsy_result, bytes);
  AT(fsy_result, size);
  SIZE(fsy_options);
  AT(fsy_options, flags);
  AT(fsy_options, methods);
  AT(fsy_options, chown_uid);
  AT(fsy_options, chown_gid);
  AT(fsy_options, umask_bits);
  AT(fsy_options, suffix_at);
  AT(fsy_options, small_bytes);
  AT(fsy_options, mmap_bytes);
  AT(fsy_options, run_id_lo);
  AT(fsy_options, run_id_hi);
  AT(fsy_options, confine);
  AT(fsy_options, reserved);
  SIZE(fsy_sqe);
  AT(fsy_sqe, op);
  AT(fsy_sqe, tag);
  AT(fsy_sqe, fd0);
  AT(fsy_sqe, fd1);
  AT(fsy_sqe, fd2);
  AT(fsy_sqe, fd3);
  AT(fsy_sqe, flags);
  AT(fsy_sqe, count);
  AT(fsy_sqe, batch);
  AT(fsy_sqe, rows);
  AT(fsy_sqe, results);
  AT(fsy_sqe, options);
  AT(fsy_sqe, path);
  AT(fsy_sqe, path_bytes);
  AT(fsy_sqe, extra);
  AT(fsy_sqe, need);
  AT(fsy_sqe, offset);
  AT(fsy_sqe, length);
  AT(fsy_sqe, reserved);
  SIZE(fsy_cqe);
  AT(fsy_cqe, tag);
  AT(fsy_cqe, result);
  AT(fsy_cqe, fd0);
  AT(fsy_cqe, fd1);
  AT(fsy_cqe, block);
  AT(fsy_cqe, flags);
  AT(fsy_cqe, method);
  AT(fsy_cqe, count);
  AT(fsy_cqe, bytes);
  AT(fsy_cqe, length);
  AT(fsy_cqe, nanos);
  AT(fsy_cqe, reserved);
  SIZE(fsy_probe);
  AT(fsy_probe, same_filesystem);
  AT(fsy_probe, method_status);
  AT(fsy_probe, tmpfile_status);
  AT(fsy_probe, xattr_status);
  AT(fsy_probe, acl_status);
  AT(fsy_probe, hardlink_status);
  AT(fsy_probe, symlink_status);
  AT(fsy_probe, mknod_status);
  AT(fsy_probe, sparse_status);
  AT(fsy_probe, case_insensitive);
  AT(fsy_probe, time_granularity_ns);
  AT(fsy_probe, target_fs_type);
  AT(fsy_probe, source_fs_type);
  AT(fsy_probe, target_dev);
  AT(fsy_probe, source_dev);
  AT(fsy_probe, earliest_sec);
  AT(fsy_probe, latest_sec);
  AT(fsy_probe, reserved);
  hash = fold(hash, FSY_F64_COLUMNS);
  hash = fold(hash, FSY_U32_COLUMNS);
  hash = fold(hash, FSY_OP_COUNT);
  hash = fold(hash, FSY_METHOD_COUNT);
  return hash;
}
