/* The data plane: what the files wire_*.c and tar.c share. docs/protocol.md has the format, fsy.h the operations.
 *
 *   wire_frame.c    headers, records: bytes to structs and back
 *   tar.c           members of a shard's archive
 *   wire_stream.c   threads, sockets, the send queue, ends
 *   wire_send.c     requests to frames
 *   wire_receive.c  frames to files
 *
 * A stream is a thread that owns a socket. Requests meet streams in fsy_wire, under its lock: SENDs in a queue, RECEIVEs
 * in a table by need. */
#ifndef FSY_WIRE_H
#define FSY_WIRE_H

#include "internal.h"

#include <sys/uio.h>

/* ---- format --------------------------------------------------------------------------------------------------- */

#define FSY_FRAME_MAGIC 0x31445346u
#define FSY_FRAME_BYTES 32u
#define FSY_RECORD_BYTES 80u
#define FSY_SHARD_MAX (4u << 20) /* payload of SHARD and FILE */
#define FSY_DATA_MAX (8u << 20)
#define FSY_SHARD_GOAL (1u << 20) /* a shard leaves as soon as it holds this much */
#define FSY_SHARD_FILE (1u << 20) /* files below travel in shards */
#define FSY_SHARD_ATTRS (256u << 10)
#define FSY_SIZE_MAX (1ull << 53)
#define FSY_TAR_BLOCK 512u
#define FSY_REGISTER_MS 5000u
#define FSY_LINGER_MS 5000 /* a sender's wait for the peer's end after BYE */

_Static_assert(FSY_SHARD_GOAL + FSY_SHARD_FILE + FSY_SHARD_ATTRS + 8 * FSY_TAR_BLOCK + FSY_RECORD_BYTES < FSY_SHARD_MAX,
               "what is added to a shard short of its goal fits");
_Static_assert(FSY_ATTRS_MAX + FSY_RECORD_BYTES <= FSY_SHARD_MAX, "any item's attributes fit into a frame");
_Static_assert(FSY_SLICE_BYTES <= FSY_DATA_MAX, "a slice is a frame");

enum { FSY_FRAME_SHARD = 1, FSY_FRAME_FILE, FSY_FRAME_DATA, FSY_FRAME_END, FSY_FRAME_BYE };

typedef struct fsy_frame {
  uint8_t type;
  uint32_t need, item, length;
  uint64_t offset;
} fsy_frame;

#define FSY_RECORD_RETRIED 1u
#define FSY_RECORD_CHANGED 2u
#define FSY_RECORD_HASHED 4u
#define FSY_RECORD_AGAIN 8u
#define FSY_RECORD_ATTRS_FAILED 16u
#define FSY_RECORD_OPEN 1u /* stages */
#define FSY_RECORD_READ 2u

typedef struct fsy_record {
  uint32_t item;
  int32_t status;
  uint32_t stage, flags;
  uint64_t size;
  int64_t mtime_sec;
  uint32_t mtime_nsec, mode, uid, gid, attr_bytes, attr_errno;
  uint64_t bytes;
  uint8_t hash[16];
} fsy_record;

static inline void fsy_put32(uint8_t *to, uint32_t value) {
  for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (8 * i));
}
static inline void fsy_put64(uint8_t *to, uint64_t value) {
  for (int i = 0; i < 8; i++) to[i] = (uint8_t)(value >> (8 * i));
}
static inline uint32_t fsy_get32(const uint8_t *from) {
  return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}
static inline uint64_t fsy_get64(const uint8_t *from) {
  return fsy_get32(from) | (uint64_t)fsy_get32(from + 4) << 32;
}

/* wire_frame.c */
uint32_t fsy_crc32(const uint8_t *data, size_t bytes);
void fsy_frame_put(uint8_t to[FSY_FRAME_BYTES], const fsy_frame *frame);
/* FSY_REASON_NONE, or what is wrong with the header: also lengths beyond the type's bound, and fields that must be 0. */
uint32_t fsy_frame_get(const uint8_t from[FSY_FRAME_BYTES], fsy_frame *frame);
void fsy_record_put(uint8_t to[FSY_RECORD_BYTES], const fsy_record *record);
/* False when a field is outside of what it may be. `end`: of an END frame. */
bool fsy_record_get(const uint8_t from[FSY_RECORD_BYTES], bool end, fsy_record *record);

/* tar.c: members of a ustar archive */
/* Bytes of the header of a member with this name: one block, or three with a long name. */
uint32_t fsy_tar_header_bytes(uint32_t name_len);
void fsy_tar_header(uint8_t *to, const char *name, uint32_t name_len, const fsy_record *record);
/* Checks the member at `at` of an archive: that it is the one meant. Offset of its content, 0 when it is not. `next`:
 * offset behind the padded content. */
size_t fsy_tar_member(const uint8_t *archive, size_t bytes, size_t at, const char *name, uint32_t name_len,
                      uint64_t size, size_t *next);
static inline size_t fsy_tar_padded(size_t bytes) { return (bytes + FSY_TAR_BLOCK - 1) & ~(size_t)(FSY_TAR_BLOCK - 1); }

/* ---- requests meet streams ----------------------------------------------------------------------------------------- */

/* What the answer to a need becomes. Lives from RECEIVE's submission to its completion. */
typedef struct fsy_expectation {
  struct fsy_expectation *next; /* in its slot of the table */
  fsy_sqe sqe;
  fsy_view view;          /* of the batch; not for RANGE */
  const uint32_t *rows;
  fsy_result *results;
  const char *rename;     /* target name of a single row, or NULL */
  uint32_t left;          /* items not finished; wire lock */
  uint32_t users;         /* streams that work on it now; wire lock */
  int failed;             /* nothing further will come: why; wire lock */
  uint32_t succeeded;     /* wire lock */
  double bytes, nanos;    /* wire lock */
  int range_status;       /* RANGE: its one item's */
  uint32_t range_stage;
  atomic_uint answered[]; /* a bit per item: begun or finished */
} fsy_expectation;

struct fsy_stream;
typedef struct fsy_stream fsy_stream;
#define FSY_EXPECT_SLOTS 256u

struct fsy_wire {
  pthread_mutex_t lock;
  pthread_cond_t registered; /* a RECEIVE came; also told to look at ends */
  fsy_stream *stream[FSY_MAX_STREAMS];
  uint32_t register_ms;  /* how long an answer waits for its RECEIVE */
  uint32_t senders, receivers; /* running */
  bool had_sender, had_receiver;
  fsy_queue sends;
  fsy_expectation *expected[FSY_EXPECT_SLOTS];
};

/* wire_stream.c */
fsy_wire *fsy_wire_new(void);
void fsy_wire_free(fsy_wire *wire);
static inline bool fsy_is_wire(uint32_t op) { return op >= FSY_OP_STREAM && op <= FSY_OP_RECEIVE; }
/* Owner's thread, inside fsy_submit. */
void fsy_wire_submit(fsy_ring *ring, const fsy_sqe *sqe);
/* Wakes what rests, answers what waits; control->cancel is set. */
void fsy_wire_cancel(fsy_ring *ring);
/* Waits for all streams. */
void fsy_wire_join(fsy_ring *ring);

/* ---- a stream ---------------------------------------------------------------------------------------------------------- */

/* FILE .. END, or DATA .. END of a range, while it comes in. */
typedef struct fsy_incoming {
  enum { FSY_IN_NOTHING, FSY_IN_FILE, FSY_IN_RANGE, FSY_IN_AGAIN /* END said that FILE follows once more */ } state;
  fsy_expectation *of; /* held */
  uint32_t item;
  bool repeated;       /* a source reads a file twice, not for ever */
  fsy_task task;
  fsy_job job;
  fsy_received received;
  fsy_entry want;
  uint64_t row_size;   /* as the manifest has it */
  const char *name;
  bool exists;
  fsy_result *result;
  fsy_result none;     /* RANGE has no row */
  fsy_landing to;
  bool is_open;        /* `to` is */
  int fd;              /* where DATA goes; -1: it is drained */
  uint64_t from, until;/* bounds of DATA */
  uint64_t at;         /* end of the last DATA */
  uint64_t bytes;      /* that came */
} fsy_incoming;

struct fsy_stream {
  fsy_ring *ring;
  fsy_worker *worker;
  pthread_t thread;
  fsy_sqe sqe;
  int fd;
  int wake;            /* eventfd: look at `ending`, the cancel flag and the queue */
  int idle_ms;
  bool sending;
  atomic_bool ending;
  bool resting;        /* a sender without work; wire lock */
  bool finished;       /* its thread touches nothing any more; wire lock */
  int reads_in;        /* a sender's source directory; wire lock */
  uint64_t *bytes;     /* in the arena; atomic */
  uint64_t total;
  uint32_t reason;     /* FSY_REASON_* */
  uint8_t *ahead;      /* receiving: read ahead of the frame at hand */
  size_t ahead_from, ahead_to;
  fsy_buffer payload;  /* receiving: SHARD; sending: its archive */
  fsy_buffer attrs;    /* receiving: of the FILE at hand; sending: of a shard */
  fsy_buffer records;  /* of a shard */
  fsy_buffer places;   /* receiving: where the members' contents are */
  fsy_incoming in;
};

#define FSY_TOLD 1 /* told to end: no failure */

/* Remembers why; returns `status`. */
int fsy_stream_fail(fsy_stream *s, int status, uint32_t reason);
/* 0, or a negative errno: everything went out. `more`: further bytes of the same burst follow at once. */
int fsy_stream_send(fsy_stream *s, const void *data, size_t bytes, bool more);
int fsy_stream_sendv(fsy_stream *s, struct iovec *parts, int count, bool more);
/* Part of a file; *sent bytes went out. 0; 1: the file gives no more this way; -errno of the socket. */
int fsy_stream_sendfile(fsy_stream *s, int file, int64_t offset, int64_t bytes, int64_t *sent);
/* Exactly `bytes`. FSY_TOLD or -errno. `between`: waits for ever for the first byte, and its end is `closed`. */
int fsy_stream_read(fsy_stream *s, uint8_t *to, size_t bytes, bool between);
/* The next request for a sender: 0, FSY_TOLD, -errno. */
int fsy_stream_next(fsy_stream *s, fsy_sqe *sqe);
bool fsy_stream_told(const fsy_stream *s);

/* wire_send.c: until BYE; 0 or -errno. */
int fsy_send_main(fsy_stream *s);
/* Answers a SEND that no stream will serve. */
void fsy_send_refuse(fsy_ring *ring, const fsy_sqe *sqe, int status);

/* wire_receive.c */
int fsy_receive_main(fsy_stream *s);
/* Lock held. 0 registered, or the status with which it was completed. */
int fsy_expect(fsy_ring *ring, const fsy_sqe *sqe, int refused);
/* Lock held: nothing further comes for anything expected. */
void fsy_expect_none(fsy_ring *ring, int status);

#endif
