/* One entry of a copy request: a regular file with its data, a symlink, or a special file.
 *
 *   regular   open source; small: read all at once, else create first and let the ladder move the data
 *             fstat the source AFTER reading and compare with the row; differs: read once more between two fstats
 *             (RETRIED, and metadata from the fresh stat); still moving: -EBUSY, nothing published (CHANGED)
 *             write, verify, metadata, fsync, publish
 *   in place  the same into the existing file, which keeps its inode
 *   symlink   symlinkat under the name, or under a temp name and rename when something stands there
 *   special   mknodat under a temp name, metadata, rename. A FIFO or device is never opened. */
#include "internal.h"

#include <stdlib.h>
#include <sys/sysmacros.h>

#define LEASE_SECONDS 60

/* Below the source directory; a link is followed as far as the options let it. */
int fsy_open_from(fsy_job *j, const char *name, bool follow, int flags) {
  if (follow && j->opt.confine) return fsy_open_confined((int)(j->opt.confine - 1), j->source_dir, name, flags);
  int fd = openat(j->source_dir, name, flags | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
  return fd < 0 ? -errno : fd;
}

/* A file that another program holds a lease on (as a Samba server does for its clients) answers EAGAIN, because of
 * O_NONBLOCK, while the kernel takes the lease back: for at most /proc/sys/fs/lease-break-time, which is 45 s. */
static int open_leased(fsy_job *j, const char *name, bool follow, int flags) {
  double until = fsy_now() + LEASE_SECONDS;
  for (;;) {
    int fd = FSY_TRY_STATUS(open_source, fsy_open_from(j, name, follow, flags));
    if (fd != -EAGAIN || fsy_now() > until || fsy_cancelled(j->task->ring)) return fd;
  }
}

int fsy_open_source(fsy_job *j, const char *name, bool follow) {
  fsy_worker *w = j->task->worker;
  int flags = O_RDONLY | O_NONBLOCK;
  if ((j->opt.flags & FSY_OPT_NOATIME) && !w->noatime_refused) {
    int fd = open_leased(j, name, follow, flags | O_NOATIME);
    if (fd != -EPERM) return fd;
    fd = open_leased(j, name, follow, flags);
    if (fd >= 0) w->noatime_refused = true;
    return fd;
  }
  return open_leased(j, name, follow, flags);
}

int fsy_reading_check(fsy_job *j, fsy_reading *in, bool whole, fsy_result *r) {
  struct stat st;
  /* What is made when it is read (in proc, by some FUSE servers) says that it is empty, and is not. */
  if (whole && in->want.size == 0) {
    char byte;
    ssize_t got = FSY_TRY(read, pread(in->fd, &byte, 1, 0));
    if (got < 0) return fsy_fail(r, -errno, FSY_STAGE_READ);
    whole = got == 0;
  }
  if (FSY_TRY(stat_source, fstat(in->fd, &st)) < 0) return fsy_fail(r, -errno, FSY_STAGE_READ);
  int moved = FSY_FAULT(changed);
  if (whole && !moved && fsy_entry_same(&in->want, &st)) {
    if (in->retried) r->flags |= FSY_ITEM_RETRIED;
    return 0;
  }
  if (in->retried || !S_ISREG(st.st_mode)) {
    r->flags |= FSY_ITEM_CHANGED;
    return fsy_fail(r, -EBUSY, FSY_STAGE_READ);
  }
  in->retried = true;
  uint32_t uid = in->want.uid, gid = in->want.gid;
  fsy_entry_from_stat(&in->want, &st);
  if (j->opt.flags & FSY_OPT_ROW_OWNERS) {
    in->want.uid = uid;
    in->want.gid = gid;
  }
  if (fsy_attr_mask(j->opt.flags)) in->want.flags |= FSY_ROW_ATTR_FAILED; /* unknown by now: read them */
  r->size = (double)in->want.size;
  return 1;
}

/* ---- small files: one read, one write ------------------------------------------------------------------------- */

int fsy_read_small(fsy_job *j, fsy_reading *in, fsy_buffer *to, size_t at, int64_t most, fsy_result *r) {
  int again;
  do {
    int64_t size = in->want.size;
    if (size > most) return fsy_fail(r, -EFBIG, FSY_STAGE_READ); /* grown beyond small: caller goes the long way */
    if (!fsy_reserve(to, at + (size_t)size + 1)) return fsy_fail(r, -ENOMEM, FSY_STAGE_READ);
    int64_t got = 0;
    if (size > 0) {
      /* one byte more than expected shows growth without another call */
      while (got <= size) {
        ssize_t more = FSY_TRY(read, pread(in->fd, to->at + at + got, FSY_SHORT(read, (size_t)(size + 1 - got)), got));
        if (more < 0) got = -errno;
        if (more <= 0) break;
        got += more;
        if (got == size) break;
      }
      if (got < 0) return fsy_fail(r, (int)got, FSY_STAGE_READ);
    }
    again = fsy_reading_check(j, in, got == size, r);
    if (again < 0) return again;
  } while (again);
  return 0;
}

static int copy_small(fsy_job *j, fsy_reading *in, const char *name, bool exists, fsy_result *r) {
  fsy_buffer *io = &j->task->worker->io;
  int status = fsy_read_small(j, in, io, 0, FSY_SMALL_MAX, r);
  if (status) return status;
  status = fsy_pace(j->task->ring, in->want.size);
  if (status) return fsy_fail(r, status, FSY_STAGE_READ);
  fsy_landing to;
  status = fsy_landing_temp(j, &in->want, &to, r);
  if (!status) status = fsy_landing_whole(j, &to, io->at, in->want.size, FSY_METHOD_READ_WRITE, NULL, r);
  return status ? status : fsy_landing_close(j, &in->want, in->fd, &to, name, exists, r);
}

/* ---- larger files: the ladder -------------------------------------------------------------------------------------- */

/* Moves the whole content; `basis` says that target holds old content of that length (0: empty file). */
static int move_data(fsy_job *j, fsy_reading *in, int target, int64_t basis, bool delta, fsy_result *r) {
  for (;;) {
    fsy_flow flow;
    int64_t size = in->want.size;
    fsy_flow_open(&flow, j, in->fd, target, in->want.dev, size);
    flow.basis = basis > 0;
    bool sparse = (j->opt.flags & FSY_OPT_SPARSE) && (in->want.flags & FSY_ROW_SPARSE);
    int status = 1;
    /* a clone must end where the target ends, or on a block's boundary */
    if (size > 0 && !delta && basis > size && (flow.allowed & (1u << FSY_METHOD_CLONE)) &&
        FSY_TRY(truncate, ftruncate(target, size)) == 0)
      basis = size;
    if (size > 0 && !delta) status = fsy_flow_clone(&flow, size);
    if (status == 1) {
      int64_t compared = delta ? (basis < size ? basis : size) : 0;
      status = 0;
      if (sparse) {
        /* the size first: XFS preallocates behind the end of a growing file, into what shall be holes */
        if (basis < size && FSY_TRY(truncate, ftruncate(target, size)) < 0) return fsy_fail(r, -errno, FSY_STAGE_WRITE);
        status = fsy_flow_sparse(&flow, 0, size, delta);
      } else {
        if (compared > 0) status = fsy_flow_delta(&flow, 0, compared);
        if (!status && !flow.ended && compared < size) status = fsy_flow_range(&flow, compared, size - compared);
      }
    }
    r->refused |= flow.refused;
    if (flow.refused_errno) r->refused_errno = flow.refused_errno;
    if (flow.method) r->method = flow.method;
    r->bytes += (double)flow.moved;
    if (status) return fsy_fail(r, status, flow.stage);
    int again = fsy_reading_check(j, in, !flow.ended, r);
    if (again < 0) return again;
    if (!again) {
      struct stat st;
      if ((sparse || basis > size || flow.method == FSY_METHOD_CLONE) &&
          (fstat(target, &st) < 0 || (st.st_size != size && FSY_TRY(truncate, ftruncate(target, size)) < 0)))
        return fsy_fail(r, -errno, FSY_STAGE_WRITE);
      return 0;
    }
    if (FSY_TRY(truncate, ftruncate(target, 0)) < 0) return fsy_fail(r, -errno, FSY_STAGE_WRITE);
    basis = 0;
    delta = false;
  }
}

static int copy_large(fsy_job *j, fsy_reading *in, const char *name, bool exists, fsy_result *r) {
  fsy_landing to;
  int status = fsy_landing_temp(j, &in->want, &to, r);
  if (status) return status;
  int64_t basis = 0;
  if (exists && (j->opt.flags & FSY_OPT_DELTA)) basis = fsy_clone_basis(j->target_dir, name, to.fd);
  status = move_data(j, in, to.fd, basis, basis > 0, r);
  if (status) {
    fsy_landing_drop(&to);
    return status;
  }
  return fsy_landing_close(j, &in->want, in->fd, &to, name, exists, r);
}

static int copy_in_place(fsy_job *j, fsy_reading *in, const char *name, fsy_result *r) {
  fsy_landing to;
  int status = fsy_landing_in_place(j, in->fd, name, &to, r);
  if (status) return status;
  status = move_data(j, in, to.fd, to.basis, j->opt.flags & FSY_OPT_DELTA, r);
  if (status) {
    fsy_landing_drop(&to);
    return status;
  }
  return fsy_landing_close(j, &in->want, in->fd, &to, name, true, r);
}

/* ---- by type ----------------------------------------------------------------------------------------------------------- */

static int copy_regular(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_result *r) {
  fsy_reading in;
  in.want = *entry;
  in.retried = false;
  in.fd = fsy_open_source(j, entry->name, j->opt.flags & FSY_OPT_FOLLOW);
  if (in.fd < 0) return fsy_fail(r, in.fd, FSY_STAGE_OPEN_SOURCE);
  int status = 1;
  if ((j->opt.flags & FSY_OPT_INPLACE) && exists) status = copy_in_place(j, &in, name, r);
  if (status == 1) {
    bool small = entry->size < (int64_t)j->opt.small_bytes && (j->opt.methods & (1u << FSY_METHOD_READ_WRITE));
    if (entry->size == 0) small = true; /* no data: no method to choose */
    status = small ? copy_small(j, &in, name, exists, r) : copy_large(j, &in, name, exists, r);
    if (status == -EFBIG && small) { /* it grew out of being small while it was read */
      in.retried = true;
      r->status = 0;
      r->stage = FSY_STAGE_NONE;
      status = copy_large(j, &in, name, exists, r);
    }
  }
  close(in.fd);
  return status;
}

int fsy_open_attrs(fsy_job *j, const fsy_entry *entry) {
  if (!fsy_attr_mask(j->opt.flags) || (!entry->attrs && !(entry->flags & FSY_ROW_ATTR_FAILED))) return -1;
  return openat(j->source_dir, entry->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

fsy_attrs_from fsy_attrs_open(fsy_job *j, const fsy_entry *entry, fsy_entry *want, int *opened) {
  *want = *entry;
  *opened = -1;
  if (j->received) return j->received->attrs;
  *opened = fsy_open_attrs(j, entry);
  if (*opened < 0) {
    want->attrs = 0;
    want->flags &= ~FSY_ROW_ATTR_FAILED;
  }
  return fsy_attrs_of(*opened < 0 ? FSY_BY_FD : FSY_BY_PATH_FD, *opened);
}

/* To the link itself, held: what takes its name meanwhile, a hard link to somebody's file perhaps, must not be given the
 * link's owner. -ESTALE: something else has the name already. */
static int apply_to_symlink(fsy_job *j, const fsy_entry *entry, int dir, const char *name, fsy_state *now,
                            fsy_result *r) {
  struct stat st;
  int status = 0, fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) < 0) status = fsy_fail(r, -errno, FSY_STAGE_META);
  else if (!S_ISLNK(st.st_mode)) status = fsy_fail(r, -ESTALE, FSY_STAGE_META);
  if (!status) {
    now->uid = st.st_uid;
    now->gid = st.st_gid;
    now->mode = st.st_mode;
    fsy_entry want;
    int opened;
    fsy_attrs_from attrs = fsy_attrs_open(j, entry, &want, &opened);
    status = fsy_meta_apply(j, (fsy_subject){FSY_BY_PATH_FD, fd, ""}, &want, now, attrs, r);
    if (opened >= 0) close(opened);
  }
  if (fd >= 0) close(fd);
  return status;
}

static int copy_symlink(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_result *r) {
  fsy_state now;
  memset(&now, 0, sizeof(now));
  if (!entry->link_len) return fsy_fail(r, entry->status ? entry->status : -EINVAL, FSY_STAGE_OPEN_SOURCE);
  fsy_inherit_old(j, entry, name, exists, &now);
  int status;
  if (!exists) {
    if (FSY_TRY(symlink, symlinkat(entry->link, j->target_dir, name)) == 0) {
      status = apply_to_symlink(j, entry, j->target_dir, name, &now, r);
      if (status && status != -ESTALE) (void)FSY_TRY(unlink_temp, unlinkat(j->target_dir, name, 0));
      return status;
    }
    if (errno != EEXIST) return fsy_fail(r, -errno, FSY_STAGE_CREATE);
    if (fsy_taken(j, name)) return fsy_fail(r, -EEXIST, FSY_STAGE_CREATE);
  }
  status = fsy_takes_back(j, j->target_dir);
  if (status) return fsy_fail(r, status, FSY_STAGE_CREATE);
  char temp[48]; /* in the target's directory: nothing to gain elsewhere */
  fsy_hold_names(j->target_dir);
  do fsy_temp_name(j, temp);
  while ((status = FSY_TRY(symlink, symlinkat(entry->link, j->target_dir, temp))) < 0 && errno == EEXIST);
  if (status < 0) return fsy_fail(r, -errno, FSY_STAGE_CREATE);
  status = apply_to_symlink(j, entry, j->target_dir, temp, &now, r);
  if (!status) return fsy_publish_name(j, j->target_dir, temp, name, true, r);
  (void)FSY_TRY(unlink_temp, unlinkat(j->target_dir, temp, 0));
  return status;
}

static int copy_special(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_result *r) {
  char temp[48];
  int made;
  dev_t rdev = makedev(entry->rdev >> 20, entry->rdev & 0xfffffu);
  mode_t mode = (entry->mode & S_IFMT) | 0600;
  int status = fsy_takes_back(j, j->target_dir);
  if (status) return fsy_fail(r, status, FSY_STAGE_CREATE);
  fsy_hold_names(j->target_dir);
  do fsy_temp_name(j, temp);
  while ((made = FSY_TRY(mknod, mknodat(j->target_dir, temp, mode, rdev))) < 0 && errno == EEXIST);
  if (made < 0) return fsy_fail(r, -errno, FSY_STAGE_CREATE);
  int fd = openat(j->target_dir, temp, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0) status = fsy_fail(r, -errno, FSY_STAGE_META);
  else if ((st.st_mode & S_IFMT) != (entry->mode & S_IFMT)) status = fsy_fail(r, -ESTALE, FSY_STAGE_META);
  if (!status) {
    fsy_state now;
    memset(&now, 0, sizeof(now));
    now.mode = st.st_mode;
    now.uid = st.st_uid;
    now.gid = st.st_gid;
    now.mode_known = true;
    now.attrs_possible = true;
    fsy_inherit_old(j, entry, name, exists, &now);
    fsy_entry want;
    int opened;
    fsy_attrs_from attrs = fsy_attrs_open(j, entry, &want, &opened);
    /* a default ACL above may have given it one that the source does not have */
    if (opened < 0) now.attrs_possible = fsy_attr_mask(j->opt.flags) & FSY_ATTR_ACLS;
    status = fsy_meta_apply(j, (fsy_subject){FSY_BY_PATH_FD, fd, ""}, &want, &now, attrs, r);
    if (opened >= 0) close(opened);
  }
  if (fd >= 0) close(fd);
  if (!status) return fsy_publish_name(j, j->target_dir, temp, name, exists, r);
  (void)FSY_TRY(unlink_temp, unlinkat(j->target_dir, temp, 0));
  return status;
}

int fsy_copy_entry(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_result *r) {
  uint64_t *files = &j->task->ring->control->files_done;
  int status;
  switch (entry->mode & S_IFMT) {
    case S_IFREG:
      status = copy_regular(j, entry, name, exists, r);
      break;
    case S_IFLNK:
      status = copy_symlink(j, entry, name, exists, r);
      if (!status) __atomic_fetch_add(files, 1, __ATOMIC_RELAXED);
      break;
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
      status = copy_special(j, entry, name, exists, r);
      if (!status) __atomic_fetch_add(files, 1, __ATOMIC_RELAXED);
      break;
    case S_IFDIR: status = fsy_fail(r, -EISDIR, FSY_STAGE_CREATE); break;
    default: status = fsy_fail(r, entry->status ? entry->status : -EINVAL, FSY_STAGE_OPEN_SOURCE);
  }
  if (status) r->bytes = 0;
  return status;
}

int fsy_op_copy(fsy_task *t) {
  fsy_job job;
  int status = fsy_job_open(&job, t);
  return status ? status : fsy_for_rows(&job, false, fsy_copy_entry);
}

/* ---- repair: metadata only ------------------------------------------------------------------------------------------------ */

int fsy_repair_entry(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_result *r) {
  (void)exists;
  bool self = !*name;
  bool follow = j->opt.flags & FSY_OPT_FOLLOW;
  fsy_subject target = {FSY_BY_FD, j->target_dir, ""};
  struct stat st;
  int status = 0;
  if (!self) {
    target.fd = FSY_TRY(repair, openat(j->target_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (target.fd < 0) return fsy_fail(r, -errno, FSY_STAGE_META);
    target.by = FSY_BY_PATH_FD;
  }
  if (fstat(target.fd, &st) < 0) status = -errno;
  else if ((st.st_mode & S_IFMT) != (entry->mode & S_IFMT)) status = -ESTALE;
  if (status) fsy_fail(r, status, FSY_STAGE_META);
  /* without a source it has no attributes, and those that the target carries go; the directory's own row as well */
  bool bare = !j->received && j->source_dir < 0;
  fsy_attrs_from source = j->received ? j->received->attrs : fsy_attrs_of(FSY_BY_FD, self ? j->source_dir : -1);
  int opened = -1;
  if (!status && !j->received && !bare && fsy_attr_mask(j->opt.flags) && !self) {
    opened = fsy_open_from(j, entry->name, follow, O_PATH);
    if (opened < 0) status = fsy_fail(r, opened, FSY_STAGE_OPEN_SOURCE);
    source = fsy_attrs_of(FSY_BY_PATH_FD, opened);
  }
  if (!status) {
    fsy_state now;
    memset(&now, 0, sizeof(now));
    now.mode = st.st_mode;
    now.uid = st.st_uid;
    now.gid = st.st_gid;
    now.mode_known = true;
    now.attrs_possible = true; /* looked at only when attributes are preserved */
    now.in_place = true;
    status = fsy_meta_apply(j, target, entry, &now, source, r);
  }
  if (opened >= 0) close(opened);
  if (!self) close(target.fd);
  return status;
}

int fsy_op_repair(fsy_task *t) {
  fsy_job job;
  int status = fsy_job_open(&job, t);
  return status ? status : fsy_for_rows(&job, true, fsy_repair_entry);
}
