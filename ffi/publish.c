/* Temporary files, and the one step that makes them visible.
 *
 *   new name:      linkat(temp fd -> name); EEXIST means somebody was faster: go on as for an existing name, unless the
 *                  directory lists it under another spelling (it ignores case or Unicode forms): that one stays
 *   existing name: keep a backup when asked; lock the fd, linkat to .fastsync.<16 hex>.tmp, rename over the name
 *   no O_TMPFILE:  the temp has its name from the start (O_CREAT | O_EXCL, 0600, locked); on ZFS too, where a link to an
 *                  anonymous file waits for the next transaction group: from a tenth of a second to several, for each
 *   EXDEV (the temp directory is on another filesystem), or a filesystem with O_TMPFILE and without hard links:
 *                  copy into a temp of the target's directory, publish that
 *
 * The lock (flock) tells SWEEP that the run behind a temporary name is alive; it goes with the descriptor. Where the
 * temporary cannot be locked, since it cannot be opened, its directory is: shared by the runs that make such names.
 */
#include "internal.h"

#include <stdio.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

#define TRIES 100
#define ZFS_MAGIC 0x2fc12fc1u /* of OpenZFS; linux/magic.h has none */

static uint64_t mix(uint64_t x) { /* splitmix64: a bijection, so that different counters give different names */
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

void fsy_temp_name(fsy_job *j, char name[48]) {
  uint64_t run = j->opt.run_id_lo | (uint64_t)j->opt.run_id_hi << 32;
  uint64_t count = atomic_fetch_add_explicit(&j->task->ring->temp_counter, 1, memory_order_relaxed);
  (void)snprintf(name, 48, ".fastsync.%016llx.tmp", (unsigned long long)mix(mix(run) + count));
}

/* 0 when `fd` is ours and still has a name; a sweeper may have been faster between creation and lock. */
static int lock_named(int fd) {
  if (FSY_TRY(lock, flock(fd, LOCK_EX)) < 0 && errno != ENOLCK && errno != EOPNOTSUPP && errno != ENOTSUP) return -errno;
  struct stat st;
  if (fstat(fd, &st) < 0) return -errno;
  return st.st_nlink == 0 ? -EAGAIN : 0;
}

/* What a file created with `asked` looks like here: asked of the kernel once per mode and request, since umask,
 * default ACLs and mount options all have a say. */
static int learn(fsy_job *j, int fd, uint32_t asked, fsy_state *now) {
  struct stat st;
  if (fstat(fd, &st) < 0) return -errno;
  now->mode = st.st_mode;
  now->uid = j->new_uid = st.st_uid;
  now->gid = j->new_gid = st.st_gid;
  if (j->inherits < 0) {
    uint32_t which = fsy_attr_mask(j->opt.flags);
    j->inherits = which && fsy_attrs_any(j->task, fd, which);
  }
  for (size_t i = 0; i < sizeof(j->learnt) / sizeof(j->learnt[0]); i++) {
    if (j->learnt[i].used) continue;
    j->learnt[i].used = true;
    j->learnt[i].asked = asked;
    j->learnt[i].got = st.st_mode;
    break;
  }
  return 0;
}

static bool recall(const fsy_job *j, uint32_t asked, fsy_state *now) {
  for (size_t i = 0; i < sizeof(j->learnt) / sizeof(j->learnt[0]) && j->learnt[i].used; i++) {
    if (j->learnt[i].asked != asked) continue;
    now->mode = j->learnt[i].got;
    now->uid = j->new_uid;
    now->gid = j->new_gid;
    return true;
  }
  return false;
}

static int open_named(fsy_job *j, fsy_temp *temp, fsy_state *now) {
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  int kept = fsy_takes_back(j, j->temp_dir);
  if (kept) return kept;
  for (int i = 0; i < TRIES; i++) {
    fsy_temp_name(j, temp->name);
    temp->fd = FSY_TRY(create, openat(j->temp_dir, temp->name, flags, 0600));
    if (temp->fd < 0 && errno == EEXIST) continue;
    if (temp->fd < 0) return -errno;
    temp->named = true;
    temp->dir = j->temp_dir;
    int status = lock_named(temp->fd);
    struct stat st;
    if (!status && fstat(temp->fd, &st) < 0) status = -errno;
    if (!status) {
      now->mode = st.st_mode;
      now->uid = st.st_uid;
      now->gid = st.st_gid;
      if (j->inherits < 0) {
        uint32_t which = fsy_attr_mask(j->opt.flags);
        j->inherits = which && fsy_attrs_any(j->task, temp->fd, which);
      }
      return 0;
    }
    fsy_temp_drop(temp);
    if (status != -EAGAIN) return status;
  }
  return -EEXIST;
}

int fsy_temp_open(fsy_job *j, uint32_t mode, fsy_temp *temp, fsy_state *now) {
  memset(now, 0, sizeof(*now));
  temp->fd = -1;
  temp->named = false;
  now->mode_known = true;
  uint32_t known = atomic_load_explicit(&j->target_pair->refused, memory_order_relaxed);
  if (!(known & FSY_PAIR_NO_TMPFILE) && fsy_temp_type(j) != ZFS_MAGIC) {
    /* no name yet, so no stranger can open it: its permission bits may be there from the start */
    uint32_t asked = mode & 0777;
    temp->fd = FSY_TRY(create, openat(j->temp_dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, asked));
    if (temp->fd >= 0) {
      int status = recall(j, asked, now) ? 0 : learn(j, temp->fd, asked, now);
      now->attrs_possible = j->inherits > 0;
      if (status) fsy_temp_drop(temp);
      return status;
    }
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT && errno != ENOSYS) return -errno;
    if (errno != ENOENT) atomic_fetch_or(&j->target_pair->refused, FSY_PAIR_NO_TMPFILE);
  }
  int status = open_named(j, temp, now);
  now->attrs_possible = j->inherits > 0;
  return status;
}

void fsy_temp_drop(fsy_temp *temp) {
  if (temp->named) (void)FSY_TRY(unlink_temp, unlinkat(temp->dir, temp->name, 0));
  if (temp->fd >= 0) close(temp->fd);
  temp->fd = -1;
  temp->named = false;
}

void fsy_hold_names(int dir) { (void)FSY_TRY(lock, flock(dir, LOCK_SH | LOCK_NB)); }

int fsy_takes_back(fsy_job *j, int dir) {
  if (dir != j->target_dir || j->append_only < 0) {
    struct fsy_statx st;
    bool known = fsy_sys_statx(dir, "", AT_EMPTY_PATH, &st) == 0;
    int8_t append_only = known && (st.stx_attributes & FSY_STATX_ATTR_APPEND);
    if (dir != j->target_dir) return append_only ? -EPERM : 0;
    j->append_only = append_only;
  }
  return j->append_only ? -EPERM : 0;
}

int fsy_lists(fsy_task *t, int dir, const char *name) {
  enum { BYTES = 64 << 10 };
  fsy_worker *w = t->worker;
  if (!fsy_reserve(&w->dents, BYTES)) return -ENOMEM;
  int list = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (list < 0) return -errno;
  int found = 0;
  long got;
  while (!found && (got = fsy_sys_getdents(list, w->dents.at, w->dents.room)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) found = -errno;
    for (long at = 0; at < got && !found;) {
      const struct fsy_dirent *d = (const struct fsy_dirent *)(const void *)(w->dents.at + at);
      if (d->d_reclen < sizeof(*d) || d->d_reclen > got - at) found = -EIO;
      else found = strncmp(d->d_name, name, d->d_reclen - offsetof(struct fsy_dirent, d_name)) == 0;
      at += d->d_reclen;
    }
  }
  close(list);
  return found;
}

bool fsy_taken(fsy_job *j, const char *name) {
  struct stat st;
  if (j->folds) return true;
  if (fsy_lists(j->task, j->target_dir, name) != 0) return false;
  j->folds = fstatat(j->target_dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0; /* or it is gone again */
  return j->folds;
}

int fsy_link_fd(fsy_ring *ring, int fd, int dir, const char *name) {
  if (!atomic_load_explicit(&ring->link_by_proc, memory_order_relaxed)) {
    if (linkat(fd, "", dir, name, AT_EMPTY_PATH) == 0) return 0;
    if (errno != ENOENT && errno != EPERM && errno != EINVAL) return -errno;
  }
  /* without CAP_DAC_READ_SEARCH (kernel before 6.10) AT_EMPTY_PATH says ENOENT */
  char path[FSY_PROC_PATH];
  fsy_proc_path(path, fd);
  if (linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW) < 0) return -errno;
  atomic_store_explicit(&ring->link_by_proc, true, memory_order_relaxed);
  return 0;
}

bool fsy_no_links(int error) { return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK; }

int fsy_rename_new(int from_dir, const char *from, int to_dir, const char *to) {
  if (fsy_sys_renameat2(from_dir, from, to_dir, to, FSY_RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -errno;
  struct stat st;
  if (fstatat(from_dir, from, &st, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  if (!S_ISDIR(st.st_mode)) { /* a link fails when the name is taken, too */
    if (linkat(from_dir, from, to_dir, to, 0) == 0) return unlinkat(from_dir, from, 0) < 0 ? -errno : 0;
    if (!fsy_no_links(errno)) return -errno;
  }
  if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) return -EEXIST;
  return renameat(from_dir, from, to_dir, to) < 0 ? -errno : 0;
}

/* Renames over `name`, where anything but a non-empty directory may stand. */
static int rename_over(int from_dir, const char *from, int to_dir, const char *to) {
  if (FSY_TRY(rename, renameat(from_dir, from, to_dir, to)) == 0) return 0;
  if (errno != EISDIR && errno != EEXIST && errno != ENOTEMPTY) return -errno;
  if (FSY_TRY(rmdir, unlinkat(to_dir, to, AT_REMOVEDIR)) < 0) return errno == EEXIST ? -ENOTEMPTY : -errno;
  return FSY_TRY(rename, renameat(from_dir, from, to_dir, to)) < 0 ? -errno : 0;
}

/* ---- backups ---------------------------------------------------------------------------------------------------- */

/* A copy of `name` with all its metadata under `backup` in the backup directory, atomically. */
static int backup_by_copy(fsy_job *j, const char *name, const char *backup, const struct stat *st) {
  fsy_job whole;
  fsy_job_whole(&whole, j, j->target_dir, j->backup_dir);
  fsy_entry entry;
  memset(&entry, 0, sizeof(entry));
  fsy_entry_from_stat(&entry, st);
  entry.flags |= FSY_ROW_ATTR_FAILED; /* unknown: read them */
  entry.name = name;
  entry.name_len = (uint32_t)strlen(name);
  char link[FSY_LINK_MAX + 1];
  entry.link = "";
  if (S_ISLNK(st->st_mode)) {
    ssize_t length = readlinkat(j->target_dir, name, link, FSY_LINK_MAX);
    if (length < 0) return -errno;
    link[length] = 0;
    entry.link = link;
    entry.link_len = (uint32_t)length;
  }
  fsy_result ignored;
  memset(&ignored, 0, sizeof(ignored));
  struct stat older;
  bool exists = fstatat(j->backup_dir, backup, &older, AT_SYMLINK_NOFOLLOW) == 0;
  return fsy_copy_entry(&whole, &entry, backup, exists, &ignored);
}

int fsy_backup(fsy_job *j, const char *name, bool by_copy, fsy_result *r) {
  char backup[2 * FSY_NAME_MAX + 2];
  size_t length = strlen(name), more = strlen(j->suffix);
  if (length + more > FSY_NAME_MAX) return fsy_fail(r, -ENAMETOOLONG, FSY_STAGE_BACKUP);
  memcpy(backup, name, length);
  memcpy(backup + length, j->suffix, more + 1);
  struct stat st;
  if (fstatat(j->target_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? 0 : fsy_fail(r, -errno, FSY_STAGE_BACKUP);
  if (S_ISDIR(st.st_mode)) return 0; /* only an empty one can be replaced: nothing to keep */
  int status = FSY_FAULT(backup);
  if (status) return fsy_fail(r, -status, FSY_STAGE_BACKUP);
  bool copy = by_copy;
  if (!copy && FSY_TRY(backup_link, linkat(j->target_dir, name, j->backup_dir, backup, 0)) < 0) {
    if (errno == EEXIST) {
      char temp[48];
      fsy_temp_name(j, temp);
      if (FSY_TRY(backup_link, linkat(j->target_dir, name, j->backup_dir, temp, 0)) < 0) {
        copy = errno == EXDEV || fsy_no_links(errno);
        if (!copy) status = -errno;
      } else {
        status = rename_over(j->backup_dir, temp, j->backup_dir, backup);
        (void)FSY_TRY(unlink_temp, unlinkat(j->backup_dir, temp, 0)); /* renaming onto the same inode leaves both names */
      }
    } else {
      copy = errno == EXDEV || fsy_no_links(errno);
      if (!copy) status = -errno;
    }
  }
  if (copy) status = backup_by_copy(j, name, backup, &st);
  if (status) return fsy_fail(r, status, FSY_STAGE_BACKUP);
  r->flags |= FSY_ITEM_BACKED_UP;
  return 0;
}

/* ---- publishing -------------------------------------------------------------------------------------------------- */

int fsy_publish_name(fsy_job *j, int temp_dir, const char *temp, const char *name, bool exists, fsy_result *r) {
  int status = -FSY_FAULT(publish);
  if (!status && !exists) {
    status = FSY_TRY_STATUS(rename_new, fsy_rename_new(temp_dir, temp, j->target_dir, name));
    if (status != -EEXIST) exists = false;
    else if (!fsy_taken(j, name)) {
      exists = true;
      status = 0;
    }
    if (!exists && !status) return 0;
  }
  if (!status && exists && j->backup_dir >= 0 && !(r->flags & FSY_ITEM_BACKED_UP)) {
    status = fsy_backup(j, name, false, r);
    if (status) {
      (void)FSY_TRY(unlink_temp, unlinkat(temp_dir, temp, 0));
      return status;
    }
  }
  if (!status) status = rename_over(temp_dir, temp, j->target_dir, name);
  if (!status) {
    r->flags |= FSY_ITEM_REPLACED;
    return 0;
  }
  if (status != -EXDEV) (void)FSY_TRY(unlink_temp, unlinkat(temp_dir, temp, 0));
  return fsy_fail(r, status, FSY_STAGE_PUBLISH);
}

/* The temporary file lies on another filesystem, which may keep fewer attributes than the target's: its data goes on
 * into an anonymous file of the target directory, its metadata comes from the source once more. */
static int publish_across(fsy_job *j, fsy_temp *temp, const fsy_entry *want, const char *name, bool exists,
                          fsy_result *r) {
  fsy_job there = *j;
  there.temp_dir = j->target_dir;
  there.pair = NULL;
  there.inherits = -1;
  memset(there.learnt, 0, sizeof(there.learnt));
  struct stat st;
  if (fstat(j->target_dir, &st) < 0) return fsy_fail(r, -errno, FSY_STAGE_PUBLISH);
  there.target_dev = fsy_dev_of(st.st_dev);
  there.target_pair = fsy_pair_of(j->task->ring, UINT32_MAX, there.target_dev);
  if (fstat(temp->fd, &st) < 0) return fsy_fail(r, -errno, FSY_STAGE_PUBLISH);
  fsy_temp second;
  fsy_state now;
  int status = fsy_temp_open(&there, fsy_new_mode(j, want) & 0777, &second, &now);
  if (status) return fsy_fail(r, status, FSY_STAGE_CREATE);
  fsy_flow flow;
  fsy_flow_open(&flow, &there, temp->fd, second.fd, fsy_dev_of(st.st_dev), st.st_size);
  bool sparse = (j->opt.flags & FSY_OPT_SPARSE) && (want->flags & FSY_ROW_SPARSE);
  if (!sparse) status = fsy_flow_range(&flow, 0, st.st_size);
  else status = FSY_TRY(truncate, ftruncate(second.fd, st.st_size)) < 0 ? -errno : fsy_flow_sparse(&flow, 0, st.st_size, false);
  if (!status && flow.ended) status = -EIO; /* our own temp cannot shrink */
  if (status) {
    fsy_temp_drop(&second);
    return fsy_fail(r, status, FSY_STAGE_WRITE);
  }
  if (j->opt.flags & (FSY_OPT_VERIFY | FSY_OPT_READBACK)) { /* the first one was held to the source */
    status = fsy_verify(j->task, temp->fd, second.fd, st.st_size, j->opt.flags & FSY_OPT_READBACK);
    if (status) {
      fsy_temp_drop(&second);
      return fsy_fail(r, status, FSY_STAGE_VERIFY);
    }
  }
  r->warnings = 0; /* of the temporary file, which goes */
  r->warning_errno = 0;
  fsy_inherit_old(&there, want, name, exists, &now);
  fsy_entry plain;
  int opened;
  fsy_attrs_from attrs = fsy_attrs_open(j, want, &plain, &opened);
  status = fsy_meta_apply(&there, (fsy_subject){FSY_BY_FD, second.fd, ""}, &plain, &now, attrs, r);
  if (opened >= 0) close(opened);
  if (!status && (j->opt.flags & FSY_OPT_FSYNC) && FSY_TRY(fsync, fsync(second.fd)) < 0)
    status = fsy_fail(r, -errno, FSY_STAGE_SYNC);
  if (!status) return fsy_publish_temp(&there, &second, want, name, exists, r);
  fsy_temp_drop(&second);
  return status;
}

int fsy_publish_temp(fsy_job *j, fsy_temp *temp, const fsy_entry *entry, const char *name, bool exists,
                     fsy_result *r) {
  int status = -FSY_FAULT(publish);
  if (status) {
    fsy_temp_drop(temp);
    return fsy_fail(r, status, FSY_STAGE_PUBLISH);
  }
  if (!temp->named && !exists) {
    status = FSY_TRY_STATUS(link_new, fsy_link_fd(j->task->ring, temp->fd, j->target_dir, name));
    if (status == -EEXIST && !fsy_taken(j, name)) exists = true;
    else if (status == -EPERM || status == -EOPNOTSUPP || status == -ENOSYS) {
      /* anonymous files, but no hard links (some FUSE filesystems): once more into a named temp, from now on always */
      atomic_fetch_or(&j->target_pair->refused, FSY_PAIR_NO_TMPFILE);
      status = -EXDEV;
    } else if (status != -EXDEV) {
      fsy_temp_drop(temp);
      return status ? fsy_fail(r, status, FSY_STAGE_PUBLISH) : 0;
    }
  }
  if (status != -EXDEV && !temp->named && (status = fsy_takes_back(j, j->target_dir))) {
    fsy_temp_drop(temp);
    return fsy_fail(r, status, FSY_STAGE_PUBLISH);
  }
  if (status != -EXDEV && !temp->named) {
    /* the lock first, then the name: a sweeper never sees it unlocked */
    (void)FSY_TRY(lock, flock(temp->fd, LOCK_EX));
    int into = j->target_dir;
    for (int i = 0; i < TRIES; i++) {
      fsy_temp_name(j, temp->name);
      status = FSY_TRY_STATUS(link_temp, fsy_link_fd(j->task->ring, temp->fd, into, temp->name));
      if (status != -EEXIST) break;
    }
    if (status == -EPERM || status == -EOPNOTSUPP || status == -ENOSYS) {
      atomic_fetch_or(&j->target_pair->refused, FSY_PAIR_NO_TMPFILE);
      status = -EXDEV;
    }
    if (status && status != -EXDEV) {
      fsy_temp_drop(temp);
      return fsy_fail(r, status, FSY_STAGE_PUBLISH);
    }
    if (!status) {
      temp->named = true;
      temp->dir = into;
    }
  }
  if (status != -EXDEV) {
    status = fsy_publish_name(j, temp->dir, temp->name, name, exists, r);
    if (status != -EXDEV) {
      temp->named = false; /* renamed or removed */
      close(temp->fd);
      temp->fd = -1;
      return status;
    }
    r->status = 0;
    r->stage = FSY_STAGE_NONE;
  }
  (void)entry;
  status = publish_across(j, temp, entry, name, exists, r);
  fsy_temp_drop(temp);
  return status;
}
