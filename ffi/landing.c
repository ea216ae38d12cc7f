/* The target's half of a regular file: opened here, written to by whoever has the data (the copy ladder, a buffer, a
 * stream from another process), finished here.
 *
 *   temp       an invisible file in the directory for temporaries
 *   in place   the existing file, which keeps its inode; backed up first when asked
 *   close      size, verify, metadata, fsync, publish
 *   drop       nothing becomes visible
 *
 * Verifying compares with the source, or, when the content came from another process, with the digest it sent. */
#include "internal.h"

void fsy_inherit_old(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_state *now) {
  const uint32_t all = FSY_OPT_PERMS | FSY_OPT_OWNER | FSY_OPT_GROUP;
  struct stat st;
  if (!exists || (j->opt.flags & all) == all) return;
  if (fstatat(j->target_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return;
  if ((st.st_mode & S_IFMT) != (entry->mode & S_IFMT)) return;
  now->replaces = true;
  now->old_mode = st.st_mode;
  now->old_uid = st.st_uid;
  now->old_gid = st.st_gid;
}

/* ---- opening ------------------------------------------------------------------------------------------------------ */

int fsy_landing_temp(fsy_job *j, const fsy_entry *want, fsy_landing *to, fsy_result *r) {
  memset(to, 0, sizeof(*to));
  /* never more at creation than at the end */
  int status = fsy_temp_open(j, fsy_new_mode(j, want) & 0777, &to->temp, &to->now);
  to->fd = to->temp.fd;
  return status ? fsy_fail(r, status, FSY_STAGE_CREATE) : 0;
}

/* Opens the existing regular file for writing. 0, 1 when there is none to write into, -errno. */
static int open_in_place(fsy_job *j, const char *name, fsy_landing *to, struct stat *st) {
  int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  if (fstatat(j->target_dir, name, st, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 1 : -errno;
  if (!S_ISREG(st->st_mode)) return 1;
  to->mode_before = st->st_mode;
  to->fd = FSY_TRY(open_in_place, openat(j->target_dir, name, flags));
  if (to->fd < 0 && errno == EACCES && st->st_uid == j->euid && (st->st_mode & 0600) != 0600) {
    int path = openat(j->target_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat same;
    char proc[FSY_PROC_PATH];
    if (path < 0) return -errno;
    fsy_proc_path(proc, path);
    if (fstat(path, &same) == 0 && S_ISREG(same.st_mode) && (to->mode_before = same.st_mode, true) &&
        chmod(proc, (same.st_mode & 07777) | 0600) == 0) {
      to->made_writable = true;
      to->fd = open(proc, flags & ~O_NOFOLLOW); /* the file that was changed, whatever has its name by now */
      if (to->fd < 0) (void)chmod(proc, same.st_mode & 07777);
    }
    close(path);
  }
  if (to->fd < 0) return errno == ENOENT ? 1 : -errno;
  if (fstat(to->fd, st) < 0 || !S_ISREG(st->st_mode)) {
    close(to->fd);
    return -ESTALE;
  }
  if (!to->made_writable) to->mode_before = st->st_mode;
  return 0;
}

int fsy_landing_in_place(fsy_job *j, int source, const char *name, fsy_landing *to, fsy_result *r) {
  memset(to, 0, sizeof(*to));
  to->fd = to->temp.fd = -1;
  to->in_place = true;
  struct stat st, ours;
  int status = open_in_place(j, name, to, &st);
  if (status) return status > 0 ? 1 : fsy_fail(r, status, FSY_STAGE_CREATE);
  to->basis = st.st_size;
  if (source >= 0 && fstat(source, &ours) == 0 && ours.st_dev == st.st_dev && ours.st_ino == st.st_ino)
    status = fsy_fail(r, -EINVAL, FSY_STAGE_CREATE); /* source and target are one file */
  if (!status && j->backup_dir >= 0) status = fsy_backup(j, name, true, r);
  if (status) fsy_landing_drop(to);
  else r->flags |= FSY_ITEM_REPLACED;
  return status;
}

int fsy_landing_open(fsy_job *j, const fsy_entry *want, const char *name, bool exists, fsy_landing *to, fsy_result *r) {
  if ((j->opt.flags & FSY_OPT_INPLACE) && exists) {
    int status = fsy_landing_in_place(j, -1, name, to, r);
    if (status <= 0) return status;
  }
  return fsy_landing_temp(j, want, to, r);
}

void fsy_landing_drop(fsy_landing *to) {
  if (to->in_place) {
    if (to->fd >= 0 && to->made_writable) (void)fchmod(to->fd, to->mode_before & 07777);
    if (to->fd >= 0) close(to->fd);
  } else {
    fsy_temp_drop(&to->temp);
  }
  to->fd = -1;
}

int fsy_landing_whole(fsy_job *j, fsy_landing *to, const uint8_t *data, int64_t size, uint32_t method,
                      fsy_writing by, fsy_result *r) {
  if (size == 0) return 0;
  int status = by ? by(to->fd, data, size) : fsy_pwrite_full(to->fd, data, size, 0);
  if (status) {
    fsy_landing_drop(to);
    return fsy_fail(r, status, FSY_STAGE_WRITE);
  }
  r->method = method;
  r->bytes = (double)size;
  __atomic_fetch_add(&j->task->ring->control->bytes_done, (uint64_t)size, __ATOMIC_RELAXED);
  return 0;
}

/* ---- finishing ------------------------------------------------------------------------------------------------------ */

int fsy_verify_digest(fsy_task *t, int fd, int64_t offset, int64_t length, const uint8_t digest[16], bool readback) {
  if (readback) {
    if (FSY_TRY(sync_data, fdatasync(fd)) < 0) return -errno;
    (void)posix_fadvise(fd, offset, length, POSIX_FADV_DONTNEED);
  }
  uint8_t ours[16];
  int status = fsy_hash_range(t, fd, offset, length, ours);
  if (status) return status;
  return FSY_FAULT(verify) || memcmp(ours, digest, sizeof(ours)) != 0 ? -EBADMSG : 0;
}

static int verify(fsy_job *j, const fsy_entry *want, int source, int fd, fsy_result *r) {
  bool readback = j->opt.flags & FSY_OPT_READBACK;
  int status;
  if (!(j->opt.flags & (FSY_OPT_VERIFY | FSY_OPT_READBACK))) return 0;
  if (!j->received) status = fsy_verify(j->task, source, fd, want->size, readback);
  else if (!j->received->hashed) status = -EBADMSG; /* asked for, and nothing to compare with */
  else status = fsy_verify_digest(j->task, fd, 0, want->size, j->received->digest, readback);
  return status ? fsy_fail(r, status, FSY_STAGE_VERIFY) : 0;
}

static int close_in_place(fsy_job *j, const fsy_entry *want, fsy_attrs_from attrs, fsy_landing *to, fsy_result *r) {
  struct stat st;
  fsy_state now;
  memset(&now, 0, sizeof(now));
  if (fstat(to->fd, &st) < 0) return fsy_fail(r, -errno, FSY_STAGE_META);
  /* writing cleared setid bits */
  now.mode = to->made_writable ? to->mode_before : st.st_mode;
  now.mode_known = !to->made_writable;
  now.uid = st.st_uid;
  now.gid = st.st_gid;
  now.attrs_possible = true;
  now.in_place = true;
  to->made_writable = false; /* the mode is meta_apply's from here on */
  return fsy_meta_apply(j, (fsy_subject){FSY_BY_FD, to->fd, ""}, want, &now, attrs, r);
}

int fsy_landing_close(fsy_job *j, const fsy_entry *want, int source, fsy_landing *to, const char *name, bool exists,
                      fsy_result *r) {
  fsy_attrs_from attrs = j->received ? j->received->attrs : fsy_attrs_of(FSY_BY_FD, source);
  int status = 0;
  if (to->in_place && FSY_TRY(truncate, ftruncate(to->fd, want->size)) < 0) status = fsy_fail(r, -errno, FSY_STAGE_WRITE);
  if (!status) status = verify(j, want, source, to->fd, r);
  if (!status && to->in_place) status = close_in_place(j, want, attrs, to, r);
  else if (!status) {
    fsy_inherit_old(j, want, name, exists, &to->now);
    status = fsy_meta_apply(j, (fsy_subject){FSY_BY_FD, to->fd, ""}, want, &to->now, attrs, r);
  }
  if (!status && (j->opt.flags & FSY_OPT_FSYNC)) {
    if (FSY_TRY(fsync, fsync(to->fd)) < 0) status = fsy_fail(r, -errno, FSY_STAGE_SYNC);
  }
  if (status || to->in_place) fsy_landing_drop(to);
  else status = fsy_publish_temp(j, &to->temp, want, name, exists, r);
  if (!status) __atomic_fetch_add(&j->task->ring->control->files_done, 1, __ATOMIC_RELAXED);
  return status;
}
