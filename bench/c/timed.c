/* timed: runs one command and records what it cost.
 *   timed REPORT SETTLE COMMAND...   SETTLE: a directory whose filesystem is made quiet first, or -
 * The report is one line of JSON. A small parent matters: a child's peak RSS starts at that of the process it was
 * forked from, so a command started by a JavaScript runtime would be charged for the runtime.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Deletions of the last run go on in the background on XFS; statfs waits for them, syncfs for what is dirty. */
static void settle(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct statfs s;
  if (fd < 0) err(127, "%s", path);
  for (int i = 0; i < 2; i++)
    if (fstatfs(fd, &s) != 0 || syncfs(fd) != 0) err(127, "%s", path);
  close(fd);
  usleep(20000);
}

int main(int argc, char **argv) {
  if (argc < 4) errx(127, "usage: timed REPORT SETTLE COMMAND...");
  if (strcmp(argv[2], "-") != 0) settle(argv[2]);
  struct timespec start, end;
  struct rusage usage;
  int status;
  clock_gettime(CLOCK_MONOTONIC, &start);
  pid_t pid = fork();
  if (pid < 0) err(127, "fork");
  if (pid == 0) {
    execvp(argv[3], argv + 3);
    err(127, "%s", argv[3]);
  }
  if (wait4(pid, &status, 0, &usage) < 0) err(127, "wait4");
  clock_gettime(CLOCK_MONOTONIC, &end);
  double wall = (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6;
  double user = (double)usage.ru_utime.tv_sec * 1e3 + (double)usage.ru_utime.tv_usec / 1e3;
  double sys = (double)usage.ru_stime.tv_sec * 1e3 + (double)usage.ru_stime.tv_usec / 1e3;
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  FILE *report = fopen(argv[1], "w");
  if (report == NULL) err(127, "%s", argv[1]);
  fprintf(report, "{\"wallMs\":%.3f,\"userMs\":%.3f,\"sysMs\":%.3f,\"maxRssKiB\":%ld,\"exitCode\":%d}\n", wall, user, sys,
          usage.ru_maxrss, code);
  return fclose(report) == 0 ? 0 : 127;
}
