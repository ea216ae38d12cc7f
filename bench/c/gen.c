/* gen: makes the trees that the bench copies. Deterministic; one thread per processor, each with its own directories.
 *   gen files ROOT COUNT DIRECTORIES SIZE FIRST   files FIRST..FIRST+COUNT-1 spread over ROOT/d0000...
 *   gen deep ROOT CHAINS DEPTH FILES SIZE         FILES spread over CHAINS chains of DEPTH nested directories
 *   gen large PATH SIZE
 *   gen sparse PATH SIZE DATA PIECES              DATA bytes in PIECES equal parts, evenly spaced
 *   gen links ROOT NAMES INODES GROUP             NAMES names of INODES files, GROUP names in a directory
 *   gen xattrs ROOT FILES EACH MOST               EACH attributes on every of FILES files, MOST on one more
 *   gen chains ROOT CHAINS LEVELS BYTES           chains of directories whose names have BYTES bytes, a file in each
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, MAX_THREADS = 16 };

static void fill(unsigned char *to, size_t length, uint64_t seed) {
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
  for (size_t at = 0; at < length; at += 8) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    memcpy(to + at, &state, length - at < 8 ? length - at : 8);
  }
}

static void stamp(int fd, uint64_t number) {
  const struct timespec t = {.tv_sec = 1500000000 + (time_t)(number % 100000000), .tv_nsec = (long)(number * 7919 % 1000000000)};
  const struct timespec times[2] = {t, t};
  if (futimens(fd, times) != 0) err(1, "futimens");
}

static void write_all(int fd, const unsigned char *from, size_t length) {
  while (length > 0) {
    ssize_t n = write(fd, from, length);
    if (n < 0) err(1, "write");
    from += n;
    length -= (size_t)n;
  }
}

static void make_file(int dir, const char *name, uint64_t size, uint64_t seed, unsigned char *block) {
  int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) err(1, "create %s", name);
  for (uint64_t done = 0, part = 0; done < size; part++) {
    size_t length = size - done < BLOCK ? (size_t)(size - done) : BLOCK;
    fill(block, length, seed * 1000003u + part);
    write_all(fd, block, length);
    done += length;
  }
  stamp(fd, seed);
  close(fd);
}

static int make_directory(int parent, const char *name) {
  if (mkdirat(parent, name, 0755) != 0 && errno != EEXIST) err(1, "mkdir %s", name);
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) err(1, "open %s", name);
  return fd;
}

typedef struct {
  int root;
  uint64_t count, groups, depth, size, first, thread, threads;
} job;

/* File n belongs to directory n mod groups; a thread owns the directories congruent to its number. */
static void *make_files(void *argument) {
  const job *j = argument;
  unsigned char *block = malloc(BLOCK);
  for (uint64_t group = j->thread; group < j->groups; group += j->threads) {
    char name[64];
    snprintf(name, sizeof name, "d%04llu", (unsigned long long)group);
    int dir = make_directory(j->root, name);
    for (uint64_t n = group; n < j->count; n += j->groups) {
      snprintf(name, sizeof name, "file%08llu.dat", (unsigned long long)(j->first + n));
      make_file(dir, name, j->size, j->first + n, block);
    }
    stamp(dir, group);
    close(dir);
  }
  free(block);
  return NULL;
}

/* Files are dealt over all directories in turn, so that every directory holds some. */
static void *make_chains(void *argument) {
  const job *j = argument;
  unsigned char *block = malloc(BLOCK);
  int *held = calloc(j->depth + 1, sizeof *held);
  for (uint64_t chain = j->thread; chain < j->groups; chain += j->threads) {
    held[0] = j->root;
    for (uint64_t level = 0; level < j->depth; level++) {
      char name[64];
      snprintf(name, sizeof name, level == 0 ? "chain%04llu" : "level%02llu", (unsigned long long)(level == 0 ? chain : level));
      held[level + 1] = make_directory(held[level], name);
      for (uint64_t n = chain * j->depth + level; n < j->count; n += j->groups * j->depth) {
        snprintf(name, sizeof name, "file%08llu.dat", (unsigned long long)n);
        make_file(held[level + 1], name, j->size, n, block);
      }
    }
    for (uint64_t level = j->depth; level > 0; level--) {
      stamp(held[level], chain * 100 + level);
      close(held[level]);
    }
  }
  free(held);
  free(block);
  return NULL;
}

static void in_parallel(void *(*work)(void *), job base) {
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  uint64_t threads = processors < 1 ? 1 : processors > MAX_THREADS ? MAX_THREADS : (uint64_t)processors;
  pthread_t ids[MAX_THREADS];
  job jobs[MAX_THREADS];
  for (uint64_t i = 0; i < threads; i++) {
    jobs[i] = base;
    jobs[i].thread = i;
    jobs[i].threads = threads;
    if (pthread_create(&ids[i], NULL, work, &jobs[i]) != 0) errx(1, "pthread_create");
  }
  for (uint64_t i = 0; i < threads; i++) pthread_join(ids[i], NULL);
}

static void make_sparse(const char *path, uint64_t size, uint64_t data, uint64_t pieces) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) err(1, "create %s", path);
  if (ftruncate(fd, (off_t)size) != 0) err(1, "ftruncate");
  size_t length = (size_t)(data / pieces);
  unsigned char *piece = malloc(length);
  for (uint64_t i = 0; i < pieces; i++) {
    fill(piece, length, i + 1);
    if (pwrite(fd, piece, length, (off_t)(size / pieces * i)) != (ssize_t)length) err(1, "pwrite");
  }
  free(piece);
  stamp(fd, 1);
  close(fd);
}

/* The names of an inode lie far apart: name n is of inode n mod inodes. */
static void make_links(int root, uint64_t names, uint64_t inodes, uint64_t group) {
  unsigned char *block = malloc(BLOCK);
  char name[64], leader[64];
  int dir = -1;
  for (uint64_t n = 0; n < names; n++) {
    if (n % group == 0) {
      if (dir >= 0) stamp(dir, n), close(dir);
      snprintf(name, sizeof name, "d%04llu", (unsigned long long)(n / group));
      dir = make_directory(root, name);
    }
    snprintf(name, sizeof name, "name%08llu", (unsigned long long)n);
    if (n < inodes) {
      make_file(dir, name, 512, n, block);
    } else {
      snprintf(leader, sizeof leader, "d%04llu/name%08llu", (unsigned long long)(n % inodes / group), (unsigned long long)(n % inodes));
      if (linkat(root, leader, dir, name, 0) != 0) err(1, "link %s", name);
    }
  }
  if (dir >= 0) stamp(dir, names), close(dir);
  free(block);
}

static void add_attributes(int dir, const char *name, uint64_t count) {
  char key[64], value[64];
  int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) err(1, "open %s", name);
  for (uint64_t n = 0; n < count; n++) {
    snprintf(key, sizeof key, "user.a%05llu", (unsigned long long)n);
    int length = snprintf(value, sizeof value, "value %llu of %s", (unsigned long long)n, name);
    if (fsetxattr(fd, key, value, (size_t)length, 0) != 0) err(1, "fsetxattr %s", key);
  }
  close(fd);
}

static void make_attributes(int root, uint64_t files, uint64_t each, uint64_t most) {
  unsigned char *block = malloc(BLOCK);
  char name[64];
  for (uint64_t n = 0; n <= files; n++) {
    snprintf(name, sizeof name, "file%08llu.dat", (unsigned long long)n);
    make_file(root, name, 64, n, block);
    add_attributes(root, name, n == files ? most : each);
  }
  free(block);
}

static void make_long_chains(int root, uint64_t chains, uint64_t levels, uint64_t bytes) {
  unsigned char *block = malloc(BLOCK);
  int *held = calloc(levels + 1, sizeof *held);
  char name[256];
  for (uint64_t chain = 0; chain < chains; chain++) {
    held[0] = root;
    for (uint64_t level = 0; level < levels; level++) {
      int length = snprintf(name, sizeof name, "chain%04llu-level%04llu-", (unsigned long long)chain, (unsigned long long)level);
      memset(name + length, 'x', bytes - (uint64_t)length);
      name[bytes] = 0;
      held[level + 1] = make_directory(held[level], name);
      make_file(held[level + 1], "file", 64, chain * levels + level, block);
    }
    for (uint64_t level = levels; level > 0; level--) {
      stamp(held[level], chain * levels + level);
      close(held[level]);
    }
  }
  free(held);
  free(block);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  uint64_t n[4] = {0};
  for (int i = 0; i < 4 && 3 + i < argc; i++) n[i] = strtoull(argv[3 + i], NULL, 10);
  if (argc == 7 && (strcmp(what, "files") == 0 || strcmp(what, "deep") == 0)) {
    int root = make_directory(AT_FDCWD, argv[2]);
    if (*what == 'f') in_parallel(make_files, (job){.root = root, .count = n[0], .groups = n[1], .size = n[2], .first = n[3]});
    else in_parallel(make_chains, (job){.root = root, .groups = n[0], .depth = n[1], .count = n[2], .size = n[3]});
    stamp(root, 0);
    return 0;
  }
  if (argc == 4 && strcmp(what, "large") == 0) {
    make_file(AT_FDCWD, argv[2], n[0], 42, malloc(BLOCK));
    return 0;
  }
  if (argc == 6 && strcmp(what, "sparse") == 0) {
    make_sparse(argv[2], n[0], n[1], n[2]);
    return 0;
  }
  void (*make)(int, uint64_t, uint64_t, uint64_t) = strcmp(what, "links") == 0    ? make_links
                                                    : strcmp(what, "xattrs") == 0 ? make_attributes
                                                    : strcmp(what, "chains") == 0 ? make_long_chains
                                                                                  : NULL;
  if (argc == 6 && make != NULL) {
    int root = make_directory(AT_FDCWD, argv[2]);
    make(root, n[0], n[1], n[2]);
    stamp(root, 0);
    return 0;
  }
  errx(2, "usage: see the head of gen.c");
}
