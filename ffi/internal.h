/* What the files of the library share. Nothing here is visible outside the .so.
 *
 * ring.c runs requests: each is an fsy_task on one worker thread. Handlers (fsy_op_*) return the completion's result
 * and fill the rest of t->cqe. Everything mutable lives in the ring or in the worker; there are no globals.
 */
#ifndef FSY_INTERNAL_H
#define FSY_INTERNAL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif

#include "fault.h"
#include "fsy.h"
#include "sys_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define FSY_NAME_MAX 255u
#define FSY_LINK_MAX 4096u             /* PATH_MAX: the longest link text Linux stores */
#define FSY_PAGE 4096u                 /* to align buffers to; larger pages are multiples of it */
#define FSY_XATTR_VALUE_MAX 65536u     /* XATTR_SIZE_MAX */
#define FSY_XATTR_LIST_CAP (1u << 20)
#define FSY_ATTRS_MAX (2 << 20)        /* all attributes of one item on the wire */
#define FSY_IO_BYTES (256u << 10)      /* a worker's copy buffer: stays in the L2 cache */
#define FSY_SLICE_BYTES (8ll << 20)    /* between two looks at the cancel flag and the token bucket */
#define FSY_DELTA_BYTES (128u << 10)   /* unit of comparing in place */
#define FSY_SMALL_MAX (16u << 20)      /* ceiling of options.small_bytes: such a file is read in one go */
#define FSY_PROC_PATH 64u              /* room for /proc/self/fd/N */

/* ---- ring, worker, task ------------------------------------------------------------------------------------ */

typedef struct fsy_heap fsy_heap;
typedef struct fsy_wire fsy_wire;

/* A buffer that grows and is kept by its worker. */
typedef struct fsy_buffer {
  uint8_t *at;
  size_t room;
} fsy_buffer;

typedef struct fsy_worker {
  fsy_ring *ring;
  pthread_t thread;
  uint32_t index;
  atomic_int writes_in; /* directory that the request at hand changes */
  bool noatime_refused; /* O_NOATIME gave EPERM: not ours, do not ask again */
  uint32_t fs_dev;      /* device whose statfs type is known; 0: none */
  uint32_t fs_type;
  fsy_buffer io;        /* file data */
  fsy_buffer dents;     /* getdents64 */
  fsy_buffer order;     /* sort keys */
  fsy_buffer names;     /* xattr names */
  fsy_buffer values;    /* xattr values */
  fsy_buffer scratch;
} fsy_worker;

typedef struct fsy_task {
  fsy_ring *ring;
  fsy_worker *worker;
  fsy_sqe sqe; /* a copy: the owner may refill the slot as soon as fsy_submit returned */
  fsy_cqe cqe;
  bool quiet; /* no completion */
} fsy_task;

/* What was learnt about a pair of filesystems, so that every file does not try again. */
typedef struct fsy_pair {
  uint32_t source_dev, target_dev;
  atomic_uint refused;   /* 1 << FSY_METHOD_*, and FSY_PAIR_NO_TMPFILE */
  atomic_uint target_type; /* statfs f_type of the target, once it was asked for */
  atomic_uint doubts[8]; /* refusals that may have been the file's own fault (EINVAL, EPERM), by method */
} fsy_pair;
#define FSY_PAIR_NO_TMPFILE (1u << 31)
#define FSY_PAIRS 64u
#define FSY_DOUBTS_MAX 4u

#define FSY_QUEUE_SIZE FSY_SQ_SIZE
typedef struct fsy_queue {
  uint32_t head, tail;
  fsy_sqe slot[FSY_QUEUE_SIZE];
} fsy_queue;

struct fsy_ring {
  uint8_t *base;
  fsy_control *control;
  fsy_sqe *sq;
  fsy_cqe *cq;
  fsy_heap *heap;

  pthread_mutex_t queue_lock; /* queues, workers wanted */
  pthread_cond_t queue_ready;
  fsy_queue quick; /* scans and small questions */
  fsy_queue bulk;  /* what moves data */
  atomic_uint queued; /* requests in both queues */
  uint32_t sq_head;
  uint32_t workers_wanted;
  bool stopping;
  fsy_worker *worker[FSY_MAX_WORKERS]; /* changed by the owner's thread under queue_lock */

  pthread_mutex_t done_lock; /* completion ring, arming */
  uint32_t cq_tail;
  bool armed;
  atomic_uint owed;  /* completions that stand there unannounced: somebody wakes the owner before the workers rest */
  int64_t last_wake; /* nanoseconds on the monotonic clock */
  int wake_read, wake_write;
  atomic_uint quiet_done; /* requests that ended without a completion */

  pthread_mutex_t pace_lock;
  double pace_next; /* seconds on the monotonic clock when the bucket is level again */

  fsy_wire *wire; /* streams, and the requests that they serve: wire.h */

  pthread_mutex_t pair_lock;
  uint32_t pairs;
  fsy_pair pair[FSY_PAIRS];

  bool sha_fast; /* set once at open */
  uint32_t euid; /* of the process when the ring was opened */
  bool may_chown;
  atomic_ullong temp_counter;
  atomic_bool link_by_proc;   /* linkat(AT_EMPTY_PATH) is not permitted here */
  atomic_bool no_xattrat;     /* kernel before 6.13 */
  atomic_bool no_fchmodat2;   /* kernel before 6.6 */
  atomic_bool no_openat2;     /* kernel before 5.6 or a seccomp filter */
  atomic_bool no_utimes_empty;/* utimensat(AT_EMPTY_PATH) unknown */
};

/* A pointer into the arena after checking that `bytes` from `at` are inside; NULL otherwise. */
void *fsy_at(const fsy_ring *ring, uint32_t at, uint64_t bytes);
/* The NUL-terminated string at `at` with at most `bytes` bytes, NUL included; NULL when it is not terminated. */
const char *fsy_string_at(const fsy_ring *ring, uint32_t at, uint32_t bytes);
bool fsy_cancelled(const fsy_ring *ring);
/* Waits until the token bucket lets `bytes` pass. 0 or -ECANCELED. */
int fsy_pace(fsy_ring *ring, int64_t bytes);
int64_t fsy_slice_bytes(const fsy_ring *ring);
/* The memory of what this pair of devices refused; never NULL. */
fsy_pair *fsy_pair_of(fsy_ring *ring, uint32_t source_dev, uint32_t target_dev);
/* At least `bytes` in `buffer`, contents kept. False when out of memory. */
bool fsy_reserve(fsy_buffer *buffer, size_t bytes);
double fsy_now(void);
/* ring.c, for threads beside the workers: a worker with its buffers, the thread itself (all signals blocked), and the
 * end of a request. */
fsy_worker *fsy_worker_new(fsy_ring *ring);
void fsy_worker_free(fsy_worker *worker);
int fsy_thread_start(pthread_t *thread, void *(*run)(void *), void *argument);
void fsy_task_open(fsy_task *t, fsy_ring *ring, fsy_worker *worker, const fsy_sqe *sqe);
void fsy_complete(fsy_ring *ring, const fsy_task *t);
/* Announces completions that nobody was woken for; before a thread rests. */
void fsy_pay_wake(fsy_ring *ring);

/* heap.c: blocks inside the arena. Thread-safe. */
fsy_heap *fsy_heap_open(uint8_t *base, uint64_t from, uint64_t bytes, uint64_t *used);
void fsy_heap_close(fsy_heap *heap);
uint32_t fsy_heap_take(fsy_heap *heap, uint64_t bytes);
/* False when `block` is not the start of a block that is handed out. */
bool fsy_heap_give(fsy_heap *heap, uint32_t block);

/* ---- entries ----------------------------------------------------------------------------------------------- */

/* One row of a batch, unpacked. */
typedef struct fsy_entry {
  const char *name;
  uint32_t name_len;
  const char *link; /* "" when none */
  uint32_t link_len;
  int64_t size;
  int64_t mtime_sec;
  uint32_t mtime_nsec;
  uint32_t ctime_sec, ctime_nsec;
  uint32_t mode, uid, gid, nlink;
  uint64_t ino;
  uint32_t dev, rdev;
  uint64_t attrs; /* digest; 0 none */
  uint32_t flags;
  int32_t status;
} fsy_entry;

/* Columns of a batch, checked against its bounds. */
typedef struct fsy_view {
  fsy_batch *batch;
  uint32_t rows;
  double *f64;
  uint32_t *u32;
} fsy_view;

/* batch.c */
int fsy_view_at(const fsy_ring *ring, uint32_t at, fsy_view *view);
/* 0, or -EINVAL when the row's offsets leave the block or the name is not one path component. */
int fsy_entry_get(const fsy_view *view, uint32_t row, fsy_entry *entry);
bool fsy_name_ok(const char *name, size_t length);
/* The NUL-terminated text of `length` bytes at `at` of the block; NULL when it leaves it. */
const char *fsy_text_at(const fsy_view *view, uint32_t at, uint32_t length);
/* What a regular file that changed is now, in the columns of its row. */
void fsy_entry_put(const fsy_view *view, uint32_t row, const fsy_entry *entry);
static inline double *fsy_f64(const fsy_view *v, uint32_t column) { return v->f64 + (size_t)column * v->rows; }
static inline uint32_t *fsy_u32(const fsy_view *v, uint32_t column) { return v->u32 + (size_t)column * v->rows; }

/* A batch under construction: rows are set by number, texts are appended. */
typedef struct fsy_builder {
  fsy_ring *ring;
  uint32_t block;
  uint32_t used;  /* bytes of the block in use */
  uint32_t room;
  fsy_view view;
} fsy_builder;
int fsy_builder_open(fsy_builder *b, fsy_ring *ring, uint32_t count, uint64_t text_bytes);
/* Offset of the NUL-terminated copy in the block, 0 when the arena is full. The block may move. */
uint32_t fsy_builder_text(fsy_builder *b, const char *text, uint32_t length);
void fsy_builder_stat(const fsy_builder *b, uint32_t row, const struct fsy_statx *st);
void fsy_builder_fail(const fsy_builder *b, uint32_t row, int status);
uint32_t fsy_builder_close(fsy_builder *b);
/* dents.c: the names of a directory. */
typedef struct fsy_found {
  uint64_t key; /* first eight bytes of the name, big-endian, zero-padded */
  uint32_t at;  /* of the name in the worker's `scratch` */
  uint16_t length;
  uint8_t type; /* DT_* */
} fsy_found;
typedef struct fsy_listing {
  uint32_t count;
  size_t used;         /* bytes of `scratch` */
  uint64_t text_bytes; /* names with their NULs, plus a guess for link texts */
  int status;          /* 0, or why there may be more names than these */
} fsy_listing;
/* The records of one getdents64: names into the worker's `scratch`, fsy_found[] into the first half of its `order`. False:
 * there is no going on, status says why. */
bool fsy_dents_take(fsy_worker *worker, fsy_listing *listing, const uint8_t *records, size_t bytes);
/* All that were taken, by name, each once; NULL when there are none. Valid until the worker lists again. */
const fsy_found *fsy_dents_sort(fsy_worker *worker, fsy_listing *listing);
/* rows.c: FSY_KIND_* of all rows. */
uint32_t fsy_kinds(const fsy_view *view);

static inline uint32_t fsy_dev(uint32_t major, uint32_t minor) { return major << 20 | (minor & 0xfffffu); }
uint32_t fsy_dev_of(dev_t dev);
void fsy_entry_from_stat(fsy_entry *entry, const struct stat *st);
/* The file is still the one described: type, size, mtime, ctime, inode. */
bool fsy_entry_same(const fsy_entry *entry, const struct stat *st);

/* ---- subjects: what metadata is applied to ------------------------------------------------------------------ */

typedef enum { FSY_BY_FD, FSY_BY_PATH_FD /* O_PATH */, FSY_BY_NAME /* `name` in directory fd: to read */ } fsy_by;
typedef struct fsy_subject {
  fsy_by by;
  int fd;
  const char *name;
} fsy_subject;

/* What the subject has now, as far as known. */
typedef struct fsy_state {
  uint32_t mode, uid, gid;
  bool mode_known;
  bool attrs_possible; /* it may carry xattrs or ACLs that the source lacks */
  bool in_place;       /* an existing object: without FSY_OPT_PERMS its mode stays */
  bool replaces;       /* a new object in the place of an old one, which had: */
  uint32_t old_mode, old_uid, old_gid;
} fsy_state;

/* Where an entry's attributes are read: at a subject, or in memory, where they came over the wire. */
typedef struct fsy_attrs_from {
  fsy_subject place;   /* fd < 0 and no blob: there are none */
  const uint8_t *blob; /* checked with fsy_attrs_ok */
  size_t bytes;
  int error; /* positive errno: they could not be read, so the target's stay */
} fsy_attrs_from;
static inline fsy_attrs_from fsy_attrs_of(fsy_by by, int fd) {
  return (fsy_attrs_from){{by, fd, ""}, NULL, 0, 0};
}

/* What came with an entry's content from another process. */
typedef struct fsy_received {
  fsy_attrs_from attrs;
  bool hashed;
  uint8_t digest[16]; /* XXH3-128, canonical */
} fsy_received;

/* attrs_linux.c */
#define FSY_ATTR_XATTRS 1u
#define FSY_ATTR_ACLS 2u
#define FSY_ATTR_PRIVILEGED 4u
/* Digest of the attributes of `name` in directory `dir` ("" : the directory itself). 0 or -errno.
 * *unsupported is set when the filesystem knows no attributes, so that the caller need not ask again. */
int fsy_attrs_digest(fsy_task *t, int dir, const char *name, bool follow, uint32_t which, uint64_t *digest,
                     bool *unsupported);
/* Makes target's attributes equal to source's within `which`. Failures become warnings of `r`. `late` false: all but
 * NFSv4 ACLs; true: only those (they must follow chmod). Returns a mask of FSY_SYNC_*. */
#define FSY_SYNC_SET_ACCESS 1u
#define FSY_SYNC_HAS_LATE 2u
uint32_t fsy_attrs_sync(fsy_task *t, fsy_attrs_from source, fsy_subject target, uint32_t which, bool target_bare,
                        bool late, fsy_result *r);
/* Appends what `s` carries of `which` behind `at` of `to`, in the form of the wire. Bytes, or -errno. Uses the worker's
 * `names`; `to` may be its `values`. */
ssize_t fsy_attrs_gather(fsy_task *t, fsy_subject s, uint32_t which, fsy_buffer *to, size_t at);
/* Pointers to the names of `which` in `bytes` bytes of a list as listxattr gives it, in byte order, behind the list itself
 * in `buffer`. NULL when out of memory. */
const char **fsy_attrs_wanted(fsy_buffer *buffer, size_t bytes, uint32_t which, uint32_t *count);
/* Whether the bytes are attributes in the form of the wire: bounds, names that can be names, ascending. */
bool fsy_attrs_ok(const uint8_t *blob, size_t bytes);
/* Whether a descriptor carries any attribute of `which`. */
bool fsy_attrs_any(fsy_task *t, int fd, uint32_t which);
bool fsy_has_default_acl(int dir);
uint32_t fsy_attr_mask(uint32_t option_flags);

/* ---- a copying request ---------------------------------------------------------------------------------------- */

typedef struct fsy_job {
  fsy_task *task;
  fsy_options opt;
  int source_dir, target_dir, backup_dir, temp_dir; /* temp_dir equals target_dir unless fd3 is given */
  const fsy_received *received; /* the entry at hand came from another process; NULL: it is read below source_dir */
  const char *suffix;
  bool may_chown; /* CAP_CHOWN */
  uint32_t euid;
  uint32_t target_dev;
  int groups;      /* -1: not asked yet */
  gid_t group[64];
  bool folds;      /* names that differ are one here: seen once, see fsy_taken */
  int8_t append_only; /* the target directory; -1: not asked yet */
  bool default_acl; /* the directory new files are made in has one, and it decides their mode */
  int inherits;    /* new files get attributes from the directory; -1: not learnt yet */
  uint32_t new_uid, new_gid; /* of new files here, once learnt[0].used */
  struct { bool used; uint32_t asked, got; } learnt[4]; /* mode asked of open -> mode it made */
  fsy_pair *pair;  /* of the last file's devices */
  fsy_pair *target_pair;
} fsy_job;

/* job.c */
int fsy_job_open(fsy_job *j, fsy_task *t);
/* A job that copies everything about an entry from one directory to another, for backups and moves. */
void fsy_job_whole(fsy_job *whole, const fsy_job *of, int source_dir, int target_dir);
/* CAP_CHOWN of the calling thread. */
bool fsy_may_chown(void);
bool fsy_in_group(fsy_job *j, uint32_t gid);
fsy_pair *fsy_job_pair(fsy_job *j, uint32_t source_dev);
uint32_t fsy_target_type(fsy_job *j); /* statfs f_type of the target; 0: not known */
uint32_t fsy_temp_type(fsy_job *j);   /* of where its temporaries are made, which --temp-dir may put elsewhere */
void fsy_warn(fsy_result *r, uint32_t bit, int error);
/* Sets status and stage; returns the status. */
int fsy_fail(fsy_result *r, int status, uint32_t stage);
/* Runs `one` over the rows of the request, fills results and the completion's count and bytes. */
typedef int (*fsy_each)(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_result *r);
int fsy_for_rows(fsy_job *j, bool self_row, fsy_each one);

/* meta_linux.c: owner, xattrs, ACLs, mode, times, in this order. 0, or -errno when the target is damaged (EIO, ENOSPC);
 * what merely is not permitted becomes a warning. `attrs_from` is where xattrs are read. */
int fsy_meta_apply(fsy_job *j, fsy_subject target, const fsy_entry *want, fsy_state *now, fsy_attrs_from attrs_from,
                   fsy_result *r);
uint32_t fsy_new_mode(const fsy_job *j, const fsy_entry *want);

/* ---- moving data ------------------------------------------------------------------------------------------------ */

typedef struct fsy_flow {
  fsy_job *job;
  int source, target;
  bool shared;       /* the descriptors are used by other workers too: no file positions */
  bool basis;        /* the target has old content: holes must be punched */
  uint32_t allowed;  /* methods not refused so far */
  uint32_t method;   /* last that moved bytes */
  uint32_t refused;
  int refused_errno; /* of the last of them */
  uint32_t stage;    /* of the failure */
  int64_t position;  /* of target's file offset when known, -1 otherwise */
  int64_t moved;     /* payload bytes */
  bool ended;        /* the source ended before the range did */
} fsy_flow;

/* copy_linux.c */
void fsy_flow_open(fsy_flow *f, fsy_job *j, int source, int target, uint32_t source_dev, int64_t size);
/* The whole file as one reflink; 0 done, 1 not possible here, -errno. */
int fsy_flow_clone(fsy_flow *f, int64_t size);
/* Bytes offset..offset+length by the best method left. 0 or -errno; f->ended when the source is shorter. */
int fsy_flow_range(fsy_flow *f, int64_t offset, int64_t length);
/* Same, data extents only. */
int fsy_flow_sparse(fsy_flow *f, int64_t offset, int64_t length, bool compare);
int fsy_flow_delta(fsy_flow *f, int64_t offset, int64_t length);
/* A hole, or zeros, where old content was. */
int fsy_make_hole(fsy_task *t, int fd, int64_t offset, int64_t length);
bool fsy_falls(int error);
int fsy_verify(fsy_task *t, int source, int target, int64_t size, bool readback);

/* method_*.c: move at most `length` bytes at `offset`; bytes moved, 0 at the source's end, or -errno. */
int64_t fsy_method_copy_file_range(fsy_flow *f, int64_t offset, int64_t length);
int64_t fsy_method_sendfile(fsy_flow *f, int64_t offset, int64_t length);
int64_t fsy_method_mmap(fsy_flow *f, int64_t offset, int64_t length);
int64_t fsy_method_read_write(fsy_flow *f, int64_t offset, int64_t length);
int fsy_method_clone(int source, int target);
/* Makes the file of that name the content of `target`, as a basis to compare with. Its size; 0 where it cannot be. */
int64_t fsy_clone_basis(int directory, const char *name, int target);
int64_t fsy_method_delta(fsy_flow *f, int64_t offset, int64_t length);
int64_t fsy_pread_full(int fd, uint8_t *to, int64_t bytes, int64_t offset);
int fsy_pwrite_full(int fd, const uint8_t *from, int64_t bytes, int64_t offset);

/* copy_file.c */
int fsy_copy_entry(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_result *r);
/* Metadata only; the directory itself when `name` is empty. */
int fsy_repair_entry(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_result *r);
int fsy_open_source(fsy_job *j, const char *name, bool follow);
int fsy_open_from(fsy_job *j, const char *name, bool follow, int flags);

/* The source as it is being read. */
typedef struct fsy_reading {
  int fd;
  fsy_entry want; /* the row, or the fresh stat after a change */
  bool retried;
} fsy_reading;
/* After a pass over the data: 0 the file is what `want` says, 1 read again, -errno. `whole`: the pass saw all of it. */
int fsy_reading_check(fsy_job *j, fsy_reading *in, bool whole, fsy_result *r);
/* A file of at most `most` bytes into `to` from `at` on, read again when it changed. -EFBIG: it has grown beyond. */
int fsy_read_small(fsy_job *j, fsy_reading *in, fsy_buffer *to, size_t at, int64_t most, fsy_result *r);

/* ---- making things visible --------------------------------------------------------------------------------------- */

typedef struct fsy_temp {
  int fd;
  bool named;
  int dir;       /* where the name is */
  char name[48];
} fsy_temp;

/* landing.c: a regular file in the target between its opening and its end. */
typedef struct fsy_landing {
  int fd;         /* for whoever writes the data */
  bool in_place;
  int64_t basis;  /* in place: size of the old content */
  fsy_temp temp;  /* otherwise */
  fsy_state now;
  bool made_writable;
  uint32_t mode_before;
} fsy_landing;
/* All return 0 or a negative errno that stands in the result; nothing is left open then. */
int fsy_landing_temp(fsy_job *j, const fsy_entry *want, fsy_landing *to, fsy_result *r);
/* 1: there is no file to write into. `source` is compared with it when >= 0. */
int fsy_landing_in_place(fsy_job *j, int source, const char *name, fsy_landing *to, fsy_result *r);
/* One of the two, as the options want it. */
int fsy_landing_open(fsy_job *j, const fsy_entry *want, const char *name, bool exists, fsy_landing *to, fsy_result *r);
/* All of the content from memory; `by` NULL: every byte is written. */
typedef int (*fsy_writing)(int fd, const uint8_t *data, int64_t size);
int fsy_landing_whole(fsy_job *j, fsy_landing *to, const uint8_t *data, int64_t size, uint32_t method,
                      fsy_writing by, fsy_result *r);
/* Verifies, applies metadata, syncs, publishes. `source`: descriptor of what was copied; unused with j->received. */
int fsy_landing_close(fsy_job *j, const fsy_entry *want, int source, fsy_landing *to, const char *name, bool exists,
                      fsy_result *r);
void fsy_landing_drop(fsy_landing *to);
/* What the old object under the name hands on to the new one, where that is not the source's business. */
void fsy_inherit_old(fsy_job *j, const fsy_entry *entry, const char *name, bool exists, fsy_state *now);
/* -EBADMSG when the stretch of `fd` has another XXH3-128; `readback`: as it is on disk. */
int fsy_verify_digest(fsy_task *t, int fd, int64_t offset, int64_t length, const uint8_t digest[16], bool readback);

/* publish.c */
void fsy_temp_name(fsy_job *j, char name[48]);
/* A new, invisible file of mode at most `mode` in the job's temp directory; learns what new files look like. */
int fsy_temp_open(fsy_job *j, uint32_t mode, fsy_temp *temp, fsy_state *now);
void fsy_temp_drop(fsy_temp *temp);
/* Before a temporary is made in `dir` that cannot be locked itself (a link, a FIFO, a device): locks the directory, as
 * long as its descriptor is open, against sweeping such names. */
void fsy_hold_names(int dir);
/* Gives the finished file its name, replacing what stands there (backed up first when asked). 0 or -errno. */
/* The source of attributes, through O_PATH; -1 when there are none to read. */
int fsy_open_attrs(fsy_job *j, const fsy_entry *entry);
/* The same from disk or from the wire; `want` is the entry with what was found out about its attributes, `opened` is
 * to be closed when >= 0. */
fsy_attrs_from fsy_attrs_open(fsy_job *j, const fsy_entry *entry, fsy_entry *want, int *opened);
int fsy_publish_temp(fsy_job *j, fsy_temp *temp, const fsy_entry *entry, const char *name, bool exists, fsy_result *r);
/* Same for something that stands under a temporary name in `temp_dir`. The name is gone afterwards, also on failure. */
int fsy_publish_name(fsy_job *j, int temp_dir, const char *temp, const char *name, bool exists, fsy_result *r);
int fsy_link_fd(fsy_ring *ring, int fd, int dir, const char *name);
/* Keeps what stands under `name` as name+suffix in the backup directory. */
int fsy_backup(fsy_job *j, const char *name, bool by_copy, fsy_result *r);
/* Whether `name`, which was to be new, is taken by an entry that is listed under another spelling. Then the entry stays:
 * it is not what was meant to be replaced. */
bool fsy_taken(fsy_job *j, const char *name);
/* Whether the directory lists exactly this name. -errno when it cannot be listed. */
int fsy_lists(fsy_task *t, int dir, const char *name);
/* 0, or -EPERM where names cannot be taken back: in an append-only directory a temporary would stay for ever. */
int fsy_takes_back(fsy_job *j, int dir);
/* The filesystem has no hard links, or no more of this file (ENOSYS: a FUSE server without them). */
bool fsy_no_links(int error);
int fsy_rename_new(int from_dir, const char *from, int to_dir, const char *to);

/* resolve.c */
int fsy_open_beneath(fsy_ring *ring, int base, const char *path, bool create, bool *created);
/* Opens `name` in `dir`; where it is a link what it leads to, unless that is not below `root` (-EXDEV). */
int fsy_open_confined(int root, int dir, const char *name, int flags);
int fsy_open_parent(fsy_ring *ring, int base, const char *path, const char **last);
int fsy_open_operator(const char *path, int base, bool create);

void fsy_proc_path(char out[FSY_PROC_PATH], int fd);

/* hash.c, sha256.c */
typedef struct fsy_sha256 {
  uint32_t state[8];
  uint64_t bytes;
  uint8_t block[64];
  uint32_t fill;
  bool fast; /* the CPU has the SHA extensions */
} fsy_sha256;
/* Whether the CPU has the SHA extensions; asked once, CPUID traps in virtual machines. */
bool fsy_sha256_fast(void);
void fsy_sha256_open(fsy_sha256 *s, bool fast);
void fsy_sha256_add(fsy_sha256 *s, const void *data, size_t bytes);
void fsy_sha256_close(fsy_sha256 *s, uint8_t digest[32]);
uint64_t fsy_xxh3(const void *data, size_t bytes);
/* XXH3-128 in pieces; digests are canonical (big-endian). */
typedef struct fsy_hasher {
  _Alignas(64) uint8_t state[576];
} fsy_hasher;
void fsy_hasher_open(fsy_hasher *h);
void fsy_hasher_add(fsy_hasher *h, const void *data, size_t bytes);
void fsy_hasher_zeros(fsy_hasher *h, int64_t bytes);
void fsy_hasher_close(fsy_hasher *h, uint8_t digest[16]);
void fsy_xxh128(const void *data, size_t bytes, uint8_t digest[16]);
/* Of a stretch of a descriptor; -EBADMSG when it ends before. */
int fsy_hash_range(fsy_task *t, int fd, int64_t offset, int64_t length, uint8_t digest[16]);

/* ---- operations ---------------------------------------------------------------------------------------------------- */
int fsy_op_walk(fsy_task *t);
int fsy_op_stat(fsy_task *t);
int fsy_op_resolve(fsy_task *t);
int fsy_op_copy(fsy_task *t);
int fsy_op_repair(fsy_task *t);
int fsy_op_large_begin(fsy_task *t);
int fsy_op_large_range(fsy_task *t);
int fsy_op_large_commit(fsy_task *t);
int fsy_op_large_abort(fsy_task *t);
/* COMMIT of a file whose content came from another process; leaves the descriptors open. */
int fsy_large_commit_received(fsy_task *t, const fsy_received *from);
int fsy_op_delete(fsy_task *t);
int fsy_op_link(fsy_task *t);
int fsy_op_hash(fsy_task *t);
int fsy_op_rename(fsy_task *t);
int fsy_op_close(fsy_task *t);
int fsy_op_sync(fsy_task *t);
int fsy_op_probe(fsy_task *t);
int fsy_op_sweep(fsy_task *t);
int fsy_op_hash_blocks(fsy_task *t);

#endif
