/* Says what is done to a tree that nobody should touch: inotify on each of its directories, so that also what was opened
 * and closed again, or made and removed again, is seen.
 *
 *   witness DIR   prints "ready"; for each line on its input prints a line `EVENTS PATH` for each event since the last,
 *                 then "."; ends with its input */
#define _GNU_SOURCE
#include <errno.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define WATCHED                                                                                                       \
  (IN_OPEN | IN_ACCESS | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |            \
   IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)
#define DIRECTORIES_MAX 4096

static int queue;
static char *path_of[DIRECTORIES_MAX]; /* by watch, which the kernel numbers from 1 */

static const struct {
  uint32_t bit;
  const char *name;
} names[] = {{IN_OPEN, "open"},          {IN_ACCESS, "read"},         {IN_MODIFY, "write"},
             {IN_ATTRIB, "attributes"},  {IN_CLOSE_WRITE, "close"},   {IN_CREATE, "create"},
             {IN_DELETE, "delete"},      {IN_MOVED_FROM, "move-from"}, {IN_MOVED_TO, "move-to"},
             {IN_DELETE_SELF, "gone"},   {IN_MOVE_SELF, "moved"},     {IN_Q_OVERFLOW, "overflow"}};

static int watch(const char *path, const struct stat *st, int type, struct FTW *at) {
  (void)st;
  (void)at;
  if (type != FTW_D) return 0;
  int number = inotify_add_watch(queue, path, WATCHED | IN_ONLYDIR | IN_DONT_FOLLOW);
  if (number < 0 || number >= DIRECTORIES_MAX) return 1;
  path_of[number] = strdup(path);
  return path_of[number] ? 0 : 1;
}

static void report(const struct inotify_event *event) {
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    if (event->mask & names[i].bit) printf("%s ", names[i].name);
  int known = event->wd > 0 && event->wd < DIRECTORIES_MAX && path_of[event->wd];
  printf("%s%s%s\n", known ? path_of[event->wd] : "?", event->len ? "/" : "", event->len ? event->name : "");
}

static int drain(void) {
  _Alignas(struct inotify_event) char events[1 << 16];
  for (;;) {
    ssize_t got = read(queue, events, sizeof(events));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN ? 0 : -1;
    for (char *at = events; at < events + got;) {
      const struct inotify_event *event = (const struct inotify_event *)(void *)at;
      report(event);
      at += sizeof(*event) + event->len;
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  queue = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (queue < 0 || nftw(argv[1], watch, 64, FTW_PHYS) != 0) {
    fprintf(stderr, "cannot watch %s: %s\n", argv[1], strerror(errno));
    return 1;
  }
  puts("ready");
  fflush(stdout);
  char line[16];
  while (fgets(line, sizeof(line), stdin)) {
    if (drain() < 0) return 1;
    puts(".");
    fflush(stdout);
  }
  return 0;
}
