/* What a pair of directories can do: every method is tried on two anonymous (or hidden) files, nothing is guessed from
 * filesystem names. All that is made is removed again. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#define SAMPLE_BYTES (64u << 10)

static void temp_name(fsy_job *j, char name[48], bool upper) {
  fsy_temp_name(j, name);
  for (char *p = name; upper && *p; p++)
    if (*p >= 'a' && *p <= 'z') *p = (char)(*p - 'a' + 'A');
}

/* An unlinked file in `dir`. */
static int sample(fsy_job *j, int dir, bool fill, int *tmpfile_status) {
  int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (tmpfile_status) *tmpfile_status = fd < 0 ? -errno : 0;
  if (fd < 0) {
    char name[48];
    temp_name(j, name, false);
    fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return -errno;
    (void)unlinkat(dir, name, 0);
  }
  if (!fill) return fd;
  fsy_buffer *io = &j->task->worker->io;
  int status = fsy_reserve(io, SAMPLE_BYTES) ? 0 : -ENOMEM;
  if (!status) {
    memset(io->at, 'f', SAMPLE_BYTES);
    status = fsy_pwrite_full(fd, io->at, SAMPLE_BYTES, 0);
  }
  if (status) {
    close(fd);
    return status;
  }
  return fd;
}

/* A file on the source's filesystem to copy from. The source is never written to: on the same filesystem a sample of
 * the target's serves, else any regular file that stands in the source directory. */
static int source_file(fsy_job *j, int dir, bool same) {
  if (same) return sample(j, j->target_dir, true, NULL);
  if (!fsy_reserve(&j->task->worker->dents, 65536)) return -ENOMEM;
  int list = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (list < 0) return -errno;
  long got = fsy_sys_getdents(list, j->task->worker->dents.at, 65536);
  close(list);
  for (long at = 0; at < got;) {
    const struct fsy_dirent *d = (const struct fsy_dirent *)(const void *)(j->task->worker->dents.at + at);
    at += d->d_reclen;
    if (d->d_type != 8 /* DT_REG */) continue;
    int fd = openat(dir, d->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 4096) return fd;
    if (fd >= 0) close(fd);
  }
  return -ENODATA;
}

static void probe_methods(fsy_job *j, fsy_probe *p) {
  int from = source_file(j, j->source_dir, p->same_filesystem);
  if (from < 0) {
    for (int m = 1; m <= FSY_METHOD_DELTA; m++) p->method_status[m] = 1;
    return;
  }
  struct stat st;
  int64_t length = fstat(from, &st) == 0 && st.st_size < SAMPLE_BYTES ? st.st_size : SAMPLE_BYTES;
  for (uint32_t m = FSY_METHOD_CLONE; m <= FSY_METHOD_DELTA; m++) {
    int to = sample(j, j->target_dir, m == FSY_METHOD_DELTA, NULL);
    if (to < 0) {
      p->method_status[m] = to;
      continue;
    }
    fsy_flow flow;
    memset(&flow, 0, sizeof(flow));
    flow.job = j;
    flow.source = from;
    flow.target = to;
    flow.position = -1;
    int64_t moved;
    switch (m) {
      case FSY_METHOD_CLONE:
        moved = fsy_method_clone(from, to);
        if (moved == -EAGAIN && syncfs(from) == 0) moved = fsy_method_clone(from, to); /* ZFS: what is on disk */
        if (moved == 0) moved = length;
        break;
      case FSY_METHOD_COPY_FILE_RANGE: moved = fsy_method_copy_file_range(&flow, 0, length); break;
      case FSY_METHOD_SENDFILE: moved = fsy_method_sendfile(&flow, 0, length); break;
      case FSY_METHOD_MMAP: moved = fsy_method_mmap(&flow, 0, length); break;
      case FSY_METHOD_READ_WRITE: moved = fsy_method_read_write(&flow, 0, length); break;
      default: moved = fsy_method_delta(&flow, 0, length);
    }
    p->method_status[m] = moved > 0 ? 0 : moved < 0 ? (int32_t)moved : -EIO;
    close(to);
  }
  close(from);
}

static int probe_linking(fsy_job *j, int fd) {
  char name[48];
  temp_name(j, name, false);
  int status = fsy_link_fd(j->task->ring, fd, j->target_dir, name);
  if (!status) (void)unlinkat(j->target_dir, name, 0);
  return status;
}

static void probe_names(fsy_job *j, fsy_probe *p) {
  char name[48], other[48];
  temp_name(j, name, false);
  int fd = openat(j->target_dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    p->hardlink_status = -errno;
  } else {
    close(fd);
    memcpy(other, name, sizeof(other));
    for (char *c = other + 1; *c; c++)
      if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    struct stat st;
    p->case_insensitive = fstatat(j->target_dir, other, &st, AT_SYMLINK_NOFOLLOW) == 0;
    temp_name(j, other, false);
    p->hardlink_status = linkat(j->target_dir, name, j->target_dir, other, 0) < 0 ? -errno : 0;
    if (!p->hardlink_status) (void)unlinkat(j->target_dir, other, 0);
    (void)unlinkat(j->target_dir, name, 0);
  }
  temp_name(j, name, false);
  p->symlink_status = symlinkat("target", j->target_dir, name) < 0 ? -errno : 0;
  if (!p->symlink_status) (void)unlinkat(j->target_dir, name, 0);
  temp_name(j, name, false);
  p->mknod_status = mknodat(j->target_dir, name, S_IFIFO | 0600, 0) < 0 ? -errno : 0;
  if (!p->mknod_status) (void)unlinkat(j->target_dir, name, 0);
}

/* Both times are set: FUSE servers may ignore one alone. The finest step that a timestamp keeps: 1 ns, 100 ns (NTFS, SMB), 1 us, 1 s, 2 s (FAT). */
static uint32_t granularity(int fd) {
  struct timespec times[2] = {{0, UTIME_NOW}, {1000000001, 123456789}};
  struct stat st;
  if (futimens(fd, times) < 0 || fstat(fd, &st) < 0) return 0;
  if (st.st_mtim.tv_sec != 1000000001) return 2000000000u;
  uint32_t nsec = (uint32_t)st.st_mtim.tv_nsec;
  if (nsec == 123456789) return 1;
  if (nsec == 123456700 || nsec == 123456800) return 100;
  if (nsec == 123456000) return 1000;
  if (nsec == 123000000) return 1000000;
  if (nsec == 120000000) return 10000000;
  return 1000000000u;
}

/* An mtime far outside is kept as the last one that can be. */
static double limit_of(int fd, int64_t seconds) {
  struct timespec times[2] = {{0, UTIME_NOW}, {seconds, 0}};
  struct stat st;
  if (futimens(fd, times) < 0 || fstat(fd, &st) < 0) return 0;
  return (double)st.st_mtim.tv_sec;
}

static void probe_times(int fd, fsy_probe *p) {
  const int64_t far = (int64_t)1 << 50;
  p->time_granularity_ns = granularity(fd);
  p->earliest_sec = limit_of(fd, -far);
  p->latest_sec = limit_of(fd, far);
  if (p->earliest_sec < p->latest_sec) return;
  p->earliest_sec = p->latest_sec = 0; /* refused or wrapped around: not known */
}

/* A name that comes and goes moves the directory's mtime. It goes last: FUSE servers rename what is open instead. */
static int probe_only_times(fsy_job *j, fsy_probe *p) {
  int fd = openat(j->target_dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) {
    probe_times(fd, p);
    close(fd);
    return 0;
  }
  struct stat st;
  char name[48];
  int status = fsy_takes_back(j, j->target_dir);
  if (status) return status;
  if (fstat(j->target_dir, &st) < 0) return -errno;
  temp_name(j, name, false);
  fd = openat(j->target_dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  probe_times(fd, p);
  close(fd);
  (void)unlinkat(j->target_dir, name, 0);
  struct timespec times[2] = {{0, UTIME_NOW}, st.st_mtim};
  (void)futimens(j->target_dir, times);
  return 0;
}

static int probe_hole(int fd) {
  if (ftruncate(fd, 0) < 0 || ftruncate(fd, 1 << 20) < 0) return -errno;
  if (pwrite(fd, "x", 1, (1 << 20) - 1) != 1) return -EIO;
  off_t data = lseek(fd, 0, SEEK_DATA);
  return data < 0 ? -errno : data > 0 ? 0 : -EOPNOTSUPP;
}

static int probe_acl(int fd) {
  /* version 2; user::rw-, user 0:r--, group::r--, mask::r--, other::--- */
  static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0, 0, 0, 0,
                                4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255,
                                32, 0, 0, 0, 255, 255, 255, 255};
  return fsetxattr(fd, "system.posix_acl_access", acl, sizeof(acl), 0) < 0 ? -errno : 0;
}

int fsy_op_probe(fsy_task *t) {
  const fsy_sqe *q = &t->sqe;
  fsy_job job;
  int status = fsy_job_open(&job, t);
  if (status) return status;
  uint32_t block = fsy_heap_take(t->ring->heap, sizeof(fsy_probe));
  if (!block) return -ENOMEM;
  fsy_probe *p = fsy_at(t->ring, block, sizeof(fsy_probe));
  memset(p, 0, sizeof(*p));
  for (int m = 0; m < 8; m++) p->method_status[m] = 1;
  p->tmpfile_status = p->xattr_status = p->acl_status = p->hardlink_status = 1;
  p->symlink_status = p->mknod_status = p->sparse_status = 1;
  struct stat st;
  struct statfs fs;
  if (q->fd0 >= 0 && fstat(q->fd0, &st) == 0) p->source_dev = fsy_dev_of(st.st_dev);
  if (q->fd0 >= 0 && fstatfs(q->fd0, &fs) == 0) p->source_fs_type = (uint32_t)fs.f_type;
  if (q->fd1 >= 0) {
    if (fstat(q->fd1, &st) == 0) p->target_dev = fsy_dev_of(st.st_dev);
    if (fstatfs(q->fd1, &fs) == 0) p->target_fs_type = (uint32_t)fs.f_type;
    p->same_filesystem = q->fd0 >= 0 && p->source_dev == p->target_dev;
    if (q->flags & FSY_PROBE_TIMES) {
      t->cqe.block = block;
      return probe_only_times(&job, p);
    }
    int fd = sample(&job, q->fd1, true, &p->tmpfile_status);
    if (fd < 0) {
      p->tmpfile_status = p->tmpfile_status < 0 ? p->tmpfile_status : fd;
      status = fd;
    } else {
      if (!p->tmpfile_status) p->tmpfile_status = probe_linking(&job, fd);
      p->xattr_status = fsetxattr(fd, "user.fastsync.probe", "1", 1, 0) < 0 ? -errno : 0;
      p->acl_status = probe_acl(fd);
      probe_times(fd, p);
      p->sparse_status = probe_hole(fd);
      close(fd);
      probe_names(&job, p);
      if (q->fd0 >= 0) probe_methods(&job, p);
    }
  }
  t->cqe.block = block;
  return status;
}
