/* Opening directories below a held descriptor, and the operator's own paths.
 *
 * Below a descriptor: openat2(RESOLVE_BENEATH | NO_SYMLINKS | NO_MAGICLINKS) in one call where the kernel has it, else
 * one component at a time with O_NOFOLLOW. `..` is refused in both, an absolute path too.
 * A link that may be followed but not out of a directory: openat2(RESOLVE_BENEATH) from that directory. There is no other
 * way that a race could not lead astray; a kernel without openat2 does not follow.
 * The operator's path: one component at a time; a symlink is followed only when root or the effective user owns it, so
 * that nobody else can redirect a run (a link planted in a shared directory). */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK)
#define LINKS_MAX 40
#define CONFINED_TRIES 64
#define PATH_BYTES_MAX (1u << 20)

void fsy_proc_path(char out[FSY_PROC_PATH], int fd) { (void)snprintf(out, FSY_PROC_PATH, "/proc/self/fd/%d", fd); }

/* One component into `name`; returns what follows, NULL at the end. -errno in *status for a name that is too long. */
static const char *component(const char *path, char name[FSY_NAME_MAX + 1], int *status) {
  while (*path == '/') path++;
  if (!*path) return NULL;
  size_t length = strcspn(path, "/");
  if (length > FSY_NAME_MAX) {
    *status = -ENAMETOOLONG;
    return NULL;
  }
  memcpy(name, path, length);
  name[length] = 0;
  return path + length;
}

/* 0 when the path may be walked below a descriptor. */
static int check_relative(const char *path) {
  if (*path == '/') return -EXDEV;
  for (const char *p = path; *p;) {
    size_t length = strcspn(p, "/");
    if (length == 2 && p[0] == '.' && p[1] == '.') return -EXDEV;
    if (length > FSY_NAME_MAX) return -ENAMETOOLONG;
    p += length;
    while (*p == '/') p++;
  }
  return 0;
}

int fsy_open_beneath(fsy_ring *ring, int base, const char *path, bool create, bool *created) {
  int status = check_relative(path);
  if (status) return status;
  if (!*path) path = ".";
  if (!atomic_load_explicit(&ring->no_openat2, memory_order_relaxed)) {
    struct fsy_open_how how = {OPEN_DIR, 0, FSY_RESOLVE_BENEATH | FSY_RESOLVE_NO_SYMLINKS | FSY_RESOLVE_NO_MAGICLINKS};
    int fd = fsy_sys_openat2(base, path, &how);
    if (fd >= 0) return fd;
    if (errno == ENOSYS || errno == EPERM || errno == E2BIG || errno == EINVAL)
      atomic_store_explicit(&ring->no_openat2, true, memory_order_relaxed);
    else if (errno != ENAMETOOLONG && errno != EAGAIN && !(errno == ENOENT && create)) return -errno;
  }
  int at = openat(base, ".", OPEN_DIR | O_NOFOLLOW);
  if (at < 0) return -errno;
  char name[FSY_NAME_MAX + 1];
  for (const char *rest = path; (rest = component(rest, name, &status));) {
    if (strcmp(name, ".") == 0) continue;
    int next = openat(at, name, OPEN_DIR | O_NOFOLLOW);
    if (next < 0 && errno == ENOENT && create) {
      if (FSY_TRY(mkdir, mkdirat(at, name, 0700)) == 0 && created) *created = true;
      else if (errno != EEXIST && errno != ENOENT) status = -errno;
      next = openat(at, name, OPEN_DIR | O_NOFOLLOW);
    }
    if (next < 0 && !status) status = -errno;
    close(at);
    at = next;
    if (at < 0) break;
  }
  if (status && at >= 0) {
    close(at);
    at = -1;
  }
  return status ? status : at;
}

/* Where `dir` is below `root`, with a slash at its end, by the kernel's own word; it only says where to look: that the way
 * stays below root is for openat2 to see to. */
static int path_below(int root, int dir, char *out, size_t room) {
  char proc[FSY_PROC_PATH], of[FSY_LINK_MAX + 1], at[FSY_LINK_MAX + 1];
  fsy_proc_path(proc, root);
  ssize_t top = readlink(proc, of, FSY_LINK_MAX);
  fsy_proc_path(proc, dir);
  ssize_t length = top < 0 ? -1 : readlink(proc, at, FSY_LINK_MAX);
  if (length < 0) return -errno;
  if (top == FSY_LINK_MAX || length == FSY_LINK_MAX) return -ENAMETOOLONG;
  of[top] = at[length] = 0;
  if (top == 1) top = 0; /* the root of all has its slash already */
  if (of[0] != '/' || length < top || memcmp(of, at, (size_t)top) != 0 || (at[top] && at[top] != '/')) return -EXDEV;
  const char *rest = at + top;
  while (*rest == '/') rest++;
  int wrote = snprintf(out, room, "%s%s", rest, *rest ? "/" : "");
  return wrote < 0 || (size_t)wrote >= room ? -ENAMETOOLONG : wrote;
}

int fsy_open_confined(int root, int dir, const char *name, int flags) {
  flags = (flags & ~O_NOFOLLOW) | O_CLOEXEC;
  int fd = openat(dir, name, flags | O_NOFOLLOW);
  int error = fd < 0 ? errno : 0;
  struct stat st;
  if (fd >= 0 && (flags & O_PATH) && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
    close(fd);
    error = ELOOP;
  }
  if (!error) return fd;
  if (error != ELOOP && error != ENOTDIR) return -error; /* with O_DIRECTORY a link is no directory */
  char path[FSY_LINK_MAX + FSY_NAME_MAX + 2];
  int at = path_below(root, dir, path, sizeof(path) - FSY_NAME_MAX - 1);
  if (at < 0) return at;
  size_t length = strlen(name);
  if (length > FSY_NAME_MAX) return -ENAMETOOLONG;
  memcpy(path + at, name, length + 1);
  struct fsy_open_how how = {(uint64_t)flags, 0, FSY_RESOLVE_BENEATH | FSY_RESOLVE_NO_MAGICLINKS};
  int tries = 0; /* EAGAIN: something was renamed meanwhile, and the kernel could not tell whether `..` stayed below */
  do fd = fsy_sys_openat2(root, path, &how);
  while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < CONFINED_TRIES);
  return fd < 0 ? -errno : fd;
}

int fsy_open_parent(fsy_ring *ring, int base, const char *path, const char **last) {
  size_t length = strlen(path);
  if (length >= PATH_BYTES_MAX) return -ENAMETOOLONG;
  const char *slash = strrchr(path, '/');
  *last = slash ? slash + 1 : path;
  if (!fsy_name_ok(*last, strlen(*last))) return strlen(*last) > FSY_NAME_MAX ? -ENAMETOOLONG : -EINVAL;
  if (!slash) return fsy_open_beneath(ring, base, "", false, NULL);
  char *parent = strndup(path, (size_t)(slash - path));
  if (!parent) return -ENOMEM;
  int fd = path[0] == '/' ? -EXDEV : fsy_open_beneath(ring, base, parent, false, NULL);
  free(parent);
  return fd;
}

int fsy_open_operator(const char *path, int base, bool create) {
  if (!*path) return -ENOENT;
  int at = *path == '/' ? open("/", OPEN_DIR) : openat(base, ".", OPEN_DIR);
  if (at < 0) return -errno;
  char *rest = strdup(path);
  int status = rest ? 0 : -ENOMEM;
  const char *next = rest;
  char name[FSY_NAME_MAX + 1];
  int links = 0;
  while (!status && (next = component(next, name, &status))) {
    int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && create) {
      if (FSY_TRY(mkdir, mkdirat(at, name, 0700)) < 0 && errno != EEXIST) {
        status = -errno;
        break;
      }
      fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
      status = -errno;
      if (fd >= 0) close(fd);
      break;
    }
    if (S_ISLNK(st.st_mode)) {
      char text[FSY_LINK_MAX + 1];
      ssize_t length = readlinkat(fd, "", text, FSY_LINK_MAX);
      int failed = errno;
      close(fd);
      if (length < 0) status = -failed;
      else if (++links > LINKS_MAX || (st.st_uid != 0 && st.st_uid != geteuid())) status = -ELOOP;
      else if (length == 0 || strlen(next) + (size_t)length + 2 > PATH_BYTES_MAX) status = -ENAMETOOLONG;
      if (status) break;
      text[length] = 0;
      size_t room = (size_t)length + 1 + strlen(next) + 1;
      char *joined = malloc(room);
      if (!joined) {
        status = -ENOMEM;
        break;
      }
      (void)snprintf(joined, room, "%s/%s", text, next);
      free(rest);
      next = rest = joined;
      if (text[0] == '/') {
        close(at);
        at = open("/", OPEN_DIR);
        if (at < 0) status = -errno;
      }
      continue;
    }
    close(at);
    at = fd;
  }
  free(rest);
  if (!status) { /* an O_PATH descriptor cannot list: open what it stands for */
    int fd = openat(at, ".", OPEN_DIR);
    if (fd < 0) status = -errno;
    close(at);
    return status ? status : fd;
  }
  if (at >= 0) close(at);
  return status;
}

int fsy_op_resolve(fsy_task *t) {
  const fsy_sqe *q = &t->sqe;
  const char *path = fsy_string_at(t->ring, q->path, q->path_bytes);
  if (!path) return -EINVAL;
  if (fsy_cancelled(t->ring)) return -ECANCELED;
  bool create = q->flags & FSY_RESOLVE_CREATE;
  int base = q->fd0 == FSY_CWD ? AT_FDCWD : q->fd0;
  bool created = false;
  int fd = (q->flags & FSY_RESOLVE_OPERATOR) ? fsy_open_operator(path, base, create)
                                             : fsy_open_beneath(t->ring, base, path, create, &created);
  if (fd < 0) return fd;
  t->cqe.fd0 = fd;
  return 0;
}
