/* The arena, the rings, the workers, the wake-up; and the digests. */
#include "harness.h"

#include "../internal.h"

#include <sys/mman.h>

TEST(layout_is_stable) {
  CHECK_EQ(fsy_abi(), FSY_ABI);
  CHECK(fsy_layout() != 0);
  CHECK_EQ(fsy_layout(), fsy_layout());
}

TEST(heap_never_hands_out_the_same_twice) {
  client c = client_open(1);
  uint64_t used = c.control->arena_used;
  enum { SLOTS = 700 };
  static uint32_t block[SLOTS], bytes[SLOTS];
  memset(block, 0, sizeof(block));
  uint32_t random = 1;
  for (int turn = 0; turn < 60000; turn++) {
    random = random * 1664525u + 1013904223u;
    uint32_t slot = (random >> 8) % SLOTS;
    if (block[slot]) {
      uint8_t *p = at(&c, block[slot]);
      CHECK(p[bytes[slot] - 1] == (uint8_t)slot && p[bytes[slot] / 2] == (uint8_t)slot);
      fsy_free(c.ring, block[slot]);
      block[slot] = 0;
    } else {
      bytes[slot] = 1 + ((random >> 4) % ((random & 15) == 0 ? 400000u : 5000u));
      block[slot] = fsy_alloc(c.ring, bytes[slot]);
      CHECK(block[slot] && block[slot] % 64 == 0);
      uint8_t *p = at(&c, block[slot]);
      CHECK(p[0] == 0);
      memset(p, (uint8_t)slot, bytes[slot]);
    }
  }
  for (int i = 0; i < SLOTS; i++) fsy_free(c.ring, block[i]);
  CHECK_EQ(c.control->arena_used, used);
  fsy_close(c.ring);
}

TEST(heap_knows_garbage) {
  static uint8_t *base;
  base = mmap(NULL, 1 << 26, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint64_t used = 0;
  fsy_heap *h = fsy_heap_open(base, 4096, 1 << 26, &used);
  uint32_t small = fsy_heap_take(h, 100), large = fsy_heap_take(h, 1 << 20), other = fsy_heap_take(h, 3 << 20);
  CHECK(!fsy_heap_give(h, 0));
  CHECK(!fsy_heap_give(h, small + 64));
  CHECK(!fsy_heap_give(h, small + 1));
  CHECK(!fsy_heap_give(h, large + 16384));
  CHECK(!fsy_heap_give(h, UINT32_MAX));
  CHECK(!fsy_heap_give(h, 1 << 26));
  CHECK(fsy_heap_give(h, small));
  CHECK(!fsy_heap_give(h, small));
  CHECK(fsy_heap_give(h, large));
  CHECK(!fsy_heap_give(h, large));
  CHECK(fsy_heap_give(h, other));
  CHECK_EQ(used, 0);
  uint32_t all = fsy_heap_take(h, 63 << 20); /* merged again to one span */
  CHECK(all);
  CHECK(!fsy_heap_take(h, 8 << 20));
  CHECK(fsy_heap_give(h, all));
  fsy_heap_close(h);
  munmap(base, 1 << 26);
}

TEST(large_blocks_give_pages_back) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SHADOWED
#endif
#elif defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SHADOWED
#endif
#ifdef SHADOWED
  test_skip("shadow memory counts as resident");
  return;
#endif
  client c = client_open(1);
  for (int i = 0; i < 20; i++) {
    uint32_t block = fsy_alloc(c.ring, 200u << 20);
    CHECK(block);
    memset(at(&c, block), 1, 200u << 20);
    fsy_free(c.ring, block);
  }
  long pages = 0, resident = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  CHECK(fscanf(f, "%ld %ld", &pages, &resident) == 2);
  fclose(f);
  CHECK(resident < (150 << 20) / 4096);
  fsy_close(c.ring);
}

TEST(no_wake_up_is_lost) {
  client c = client_open(4);
  uint32_t sent = 0, seen = 0;
  uint64_t sum = 0, expected = 0;
  const uint32_t total = 60000;
  while (seen < total) {
    uint32_t burst = 1 + (sent * 7919u) % 37;
    while (burst-- && sent < total && sent - seen < 900) {
      next_sqe(&c, FSY_OP_NOP)->tag = sent;
      expected += sent++;
      submit(&c);
    }
    uint32_t take = 1 + (seen * 104729u) % 29;
    while (take-- && seen < sent) { /* next_cqe aborts when the byte does not come */
      fsy_cqe done = next_cqe(&c);
      CHECK_EQ(done.result, 0);
      sum += done.tag;
      seen++;
    }
    if (seen % 997 == 0) CHECK_EQ(fsy_set_workers(c.ring, 1 + seen % 7), 0);
  }
  CHECK_EQ(sum, expected);
  fsy_close(c.ring);
}

TEST(submit_takes_no_more_than_can_be_answered) {
  client c = client_open(2);
  for (uint32_t i = 0; i < FSY_SQ_SIZE; i++) {
    next_sqe(&c, FSY_OP_NOP)->tag = i;
    c.control->sq_tail++;
  }
  CHECK_EQ(fsy_submit(c.ring), FSY_SQ_SIZE);
  for (uint32_t i = 0; i < 10; i++) {
    next_sqe(&c, FSY_OP_NOP);
    c.control->sq_tail++;
  }
  CHECK_EQ(fsy_submit(c.ring), 0); /* the completion ring is spoken for */
  (void)next_cqe(&c);
  int taken = 0;
  for (int i = 0; i < 1000 && taken < 10; i++) {
    int n = fsy_submit(c.ring);
    CHECK(n >= 0);
    taken += n;
    if (taken < 10) (void)next_cqe(&c);
  }
  CHECK_EQ(taken, 10);
  c.control->sq_tail += 5000;
  CHECK_EQ(fsy_submit(c.ring), -EINVAL);
  c.control->sq_tail -= 5000;
  fsy_close(c.ring);
}

TEST(bad_requests_are_refused) {
  client c = client_open(1);
  fsy_sqe *q = next_sqe(&c, 999);
  CHECK_EQ(call(&c).result, -ENOSYS);
  for (uint32_t op = FSY_OP_WALK; op < FSY_OP_COUNT; op++) {
    if (op == FSY_OP_STREAM_END || op == FSY_OP_SEND) continue; /* always answered 0; checked by a stream: wire_test.c */
    q = next_sqe(&c, op);
    q->batch = q->rows = q->results = q->path = q->extra = 0xfffffff0u;
    q->path_bytes = 0xfffffff0u;
    q->count = 0xffffffffu;
    q->options = 0xffffffffu;
    fsy_cqe done = call(&c);
    CHECK(done.result < 0 || op == FSY_OP_CLOSE);
    if (done.block) fsy_free(c.ring, done.block);
  }
  fsy_close(c.ring);
}

TEST(hostile_rows_are_refused) {
  client c = client_open(1);
  int source = make_dir(dirfd, "s"), target = make_dir(dirfd, "t");
  make_file(source, "a", 100, 1);
  make_file(dirfd, "outside", 100, 2);
  uint32_t batch = walk(&c, source, ".", 0).block;
  fsy_batch *b = batch_of(&c, batch);
  close(b->dirfd);
  directories d = {source, target, FSY_NO_FD, FSY_NO_FD};
  const char *names[] = {"..", ".", "x/y", "", "/etc"};
  for (size_t i = 0; i < 5; i++) {
    uint32_t name = b->total_bytes - 2; /* the last text of the block is "a" */
    char *text = (char *)b + name;
    CHECK(strlen(names[i]) < 64);
    (void)text;
    uint32_t copy = fsy_alloc(c.ring, b->total_bytes + 100);
    fsy_batch *nb = at(&c, copy);
    memcpy(nb, b, b->total_bytes);
    memcpy((char *)nb + b->total_bytes, names[i], strlen(names[i]) + 1);
    u32(nb, FSY_U32_NAME_AT)[0] = b->total_bytes;
    u32(nb, FSY_U32_NAME_LEN)[0] = (uint32_t)strlen(names[i]);
    nb->total_bytes += 100;
    copied k = run_batch(&c, FSY_OP_COPY, d, 0, copy, false);
    CHECK_EQ(k.r[0].status, -EINVAL);
    u32(nb, FSY_U32_NAME_AT)[0] = 0xfffffff0u;
    copied_free(&c, &k, true);
    k = run_batch(&c, FSY_OP_COPY, d, 0, copy, false);
    CHECK_EQ(k.r[0].status, -EINVAL);
    nb->count = 0x00ffffff;
    fsy_sqe *q = next_sqe(&c, FSY_OP_COPY);
    q->fd0 = source;
    q->fd1 = target;
    q->batch = copy;
    q->rows = k.rows;
    q->results = k.results;
    q->count = 1;
    CHECK_EQ(call(&c).result, -EINVAL);
    copied_free(&c, &k, false);
  }
  fsy_free(c.ring, batch);
  CHECK_EQ(entries_in(target), 0);
  close(source);
  close(target);
  fsy_close(c.ring);
}

TEST(close_with_work_waiting_leaks_nothing) {
  make_file(dirfd, "f", 10, 1);
  for (int i = 0; i < 20; i++) {
    client c = client_open(3);
    uint32_t text = put_text(&c, ".", 2);
    for (int n = 0; n < 300; n++) {
      fsy_sqe *q = next_sqe(&c, n % 3 ? FSY_OP_WALK : FSY_OP_RESOLVE);
      q->fd0 = dirfd;
      q->path = text;
      q->path_bytes = 2;
      submit(&c);
    }
    fsy_close(c.ring);
  }
}

TEST(sha256_vectors) {
  static const struct {
    const char *text;
    int times;
    const char *hex;
  } v[] = {
      {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (int fast = 0; fast <= (fsy_sha256_fast() ? 1 : 0); fast++)
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
      fsy_sha256 s;
      uint8_t digest[32];
      char hex[65];
      fsy_sha256_open(&s, fast);
      for (int n = 0; n < v[i].times; n++) fsy_sha256_add(&s, v[i].text, strlen(v[i].text));
      fsy_sha256_close(&s, digest);
      for (int n = 0; n < 32; n++) snprintf(hex + 2 * n, 3, "%02x", digest[n]);
      CHECK(!strcmp(hex, v[i].hex));
    }
}

TEST(sha256_in_pieces_equals_whole) {
  static uint8_t data[3000];
  for (size_t i = 0; i < sizeof(data); i++) data[i] = (uint8_t)(i * 7);
  for (size_t length = 0; length < sizeof(data); length += 37) {
    uint8_t a[32], b[32];
    fsy_sha256 s;
    fsy_sha256_open(&s, false);
    fsy_sha256_add(&s, data, length);
    fsy_sha256_close(&s, a);
    fsy_sha256_open(&s, fsy_sha256_fast());
    for (size_t done = 0; done < length;) {
      size_t n = 1 + (done * 13) % 150;
      if (n > length - done) n = length - done;
      fsy_sha256_add(&s, data + done, n);
      done += n;
    }
    fsy_sha256_close(&s, b);
    CHECK(!memcmp(a, b, 32));
  }
}
