/* Exchanges two names as fast as it can, so that whoever looks a name up twice may find two things.
 *
 *   flipper A B [C D ...]   prints "ready", swaps the pairs in turn until SIGTERM, prints how often it swapped */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
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
  if (argc < 3 || argc % 2 == 0) return 2;
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves nobody behind who spins */
  signal(SIGTERM, on_signal);
  unsigned long swaps = 0;
  puts("ready");
  fflush(stdout);
  for (int at = 1; !stop; at = at + 2 < argc ? at + 2 : 1) {
    /* A run may take one of the names away: whoever made the tree puts it back. */
    if (syscall(SYS_renameat2, AT_FDCWD, argv[at], AT_FDCWD, argv[at + 1], RENAME_EXCHANGE) == 0) swaps++;
    else if (errno != ENOENT) {
      fprintf(stderr, "renameat2: %s\n", strerror(errno));
      return 1;
    }
    /* Some time in each state, never the same: a victim that needs both must find both. */
    unsigned pause = (unsigned)swaps * 2654435761u >> 12;
    for (volatile unsigned i = 0; i < pause % 4000; i++) {}
    /* Whoever sleeps now and then is let in soon on a busy machine, too, and not for one long stretch among others. */
    if (pause % 16 == 0) usleep(20 + pause % 200);
  }
  printf("%lu\n", swaps);
  return 0;
}
