/* What the tests need from inside the ring. */
#include "../wire.h"


void fault(const char *plan);
void fault(const char *plan) {
  fsy_fault_plan(plan ? plan : "");
}

void test_forget_openat2(fsy_ring *ring);
void test_forget_openat2(fsy_ring *ring) { ring->no_openat2 = true; }
void test_forget_tmpfile(fsy_ring *ring, int dir);
void test_forget_tmpfile(fsy_ring *ring, int dir) {
  struct stat st;
  (void)fstat(dir, &st);
  atomic_fetch_or(&fsy_pair_of(ring, UINT32_MAX, fsy_dev_of(st.st_dev))->refused, FSY_PAIR_NO_TMPFILE);
}

/* As if statfs had said so of the filesystem below `dir`. */
void test_believe_type(fsy_ring *ring, int dir, uint32_t type);
void test_believe_type(fsy_ring *ring, int dir, uint32_t type) {
  struct stat st;
  (void)fstat(dir, &st);
  atomic_store(&fsy_pair_of(ring, UINT32_MAX, fsy_dev_of(st.st_dev))->target_type, type);
}

void test_register_ms(fsy_ring *ring, uint32_t ms);
void test_register_ms(fsy_ring *ring, uint32_t ms) { ring->wire->register_ms = ms; }
