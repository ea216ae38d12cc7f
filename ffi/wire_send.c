/* Requests to frames.
 *
 *   content     for each row
 *                 regular and below 1 MiB   read whole into the archive, behind room for its header; record, attributes
 *                 regular                   FILE, DATA by sendfile (or as methods allow, by reading) slice by slice, END
 *                 anything else             its record
 *               the shard leaves when it holds 1 MiB, and at the end
 *   attributes  records with attributes
 *   range       DATA inside the range: all, data extents only, or the blocks that differ; END
 *   commit      one record: still what the row says, or -EBUSY and what it is now, which the row then says too
 *
 * A file that ends inside a DATA frame that was announced is padded with zeros, and the END says that it changed: the
 * stream stays in step. An item counts as sent when its last frame went into the socket. */
#include "wire.h"

#include <stdlib.h>

#define BLOCK_MIN 4096u

typedef struct sending {
  fsy_stream *stream;
  fsy_task task;
  fsy_job job;
  fsy_view view;
  const uint32_t *rows, *items;
  fsy_result *results;
  bool hashing;
  uint32_t which; /* attributes */
  /* the shard at hand */
  uint32_t shard_from, shard_to; /* rows whose records are in it */
  uint32_t records;
  size_t attrs, archive; /* bytes */
  int64_t shard_bytes;   /* content */
} sending;

static uint32_t item_of(const sending *o, uint32_t row) { return o->items ? o->items[row] : row; }

static fsy_record record_of(const fsy_entry *entry, uint32_t item) {
  fsy_record record;
  memset(&record, 0, sizeof(record));
  record.item = item;
  record.size = (uint64_t)entry->size;
  record.mtime_sec = entry->mtime_sec;
  record.mtime_nsec = entry->mtime_nsec;
  record.mode = entry->mode;
  record.uid = entry->uid;
  record.gid = entry->gid;
  return record;
}

static fsy_record failure(uint32_t item, const fsy_result *r) {
  fsy_record record;
  memset(&record, 0, sizeof(record));
  record.item = item;
  record.status = r->status < 0 && r->status > -4096 ? r->status : -EIO;
  record.stage = r->stage == FSY_STAGE_OPEN_SOURCE ? FSY_RECORD_OPEN : FSY_RECORD_READ;
  if (r->flags & FSY_ITEM_CHANGED) record.flags |= FSY_RECORD_CHANGED;
  return record;
}

/* What `place` carries behind `at` of the shard's attributes; says in the record how many, or why not. */
static void gather(sending *o, fsy_subject place, size_t at, fsy_record *record) {
  ssize_t bytes = fsy_attrs_gather(&o->task, place, o->which, &o->stream->attrs, at);
  record->attr_bytes = bytes > 0 ? (uint32_t)bytes : 0;
  if (bytes >= 0) return;
  record->flags |= FSY_RECORD_ATTRS_FAILED;
  record->attr_errno = (uint32_t)-bytes;
}

static bool carries(const sending *o, const fsy_entry *entry) {
  return o->which && (entry->attrs || (entry->flags & FSY_ROW_ATTR_FAILED));
}

/* What a test's plan does to a frame that leaves: the connection breaks. */
static int leave(fsy_stream *s, int error) { return error ? fsy_stream_fail(s, -error, FSY_REASON_SOCKET) : 0; }

/* ---- shards --------------------------------------------------------------------------------------------------------- */

static int flush_shard(sending *o) {
  fsy_stream *s = o->stream;
  if (o->records == 0) return 0;
  size_t end = o->archive;
  if (end > 0) {
    if (!fsy_reserve(&s->payload, end + 2 * FSY_TAR_BLOCK)) return -ENOMEM;
    memset(s->payload.at + end, 0, 2 * FSY_TAR_BLOCK);
    end += 2 * FSY_TAR_BLOCK;
  }
  int status = fsy_pace(s->ring, o->shard_bytes);
  uint8_t head[FSY_FRAME_BYTES];
  fsy_frame frame = {FSY_FRAME_SHARD, o->task.sqe.need, o->records,
                     (uint32_t)(o->records * FSY_RECORD_BYTES + o->attrs + end), 0};
  fsy_frame_put(head, &frame);
  struct iovec parts[4] = {{head, sizeof(head)},
                           {s->records.at, (size_t)o->records * FSY_RECORD_BYTES},
                           {s->attrs.at, o->attrs},
                           {s->payload.at, end}};
  if (!status) status = leave(s, FSY_FAULT(send_shard));
  if (!status) status = fsy_stream_sendv(s, parts, 4, false);
  if (status) return status;
  for (uint32_t i = o->shard_from; i < o->shard_to; i++) /* sent now */
    if (o->results[i].status == -EINPROGRESS) o->results[i].status = 0;
  __atomic_fetch_add(&s->ring->control->bytes_done, (uint64_t)o->shard_bytes, __ATOMIC_RELAXED);
  o->shard_from = o->shard_to;
  o->records = 0;
  o->attrs = o->archive = 0;
  o->shard_bytes = 0;
  return 0;
}

/* Appends the record; its attributes and member, if any, stand behind what the shard has already. */
static int add_record(sending *o, uint32_t row, const fsy_record *record, size_t member_bytes) {
  fsy_stream *s = o->stream;
  if (!fsy_reserve(&s->records, (size_t)(o->records + 1) * FSY_RECORD_BYTES)) return -ENOMEM;
  fsy_record_put(s->records.at + (size_t)o->records * FSY_RECORD_BYTES, record);
  o->records++;
  o->attrs += record->attr_bytes;
  o->archive += member_bytes;
  o->shard_to = row + 1;
  size_t holds = o->attrs + o->archive + (size_t)o->records * FSY_RECORD_BYTES;
  return holds >= FSY_SHARD_GOAL ? flush_shard(o) : 0;
}

static int add_failure(sending *o, uint32_t row) {
  fsy_record record = failure(item_of(o, row), &o->results[row]);
  return add_record(o, row, &record, 0);
}

/* ---- files in frames of their own ------------------------------------------------------------------------------------- */

static int send_head(sending *o, uint8_t type, uint32_t item, int64_t offset, uint32_t length) {
  uint8_t head[FSY_FRAME_BYTES];
  fsy_frame frame = {type, o->task.sqe.need, item, length, (uint64_t)offset};
  fsy_frame_put(head, &frame);
  int status = leave(o->stream, FSY_FAULT(send_data));
  return status ? status : fsy_stream_send(o->stream, head, sizeof(head), true);
}

static int send_record(sending *o, uint8_t type, uint32_t item, const fsy_record *record, const uint8_t *attrs) {
  uint8_t head[FSY_FRAME_BYTES + FSY_RECORD_BYTES];
  fsy_frame frame = {type, o->task.sqe.need, item, FSY_RECORD_BYTES + record->attr_bytes, 0};
  fsy_frame_put(head, &frame);
  fsy_record_put(head + FSY_FRAME_BYTES, record);
  struct iovec parts[2] = {{head, sizeof(head)}, {(void *)(uintptr_t)attrs, record->attr_bytes}};
  int status = leave(o->stream, type == FSY_FRAME_FILE ? FSY_FAULT(send_file) : FSY_FAULT(send_end));
  if (status) return status;
  /* DATA follows a FILE; an END may be the last for a while */
  return fsy_stream_sendv(o->stream, parts, 2, type == FSY_FRAME_FILE);
}

static int send_zeros(fsy_stream *s, int64_t bytes) {
  static const uint8_t zeros[4096];
  int status = 0;
  for (; !status && bytes > 0; bytes -= (int64_t)sizeof(zeros))
    status = fsy_stream_send(s, zeros, bytes < (int64_t)sizeof(zeros) ? (size_t)bytes : sizeof(zeros), true);
  return status;
}

/* Where the content of one item goes out. */
typedef struct pouring {
  int file;
  uint32_t item;
  fsy_hasher *hasher; /* NULL: nobody asked */
  int64_t hashed_to;  /* everything before is in it */
  int64_t sent;
  bool ended;         /* the file is shorter than was announced */
  int failed;         /* reading failed */
} pouring;

static void hash_hole(pouring *p, int64_t to) {
  if (p->hasher && to > p->hashed_to) fsy_hasher_zeros(p->hasher, to - p->hashed_to);
  p->hashed_to = to > p->hashed_to ? to : p->hashed_to;
}

/* The payload of one DATA frame by reading; what the file does not give is zeros. */
static int pour_read(sending *o, pouring *p, int64_t offset, int64_t length) {
  fsy_stream *s = o->stream;
  fsy_buffer *io = &s->worker->io;
  if (!fsy_reserve(io, FSY_IO_BYTES)) return -ENOMEM;
  while (length > 0 && !p->ended && !p->failed) {
    int64_t bytes = length < FSY_IO_BYTES ? length : FSY_IO_BYTES;
    int64_t got = fsy_pread_full(p->file, io->at, bytes, offset);
    if (got < 0) p->failed = (int)got;
    else if (got < bytes) p->ended = true;
    if (got <= 0) break;
    if (p->hasher) fsy_hasher_add(p->hasher, io->at, (size_t)got);
    int status = fsy_stream_send(s, io->at, (size_t)got, true);
    if (status) return status;
    offset += got;
    length -= got;
  }
  return send_zeros(s, length);
}

static bool may_sendfile(const sending *o) { return o->job.opt.methods & (1u << FSY_METHOD_SENDFILE); }

/* Everything in offset..offset+length, slice by slice. */
static int pour(sending *o, pouring *p, int64_t offset, int64_t length) {
  fsy_stream *s = o->stream;
  hash_hole(p, offset);
  while (length > 0 && !p->ended && !p->failed) {
    int64_t most = fsy_slice_bytes(s->ring), slice = length < most ? length : most, done = 0;
    int status = fsy_pace(s->ring, slice);
    if (!status) status = send_head(o, FSY_FRAME_DATA, p->item, offset, (uint32_t)slice);
    if (!status && !p->hasher && may_sendfile(o)) status = fsy_stream_sendfile(s, p->file, offset, slice, &done);
    if (status >= 0 && done < slice) status = pour_read(o, p, offset + done, slice - done);
    if (status) return status;
    p->sent += slice;
    p->hashed_to = offset + slice;
    __atomic_fetch_add(&s->ring->control->bytes_done, (uint64_t)slice, __ATOMIC_RELAXED);
    offset += slice;
    length -= slice;
  }
  return 0;
}

/* Data extents only. */
static int pour_extents(sending *o, pouring *p, int64_t offset, int64_t end) {
  while (offset < end && !p->ended && !p->failed) {
    off_t data = lseek(p->file, offset, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    if (data < 0 && errno == EINVAL) return pour(o, p, offset, end - offset); /* the filesystem cannot tell */
    if (data < 0) {
      p->failed = -errno;
      return 0;
    }
    if (data >= end) break;
    off_t hole = lseek(p->file, data, SEEK_HOLE);
    if (hole < 0) { /* truncated meanwhile */
      p->ended = true;
      return 0;
    }
    int status = pour(o, p, data, (hole < end ? hole : end) - data);
    if (status) return status;
    offset = hole;
  }
  hash_hole(p, end);
  return 0;
}

static int pour_content(sending *o, pouring *p, const fsy_entry *want, int64_t offset, int64_t length) {
  bool sparse = (o->job.opt.flags & FSY_OPT_SPARSE) && (want->flags & FSY_ROW_SPARSE);
  return sparse ? pour_extents(o, p, offset, offset + length) : pour(o, p, offset, length);
}

/* FILE .. END for a regular file that is open. The attributes were gathered behind those of the (empty) shard. */
static int send_file(sending *o, uint32_t row, fsy_reading *in, const fsy_record *attrs) {
  fsy_result *r = &o->results[row];
  uint32_t item = item_of(o, row);
  for (;;) {
    fsy_record record = record_of(&in->want, item);
    record.attr_bytes = attrs->attr_bytes;
    record.attr_errno = attrs->attr_errno;
    record.flags = (attrs->flags & FSY_RECORD_ATTRS_FAILED) | (in->retried ? FSY_RECORD_RETRIED : 0);
    int status = send_record(o, FSY_FRAME_FILE, item, &record, o->stream->attrs.at);
    fsy_hasher hasher;
    pouring p = {in->fd, item, o->hashing ? &hasher : NULL, 0, 0, false, 0};
    if (p.hasher) fsy_hasher_open(p.hasher);
    if (!status) status = pour_content(o, &p, &in->want, 0, in->want.size);
    if (status) return status;
    r->bytes += (double)p.sent;
    r->method = p.sent ? FSY_METHOD_STREAM : FSY_METHOD_NONE;
    int again = p.failed ? fsy_fail(r, p.failed, FSY_STAGE_READ) : 0;
    if (!again) {
      r->status = 0;
      again = fsy_reading_check(&o->job, in, !p.ended, r);
    }
    fsy_record end = again < 0 ? failure(item, r) : record;
    end.attr_bytes = end.attr_errno = 0;
    end.flags &= ~FSY_RECORD_ATTRS_FAILED;
    end.bytes = (uint64_t)p.sent;
    if (again > 0) end.flags |= FSY_RECORD_AGAIN;
    if (again == 0 && p.hasher) {
      end.flags |= FSY_RECORD_HASHED;
      fsy_hasher_close(p.hasher, end.hash);
    }
    if (again > 0) r->status = -EINPROGRESS;
    status = send_record(o, FSY_FRAME_END, item, &end, NULL);
    if (status || again <= 0) {
      if (status) r->status = -EINPROGRESS;
      return status;
    }
  }
}

/* FILE .. END without content: an item whose attributes are too many for a shard. */
static int send_bare(sending *o, uint32_t item, const fsy_record *record) {
  int status = send_record(o, FSY_FRAME_FILE, item, record, o->stream->attrs.at);
  fsy_record end = *record;
  end.attr_bytes = end.attr_errno = 0;
  end.flags &= ~FSY_RECORD_ATTRS_FAILED;
  return status ? status : send_record(o, FSY_FRAME_END, item, &end, NULL);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------------- */

static int send_regular(sending *o, uint32_t row, const fsy_entry *entry) {
  fsy_stream *s = o->stream;
  fsy_result *r = &o->results[row];
  fsy_reading in = {fsy_open_source(&o->job, entry->name, o->job.opt.flags & FSY_OPT_FOLLOW), *entry, false};
  if (in.fd < 0) {
    (void)fsy_fail(r, in.fd, FSY_STAGE_OPEN_SOURCE);
    return add_failure(o, row);
  }
  int status = 0;
  bool small = entry->size < FSY_SHARD_FILE;
  uint32_t head = fsy_tar_header_bytes(entry->name_len);
  size_t content = o->archive + head;
  if (small) {
    int got = fsy_read_small(&o->job, &in, &s->payload, content, FSY_SHARD_FILE - 1, r);
    if (got == -EFBIG) { /* grown, and looked at again: its new size is in `in` */
      small = false;
      r->stage = FSY_STAGE_NONE;
    } else if (got) {
      close(in.fd);
      return add_failure(o, row);
    }
    r->status = -EINPROGRESS;
  }
  fsy_record record = record_of(&in.want, item_of(o, row));
  if (in.retried) record.flags |= FSY_RECORD_RETRIED;
  if (carries(o, &in.want)) gather(o, (fsy_subject){FSY_BY_FD, in.fd, ""}, o->attrs, &record);
  if (small && record.attr_bytes <= FSY_SHARD_ATTRS) {
    size_t size = (size_t)record.size, padded = fsy_tar_padded(size);
    uint8_t *data = s->payload.at + content;
    if (o->hashing) {
      record.flags |= FSY_RECORD_HASHED;
      fsy_xxh128(data, size, record.hash);
    }
    if (!fsy_reserve(&s->payload, content + padded)) status = -ENOMEM;
    else {
      memset(s->payload.at + content + size, 0, padded - size);
      fsy_tar_header(s->payload.at + o->archive, entry->name, entry->name_len, &record);
      r->bytes = (double)size;
      r->method = size ? FSY_METHOD_STREAM : FSY_METHOD_NONE;
      o->shard_bytes += (int64_t)size;
      status = add_record(o, row, &record, head + padded);
    }
  } else {
    /* what the shard holds goes first; the attributes of this one stand behind its own */
    size_t at = o->attrs;
    status = flush_shard(o);
    if (!status && at) memmove(s->attrs.at, s->attrs.at + at, record.attr_bytes);
    fsy_pay_wake(s->ring);
    if (!status) status = send_file(o, row, &in, &record);
    o->shard_from = o->shard_to = row + 1;
  }
  close(in.fd);
  return status;
}

/* A link or special file, or only the attributes of anything. */
static int send_plain(sending *o, uint32_t row, const fsy_entry *entry) {
  fsy_job *j = &o->job;
  fsy_result *r = &o->results[row];
  bool only_attributes = o->task.sqe.flags == FSY_WIRE_ATTRIBUTES, self = !*entry->name;
  fsy_record record = record_of(entry, item_of(o, row));
  fsy_subject place = {self ? FSY_BY_FD : FSY_BY_PATH_FD, self ? j->source_dir : FSY_NO_FD, ""};
  int opened = FSY_NO_FD;
  if (!self && (only_attributes ? o->which != 0 : carries(o, entry))) {
    bool follow = only_attributes && (j->opt.flags & FSY_OPT_FOLLOW);
    opened = fsy_open_from(j, entry->name, follow, O_PATH);
    if (opened < 0) {
      (void)fsy_fail(r, opened, FSY_STAGE_OPEN_SOURCE);
      return add_failure(o, row);
    }
    place.fd = opened;
  }
  if (o->which && place.fd >= 0) gather(o, place, o->attrs, &record);
  if (opened >= 0) close(opened);
  if (record.attr_bytes <= FSY_SHARD_ATTRS) return add_record(o, row, &record, 0);
  size_t at = o->attrs;
  int status = flush_shard(o);
  if (!status && at) memmove(o->stream->attrs.at, o->stream->attrs.at + at, record.attr_bytes);
  if (!status) status = send_bare(o, record.item, &record);
  if (!status) r->status = 0;
  o->shard_from = o->shard_to = row + 1;
  return status;
}

static int send_row(sending *o, uint32_t row) {
  fsy_result *r = &o->results[row];
  fsy_entry entry;
  uint32_t number = o->rows[row] & ~FSY_ROW_EXISTS;
  bool only_attributes = o->task.sqe.flags == FSY_WIRE_ATTRIBUTES;
  int bad = fsy_entry_get(&o->view, number, &entry);
  if (!bad && number == o->view.batch->count && !only_attributes) bad = -EINVAL;
  if (bad) {
    (void)fsy_fail(r, bad, FSY_STAGE_OPEN_SOURCE);
    return add_failure(o, row);
  }
  r->size = (double)entry.size;
  if (only_attributes) return send_plain(o, row, &entry);
  switch (entry.mode & S_IFMT) {
    case S_IFREG: return send_regular(o, row, &entry);
    case S_IFLNK:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK: return send_plain(o, row, &entry);
    case S_IFDIR: (void)fsy_fail(r, -EISDIR, FSY_STAGE_OPEN_SOURCE); break;
    default: (void)fsy_fail(r, entry.status ? entry.status : -EINVAL, FSY_STAGE_OPEN_SOURCE);
  }
  return add_failure(o, row);
}

/* ---- large files -------------------------------------------------------------------------------------------------------------- */

/* The row's file when it still is what the row says; else its result says why not. `fresh`, unless NULL: set when the
 * file is another one now, and still a file: `entry` then says what it is. */
static int open_unchanged(sending *o, fsy_entry *entry, bool *fresh, fsy_result *r) {
  int bad = fsy_entry_get(&o->view, o->rows[0] & ~FSY_ROW_EXISTS, entry);
  if (bad || !S_ISREG(entry->mode)) return fsy_fail(r, bad ? bad : -EINVAL, FSY_STAGE_OPEN_SOURCE);
  r->size = (double)entry->size;
  int file = fsy_open_source(&o->job, entry->name, o->job.opt.flags & FSY_OPT_FOLLOW);
  if (file < 0) return fsy_fail(r, file, FSY_STAGE_OPEN_SOURCE);
  struct stat st;
  int status = 0;
  if (fstat(file, &st) < 0) status = fsy_fail(r, -errno, FSY_STAGE_READ);
  else if (FSY_FAULT(changed) || !fsy_entry_same(entry, &st)) {
    r->flags |= FSY_ITEM_CHANGED;
    status = fsy_fail(r, -EBUSY, FSY_STAGE_READ);
    if (fresh && S_ISREG(st.st_mode)) {
      uint32_t flags = (entry->flags & ~FSY_ROW_SPARSE) | (o->which ? FSY_ROW_ATTR_FAILED : 0u);
      fsy_entry_from_stat(entry, &st);
      entry->flags |= flags;
      r->size = (double)entry->size;
      *fresh = true;
    }
  }
  if (!status) return file;
  close(file);
  return status;
}

/* Only blocks whose digest differs. */
static int pour_differing(sending *o, pouring *p, const uint8_t *digests, int64_t offset, int64_t length) {
  fsy_stream *s = o->stream;
  uint32_t block = o->task.sqe.extra;
  if (!fsy_reserve(&s->payload, block)) return -ENOMEM;
  for (uint32_t i = 0; length > 0; i++) {
    int64_t bytes = length < block ? length : block;
    if (fsy_cancelled(s->ring)) return -ECANCELED;
    int64_t got = fsy_pread_full(p->file, s->payload.at, bytes, offset);
    if (got < 0) p->failed = (int)got;
    else if (got < bytes) p->ended = true;
    if (got < bytes) return 0;
    if (p->hasher) fsy_hasher_add(p->hasher, s->payload.at, (size_t)bytes);
    uint8_t digest[16];
    fsy_xxh128(s->payload.at, (size_t)bytes, digest);
    if (memcmp(digest, digests + (size_t)i * 16, 16) != 0) {
      int status = fsy_pace(s->ring, bytes);
      if (!status) status = send_head(o, FSY_FRAME_DATA, p->item, offset, (uint32_t)bytes);
      if (!status) status = fsy_stream_send(s, s->payload.at, (size_t)bytes, true);
      if (status) return status;
      p->sent += bytes;
      __atomic_fetch_add(&s->ring->control->bytes_done, (uint64_t)bytes, __ATOMIC_RELAXED);
    }
    offset += bytes;
    length -= bytes;
  }
  return 0;
}

static int send_range(sending *o) {
  const fsy_sqe *q = &o->task.sqe;
  fsy_result *r = &o->results[0];
  int64_t offset = (int64_t)q->offset, length = (int64_t)q->length;
  const uint8_t *digests = q->extra ? fsy_at(o->stream->ring, q->path, q->path_bytes) : NULL;
  fsy_entry entry;
  fsy_hasher hasher;
  pouring p = {open_unchanged(o, &entry, NULL, r), 0, o->hashing ? &hasher : NULL, offset, 0, false, 0};
  fsy_record end;
  int status = 0;
  if (p.file >= 0) {
    fsy_pay_wake(o->stream->ring);
    if (p.hasher) fsy_hasher_open(p.hasher);
    if (offset + length > entry.size) p.ended = true;
    else if (digests) status = pour_differing(o, &p, digests, offset, length);
    else status = pour_content(o, &p, &entry, offset, length);
    close(p.file);
    if (status) return status;
    r->status = 0;
    if (p.failed) (void)fsy_fail(r, p.failed, FSY_STAGE_READ);
    else if (p.ended) {
      r->flags |= FSY_ITEM_CHANGED;
      (void)fsy_fail(r, -EBUSY, FSY_STAGE_READ);
    }
  }
  end = r->status ? failure(0, r) : record_of(&entry, 0);
  end.bytes = (uint64_t)p.sent;
  if (!r->status && p.hasher) {
    end.flags |= FSY_RECORD_HASHED;
    fsy_hasher_close(p.hasher, end.hash);
  }
  r->bytes = (double)p.sent;
  r->method = p.sent ? FSY_METHOD_STREAM : FSY_METHOD_NONE;
  status = send_record(o, FSY_FRAME_END, 0, &end, NULL);
  if (status) r->status = -EINPROGRESS;
  return status;
}

static int send_commit(sending *o) {
  fsy_result *r = &o->results[0];
  fsy_entry entry;
  bool fresh = false;
  int file = open_unchanged(o, &entry, &fresh, r);
  int status;
  if (fresh) { /* both sides go on with what it is now: the target may ask for it once more */
    fsy_entry_put(&o->view, o->rows[0] & ~FSY_ROW_EXISTS, &entry);
    fsy_record record = record_of(&entry, item_of(o, 0)), failed = failure(record.item, r);
    record.status = failed.status;
    record.stage = failed.stage;
    record.flags = failed.flags;
    status = add_record(o, 0, &record, 0);
  } else if (file < 0) status = add_failure(o, 0);
  else {
    fsy_record record = record_of(&entry, 0);
    if (o->which) gather(o, (fsy_subject){FSY_BY_FD, file, ""}, 0, &record);
    close(file);
    status = add_record(o, 0, &record, 0);
  }
  return status ? status : flush_shard(o);
}

/* ---- requests ------------------------------------------------------------------------------------------------------------------ */

static int open_request(sending *o) {
  const fsy_sqe *q = &o->task.sqe;
  fsy_ring *ring = o->stream->ring;
  bool one = q->flags == FSY_WIRE_RANGE || q->flags == FSY_WIRE_COMMIT;
  o->results = q->results % 8 ? NULL : fsy_at(ring, q->results, (uint64_t)q->count * sizeof(fsy_result));
  o->rows = q->rows % 4 ? NULL : fsy_at(ring, q->rows, (uint64_t)q->count * 4);
  if (!o->results) return -EINVAL;
  for (uint32_t i = 0; i < q->count; i++) {
    memset(&o->results[i], 0, sizeof(o->results[i]));
    o->results[i].status = -EINPROGRESS;
  }
  if (!o->rows || q->flags > FSY_WIRE_COMMIT || q->need == 0 || (one && q->count != 1)) return -EINVAL;
  if (!one && q->extra) {
    o->items = q->extra % 4 ? NULL : fsy_at(ring, q->extra, (uint64_t)q->count * 4);
    if (!o->items) return -EINVAL;
  }
  if (q->flags == FSY_WIRE_RANGE) {
    if (!(q->offset >= 0 && q->length >= 0 && q->offset + q->length < (double)FSY_SIZE_MAX)) return -EINVAL;
    if (q->extra) {
      double blocks = (double)(((int64_t)q->length + q->extra - 1) / q->extra);
      if (q->extra < BLOCK_MIN || q->extra > FSY_DATA_MAX || blocks * 16 != (double)q->path_bytes) return -EINVAL;
      if (!fsy_at(ring, q->path, q->path_bytes)) return -EINVAL;
    }
  }
  int status = fsy_view_at(ring, q->batch, &o->view);
  return status ? status : fsy_job_open(&o->job, &o->task);
}

/* Rows that did not go out. */
static void settle(sending *o, int status) {
  fsy_task *t = &o->task;
  for (uint32_t i = 0; o->results && i < t->sqe.count; i++) {
    fsy_result *r = &o->results[i];
    if (r->status == -EINPROGRESS) {
      r->status = status ? status : -EIO;
      r->bytes = 0;
    }
    if (!r->status) t->cqe.count++;
    t->cqe.bytes += r->bytes;
  }
}

static int send_request(fsy_stream *s, const fsy_sqe *sqe) {
  sending o;
  memset(&o, 0, sizeof(o));
  o.stream = s;
  fsy_task_open(&o.task, s->ring, s->worker, sqe);
  o.task.sqe.fd1 = o.task.sqe.fd2 = o.task.sqe.fd3 = FSY_NO_FD;
  double from = fsy_now();
  int refused = open_request(&o), status = 0;
  if (!refused) {
    o.hashing = o.job.opt.flags & (FSY_OPT_VERIFY | FSY_OPT_READBACK);
    o.which = fsy_attr_mask(o.job.opt.flags);
    if (sqe->flags == FSY_WIRE_RANGE) status = send_range(&o);
    else if (sqe->flags == FSY_WIRE_COMMIT) status = send_commit(&o);
    else {
      for (uint32_t i = 0; i < sqe->count && !status; i++)
        status = fsy_cancelled(s->ring) ? -ECANCELED : send_row(&o, i);
      if (!status) status = flush_shard(&o);
    }
  }
  int result = refused ? refused : status == -ECANCELED ? -ECANCELED : status ? -EPIPE : 0;
  settle(&o, result);
  o.task.cqe.result = result;
  o.task.cqe.nanos = (fsy_now() - from) * 1e9;
  __atomic_fetch_add(&s->ring->control->busy_nanos, (uint64_t)o.task.cqe.nanos, __ATOMIC_RELAXED);
  fsy_complete(s->ring, &o.task);
  if (status == -ENOMEM) (void)fsy_stream_fail(s, status, FSY_REASON_MEMORY);
  return status;
}

void fsy_send_refuse(fsy_ring *ring, const fsy_sqe *sqe, int status) {
  fsy_task t;
  fsy_task_open(&t, ring, NULL, sqe);
  fsy_result *results = sqe->results % 8 ? NULL : fsy_at(ring, sqe->results, (uint64_t)sqe->count * sizeof(fsy_result));
  for (uint32_t i = 0; results && i < sqe->count; i++) {
    memset(&results[i], 0, sizeof(results[i]));
    results[i].status = status;
  }
  t.cqe.result = status;
  fsy_complete(ring, &t);
}

int fsy_send_main(fsy_stream *s) {
  fsy_sqe sqe;
  int status;
  while ((status = fsy_stream_next(s, &sqe)) == 0) {
    status = send_request(s, &sqe);
    if (status) return status;
  }
  if (status != FSY_TOLD) return status;
  uint8_t head[FSY_FRAME_BYTES];
  fsy_frame bye = {FSY_FRAME_BYE, 0, 0, 0, 0};
  fsy_frame_put(head, &bye);
  status = leave(s, FSY_FAULT(send_bye));
  return status ? status : fsy_stream_send(s, head, sizeof(head), false);
}
