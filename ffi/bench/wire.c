/* Content over loopback TCP between two processes, against the local copy, with the engine's own requests.
 *
 *   wire make DIR DIRS FILES BYTES        DIR/NNN/fNNN
 *   wire copy SOURCE TARGET WORKERS       FSY_OP_COPY in batches of 128
 *   wire send SOURCE TARGET STREAMS       SEND and RECEIVE in needs of 128 rows; files from 48 MiB in ranges
 *
 * Both sides walk SOURCE before the clock starts, as if the manifest had been exchanged. `VERIFY=1` verifies. */
#include "../test/client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { ROWS = 128, MOST = 4096 };
static const double range_bytes = 32 << 20, large_bytes = 48 << 20;

static void make(const char *dir, int dirs, int files, size_t bytes) {
  char path[4096];
  uint8_t *data = malloc(bytes);
  for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)(i * 31 + (i >> 9));
  mkdir(dir, 0755);
  for (int d = 0; d < dirs; d++) {
    snprintf(path, sizeof(path), "%s/%03d", dir, d);
    mkdir(path, 0755);
    for (int f = 0; f < files; f++) {
      snprintf(path, sizeof(path), "%s/%03d/f%05d", dir, d, f);
      int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
      if (write(fd, data, bytes) != (ssize_t)bytes) exit(2);
      close(fd);
    }
  }
  free(data);
}

typedef struct directory {
  int source, target;
  uint32_t batch, rows, results;
  fsy_batch *b;
} directory;

static directory list[MOST];
static uint32_t dirs;

static void list_all(client *c, const char *source, const char *target) {
  int s = open(source, O_RDONLY | O_DIRECTORY), t = -1;
  if (target) {
    mkdir(target, 0755);
    t = open(target, O_RDONLY | O_DIRECTORY);
  }
  uint32_t root = walk(c, s, ".", 0).block;
  fsy_batch *b = batch_of(c, root);
  for (uint32_t i = 0; i < b->count && dirs < MOST; i++) {
    directory *d = &list[dirs++];
    d->batch = walk(c, s, name_of(b, i), 0).block;
    d->b = batch_of(c, d->batch);
    d->source = d->b->dirfd;
    d->target = -1;
    if (target) {
      mkdirat(t, name_of(b, i), 0755);
      d->target = openat(t, name_of(b, i), O_RDONLY | O_DIRECTORY);
    }
    d->rows = fsy_alloc(c->ring, 4 * d->b->count + 4);
    d->results = fsy_alloc(c->ring, d->b->count * (uint32_t)sizeof(fsy_result) + 1);
    for (uint32_t n = 0; n < d->b->count; n++) ((uint32_t *)at(c, d->rows))[n] = n;
  }
}

static uint32_t outstanding, failed;
static double bytes_seen;

static void reap(client *c, uint32_t below) {
  while (outstanding > below) {
    fsy_cqe done = next_cqe(c);
    if (done.tag == UINT32_MAX) continue; /* a stream */
    outstanding--;
    bytes_seen += done.bytes;
    if (done.result) failed++;
  }
}

/* Every directory's rows as requests of `op`; large files in ranges when `fds` are temporaries. */
static void run(client *c, uint32_t op) {
  uint32_t need = 0;
  for (uint32_t i = 0; i < dirs; i++) {
    directory *d = &list[i];
    double size = d->b->count ? f64(d->b, FSY_F64_SIZE)[0] : 0;
    if (op != FSY_OP_COPY && d->b->count == 1 && size >= large_bytes) {
      int temp = op == FSY_OP_RECEIVE ? openat(d->target, name_of(d->b, 0), O_RDWR | O_CREAT, 0644) : -1;
      if (temp >= 0 && ftruncate(temp, (off_t)size) < 0) exit(2);
      for (double at_byte = 0; at_byte < size; at_byte += range_bytes) {
        reap(c, 400);
        fsy_sqe *q = next_sqe(c, op);
        q->need = ++need;
        q->flags = FSY_WIRE_RANGE;
        q->count = 1;
        q->fd0 = d->source;
        q->fd1 = temp;
        q->batch = d->batch;
        q->rows = d->rows;
        q->results = op == FSY_OP_SEND ? fsy_alloc(c->ring, sizeof(fsy_result)) : 0;
        q->offset = at_byte;
        q->length = size - at_byte < range_bytes ? size - at_byte : range_bytes;
        submit(c);
        outstanding++;
      }
      continue;
    }
    for (uint32_t from = 0; from < d->b->count; from += ROWS) {
      reap(c, 400);
      fsy_sqe *q = next_sqe(c, op);
      q->need = ++need;
      q->count = d->b->count - from < ROWS ? d->b->count - from : ROWS;
      q->fd0 = op == FSY_OP_RECEIVE ? -1 : d->source;
      q->fd1 = op == FSY_OP_SEND ? -1 : d->target;
      q->batch = d->batch;
      q->rows = d->rows + 4 * from;
      q->results = d->results + from * (uint32_t)sizeof(fsy_result);
      submit(c);
      outstanding++;
    }
  }
  reap(c, 0);
}

static void report(const char *who, double seconds) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  printf("%-8s %.3f s  %.0f MB/s  %u failed  user %.2f sys %.2f\n", who, seconds, bytes_seen / 1e6 / seconds, failed,
         (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec * 1e-6,
         (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec * 1e-6);
}

static void stream(client *c, int fd, uint32_t direction) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  fsy_sqe *q = next_sqe(c, FSY_OP_STREAM);
  q->fd0 = fd;
  q->flags = direction;
  q->tag = UINT32_MAX;
  q->length = 30000;
  submit(c);
}

static client open_client(uint32_t workers) {
  client c = client_open(workers);
  options(&c)->flags = FSY_OPT_PERMS | FSY_OPT_TIMES | FSY_OPT_OWNER | FSY_OPT_GROUP | (getenv("VERIFY") ? FSY_OPT_VERIFY : 0);
  if (getenv("METHODS")) options(&c)->methods = (uint32_t)atoi(getenv("METHODS"));
  return c;
}

static int over_tcp(const char *source, const char *target, int streams) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), ready[2];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof(address);
  if (bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 64) < 0 || pipe(ready) < 0 ||
      getsockname(listener, (struct sockaddr *)&address, &length) < 0)
    return 2;
  pid_t child = fork();
  client c = open_client(1);
  if (child == 0) {
    list_all(&c, source, target);
    for (int i = 0; i < streams; i++) stream(&c, accept(listener, NULL, NULL), FSY_STREAM_RECEIVE);
    if (write(ready[1], "", 1) != 1) return 2;
    double from = now_seconds();
    run(&c, FSY_OP_RECEIVE);
    report("receive", now_seconds() - from);
    fsy_close(c.ring);
    return failed != 0;
  }
  list_all(&c, source, NULL);
  for (int i = 0; i < streams; i++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, length) < 0) return 2;
    stream(&c, fd, FSY_STREAM_SEND);
  }
  char byte;
  if (read(ready[0], &byte, 1) != 1) return 2;
  double from = now_seconds();
  run(&c, FSY_OP_SEND);
  report("send", now_seconds() - from);
  int status;
  waitpid(child, &status, 0);
  fsy_close(c.ring);
  return status != 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 6 && !strcmp(argv[1], "make")) {
    make(argv[2], atoi(argv[3]), atoi(argv[4]), (size_t)atoll(argv[5]));
    return 0;
  }
  if (argc != 5) return 1;
  if (!strcmp(argv[1], "send")) return over_tcp(argv[2], argv[3], atoi(argv[4]));
  client c = open_client((uint32_t)atoi(argv[4]));
  list_all(&c, argv[2], argv[3]);
  double from = now_seconds();
  run(&c, FSY_OP_COPY);
  report("copy", now_seconds() - from);
  fsy_close(c.ring);
  return 0;
}
