/* lease FILE MS: holds a write lease on the file, as a server does for a client that caches it. Says `ready`; when
 * somebody opens the file keeps it for so long before it gives it up. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static void on_break(int signal) {
  (void)signal;
  asked = 1;
}

int main(int count, char **words) {
  if (count != 3) return 2;
  struct sigaction action = {.sa_handler = on_break};
  sigset_t io, none;
  sigemptyset(&io);
  sigemptyset(&none);
  sigaddset(&io, SIGIO);
  sigaction(SIGIO, &action, NULL);
  sigprocmask(SIG_BLOCK, &io, NULL);
  int fd = open(words[1], O_RDWR | O_CLOEXEC);
  if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0) return perror("lease"), 1;
  puts("ready");
  fflush(stdout);
  while (!asked) sigsuspend(&none);
  usleep((useconds_t)atoi(words[2]) * 1000);
  return fcntl(fd, F_SETLEASE, F_UNLCK) < 0;
}
