/* System calls by number, so that the library builds against older headers than the kernel it meets.
 * Each wrapper returns like the call itself: -1 and errno. Numbers are the same on x86-64 and arm64 unless noted. */
#ifndef FSY_SYS_LINUX_H
#define FSY_SYS_LINUX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef __NR_statx
#if defined(__x86_64__)
#define __NR_statx 332
#else
#define __NR_statx 291
#endif
#endif
#ifndef __NR_renameat2
#if defined(__x86_64__)
#define __NR_renameat2 316
#else
#define __NR_renameat2 276
#endif
#endif
#ifndef __NR_copy_file_range
#if defined(__x86_64__)
#define __NR_copy_file_range 326
#else
#define __NR_copy_file_range 285
#endif
#endif
#ifndef __NR_openat2
#define __NR_openat2 437
#endif
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __NR_getxattrat
#define __NR_getxattrat 464
#endif
#ifndef __NR_listxattrat
#define __NR_listxattrat 465
#endif

#ifndef O_TMPFILE
#define O_TMPFILE (020000000 | O_DIRECTORY)
#endif
#ifndef O_PATH
#define O_PATH 010000000
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef AT_NO_AUTOMOUNT
#define AT_NO_AUTOMOUNT 0x800
#endif
#define FSY_RENAME_NOREPLACE 1u
#define FSY_FICLONE 0x40049409ul /* _IOW(0x94, 9, int) */
#define FSY_RESOLVE_NO_MAGICLINKS 0x02u
#define FSY_RESOLVE_NO_SYMLINKS 0x04u
#define FSY_RESOLVE_BENEATH 0x08u
#define FSY_STATX_BASIC 0x7ffu
#define FSY_STATX_BTIME 0x800u
#define FSY_STATX_ATTR_IMMUTABLE 0x10u
#define FSY_STATX_ATTR_APPEND 0x20u
#define FSY_STATX_ATTR_MOUNT_ROOT 0x2000u

struct fsy_statx_time {
  int64_t tv_sec;
  uint32_t tv_nsec;
  int32_t reserved;
};
/* struct statx of linux/stat.h */
struct fsy_statx {
  uint32_t stx_mask, stx_blksize;
  uint64_t stx_attributes;
  uint32_t stx_nlink, stx_uid, stx_gid;
  uint16_t stx_mode, spare0;
  uint64_t stx_ino, stx_size, stx_blocks, stx_attributes_mask;
  struct fsy_statx_time stx_atime, stx_btime, stx_ctime, stx_mtime;
  uint32_t stx_rdev_major, stx_rdev_minor, stx_dev_major, stx_dev_minor;
  uint64_t spare[14];
};
_Static_assert(sizeof(struct fsy_statx) == 256, "statx layout");

struct fsy_open_how {
  uint64_t flags, mode, resolve;
};
struct fsy_xattr_args {
  uint64_t value;
  uint32_t size, flags;
};
struct fsy_dirent {
  uint64_t d_ino;
  int64_t d_off;
  uint16_t d_reclen;
  uint8_t d_type;
  char d_name[];
};

static inline int fsy_sys_statx(int dir, const char *name, int flags, struct fsy_statx *st) {
  return (int)syscall(__NR_statx, dir, name, flags, FSY_STATX_BASIC, st);
}
/* Whether the filesystem keeps the time of birth of what is open; true where it does not say. */
static inline int fsy_sys_has_birth(int fd) {
  struct fsy_statx st;
  if (syscall(__NR_statx, fd, "", AT_EMPTY_PATH, FSY_STATX_BTIME, &st) < 0) return 1;
  return (st.stx_mask & FSY_STATX_BTIME) != 0;
}
static inline long fsy_sys_getdents(int dir, void *to, size_t bytes) {
  return syscall(SYS_getdents64, dir, to, bytes);
}
static inline int fsy_sys_openat2(int dir, const char *path, struct fsy_open_how *how) {
  return (int)syscall(__NR_openat2, dir, path, how, sizeof(*how));
}
static inline int fsy_sys_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
  return (int)syscall(__NR_renameat2, from_dir, from, to_dir, to, flags);
}
static inline int fsy_sys_fchmodat2(int dir, const char *name, uint32_t mode, int flags) {
  return (int)syscall(__NR_fchmodat2, dir, name, mode, flags);
}
static inline long fsy_sys_copy_file_range(int from, int64_t *from_at, int to, int64_t *to_at, size_t bytes) {
  return syscall(__NR_copy_file_range, from, from_at, to, to_at, bytes, 0u);
}
static inline long fsy_sys_listxattrat(int dir, const char *name, int flags, char *list, size_t bytes) {
  return syscall(__NR_listxattrat, dir, name, flags, list, bytes);
}
static inline long fsy_sys_getxattrat(int dir, const char *name, int flags, const char *key, void *value,
                                      size_t bytes) {
  struct fsy_xattr_args args = {(uint64_t)(uintptr_t)value, (uint32_t)bytes, 0};
  return syscall(__NR_getxattrat, dir, name, flags, key, &args, sizeof(args));
}

#endif
