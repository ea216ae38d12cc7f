/* A filesystem with NFSv4 ACLs where there is none: preloaded, it shows the attribute user.nfs4_acl_xdr__ under the
 * name system.nfs4_acl_xdr, as ZFS on TrueNAS has it. With NFS4_SHIM=source nothing takes such an attribute. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static const char shown[] = "system.nfs4_acl_xdr";
static const char kept[] = "user.nfs4_acl_xdr__";
_Static_assert(sizeof(shown) == sizeof(kept), "a list of names is rewritten in place");

static const char *real_name(const char *name) { return strcmp(name, shown) == 0 ? kept : name; }

static int refuses(const char *name) {
  const char *mode = getenv("NFS4_SHIM");
  return strcmp(name, shown) == 0 && mode && strcmp(mode, "source") == 0;
}

static ssize_t show(char *list, size_t room, ssize_t length) {
  if (length <= 0 || room == 0) return length;
  for (ssize_t at = 0; at < length; at += (ssize_t)strlen(list + at) + 1)
    if (strcmp(list + at, kept) == 0) memcpy(list + at, shown, sizeof(shown));
  return length;
}

#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define BY_PATH(get, set, list, remove)                                                      \
  ssize_t get(const char *path, const char *name, void *value, size_t size) {                \
    NEXT(get);                                                                               \
    return next(path, real_name(name), value, size);                                         \
  }                                                                                          \
  int set(const char *path, const char *name, const void *value, size_t size, int flags) {   \
    NEXT(set);                                                                               \
    if (refuses(name)) return errno = EOPNOTSUPP, -1;                                        \
    return next(path, real_name(name), value, size, flags);                                  \
  }                                                                                          \
  ssize_t list(const char *path, char *names, size_t size) {                                 \
    NEXT(list);                                                                              \
    return show(names, size, next(path, names, size));                                       \
  }                                                                                          \
  int remove(const char *path, const char *name) {                                           \
    NEXT(remove);                                                                            \
    return next(path, real_name(name));                                                      \
  }

BY_PATH(getxattr, setxattr, listxattr, removexattr)
BY_PATH(lgetxattr, lsetxattr, llistxattr, lremovexattr)

ssize_t fgetxattr(int fd, const char *name, void *value, size_t size) {
  NEXT(fgetxattr);
  return next(fd, real_name(name), value, size);
}
int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags) {
  NEXT(fsetxattr);
  if (refuses(name)) return errno = EOPNOTSUPP, -1;
  return next(fd, real_name(name), value, size, flags);
}
ssize_t flistxattr(int fd, char *names, size_t size) {
  NEXT(flistxattr);
  return show(names, size, next(fd, names, size));
}
int fremovexattr(int fd, const char *name) {
  NEXT(fremovexattr);
  return next(fd, real_name(name));
}
