/* Hard links, and the small requests about descriptors: close, sync. */
#include "internal.h"

static int link_over(fsy_job *j, int leader_dir, const char *leader, const char *name, bool exists, fsy_result *r) {
  struct stat ours, theirs;
  if (fstatat(leader_dir, leader, &ours, AT_SYMLINK_NOFOLLOW) < 0) return fsy_fail(r, -errno, FSY_STAGE_OPEN_SOURCE);
  if (S_ISDIR(ours.st_mode)) return fsy_fail(r, -EISDIR, FSY_STAGE_OPEN_SOURCE);
  if (FSY_TRY(link, linkat(leader_dir, leader, j->target_dir, name, 0)) == 0) return 0;
  if (errno != EEXIST) return fsy_fail(r, -errno, FSY_STAGE_PUBLISH);
  if (!exists && fsy_taken(j, name)) return fsy_fail(r, -EEXIST, FSY_STAGE_PUBLISH);
  if (fstatat(j->target_dir, name, &theirs, AT_SYMLINK_NOFOLLOW) == 0 && theirs.st_ino == ours.st_ino &&
      theirs.st_dev == ours.st_dev)
    return 0;
  int status = fsy_takes_back(j, j->target_dir);
  if (status) return fsy_fail(r, status, FSY_STAGE_PUBLISH);
  char temp[48];
  int made;
  do fsy_temp_name(j, temp);
  while ((made = FSY_TRY(link, linkat(leader_dir, leader, j->target_dir, temp, 0))) < 0 && errno == EEXIST);
  if (made < 0) return fsy_fail(r, -errno, FSY_STAGE_PUBLISH);
  status = fsy_publish_name(j, j->target_dir, temp, name, true, r);
  (void)FSY_TRY(unlink_temp, unlinkat(j->target_dir, temp, 0)); /* rename between links of one inode leaves both names */
  return status;
}

int fsy_op_link(fsy_task *t) {
  const fsy_sqe *q = &t->sqe;
  const char *leader = q->path ? fsy_string_at(t->ring, q->path, q->path_bytes) : NULL;
  if (!leader) return -EINVAL;
  uint32_t used = (uint32_t)strlen(leader) + 1;
  const char *name = used < q->path_bytes ? fsy_string_at(t->ring, q->path + used, q->path_bytes - used) : NULL;
  if (!name || !fsy_name_ok(name, strlen(name))) return -EINVAL;
  fsy_result none;
  fsy_result *r = q->results ? fsy_at(t->ring, q->results, sizeof(fsy_result)) : &none;
  if (!r || q->results % 8) return -EINVAL;
  memset(r, 0, sizeof(*r));
  if (fsy_cancelled(t->ring)) return r->status = -ECANCELED;
  fsy_job job;
  int status = fsy_job_open(&job, t);
  if (status) return status;
  const char *last;
  int parent = fsy_open_parent(t->ring, q->fd0, leader, &last);
  if (parent < 0) return fsy_fail(r, parent, FSY_STAGE_OPEN_SOURCE);
  status = link_over(&job, parent, last, name, q->flags & FSY_LINK_EXISTS, r);
  close(parent);
  t->cqe.count = status == 0;
  if (!status) __atomic_fetch_add(&t->ring->control->files_done, 1, __ATOMIC_RELAXED);
  return status;
}

int fsy_op_close(fsy_task *t) {
  const fsy_sqe *q = &t->sqe;
  t->quiet = q->flags & FSY_CLOSE_QUIET;
  const int32_t *fds = fsy_at(t->ring, q->rows, (uint64_t)q->count * 4);
  if (!fds || q->rows % 4) return -EINVAL;
  int status = 0;
  for (uint32_t i = 0; i < q->count; i++) {
    if (fds[i] < 0) continue;
    if (close(fds[i]) < 0 && errno != EINTR) status = -errno; /* EINTR: closed all the same on Linux */
    else t->cqe.count++;
  }
  if (t->quiet) (void)fsy_heap_give(t->ring->heap, q->rows);
  return status;
}

int fsy_op_sync(fsy_task *t) {
  const fsy_sqe *q = &t->sqe;
  int done = FSY_TRY(sync, (q->flags & FSY_SYNC_FILESYSTEM) ? syncfs(q->fd0) : fsync(q->fd0));
  return done < 0 ? -errno : 0;
}
