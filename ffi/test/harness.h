/* A tiny harness: TEST(name) { ... CHECK(...); } registers itself; each test gets an empty directory (`dir`, `dirfd`). */
#ifndef FSY_TEST_HARNESS_H
#define FSY_TEST_HARNESS_H

#include "client.h"

#include <stdbool.h>

typedef struct test_case {
  const char *name;
  void (*run)(const char *dir, int dirfd);
  struct test_case *next;
} test_case;
void test_register(test_case *test);
void test_failed(const char *file, int line, const char *what);
/* Also counts as a failure of the running test. */
#define CHECK(condition)                                              \
  do {                                                                \
    if (!(condition)) test_failed(__FILE__, __LINE__, #condition);    \
  } while (0)
#define CHECK_EQ(got, expected)                                                                       \
  do {                                                                                                \
    long long got_ = (long long)(got), expected_ = (long long)(expected);                             \
    if (got_ != expected_) {                                                                          \
      char text_[256];                                                                                \
      snprintf(text_, sizeof(text_), "%s is %lld, expected %s = %lld", #got, got_, #expected, expected_); \
      test_failed(__FILE__, __LINE__, text_);                                                         \
    }                                                                                                 \
  } while (0)
#define TEST(id)                                                                        \
  static void test_##id(const char *dir, int dirfd);                                    \
  static test_case case_##id = {#id, test_##id, NULL};                                  \
  __attribute__((constructor)) static void register_##id(void) { test_register(&case_##id); } \
  static void test_##id(__attribute__((unused)) const char *dir, __attribute__((unused)) int dirfd)

/* Says on stdout that the running test does not apply here, and why. */
void test_skip(const char *why);

/* files.c: making and comparing files below a descriptor */
int make_dir(int dirfd, const char *name); /* returns an open descriptor */
void make_file(int dirfd, const char *name, size_t bytes, unsigned seed);
bool has_content(int dirfd, const char *name, size_t bytes, unsigned seed);
bool same_meta(int a, const char *an, int b, const char *bn); /* mode, owner, mtime */
bool same_file(int a, const char *an, int b, const char *bn); /* content */
struct stat stat_of(int dirfd, const char *name);
int temps_in(int dirfd); /* how many .fastsync.* names are left */
int entries_in(int dirfd);
int open_descriptors(void);
void fault(const char *plan); /* "point:nth:errno|kill", NULL ends it */

/* Requests over whole directories. */
typedef struct copied {
  fsy_cqe cqe;
  uint32_t batch, rows, results;
  fsy_batch *b;
  fsy_result *r;
} copied;
typedef struct directories {
  int source, target, backup, temp;
} directories;
/* Walks `source` (flags of walking from the options), runs `op` over all entries that are no directories, EXISTS set
 * from what is in `target`. */
copied run_rows(client *c, uint32_t op, directories d, uint32_t op_flags);
/* The same over a batch read before; `mark` sets EXISTS by looking. */
copied run_batch(client *c, uint32_t op, directories d, uint32_t op_flags, uint32_t batch, bool mark);
const fsy_result *result_of(const copied *k, const char *name);
void copied_free(client *c, copied *k, bool keep_batch);
#define ALL_META                                                                                            \
  (FSY_OPT_PERMS | FSY_OPT_TIMES | FSY_OPT_OWNER | FSY_OPT_GROUP | FSY_OPT_XATTRS | FSY_OPT_ACLS |          \
   FSY_OPT_DIR_TIMES | FSY_OPT_LINK_TIMES | FSY_OPT_XATTR_PRIVILEGED | FSY_OPT_SPARSE)

#endif
