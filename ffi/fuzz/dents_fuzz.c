/* What getdents64 gives, in one piece or two: names that can be names, in order, each once.
 *
 *   u16 where the first piece ends, the records */
#include "fuzz.h"

void fuzz_dents(const uint8_t *data, size_t bytes) {
  feed in = {data, bytes};
  fsy_worker *worker = fsy_worker_new(NULL);
  if (!worker) abort();
  fsy_listing l = {0, 0, 0, 0};
  size_t first, second;
  uint8_t *pieces[2] = {take_exact(&in, take16(&in), &first), take_exact(&in, in.left, &second)};
  if (fsy_dents_take(worker, &l, pieces[0], first)) (void)fsy_dents_take(worker, &l, pieces[1], second);
  HOLDS(l.status == 0 || l.status == -EIO);
  HOLDS(l.used <= bytes && l.count <= bytes / offsetof(struct fsy_dirent, d_name));
  uint32_t taken = l.count;
  const fsy_found *list = fsy_dents_sort(worker, &l);
  HOLDS(l.count <= taken && (l.count == 0) == (taken == 0));
  const char *names = (const char *)worker->scratch.at, *before = NULL;
  size_t before_length = 0;
  for (uint32_t i = 0; i < l.count; i++) {
    const char *name = names + list[i].at;
    HOLDS(list[i].at + list[i].length < l.used && name[list[i].length] == 0);
    HOLDS(fsy_name_ok(name, list[i].length));
    size_t shorter = before_length < list[i].length ? before_length : list[i].length;
    int order = before ? memcmp(before, name, shorter) : -1;
    HOLDS(order < 0 || (order == 0 && before_length < list[i].length));
    before = name;
    before_length = list[i].length;
  }
  free(pieces[0]);
  free(pieces[1]);
  fsy_worker_free(worker);
}

void fuzz_dents_end(void) {}
