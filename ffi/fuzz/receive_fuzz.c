/* libFuzzer on the receiver: the input is what a peer sends. A receiver must end, answer its need, and leave nothing.
 *
 * The first byte chooses the purpose. Headers get a good magic and CRC, so that what lies behind is reached. */
#include "../test/client.h"
#include "../wire.h"

#include <dirent.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { ROWS = 4, LARGE = 300 };
static client c;
static int target, temp;
static uint32_t batch, rows, results;

static void prepare(void) {
  char directory[] = "/dev/shm/fsy-fuzz.XXXXXX", path[100];
  c = client_open(1);
  c.ring->wire->register_ms = 1;
  options(&c)->flags = FSY_OPT_PERMS | FSY_OPT_TIMES | FSY_OPT_XATTRS | FSY_OPT_ACLS | FSY_OPT_SPARSE;
  if (!mkdtemp(directory)) abort();
  target = open(directory, O_RDONLY | O_DIRECTORY);
  snprintf(path, sizeof(path), "%s/s", directory);
  mkdir(path, 0755);
  int s = open(path, O_RDONLY | O_DIRECTORY);
  const char *names[ROWS] = {"a", "b", "c", "d"};
  const size_t sizes[ROWS] = {10, 600, 0, 70000};
  for (int i = 0; i < ROWS; i++) {
    if (i == 2) {
      if (symlinkat("x", s, names[i]) < 0) abort();
      continue;
    }
    int fd = openat(s, names[i], O_RDWR | O_CREAT, 0644);
    if (ftruncate(fd, (off_t)sizes[i]) < 0) abort();
    close(fd);
  }
  fsy_cqe walked = walk(&c, s, ".", 0);
  batch = walked.block;
  close(s);
  temp = openat(target, ".", O_TMPFILE | O_RDWR, 0600);
  rows = fsy_alloc(c.ring, 4 * ROWS);
  results = fsy_alloc(c.ring, ROWS * sizeof(fsy_result));
  for (uint32_t i = 0; i < ROWS; i++) ((uint32_t *)at(&c, rows))[i] = i;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (!c.ring) prepare();
  if (bytes < 1 || bytes > 60000) return 0;
  static uint8_t input[60000];
  uint32_t purpose = data[0] % 3;
  memcpy(input, data + 1, --bytes);
  for (size_t at_byte = 0; at_byte + FSY_FRAME_BYTES <= bytes;) {
    fsy_put32(input + at_byte, FSY_FRAME_MAGIC);
    fsy_put32(input + at_byte + 28, fsy_crc32(input + at_byte, 28));
    uint32_t length = fsy_get32(input + at_byte + 24);
    if (length > bytes) break;
    at_byte += FSY_FRAME_BYTES + length;
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) abort();
  fsy_sqe *q = next_sqe(&c, FSY_OP_STREAM);
  q->fd0 = ends[0];
  q->flags = FSY_STREAM_RECEIVE;
  q->length = 2000;
  submit(&c);
  q = next_sqe(&c, FSY_OP_RECEIVE);
  q->flags = purpose;
  q->need = 1;
  q->fd1 = purpose == FSY_WIRE_RANGE ? temp : target;
  q->count = purpose == FSY_WIRE_RANGE ? 1 : ROWS;
  q->batch = batch;
  q->rows = rows;
  q->results = results;
  q->offset = 100;
  q->length = LARGE;
  submit(&c);
  for (size_t done = 0; done < bytes;) {
    ssize_t put = send(ends[1], input + done, bytes - done, MSG_NOSIGNAL);
    if (put <= 0) break;
    done += (size_t)put;
  }
  shutdown(ends[1], SHUT_WR);
  (void)next_cqe(&c);
  (void)next_cqe(&c);
  close(ends[1]);
  struct stat st;
  if (fstat(temp, &st) < 0 || st.st_size > 100 + LARGE) abort(); /* outside of the range */
  DIR *d = fdopendir(openat(target, ".", O_RDONLY | O_DIRECTORY));
  for (struct dirent *e; (e = readdir(d));) /* nothing but the rows */
    if (strlen(e->d_name) != 1 && strcmp(e->d_name, "..") != 0) abort();
  closedir(d);
  return 0;
}
