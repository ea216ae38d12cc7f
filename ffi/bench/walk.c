/* walk DIR [workers] [walk flags]: lists and stats a whole tree through the ring, as a no-op run does per side. */
#include "../test/client.h"

int main(int argc, char **argv) {
  if (argc < 2) return 1;
  client c = client_open(argc > 2 ? (uint32_t)atoi(argv[2]) : 2);
  uint32_t flags = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 0) : 0;
  double from = now_seconds();
  uint32_t in_flight = 1;
  uint64_t files = 0, directories = 0;
  uint32_t text = put_text(&c, argv[1], (uint32_t)strlen(argv[1]) + 1);
  fsy_sqe *q = next_sqe(&c, FSY_OP_WALK);
  q->fd0 = FSY_CWD;
  q->path = text;
  q->path_bytes = (uint32_t)strlen(argv[1]) + 1;
  submit(&c);
  while (in_flight) {
    fsy_cqe done = next_cqe(&c);
    in_flight--;
    fsy_batch *b = batch_of(&c, done.block);
    directories++;
    for (uint32_t i = 0; i < b->count; i++) {
      if (!S_ISDIR(u32(b, FSY_U32_MODE)[i])) {
        files++;
        continue;
      }
      uint32_t bytes = u32(b, FSY_U32_NAME_LEN)[i] + 1;
      q = next_sqe(&c, FSY_OP_WALK);
      q->fd0 = b->dirfd; /* kept open: a bench of few directories */
      q->path = put_text(&c, name_of(b, i), bytes);
      q->path_bytes = bytes;
      q->flags = flags;
      submit(&c);
      in_flight++;
    }
    fsy_free(c.ring, done.block);
  }
  printf("%.3f s, %llu directories, %llu others, worker busy %.3f s\n", now_seconds() - from,
         (unsigned long long)directories, (unsigned long long)files, (double)c.control->busy_nanos * 1e-9);
  fsy_close(c.ring);
  return 0;
}
