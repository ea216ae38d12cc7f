/* Every step at which a run can fail or die, in one table, and what a plan of FSY_FAULT makes of it.
 *
 * A point is passed before its step. Only builds with -DFSY_FAULTS look at plans; in all others a point costs nothing,
 * and the calls of FSY_TRY are repeated as they are there. test/faults reads the table: a point that no run of it
 * passes is a failure there.
 *
 * Kinds, for tests: SOURCE reads what is copied; TARGET changes what is visible or will be; META sets an attribute,
 * whose refusal is a warning; METHOD is one way of several; TIDY may fail without a consequence for the run; VERDICT
 * is no call but a question, which any errno answers the bad way; STREAM is a call on a socket; MARK begins a step of
 * several calls; at a FRAME, which is no call either, an errno breaks the connection. */
#ifndef FSY_FAULT_H
#define FSY_FAULT_H

#include <errno.h>
#include <stddef.h>

/* clang-format off */
#define FSY_FAULT_POINTS(X) \
  X(open_directory, SOURCE)   /* open, of a directory that is listed, on either side */ \
  X(getdents, SOURCE)         /* getdents64 */ \
  X(statx, SOURCE)            /* statx, of each row */ \
  X(readlink, SOURCE)         /* readlink, of each link */ \
  X(listxattr, SOURCE)        /* names of attributes */ \
  X(getxattr, SOURCE)         /* value of an attribute */ \
  X(open_source, SOURCE)      /* open, of a file to be read */ \
  X(stat_source, SOURCE)      /* fstat, after a file was read */ \
  X(read, SOURCE)             /* pread */ \
  X(seek_data, SOURCE)        /* lseek, for holes */ \
  X(changed, VERDICT)         /* whether the file that was read is still the one that was listed */ \
  X(mkdir, TARGET)            /* mkdir */ \
  X(create, TARGET)           /* open, of a temporary */ \
  X(lock, TIDY)               /* flock, of a temporary, or of a directory that has some */ \
  X(open_part, TARGET)        /* open, of a large file's part */ \
  X(open_in_place, TARGET)    /* open, of the file that is written into */ \
  X(truncate, TARGET)         /* ftruncate */ \
  X(clone, METHOD)            /* ioctl(FICLONE) */ \
  X(copy_file_range, METHOD)  /* copy_file_range */ \
  X(sendfile, METHOD)         /* sendfile, file to file */ \
  X(mmap, METHOD)             /* mmap */ \
  X(write, TARGET)            /* pwrite */ \
  X(punch, METHOD)            /* fallocate, where the source has a hole and the target old data */ \
  X(range, MARK)              /* a range of a large file */ \
  X(commit, MARK)             /* all ranges are there */ \
  X(verify, VERDICT)          /* whether what landed is what was read */ \
  X(sync_data, TARGET)        /* fdatasync, before what landed is read back */ \
  X(meta, MARK)               /* attributes of what is to be published or repaired */ \
  X(chown, META)              /* fchown and its kin */ \
  X(setxattr, META)           /* an attribute or ACL */ \
  X(removexattr, META)        /* one that the source has not */ \
  X(chmod, META)              /* fchmod and its kin */ \
  X(utimens, META)            /* times */ \
  X(repair, TARGET)           /* open, of an entry whose attributes are set */ \
  X(fsync, TARGET)            /* fsync of a file */ \
  X(publish, MARK)            /* everything is done but the name */ \
  X(link_new, TARGET)         /* link, of a temporary without a name */ \
  X(link_temp, TARGET)        /* link, of such a one to a temporary name */ \
  X(rename_new, TARGET)       /* rename to a name that is free */ \
  X(rename, TARGET)           /* rename over what stands there */ \
  X(backup, MARK)             /* what is replaced or deleted is kept */ \
  X(backup_link, TARGET)      /* link, to keep it */ \
  X(backup_rename, TARGET)    /* rename, to keep it */ \
  X(symlink, TARGET)          /* symlink */ \
  X(mknod, TARGET)            /* mknod */ \
  X(link, TARGET)             /* link, of a hard-linked file's further name */ \
  X(move, TARGET)             /* rename, of an entry that is moved */ \
  X(unlink, TARGET)           /* unlink, of what is extraneous or was moved */ \
  X(rmdir, TARGET)            /* rmdir */ \
  X(unlink_temp, TIDY)        /* unlink, of a temporary */ \
  X(sweep, TIDY)              /* unlink, of a temporary that a dead run left */ \
  X(sync, TARGET)             /* fsync of a directory, or syncfs */ \
  X(stream_recv, STREAM)      /* recv */ \
  X(stream_send, STREAM)      /* sendmsg */ \
  X(stream_sendfile, STREAM)  /* sendfile, file to socket */ \
  X(send_shard, FRAME)        /* a frame of small files leaves */ \
  X(send_file, FRAME)         /* a file's first frame leaves */ \
  X(send_data, FRAME)         /* content of a file or range leaves */ \
  X(send_end, FRAME)          /* a file's or range's last frame leaves */ \
  X(send_bye, FRAME)          /* the last frame leaves */ \
  X(take_shard, FRAME)        /* a frame of small files has come */ \
  X(take_file, FRAME)         /* a file's first frame has come */ \
  X(take_data, FRAME)         /* the head of a frame of content has come */ \
  X(take_end, FRAME)          /* a file's or range's last frame has come */ \
  X(take_bye, FRAME)          /* the last frame has come */
/* clang-format on */

#define FSY_POINT(name, kind) FSY_POINT_##name,
typedef enum { FSY_FAULT_POINTS(FSY_POINT) FSY_POINT_COUNT } fsy_point;
#undef FSY_POINT

#ifdef FSY_FAULTS
/* FSY_FAULT="point:nth[+]:errno|kill|short[,...]": the nth pass (from 1) of `point`, with + each from there on, fails,
 * dies, or moves less than it was asked to. FSY_FAULT_TRACE names a file that gets a line for each pass. */
int fsy_fault(fsy_point point); /* 0 or an errno */
/* What the call that follows the pass may move: less than `bytes` when the plan says so, but something. */
size_t fsy_fault_short(fsy_point point, size_t bytes);
/* In the place of FSY_FAULT, which no thread may read while it is set; counts from 1. `plan` stays where it is. */
void fsy_fault_plan(const char *plan);
#define FSY_FAULT(point) fsy_fault(FSY_POINT_##point)
#define FSY_SHORT(point, bytes) fsy_fault_short(FSY_POINT_##point, bytes)
#else
#define FSY_FAULT(point) (0 * (int)FSY_POINT_##point) /* a name that is not in the table does not compile */
#define FSY_SHORT(point, bytes) (bytes)
#endif

/* Whether a call that failed so is made again: EINTR always; EAGAIN for about a second, waiting a little longer each
 * time. `round` counts from 0. */
int fsy_again(int error, unsigned *round);

/* A call that answers -1 and errno, made again as fsy_again has it. */
#define FSY_TRY(point, call)                                                                       \
  __extension__({                                                                                  \
    unsigned round_ = 0;                                                                           \
    __typeof__(call) got_;                                                                         \
    do {                                                                                           \
      int planned_ = FSY_FAULT(point);                                                             \
      got_ = planned_ ? (errno = planned_, (__typeof__(call))-1) : (call);                         \
    } while (got_ < 0 && fsy_again(errno, &round_));                                               \
    got_;                                                                                          \
  })

/* One that answers 0 (or more) or a negative errno. */
#define FSY_TRY_STATUS(point, call)                                                                \
  __extension__({                                                                                  \
    unsigned round_ = 0;                                                                           \
    __typeof__(call) got_;                                                                         \
    do {                                                                                           \
      int planned_ = FSY_FAULT(point);                                                             \
      got_ = planned_ ? (__typeof__(call))-planned_ : (call);                                      \
    } while (got_ < 0 && fsy_again((int)-got_, &round_));                                          \
    got_;                                                                                          \
  })

#endif
