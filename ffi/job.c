/* What the items of one writing request share, and the loop over its rows. */
#include "internal.h"

#include <sys/statfs.h>
#include <sys/sysmacros.h>

#define CAP_CHOWN_BIT 0

struct cap_header {
  uint32_t version;
  int pid;
};
struct cap_data {
  uint32_t effective, permitted, inheritable;
};

/* CAP_CHOWN of the calling thread; in a user namespace euid 0 alone says little. */
bool fsy_may_chown(void) {
  struct cap_header header = {0x20080522u, 0};
  struct cap_data data[2] = {{0, 0, 0}, {0, 0, 0}};
  if (syscall(SYS_capget, &header, data) < 0) return geteuid() == 0;
  return data[0].effective & (1u << CAP_CHOWN_BIT);
}

int fsy_job_open(fsy_job *j, fsy_task *t) {
  const fsy_sqe *q = &t->sqe;
  memset(j, 0, sizeof(*j));
  j->task = t;
  const fsy_options *options = q->options % 4 ? NULL : fsy_at(t->ring, q->options, sizeof(fsy_options));
  if (q->options && !options) return -EINVAL;
  if (options) j->opt = *options;
  else j->opt.chown_uid = j->opt.chown_gid = UINT32_MAX;
  if (j->opt.methods == 0) j->opt.methods = (1u << FSY_METHOD_COUNT) - 2;
  if (j->opt.small_bytes > FSY_SMALL_MAX) j->opt.small_bytes = FSY_SMALL_MAX;
  j->suffix = "";
  if (j->opt.suffix_at) {
    j->suffix = fsy_string_at(t->ring, j->opt.suffix_at, FSY_NAME_MAX + 1);
    if (!j->suffix || strchr(j->suffix, '/')) return -EINVAL;
  }
  j->source_dir = q->fd0;
  j->target_dir = q->fd1;
  j->backup_dir = q->fd2;
  j->temp_dir = q->fd3 >= 0 ? q->fd3 : q->fd1;
  if (j->backup_dir == j->target_dir && !*j->suffix) j->backup_dir = FSY_NO_FD; /* would keep it under its own name */
  j->inherits = j->groups = -1;
  j->append_only = -1;
  j->euid = t->ring->euid;
  j->may_chown = t->ring->may_chown;
  struct stat st;
  if (q->fd1 >= 0) {
    if (fstat(j->temp_dir, &st) < 0) return -errno;
    j->target_dev = fsy_dev_of(st.st_dev);
    /* decides the mode of new files when modes are not preserved */
    j->default_acl = (j->opt.flags & (FSY_OPT_PERMS | FSY_OPT_ACLS)) == 0 && fsy_has_default_acl(j->temp_dir);
  }
  /* without a target too: whoever writes all the same finds out by -EBADF */
  j->target_pair = fsy_pair_of(t->ring, UINT32_MAX, j->target_dev);
  return 0;
}

void fsy_job_whole(fsy_job *whole, const fsy_job *of, int source_dir, int target_dir) {
  *whole = *of;
  whole->received = NULL;
  whole->source_dir = source_dir;
  whole->target_dir = whole->temp_dir = target_dir;
  whole->backup_dir = FSY_NO_FD;
  whole->suffix = "";
  whole->opt.flags = FSY_OPT_PERMS | FSY_OPT_TIMES | FSY_OPT_OWNER | FSY_OPT_GROUP | FSY_OPT_XATTRS | FSY_OPT_ACLS |
                     FSY_OPT_SPARSE | FSY_OPT_LINK_TIMES | (of->opt.flags & (FSY_OPT_FSYNC | FSY_OPT_XATTR_PRIVILEGED));
  whole->opt.methods = (1u << FSY_METHOD_COUNT) - 2;
  whole->opt.chown_uid = whole->opt.chown_gid = UINT32_MAX;
  whole->pair = NULL;
  whole->default_acl = false; /* modes are preserved */
  whole->inherits = -1;
  memset(whole->learnt, 0, sizeof(whole->learnt));
  struct stat st;
  if (fstat(target_dir, &st) == 0) whole->target_dev = fsy_dev_of(st.st_dev);
  whole->target_pair = fsy_pair_of(of->task->ring, UINT32_MAX, whole->target_dev);
}

bool fsy_in_group(fsy_job *j, uint32_t gid) {
  if (j->groups < 0) {
    j->groups = getgroups((int)(sizeof(j->group) / sizeof(j->group[0])), j->group);
    if (j->groups < 0) j->groups = 0; /* more than we hold: let the egid decide */
  }
  if ((uint32_t)getegid() == gid) return true;
  for (int i = 0; i < j->groups; i++)
    if ((uint32_t)j->group[i] == gid) return true;
  return false;
}

fsy_pair *fsy_job_pair(fsy_job *j, uint32_t source_dev) {
  if (!j->pair || j->pair->source_dev != source_dev) j->pair = fsy_pair_of(j->task->ring, source_dev, j->target_dev);
  return j->pair;
}

static uint32_t type_below(int directory) {
  struct statfs fs;
  return fstatfs(directory, &fs) == 0 ? (uint32_t)fs.f_type : 0;
}

uint32_t fsy_target_type(fsy_job *j) {
  if (!j->target_pair) return 0;
  uint32_t type = atomic_load_explicit(&j->target_pair->target_type, memory_order_relaxed);
  if (!type && (type = type_below(j->target_dir)))
    atomic_store_explicit(&j->target_pair->target_type, type, memory_order_relaxed);
  return type;
}

uint32_t fsy_temp_type(fsy_job *j) { return j->temp_dir == j->target_dir ? fsy_target_type(j) : type_below(j->temp_dir); }

void fsy_warn(fsy_result *r, uint32_t bit, int error) {
  if (!r->warnings) r->warning_errno = error;
  r->warnings |= bit;
}

int fsy_fail(fsy_result *r, int status, uint32_t stage) {
  r->status = status;
  r->stage = stage;
  return status;
}

int fsy_for_rows(fsy_job *j, bool self_row, fsy_each one) {
  fsy_task *t = j->task;
  const fsy_sqe *q = &t->sqe;
  fsy_view view;
  int status = fsy_view_at(t->ring, q->batch, &view);
  if (status) return status;
  const uint32_t *rows = fsy_at(t->ring, q->rows, (uint64_t)q->count * 4);
  uint64_t result_bytes = sizeof(fsy_result) + (q->op == FSY_OP_HASH ? 32u : 0u);
  fsy_result *results = fsy_at(t->ring, q->results, q->count * result_bytes);
  if (!rows || !results || q->rows % 4 || q->results % 8) return -EINVAL;
  const char *rename = q->path ? fsy_string_at(t->ring, q->path, q->path_bytes) : NULL;
  if (q->path && (!rename || q->count != 1 || !fsy_name_ok(rename, strlen(rename)))) return -EINVAL;
  bool cancelled = false;
  double bytes = 0;
  uint32_t done = 0;
  for (uint32_t i = 0; i < q->count; i++) {
    fsy_result *r = &results[i];
    memset(r, 0, sizeof(*r));
    cancelled = cancelled || fsy_cancelled(t->ring);
    if (cancelled) {
      r->status = -ECANCELED;
      continue;
    }
    fsy_entry entry;
    uint32_t row = rows[i] & ~FSY_ROW_EXISTS;
    int bad = fsy_entry_get(&view, row, &entry);
    if (!bad && row == view.batch->count && !self_row) bad = -EINVAL;
    if (bad) {
      r->status = bad;
      continue;
    }
    r->size = (double)entry.size;
    int got = one(j, &entry, rename ? rename : entry.name, rows[i] & FSY_ROW_EXISTS, r);
    if (got && !r->status) r->status = got;
    if (!r->status) done++;
    bytes += r->bytes;
  }
  t->cqe.count = done;
  t->cqe.bytes = bytes;
  return cancelled ? -ECANCELED : 0;
}
