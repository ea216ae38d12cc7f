/* delay: a long line between two ends on one machine.
 *   delay LISTEN TARGET ROUND_TRIP_MS PORT...   what connects to LISTEN:PORT reaches TARGET:PORT, IPv4
 * Says "ready" when it listens, and on SIGTERM what passed: port, connections, bytes to the target, bytes back.
 *
 *   what is read from one side waits half a round trip and is written to the other; so does the end of its data
 *   a new connection reaches the target after one and a half round trips, as if its own handshake had taken one
 *   a reset passes at once
 *
 * A delay, not a narrow line: it reads whatever comes and its queue has no limit, so neither windows nor slow start of a
 * real line are there, and either end's acknowledgements come at once. Nagle's algorithm costs less here than there.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, EVENTS = 64, MOST_PORTS = 16 };

/* Empty: the end of the data. */
typedef struct chunk {
  struct chunk *next;
  uint64_t due;
  size_t length, sent;
  unsigned char data[];
} chunk;

typedef struct connection connection;

/* One socket, and what was read from it for the other one. */
typedef struct side {
  connection *of;
  int fd;
  uint32_t watched; /* what epoll was asked for */
  bool ended;       /* nothing more comes from it */
  bool shut;        /* it was told that nothing more comes */
  bool full;        /* it takes no more for now */
  chunk *first, **last;
} side;

enum state { WAITING, CONNECTING, OPEN, GONE };

struct connection {
  connection *next;
  side sides[2]; /* the one that called, and the target */
  enum state state;
  uint64_t connect_at;
  int port;
};

typedef struct listener {
  int fd;
  uint16_t port;
  uint64_t connections, bytes[2];
} listener;

static listener listeners[MOST_PORTS];
static int ports;
static connection *connections;
static struct in_addr target;
static uint64_t half_trip;
static int poller;
static unsigned char buffer[BUFFER];
static volatile sig_atomic_t stopping;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static side *other(side *s) { return &s->of->sides[s == &s->of->sides[0]]; }

static void watch(side *s) {
  uint32_t wanted = 0;
  if (s->of->state == GONE || s->fd < 0) return;
  if (!s->ended && (s == &s->of->sides[0] || s->of->state == OPEN)) wanted |= EPOLLIN;
  if (s->full) wanted |= EPOLLOUT;
  if (wanted == s->watched) return;
  int how = wanted == 0 ? EPOLL_CTL_DEL : s->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  struct epoll_event event = {.events = wanted, .data.ptr = s};
  if (epoll_ctl(poller, how, s->fd, &event) != 0) err(1, "epoll_ctl");
  s->watched = wanted;
}

/* Its memory goes later: the events at hand may name it. */
static void finish(connection *c, bool reset) {
  const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  for (int i = 0; i < 2; i++) {
    side *s = &c->sides[i];
    if (reset && s->fd >= 0) setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (s->fd >= 0) close(s->fd);
    for (chunk *next; s->first != NULL; s->first = next) {
      next = s->first->next;
      free(s->first);
    }
  }
  c->state = GONE;
}

static void queue(side *from, const unsigned char *data, size_t length) {
  chunk *k = malloc(sizeof *k + length);
  if (k == NULL) err(1, "malloc");
  *k = (chunk){.due = now_ns() + half_trip, .length = length};
  if (length > 0) memcpy(k->data, data, length);
  *from->last = k;
  from->last = &k->next;
}

/* How much the socket takes; -1: the connection is gone. */
static ssize_t put(side *to, const unsigned char *data, size_t length) {
  ssize_t n = send(to->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0 && errno != EAGAIN && errno != EINTR) return finish(to->of, true), -1;
  if (n < 0) n = 0;
  to->full = (size_t)n < length;
  return n;
}

/* Writes what is due. */
static void pump(side *from, uint64_t now) {
  side *to = other(from);
  while (from->of->state == OPEN && !to->full && from->first != NULL && from->first->due <= now) {
    chunk *k = from->first;
    if (k->length == 0) {
      shutdown(to->fd, SHUT_WR);
      to->shut = true;
    } else {
      ssize_t n = put(to, k->data + k->sent, k->length - k->sent);
      if (n < 0) return;
      k->sent += (size_t)n;
      if (k->sent < k->length) continue;
    }
    from->first = k->next;
    if (from->first == NULL) from->last = &from->first;
    free(k);
  }
  if (from->of->state == OPEN && from->shut && to->shut) finish(from->of, false);
}

static void take(side *from) {
  ssize_t n = recv(from->fd, buffer, BUFFER, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return finish(from->of, true);
  from->ended = n == 0;
  listeners[from->of->port].bytes[from != &from->of->sides[0]] += (size_t)n;
  ssize_t put_now = 0;
  side *to = other(from);
  if (n > 0 && half_trip == 0 && from->of->state == OPEN && from->first == NULL && !to->full)
    put_now = put(to, buffer, (size_t)n);
  if (put_now < 0 || (n > 0 && put_now == n)) return;
  queue(from, buffer + put_now, (size_t)(n - put_now));
}

static void prepare_socket(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void answer(int port) {
  for (int fd; (fd = accept4(listeners[port].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    connection *c = calloc(1, sizeof *c);
    if (c == NULL) err(1, "calloc");
    prepare_socket(fd);
    *c = (connection){.next = connections, .port = port, .connect_at = now_ns() + 3 * half_trip};
    for (int i = 0; i < 2; i++) {
      c->sides[i] = (side){.of = c, .fd = i == 0 ? fd : -1};
      c->sides[i].last = &c->sides[i].first;
    }
    connections = c;
    listeners[port].connections++;
    watch(&c->sides[0]);
  }
}

static void call(connection *c) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = target, .sin_port = htons(listeners[c->port].port)};
  side *s = &c->sides[1];
  s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s->fd < 0) return finish(c, true);
  prepare_socket(s->fd);
  if (connect(s->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) return finish(c, true);
  c->state = CONNECTING;
  s->full = true;
}

static void writable(side *s) {
  int problem = 0;
  socklen_t length = sizeof problem;
  s->full = false;
  if (s->of->state != CONNECTING) return;
  if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &problem, &length) != 0 || problem != 0) return finish(s->of, true);
  s->of->state = OPEN;
}

static void on_event(side *s, uint32_t events) {
  if (s->of->state == GONE) return;
  bool is_broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  if (s->of->state == CONNECTING && s == &s->of->sides[1]) return writable(s);
  if ((events & EPOLLOUT) != 0) writable(s);
  if ((events & EPOLLIN) != 0 || (is_broken && !s->ended)) take(s);
  else if (is_broken) finish(s->of, true);
}

/* Does what is due, forgets what is gone; when the next thing is due. */
static uint64_t tend(uint64_t now) {
  uint64_t next = UINT64_MAX;
  for (connection **at = &connections, *c; (c = *at) != NULL;) {
    if (c->state == WAITING && c->connect_at <= now) call(c);
    for (int i = 0; i < 2; i++) pump(&c->sides[i], now);
    if (c->state == GONE) {
      *at = c->next;
      free(c);
      continue;
    }
    for (int i = 0; i < 2; i++) {
      watch(&c->sides[i]);
      const chunk *first = c->sides[i].first;
      if (c->state == OPEN && first != NULL && !other(&c->sides[i])->full && first->due < next) next = first->due;
    }
    if (c->state == WAITING && c->connect_at < next) next = c->connect_at;
    at = &c->next;
  }
  return next;
}

static void listen_at(struct in_addr here, const char *port) {
  if (ports == MOST_PORTS) errx(2, "at most %d ports", MOST_PORTS);
  listener *l = &listeners[ports];
  int one = 1;
  l->port = (uint16_t)strtoul(port, NULL, 10);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = here, .sin_port = htons(l->port)};
  l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(l->fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(l->fd, 1024) != 0) err(1, "port %s", port);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = l};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, l->fd, &event) != 0) err(1, "epoll_ctl");
  ports++;
}

static void on_signal(int number) {
  (void)number;
  stopping = 1;
}

int main(int argc, char **argv) {
  struct in_addr here;
  if (argc < 5 || inet_aton(argv[1], &here) == 0 || inet_aton(argv[2], &target) == 0)
    errx(2, "usage: delay LISTEN TARGET ROUND_TRIP_MS PORT...");
  half_trip = (uint64_t)(strtod(argv[3], NULL) * 1e6 / 2);
  poller = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 4; i < argc; i++) listen_at(here, argv[i]);
  /* Without this the queue's memory goes back to the system and is asked for again all the time. */
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  sigset_t blocked, open;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGINT);
  sigprocmask(SIG_BLOCK, &blocked, &open);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  puts("ready");
  fflush(stdout);
  while (!stopping) {
    uint64_t now = now_ns(), next = tend(now);
    uint64_t wait = next > now ? next - now : 0;
    struct timespec time = {.tv_sec = (time_t)(wait / 1000000000u), .tv_nsec = (long)(wait % 1000000000u)};
    struct epoll_event events[EVENTS];
    int n = epoll_pwait2(poller, events, EVENTS, next == UINT64_MAX ? NULL : &time, &open);
    for (int i = 0; i < n; i++) {
      listener *l = events[i].data.ptr;
      if (l >= listeners && l < listeners + ports) answer((int)(l - listeners));
      else on_event(events[i].data.ptr, events[i].events);
    }
  }
  for (int i = 0; i < ports; i++)
    printf("%u %llu %llu %llu\n", listeners[i].port, (unsigned long long)listeners[i].connections,
           (unsigned long long)listeners[i].bytes[0], (unsigned long long)listeners[i].bytes[1]);
  return 0;
}
