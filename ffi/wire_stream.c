/* Threads that own sockets, and how requests find them.
 *
 *   submit   STREAM       a slot, an eventfd, a thread
 *            STREAM_END   the stream's flag, and its eventfd
 *            SEND         into the queue, and one resting sender is woken
 *            RECEIVE      into the table (wire_receive.c)
 *   thread   runs the direction's loop; at its end closes the socket, and, as the last of its direction, answers what
 *            nobody will serve any more; completes
 *   waiting  always poll(socket, eventfd): a stream at rest costs nothing and hears of ends and cancelling at once
 *
 * Locks: the ring's queue_lock, then the wire lock, then done_lock. */
#include "wire.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#define LOOK_AHEAD 16u
#define AHEAD_BYTES (64u << 10)
#define SENDFILE_MOST (1ll << 30)

fsy_wire *fsy_wire_new(void) {
  fsy_wire *wire = calloc(1, sizeof(*wire));
  if (!wire) return NULL;
  wire->register_ms = FSY_REGISTER_MS;
  pthread_mutex_init(&wire->lock, NULL);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&wire->registered, &attr);
  pthread_condattr_destroy(&attr);
  return wire;
}

static void stream_free(fsy_stream *s) {
  if (s->fd >= 0) close(s->fd);
  if (s->wake >= 0) close(s->wake);
  fsy_buffer *buffers[] = {&s->payload, &s->attrs, &s->records, &s->places};
  for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++) free(buffers[i]->at);
  free(s->ahead);
  fsy_worker_free(s->worker);
  free(s);
}

void fsy_wire_free(fsy_wire *wire) {
  if (!wire) return;
  pthread_mutex_destroy(&wire->lock);
  pthread_cond_destroy(&wire->registered);
  free(wire);
}

int fsy_stream_fail(fsy_stream *s, int status, uint32_t reason) {
  if (!s->reason) s->reason = reason;
  return status;
}

bool fsy_stream_told(const fsy_stream *s) { return atomic_load_explicit(&s->ending, memory_order_acquire); }

static void nudge(fsy_stream *s) {
  uint64_t one = 1;
  (void)!write(s->wake, &one, sizeof(one)); /* EAGAIN: it is readable already */
}

/* ---- the socket -------------------------------------------------------------------------------------------------- */

static void count(fsy_stream *s, ssize_t bytes) {
  s->total += (uint64_t)bytes;
  if (s->bytes) __atomic_fetch_add(s->bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
}

/* Until `events` or the peer's end: 0. `bound`: at most the idle timeout. */
static int wait_for(fsy_stream *s, short events, bool bound) {
  fsy_pay_wake(s->ring);
  double until = bound && s->idle_ms > 0 ? fsy_now() + s->idle_ms * 1e-3 : 0;
  for (;;) {
    if (fsy_cancelled(s->ring)) return -ECANCELED;
    if (!s->sending && fsy_stream_told(s)) return FSY_TOLD; /* a sender finishes first */
    struct pollfd p[2] = {{s->fd, (short)(events | (s->sending ? POLLRDHUP : 0)), 0}, {s->wake, POLLIN, 0}};
    int wait_ms = -1;
    if (until > 0) {
      double left = (until - fsy_now()) * 1e3;
      wait_ms = left > 0 ? (int)left + 1 : 0;
    }
    int ready = poll(p, 2, wait_ms);
    if (ready < 0 && errno != EINTR) return fsy_stream_fail(s, -errno, FSY_REASON_SOCKET);
    if (ready == 0 && wait_ms >= 0) return fsy_stream_fail(s, -ETIMEDOUT, FSY_REASON_IDLE);
    if (ready <= 0) continue;
    if (p[1].revents) {
      uint64_t drain;
      (void)!read(s->wake, &drain, sizeof(drain));
    }
    if (!p[0].revents) continue;
    /* a receiver says nothing: that it closed its side means that nobody reads any more */
    if (s->sending && (events & POLLOUT) && (p[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) && !(p[0].revents & POLLOUT))
      return fsy_stream_fail(s, -EPIPE, FSY_REASON_CLOSED);
    return 0;
  }
}

/* sendmsg, but for the plans of tests: a short one ends within the first part that has something. */
static ssize_t send_some(const fsy_stream *s, struct msghdr *message, int flags) {
  int error = FSY_FAULT(stream_send);
  if (error) return errno = error, -1;
  size_t first = message->msg_iov[0].iov_len, most = FSY_SHORT(stream_send, first);
  if (most < first) return send(s->fd, message->msg_iov[0].iov_base, most, flags);
  return sendmsg(s->fd, message, flags);
}

int fsy_stream_sendv(fsy_stream *s, struct iovec *parts, int parts_count, bool more) {
  struct msghdr message;
  memset(&message, 0, sizeof(message));
  for (;;) {
    while (parts_count > 0 && parts->iov_len == 0) {
      parts++;
      parts_count--;
    }
    if (parts_count == 0) return 0;
    message.msg_iov = parts;
    /* size_t in glibc, int in musl. */
    message.msg_iovlen = (__typeof__(message.msg_iovlen))parts_count;
    ssize_t sent = send_some(s, &message, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      int status = wait_for(s, POLLOUT, true);
      if (status) return status;
      continue;
    }
    if (sent < 0) return fsy_stream_fail(s, -errno, FSY_REASON_SOCKET);
    count(s, sent);
    for (size_t left = (size_t)sent; left > 0;) {
      if (parts->iov_len == 0) { /* one that was empty may have no address either */
        parts++;
        parts_count--;
        continue;
      }
      size_t taken = left < parts->iov_len ? left : parts->iov_len;
      parts->iov_base = (uint8_t *)parts->iov_base + taken;
      parts->iov_len -= taken;
      left -= taken;
    }
  }
}

int fsy_stream_send(fsy_stream *s, const void *data, size_t bytes, bool more) {
  struct iovec part = {(void *)(uintptr_t)data, bytes};
  return fsy_stream_sendv(s, &part, 1, more);
}

int fsy_stream_sendfile(fsy_stream *s, int file, int64_t offset, int64_t bytes, int64_t *sent) {
  *sent = 0;
  off_t at = offset;
  while (*sent < bytes) {
    int64_t left = bytes - *sent;
    int error = FSY_FAULT(stream_sendfile);
    size_t most = FSY_SHORT(stream_sendfile, (size_t)(left < SENDFILE_MOST ? left : SENDFILE_MOST));
    ssize_t moved = error ? (errno = error, -1) : sendfile(s->fd, file, &at, most);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0 && errno == EAGAIN) {
      int status = wait_for(s, POLLOUT, true);
      if (status) return status;
      continue;
    }
    if (moved < 0 && (errno == EPIPE || errno == ECONNRESET || errno == ETIMEDOUT || errno == ENOTCONN))
      return fsy_stream_fail(s, -errno, FSY_REASON_SOCKET);
    if (moved <= 0) return 1; /* the file's end, or its fault: reading it will tell */
    count(s, moved);
    *sent += moved;
  }
  return 0;
}

/* The end of what comes, without goodbye. Who opened the socket has it too, and its event loop may have taken the error
 * that tells why; then only the connection's state is left. A peer that hung up leaves CLOSE_WAIT; one that did not answer
 * what was sent again and again leaves CLOSE, and the count of that. */
static int ended(fsy_stream *s, int status) {
  struct tcp_info info;
  socklen_t bytes = sizeof(info);
  memset(&info, 0, sizeof(info));
  bool is_known = getsockopt(s->fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0;
  if (is_known && info.tcpi_state == TCP_CLOSE && (info.tcpi_retransmits || info.tcpi_probes))
    return fsy_stream_fail(s, -ETIMEDOUT, FSY_REASON_SOCKET);
  return fsy_stream_fail(s, status, FSY_REASON_CLOSED);
}

/* Some bytes, at least one. FSY_TOLD, -errno; `between`: the wait may last. */
static ssize_t receive_some(fsy_stream *s, uint8_t *to, size_t room, bool between) {
  for (;;) {
    int error = FSY_FAULT(stream_recv);
    ssize_t got = error ? (errno = error, -1) : recv(s->fd, to, FSY_SHORT(stream_recv, room), MSG_DONTWAIT);
    if (got > 0) {
      count(s, got);
      return got;
    }
    if (got == 0) return ended(s, -ECONNRESET);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fsy_stream_fail(s, -errno, FSY_REASON_SOCKET);
    int status = wait_for(s, POLLIN, !between);
    if (status) return status == FSY_TOLD ? -EALREADY : status;
  }
}

int fsy_stream_read(fsy_stream *s, uint8_t *to, size_t bytes, bool between) {
  while (bytes > 0) {
    size_t has = s->ahead_to - s->ahead_from;
    if (has > 0) {
      size_t taken = has < bytes ? has : bytes;
      memcpy(to, s->ahead + s->ahead_from, taken);
      s->ahead_from += taken;
      to += taken;
      bytes -= taken;
      between = false;
      continue;
    }
    /* a header, or what is left of a payload: read ahead; large parts go where they belong at once */
    bool direct = bytes >= AHEAD_BYTES;
    ssize_t got = receive_some(s, direct ? to : s->ahead, direct ? bytes : AHEAD_BYTES, between);
    if (got == -EALREADY) return FSY_TOLD;
    if (got < 0) return (int)got;
    if (direct) {
      to += got;
      bytes -= (size_t)got;
      between = false;
    } else {
      s->ahead_from = 0;
      s->ahead_to = (size_t)got;
    }
  }
  return 0;
}

/* ---- the send queue ------------------------------------------------------------------------------------------------- */

/* Directory whose counterpart the receiver will create names in; a range writes into a file that is open there. */
static int read_directory(const fsy_sqe *sqe) { return sqe->flags == FSY_WIRE_CONTENT ? sqe->fd0 : FSY_NO_FD; }

static bool somebody_reads_in(const fsy_wire *wire, const fsy_stream *me, int directory) {
  for (uint32_t i = 0; i < FSY_MAX_STREAMS; i++) {
    const fsy_stream *other = wire->stream[i];
    if (other && other != me && !other->finished && other->reads_in == directory) return true;
  }
  return false;
}

/* As take_bulk in ring.c: two receivers creating in one directory would fight for its lock. Lock held. */
static void take_send(fsy_wire *wire, fsy_stream *me, fsy_sqe *out) {
  fsy_queue *q = &wire->sends;
  uint32_t waiting = q->tail - q->head, pick = 0;
  for (uint32_t i = 0; i < waiting && i < LOOK_AHEAD; i++) {
    int directory = read_directory(&q->slot[(q->head + i) & (FSY_QUEUE_SIZE - 1)]);
    if (directory >= 0 && somebody_reads_in(wire, me, directory)) continue;
    pick = i;
    break;
  }
  *out = q->slot[(q->head + pick) & (FSY_QUEUE_SIZE - 1)];
  for (uint32_t i = pick; i > 0; i--)
    q->slot[(q->head + i) & (FSY_QUEUE_SIZE - 1)] = q->slot[(q->head + i - 1) & (FSY_QUEUE_SIZE - 1)];
  q->head++;
  me->reads_in = read_directory(out);
}

/* A receiver never says anything: what a sender can read is its end, or wrong. */
static int listen_to(fsy_stream *s) {
  uint8_t byte;
  ssize_t got = recv(s->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  if (got > 0) return fsy_stream_fail(s, -EPROTO, FSY_REASON_TALKS);
  if (got == 0) return ended(s, -EPIPE);
  return errno == EAGAIN || errno == EINTR ? 0 : fsy_stream_fail(s, -errno, FSY_REASON_SOCKET);
}

int fsy_stream_next(fsy_stream *s, fsy_sqe *sqe) {
  fsy_wire *wire = s->ring->wire;
  for (;;) {
    pthread_mutex_lock(&wire->lock);
    bool told = fsy_stream_told(s), cancelled = fsy_cancelled(s->ring);
    bool work = !told && !cancelled && wire->sends.head != wire->sends.tail;
    s->reads_in = FSY_NO_FD;
    if (work) take_send(wire, s, sqe);
    s->resting = !told && !cancelled && !work;
    pthread_mutex_unlock(&wire->lock);
    if (cancelled) return -ECANCELED;
    if (work) return 0;
    if (told) return FSY_TOLD;
    fsy_pay_wake(s->ring);
    struct pollfd p[2] = {{s->fd, POLLIN | POLLRDHUP, 0}, {s->wake, POLLIN, 0}};
    int ready = poll(p, 2, -1);
    if (ready < 0 && errno != EINTR) return fsy_stream_fail(s, -errno, FSY_REASON_SOCKET);
    if (ready <= 0) continue;
    if (p[1].revents) {
      uint64_t drain;
      (void)!read(s->wake, &drain, sizeof(drain));
    }
    int status = p[0].revents ? listen_to(s) : 0;
    if (status) return status;
  }
}

static void refuse_sends(fsy_ring *ring, int status) {
  fsy_queue *q = &ring->wire->sends;
  while (q->head != q->tail) fsy_send_refuse(ring, &q->slot[q->head++ & (FSY_QUEUE_SIZE - 1)], status);
}

/* After BYE: until the peer, having read everything, closes. Whoever then resets the connection harms nothing. */
static void linger(fsy_stream *s) {
  uint8_t byte;
  if (shutdown(s->fd, SHUT_WR) < 0) return;
  if (s->idle_ms <= 0 || s->idle_ms > FSY_LINGER_MS) s->idle_ms = FSY_LINGER_MS;
  while (recv(s->fd, &byte, 1, MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR))
    if (wait_for(s, POLLIN, true)) break;
  s->reason = FSY_REASON_NONE;
}

/* ---- threads ----------------------------------------------------------------------------------------------------------- */

static void finish(fsy_stream *s, int status) {
  fsy_ring *ring = s->ring;
  fsy_wire *wire = ring->wire;
  fsy_task t;
  fsy_task_open(&t, ring, s->worker, &s->sqe);
  t.cqe.result = status;
  t.cqe.flags = s->reason;
  t.cqe.bytes = (double)s->total;
  int rest = fsy_cancelled(ring) ? -ECANCELED : -EPIPE;
  pthread_mutex_lock(&wire->lock);
  close(s->fd);
  s->fd = -1;
  if (s->sending && --wire->senders == 0) refuse_sends(ring, rest);
  if (!s->sending && --wire->receivers == 0) fsy_expect_none(ring, rest);
  fsy_complete(ring, &t);
  s->finished = true;
  pthread_mutex_unlock(&wire->lock);
}

static void *stream_main(void *argument) {
  fsy_stream *s = argument;
  int status = s->sending ? fsy_send_main(s) : fsy_receive_main(s);
  if (s->sending && status == 0) linger(s);
  /* not only close: another descriptor of the socket may be open in this process, and the peer shall notice */
  (void)shutdown(s->fd, SHUT_RDWR);
  finish(s, status);
  fsy_pay_wake(s->ring);
  return NULL;
}

/* A slot that is free, or whose thread has ended. Lock held. */
static int free_slot(fsy_wire *wire) {
  for (uint32_t i = 0; i < FSY_MAX_STREAMS; i++) {
    fsy_stream *s = wire->stream[i];
    if (!s) return (int)i;
    if (!s->finished) continue;
    pthread_mutex_unlock(&wire->lock); /* its last acts need the lock; nobody else takes or frees slots */
    pthread_join(s->thread, NULL);
    pthread_mutex_lock(&wire->lock);
    stream_free(s);
    wire->stream[i] = NULL;
    return (int)i;
  }
  return -EMFILE;
}

static int stream_open(fsy_ring *ring, const fsy_sqe *q) {
  fsy_wire *wire = ring->wire;
  uint64_t *bytes = q->results ? fsy_at(ring, q->results, 8) : NULL;
  if (q->flags > FSY_STREAM_RECEIVE || (q->results && !bytes) || q->results % 8 || q->fd0 < 0) return -EINVAL;
  if (!(q->length >= 0 && q->length <= 86400e3)) return -EINVAL;
  int slot = free_slot(wire);
  if (slot < 0) return slot;
  fsy_stream *s = calloc(1, sizeof(*s));
  if (!s) return -ENOMEM;
  s->ring = ring;
  s->sqe = *q;
  s->fd = -1; /* the caller's until the thread runs */
  s->sending = q->flags == FSY_STREAM_SEND;
  s->idle_ms = (int)q->length;
  s->reads_in = FSY_NO_FD;
  s->bytes = bytes;
  s->in.fd = -1;
  s->worker = fsy_worker_new(ring);
  s->ahead = s->sending ? NULL : malloc(AHEAD_BYTES);
  s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  int flags = fcntl(q->fd0, F_GETFL);
  int status = s->wake < 0 || flags < 0 || fcntl(q->fd0, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
  if (!s->worker || (!s->sending && !s->ahead)) status = -ENOMEM;
  if (!status) {
    s->fd = q->fd0;
    status = fsy_thread_start(&s->thread, stream_main, s);
    if (status) s->fd = -1;
  }
  if (status) {
    stream_free(s);
    return status;
  }
  wire->stream[slot] = s;
  if (s->sending) {
    wire->senders++;
    wire->had_sender = true;
  } else {
    wire->receivers++;
    wire->had_receiver = true;
  }
  return 0;
}

static void answer(fsy_ring *ring, const fsy_sqe *sqe, int status) {
  fsy_task t;
  fsy_task_open(&t, ring, NULL, sqe);
  t.cqe.result = status;
  fsy_complete(ring, &t);
}

static void stream_end(fsy_wire *wire, uint32_t id) {
  for (uint32_t i = 0; i < FSY_MAX_STREAMS; i++) {
    fsy_stream *s = wire->stream[i];
    if (!s || s->finished || s->sqe.extra != id) continue;
    atomic_store_explicit(&s->ending, true, memory_order_release);
    nudge(s);
  }
  pthread_cond_broadcast(&wire->registered); /* one may wait there */
}

static void send_later(fsy_ring *ring, const fsy_sqe *sqe, int refused) {
  fsy_wire *wire = ring->wire;
  if (!refused && wire->senders == 0 && wire->had_sender) refused = -EPIPE;
  if (refused) {
    fsy_send_refuse(ring, sqe, refused);
    return;
  }
  wire->sends.slot[wire->sends.tail++ & (FSY_QUEUE_SIZE - 1)] = *sqe;
  for (uint32_t i = 0; i < FSY_MAX_STREAMS; i++) {
    fsy_stream *s = wire->stream[i];
    if (!s || !s->resting || s->finished) continue;
    s->resting = false;
    nudge(s);
    break;
  }
}

void fsy_wire_submit(fsy_ring *ring, const fsy_sqe *sqe) {
  fsy_wire *wire = ring->wire;
  int refused = fsy_cancelled(ring) ? -ECANCELED : 0;
  int status;
  pthread_mutex_lock(&wire->lock);
  switch (sqe->op) {
    case FSY_OP_STREAM:
      status = refused ? refused : stream_open(ring, sqe);
      if (status) {
        if (sqe->fd0 >= 0) close(sqe->fd0);
        answer(ring, sqe, status);
      }
      break;
    case FSY_OP_STREAM_END:
      stream_end(wire, sqe->extra);
      answer(ring, sqe, 0);
      break;
    case FSY_OP_SEND: send_later(ring, sqe, refused); break;
    default:
      if (!refused && wire->receivers == 0 && wire->had_receiver) refused = -EPIPE;
      if (fsy_expect(ring, sqe, refused) == 0) pthread_cond_broadcast(&wire->registered);
  }
  pthread_mutex_unlock(&wire->lock);
}

void fsy_wire_cancel(fsy_ring *ring) {
  fsy_wire *wire = ring->wire;
  pthread_mutex_lock(&wire->lock);
  refuse_sends(ring, -ECANCELED);
  fsy_expect_none(ring, -ECANCELED);
  for (uint32_t i = 0; i < FSY_MAX_STREAMS; i++)
    if (wire->stream[i] && !wire->stream[i]->finished) nudge(wire->stream[i]);
  pthread_cond_broadcast(&wire->registered);
  pthread_mutex_unlock(&wire->lock);
}

void fsy_wire_join(fsy_ring *ring) {
  fsy_wire *wire = ring->wire;
  for (uint32_t i = 0; i < FSY_MAX_STREAMS; i++) {
    fsy_stream *s = wire->stream[i]; /* only the owner's thread changes slots */
    if (!s) continue;
    pthread_join(s->thread, NULL);
    stream_free(s);
    wire->stream[i] = NULL;
  }
}
