/* Frames to files.
 *
 *   RECEIVE   an expectation in the table, by need; any stream may find it, and holds it while it works on it
 *   SHARD     read whole, then checked whole (records, attributes, members, items not answered before), then landed item
 *             by item
 *   FILE      a temporary is opened; DATA is written as it comes; END finishes it, drops it, or begins it anew
 *   DATA      of a range: written into the large file's temporary
 *   done      the last item's stream completes the request
 *
 * What does not fit ends the session with -EPROTO. What fails on this side (ENOSPC) is that item's result; the rest of
 * its frames is read and dropped, so that the stream stays in step. Memory is bounded by the frame, never by what a
 * frame says about a file. Names come from the expectation's batch, never from the wire. */
#include "wire.h"

#include <poll.h>
#include <stdlib.h>

#define BLOCK 4096

/* ---- expectations -------------------------------------------------------------------------------------------------- */

static bool has_rows(const fsy_sqe *q) { return q->flags != FSY_WIRE_RANGE; }

static void close_large(fsy_ring *ring, const fsy_sqe *q) {
  if (q->flags != FSY_WIRE_COMMIT) return;
  int32_t *fds = q->extra % 4 ? NULL : fsy_at(ring, q->extra, 2 * sizeof(int32_t));
  for (int i = 0; fds && i < 2; i++) {
    if (fds[i] >= 0) close(fds[i]);
    fds[i] = FSY_NO_FD;
  }
}

static int expect_rows(fsy_ring *ring, fsy_expectation *e) {
  const fsy_sqe *q = &e->sqe;
  int status = fsy_view_at(ring, q->batch, &e->view);
  if (status) return status;
  e->rows = q->rows % 4 ? NULL : fsy_at(ring, q->rows, (uint64_t)q->count * 4);
  e->results = q->results % 8 ? NULL : fsy_at(ring, q->results, (uint64_t)q->count * sizeof(fsy_result));
  if (!e->rows || !e->results) return -EINVAL;
  e->rename = q->path ? fsy_string_at(ring, q->path, q->path_bytes) : NULL;
  if (q->path && (!e->rename || q->count != 1 || !fsy_name_ok(e->rename, strlen(e->rename)))) return -EINVAL;
  return 0;
}

static void answer(fsy_ring *ring, const fsy_sqe *sqe, int status) {
  fsy_task t;
  fsy_result *results = has_rows(sqe) && sqe->results % 8 == 0
                            ? fsy_at(ring, sqe->results, (uint64_t)sqe->count * sizeof(fsy_result))
                            : NULL;
  for (uint32_t i = 0; results && i < sqe->count; i++) {
    memset(&results[i], 0, sizeof(results[i]));
    results[i].status = status;
  }
  fsy_task_open(&t, ring, NULL, sqe);
  t.cqe.result = status;
  fsy_complete(ring, &t);
}

static fsy_expectation **slot_of(fsy_wire *wire, uint32_t need) {
  fsy_expectation **at = &wire->expected[(need * 2654435761u) >> 24];
  while (*at && (*at)->sqe.need != need) at = &(*at)->next;
  return at;
}

int fsy_expect(fsy_ring *ring, const fsy_sqe *q, int refused) {
  fsy_wire *wire = ring->wire;
  fsy_expectation *e = NULL;
  int status = refused;
  bool one = q->flags == FSY_WIRE_RANGE || q->flags == FSY_WIRE_COMMIT;
  if (!status && (q->flags > FSY_WIRE_COMMIT || q->need == 0 || (one && q->count != 1))) status = -EINVAL;
  if (!status && q->flags == FSY_WIRE_RANGE &&
      !(q->offset >= 0 && q->length >= 0 && q->offset + q->length < (double)FSY_SIZE_MAX))
    status = -EINVAL;
  if (!status && q->count > FSY_MAX_ROWS) status = -EINVAL;
  if (!status && *slot_of(wire, q->need)) status = -EEXIST;
  if (!status) {
    e = calloc(1, sizeof(*e) + ((size_t)q->count + 31) / 32 * sizeof(atomic_uint));
    if (!e) status = -ENOMEM;
  }
  if (!status) {
    e->sqe = *q;
    e->left = q->count;
    status = has_rows(q) ? expect_rows(ring, e) : 0;
  }
  if (status || q->count == 0) {
    free(e);
    close_large(ring, q);
    answer(ring, q, status);
    return status ? status : 1;
  }
  for (uint32_t i = 0; e->results && i < q->count; i++) memset(&e->results[i], 0, sizeof(e->results[i]));
  *slot_of(wire, q->need) = e;
  return 0;
}

/* Takes it out of the table and completes it. Lock held. */
static void conclude(fsy_ring *ring, fsy_expectation *e) {
  fsy_expectation **at = slot_of(ring->wire, e->sqe.need);
  *at = e->next;
  fsy_task t;
  fsy_task_open(&t, ring, NULL, &e->sqe);
  if (e->left > 0) {
    t.cqe.result = e->failed;
    for (uint32_t i = 0; e->results && i < e->sqe.count; i++)
      if (!(e->answered[i / 32] & 1u << i % 32)) e->results[i].status = e->failed;
  } else if (!e->results) {
    t.cqe.result = e->range_status;
    t.cqe.flags = e->range_stage;
  }
  close_large(ring, &e->sqe);
  t.cqe.count = e->succeeded;
  t.cqe.bytes = e->bytes;
  t.cqe.nanos = e->nanos;
  t.cqe.method = FSY_METHOD_STREAM;
  free(e);
  fsy_complete(ring, &t);
}

void fsy_expect_none(fsy_ring *ring, int status) {
  for (uint32_t i = 0; i < FSY_EXPECT_SLOTS; i++) {
    for (fsy_expectation *e = ring->wire->expected[i], *next; e; e = next) {
      next = e->next;
      if (!e->failed) e->failed = status;
      if (e->users == 0) conclude(ring, e);
    }
  }
}

/* The expectation of `need`, held; waits for its registration, since a need and its answer may overtake the request.
 * NULL: *status says why. */
static fsy_expectation *hold(fsy_stream *s, uint32_t need, int *status) {
  fsy_wire *wire = s->ring->wire;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += wire->register_ms / 1000;
  until.tv_nsec += (long)(wire->register_ms % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  fsy_expectation *e;
  *status = 0;
  pthread_mutex_lock(&wire->lock);
  for (;;) {
    e = *slot_of(wire, need);
    if (e && !e->failed) break;
    e = NULL;
    if (fsy_cancelled(s->ring)) *status = -ECANCELED;
    else if (fsy_stream_told(s)) *status = FSY_TOLD;
    else if (pthread_cond_timedwait(&wire->registered, &wire->lock, &until) == ETIMEDOUT)
      *status = fsy_stream_fail(s, -EPROTO, FSY_REASON_NEED);
    if (*status) break;
  }
  if (e) e->users++;
  pthread_mutex_unlock(&wire->lock);
  return e;
}

/* `finished` items are done with, `good` of them well. */
static void release(fsy_stream *s, fsy_expectation *e, uint32_t finished, uint32_t good, double bytes, double nanos) {
  fsy_wire *wire = s->ring->wire;
  __atomic_fetch_add(&s->ring->control->busy_nanos, (uint64_t)nanos, __ATOMIC_RELAXED);
  pthread_mutex_lock(&wire->lock);
  e->users--;
  e->left -= finished;
  e->succeeded += good;
  e->bytes += bytes;
  e->nanos += nanos;
  if (e->users == 0 && (e->left == 0 || e->failed)) conclude(s->ring, e);
  pthread_mutex_unlock(&wire->lock);
}

/* True when nobody had it. */
static bool claim(fsy_expectation *e, uint32_t item) {
  uint32_t bit = 1u << item % 32;
  return item < e->sqe.count && !(atomic_fetch_or(&e->answered[item / 32], bit) & bit);
}
static void unclaim(fsy_expectation *e, uint32_t item) {
  (void)atomic_fetch_and(&e->answered[item / 32], ~(1u << item % 32));
}

/* ---- one item --------------------------------------------------------------------------------------------------------- */

/* What the expectation's row and the record together say about an item. */
static int item_open(const fsy_expectation *e, const fsy_record *record, fsy_entry *entry) {
  uint32_t row = e->rows[record->item] & ~FSY_ROW_EXISTS;
  int bad = fsy_entry_get(&e->view, row, entry);
  if (!bad && row == e->view.batch->count && e->sqe.flags != FSY_WIRE_ATTRIBUTES) bad = -EINVAL;
  return bad;
}

/* Whether the record may stand for the row. */
static bool record_fits(const fsy_record *record, const fsy_entry *entry) {
  if (record->status) return true;
  if ((record->mode & S_IFMT) != (entry->mode & S_IFMT)) return false;
  return !S_ISREG(entry->mode) || (record->flags & FSY_RECORD_RETRIED) || record->size == (uint64_t)entry->size;
}

static void adopt(fsy_entry *entry, const fsy_record *record, fsy_result *r) {
  if (record->flags & FSY_RECORD_RETRIED) {
    entry->size = (int64_t)record->size;
    entry->mtime_sec = record->mtime_sec;
    entry->mtime_nsec = record->mtime_nsec;
    /* type, setid and sticky bits are the row's: whoever made the manifest may have taken some away on purpose */
    entry->mode = (entry->mode & ~0777u) | (record->mode & 0777);
    r->flags |= FSY_ITEM_RETRIED;
  }
  r->size = (double)entry->size;
}

static fsy_received received_of(const fsy_record *record, const uint8_t *attrs, fsy_entry *entry) {
  fsy_received got;
  memset(&got, 0, sizeof(got));
  got.attrs = fsy_attrs_of(FSY_BY_FD, FSY_NO_FD);
  if (record->flags & FSY_RECORD_ATTRS_FAILED) got.attrs.error = record->attr_errno ? (int)record->attr_errno : EIO;
  else if (record->attr_bytes) {
    got.attrs.blob = attrs;
    got.attrs.bytes = record->attr_bytes;
  }
  got.hashed = record->flags & FSY_RECORD_HASHED;
  memcpy(got.digest, record->hash, sizeof(got.digest));
  entry->attrs = record->attr_bytes ? 1 : 0; /* what came counts, not what the manifest promised */
  entry->flags &= ~FSY_ROW_ATTR_FAILED;
  if (got.attrs.error) entry->flags |= FSY_ROW_ATTR_FAILED;
  return got;
}

/* A large file is another one than the manifest's: the row says from now on what the source found instead. */
static void renew(const fsy_expectation *e, const fsy_record *record, fsy_entry *entry) {
  bool changed = record->status == -EBUSY && (record->flags & FSY_RECORD_CHANGED);
  if (e->sqe.flags != FSY_WIRE_COMMIT || !changed || !S_ISREG(record->mode) || !S_ISREG(entry->mode)) return;
  entry->size = (int64_t)record->size;
  entry->mtime_sec = record->mtime_sec;
  entry->mtime_nsec = record->mtime_nsec;
  entry->mode = (entry->mode & ~0777u) | (record->mode & 0777);
  fsy_entry_put(&e->view, e->rows[record->item] & ~FSY_ROW_EXISTS, entry);
}

static int fail_as_told(fsy_result *r, const fsy_record *record) {
  if (record->flags & FSY_RECORD_CHANGED) r->flags |= FSY_ITEM_CHANGED;
  return fsy_fail(r, record->status, record->stage == FSY_RECORD_OPEN ? FSY_STAGE_OPEN_SOURCE : FSY_STAGE_READ);
}

/* A whole new file, but for the blocks that are all zeros. */
static int write_sparse(int fd, const uint8_t *data, int64_t size) {
  if (FSY_TRY(truncate, ftruncate(fd, size)) < 0) return -errno;
  for (int64_t from = 0, to; from < size; from = to) {
    bool hole = false;
    for (to = from; to < size && !hole;) {
      int64_t bytes = size - to < BLOCK ? size - to : BLOCK;
      hole = data[to] == 0 && memcmp(data + to, data + to + 1, (size_t)bytes - 1) == 0;
      if (!hole) to += bytes;
    }
    int status = to > from ? fsy_pwrite_full(fd, data + from, to - from, from) : 0;
    if (status) return status;
    if (hole) to += size - to < BLOCK ? size - to : BLOCK;
  }
  return 0;
}

static int land_regular(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, const uint8_t *data,
                        fsy_result *r) {
  fsy_landing to;
  int status = fsy_landing_open(j, entry, name, exists, &to, r);
  if (status) return status;
  bool sparse = (j->opt.flags & FSY_OPT_SPARSE) && (entry->flags & FSY_ROW_SPARSE) && !to.in_place;
  status = fsy_landing_whole(j, &to, data, entry->size, FSY_METHOD_STREAM, sparse ? write_sparse : NULL, r);
  return status ? status : fsy_landing_close(j, entry, FSY_NO_FD, &to, name, exists, r);
}

/* An item whose record is complete; `data` is a regular file's content. */
static void land(fsy_job *j, fsy_expectation *e, const fsy_record *record, const uint8_t *attrs, const uint8_t *data) {
  fsy_result *r = &e->results[record->item];
  bool exists = e->rows[record->item] & FSY_ROW_EXISTS;
  fsy_entry entry;
  int status = item_open(e, record, &entry);
  if (status) {
    r->status = status;
    return;
  }
  if (record->status) renew(e, record, &entry);
  r->size = (double)entry.size;
  if (record->status) {
    (void)fail_as_told(r, record);
    return;
  }
  adopt(&entry, record, r);
  fsy_received received = received_of(record, attrs, &entry);
  const char *name = e->rename ? e->rename : entry.name;
  j->received = &received;
  if (fsy_cancelled(j->task->ring)) status = fsy_fail(r, -ECANCELED, FSY_STAGE_WRITE);
  else if (e->sqe.flags == FSY_WIRE_ATTRIBUTES) status = fsy_repair_entry(j, &entry, name, true, r);
  else if (e->sqe.flags == FSY_WIRE_COMMIT) status = fsy_large_commit_received(j->task, &received);
  else if (S_ISREG(entry.mode)) status = land_regular(j, &entry, name, exists, data, r);
  else status = fsy_copy_entry(j, &entry, name, exists, r);
  j->received = NULL;
  if (status && !r->status) r->status = status;
  if (r->status) r->bytes = 0;
}

/* ---- SHARD ------------------------------------------------------------------------------------------------------------ */

typedef struct place {
  uint32_t attrs, data; /* offsets in the payload */
} place;

/* Everything about a shard that can be wrong. FSY_REASON_NONE, and where each item's parts are. */
static uint32_t check_shard(fsy_stream *s, fsy_expectation *e, const fsy_frame *frame, uint32_t *claimed) {
  const uint8_t *payload = s->payload.at;
  place *places = (place *)(void *)s->places.at;
  size_t at = (size_t)frame->item * FSY_RECORD_BYTES;
  bool wants_content = e->sqe.flags == FSY_WIRE_CONTENT;
  uint32_t members = 0;
  fsy_record record;
  fsy_entry entry;
  for (uint32_t i = 0; i < frame->item; i++) {
    if (!fsy_record_get(payload + (size_t)i * FSY_RECORD_BYTES, false, &record)) return FSY_REASON_RECORD;
    if (!claim(e, record.item)) return FSY_REASON_ITEM;
    *claimed = i + 1;
    if (record.attr_bytes > frame->length - at || !fsy_attrs_ok(payload + at, record.attr_bytes))
      return FSY_REASON_ATTRIBUTES;
    places[i].attrs = (uint32_t)at;
    at += record.attr_bytes;
  }
  const uint8_t *archive = payload + at;
  size_t bytes = frame->length - at, next = 0;
  for (uint32_t i = 0; i < frame->item; i++) {
    (void)fsy_record_get(payload + (size_t)i * FSY_RECORD_BYTES, false, &record);
    places[i].data = 0;
    int bad = item_open(e, &record, &entry);
    if (!bad && !record_fits(&record, &entry)) return FSY_REASON_RECORD;
    bool member = record.status == 0 && S_ISREG(record.mode) && wants_content;
    if (!member) continue;
    if (bad) return FSY_REASON_RECORD; /* its member has no name to compare with */
    size_t data = fsy_tar_member(archive, bytes, next, entry.name, entry.name_len, record.size, &next);
    if (!data) return FSY_REASON_ARCHIVE;
    places[i].data = (uint32_t)(at + data);
    members++;
  }
  if (members == 0) return bytes == 0 ? FSY_REASON_NONE : FSY_REASON_ARCHIVE;
  if (bytes - next != 2 * FSY_TAR_BLOCK) return FSY_REASON_ARCHIVE;
  for (size_t i = next; i < bytes; i++)
    if (archive[i]) return FSY_REASON_ARCHIVE;
  return FSY_REASON_NONE;
}

static int on_shard(fsy_stream *s, const fsy_frame *frame) {
  if (!fsy_reserve(&s->payload, frame->length) || !fsy_reserve(&s->places, (size_t)frame->item * sizeof(place)))
    return fsy_stream_fail(s, -ENOMEM, FSY_REASON_MEMORY);
  int status = fsy_stream_read(s, s->payload.at, frame->length, false);
  if (status) return status;
  fsy_expectation *e = hold(s, frame->need, &status);
  if (!e) return status;
  double from = fsy_now();
  if (e->sqe.flags == FSY_WIRE_RANGE) {
    release(s, e, 0, 0, 0, 0);
    return fsy_stream_fail(s, -EPROTO, FSY_REASON_ORDER);
  }
  uint32_t claimed = 0;
  uint32_t wrong = check_shard(s, e, frame, &claimed);
  if (wrong) {
    for (uint32_t i = 0; i < claimed; i++) unclaim(e, fsy_get32(s->payload.at + (size_t)i * FSY_RECORD_BYTES));
    release(s, e, 0, 0, 0, 0);
    return fsy_stream_fail(s, -EPROTO, wrong);
  }
  fsy_task task;
  fsy_job job;
  fsy_task_open(&task, s->ring, s->worker, &e->sqe);
  task.sqe.fd0 = FSY_NO_FD;
  int broken = fsy_job_open(&job, &task);
  const place *places = (const place *)(const void *)s->places.at;
  uint32_t good = 0;
  double bytes = 0;
  for (uint32_t i = 0; i < frame->item; i++) {
    fsy_record record;
    (void)fsy_record_get(s->payload.at + (size_t)i * FSY_RECORD_BYTES, false, &record);
    fsy_result *r = &e->results[record.item];
    if (broken) r->status = broken;
    else land(&job, e, &record, s->payload.at + places[i].attrs, s->payload.at + places[i].data);
    good += r->status == 0;
    bytes += r->bytes;
  }
  release(s, e, frame->item, good, bytes, (fsy_now() - from) * 1e9);
  return 0;
}

/* ---- FILE, DATA, END ----------------------------------------------------------------------------------------------------- */

/* The item failed on this side: what still comes for it is dropped. */
static void give_up(fsy_incoming *in) {
  if (in->is_open) fsy_landing_drop(&in->to);
  in->is_open = false;
  in->fd = FSY_NO_FD;
}

/* The item has its result. */
static void incoming_close(fsy_stream *s) {
  fsy_incoming *in = &s->in;
  fsy_expectation *e = in->of;
  give_up(in);
  if (in->result->status) in->result->bytes = 0;
  if (in->result == &in->none) {
    e->range_status = in->none.status;
    e->range_stage = in->none.stage;
  }
  in->state = FSY_IN_NOTHING;
  in->of = NULL;
  in->job.received = NULL;
  release(s, e, 1, in->result->status == 0, in->result->bytes, 0);
}

static bool is_file(const fsy_incoming *in) {
  return in->of->sqe.flags == FSY_WIRE_CONTENT && S_ISREG(in->want.mode);
}

static void open_target(fsy_incoming *in) {
  fsy_job *j = &in->job;
  if (in->result->status || !is_file(in)) return;
  if (!in->is_open) {
    if (fsy_landing_open(j, &in->want, in->name, in->exists, &in->to, in->result)) return;
    in->is_open = true;
  }
  /* the size first: XFS preallocates behind the end of a growing file, into what shall be holes */
  bool sparse = (j->opt.flags & FSY_OPT_SPARSE) && (in->want.flags & FSY_ROW_SPARSE) && !in->to.in_place;
  if (sparse && FSY_TRY(truncate, ftruncate(in->to.fd, in->want.size)) < 0) {
    (void)fsy_fail(in->result, -errno, FSY_STAGE_WRITE);
    give_up(in);
    return;
  }
  in->fd = in->to.fd;
}

static int on_file(fsy_stream *s, const fsy_frame *frame) {
  fsy_incoming *in = &s->in;
  uint8_t bytes[FSY_RECORD_BYTES];
  fsy_record record;
  int status = fsy_stream_read(s, bytes, sizeof(bytes), false);
  if (status) return status;
  if (!fsy_record_get(bytes, false, &record) || record.status || record.item != frame->item)
    return fsy_stream_fail(s, -EPROTO, FSY_REASON_RECORD);
  if (record.attr_bytes != frame->length - FSY_RECORD_BYTES) return fsy_stream_fail(s, -EPROTO, FSY_REASON_LENGTH);
  if (!fsy_reserve(&s->attrs, record.attr_bytes + 1)) return fsy_stream_fail(s, -ENOMEM, FSY_REASON_MEMORY);
  status = fsy_stream_read(s, s->attrs.at, record.attr_bytes, false);
  if (status) return status;
  if (!fsy_attrs_ok(s->attrs.at, record.attr_bytes)) return fsy_stream_fail(s, -EPROTO, FSY_REASON_ATTRIBUTES);
  bool again = in->state == FSY_IN_AGAIN;
  if (again) {
    if (in->of->sqe.need != frame->need || in->item != frame->item)
      return fsy_stream_fail(s, -EPROTO, FSY_REASON_ORDER);
  } else {
    fsy_expectation *e = hold(s, frame->need, &status);
    if (!e) return status;
    bool fits = e->sqe.flags == FSY_WIRE_CONTENT || e->sqe.flags == FSY_WIRE_ATTRIBUTES;
    bool ours = fits && claim(e, frame->item);
    if (!ours) {
      release(s, e, 0, 0, 0, 0);
      return fsy_stream_fail(s, -EPROTO, fits ? FSY_REASON_ITEM : FSY_REASON_ORDER);
    }
    in->of = e;
    in->item = frame->item;
    in->repeated = false;
    in->result = &e->results[frame->item];
    in->exists = e->rows[frame->item] & FSY_ROW_EXISTS;
    fsy_task_open(&in->task, s->ring, s->worker, &e->sqe);
    in->task.sqe.fd0 = FSY_NO_FD;
    in->result->status = fsy_job_open(&in->job, &in->task);
  }
  in->state = FSY_IN_FILE;
  int bad = item_open(in->of, &record, &in->want);
  if (bad) in->result->status = bad;
  else if ((record.mode & S_IFMT) != (in->want.mode & S_IFMT)) return fsy_stream_fail(s, -EPROTO, FSY_REASON_RECORD);
  in->name = in->of->rename ? in->of->rename : in->want.name;
  in->row_size = bad ? record.size : (uint64_t)in->want.size;
  in->want.size = (int64_t)record.size;
  adopt(&in->want, &record, in->result);
  in->received = received_of(&record, s->attrs.at, &in->want);
  in->job.received = &in->received;
  in->from = 0;
  in->until = is_file(in) ? record.size : 0;
  in->at = in->bytes = 0;
  in->fd = FSY_NO_FD;
  open_target(in);
  return 0;
}

/* DATA without FILE: a range begins. */
static int range_open(fsy_stream *s, const fsy_frame *frame) {
  fsy_incoming *in = &s->in;
  int status;
  fsy_expectation *e = hold(s, frame->need, &status);
  if (!e) return status;
  bool range = e->sqe.flags == FSY_WIRE_RANGE;
  if (!range || !claim(e, frame->item)) {
    release(s, e, 0, 0, 0, 0);
    return fsy_stream_fail(s, -EPROTO, range ? FSY_REASON_ITEM : FSY_REASON_ORDER);
  }
  in->of = e;
  in->state = FSY_IN_RANGE;
  in->item = 0;
  memset(&in->none, 0, sizeof(in->none));
  in->result = &in->none;
  fsy_task_open(&in->task, s->ring, s->worker, &e->sqe);
  const fsy_options *options = e->sqe.options % 4 ? NULL : fsy_at(s->ring, e->sqe.options, sizeof(fsy_options));
  memset(&in->job, 0, sizeof(in->job));
  in->job.task = &in->task;
  if (options) in->job.opt = *options;
  in->is_open = false;
  in->fd = e->sqe.fd1;
  in->from = (uint64_t)e->sqe.offset;
  in->until = in->from + (uint64_t)e->sqe.length;
  in->at = in->from;
  in->bytes = 0;
  return 0;
}

static int write_data(fsy_incoming *in, const uint8_t *data, size_t bytes, uint64_t offset) {
  int status = fsy_pwrite_full(in->fd, data, (int64_t)bytes, (int64_t)offset);
  if (status) {
    (void)fsy_fail(in->result, status, FSY_STAGE_WRITE);
    give_up(in);
  }
  return status;
}

/* Old content of a file written in place must not show through a gap. */
static void clear_gap(fsy_incoming *in, uint64_t until) {
  if (in->fd < 0 || !in->is_open || !in->to.in_place || until <= in->at) return;
  uint64_t old = in->to.basis > 0 ? (uint64_t)in->to.basis : 0;
  if (in->at >= old) return;
  int status = fsy_make_hole(&in->task, in->fd, (int64_t)in->at, (int64_t)((until < old ? until : old) - in->at));
  if (!status) return;
  (void)fsy_fail(in->result, status, FSY_STAGE_WRITE);
  give_up(in);
}

static int on_data(fsy_stream *s, const fsy_frame *frame) {
  fsy_incoming *in = &s->in;
  if (in->state == FSY_IN_NOTHING) {
    int status = range_open(s, frame);
    if (status) return status;
  }
  if (in->state == FSY_IN_AGAIN || in->of->sqe.need != frame->need || in->item != frame->item)
    return fsy_stream_fail(s, -EPROTO, FSY_REASON_ORDER);
  if (frame->offset < in->at || frame->offset > in->until || frame->length > in->until - frame->offset)
    return fsy_stream_fail(s, -EPROTO, FSY_REASON_DATA);
  fsy_buffer *io = &s->worker->io;
  if (!fsy_reserve(io, FSY_IO_BYTES)) return fsy_stream_fail(s, -ENOMEM, FSY_REASON_MEMORY);
  clear_gap(in, frame->offset);
  uint64_t offset = frame->offset;
  for (size_t left = frame->length; left > 0;) {
    /* whole pages but for the ends */
    size_t bytes = FSY_IO_BYTES - (size_t)(offset % 4096);
    if (bytes > left) bytes = left;
    int status = fsy_stream_read(s, io->at, bytes, false);
    if (status) return status;
    if (in->fd >= 0 && write_data(in, io->at, bytes, offset) == 0) {
      in->result->bytes += (double)bytes;
      in->result->method = FSY_METHOD_STREAM;
      __atomic_fetch_add(&s->ring->control->bytes_done, (uint64_t)bytes, __ATOMIC_RELAXED);
    }
    offset += bytes;
    left -= bytes;
  }
  in->at = offset;
  in->bytes += frame->length;
  return 0;
}

static void finish_range(fsy_incoming *in, const fsy_record *record) {
  fsy_result *r = in->result;
  const fsy_sqe *q = &in->of->sqe;
  if (record->status) (void)fail_as_told(r, record);
  if (r->status || !(in->job.opt.flags & (FSY_OPT_VERIFY | FSY_OPT_READBACK))) return;
  int status = -EBADMSG; /* asked for, and nothing to compare with */
  if (record->flags & FSY_RECORD_HASHED)
    status = fsy_verify_digest(&in->task, q->fd1, (int64_t)q->offset, (int64_t)q->length, record->hash,
                               in->job.opt.flags & FSY_OPT_READBACK);
  if (status) (void)fsy_fail(r, status, FSY_STAGE_VERIFY);
}

static void finish_file(fsy_incoming *in, const fsy_record *record) {
  fsy_result *r = in->result;
  fsy_job *j = &in->job;
  if (record->status && !r->status) (void)fail_as_told(r, record);
  if (r->status) return;
  in->received.hashed = record->flags & FSY_RECORD_HASHED;
  memcpy(in->received.digest, record->hash, sizeof(in->received.digest));
  adopt(&in->want, record, r);
  if (!is_file(in)) {
    (void)(in->of->sqe.flags == FSY_WIRE_ATTRIBUTES ? fsy_repair_entry(j, &in->want, in->name, true, r)
                                                     : fsy_copy_entry(j, &in->want, in->name, in->exists, r));
    return;
  }
  clear_gap(in, record->size);
  if (r->status) return;
  struct stat st;
  if (!in->to.in_place && (fstat(in->fd, &st) < 0 ||
                           (st.st_size != in->want.size && FSY_TRY(truncate, ftruncate(in->fd, in->want.size)) < 0))) {
    (void)fsy_fail(r, -errno, FSY_STAGE_WRITE);
    return;
  }
  in->is_open = false; /* closed by this, however it ends */
  (void)fsy_landing_close(j, &in->want, FSY_NO_FD, &in->to, in->name, in->exists, r);
}

static int on_end(fsy_stream *s, const fsy_frame *frame) {
  fsy_incoming *in = &s->in;
  uint8_t bytes[FSY_RECORD_BYTES];
  fsy_record record;
  int status = fsy_stream_read(s, bytes, sizeof(bytes), false);
  if (status) return status;
  if (!fsy_record_get(bytes, true, &record) || record.item != frame->item || record.attr_bytes)
    return fsy_stream_fail(s, -EPROTO, FSY_REASON_RECORD);
  if (in->state == FSY_IN_NOTHING) { /* a range without data */
    status = range_open(s, frame);
    if (status) return status;
  }
  if (in->state == FSY_IN_AGAIN || in->of->sqe.need != frame->need || in->item != frame->item)
    return fsy_stream_fail(s, -EPROTO, FSY_REASON_ORDER);
  if (record.bytes != in->bytes) return fsy_stream_fail(s, -EPROTO, FSY_REASON_RECORD);
  if (record.flags & FSY_RECORD_AGAIN) {
    if (record.status) return fsy_stream_fail(s, -EPROTO, FSY_REASON_RECORD);
    if (in->state != FSY_IN_FILE || !is_file(in) || in->repeated) return fsy_stream_fail(s, -EPROTO, FSY_REASON_ORDER);
    if (in->is_open && FSY_TRY(truncate, ftruncate(in->to.fd, 0)) < 0) {
      (void)fsy_fail(in->result, -errno, FSY_STAGE_WRITE);
      give_up(in);
    }
    if (in->is_open) in->to.basis = 0;
    if (!in->result->status) in->result->bytes = 0;
    in->fd = FSY_NO_FD;
    in->repeated = true;
    in->state = FSY_IN_AGAIN;
    return 0;
  }
  double from = fsy_now();
  fsy_pay_wake(s->ring); /* verifying and syncing may take long */
  if (in->state == FSY_IN_RANGE) finish_range(in, &record);
  else {
    bool announced = (record.flags & FSY_RECORD_RETRIED) || !S_ISREG(in->want.mode) || record.size == in->row_size;
    bool fits = record.status ||
                (record.size == (uint64_t)in->want.size && announced && record_fits(&record, &in->want));
    if (!fits) return fsy_stream_fail(s, -EPROTO, FSY_REASON_RECORD);
    finish_file(in, &record);
  }
  double nanos = (fsy_now() - from) * 1e9;
  __atomic_fetch_add(&s->ring->control->busy_nanos, (uint64_t)nanos, __ATOMIC_RELAXED);
  incoming_close(s);
  return 0;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------------------- */

static int on_bye(fsy_stream *s) {
  if (s->in.state != FSY_IN_NOTHING || s->ahead_from != s->ahead_to)
    return fsy_stream_fail(s, -EPROTO, FSY_REASON_ORDER);
  return FSY_TOLD;
}

/* What a test's plan does to a frame that comes: the connection breaks. */
static int passed(uint8_t type) {
  switch (type) {
    case FSY_FRAME_SHARD: return FSY_FAULT(take_shard);
    case FSY_FRAME_FILE: return FSY_FAULT(take_file);
    case FSY_FRAME_DATA: return FSY_FAULT(take_data);
    case FSY_FRAME_END: return FSY_FAULT(take_end);
    default: return FSY_FAULT(take_bye);
  }
}

static int one_frame(fsy_stream *s) {
  uint8_t head[FSY_FRAME_BYTES];
  fsy_frame frame;
  int status = fsy_stream_read(s, head, sizeof(head), true);
  if (status) return status;
  uint32_t wrong = fsy_frame_get(head, &frame);
  if (wrong) return fsy_stream_fail(s, -EPROTO, wrong);
  int error = passed(frame.type);
  if (error) return fsy_stream_fail(s, -error, FSY_REASON_SOCKET);
  bool inside = s->in.state != FSY_IN_NOTHING;
  switch (frame.type) {
    case FSY_FRAME_SHARD: return inside ? fsy_stream_fail(s, -EPROTO, FSY_REASON_ORDER) : on_shard(s, &frame);
    case FSY_FRAME_FILE:
      if (inside && s->in.state != FSY_IN_AGAIN) return fsy_stream_fail(s, -EPROTO, FSY_REASON_ORDER);
      return on_file(s, &frame);
    case FSY_FRAME_DATA: return on_data(s, &frame);
    case FSY_FRAME_END: return on_end(s, &frame);
    default: return on_bye(s);
  }
}

/* When a connection is reset, the event loop that it was taken from looks for the error by reading, and takes away what
 * had come: that the rest is no frame says nothing about the peer then. */
static bool was_reset(const fsy_stream *s) {
  struct pollfd p = {s->fd, 0, 0};
  return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP));
}

int fsy_receive_main(fsy_stream *s) {
  int status;
  while ((status = one_frame(s)) == 0) continue;
  if (status == -EPROTO && was_reset(s)) {
    status = -ECONNRESET;
    s->reason = FSY_REASON_SOCKET;
  }
  if (s->in.state != FSY_IN_NOTHING) { /* this item can no longer come */
    /* a sender that was cancelled as well may have gone first */
    int why = fsy_cancelled(s->ring) ? -ECANCELED : -EPIPE;
    if (!s->in.result->status) (void)fsy_fail(s->in.result, why, FSY_STAGE_READ);
    incoming_close(s);
  }
  return status == FSY_TOLD ? 0 : status;
}
