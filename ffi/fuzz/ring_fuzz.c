/* Requests with any offsets, counts, flags and names, over a batch with any columns. The ring answers each of them, and
 * nothing outside of the directories that the request names is touched.
 *
 *   u8 how many bytes of the batch are others: u16 place, u32 value each
 *   then requests: u8 operation, u8 two descriptors, u32 flags, u8 count, u8 which of the offsets are wrong, u8 how,
 *   u8 extra, u8 options, u8 form of the name, u8 its length, the name; offset and length: u16 each, or 8 bytes
 *
 * Descriptors are such as the owner may hand over: what a request closes is given to it for that. */
#include "fuzz.h"

#include <dirent.h>

enum { ROWS = 6, MOST_COUNT = 40, MOST_REQUESTS = 6, TEXT = 600, FILE_BYTES = 5000, MOST_ENTRIES = 50 };
enum { SPARE = 0x40000000 }; /* an offset that no block has yet */

static client c;
static int top, place[2], file;
static uint32_t rows, results, text, pair, close_list, sound_batch, batch, options_block;

static const char *const made[] = {"a", "b", "c", "d"};

/* Device nodes would be real ones: the ring's worker may not make any. It inherits what this thread may. */
static client open_without_mknod(void) {
  enum { VERSION = 0x20080522, CAP_MKNOD_BIT = 27 };
  struct {
    uint32_t version;
    int pid;
  } header = {VERSION, 0};
  struct {
    uint32_t effective, permitted, inheritable;
  } had[2], has[2];
  memset(had, 0, sizeof(had));
  HOLDS(syscall(SYS_capget, &header, had) == 0);
  memcpy(has, had, sizeof(has));
  has[0].effective &= ~(1u << CAP_MKNOD_BIT);
  HOLDS(syscall(SYS_capset, &header, has) == 0);
  client made_here = client_open(1);
  HOLDS(syscall(SYS_capset, &header, had) == 0);
  return made_here;
}

static void clear(int directory) {
  DIR *d = fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  HOLDS(d);
  for (struct dirent *e; (e = readdir(d));) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    if (unlinkat(directory, e->d_name, 0) == 0) continue;
    int below = openat(directory, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0) continue;
    clear(below);
    close(below);
    (void)unlinkat(directory, e->d_name, AT_REMOVEDIR);
  }
  closedir(d);
}

static void fill(void) {
  for (int side = 0; side < 2; side++) {
    if (fuzz_entries(place[side]) > MOST_ENTRIES) clear(place[side]);
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
      if (faccessat(place[side], made[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0) fuzz_file(place[side], made[i], FILE_BYTES, 1);
    if (symlinkat("../outside", place[side], "l") < 0) HOLDS(errno == EEXIST);
    if (mkdirat(place[side], "sub", 0755) < 0) HOLDS(errno == EEXIST);
  }
}

static void prepare(void) {
  c = open_without_mknod();
  top = fuzz_directory();
  fuzz_file(top, "outside", FILE_BYTES, 9);
  const char *const names[] = {"s", "t"};
  for (int side = 0; side < 2; side++) {
    HOLDS(mkdirat(top, names[side], 0755) == 0);
    place[side] = openat(top, names[side], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  file = openat(top, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  fill();
  sound_batch = walk(&c, place[0], ".", 0).block;
  close(batch_of(&c, sound_batch)->dirfd);
  batch_of(&c, sound_batch)->dirfd = FSY_NO_FD;
  batch = fsy_alloc(c.ring, batch_of(&c, sound_batch)->total_bytes);
  rows = fsy_alloc(c.ring, 4 * MOST_COUNT);
  results = fsy_alloc(c.ring, MOST_COUNT * (sizeof(fsy_result) + 32));
  text = fsy_alloc(c.ring, TEXT);
  pair = fsy_alloc(c.ring, 2 * sizeof(int32_t));
  close_list = fsy_alloc(c.ring, 4 * MOST_COUNT);
  options_block = fsy_alloc(c.ring, sizeof(fsy_options));
}

/* Offsets that lead nowhere, or not where they should. */
static uint32_t wrong(uint32_t right, uint32_t how) {
  static const uint32_t nowhere[] = {0, 1, 8, 0x7ffffff8u, 0x7fffffffu, 0x80000000u, 0xfffffff0u, 0xffffffffu, 4096, SPARE};
  return how < 10 ? nowhere[how] : how < 14 ? right + (1u << (how - 10)) : right;
}

static void put_name(feed *in) {
  static const char *const known[] = {"a", "l", "sub", "sub/x", "..", ".", "", "/", "a/../..", "l/x", "/etc", "new", "sub/new/deep"};
  char *to = at(&c, text);
  uint32_t form = take8(in), length = take8(in);
  memset(to, 0, TEXT);
  if (form < 200) strcpy(to, known[form % (sizeof(known) / sizeof(known[0]))]);
  else
    for (uint32_t i = 0; i < length; i++) to[i] = (char)take8(in);
  if (form % 7 == 3) strcpy(to + strlen(to) + 1, known[length % (sizeof(known) / sizeof(known[0]))]);
}

static void request(feed *in) {
  static const uint32_t ops[] = {FSY_OP_WALK,   FSY_OP_STAT,   FSY_OP_RESOLVE,     FSY_OP_COPY,        FSY_OP_REPAIR,
                                 FSY_OP_DELETE, FSY_OP_LINK,   FSY_OP_HASH,        FSY_OP_RENAME,      FSY_OP_CLOSE,
                                 FSY_OP_SYNC,   FSY_OP_PROBE,  FSY_OP_SWEEP,       FSY_OP_HASH_BLOCKS, FSY_OP_LARGE_BEGIN,
                                 FSY_OP_LARGE_RANGE, FSY_OP_LARGE_COMMIT, FSY_OP_LARGE_ABORT, FSY_OP_NOP, FSY_OP_COUNT};
  const int fds[] = {place[0], place[1], file, FSY_NO_FD, 9999, -7};
  static const uint32_t counts[] = {0, 1, 2, ROWS, MOST_COUNT, 1u << 26, 0x7fffffffu, 0xffffffffu};
  uint32_t op = ops[take8(in) % (sizeof(ops) / sizeof(ops[0]))], which = take8(in);
  fsy_sqe *q = next_sqe(&c, op);
  q->fd0 = fds[which % 6];
  q->fd1 = fds[which / 6 % 6];
  q->fd2 = which / 36 % 3 == 1 ? place[1] : FSY_NO_FD;
  q->fd3 = which / 36 % 3 == 2 ? place[0] : FSY_NO_FD;
  q->flags = take32(in);
  if (op == FSY_OP_RESOLVE) q->flags &= ~FSY_RESOLVE_OPERATOR; /* the operator's paths are wherever the operator says */
  if (op == FSY_OP_CLOSE) q->flags &= ~FSY_CLOSE_QUIET;       /* has no completion to wait for */
  q->count = counts[take8(in) % 8];
  uint32_t damaged = take8(in), how = take8(in) % 16;
  bool closes = op == FSY_OP_CLOSE || op == FSY_OP_LARGE_COMMIT || op == FSY_OP_LARGE_ABORT;
  q->batch = (damaged & 1) ? wrong(batch, how) : batch;
  q->rows = (damaged & 2) ? wrong(rows, how) : rows;
  q->results = (damaged & 4) ? wrong(results, how) : results;
  q->options = (damaged & 8) ? wrong(options_block, how) : options_block;
  q->path = (damaged & 16) ? wrong(text, how) : (damaged & 32) ? text : 0;
  q->path_bytes = (damaged & 64) ? counts[how % 8] : TEXT;
  uint32_t extra = take8(in), wanted = take32(in);
  q->extra = extra < 32 ? extra : 4096 * extra;
  fsy_options *o = at(&c, options_block);
  memset(o, 0, sizeof(*o));
  o->flags = wanted & 0x1ffff;
  o->chown_uid = o->chown_gid = UINT32_MAX;
  o->small_bytes = 4096;
  o->methods = wanted >> 17;
  o->suffix_at = (damaged & 128) ? wrong(text, how) : 0;
  put_name(in);
  q->offset = extra & 1 ? take16(in) : take_double(in);
  q->length = extra & 1 ? take16(in) : take_double(in);
  if (op == FSY_OP_LARGE_RANGE && !(q->offset + q->length < 1e6)) q->length = 1000; /* a sparse file may be as long as it likes */
  uint32_t *list = at(&c, rows);
  for (uint32_t i = 0; i < MOST_COUNT; i++) list[i] = (i * 7 + extra) % (ROWS + 2) | (i % 3 ? 0 : FSY_ROW_EXISTS);
  int32_t *given = at(&c, close_list), *two = at(&c, pair);
  for (uint32_t i = 0; i < MOST_COUNT; i++) given[i] = FSY_NO_FD;
  two[0] = two[1] = FSY_NO_FD;
  if (closes) {
    given[0] = two[0] = fcntl(file, F_DUPFD_CLOEXEC, 0);
    if (op != FSY_OP_CLOSE) two[1] = openat(place[1], ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    /* memory that nobody has written is full of zeros, which are a descriptor: not there */
    bool astray = (damaged & 2) && how < 9 && how != 3;
    if (op == FSY_OP_CLOSE) q->rows = astray ? wrong(0, how) : close_list;
    else q->extra = astray ? wrong(0, how) : pair;
    if (op == FSY_OP_CLOSE && q->count == 1u << 26) q->count = 1;
  }
  bool handed = closes && (op == FSY_OP_CLOSE ? q->rows == close_list : q->extra == pair);
  fsy_cqe done = call(&c);
  HOLDS(done.result <= 0);
  HOLDS(op != FSY_OP_COUNT || done.result == -ENOSYS);
  if (done.fd0 >= 0) close(done.fd0);
  if (done.fd1 >= 0 && done.fd1 != done.fd0) close(done.fd1);
  if (done.block) {
    if (op == FSY_OP_WALK && batch_of(&c, done.block)->dirfd >= 0) close(batch_of(&c, done.block)->dirfd);
    fsy_free(c.ring, done.block);
  }
  if (op == FSY_OP_CLOSE && (!handed || q->count == 0 || q->count > MOST_COUNT) && given[0] >= 0) close(given[0]);
  if (closes && op != FSY_OP_CLOSE && !handed)
    for (int i = 0; i < 2; i++) close(two[i]);
}

void fuzz_ring(const uint8_t *data, size_t bytes) {
  if (!c.ring) prepare();
  feed in = {data, bytes};
  fill();
  uint32_t batch_bytes = batch_of(&c, sound_batch)->total_bytes;
  memcpy(at(&c, batch), at(&c, sound_batch), batch_bytes);
  for (uint32_t damages = take8(&in) % 16; damages > 0; damages--) {
    uint32_t where = take16(&in) % (batch_bytes - 3), value = take32(&in);
    memcpy((uint8_t *)at(&c, batch) + where, &value, 4);
  }
  batch_of(&c, batch)->dirfd = FSY_NO_FD;
  for (int i = 0; i < MOST_REQUESTS && in.left > 0; i++) request(&in);
  HOLDS(fuzz_entries(top) == 3);
  struct stat st;
  HOLDS(fstatat(top, "outside", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size == FILE_BYTES && st.st_nlink == 1);
}

void fuzz_ring_end(void) {
  if (!c.ring) return;
  fsy_close(c.ring);
  c.ring = NULL;
  close(file);
  close(top);
  for (int side = 0; side < 2; side++) close(place[side]);
}
