/* fsy: the native file engine of fastsync.
 *
 * Shape: submit and reap. One shared arena holds the control block, a submission ring, a completion ring and a
 * heap of blocks. The owner (one JavaScript thread) fills fixed-size requests in place, calls fsy_submit, and is
 * woken by one byte on a non-blocking pipe when completions wait. Requests are batches: "walk this directory",
 * "copy these 128 files". No function here blocks on I/O; all I/O happens on the worker threads.
 *
 * Life cycle
 *   1. fsy_open            maps the arena, starts the workers; returns the ring
 *   2. fsy_alloc           arena blocks for names, row lists, results (also made by workers: walk returns a batch)
 *   3. fill sqe[sq_tail & mask], advance; fsy_submit(n)
 *   4. wait for the pipe; fsy_reap copies nothing: it returns how many completions stand in cqe[] and arms the wake-up
 *   5. fsy_free            for every block, by whoever it was handed to
 *   6. fsy_close           cancels, joins, unmaps
 *
 * Rules: every value from a peer or from disk is bounded before use; errors are negative errno in the completion or
 * in the item's result; offsets are bytes from the arena's base and always below 2^31; file offsets and lengths
 * travel as doubles (exact to 2^53), so that JavaScript needs no BigInt on the hot path. No mutable global state.
 */
#ifndef FSY_H
#define FSY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FSY_ABI 5u

#define FSY_ARENA_BYTES (1ull << 31) /* address space only; pages are committed when touched */
#define FSY_SQ_SIZE 1024u            /* requests that may be outstanding; power of two */
#define FSY_CQ_SIZE 1024u            /* same, so that a completion always has room */
#define FSY_MAX_WORKERS 64u
#define FSY_MAX_ROWS (1u << 24)      /* entries of one directory */
#define FSY_NO_FD (-1)
#define FSY_CWD (-100)               /* AT_FDCWD: only for paths given by the operator */

/* ---- arena layout ---------------------------------------------------------------------------------------- */

/* At arena offset 0. Plain loads by the owner are enough for fields marked (owner); others are atomic. */
typedef struct fsy_control {
  uint32_t abi;          /* FSY_ABI */
  uint32_t control_bytes;
  uint32_t sq_at;        /* arena offset of fsy_sqe[FSY_SQ_SIZE] */
  uint32_t cq_at;        /* arena offset of fsy_cqe[FSY_CQ_SIZE] */
  uint32_t sq_tail;      /* (owner) next request to fill; free-running, masked by size-1 */
  uint32_t cq_head;      /* (owner) next completion to read; free-running */
  uint32_t cq_tail;      /* written by workers with release order */
  uint32_t cancel;       /* 1: workers answer -ECANCELED at the next item or slice */
  uint32_t workers;      /* threads running now */
  uint32_t reserved0;
  double rate_bytes_per_second; /* (owner) shared token bucket for data copied; 0: unlimited */
  uint64_t bytes_done;   /* payload bytes landed so far by all copies, for progress; atomic */
  uint64_t files_done;   /* files made visible so far; atomic */
  uint64_t arena_used;   /* bytes of the heap handed out now; atomic */
  uint64_t busy_nanos;   /* sum of worker time inside requests; atomic */
} fsy_control;

/* ---- a batch of entries ---------------------------------------------------------------------------------- */

/* One directory's listing, or any list of entries: a header, then columns, then a blob of NUL-terminated names and
 * link texts. `rows` is count + 1: rows 0..count-1 are sorted by name (unsigned bytes, shorter first) and the last
 * row, `count`, is the directory itself (name "."; zeroed with status -ENOENT when unknown). Columns are contiguous
 * arrays of `rows` values: first FSY_F64_COLUMNS of 8 bytes, then FSY_U32_COLUMNS of 4 bytes. */
typedef struct fsy_batch {
  uint32_t magic;       /* FSY_BATCH_MAGIC */
  uint32_t count;       /* entries without the directory's own row */
  uint32_t total_bytes; /* of the whole block, header included */
  int32_t dirfd;        /* the held descriptor of the directory, owned by the receiver; FSY_NO_FD where none */
  int32_t status;       /* 0; -errno when the directory could not be opened or read to its end */
  uint32_t flags;       /* FSY_BATCH_* */
  uint32_t fs_type;     /* statfs f_type of the directory, 0 unknown */
  uint32_t kinds;       /* FSY_KIND_*: what there may be among the rows; 0: not known */
  uint32_t reserved[8];
} fsy_batch;            /* 64 bytes */

#define FSY_BATCH_MAGIC 0x31425346u
#define FSY_BATCH_CREATED 1u  /* the directory was made by this request */
#define FSY_BATCH_PARTIAL 2u  /* reading stopped early: status says why; what is here is true but not all */
#define FSY_BATCH_MADE_WRITABLE 4u /* u+rwx was added to enter it; the row `count` has the mode it had before */
#define FSY_BATCH_SMALL_INODES 8u  /* (FSY_WALK_SELF_ONLY) ext2/3/4 without room for nanoseconds and years after 2038 */

#define FSY_KIND_KNOWN 1u     /* a bit that is missing below means that there is none */
#define FSY_KIND_DIRECTORY 2u /* of the entries; the directory's own row does not count */
#define FSY_KIND_SYMLINK 4u
#define FSY_KIND_SPECIAL 8u   /* FIFO, socket, device, or of no known type */
#define FSY_KIND_FAILED 16u   /* a status, or FSY_ROW_ATTR_FAILED */
#define FSY_KIND_SKIPPED 32u  /* FSY_ROW_SKIP */
#define FSY_KIND_LINKED 64u   /* several names of one inode that is no directory */
#define FSY_KIND_OURS 128u    /* a name that begins like those of temporary files */
#define FSY_KIND_OWNERS 256u  /* more than one owner or group, the directory's own included */
#define FSY_KIND_FAR_TIMES 512u /* an mtime before 1970 or after 2038, the directory's own included */

enum { FSY_F64_SIZE, FSY_F64_MTIME_SEC, FSY_F64_COLUMNS };
enum {
  FSY_U32_MTIME_NSEC, /* 0..999,999,999 */
  FSY_U32_CTIME_SEC,  /* low 32 bits of seconds: a change detector, not a date */
  FSY_U32_CTIME_NSEC,
  FSY_U32_MODE,       /* st_mode with type bits */
  FSY_U32_UID,
  FSY_U32_GID,
  FSY_U32_NLINK,
  FSY_U32_INO_LO,
  FSY_U32_INO_HI,
  FSY_U32_DEV,        /* major << 20 | minor of the filesystem */
  FSY_U32_RDEV,       /* major << 20 | minor of a device node */
  FSY_U32_ATTR_LO,    /* XXH3-64 over the sorted xattrs and ACLs asked for; 0,0: none or not asked. FSY_WALK_BLOCKS: what
                         is allocated, in units of 512 bytes */
  FSY_U32_ATTR_HI,
  FSY_U32_NAME_AT,    /* offset of the name from the block's start */
  FSY_U32_NAME_LEN,   /* bytes without the NUL */
  FSY_U32_LINK_AT,    /* symlink text; 0: none */
  FSY_U32_LINK_LEN,
  FSY_U32_FLAGS,      /* FSY_ROW_* */
  FSY_U32_STATUS,     /* int32: 0 or -errno of stat, readlink or reading the attributes */
  FSY_U32_COLUMNS
};

#define FSY_ROW_SPARSE 1u     /* fewer blocks allocated than the size needs */
#define FSY_ROW_SKIP 2u       /* (set by the owner) present, but not to be transferred nor deleted */
#define FSY_ROW_MOUNT 4u      /* the entry is a mount point: its st_dev differs from the directory's */
#define FSY_ROW_ATTR_FAILED 8u /* the attributes could not be read; STATUS stays 0 */
#define FSY_ROW_IMMUTABLE 16u /* immutable or append-only by statx attributes */

/* ---- results --------------------------------------------------------------------------------------------- */

/* One per row of a copy, repair, delete, link, hash or rename request. */
typedef struct fsy_result {
  int32_t status;       /* 0 or -errno; the item's data and name are as before when it is not 0 */
  uint32_t stage;       /* FSY_STAGE_*: where it failed */
  uint32_t method;      /* FSY_METHOD_* that moved the data */
  uint32_t refused;     /* bit mask 1 << FSY_METHOD_*: methods tried that fell through to the next */
  uint32_t warnings;    /* FSY_WARN_*: attributes that could not be applied; the data is in place */
  int32_t warning_errno;/* of the first warning, positive */
  uint32_t flags;       /* FSY_ITEM_* */
  int32_t refused_errno;/* of the last method in `refused`, positive */
  double bytes;         /* payload bytes that moved (0 for a clone, holes not counted) */
  double size;          /* size of the file as it was read */
} fsy_result;           /* 48 bytes */

enum { FSY_METHOD_NONE, FSY_METHOD_CLONE, FSY_METHOD_COPY_FILE_RANGE, FSY_METHOD_SENDFILE, FSY_METHOD_MMAP,
       FSY_METHOD_READ_WRITE, FSY_METHOD_DELTA /* only differing blocks were written */,
       FSY_METHOD_RENAME /* none of the library's: the session's number for a move */,
       FSY_METHOD_STREAM /* came from another process */, FSY_METHOD_COUNT };
enum { FSY_STAGE_NONE, FSY_STAGE_OPEN_SOURCE, FSY_STAGE_READ, FSY_STAGE_CREATE, FSY_STAGE_WRITE, FSY_STAGE_META,
       FSY_STAGE_VERIFY, FSY_STAGE_SYNC, FSY_STAGE_BACKUP, FSY_STAGE_PUBLISH, FSY_STAGE_DELETE };
#define FSY_WARN_OWNER 1u
#define FSY_WARN_GROUP 2u
#define FSY_WARN_MODE 4u
#define FSY_WARN_TIMES 8u
#define FSY_WARN_XATTR 16u
#define FSY_WARN_ACL 32u
#define FSY_WARN_SETID 64u     /* setuid or setgid dropped because ownership could not be set */
#define FSY_ITEM_RETRIED 1u    /* the source changed while it was read, the second attempt was stable */
#define FSY_ITEM_CHANGED 2u    /* it changed again: status is -EBUSY, nothing was published */
#define FSY_ITEM_REPLACED 4u   /* something stood under the name and was replaced */
#define FSY_ITEM_BACKED_UP 8u

/* ---- options of writing: one block per run, shared by its requests --------------------------------------- */

typedef struct fsy_options {
  uint32_t flags;        /* FSY_OPT_* */
  uint32_t methods;      /* allowed methods, bit mask 1 << FSY_METHOD_* */
  uint32_t chown_uid;    /* 0xffffffff: the source's */
  uint32_t chown_gid;
  uint32_t umask_bits;   /* applied to modes of new items when FSY_OPT_PERMS is off */
  uint32_t suffix_at;    /* arena offset of the backup suffix, NUL-terminated; 0: none */
  uint32_t small_bytes;  /* files below go by read/write (FSY default 65536) */
  uint32_t mmap_bytes;   /* mmap is considered from this size */
  uint32_t run_id_lo;    /* names temporary files: .fastsync.<16 hex>.tmp */
  uint32_t run_id_hi;
  uint32_t confine;      /* FSY_OPT_FOLLOW: descriptor + 1 of the directory that links must not lead out of; 0: none */
  uint32_t reserved[5];
} fsy_options;           /* 64 bytes */

#define FSY_OPT_PERMS (1u << 0)
#define FSY_OPT_TIMES (1u << 1)
#define FSY_OPT_OWNER (1u << 2)
#define FSY_OPT_GROUP (1u << 3)
#define FSY_OPT_XATTRS (1u << 4)
#define FSY_OPT_ACLS (1u << 5)
#define FSY_OPT_SPARSE (1u << 6)
#define FSY_OPT_INPLACE (1u << 7)
#define FSY_OPT_FSYNC (1u << 8)      /* fsync each file before it is published */
#define FSY_OPT_VERIFY (1u << 9)     /* compare source and target content before publishing */
#define FSY_OPT_READBACK (1u << 10)  /* ...after dropping the target's cached pages */
#define FSY_OPT_NOATIME (1u << 11)   /* open sources with O_NOATIME where permitted */
#define FSY_OPT_FOLLOW (1u << 12)    /* sources may be symbolic links: open what they point at */
#define FSY_OPT_DIR_TIMES (1u << 13)
#define FSY_OPT_DELTA (1u << 14)     /* an existing target is a verified basis: write only blocks that differ */
#define FSY_OPT_LINK_TIMES (1u << 15)
#define FSY_OPT_XATTR_PRIVILEGED (1u << 16) /* also trusted.* and security.*, not only user.* */
#define FSY_OPT_ROW_OWNERS (1u << 17)       /* owner and group are the row's, whatever the file has by now */

/* ---- requests and completions ----------------------------------------------------------------------------- */

typedef struct fsy_sqe {
  uint32_t op;       /* FSY_OP_* */
  uint32_t tag;      /* echoed in the completion */
  int32_t fd0;       /* source side, or the subject */
  int32_t fd1;       /* target side */
  int32_t fd2;       /* where backups go, FSY_NO_FD: none */
  int32_t fd3;       /* where temporary files go, FSY_NO_FD: beside the target */
  uint32_t flags;    /* per operation */
  uint32_t count;    /* rows or names */
  uint32_t batch;    /* arena offset of a batch */
  uint32_t rows;     /* arena offset of uint32_t[count]: row number, FSY_ROW_EXISTS in the top bit */
  uint32_t results;  /* arena offset of fsy_result[count] */
  uint32_t options;  /* arena offset of fsy_options */
  uint32_t path;     /* arena offset of a NUL-terminated path, or of `count` of them packed */
  uint32_t path_bytes; /* bytes at `path`, all NULs included */
  uint32_t extra;    /* per operation */
  uint32_t need;     /* SEND, RECEIVE: id of the need, not 0 */
  double offset;
  double length;
  uint32_t reserved[12];
} fsy_sqe;           /* 128 bytes */

#define FSY_ROW_EXISTS 0x80000000u

typedef struct fsy_cqe {
  uint32_t tag;
  int32_t result;    /* 0 or -errno for the request as a whole; item errors are in the results */
  int32_t fd0;
  int32_t fd1;
  uint32_t block;    /* a block handed to the owner; 0: none */
  uint32_t flags;
  uint32_t method;
  uint32_t count;    /* items that succeeded */
  double bytes;
  double length;
  double nanos;      /* worker time */
  uint32_t reserved[2];
} fsy_cqe;           /* 64 bytes */

enum {
  /* Does nothing, answers 0: measures the round trip. */
  FSY_OP_NOP,

  /* Opens directory `path` below fd0 (FSY_CWD allowed) and lists it. No symlink is followed unless FSY_WALK_FOLLOW.
   * Answers with a batch in `block` (always, also on failure: its status says why); its dirfd is the owner's. */
  FSY_OP_WALK,

  /* Stats `count` packed names below fd0, in the order given. Batch in `block`; per-name errors in STATUS.
   * FSY_WALK_FOLLOW, _XATTRS, _ACLS as for walk. Names may contain slashes only when fd0 is FSY_CWD. */
  FSY_OP_STAT,

  /* Opens directory `path` below fd0, component by component, never through a symlink, never `..`.
   * FSY_RESOLVE_CREATE makes what is missing (0700). fd0 of the completion is the descriptor. A path given by the
   * operator uses fd0 = FSY_CWD with FSY_RESOLVE_OPERATOR: symlinks owned by root or by the effective uid are followed. */
  FSY_OP_RESOLVE,

  /* Materialises rows of `batch` (read below fd0) in directory fd1: files with data, symlinks, FIFOs, sockets, devices.
   * Complete or not at all. `path`, if not 0, is the target name of a single row. */
  FSY_OP_COPY,

  /* Applies the metadata of rows of `batch` to the entries of the same names below fd1; xattrs and ACLs are read
   * below fd0. Row number == batch.count means directory fd1 itself (and fd0 itself as source of attributes). fd0
   * FSY_NO_FD: the rows have no xattrs and ACLs, those of the target go. */
  FSY_OP_REPAIR,

  /* One large file, in steps. BEGIN opens row rows[0] below fd0 and a temporary in fd1, tries a clone; completion:
   * fd0 source, fd1 temporary, method CLONE when nothing is left to copy, `length` the size, `bytes` of the temporary
   * that an earlier run left (the part is found by name and locked). RANGE copies offset..offset+length (data
   * extents only with SPARSE), `flags` FSY_LARGE_COMPARE: writes only blocks that differ. COMMIT checks that the
   * source did not change, applies metadata, verifies, publishes, and closes both. ABORT closes both;
   * FSY_LARGE_KEEP keeps the temporary for the next run. BEGIN with fd0 FSY_NO_FD: the content comes from another
   * process, by RECEIVE; nothing is opened, compared or cloned but the old target as a basis (FSY_OPT_DELTA). COMMIT and ABORT name the row again; their fd0/fd1 are
   * the directories and `extra` points at two int32: source and temporary. */
  FSY_OP_LARGE_BEGIN,
  FSY_OP_LARGE_RANGE,
  FSY_OP_LARGE_COMMIT,
  FSY_OP_LARGE_ABORT,

  /* Removes rows of `batch` below fd0 (unlink or rmdir by the row's type). FSY_DELETE_SAME: only when the entry is
   * still the one in the row (device, inode, size, mtime), else -ESTALE. fd2: move there instead (backup). */
  FSY_OP_DELETE,

  /* Hard link: `path` (relative to fd0, resolved like RESOLVE) gets the name in packed second string below fd1,
   * atomically replacing what stands there. Two packed paths; nothing happens when they already are one inode.
   * Without FSY_LINK_EXISTS the name is thought to be new: what stands there under another spelling (case, Unicode form)
   * stays, and the answer is -EEXIST. The same is true of rows without FSY_ROW_EXISTS in COPY, RECEIVE and LARGE_COMMIT,
   * and of FSY_WALK_CREATE. */
  FSY_OP_LINK,

  /* Hashes rows of `batch` below fd0. `extra`: FSY_HASH_*; digests of 32 bytes each (XXH3-128 uses 16, canonical
   * big-endian) stand behind the results array: results must have room for count * (sizeof(fsy_result) + 32). */
  FSY_OP_HASH,

  /* Moves rows of `batch` from fd0 to fd1 by renameat2(RENAME_NOREPLACE). -EXDEV and -EEXIST per item. */
  FSY_OP_RENAME,

  /* Closes `count` descriptors at `rows` (int32_t). No completion with FSY_CLOSE_QUIET (rows block is freed). Goes
   * ahead of waiting copies, as WALK, STAT, RESOLVE and NOP do: close what nothing in flight uses any more. */
  FSY_OP_CLOSE,

  /* fsync of fd0, or of its whole filesystem with FSY_SYNC_FILESYSTEM. */
  FSY_OP_SYNC,

  /* What the pair (source directory fd0, target directory fd1) can do; writes temporary files in fd1 unless fd1 is
   * FSY_NO_FD. Block: fsy_probe. FSY_PROBE_TIMES: only how fd1 keeps times; nothing of it can be seen there afterwards. */
  FSY_OP_PROBE,

  /* Removes stale temporary files (name pattern .fastsync.*, not locked by a living run) given as rows of `batch`
   * below fd0; a locked one is left and answers -EWOULDBLOCK. */
  FSY_OP_SWEEP,

  /* XXH3-128 (canonical) of each `extra` bytes of offset..offset+length of fd0, the last block may be shorter: `count`
   * digests of 16 bytes at `results`. -EBADMSG when the file ends before. */
  FSY_OP_HASH_BLOCKS,

  /* Takes the connected stream socket fd0 (owned from here on, see fsy_duplicate) and sends or receives frames
   * (docs/protocol.md) on a thread of its own. `flags`: FSY_STREAM_SEND or _RECEIVE; `extra`: a number by which
   * STREAM_END names it; `length`: milliseconds without progress inside a frame that end it, 0: none; `results`: a
   * uint64 that counts its bytes, both directions, frames included. Completes when the stream has ended: result 0 by
   * BYE or by STREAM_END, -EPROTO for a peer that broke the protocol, -ETIMEDOUT, -ECANCELED, or the socket's error;
   * `bytes` the total, `flags` FSY_REASON_*. */
  FSY_OP_STREAM,

  /* Ends stream `extra`. Sending: it finishes the request at hand, says BYE and closes. Receiving: it stops at once.
   * Answers 0 at once, also when there is no such stream any more. */
  FSY_OP_STREAM_END,

  /* Answers need `need` with rows of `batch`, read below fd0, by the first sending stream that is free; `flags`:
   * FSY_WIRE_*. Item of row i: i, or uint32_t[count] at `extra`. Results per row. COMMIT and RANGE take one row. RANGE
   * sends offset..offset+length; with `extra`: only blocks of that many bytes whose XXH3-128 differs from those at
   * `path` (16 bytes each, `path_bytes`). Waits while no sending stream was opened yet; when the last one has ended
   * everything answers -EPIPE until another is opened. */
  FSY_OP_SEND,

  /* Expects the answer to need `need` on any receiving stream; registered by fsy_submit itself. `flags`: FSY_WIRE_*.
   * CONTENT, ATTRIBUTES: rows of `batch` are written to, or repaired in, fd1 as COPY and REPAIR do. RANGE: `fd1` is the
   * large file's temporary, content lands inside offset..offset+length; `flags` of the completion is the stage of a
   * failure. COMMIT: as LARGE_COMMIT; closes the descriptors at `extra`, however it ends; without a temporary there nothing is
   * published (-EBADF). When it answers -EBUSY with FSY_ITEM_CHANGED the rows of both sides say what the file is now
   * (here: size, mtime, permissions), so that the caller can begin again. Completes when every item was
   * answered, or with -EPIPE when the last receiving stream has ended. */
  FSY_OP_RECEIVE,

  FSY_OP_COUNT
};

#define FSY_WALK_XATTRS 1u
#define FSY_WALK_ACLS 2u
#define FSY_WALK_FOLLOW 4u      /* entries are what links point at; a dangling link keeps its own row, STATUS -ENOENT */
#define FSY_WALK_CREATE 8u      /* make the directory (0700) when it is missing */
#define FSY_WALK_OPEN_FOLLOW 16u /* the directory itself may be a symlink (operator's own argument) */
#define FSY_WALK_WRITABLE 32u   /* add u+rwx to the directory when it lacks it, see FSY_BATCH_MADE_WRITABLE */
#define FSY_WALK_XATTR_PRIVILEGED 64u
#define FSY_WALK_SELF_ONLY 128u /* open and stat the directory; list nothing (count is 0) */
#define FSY_WALK_CONFINED 256u  /* links are followed only where they stay below directory fd1: what climbs out of it, or is
                                   absolute, answers -EXDEV, without a look at what is there */
#define FSY_WALK_NOATIME 512u   /* reading the directory leaves its access time, where it is ours */
#define FSY_WALK_BLOCKS 1024u   /* instead of attributes, of which none may be asked for: see FSY_U32_ATTR_LO */
#define FSY_RESOLVE_CREATE 1u
#define FSY_RESOLVE_OPERATOR 2u
#define FSY_LARGE_COMPARE 1u
#define FSY_LARGE_KEEP 2u
#define FSY_LARGE_RESUME 4u     /* BEGIN: adopt a part that an earlier run left */
#define FSY_DELETE_SAME 1u
#define FSY_LINK_EXISTS 1u
#define FSY_PROBE_TIMES 1u
#define FSY_HASH_XXH3_128 0u
#define FSY_HASH_SHA256 1u
#define FSY_CLOSE_QUIET 1u
#define FSY_SYNC_FILESYSTEM 1u
#define FSY_MAX_STREAMS 64u
#define FSY_STREAM_SEND 0u
#define FSY_STREAM_RECEIVE 1u
#define FSY_WIRE_CONTENT 0u
#define FSY_WIRE_ATTRIBUTES 1u
#define FSY_WIRE_RANGE 2u
#define FSY_WIRE_COMMIT 3u

/* Why a stream ended, for the log. */
enum { FSY_REASON_NONE, FSY_REASON_CLOSED /* by the peer, without BYE */, FSY_REASON_IDLE, FSY_REASON_SOCKET,
       FSY_REASON_MEMORY, FSY_REASON_MAGIC, FSY_REASON_CRC, FSY_REASON_TYPE, FSY_REASON_FIELD /* must be 0 and is not */,
       FSY_REASON_LENGTH, FSY_REASON_NEED /* never asked for */, FSY_REASON_ITEM /* out of range, or answered before */,
       FSY_REASON_RECORD, FSY_REASON_ATTRIBUTES, FSY_REASON_ARCHIVE, FSY_REASON_ORDER /* a frame out of place */,
       FSY_REASON_DATA /* content outside of the file or range, or not ascending */,
       FSY_REASON_TALKS /* the peer sent on a stream that only receives */ };

typedef struct fsy_probe {
  uint32_t same_filesystem;
  int32_t method_status[8];   /* by FSY_METHOD_*: 0 works, -errno why not, 1 not tried */
  int32_t tmpfile_status;     /* O_TMPFILE + linkat */
  int32_t xattr_status;
  int32_t acl_status;
  int32_t hardlink_status;
  int32_t symlink_status;
  int32_t mknod_status;       /* FIFO */
  int32_t sparse_status;      /* SEEK_HOLE sees a hole just made */
  uint32_t case_insensitive;
  uint32_t time_granularity_ns;
  uint32_t target_fs_type;
  uint32_t source_fs_type;
  uint32_t target_dev;
  uint32_t source_dev;
  double earliest_sec;        /* mtimes outside are kept as these; both 0: not known */
  double latest_sec;
  uint32_t reserved[6];
} fsy_probe;                  /* 128 bytes */

/* ---- functions: all on the owner's thread, none blocks on I/O ---------------------------------------------- */

typedef struct fsy_ring fsy_ring;

#if defined(_WIN32)
#define FSY_API __declspec(dllexport)
#else
#define FSY_API __attribute__((visibility("default")))
#endif

/* FSY_ABI and a checksum over sizeof/offsetof of every shared struct, compared by the bindings at load. */
FSY_API uint32_t fsy_abi(void);
FSY_API uint32_t fsy_layout(void);

/* Maps the arena and starts `workers` (1..FSY_MAX_WORKERS) threads. NULL on failure; *error gets -errno. */
FSY_API fsy_ring *fsy_open(uint32_t workers, int32_t *error);
/* The arena's base, of FSY_ARENA_BYTES; valid until fsy_close. */
FSY_API void *fsy_arena(fsy_ring *ring);
/* The reading end of the wake-up pipe, owned by the ring. */
FSY_API int32_t fsy_wake_fd(fsy_ring *ring);
/* Grows or shrinks the pool; a shrinking thread ends after its request. 0 or -errno. */
FSY_API int32_t fsy_set_workers(fsy_ring *ring, uint32_t workers);
/* Hands the requests up to control->sq_tail to the workers. Returns how many were taken, or -errno. */
FSY_API int32_t fsy_submit(fsy_ring *ring);
/* How many completions stand between cq_head and cq_tail. When 0, arms the wake-up: one byte is written to the pipe
 * with the next completion. */
FSY_API uint32_t fsy_reap(fsy_ring *ring);
/* A zeroed-header block of at least `bytes`, 64-byte aligned; 0 when the arena is full. Contents are not zeroed. */
FSY_API uint32_t fsy_alloc(fsy_ring *ring, uint32_t bytes);
FSY_API void fsy_free(fsy_ring *ring, uint32_t block);
/* Everything that waits or runs answers -ECANCELED soon. Sets control->cancel, which the owner clears when nothing is
 * outstanding any more; unlike the mere flag it also reaches streams at rest and requests that wait for one. */
FSY_API void fsy_cancel(fsy_ring *ring);

/* ---- loops over the rows of whole listings, for the owner's thread: no system call, nothing kept -------------- */

/* Holds two listings against each other. For each row of `source`, without its own: target_rows gets the row of that
 * name in `target` or -1, and alike 1 where nothing that is compared or refused differs: both could be read, neither is
 * a directory, and type, mode, size, mtime, owner, group, device number, attributes and link text are equal. Returns how
 * many rows are alike, or -EINVAL for a batch that is none. */
FSY_API int32_t fsy_rows_match(fsy_ring *ring, uint32_t source, uint32_t target, int32_t *target_rows, uint8_t *alike);

/* Columns of a manifest, in this order. Each value is little-endian; a column of one value holds for all rows, an empty
 * one is 0 for all. Names and links are followed by a zero byte each. Pairs are (low, high) and never a single value. */
enum {
  FSY_PACK_NAMES,
  FSY_PACK_NAME_LENGTHS, /* u16 */
  FSY_PACK_MODES,
  FSY_PACK_SIZES,         /* f64 */
  FSY_PACK_MTIME_SECONDS, /* f64 */
  FSY_PACK_MTIME_NANOS,
  FSY_PACK_UIDS,
  FSY_PACK_GIDS,
  FSY_PACK_RDEVS,
  FSY_PACK_NLINKS,
  FSY_PACK_DEVS,
  FSY_PACK_FLAGS, /* u8 */
  FSY_PACK_STATUSES,
  FSY_PACK_ATTRIBUTES, /* pairs */
  FSY_PACK_INODES,     /* pairs */
  FSY_PACK_LINK_LENGTHS, /* u16 */
  FSY_PACK_LINKS,
  FSY_PACK_COLUMNS
};
#define FSY_PACK_WITH_INODES 1u /* of all rows; else only where a row has several names */

/* Rows `from`..`to`-1 as columns, behind each other in `out`; lengths[FSY_PACK_COLUMNS] gets their bytes. Returns their
 * sum, -ENOSPC when `room` is too small, or -EINVAL. */
FSY_API int32_t fsy_rows_pack(fsy_ring *ring, uint32_t batch, uint32_t from, uint32_t to, uint32_t flags, uint8_t *out,
                              uint32_t room, uint32_t *lengths);

/* The other way: columns that came from a peer into rows `from`..`from`+`rows`-1 of a batch whose columns are zero;
 * names and links go to offset `text_at` of it. columns[2 * FSY_PACK_COLUMNS] has offset and length of each in `base`.
 * 0, or -EINVAL for what does not fit. */
FSY_API int32_t fsy_rows_unpack(fsy_ring *ring, uint32_t batch, uint32_t from, uint32_t rows, uint32_t text_at,
                                const uint8_t *base, uint32_t base_bytes, const uint32_t *columns);

#define FSY_CHECK_STRIP_SETID 1u /* files lose setuid and setgid */
#define FSY_CHECK_DEVICES 2u     /* device nodes are wanted; else their rows get FSY_ROW_SKIP */
#define FSY_CHECK_SPECIALS 4u    /* FIFOs and sockets are */
/* Whether a batch from a peer may be believed: the last row is the directory, names are names, in order and unique,
 * numbers are in their bounds, only links have texts. Sets its kinds. 0 or -EINVAL. */
FSY_API int32_t fsy_rows_check(fsy_ring *ring, uint32_t batch, uint32_t flags);

/* A duplicate of `fd` for FSY_OP_STREAM, close-on-exec; or -errno. */
FSY_API int32_t fsy_duplicate(int32_t fd);
/* Raises RLIMIT_NOFILE's soft limit to the hard one; returns the limit now in force. */
FSY_API uint32_t fsy_raise_nofile(void);
/* Cancels what waits, joins the workers, unmaps. Blocks that the owner still maps must not be touched afterwards. */
FSY_API void fsy_close(fsy_ring *ring);

#ifdef __cplusplus
}
#endif
#endif
