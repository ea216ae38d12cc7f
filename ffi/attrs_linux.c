/* Extended attributes and ACLs: digest and copy.
 *
 * Names fall into classes: user.* (FSY_ATTR_XATTRS), trusted.* and security.* (also FSY_ATTR_PRIVILEGED), ACLs
 * (FSY_ATTR_ACLS). An NFSv4 ACL is `late`: chmod would change it, so it is written after the mode; a POSIX ACL goes
 * before it. The digest is XXH3-64 over (name length, value length, name, value) of all names in byte order, which
 * is also the form in which attributes travel to another process. What is written comes from a file or from that form;
 * the classes decide in both cases.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

enum { NOT_WANTED = 0, WANTED = 1, WANTED_LATE = 2 };

static bool starts(const char *name, const char *prefix) { return strncmp(name, prefix, strlen(prefix)) == 0; }

static bool is_acl(const char *name) { return starts(name, "system."); }

/* An NFSv4 ACL belongs to the filesystem's kind: it can be changed, not removed. */
static bool is_intrinsic(const char *name) { return starts(name, "system.nfs4_acl"); }

static int class_of(const char *name, uint32_t which) {
  if (starts(name, "user.")) return (which & FSY_ATTR_XATTRS) ? WANTED : NOT_WANTED;
  if (starts(name, "system.")) {
    if (!(which & FSY_ATTR_ACLS)) return NOT_WANTED;
    if (!strcmp(name, "system.posix_acl_access") || !strcmp(name, "system.posix_acl_default") ||
        !strcmp(name, "system.richacl"))
      return WANTED;
    return !strcmp(name, "system.nfs4_acl") || !strcmp(name, "system.nfs4_acl_xdr") ? WANTED_LATE : NOT_WANTED;
  }
  /* XFS shows its ACLs a second time, to root, under these names: writing both would let an old one win */
  if (!strcmp(name, "trusted.SGI_ACL_FILE") || !strcmp(name, "trusted.SGI_ACL_DEFAULT")) return NOT_WANTED;
  if (starts(name, "trusted.") || starts(name, "security."))
    return (which & FSY_ATTR_XATTRS) && (which & FSY_ATTR_PRIVILEGED) ? WANTED : NOT_WANTED;
  return NOT_WANTED;
}

uint32_t fsy_attr_mask(uint32_t options) {
  return ((options & FSY_OPT_XATTRS) ? FSY_ATTR_XATTRS : 0) | ((options & FSY_OPT_ACLS) ? FSY_ATTR_ACLS : 0) |
         ((options & FSY_OPT_XATTR_PRIVILEGED) ? FSY_ATTR_PRIVILEGED : 0);
}

/* ---- one place to ask: a descriptor, an O_PATH descriptor, a name in a directory ----------------------------- */

typedef struct place {
  fsy_ring *ring;
  fsy_by by;
  bool follow; /* the path's last link */
  int fd;
  const char *name;
  char path[FSY_PROC_PATH + FSY_NAME_MAX + 2];
} place;

static bool has_xattrat(const place *p) {
  return p->by == FSY_BY_NAME && !atomic_load_explicit(&p->ring->no_xattrat, memory_order_relaxed);
}

/* The path for the calls that want one. Formatting it costs as much as the call, and most places are never asked so. */
static const char *path_of(place *p) {
  if (!*p->path && p->by == FSY_BY_PATH_FD) (void)snprintf(p->path, sizeof(p->path), "/proc/self/fd/%d", p->fd);
  else if (!*p->path) (void)snprintf(p->path, sizeof(p->path), "/proc/self/fd/%d/%s", p->fd, p->name);
  return p->path;
}

static bool place_open(place *p, fsy_ring *ring, fsy_subject s, bool follow) {
  p->ring = ring;
  p->by = s.by;
  p->fd = s.fd;
  p->name = s.name;
  /* the magic link of an O_PATH descriptor leads to the inode itself, a symlink included */
  p->follow = follow || s.by == FSY_BY_PATH_FD;
  *p->path = 0;
  return s.by != FSY_BY_NAME || strlen(s.name) <= FSY_NAME_MAX;
}

static ssize_t place_list(place *p, char *to, size_t room) {
  if (p->by == FSY_BY_FD) return flistxattr(p->fd, to, room);
  if (has_xattrat(p)) {
    ssize_t got = fsy_sys_listxattrat(p->fd, p->name, p->follow ? 0 : AT_SYMLINK_NOFOLLOW, to, room);
    if (got >= 0 || (errno != ENOSYS && errno != EPERM)) return got;
    atomic_store_explicit(&p->ring->no_xattrat, true, memory_order_relaxed);
  }
  return p->follow ? listxattr(path_of(p), to, room) : llistxattr(path_of(p), to, room);
}

static ssize_t place_get(place *p, const char *key, void *to, size_t room) {
  if (p->by == FSY_BY_FD) return fgetxattr(p->fd, key, to, room);
  if (has_xattrat(p)) {
    ssize_t got = fsy_sys_getxattrat(p->fd, p->name, p->follow ? 0 : AT_SYMLINK_NOFOLLOW, key, to, room);
    if (got >= 0 || (errno != ENOSYS && errno != EPERM)) return got;
    atomic_store_explicit(&p->ring->no_xattrat, true, memory_order_relaxed);
  }
  return p->follow ? getxattr(path_of(p), key, to, room) : lgetxattr(path_of(p), key, to, room);
}

static int place_set(place *p, const char *key, const void *value, size_t bytes) {
  if (p->by == FSY_BY_FD) return fsetxattr(p->fd, key, value, bytes, 0);
  return p->follow ? setxattr(path_of(p), key, value, bytes, 0) : lsetxattr(path_of(p), key, value, bytes, 0);
}

static int place_remove(place *p, const char *key) {
  if (p->by == FSY_BY_FD) return fremovexattr(p->fd, key);
  return p->follow ? removexattr(path_of(p), key) : lremovexattr(path_of(p), key);
}

static bool unsupported_error(int error) { return error == ENOTSUP || error == EOPNOTSUPP || error == ENOSYS; }

/* ---- reading ------------------------------------------------------------------------------------------------------ */

/* The NUL-separated names of `p` into `buffer`; bytes, or -errno. */
static ssize_t list_all(place *p, fsy_buffer *buffer) {
  if (!fsy_reserve(buffer, 4096)) return -ENOMEM;
  for (;;) {
    ssize_t got = FSY_TRY(listxattr, place_list(p, (char *)buffer->at, buffer->room));
    if (got >= 0) return got;
    if (errno != ERANGE || buffer->room >= FSY_XATTR_LIST_CAP) return -errno;
    if (!fsy_reserve(buffer, buffer->room * 2)) return -ENOMEM;
  }
}

/* Value of `key` behind `used` bytes of `buffer`; its size, or -errno. */
static ssize_t get_one(place *p, const char *key, fsy_buffer *buffer, size_t used) {
  for (size_t room = 1024;;) {
    if (!fsy_reserve(buffer, used + room)) return -ENOMEM;
    room = buffer->room - used;
    ssize_t got = FSY_TRY(getxattr, place_get(p, key, buffer->at + used, room));
    if (got >= 0) return got;
    if (errno != ERANGE || room > FSY_XATTR_VALUE_MAX) return -errno;
    room = room * 2;
  }
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

const char **fsy_attrs_wanted(fsy_buffer *buffer, size_t bytes, uint32_t which, uint32_t *count) {
  size_t names = 0;
  for (size_t i = 0; i < bytes; i++) names += buffer->at[i] == 0;
  size_t from = (bytes + 15) & ~(size_t)15;
  *count = 0;
  if (!fsy_reserve(buffer, from + (names + 1) * sizeof(char *))) return NULL;
  const char **list = (const char **)(void *)(buffer->at + from);
  for (size_t at = 0; at < bytes;) {
    const char *name = (const char *)buffer->at + at;
    size_t length = strnlen(name, bytes - at);
    if (length == bytes - at) break; /* not terminated: a broken filesystem */
    if (class_of(name, which) != NOT_WANTED) list[(*count)++] = name;
    at += length + 1;
  }
  qsort(list, *count, sizeof(char *), by_name);
  return list;
}

/* The wanted attributes behind `at` of `to`, as they travel and as they are digested: of each name in byte order its
 * length, its value's length, name, value. Bytes, or -errno; *unsupported when the filesystem knows none. */
static ssize_t gather(fsy_task *t, place *p, uint32_t which, fsy_buffer *to, size_t at, bool *unsupported) {
  fsy_worker *w = t->worker;
  ssize_t bytes = list_all(p, &w->names);
  if (bytes < 0 && unsupported_error((int)-bytes)) {
    *unsupported = true;
    return 0;
  }
  if (bytes <= 0) return bytes;
  uint32_t count = 0;
  const char **names = fsy_attrs_wanted(&w->names, (size_t)bytes, which, &count);
  if (!names) return -ENOMEM;
  size_t used = at;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t head[2] = {(uint32_t)strlen(names[i]), 0};
    size_t from = used;
    used += sizeof(head) + head[0];
    if (!fsy_reserve(to, used)) return -ENOMEM;
    ssize_t got = get_one(p, names[i], to, used);
    if (got == -ENODATA) { /* removed meanwhile, or listed but empty for us */
      used = from;
      continue;
    }
    if (got < 0) return got;
    head[1] = (uint32_t)got;
    memcpy(to->at + from, head, sizeof(head));
    memcpy(to->at + from + sizeof(head), names[i], head[0]);
    used += (size_t)got;
  }
  return (ssize_t)(used - at);
}

static int digest_place(fsy_task *t, place *p, uint32_t which, uint64_t *digest, bool *unsupported) {
  *digest = 0;
  ssize_t bytes = gather(t, p, which, &t->worker->values, 0, unsupported);
  if (bytes <= 0) return (int)bytes;
  *digest = fsy_xxh3(t->worker->values.at, (size_t)bytes);
  if (*digest == 0) *digest = 1;
  return 0;
}

ssize_t fsy_attrs_gather(fsy_task *t, fsy_subject s, uint32_t which, fsy_buffer *to, size_t at) {
  place p;
  bool unsupported = false;
  if (!place_open(&p, t->ring, s, false)) return -ENAMETOOLONG;
  ssize_t bytes = gather(t, &p, which, to, at, &unsupported);
  return bytes > FSY_ATTRS_MAX ? -E2BIG : bytes;
}

int fsy_attrs_digest(fsy_task *t, int dir, const char *name, bool follow, uint32_t which, uint64_t *digest,
                     bool *unsupported) {
  place p;
  int opened = -1;
  fsy_subject s = {*name ? FSY_BY_NAME : FSY_BY_FD, dir, name};
  if (s.by == FSY_BY_NAME && (dir == AT_FDCWD || strlen(name) > FSY_NAME_MAX)) {
    /* an operator's path: /proc/self/fd/N/path would not hold it */
    opened = openat(dir, name, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    if (opened < 0) return -errno;
    s = (fsy_subject){FSY_BY_PATH_FD, opened, ""};
  }
  int status = place_open(&p, t->ring, s, follow) ? digest_place(t, &p, which, digest, unsupported) : -ENAMETOOLONG;
  if (opened >= 0) close(opened);
  return status;
}

bool fsy_attrs_any(fsy_task *t, int fd, uint32_t which) {
  place p;
  if (!place_open(&p, t->ring, (fsy_subject){FSY_BY_FD, fd, ""}, false)) return false;
  ssize_t bytes = list_all(&p, &t->worker->names);
  if (bytes < 0) return !unsupported_error((int)-bytes);
  uint32_t count = 0;
  return bytes > 0 && fsy_attrs_wanted(&t->worker->names, (size_t)bytes, which, &count) && count > 0;
}

bool fsy_has_default_acl(int dir) { return fgetxattr(dir, "system.posix_acl_default", NULL, 0) > 0; }

/* ---- copying --------------------------------------------------------------------------------------------------------- */

static void warn_about(fsy_result *r, const char *name, int error) {
  fsy_warn(r, is_acl(name) ? FSY_WARN_ACL : FSY_WARN_XATTR, error);
}

static bool contains(const char **names, uint32_t count, const char *name) {
  return bsearch(&name, names, count, sizeof(char *), by_name) != NULL;
}

/* ---- attributes that came over the wire ------------------------------------------------------------------------------ */

static uint32_t get32(const uint8_t *at) {
  return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

bool fsy_attrs_ok(const uint8_t *blob, size_t bytes) {
  const uint8_t *last = NULL;
  uint32_t last_length = 0;
  for (size_t at = 0; at < bytes;) {
    if (bytes - at < 8) return false;
    uint32_t name = get32(blob + at), value = get32(blob + at + 4);
    at += 8;
    if (name < 1 || name > FSY_NAME_MAX || value > FSY_XATTR_VALUE_MAX || bytes - at < (size_t)name + value) return false;
    if (memchr(blob + at, 0, name)) return false;
    if (last) {
      int order = memcmp(last, blob + at, last_length < name ? last_length : name);
      if (order > 0 || (order == 0 && last_length >= name)) return false;
    }
    last = blob + at;
    last_length = name;
    at += (size_t)name + value;
  }
  return true;
}

/* As list_all: the names, each with a NUL. */
static ssize_t blob_names(const fsy_attrs_from *from, fsy_buffer *buffer) {
  size_t used = 0;
  if (!fsy_reserve(buffer, from->bytes + 1)) return -ENOMEM; /* each head is longer than a NUL */
  for (size_t at = 0; at < from->bytes;) {
    uint32_t name = get32(from->blob + at), value = get32(from->blob + at + 4);
    memcpy(buffer->at + used, from->blob + at + 8, name);
    used += name;
    buffer->at[used++] = 0;
    at += 8 + (size_t)name + value;
  }
  return (ssize_t)used;
}

/* As get_one. Names are asked for in their order: *at is where to go on. */
static ssize_t blob_get(const fsy_attrs_from *from, size_t *at, const char *key, fsy_buffer *buffer) {
  size_t length = strlen(key);
  while (*at < from->bytes) {
    const uint8_t *head = from->blob + *at;
    uint32_t name = get32(head), value = get32(head + 4);
    *at += 8 + (size_t)name + value;
    if (name != length || memcmp(head + 8, key, length) != 0) continue;
    if (!fsy_reserve(buffer, (size_t)value + 1)) return -ENOMEM;
    memcpy(buffer->at, head + 8 + name, value);
    return (ssize_t)value;
  }
  return -ENODATA;
}

uint32_t fsy_attrs_sync(fsy_task *t, fsy_attrs_from source, fsy_subject target, uint32_t which, bool target_bare,
                        bool late, fsy_result *r) {
  fsy_worker *w = t->worker;
  place from, to;
  uint32_t done = 0;
  size_t blob_at = 0;
  if (!place_open(&from, t->ring, source.place, false) || !place_open(&to, t->ring, target, false)) {
    fsy_warn(r, FSY_WARN_XATTR, ENAMETOOLONG);
    return 0;
  }
  ssize_t bytes = source.error           ? -source.error
                  : source.blob          ? blob_names(&source, &w->names)
                  : source.place.fd < 0  ? 0 /* no source: nothing is wanted there */
                                         : list_all(&from, &w->names);
  if (bytes < 0 && !unsupported_error((int)-bytes)) {
    fsy_warn(r, (which & FSY_ATTR_XATTRS) ? FSY_WARN_XATTR : FSY_WARN_ACL, (int)-bytes);
    return 0;
  }
  uint32_t count = 0;
  const char **names = fsy_attrs_wanted(&w->names, bytes > 0 ? (size_t)bytes : 0, which, &count);
  if (!names) {
    fsy_warn(r, FSY_WARN_XATTR, ENOMEM);
    return 0;
  }
  for (uint32_t i = 0; i < count; i++) {
    bool is_late = class_of(names[i], which) == WANTED_LATE;
    if (is_late) done |= FSY_SYNC_HAS_LATE;
    if (is_late != late) continue;
    ssize_t size = source.blob ? blob_get(&source, &blob_at, names[i], &w->values)
                               : get_one(&from, names[i], &w->values, 0);
    if (size == -ENODATA) continue;
    if (size < 0) {
      warn_about(r, names[i], (int)-size);
      continue;
    }
    if (!target_bare) { /* already so: leave its ctime alone */
      ssize_t has = get_one(&to, names[i], &w->values, (size_t)size);
      if (has == size && memcmp(w->values.at, w->values.at + size, (size_t)size) == 0) continue;
    }
    if (FSY_TRY(setxattr, place_set(&to, names[i], w->values.at, (size_t)size)) < 0) warn_about(r, names[i], errno);
    else if (!strcmp(names[i], "system.posix_acl_access") || !strcmp(names[i], "system.richacl"))
      done |= FSY_SYNC_SET_ACCESS;
  }
  if (target_bare || late) return done;
  ssize_t extra = list_all(&to, &w->values);
  if (extra < 0 && !unsupported_error((int)-extra)) /* what the source lacks may have stayed */
    fsy_warn(r, (which & FSY_ATTR_XATTRS) ? FSY_WARN_XATTR : FSY_WARN_ACL, (int)-extra);
  for (ssize_t at = 0; at < extra;) {
    const char *name = (const char *)w->values.at + at;
    size_t length = strnlen(name, (size_t)(extra - at));
    if ((ssize_t)length == extra - at) break;
    at += (ssize_t)length + 1;
    if (class_of(name, which) == NOT_WANTED || is_intrinsic(name) || contains(names, count, name)) continue;
    if (FSY_TRY(removexattr, place_remove(&to, name)) < 0 && errno != ENODATA) warn_about(r, name, errno);
    else if (is_acl(name)) done |= FSY_SYNC_SET_ACCESS;
  }
  return done;
}
