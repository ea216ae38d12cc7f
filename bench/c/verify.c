/* verify: holds a copy to its source before a figure of it counts.
 *   verify full SOURCE TARGET      type, mode, owner, size, mtime in ns (directories too), link text, every byte, holes,
 *                                  which names are of one inode, extended attributes
 *   verify content SOURCE TARGET   type, size and every byte: for tools that promise no more
 * Prints the first differences and exits 1, or prints the number of entries and exits 0.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, MAX_SHOWN = 10 };

static bool full;
static unsigned long entries, differences;
static char *left, *right;

static void differ(const char *path, const char *name, const char *what) {
  if (differences++ < MAX_SHOWN) printf("%s/%s: %s\n", path, name, what);
}

static off_t next_data(int fd, off_t at, off_t size) {
  off_t data = lseek(fd, at, SEEK_DATA);
  if (data >= 0) return data;
  return errno == ENXIO ? size : at;
}

static ssize_t read_at(int fd, char *to, size_t length, off_t at) {
  size_t done = 0;
  while (done < length) {
    ssize_t n = pread(fd, to + done, length - done, at + (off_t)done);
    if (n < 0) return -1;
    if (n == 0) break;
    done += (size_t)n;
  }
  return (ssize_t)done;
}

static bool same_content(int a, int b, off_t size) {
  for (off_t at = 0; at < size; at += CHUNK) {
    if (size > CHUNK) {
      off_t x = next_data(a, at, size), y = next_data(b, at, size);
      off_t skip = x < y ? x : y;
      if (skip >= size) return true;
      if (skip > at) at = skip - skip % CHUNK;
    }
    size_t length = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
    if (read_at(a, left, length, at) != (ssize_t)length || read_at(b, right, length, at) != (ssize_t)length) return false;
    if (memcmp(left, right, length) != 0) return false;
  }
  return true;
}

static void compare_file(int a, int b, const char *path, const char *name, const struct stat *x, const struct stat *y) {
  if (x->st_size != y->st_size) {
    differ(path, name, "size");
    return;
  }
  off_t hole = x->st_size - x->st_blocks * 512;
  if (full && hole > CHUNK && (y->st_blocks - x->st_blocks) * 512 > hole / 4) differ(path, name, "holes were filled");
  if (x->st_size == 0) return;
  int fa = openat(a, name, O_RDONLY | O_CLOEXEC), fb = openat(b, name, O_RDONLY | O_CLOEXEC);
  if (fa < 0 || fb < 0 || !same_content(fa, fb, x->st_size)) differ(path, name, "content");
  if (fa >= 0) close(fa);
  if (fb >= 0) close(fb);
}

static void compare_link(int a, int b, const char *path, const char *name) {
  char x[4097], y[4097];
  ssize_t n = readlinkat(a, name, x, sizeof x), m = readlinkat(b, name, y, sizeof y);
  if (n != m || n < 0 || memcmp(x, y, (size_t)n) != 0) differ(path, name, "link");
}

static void compare_metadata(const char *path, const char *name, const struct stat *x, const struct stat *y) {
  if (x->st_mode != y->st_mode) differ(path, name, "mode");
  if (x->st_uid != y->st_uid || x->st_gid != y->st_gid) differ(path, name, "owner");
  if (x->st_mtim.tv_sec != y->st_mtim.tv_sec || x->st_mtim.tv_nsec != y->st_mtim.tv_nsec) differ(path, name, "mtime");
}

typedef struct pair {
  ino_t source, target;
} pair;

static int by_source(const void *a, const void *b) {
  const pair *x = a, *y = b;
  return x->source < y->source ? -1 : x->source > y->source;
}

/* Equal counts of names, and every inode of the source is one inode of the target. */
static void compare_names(const char *path, const char *name, const struct stat *x, const struct stat *y) {
  static void *known;
  if (x->st_nlink != y->st_nlink) {
    differ(path, name, "number of names");
    return;
  }
  if (x->st_nlink < 2) return;
  pair *one = malloc(sizeof *one);
  *one = (pair){x->st_ino, y->st_ino};
  pair **found = tsearch(one, &known, by_source);
  if (found == NULL) err(2, "tsearch");
  if (*found == one) return;
  if ((*found)->target != one->target) differ(path, name, "another inode than its other names");
  free(one);
}

enum { ATTRIBUTES = 1 << 16 };

static void compare_attributes(int a, int b, const char *path, const char *name) {
  static char x[ATTRIBUTES], y[ATTRIBUTES], names[ATTRIBUTES];
  char from[300], to[300];
  snprintf(from, sizeof from, "/proc/self/fd/%d/%s", a, name);
  snprintf(to, sizeof to, "/proc/self/fd/%d/%s", b, name);
  ssize_t length = llistxattr(from, names, sizeof names), other = llistxattr(to, NULL, 0);
  if (length < 0 && errno == ENOTSUP) length = 0;
  if (length != (other < 0 && errno == ENOTSUP ? 0 : other)) {
    differ(path, name, "names of attributes");
    return;
  }
  for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
    ssize_t n = lgetxattr(from, names + at, x, sizeof x), m = lgetxattr(to, names + at, y, sizeof y);
    if (n == m && n >= 0 && memcmp(x, y, (size_t)n) == 0) continue;
    differ(path, name, "attributes");
    return;
  }
}

static unsigned long count_names(int fd) {
  unsigned long n = 0;
  DIR *dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (dir == NULL) err(2, "opendir");
  rewinddir(dir);
  for (struct dirent *e; (e = readdir(dir)) != NULL;) n++;
  closedir(dir);
  return n;
}

static void compare_directories(int a, int b, const char *path);

static void compare_entry(int a, int b, const char *path, const char *name) {
  struct stat x, y;
  entries++;
  if (fstatat(a, name, &x, AT_SYMLINK_NOFOLLOW) != 0) err(2, "%s/%s", path, name);
  if (fstatat(b, name, &y, AT_SYMLINK_NOFOLLOW) != 0) {
    differ(path, name, "missing");
    return;
  }
  if ((x.st_mode & S_IFMT) != (y.st_mode & S_IFMT)) {
    differ(path, name, "type");
    return;
  }
  if (full) {
    compare_metadata(path, name, &x, &y);
    compare_attributes(a, b, path, name);
    if (!S_ISDIR(x.st_mode)) compare_names(path, name, &x, &y);
  }
  if (S_ISREG(x.st_mode)) compare_file(a, b, path, name, &x, &y);
  else if (S_ISLNK(x.st_mode)) compare_link(a, b, path, name);
  else if (S_ISDIR(x.st_mode)) {
    int inner_a = openat(a, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int inner_b = openat(b, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (inner_a < 0 || inner_b < 0) err(2, "%s/%s", path, name);
    char *inner;
    if (asprintf(&inner, "%s/%s", path, name) < 0) err(2, "asprintf");
    compare_directories(inner_a, inner_b, inner);
    free(inner);
    close(inner_a);
    close(inner_b);
  }
}

static void compare_directories(int a, int b, const char *path) {
  unsigned long seen = 0;
  DIR *dir = fdopendir(fcntl(a, F_DUPFD_CLOEXEC, 0));
  if (dir == NULL) err(2, "opendir");
  for (struct dirent *e; (e = readdir(dir)) != NULL; seen++)
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) compare_entry(a, b, path, e->d_name);
  closedir(dir);
  /* Every name of the source was found, so equal counts leave no room for an extra one. */
  if (count_names(b) != seen) differ(path, ".", "another number of entries");
}

int main(int argc, char **argv) {
  if (argc != 4) errx(2, "usage: verify full|content SOURCE TARGET");
  full = strcmp(argv[1], "full") == 0;
  left = malloc(CHUNK);
  right = malloc(CHUNK);
  struct stat x, y;
  if (stat(argv[2], &x) != 0) err(2, "%s", argv[2]);
  if (stat(argv[3], &y) != 0) err(1, "%s", argv[3]);
  int a = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC), b = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (a < 0 || b < 0) err(1, "open");
  if (full) compare_metadata("", ".", &x, &y);
  compare_directories(a, b, "");
  if (differences > 0) {
    printf("%lu differences\n", differences);
    return 1;
  }
  printf("%lu\n", entries);
  return 0;
}
