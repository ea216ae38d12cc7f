/* Reads a file again and again while somebody replaces it.
 *
 *   watcher FILE SIZE SEEN   every byte of a version is the same letter, and every version has SIZE bytes; prints "ready",
 *                            reads until SIGTERM, then prints: reads, versions seen (letters), torn reads, times missing.
 *                            The file SEEN gets each letter when it is seen for the first time */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void on_signal(int number) {
  (void)number;
  stop = 1;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  size_t size = strtoul(argv[2], NULL, 10);
  char *bytes = malloc(size + 1);
  int notes = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (!bytes || notes < 0) return 2;
  signal(SIGTERM, on_signal);
  unsigned long reads = 0, torn = 0, missing = 0;
  char seen[256] = {0};
  puts("ready");
  fflush(stdout);
  while (!stop) {
    int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      missing += errno == ENOENT;
      torn += errno != ENOENT;
      continue;
    }
    size_t got = 0;
    for (ssize_t more; got <= size && (more = read(fd, bytes + got, size + 1 - got)) > 0;) got += (size_t)more;
    close(fd);
    reads++;
    if (got != size || (size > 1 && memcmp(bytes, bytes + 1, size - 1) != 0)) torn++;
    else if (!seen[(unsigned char)bytes[0]]) {
      seen[(unsigned char)bytes[0]] = 1;
      if (write(notes, bytes, 1) != 1) return 2;
    }
  }
  printf("%lu ", reads);
  for (int i = 0; i < 256; i++)
    if (seen[i]) putchar(i);
  printf(" %lu %lu\n", torn, missing);
  return 0;
}
