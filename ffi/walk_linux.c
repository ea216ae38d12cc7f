/* Listing directories and stating names.
 *
 *   open the directory (never through a symlink unless asked), make it or make it writable when asked
 *   getdents64 into the worker's buffer, records to sorted names (dents.c)
 *   statx every name in that order, readlink the links, digest the attributes when asked
 */
#include "internal.h"

#include <stdlib.h>
#include <sys/statfs.h>

#define DENTS_BYTES (256u << 10)
#define EXT_MAGIC 0xef53u /* EXT4_SUPER_MAGIC, and that of ext2 and ext3 */

/* Reads all names: see fsy_dents_take. */
static fsy_listing list_names(fsy_task *t, int dir) {
  fsy_worker *w = t->worker;
  fsy_listing l = {0, 0, 0, 0};
  if (!fsy_reserve(&w->dents, DENTS_BYTES)) {
    l.status = -ENOMEM;
    return l;
  }
  while (!fsy_cancelled(t->ring)) {
    long got = FSY_TRY(getdents, fsy_sys_getdents(dir, w->dents.at, w->dents.room));
    if (got < 0) l.status = -errno;
    if (got <= 0 || !fsy_dents_take(w, &l, w->dents.at, (size_t)got)) return l;
  }
  l.status = -ECANCELED;
  return l;
}

static uint32_t attr_mask(uint32_t walk_flags) {
  return ((walk_flags & FSY_WALK_XATTRS) ? FSY_ATTR_XATTRS : 0) | ((walk_flags & FSY_WALK_ACLS) ? FSY_ATTR_ACLS : 0) |
         ((walk_flags & FSY_WALK_XATTR_PRIVILEGED) ? FSY_ATTR_PRIVILEGED : 0);
}

static int row_link(fsy_task *t, fsy_builder *b, uint32_t row, int dir, const char *name) {
  if (!fsy_reserve(&t->worker->values, FSY_LINK_MAX + 1)) return -ENOMEM;
  char *text = (char *)t->worker->values.at;
  ssize_t length = FSY_TRY(readlink, readlinkat(dir, name, text, FSY_LINK_MAX));
  if (length < 0) return -errno;
  uint32_t at = fsy_builder_text(b, text, (uint32_t)length);
  if (!at) return -ENOMEM;
  fsy_u32(&b->view, FSY_U32_LINK_AT)[row] = at;
  fsy_u32(&b->view, FSY_U32_LINK_LEN)[row] = (uint32_t)length;
  return 0;
}

typedef struct asking {
  int dir;
  uint32_t flags; /* FSY_WALK_* */
  int root;       /* links must not lead out of it; FSY_NO_FD: anywhere */
  bool no_attrs;  /* the filesystem knows none */
  bool known_dev;
  uint32_t dev;
} asking;

/* Fills one row by name. Errors go into the row's STATUS. */
static void row_of(fsy_task *t, fsy_builder *b, uint32_t row, asking *a, const char *name, int followed, int status) {
  struct fsy_statx st;
  bool follow = (a->flags & FSY_WALK_FOLLOW) && a->root < 0;
  bool through = follow || followed >= 0;
  int flags = (*name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH) | AT_NO_AUTOMOUNT;
  if (follow && *name && FSY_TRY(statx, fsy_sys_statx(a->dir, name, AT_NO_AUTOMOUNT, &st)) < 0) {
    status = -errno;
    through = false; /* dangling or looping: the link itself, with the reason */
  }
  int failed = 0;
  if (followed >= 0) failed = FSY_TRY(statx, fsy_sys_statx(followed, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, &st));
  else if (!through || !*name) failed = FSY_TRY(statx, fsy_sys_statx(a->dir, name, flags, &st));
  if (failed < 0) {
    fsy_builder_fail(b, row, -errno);
    return;
  }
  fsy_builder_stat(b, row, &st);
  uint32_t *row_flags = &fsy_u32(&b->view, FSY_U32_FLAGS)[row];
  /* A file of an overlay has the device of its layer: of files, what the kernel says of mounts counts, where it does. */
  bool by_device = S_ISDIR(st.stx_mode) || through || !(st.stx_attributes_mask & FSY_STATX_ATTR_MOUNT_ROOT);
  if (by_device && a->known_dev && fsy_dev(st.stx_dev_major, st.stx_dev_minor) != a->dev) *row_flags |= FSY_ROW_MOUNT;
  if (S_ISLNK(st.stx_mode)) {
    int linked = row_link(t, b, row, a->dir, name);
    if (!status) status = linked;
  }
  uint32_t which = attr_mask(a->flags);
  if (!which && (a->flags & FSY_WALK_BLOCKS)) {
    fsy_u32(&b->view, FSY_U32_ATTR_LO)[row] = (uint32_t)st.stx_blocks;
    fsy_u32(&b->view, FSY_U32_ATTR_HI)[row] = (uint32_t)(st.stx_blocks >> 32);
  }
  if (which && !a->no_attrs) {
    uint64_t digest = 0;
    bool unsupported = false;
    char proc[FSY_PROC_PATH];
    if (followed >= 0) fsy_proc_path(proc, followed);
    int error = followed >= 0 ? fsy_attrs_digest(t, AT_FDCWD, proc, true, which, &digest, &unsupported)
                              : fsy_attrs_digest(t, a->dir, name, through, which, &digest, &unsupported);
    if (unsupported && a->known_dev && !(*row_flags & FSY_ROW_MOUNT) && !through && !S_ISLNK(st.stx_mode)) a->no_attrs = true;
    if (error) fsy_u32(&b->view, FSY_U32_FLAGS)[row] |= FSY_ROW_ATTR_FAILED;
    fsy_u32(&b->view, FSY_U32_ATTR_LO)[row] = (uint32_t)digest;
    fsy_u32(&b->view, FSY_U32_ATTR_HI)[row] = (uint32_t)(digest >> 32);
  }
  if (status) fsy_builder_fail(b, row, status);
}

static void row_stat(fsy_task *t, fsy_builder *b, uint32_t row, asking *a, const char *name) {
  int followed = FSY_NO_FD, status = 0;
  struct fsy_statx st;
  bool confined = (a->flags & FSY_WALK_FOLLOW) && *name && a->root >= 0;
  if (confined && fsy_sys_statx(a->dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, &st) == 0 && S_ISLNK(st.stx_mode)) {
    followed = fsy_open_confined(a->root, a->dir, name, O_PATH);
    if (followed < 0) status = followed; /* dangling, looping or leading out: the link itself, with the reason */
  }
  row_of(t, b, row, a, name, followed, status);
  if (followed >= 0) close(followed);
}

static void row_name(fsy_builder *b, uint32_t row, uint32_t at, uint32_t length) {
  fsy_u32(&b->view, FSY_U32_NAME_AT)[row] = at;
  fsy_u32(&b->view, FSY_U32_NAME_LEN)[row] = length;
}

/* Adds u+rwx to a directory of ours that lacks it: to the open one, or where it would not open to the one of that name,
 * which is then opened. The descriptor, or -errno when nothing was done; the mode it had in *mode. */
static int make_writable(int opened, int base, const char *path, uint32_t *mode) {
  int fd = opened >= 0 ? opened : openat(base, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  char proc[FSY_PROC_PATH];
  fsy_proc_path(proc, fd);
  struct stat st;
  int status = fstat(fd, &st) < 0 ? -errno : 0;
  if (!status && (st.st_uid != geteuid() || (st.st_mode & 0700) == 0700)) status = -EACCES;
  if (!status) {
    *mode = st.st_mode;
    if (chmod(proc, (st.st_mode & 07777) | 0700) < 0) status = -errno;
  }
  if (opened >= 0) return status ? status : opened;
  if (!status) {
    status = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    if (status < 0) {
      status = -errno;
      (void)chmod(proc, *mode & 07777);
    }
  }
  close(fd);
  return status;
}

static int open_directory(fsy_task *t, const char *path, uint32_t *batch_flags, uint32_t *mode_before) {
  const fsy_sqe *q = &t->sqe;
  int base = q->fd0 == FSY_CWD ? AT_FDCWD : q->fd0;
  int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | ((q->flags & FSY_WALK_OPEN_FOLLOW) ? 0 : O_NOFOLLOW);
  if (!*path) path = ".";
  if ((q->flags & FSY_WALK_CONFINED) && (q->fd1 < 0 || base == AT_FDCWD || (q->flags & FSY_WALK_WRITABLE))) return -EINVAL;
  bool many = base != AT_FDCWD && strchr(path, '/');
  bool dot = strcmp(path, ".") == 0;
  if (base != AT_FDCWD && !many && !dot && !fsy_name_ok(path, strlen(path)))
    return strlen(path) > FSY_NAME_MAX ? -ENAMETOOLONG : -EINVAL;
  bool created = false;
  int fd;
  if (many) {
    fd = FSY_TRY_STATUS(open_directory, fsy_open_beneath(t->ring, base, path, q->flags & FSY_WALK_CREATE, &created));
  } else {
    if (q->flags & FSY_WALK_CREATE) { /* asked for where it is thought to be missing: no look before the leap */
      if (FSY_TRY(mkdir, mkdirat(base, path, 0700)) == 0) created = true;
      else if (errno != EEXIST) return -errno;
      /* another entry that the directory takes for this one: its names fold case or Unicode forms */
      else if (base != AT_FDCWD && !dot && fsy_lists(t, base, path) == 0) return -EEXIST;
    }
    bool confined = (q->flags & FSY_WALK_CONFINED) && (q->flags & FSY_WALK_OPEN_FOLLOW);
    int quiet = (q->flags & FSY_WALK_NOATIME) ? O_NOATIME : 0;
    fd = confined ? FSY_TRY_STATUS(open_directory, fsy_open_confined(q->fd1, base, path, flags))
                  : FSY_TRY(open_directory, openat(base, path, flags | quiet));
    if (fd < 0 && errno == EPERM && quiet && !confined) fd = openat(base, path, flags); /* it is not ours */
    if (fd < 0 && !confined) fd = -errno;
  }
  if (created) *batch_flags |= FSY_BATCH_CREATED;
  if (!(q->flags & FSY_WALK_WRITABLE) || many || t->ring->euid == 0) return fd;
  struct stat st;
  if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 0700) == 0700) return fd;
  if (fd < 0 && fd != -EACCES) return fd;
  int writable = make_writable(fd, base, path, mode_before);
  if (writable < 0) return fd;
  *batch_flags |= FSY_BATCH_MADE_WRITABLE;
  return writable;
}

/* Of a directory that nobody is told of: it is left as it was. */
static void leave(int dir, uint32_t batch_flags, uint32_t mode_before) {
  if (batch_flags & FSY_BATCH_MADE_WRITABLE) (void)fchmod(dir, mode_before & 07777);
  close(dir);
}

/* By device, since each worker sees the same few again and again. */
static uint32_t type_of_filesystem(fsy_worker *worker, int dir, uint32_t dev) {
  if (dev && worker->fs_dev == dev) return worker->fs_type;
  struct statfs fs;
  if (fstatfs(dir, &fs) < 0) return 0;
  worker->fs_dev = dev;
  worker->fs_type = (uint32_t)fs.f_type;
  return worker->fs_type;
}

int fsy_op_walk(fsy_task *t) {
  const fsy_sqe *q = &t->sqe;
  const char *path = q->path ? fsy_string_at(t->ring, q->path, q->path_bytes) : "";
  uint32_t batch_flags = 0, mode_before = 0;
  int dir = !path ? -EINVAL : fsy_cancelled(t->ring) ? -ECANCELED : open_directory(t, path, &batch_flags, &mode_before);
  fsy_listing l = {0, 0, 0, dir < 0 ? dir : 0};
  /* what was just made is empty */
  if (dir >= 0 && !(q->flags & FSY_WALK_SELF_ONLY) && !(batch_flags & FSY_BATCH_CREATED)) l = list_names(t, dir);
  if (l.status && dir >= 0) batch_flags |= FSY_BATCH_PARTIAL;
  const fsy_found *list = fsy_dents_sort(t->worker, &l);

  fsy_builder b;
  int status = fsy_builder_open(&b, t->ring, l.count, l.text_bytes);
  if (status) {
    if (dir >= 0) leave(dir, batch_flags, mode_before);
    return status;
  }
  if (dir >= 0) {
    asking a = {dir, q->flags & ~FSY_WALK_FOLLOW, (q->flags & FSY_WALK_CONFINED) ? q->fd1 : FSY_NO_FD, false, false, 0};
    row_stat(t, &b, l.count, &a, "");
    a.flags = q->flags;
    a.dev = fsy_u32(&b.view, FSY_U32_DEV)[l.count];
    a.known_dev = fsy_u32(&b.view, FSY_U32_STATUS)[l.count] == 0;
    if (batch_flags & FSY_BATCH_MADE_WRITABLE) fsy_u32(&b.view, FSY_U32_MODE)[l.count] = mode_before;
    b.view.batch->fs_type = type_of_filesystem(t->worker, dir, a.known_dev ? a.dev : 0);
    if ((q->flags & FSY_WALK_SELF_ONLY) && b.view.batch->fs_type == EXT_MAGIC && !fsy_sys_has_birth(dir))
      batch_flags |= FSY_BATCH_SMALL_INODES;

    const char *names = (const char *)t->worker->scratch.at;
    for (uint32_t row = 0; row < l.count; row++) {
      if ((row & 255) == 255 && !l.status && fsy_cancelled(t->ring)) {
        l.status = -ECANCELED;
        batch_flags |= FSY_BATCH_PARTIAL;
      }
      uint32_t at = fsy_builder_text(&b, names + list[row].at, list[row].length);
      if (!at) {
        l.status = -ENOMEM;
        break;
      }
      row_name(&b, row, at, list[row].length);
      if (l.status == -ECANCELED) fsy_builder_fail(&b, row, -ECANCELED);
      else row_stat(t, &b, row, &a, names + list[row].at);
    }
    if (l.status == -ENOMEM) { /* a half-filled listing must not look like a listing */
      (void)fsy_heap_give(t->ring->heap, b.block);
      leave(dir, batch_flags, mode_before);
      return -ENOMEM;
    }
  }
  b.view.batch->dirfd = dir < 0 ? FSY_NO_FD : dir;
  b.view.batch->status = l.status;
  b.view.batch->flags = batch_flags;
  t->cqe.count = l.count;
  t->cqe.block = fsy_builder_close(&b);
  b.view.batch->kinds = fsy_kinds(&b.view);
  return l.status;
}

int fsy_op_stat(fsy_task *t) {
  const fsy_sqe *q = &t->sqe;
  const char *text = fsy_at(t->ring, q->path, q->path_bytes);
  if (!text || q->count > FSY_MAX_ROWS || q->count > q->path_bytes) return -EINVAL;
  if ((q->flags & FSY_WALK_CONFINED) && (q->fd1 < 0 || q->fd0 < 0)) return -EINVAL;
  fsy_builder b;
  int status = fsy_builder_open(&b, t->ring, q->count, q->path_bytes);
  if (status) return status;
  bool confined = q->flags & FSY_WALK_CONFINED;
  asking a = {q->fd0 == FSY_CWD ? AT_FDCWD : q->fd0, q->flags, confined ? q->fd1 : FSY_NO_FD, false, false, 0};
  uint32_t at = 0;
  for (uint32_t row = 0; row < q->count && !status; row++) {
    size_t length = strnlen(text + at, q->path_bytes - at);
    if (length == q->path_bytes - at) status = -EINVAL; /* not terminated */
    else {
      uint32_t name_at = fsy_builder_text(&b, text + at, (uint32_t)length);
      if (!name_at) status = -ENOMEM;
      else {
        row_name(&b, row, name_at, (uint32_t)length);
        if (fsy_cancelled(t->ring)) fsy_builder_fail(&b, row, -ECANCELED);
        else if (length == 0 || (a.dir != AT_FDCWD && !fsy_name_ok(text + at, length)))
          fsy_builder_fail(&b, row, length == 0 ? -ENOENT : length > FSY_NAME_MAX ? -ENAMETOOLONG : -EINVAL);
        else row_stat(t, &b, row, &a, text + at);
        at += (uint32_t)length + 1;
      }
    }
  }
  if (status) {
    (void)fsy_heap_give(t->ring->heap, b.block);
    return status;
  }
  t->cqe.count = q->count;
  t->cqe.block = fsy_builder_close(&b);
  return 0;
}
