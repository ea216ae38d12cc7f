/* One large file in steps, so that its ranges can be copied by several workers.
 *
 *   BEGIN   open the source, compare with the row; open the part (found by name, locked) or a fresh temp; reflink
 *   RANGE   a stretch by pread/pwrite-like methods only: the descriptors are shared
 *   COMMIT  the source must still be what the row says; verify, metadata, fsync, publish; closes both
 *   ABORT   closes both; the part is kept or removed
 *
 * The part's name is .fastsync.<XXH3-64 of the target name>.part: the next run finds it. It must be a regular file of
 * ours with one link, or it is not touched and an anonymous temp is used instead. */
#include "internal.h"

#include <stdio.h>
#include <sys/file.h>

static void part_name(const char *target, char name[48]) {
  (void)snprintf(name, 48, ".fastsync.%016llx.part", (unsigned long long)fsy_xxh3(target, strlen(target)));
}

typedef struct large {
  fsy_job job;
  fsy_entry entry;
  const char *name;
  bool exists;
  fsy_result *result; /* of the request, or `none` */
  fsy_result none;
} large;

static int large_open(large *l, fsy_task *t) {
  const fsy_sqe *q = &t->sqe;
  int status = fsy_job_open(&l->job, t);
  if (status) return status;
  fsy_view view;
  status = fsy_view_at(t->ring, q->batch, &view);
  const uint32_t *rows = fsy_at(t->ring, q->rows, 4);
  if (status || !rows || q->rows % 4) return -EINVAL;
  uint32_t row = rows[0] & ~FSY_ROW_EXISTS;
  l->exists = rows[0] & FSY_ROW_EXISTS;
  status = fsy_entry_get(&view, row, &l->entry);
  if (status || row == view.batch->count) return -EINVAL;
  l->name = l->entry.name;
  if (q->path) {
    l->name = fsy_string_at(t->ring, q->path, q->path_bytes);
    if (!l->name || !fsy_name_ok(l->name, strlen(l->name))) return -EINVAL;
  }
  l->result = q->results ? fsy_at(t->ring, q->results, sizeof(fsy_result)) : &l->none;
  if (!l->result || q->results % 8) return -EINVAL;
  memset(l->result, 0, sizeof(*l->result));
  l->result->size = (double)l->entry.size;
  return 0;
}

/* An earlier run's part or a new one under its name. 0; 1: use an anonymous temp. */
static int open_part(large *l, bool resume, int *part, int64_t *has) {
  char name[48];
  part_name(l->name, name);
  if (fsy_takes_back(&l->job, l->job.temp_dir)) return 1; /* an anonymous one, which needs no taking back */
  const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  int fd = FSY_TRY(open_part, openat(l->job.temp_dir, name, flags, 0600));
  if (fd < 0) return errno == ENOSPC || errno == EDQUOT || errno == EROFS || errno == EACCES ? -errno : 1;
  struct stat st, named;
  bool ours = flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
              st.st_uid == l->job.euid && st.st_nlink == 1 &&
              fstatat(l->job.temp_dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == st.st_ino &&
              named.st_dev == st.st_dev;
  if (!ours) {
    close(fd);
    return 1;
  }
  int status = 0;
  if (!resume) st.st_size = 0;
  if (!resume && FSY_TRY(truncate, ftruncate(fd, 0)) < 0) status = -errno;
  if (!status && (st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0) status = -errno;
  if (status) {
    close(fd);
    return status;
  }
  *part = fd;
  *has = st.st_size;
  return 0;
}

/* Removes the name of the part that is open as `fd`; an anonymous temp has none. */
static void drop_part(large *l, int fd) {
  char name[48];
  struct stat st, part;
  part_name(l->name, name);
  if (fstat(fd, &st) == 0 && fstatat(l->job.temp_dir, name, &part, AT_SYMLINK_NOFOLLOW) == 0 &&
      part.st_ino == st.st_ino && part.st_dev == st.st_dev)
    (void)FSY_TRY(unlink_temp, unlinkat(l->job.temp_dir, name, 0));
}

int fsy_op_large_begin(fsy_task *t) {
  large l;
  int status = large_open(&l, t);
  if (status) return status;
  fsy_result *r = l.result;
  if (fsy_cancelled(t->ring)) return r->status = -ECANCELED;
  fsy_job *j = &l.job;
  int source = FSY_NO_FD; /* without a source directory the content comes from another process */
  struct stat st = {0};
  if (t->sqe.fd0 >= 0) {
    source = fsy_open_source(j, l.entry.name, j->opt.flags & FSY_OPT_FOLLOW);
    if (source < 0) return fsy_fail(r, source, FSY_STAGE_OPEN_SOURCE);
    if (fstat(source, &st) < 0) status = fsy_fail(r, -errno, FSY_STAGE_READ);
    else if (!fsy_entry_same(&l.entry, &st)) {
      r->flags |= FSY_ITEM_CHANGED;
      status = fsy_fail(r, -EBUSY, FSY_STAGE_READ);
    }
  }
  int target = -1;
  int64_t has = 0;
  bool in_place = false;
  if (!status && (j->opt.flags & FSY_OPT_INPLACE) && l.exists) {
    target = FSY_TRY(open_in_place, openat(j->target_dir, l.name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat old;
    if (target >= 0 && fstat(target, &old) == 0 && S_ISREG(old.st_mode)) {
      in_place = true;
      has = old.st_size;
      if (source >= 0 && old.st_dev == st.st_dev && old.st_ino == st.st_ino) status = fsy_fail(r, -EINVAL, FSY_STAGE_CREATE);
      if (!status && j->backup_dir >= 0) status = fsy_backup(j, l.name, true, r);
    } else {
      if (target >= 0) close(target);
      else if (errno != ENOENT && errno != ELOOP && errno != ENXIO && errno != EISDIR)
        status = fsy_fail(r, -errno, FSY_STAGE_CREATE);
      target = -1;
    }
  }
  if (!status && target < 0) {
    status = open_part(&l, t->sqe.flags & FSY_LARGE_RESUME, &target, &has);
    if (status == 1) {
      fsy_temp temp;
      fsy_state now;
      has = 0;
      status = fsy_temp_open(j, 0600, &temp, &now);
      target = temp.fd;
    }
    if (status) fsy_fail(r, status, FSY_STAGE_CREATE);
  }
  int64_t size = l.entry.size;
  bool cloned = false, is_new = target >= 0 && !in_place && has == 0;
  if (!status && !in_place && has == 0) {
    int done = 1;
    if (source >= 0) {
      fsy_flow flow;
      fsy_flow_open(&flow, j, source, target, l.entry.dev, size);
      done = fsy_flow_clone(&flow, size);
      r->refused = flow.refused;
      r->refused_errno = flow.refused_errno;
    }
    if (done == 0) cloned = true;
    else if (done < 0) status = fsy_fail(r, done, FSY_STAGE_WRITE);
    else if (l.exists && (j->opt.flags & FSY_OPT_DELTA)) has = fsy_clone_basis(j->target_dir, l.name, target);
  }
  /* in place only grows here: cutting off the old end waits for COMMIT */
  if (!status && !cloned && (has > size ? !in_place : has < size) && FSY_TRY(truncate, ftruncate(target, size)) < 0)
    status = fsy_fail(r, -errno, FSY_STAGE_WRITE);
  if (status) {
    if (is_new) drop_part(&l, target); /* larger than the filesystem allows: nothing to go on from */
    if (source >= 0) close(source);
    if (target >= 0) close(target);
    return status;
  }
  t->cqe.fd0 = source;
  t->cqe.fd1 = target;
  t->cqe.length = (double)size;
  t->cqe.bytes = (double)(has < size ? has : size);
  t->cqe.method = cloned ? FSY_METHOD_CLONE : FSY_METHOD_NONE;
  r->method = t->cqe.method;
  t->cqe.count = 1;
  return 0;
}

int fsy_op_large_range(fsy_task *t) {
  const fsy_sqe *q = &t->sqe;
  if (!(q->offset >= 0 && q->length >= 0 && q->offset + q->length < 9007199254740992.0)) return -EINVAL;
  if (fsy_cancelled(t->ring)) return -ECANCELED;
  fsy_job job;
  int status = -FSY_FAULT(range);
  if (!status) status = fsy_job_open(&job, t);
  if (status) return status;
  struct stat st;
  if (FSY_TRY(stat_source, fstat(q->fd0, &st)) < 0) return -errno;
  fsy_flow flow;
  fsy_flow_open(&flow, &job, q->fd0, q->fd1, fsy_dev_of(st.st_dev), st.st_size);
  uint32_t refused_before = flow.refused;
  flow.shared = true;
  flow.basis = q->flags & FSY_LARGE_COMPARE;
  flow.allowed &= ~(1u << FSY_METHOD_SENDFILE);
  if (flow.allowed == 0 || flow.allowed == (1u << FSY_METHOD_CLONE)) flow.allowed |= 1u << FSY_METHOD_READ_WRITE;
  int64_t offset = (int64_t)q->offset, length = (int64_t)q->length;
  bool sparse = (job.opt.flags & FSY_OPT_SPARSE) && st.st_blocks * 512 < st.st_size;
  if (sparse) status = fsy_flow_sparse(&flow, offset, length, flow.basis);
  else if (flow.basis) status = fsy_flow_delta(&flow, offset, length);
  else status = fsy_flow_range(&flow, offset, length);
  if (!status && flow.ended) status = -EBUSY; /* shorter than it was: COMMIT would refuse it anyway */
  t->cqe.bytes = (double)flow.moved;
  t->cqe.length = q->length;
  t->cqe.method = flow.method;
  t->cqe.flags = (flow.refused | refused_before);
  return status;
}

/* The two descriptors that COMMIT and ABORT close. */
static int32_t *descriptors(fsy_task *t) {
  return t->sqe.extra % 4 ? NULL : fsy_at(t->ring, t->sqe.extra, 2 * sizeof(int32_t));
}

static int commit(large *l, fsy_task *t, int source, int target) {
  fsy_job *j = &l->job;
  fsy_result *r = l->result;
  struct stat st, named = {0};
  if (fsy_cancelled(t->ring)) return fsy_fail(r, -ECANCELED, FSY_STAGE_PUBLISH);
  int error = FSY_FAULT(commit);
  if (error) return fsy_fail(r, -error, FSY_STAGE_PUBLISH);
  if (!j->received) {
    if (FSY_TRY(stat_source, fstat(source, &st)) < 0) return fsy_fail(r, -errno, FSY_STAGE_READ);
    if (FSY_FAULT(changed) || !fsy_entry_same(&l->entry, &st)) {
      r->flags |= FSY_ITEM_CHANGED;
      return fsy_fail(r, -EBUSY, FSY_STAGE_READ);
    }
  }
  if (target < 0) return fsy_fail(r, -EBADF, FSY_STAGE_PUBLISH); /* it was only asked */
  if (fstat(target, &st) < 0) return fsy_fail(r, -errno, FSY_STAGE_WRITE);
  if (st.st_size != l->entry.size && FSY_TRY(truncate, ftruncate(target, l->entry.size)) < 0)
    return fsy_fail(r, -errno, FSY_STAGE_WRITE);
  if (!j->received && (j->opt.flags & (FSY_OPT_VERIFY | FSY_OPT_READBACK))) { /* received ranges were verified one by one */
    int status = fsy_verify(t, source, target, l->entry.size, j->opt.flags & FSY_OPT_READBACK);
    if (status) return fsy_fail(r, status, FSY_STAGE_VERIFY);
  }
  fsy_state now;
  memset(&now, 0, sizeof(now));
  now.mode = st.st_mode;
  now.uid = st.st_uid;
  now.gid = st.st_gid;
  now.mode_known = true;
  now.attrs_possible = fsy_attr_mask(j->opt.flags) != 0;
  bool in_place = fstatat(j->target_dir, l->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
                  named.st_ino == st.st_ino && named.st_dev == st.st_dev;
  now.in_place = in_place;
  if (!in_place && l->exists && S_ISREG(named.st_mode)) {
    now.replaces = true;
    now.old_mode = named.st_mode;
    now.old_uid = named.st_uid;
    now.old_gid = named.st_gid;
  }
  int status = fsy_meta_apply(j, (fsy_subject){FSY_BY_FD, target, ""}, &l->entry, &now,
                              j->received ? j->received->attrs : fsy_attrs_of(FSY_BY_FD, source), r);
  if (status) return status;
  if ((j->opt.flags & FSY_OPT_FSYNC) && FSY_TRY(fsync, fsync(target)) < 0) return fsy_fail(r, -errno, FSY_STAGE_SYNC);
  if (in_place) {
    r->flags |= FSY_ITEM_REPLACED;
    return 0;
  }
  fsy_temp temp;
  memset(&temp, 0, sizeof(temp));
  temp.fd = fcntl(target, F_DUPFD_CLOEXEC, 0); /* publishing closes it; ours is closed with the request */
  if (temp.fd < 0) return fsy_fail(r, -errno, FSY_STAGE_PUBLISH);
  if (st.st_nlink > 0) { /* a part: it has its name already */
    part_name(l->name, temp.name);
    temp.dir = j->temp_dir;
    struct stat part;
    if (fstatat(temp.dir, temp.name, &part, AT_SYMLINK_NOFOLLOW) < 0 || part.st_ino != st.st_ino ||
        part.st_dev != st.st_dev) {
      close(temp.fd);
      return fsy_fail(r, -ESTALE, FSY_STAGE_PUBLISH);
    }
    temp.named = true;
  }
  return fsy_publish_temp(j, &temp, &l->entry, l->name, l->exists, r);
}

int fsy_large_commit_received(fsy_task *t, const fsy_received *from) {
  int32_t *fds = descriptors(t);
  large l;
  int status = large_open(&l, t);
  if (!fds) return -EINVAL;
  if (status) return status;
  l.job.received = from;
  status = commit(&l, t, FSY_NO_FD, fds[1]);
  if (!status) __atomic_fetch_add(&t->ring->control->files_done, 1, __ATOMIC_RELAXED);
  return status;
}

int fsy_op_large_commit(fsy_task *t) {
  int32_t *fds = descriptors(t);
  large l;
  int status = large_open(&l, t);
  if (!fds) return -EINVAL;
  int source = fds[0], target = fds[1];
  if (!status) status = commit(&l, t, source, target);
  if (source >= 0) close(source);
  if (target >= 0) close(target);
  if (!status) {
    t->cqe.count = 1;
    __atomic_fetch_add(&t->ring->control->files_done, 1, __ATOMIC_RELAXED);
  }
  return status;
}

int fsy_op_large_abort(fsy_task *t) {
  int32_t *fds = descriptors(t);
  if (!fds) return -EINVAL;
  int source = fds[0], target = fds[1];
  large l;
  int status = large_open(&l, t);
  if (!status && target >= 0 && !(t->sqe.flags & FSY_LARGE_KEEP)) drop_part(&l, target);
  if (source >= 0) close(source);
  if (target >= 0) close(target);
  return status;
}
