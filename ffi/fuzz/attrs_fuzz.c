/* Attributes: the list of names that a filesystem gives, and the form in which they come from a peer, applied to a file.
 *
 *   u8 which (FSY_ATTR_*, 3 bits), u8 form (0: a list, 1: from a peer, to a file; 2: to a directory), the bytes */
#include "fuzz.h"

#include <sys/xattr.h>

static client c;
static fsy_worker *worker;
static int place;
static fsy_task task;

static void prepare(void) {
  c = client_open(1);
  worker = fsy_worker_new(c.ring);
  place = fuzz_directory();
  fsy_sqe none;
  memset(&none, 0, sizeof(none));
  fsy_task_open(&task, c.ring, worker, &none);
}

static bool begins(const char *name, const char *prefix) { return strncmp(name, prefix, strlen(prefix)) == 0; }

static bool may_be_wanted(const char *name, uint32_t which) {
  if (begins(name, "user.")) return which & FSY_ATTR_XATTRS;
  if (begins(name, "system.")) return which & FSY_ATTR_ACLS;
  return (begins(name, "trusted.") || begins(name, "security.")) && (which & FSY_ATTR_PRIVILEGED) &&
         (which & FSY_ATTR_XATTRS);
}

static void check_list(const uint8_t *list, size_t bytes, uint32_t which) {
  fsy_buffer buffer = {NULL, 0};
  uint32_t count;
  HOLDS(fsy_reserve(&buffer, bytes + 1));
  memcpy(buffer.at, list, bytes);
  const char **names = fsy_attrs_wanted(&buffer, bytes, which, &count);
  HOLDS(names && count <= bytes);
  for (uint32_t i = 0; i < count; i++) {
    HOLDS((const uint8_t *)names[i] >= buffer.at && (const uint8_t *)names[i] + strlen(names[i]) < buffer.at + bytes);
    HOLDS(may_be_wanted(names[i], which));
    HOLDS(i == 0 || strcmp(names[i - 1], names[i]) <= 0);
  }
  free(buffer.at);
}

static bool blob_has(const uint8_t *blob, size_t bytes, const char *name) {
  for (size_t i = 0; i < bytes; i += 8 + fsy_get32(blob + i) + fsy_get32(blob + i + 4))
    if (fsy_get32(blob + i) == strlen(name) && memcmp(blob + i + 8, name, strlen(name)) == 0) return true;
  return false;
}

/* Nothing of a class that was not asked for, and what the filesystem took as it was sent. */
static void check_applied(int fd, const uint8_t *blob, size_t bytes, uint32_t which, const fsy_result *r) {
  static char list[65536], value[65537];
  ssize_t listed = flistxattr(fd, list, sizeof(list));
  for (ssize_t i = 0; i < listed; i += (ssize_t)strlen(list + i) + 1)
    HOLDS(may_be_wanted(list + i, which) || begins(list + i, "security.") || begins(list + i, "trusted.SGI_ACL_"));
  for (size_t i = 0; i < bytes && r->warnings == 0;) {
    char name[FSY_NAME_MAX + 1];
    uint32_t name_len = fsy_get32(blob + i), value_len = fsy_get32(blob + i + 4);
    memcpy(name, blob + i + 8, name_len);
    name[name_len] = 0;
    if (may_be_wanted(name, which) && (begins(name, "user.") || begins(name, "trusted.")) && !begins(name, "trusted.SGI_")) {
      HOLDS(fgetxattr(fd, name, value, sizeof(value)) == (ssize_t)value_len);
      HOLDS(memcmp(value, blob + i + 8 + name_len, value_len) == 0);
    }
    i += 8 + name_len + value_len;
  }
}

static void apply(const uint8_t *blob, size_t bytes, uint32_t which, bool directory) {
  HOLDS(!directory || mkdirat(place, "d", 0700) == 0);
  int fd = directory ? openat(place, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                     : openat(place, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  HOLDS(fd >= 0);
  /* what the peer has not goes, where it is of a class that was asked for */
  bool old = (which & FSY_ATTR_XATTRS) && fsetxattr(fd, "user.old", "it was there", 12, 0) == 0;
  fsy_attrs_from from = fsy_attrs_of(FSY_BY_FD, FSY_NO_FD);
  from.blob = blob;
  from.bytes = bytes;
  for (int late = 0; late < 2; late++) {
    fsy_result r;
    memset(&r, 0, sizeof(r));
    (void)fsy_attrs_sync(&task, from, (fsy_subject){FSY_BY_FD, fd, ""}, which, false, late, &r);
    if (!late) check_applied(fd, blob, bytes, which, &r);
    if (old && r.warnings == 0) HOLDS(blob_has(blob, bytes, "user.old") == (fgetxattr(fd, "user.old", NULL, 0) >= 0));
  }
  /* what is there then travels in a form that is taken */
  ssize_t again = fsy_attrs_gather(&task, (fsy_subject){FSY_BY_FD, fd, ""}, which, &worker->values, 0);
  HOLDS(again < 0 || fsy_attrs_ok(worker->values.at, (size_t)again));
  close(fd);
  if (directory) HOLDS(unlinkat(place, "d", AT_REMOVEDIR) == 0);
}

void fuzz_attrs(const uint8_t *data, size_t bytes) {
  if (!c.ring) prepare();
  feed in = {data, bytes};
  uint32_t which = take8(&in) % 8, form = take8(&in) % 3;
  uint8_t *blob = take_exact(&in, in.left, &bytes);
  if (form == 0) check_list(blob, bytes, which);
  else if (fsy_attrs_ok(blob, bytes)) apply(blob, bytes, which, form == 2);
  free(blob);
}

void fuzz_attrs_end(void) {
  if (!c.ring) return;
  fsy_worker_free(worker);
  fsy_close(c.ring);
  c.ring = NULL;
  close(place);
}
