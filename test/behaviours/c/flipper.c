/* Exchanges two names as fast as it can, so that whoever looks a name up twice may find two things.
 *
 *   flipper A B      prints "ready", swaps until SIGTERM, leaves things as it found them, prints how often it swapped */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

static volatile sig_atomic_t stop;

static void on_signal(int number) {
  (void)number;
  stop = 1;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  unsigned long swaps = 0;
  puts("ready");
  fflush(stdout);
  while (!stop || swaps % 2) {
    /* A delete pass may take one of the names for a moment or for good: whoever made the tree puts it back. */
    if (syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) == 0) swaps++;
    else if (errno != ENOENT) {
      fprintf(stderr, "renameat2: %s\n", strerror(errno));
      return 1;
    } else if (stop) break;
    /* Some time in each state: a victim that needs both must find both. */
    for (volatile int i = 0; i < (int)(swaps * 2654435761u % 4000); i++) {}
  }
  printf("%lu\n", swaps);
  return 0;
}
