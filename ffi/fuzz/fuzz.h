/* Fuzz targets: functions from bytes to nothing that end the process when something does not hold. libFuzzer runs them
 * (libfuzzer.c, run.sh), and the C tests run them over the inputs of corpus/ in every flavour (../test/fuzz_test.c).
 *
 * A target makes what it needs at its first input and keeps it; `end` gives it back. Bytes that are to be read are handed
 * over in memory of exactly their size, so that the address sanitizer sees a read beyond them. */
#ifndef FSY_FUZZ_H
#define FSY_FUZZ_H

#include "../test/client.h"
#include "../wire.h"

typedef struct fuzz_target {
  const char *name;
  void (*run)(const uint8_t *data, size_t bytes);
  void (*end)(void);
} fuzz_target;
/* Ends with a target without a name. */
extern const fuzz_target fuzz_targets[];

#define FUZZ_MOST 60000u /* bytes of an input */

#define HOLDS(condition)                                                              \
  do {                                                                                \
    if (!(condition)) {                                                               \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);  \
      abort();                                                                        \
    }                                                                                 \
  } while (0)

/* The input, taken from its front; zeros when it is used up. */
typedef struct feed {
  const uint8_t *at;
  size_t left;
} feed;

static inline uint8_t take8(feed *in) {
  if (in->left == 0) return 0;
  in->left--;
  return *in->at++;
}
static inline uint32_t take16(feed *in) {
  uint32_t low = take8(in);
  return low | (uint32_t)take8(in) << 8;
}
static inline uint32_t take32(feed *in) {
  uint32_t low = take16(in);
  return low | take16(in) << 16;
}
static inline double take_double(feed *in) {
  uint64_t bits = take32(in);
  bits |= (uint64_t)take32(in) << 32;
  double value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
/* At most `bytes`, in memory of just their size; *got is how many. */
static inline uint8_t *take_exact(feed *in, size_t bytes, size_t *got) {
  *got = bytes < in->left ? bytes : in->left;
  uint8_t *copy = malloc(*got ? *got : 1);
  if (!copy) abort();
  memcpy(copy, in->at, *got);
  in->at += *got;
  in->left -= *got;
  return copy;
}

/* A new directory in FSY_FUZZ_DIR (default: in memory), whose owner removes it. */
int fuzz_directory(void);
void fuzz_file(int directory, const char *name, size_t bytes, unsigned seed);
/* Names in it, without . and .. */
uint32_t fuzz_entries(int directory);

/* For reading: memory from `at` on, of the arena too, may not be touched until it is let go. Only with the address
 * sanitizer. */
void fuzz_forbid(const void *at, size_t bytes);
void fuzz_allow(const void *at, size_t bytes);

#define FUZZ_TARGET(id)                                    \
  void fuzz_##id(const uint8_t *data, size_t bytes);       \
  void fuzz_##id##_end(void)
FUZZ_TARGET(attrs);
FUZZ_TARGET(delta);
FUZZ_TARGET(dents);
FUZZ_TARGET(frame);
FUZZ_TARGET(receive);
FUZZ_TARGET(ring);
FUZZ_TARGET(rows);
FUZZ_TARGET(send);
FUZZ_TARGET(tar);

/* ---- the tree of `receive`, which its seeds are written for --------------------------------------------------------- */

enum { RECEIVE_ROWS = 4, RECEIVE_RANGE_FROM = 100, RECEIVE_RANGE_BYTES = 300 };
enum { RECEIVE_CONTENT = 1, RECEIVE_ATTRIBUTES, RECEIVE_RANGE, RECEIVE_COMMIT, RECEIVE_IN_PLACE, RECEIVE_NEEDS = 5 };
/* a, b and d are files of these sizes, d is sparse; c is a link. */
#define RECEIVE_SIZES {10, 600, 0, 9000}

#endif
