/* A far line between two network namespaces: far-line NS NS ROUND_TRIP_MS. Each gets a TUN device `far0`; a packet that one
 * sends comes out at the other after half a round trip. The kernel's own TCP is at both ends, with its windows and its slow
 * start. Says "ready" when the devices are there; ends with the process. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 256, PACKET = 1 << 16 };

typedef struct packet {
  struct packet *next;
  long long due;
  size_t length;
  unsigned char data[];
} packet;

typedef struct way {
  packet *first, **last;
} way;

static long long now(void) {
  struct timespec at;
  (void)clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static int device_in(const char *name) {
  char path[256];
  (void)snprintf(path, sizeof(path), "/run/netns/%s", name);
  int space = open(path, O_RDONLY | O_CLOEXEC);
  if (space < 0 || setns(space, CLONE_NEWNET)) err(1, "%s", path);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) err(1, "/dev/net/tun");
  struct ifreq request;
  memset(&request, 0, sizeof(request));
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "far0");
  if (ioctl(fd, TUNSETIFF, &request)) err(1, "TUNSETIFF");
  return fd;
}

static void take(int fd, way *to, long long half) {
  static unsigned char data[PACKET];
  for (int i = 0; i < BURST; i++) {
    ssize_t got = read(fd, data, sizeof(data));
    if (got <= 0) return;
    packet *one = malloc(sizeof(*one) + (size_t)got);
    if (!one) err(1, "malloc");
    *one = (packet){NULL, now() + half, (size_t)got};
    memcpy(one->data, data, (size_t)got);
    *to->last = one;
    to->last = &one->next;
  }
}

static void give(int fd, way *from) {
  long long time = now();
  while (from->first && from->first->due <= time) {
    packet *one = from->first;
    ssize_t put = write(fd, one->data, one->length); /* what does not fit is lost, as on a line */
    (void)put;
    from->first = one->next;
    if (!from->first) from->last = &from->first;
    free(one);
  }
}

int main(int count, char **words) {
  if (count != 4) errx(1, "far-line NS NS ROUND_TRIP_MS");
  int fds[2] = {device_in(words[1]), device_in(words[2])};
  long long half = (long long)(atof(words[3]) * 1e6 / 2);
  way ways[2] = {{NULL, &ways[0].first}, {NULL, &ways[1].first}};
  (void)puts("ready");
  (void)fflush(stdout);
  for (;;) {
    long long wait = 1000000000LL, time = now();
    for (int i = 0; i < 2; i++)
      if (ways[i].first && ways[i].first->due - time < wait) wait = ways[i].first->due - time;
    struct timespec most = {0, wait < 0 ? 0 : wait % 1000000000LL};
    if (wait >= 1000000000LL) most.tv_sec = 1;
    struct pollfd polled[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
    (void)ppoll(polled, 2, &most, NULL);
    for (int i = 0; i < 2; i++)
      if (polled[i].revents) take(fds[i], &ways[i], half);
    for (int i = 0; i < 2; i++) give(fds[1 - i], &ways[i]);
  }
}
