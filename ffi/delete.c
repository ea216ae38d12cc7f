/* Removing entries, moving them, and sweeping temporary files that dead runs left. */
#include "internal.h"

#include <stdio.h>
#include <sys/file.h>

#define SWEEP_AGE_SECONDS 3600 /* of symlinks, FIFOs and devices where directories cannot be locked (NFS) */

static int delete_entry(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_result *r) {
  (void)exists;
  const fsy_sqe *q = &j->task->sqe;
  bool directory = S_ISDIR(entry->mode);
  if (q->flags & FSY_DELETE_SAME) {
    struct stat st;
    if (fstatat(j->target_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return fsy_fail(r, -errno, FSY_STAGE_DELETE);
    bool same = (st.st_mode & S_IFMT) == (entry->mode & S_IFMT) && st.st_ino == entry->ino &&
                fsy_dev_of(st.st_dev) == entry->dev;
    /* a directory's size and mtime change with every entry deleted from it */
    if (same && !directory)
      same = st.st_size == entry->size && st.st_mtim.tv_sec == entry->mtime_sec &&
             (uint32_t)st.st_mtim.tv_nsec == entry->mtime_nsec;
    if (!same) return fsy_fail(r, -ESTALE, FSY_STAGE_DELETE);
  }
  if (j->backup_dir >= 0 && !directory) {
    char backup[2 * FSY_NAME_MAX + 2];
    size_t length = strlen(name), more = strlen(j->suffix);
    if (length + more > FSY_NAME_MAX) return fsy_fail(r, -ENAMETOOLONG, FSY_STAGE_BACKUP);
    memcpy(backup, name, length);
    memcpy(backup + length, j->suffix, more + 1);
    if (FSY_TRY(backup_rename, renameat(j->target_dir, name, j->backup_dir, backup)) == 0) {
      r->flags |= FSY_ITEM_BACKED_UP;
      struct stat st; /* rename onto another link of the same inode does nothing */
      if (fstatat(j->target_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return 0;
      if (st.st_ino != entry->ino) return 0;
    } else {
      int status = fsy_backup(j, name, true, r);
      if (status) return status;
    }
  }
  int gone = directory ? FSY_TRY(rmdir, unlinkat(j->target_dir, name, AT_REMOVEDIR))
                       : FSY_TRY(unlink, unlinkat(j->target_dir, name, 0));
  return gone < 0 ? fsy_fail(r, -errno, FSY_STAGE_DELETE) : 0;
}

int fsy_op_delete(fsy_task *t) {
  fsy_job job;
  t->sqe.fd1 = t->sqe.fd0; /* the subject plays the target's part */
  t->sqe.fd3 = FSY_NO_FD;
  t->sqe.path = 0;
  int status = fsy_job_open(&job, t);
  return status ? status : fsy_for_rows(&job, false, delete_entry);
}

static int rename_entry(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_result *r) {
  (void)exists;
  int status = FSY_TRY_STATUS(move, fsy_rename_new(j->source_dir, entry->name, j->target_dir, name));
  return status ? fsy_fail(r, status, FSY_STAGE_PUBLISH) : 0;
}

int fsy_op_rename(fsy_task *t) {
  fsy_job job;
  int status = fsy_job_open(&job, t);
  return status ? status : fsy_for_rows(&job, false, rename_entry);
}

static bool temp_name_ok(const char *name) {
  const char prefix[] = ".fastsync.";
  if (strncmp(name, prefix, sizeof(prefix) - 1) != 0) return false;
  const char *hex = name + sizeof(prefix) - 1;
  size_t digits = strspn(hex, "0123456789abcdef");
  return digits == 16 && (!strcmp(hex + 16, ".tmp") || !strcmp(hex + 16, ".part"));
}

/* Whether no living run makes such names here: see fsy_hold_names. */
static bool may_sweep_unlockable(int dir, const struct stat *st) {
  if (flock(dir, LOCK_EX | LOCK_NB) == 0) return true;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return errno != EWOULDBLOCK && now.tv_sec - st->st_ctim.tv_sec >= SWEEP_AGE_SECONDS;
}

/* A symlink, FIFO or device under a temporary name. 0 or -errno. */
static int sweep_unlockable(int dir, const char *name, const struct stat *st) {
  int status = -EWOULDBLOCK;
  if (may_sweep_unlockable(dir, st)) status = FSY_TRY(sweep, unlinkat(dir, name, 0)) < 0 ? -errno : 0;
  /* not LOCK_UN: this run may hold names here itself, and to ask for more has cost it what it had */
  (void)flock(dir, LOCK_SH | LOCK_NB);
  return status;
}

static int sweep_entry(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_result *r) {
  (void)entry;
  (void)exists;
  if (!temp_name_ok(name)) return fsy_fail(r, -EINVAL, FSY_STAGE_DELETE);
  struct stat st, held;
  if (fstatat(j->target_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return fsy_fail(r, -errno, FSY_STAGE_DELETE);
  if (S_ISDIR(st.st_mode)) return fsy_fail(r, -EISDIR, FSY_STAGE_DELETE);
  if (!S_ISREG(st.st_mode)) {
    int swept = sweep_unlockable(j->target_dir, name, &st);
    return swept ? fsy_fail(r, swept, FSY_STAGE_DELETE) : 0;
  }
  int fd = openat(j->target_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return fsy_fail(r, -errno, FSY_STAGE_DELETE);
  int status = 0;
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) status = -errno; /* EWOULDBLOCK: its run is alive */
  /* still the file that was locked: a living run may have renamed it and made another */
  else if (fstat(fd, &held) < 0 || fstatat(j->target_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) status = -errno;
  else if (held.st_ino != st.st_ino || held.st_dev != st.st_dev) status = -EWOULDBLOCK;
  else if (FSY_TRY(sweep, unlinkat(j->target_dir, name, 0)) < 0) status = -errno;
  close(fd);
  return status ? fsy_fail(r, status, FSY_STAGE_DELETE) : 0;
}

int fsy_op_sweep(fsy_task *t) {
  fsy_job job;
  t->sqe.fd1 = t->sqe.fd0;
  t->sqe.fd2 = t->sqe.fd3 = FSY_NO_FD;
  t->sqe.path = 0;
  int status = fsy_job_open(&job, t);
  return status ? status : fsy_for_rows(&job, false, sweep_entry);
}
