/* The arena, the two rings, the workers and the wake-up.
 *
 * submit: copies requests out of the shared ring into one of two private queues (quick: scans and questions; bulk:
 *         what moves data) under one lock and wakes workers. Takes no more than the completion ring can answer.
 * worker: pops quick first, runs the handler, posts the completion.
 * reap:   looks at the completion ring under done_lock; empty means `armed`. Posting happens under the same lock, so
 *         a completion is either seen by that reap or finds the ring armed and writes the byte: no wake-up is lost.
 */
#include "wire.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define WORKER_STACK (512u << 10)
#define PACE_STEP_SECONDS 0.05
#define PACE_BURST_SECONDS 0.1
#define LOOK_AHEAD 64u
#define RATE_SLICE_MIN (16ll << 10)
#define SQ_AT 4096u
#define CQ_AT (SQ_AT + FSY_SQ_SIZE * (uint32_t)sizeof(fsy_sqe))
#define HEAP_AT (CQ_AT + FSY_CQ_SIZE * (uint32_t)sizeof(fsy_cqe))

_Static_assert(sizeof(fsy_control) == 80, "shared layout");
_Static_assert(sizeof(fsy_batch) == 64, "shared layout");
_Static_assert(sizeof(fsy_result) == 48, "shared layout");
_Static_assert(sizeof(fsy_options) == 64, "shared layout");
_Static_assert(sizeof(fsy_sqe) == 128, "shared layout");
_Static_assert(sizeof(fsy_cqe) == 64, "shared layout");
_Static_assert(sizeof(fsy_probe) == 128, "shared layout");

typedef int (*handler)(fsy_task *);

static int op_nop(fsy_task *t) {
  (void)t;
  return 0;
}

static const struct {
  handler run;
  bool quick; /* may go ahead of bulk work */
} operations[FSY_OP_COUNT] = {
    [FSY_OP_NOP] = {op_nop, true},
    [FSY_OP_WALK] = {fsy_op_walk, true},
    [FSY_OP_STAT] = {fsy_op_stat, true},
    [FSY_OP_RESOLVE] = {fsy_op_resolve, true},
    [FSY_OP_COPY] = {fsy_op_copy, false},
    [FSY_OP_REPAIR] = {fsy_op_repair, false},
    [FSY_OP_LARGE_BEGIN] = {fsy_op_large_begin, false},
    [FSY_OP_LARGE_RANGE] = {fsy_op_large_range, false},
    [FSY_OP_LARGE_COMMIT] = {fsy_op_large_commit, false},
    [FSY_OP_LARGE_ABORT] = {fsy_op_large_abort, false},
    [FSY_OP_DELETE] = {fsy_op_delete, false},
    [FSY_OP_LINK] = {fsy_op_link, false},
    [FSY_OP_HASH] = {fsy_op_hash, false},
    [FSY_OP_RENAME] = {fsy_op_rename, false},
    [FSY_OP_CLOSE] = {fsy_op_close, true},
    [FSY_OP_SYNC] = {fsy_op_sync, false},
    [FSY_OP_PROBE] = {fsy_op_probe, false},
    [FSY_OP_SWEEP] = {fsy_op_sweep, false},
    [FSY_OP_HASH_BLOCKS] = {fsy_op_hash_blocks, false},
    /* the rest never reaches a worker: fsy_wire_submit */
    [FSY_OP_STREAM] = {op_nop, true},
    [FSY_OP_STREAM_END] = {op_nop, true},
    [FSY_OP_SEND] = {op_nop, true},
    [FSY_OP_RECEIVE] = {op_nop, true},
};

double fsy_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- checked access to the arena --------------------------------------------------------------------------- */

void *fsy_at(const fsy_ring *ring, uint32_t at, uint64_t bytes) {
  if (at < HEAP_AT || bytes > FSY_ARENA_BYTES || at > FSY_ARENA_BYTES - bytes) return NULL;
  return ring->base + at;
}

const char *fsy_string_at(const fsy_ring *ring, uint32_t at, uint32_t bytes) {
  const char *text = fsy_at(ring, at, bytes);
  if (!text || bytes == 0 || !memchr(text, 0, bytes)) return NULL;
  return text;
}

bool fsy_reserve(fsy_buffer *buffer, size_t bytes) {
  if (bytes <= buffer->room) return true;
  size_t room = buffer->room ? buffer->room : FSY_PAGE;
  while (room < bytes) room *= 2;
  /* Page-aligned: what the kernel copies into it lies in pages, and a copy whose two ends differ by a few bytes within the
   * page is several times slower on some processors (malloc's large blocks begin 16 bytes into one). */
  uint8_t *at = aligned_alloc(FSY_PAGE, room);
  if (!at) return false;
  if (buffer->room) memcpy(at, buffer->at, buffer->room);
  free(buffer->at);
  buffer->at = at;
  buffer->room = room;
  return true;
}

/* ---- cancelling and pacing ----------------------------------------------------------------------------------- */

bool fsy_cancelled(const fsy_ring *ring) { return __atomic_load_n(&ring->control->cancel, __ATOMIC_ACQUIRE) != 0; }

static double rate_of(const fsy_ring *ring) {
  double rate;
  __atomic_load(&ring->control->rate_bytes_per_second, &rate, __ATOMIC_RELAXED);
  return rate > 0 ? rate : 0;
}

int64_t fsy_slice_bytes(const fsy_ring *ring) {
  double rate = rate_of(ring);
  if (rate <= 0 || rate * PACE_BURST_SECONDS >= (double)FSY_SLICE_BYTES) return FSY_SLICE_BYTES;
  int64_t slice = (int64_t)(rate * PACE_BURST_SECONDS) & ~4095ll;
  return slice < RATE_SLICE_MIN ? RATE_SLICE_MIN : slice;
}

int fsy_pace(fsy_ring *ring, int64_t bytes) {
  if (fsy_cancelled(ring)) return -ECANCELED;
  double rate = rate_of(ring);
  if (rate <= 0 || bytes <= 0) return 0;
  pthread_mutex_lock(&ring->pace_lock);
  double now = fsy_now();
  if (ring->pace_next < now - PACE_BURST_SECONDS) ring->pace_next = now - PACE_BURST_SECONDS;
  double until = ring->pace_next;
  ring->pace_next += (double)bytes / rate;
  pthread_mutex_unlock(&ring->pace_lock);
  for (double left; (left = until - fsy_now()) > 0;) {
    if (fsy_cancelled(ring)) return -ECANCELED;
    if (rate_of(ring) <= 0) break; /* the limit was lifted meanwhile */
    double step = left < PACE_STEP_SECONDS ? left : PACE_STEP_SECONDS;
    struct timespec pause = {0, (long)(step * 1e9)};
    nanosleep(&pause, NULL);
  }
  return 0;
}

fsy_pair *fsy_pair_of(fsy_ring *ring, uint32_t source_dev, uint32_t target_dev) {
  pthread_mutex_lock(&ring->pair_lock);
  uint32_t i = 0;
  while (i < ring->pairs && (ring->pair[i].source_dev != source_dev || ring->pair[i].target_dev != target_dev)) i++;
  if (i == FSY_PAIRS) i = FSY_PAIRS - 1; /* more pairs than anybody mounts: they share one memory */
  if (i == ring->pairs) {
    ring->pair[i].source_dev = source_dev;
    ring->pair[i].target_dev = target_dev;
    ring->pairs++;
  }
  pthread_mutex_unlock(&ring->pair_lock);
  return &ring->pair[i];
}

/* ---- completions ------------------------------------------------------------------------------------------------ */

static void write_wake(fsy_ring *ring) {
  ssize_t done;
  do done = write(ring->wake_write, "", 1);
  while (done < 0 && errno == EINTR); /* EAGAIN: the pipe is full, hence readable */
}

/* A wake-up costs the owner ten system calls, more than a small request. While requests are short and others wait,
 * one wake-up serves all completions of WAKE_GAP_NANOS; `fsy_pay_wake` runs before a worker rests or turns to what may
 * take long, so that no completion waits for longer than a short request. */
enum { WAKE_GAP_NANOS = 500000, WAKE_SHORT_NANOS = 200000, WAKE_MOST = 24 };

static bool may_owe(const fsy_ring *ring, int64_t nanos, int64_t now) {
  return nanos < WAKE_SHORT_NANOS && now - ring->last_wake < WAKE_GAP_NANOS &&
         ring->owed < WAKE_MOST &&
         atomic_load_explicit(&ring->queued, memory_order_acquire) > 0 && rate_of(ring) <= 0;
}

void fsy_pay_wake(fsy_ring *ring) {
  if (!ring->owed) return; /* a hint, read without its lock: what is owed later somebody else pays */
  pthread_mutex_lock(&ring->done_lock);
  bool wake = ring->armed && ring->owed;
  if (wake) {
    ring->armed = false;
    ring->last_wake = (int64_t)(fsy_now() * 1e9);
  }
  ring->owed = 0;
  pthread_mutex_unlock(&ring->done_lock);
  if (wake) write_wake(ring);
}

void fsy_complete(fsy_ring *ring, const fsy_task *t) {
  if (t->quiet) {
    atomic_fetch_add(&ring->quiet_done, 1);
    return;
  }
  pthread_mutex_lock(&ring->done_lock);
  ring->cq[ring->cq_tail & (FSY_CQ_SIZE - 1)] = t->cqe;
  ring->cq_tail++;
  __atomic_store_n(&ring->control->cq_tail, ring->cq_tail, __ATOMIC_RELEASE);
  bool wake = ring->armed;
  int64_t now = wake ? (int64_t)(fsy_now() * 1e9) : 0;
  if (wake && may_owe(ring, (int64_t)t->cqe.nanos, now)) {
    ring->owed++;
    wake = false;
  }
  if (wake) {
    ring->armed = false;
    ring->owed = 0;
    ring->last_wake = now;
  }
  pthread_mutex_unlock(&ring->done_lock);
  if (wake) write_wake(ring);
}

void fsy_task_open(fsy_task *t, fsy_ring *ring, fsy_worker *worker, const fsy_sqe *sqe) {
  memset(t, 0, sizeof(*t));
  t->ring = ring;
  t->worker = worker;
  t->sqe = *sqe;
  t->cqe.tag = sqe->tag;
  t->cqe.fd0 = FSY_NO_FD;
  t->cqe.fd1 = FSY_NO_FD;
}

static void run(fsy_ring *ring, fsy_worker *worker, const fsy_sqe *sqe) {
  fsy_task t;
  fsy_task_open(&t, ring, worker, sqe);
  double from = fsy_now();
  t.cqe.result = sqe->op < FSY_OP_COUNT ? operations[sqe->op].run(&t) : -ENOSYS;
  t.cqe.nanos = (fsy_now() - from) * 1e9;
  __atomic_fetch_add(&ring->control->busy_nanos, (uint64_t)t.cqe.nanos, __ATOMIC_RELAXED);
  fsy_complete(ring, &t);
}

/* ---- workers ------------------------------------------------------------------------------------------------------ */

/* The directory whose names the request changes; the kernel lets one thread at a time do that. */
static int written_directory(const fsy_sqe *sqe) {
  switch (sqe->op) {
    case FSY_OP_COPY:
    case FSY_OP_REPAIR:
    case FSY_OP_LINK:
    case FSY_OP_RENAME: return sqe->fd1;
    case FSY_OP_DELETE:
    case FSY_OP_SWEEP: return sqe->fd0;
    default: return FSY_NO_FD;
  }
}

static bool may_take_long(uint32_t op) {
  switch (op) {
    case FSY_OP_LARGE_BEGIN:
    case FSY_OP_LARGE_RANGE:
    case FSY_OP_LARGE_COMMIT:
    case FSY_OP_HASH:
    case FSY_OP_HASH_BLOCKS:
    case FSY_OP_SYNC:
    case FSY_OP_PROBE: return true;
    default: return false;
  }
}

static bool somebody_writes_in(const fsy_ring *ring, const fsy_worker *me, int directory) {
  for (uint32_t i = 0; i < FSY_MAX_WORKERS && ring->worker[i]; i++)
    if (ring->worker[i] != me && atomic_load_explicit(&ring->worker[i]->writes_in, memory_order_relaxed) == directory)
      return true;
  return false;
}

/* The first waiting request whose directory no other worker is busy in, else the first: two threads creating in one
 * directory spin on its lock (measured on XFS: 100,000 files in 100 directories took 40 % more CPU time). */
static void take_bulk(fsy_ring *ring, fsy_worker *me, fsy_sqe *out) {
  fsy_queue *q = &ring->bulk;
  uint32_t waiting = q->tail - q->head, pick = 0;
  for (uint32_t i = 0; i < waiting && i < LOOK_AHEAD; i++) {
    int directory = written_directory(&q->slot[(q->head + i) & (FSY_QUEUE_SIZE - 1)]);
    if (directory >= 0 && somebody_writes_in(ring, me, directory)) continue;
    pick = i;
    break;
  }
  *out = q->slot[(q->head + pick) & (FSY_QUEUE_SIZE - 1)];
  for (uint32_t i = pick; i > 0; i--)
    q->slot[(q->head + i) & (FSY_QUEUE_SIZE - 1)] = q->slot[(q->head + i - 1) & (FSY_QUEUE_SIZE - 1)];
  q->head++;
  atomic_store_explicit(&me->writes_in, written_directory(out), memory_order_relaxed);
}

static void *worker_main(void *argument) {
  fsy_worker *worker = argument;
  fsy_ring *ring = worker->ring;
  for (;;) {
    fsy_sqe sqe;
    pthread_mutex_lock(&ring->queue_lock);
    for (;;) {
      bool work = ring->quick.head != ring->quick.tail || ring->bulk.head != ring->bulk.tail;
      if (worker->index >= ring->workers_wanted || (ring->stopping && !work)) {
        __atomic_fetch_sub(&ring->control->workers, 1, __ATOMIC_RELAXED);
        worker->ring = NULL; /* exited; read under queue_lock by fsy_set_workers */
        if (work) pthread_cond_signal(&ring->queue_ready);
        pthread_mutex_unlock(&ring->queue_lock);
        fsy_pay_wake(ring);
        return NULL;
      }
      if (work) break;
      if (ring->owed) { /* a hint, read without its lock: owed is set only while something was queued */
        pthread_mutex_unlock(&ring->queue_lock);
        fsy_pay_wake(ring);
        pthread_mutex_lock(&ring->queue_lock);
        continue;
      }
      pthread_cond_wait(&ring->queue_ready, &ring->queue_lock);
    }
    if (ring->quick.head != ring->quick.tail) sqe = ring->quick.slot[ring->quick.head++ & (FSY_QUEUE_SIZE - 1)];
    else take_bulk(ring, worker, &sqe);
    atomic_fetch_sub_explicit(&ring->queued, 1, memory_order_release);
    pthread_mutex_unlock(&ring->queue_lock);
    if (may_take_long(sqe.op)) fsy_pay_wake(ring);
    run(ring, worker, &sqe);
    worker->writes_in = FSY_NO_FD;
  }
}

void fsy_worker_free(fsy_worker *worker) {
  if (!worker) return;
  free(worker->io.at);
  free(worker->dents.at);
  free(worker->order.at);
  free(worker->names.at);
  free(worker->values.at);
  free(worker->scratch.at);
  free(worker);
}

fsy_worker *fsy_worker_new(fsy_ring *ring) {
  fsy_worker *worker = calloc(1, sizeof(*worker));
  if (!worker) return NULL;
  worker->ring = ring;
  worker->writes_in = FSY_NO_FD;
  return worker;
}

int fsy_thread_start(pthread_t *thread, void *(*run_thread)(void *), void *argument) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, WORKER_STACK);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: signals are the owner's business */
  int error = pthread_create(thread, &attr, run_thread, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  return -error;
}

/* Call with queue_lock held. */
static int worker_start(fsy_ring *ring, uint32_t index) {
  fsy_worker *worker = ring->worker[index];
  if (worker && worker->ring) return 0; /* told to end, but has not yet: it stays */
  if (worker) {
    pthread_join(worker->thread, NULL); /* it released the lock as its last act: no wait */
    fsy_worker_free(worker);
    ring->worker[index] = NULL;
  }
  worker = fsy_worker_new(ring);
  if (!worker) return -ENOMEM;
  worker->index = index;
  int error = fsy_thread_start(&worker->thread, worker_main, worker);
  if (error) {
    fsy_worker_free(worker);
    return error;
  }
  ring->worker[index] = worker;
  __atomic_fetch_add(&ring->control->workers, 1, __ATOMIC_RELAXED);
  return 0;
}

FSY_API int32_t fsy_set_workers(fsy_ring *ring, uint32_t workers) {
  if (workers < 1 || workers > FSY_MAX_WORKERS) return -EINVAL;
  int32_t error = 0;
  pthread_mutex_lock(&ring->queue_lock);
  ring->workers_wanted = workers;
  for (uint32_t i = 0; i < workers && !error; i++) error = worker_start(ring, i);
  pthread_cond_broadcast(&ring->queue_ready);
  pthread_mutex_unlock(&ring->queue_lock);
  return error;
}

/* ---- the owner's functions ------------------------------------------------------------------------------------------ */

static void ring_free(fsy_ring *ring) {
  for (uint32_t i = 0; i < FSY_MAX_WORKERS; i++) fsy_worker_free(ring->worker[i]);
  fsy_wire_free(ring->wire);
  fsy_heap_close(ring->heap);
  if (ring->wake_read >= 0) close(ring->wake_read);
  if (ring->wake_write >= 0) close(ring->wake_write);
  if (ring->base) munmap(ring->base, FSY_ARENA_BYTES);
  pthread_mutex_destroy(&ring->queue_lock);
  pthread_mutex_destroy(&ring->done_lock);
  pthread_mutex_destroy(&ring->pace_lock);
  pthread_mutex_destroy(&ring->pair_lock);
  pthread_cond_destroy(&ring->queue_ready);
  free(ring);
}

FSY_API fsy_ring *fsy_open(uint32_t workers, int32_t *error) {
  int32_t ignored;
  if (!error) error = &ignored;
  *error = 0;
  if (workers < 1 || workers > FSY_MAX_WORKERS) {
    *error = -EINVAL;
    return NULL;
  }
  fsy_ring *ring = calloc(1, sizeof(*ring));
  if (!ring) {
    *error = -ENOMEM;
    return NULL;
  }
  ring->wake_read = ring->wake_write = -1;
  ring->sha_fast = fsy_sha256_fast();
  pthread_mutex_init(&ring->queue_lock, NULL);
  pthread_mutex_init(&ring->done_lock, NULL);
  pthread_mutex_init(&ring->pace_lock, NULL);
  pthread_mutex_init(&ring->pair_lock, NULL);
  pthread_cond_init(&ring->queue_ready, NULL);
  void *base = mmap(NULL, FSY_ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  int wake[2];
  if (base == MAP_FAILED || pipe2(wake, O_NONBLOCK | O_CLOEXEC) < 0) {
    *error = -errno;
    if (base != MAP_FAILED) ring->base = base;
    ring_free(ring);
    return NULL;
  }
  ring->base = base;
  ring->wake_read = wake[0];
  ring->wake_write = wake[1];
  ring->control = base;
  ring->control->abi = FSY_ABI;
  ring->control->control_bytes = (uint32_t)sizeof(fsy_control);
  ring->control->sq_at = SQ_AT;
  ring->control->cq_at = CQ_AT;
  ring->sq = (fsy_sqe *)(void *)(ring->base + SQ_AT);
  ring->cq = (fsy_cqe *)(void *)(ring->base + CQ_AT);
  ring->euid = (uint32_t)geteuid();
  ring->may_chown = fsy_may_chown();
  ring->heap = fsy_heap_open(ring->base, HEAP_AT, FSY_ARENA_BYTES, &ring->control->arena_used);
  ring->wire = fsy_wire_new();
  *error = ring->heap && ring->wire ? fsy_set_workers(ring, workers) : -ENOMEM;
  if (*error) {
    if (ring->control->workers) fsy_close(ring);
    else ring_free(ring);
    return NULL;
  }
  return ring;
}

FSY_API void *fsy_arena(fsy_ring *ring) { return ring->base; }

FSY_API int32_t fsy_wake_fd(fsy_ring *ring) { return ring->wake_read; }

FSY_API int32_t fsy_submit(fsy_ring *ring) {
  uint32_t waiting = ring->control->sq_tail - ring->sq_head;
  if (waiting > FSY_SQ_SIZE) return -EINVAL;
  if (waiting == 0) return 0;
  /* Taken and not yet reaped. Exact but for quiet requests that end this moment, which err on the safe side. */
  uint32_t busy = ring->sq_head - atomic_load(&ring->quiet_done) - ring->control->cq_head;
  uint32_t room = busy < FSY_CQ_SIZE ? FSY_CQ_SIZE - busy : 0;
  uint32_t taken = 0, queued = 0;
  pthread_mutex_lock(&ring->queue_lock);
  for (; taken < waiting && taken < room; taken++) {
    const fsy_sqe *sqe = &ring->sq[ring->sq_head++ & (FSY_SQ_SIZE - 1)];
    if (fsy_is_wire(sqe->op)) {
      fsy_wire_submit(ring, sqe);
      continue;
    }
    queued++;
    fsy_queue *queue = sqe->op < FSY_OP_COUNT && operations[sqe->op].quick ? &ring->quick : &ring->bulk;
    queue->slot[queue->tail++ & (FSY_QUEUE_SIZE - 1)] = *sqe;
  }
  atomic_fetch_add_explicit(&ring->queued, queued, memory_order_release);
  if (queued == 1) pthread_cond_signal(&ring->queue_ready);
  else if (queued) pthread_cond_broadcast(&ring->queue_ready);
  pthread_mutex_unlock(&ring->queue_lock);
  return (int32_t)taken;
}

FSY_API uint32_t fsy_reap(fsy_ring *ring) {
  pthread_mutex_lock(&ring->done_lock);
  uint32_t ready = ring->cq_tail - ring->control->cq_head;
  ring->armed = ready == 0;
  ring->owed = 0;
  pthread_mutex_unlock(&ring->done_lock);
  return ready;
}

FSY_API uint32_t fsy_alloc(fsy_ring *ring, uint32_t bytes) { return fsy_heap_take(ring->heap, bytes); }

FSY_API void fsy_free(fsy_ring *ring, uint32_t block) {
  bool known = block == 0 || fsy_heap_give(ring->heap, block);
#ifdef FSY_DEBUG
  if (!known) abort();
#else
  (void)known;
#endif
}

FSY_API uint32_t fsy_raise_nofile(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    struct rlimit raised = {limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur > UINT32_MAX ? UINT32_MAX : (uint32_t)limit.rlim_cur;
}

FSY_API void fsy_cancel(fsy_ring *ring) {
  __atomic_store_n(&ring->control->cancel, 1, __ATOMIC_RELEASE);
  fsy_wire_cancel(ring);
}

FSY_API int32_t fsy_duplicate(int32_t fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? -errno : copy;
}

/* Descriptors of completions that nobody reaped. */
static void close_unreaped(fsy_ring *ring) {
  for (uint32_t at = ring->control->cq_head; at != ring->cq_tail; at++) {
    const fsy_cqe *cqe = &ring->cq[at & (FSY_CQ_SIZE - 1)];
    if (cqe->fd0 >= 0) close(cqe->fd0);
    if (cqe->fd1 >= 0) close(cqe->fd1);
    const fsy_batch *batch = cqe->block ? fsy_at(ring, cqe->block, sizeof(fsy_batch)) : NULL;
    if (batch && batch->magic == FSY_BATCH_MAGIC && batch->dirfd >= 0) close(batch->dirfd);
  }
}

FSY_API void fsy_close(fsy_ring *ring) {
  if (!ring) return;
  __atomic_store_n(&ring->control->cancel, 1, __ATOMIC_RELEASE);
  if (ring->wire) {
    fsy_cancel(ring);
    fsy_wire_join(ring);
  }
  pthread_mutex_lock(&ring->queue_lock);
  ring->stopping = true; /* what waits is still answered, with -ECANCELED, so that its descriptors are closed */
  pthread_cond_broadcast(&ring->queue_ready);
  pthread_mutex_unlock(&ring->queue_lock);
  for (uint32_t i = 0; i < FSY_MAX_WORKERS; i++)
    if (ring->worker[i]) pthread_join(ring->worker[i]->thread, NULL);
  if (ring->cq_tail - ring->control->cq_head <= FSY_CQ_SIZE) close_unreaped(ring);
  ring_free(ring);
}
