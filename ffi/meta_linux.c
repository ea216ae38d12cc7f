/* Metadata, in the order that survives: owner (clears setid bits), xattrs and POSIX ACLs (change the mode), mode,
 * NFSv4 ACLs (chmod would change them), times last.
 *
 * What is not permitted or not known by the filesystem becomes a warning; everything else is still applied. setuid and
 * setgid are given only to a file that really belongs to whom they were meant for. */
#include "internal.h"

#define FUSE_MAGIC 0x65735546u /* FUSE_SUPER_MAGIC */

static bool is_refusal(int error) {
  return error == EPERM || error == EACCES || error == ENOTSUP || error == EOPNOTSUPP || error == ENOSYS ||
         error == EINVAL || error == EROFS || error == ENOTTY;
}

static int change_owner(fsy_subject s, uint32_t uid, uint32_t gid) {
  int done = FSY_TRY(chown, s.by == FSY_BY_FD ? fchown(s.fd, uid, gid) : fchownat(s.fd, "", uid, gid, AT_EMPTY_PATH));
  return done < 0 ? -errno : 0;
}

static int try_mode(fsy_ring *ring, fsy_subject s, uint32_t mode) {
  if (s.by == FSY_BY_FD) return fchmod(s.fd, mode) < 0 ? -errno : 0;
  if (!atomic_load_explicit(&ring->no_fchmodat2, memory_order_relaxed)) {
    if (fsy_sys_fchmodat2(s.fd, "", mode, AT_EMPTY_PATH) == 0) return 0;
    if (errno != ENOSYS && errno != EINVAL && errno != EPERM) return -errno;
    if (errno == ENOSYS) atomic_store_explicit(&ring->no_fchmodat2, true, memory_order_relaxed);
  }
  char path[FSY_PROC_PATH];
  fsy_proc_path(path, s.fd);
  return chmod(path, mode) < 0 ? -errno : 0;
}

static int change_mode(fsy_ring *ring, fsy_subject s, uint32_t mode) {
  return FSY_TRY_STATUS(chmod, try_mode(ring, s, mode));
}

/* The atime stays, but for FUSE: servers made with libfuse 2 ignore a new mtime that comes without an atime. */
static long atime_for(fsy_job *j) {
  return fsy_target_type(j) == FUSE_MAGIC ? UTIME_NOW : UTIME_OMIT;
}

static int try_times(fsy_job *j, fsy_subject s, const fsy_entry *want) {
  fsy_ring *ring = j->task->ring;
  struct timespec times[2] = {{0, atime_for(j)}, {want->mtime_sec, (long)want->mtime_nsec}};
  if (s.by == FSY_BY_FD) return futimens(s.fd, times) < 0 ? -errno : 0;
  if (!atomic_load_explicit(&ring->no_utimes_empty, memory_order_relaxed)) {
    /* by number: glibc refuses what it thinks is an empty path */
    if (syscall(SYS_utimensat, s.fd, "", times, AT_EMPTY_PATH) == 0) return 0;
    if (errno != EINVAL && errno != ENOENT) return -errno;
    atomic_store_explicit(&ring->no_utimes_empty, true, memory_order_relaxed);
  }
  char path[FSY_PROC_PATH];
  fsy_proc_path(path, s.fd);
  return utimensat(AT_FDCWD, path, times, 0) < 0 ? -errno : 0;
}

static int change_times(fsy_job *j, fsy_subject s, const fsy_entry *want) {
  return FSY_TRY_STATUS(utimens, try_times(j, s, want));
}

uint32_t fsy_new_mode(const fsy_job *j, const fsy_entry *want) {
  if (j->opt.flags & FSY_OPT_PERMS) return want->mode & 07777;
  return want->mode & 0777 & ~(j->default_acl ? 0u : j->opt.umask_bits);
}

/* Owner and group as wanted and permitted. */
static int apply_owner(fsy_job *j, fsy_subject s, const fsy_entry *want, fsy_state *now, fsy_result *r) {
  uint32_t uid = now->replaces && j->may_chown ? now->old_uid : now->uid;
  uint32_t gid = now->replaces && j->may_chown ? now->old_gid : now->gid;
  if (j->opt.flags & FSY_OPT_OWNER && j->may_chown)
    uid = j->opt.chown_uid == UINT32_MAX ? want->uid : j->opt.chown_uid;
  if (j->opt.flags & FSY_OPT_GROUP) {
    uint32_t asked = j->opt.chown_gid == UINT32_MAX ? want->gid : j->opt.chown_gid;
    if (j->may_chown || (now->uid == j->euid && fsy_in_group(j, asked))) gid = asked;
  }
  bool set_uid = uid != now->uid, set_gid = gid != now->gid;
  if (!set_uid && !set_gid) return 0;
  /* the kernel clears setid bits on chown: what the mode is afterwards has to be set again */
  if (now->mode & 06000) now->mode_known = false;
  int status = change_owner(s, set_uid ? uid : UINT32_MAX, set_gid ? gid : UINT32_MAX);
  if (!status) {
    now->uid = uid;
    now->gid = gid;
    return 0;
  }
  if (!is_refusal(-status)) return status;
  if (set_uid && set_gid) { /* one of them may still be possible */
    if (change_owner(s, UINT32_MAX, gid) == 0) {
      now->gid = gid;
      set_gid = false;
    } else if (change_owner(s, uid, UINT32_MAX) == 0) {
      now->uid = uid;
      set_uid = false;
    }
  }
  if (set_uid && (j->opt.flags & FSY_OPT_OWNER)) fsy_warn(r, FSY_WARN_OWNER, -status);
  if (set_gid && (j->opt.flags & FSY_OPT_GROUP)) fsy_warn(r, FSY_WARN_GROUP, -status);
  return 0;
}

/* The mode to give, without setid bits that were meant for another owner than the one it has now. */
static uint32_t choose_mode(fsy_job *j, const fsy_entry *want, const fsy_state *now, uint32_t uid_before,
                            uint32_t gid_before, uint32_t mode_before, fsy_result *r) {
  bool owner = j->opt.flags & FSY_OPT_OWNER, group = j->opt.flags & FSY_OPT_GROUP;
  uint32_t uid = owner && j->opt.chown_uid != UINT32_MAX ? j->opt.chown_uid : want->uid;
  uint32_t gid = group && j->opt.chown_gid != UINT32_MAX ? j->opt.chown_gid : want->gid;
  uint32_t mode = fsy_new_mode(j, want);
  if (!(j->opt.flags & FSY_OPT_PERMS) && (now->replaces || now->in_place)) {
    mode = (now->replaces ? now->old_mode : mode_before) & 07777;
    uid = now->replaces ? now->old_uid : uid_before;
    gid = now->replaces ? now->old_gid : gid_before;
  }
  if (S_ISDIR(want->mode)) return mode;
  uint32_t drop = (now->uid != uid ? 04000u : 0) | (now->gid != gid ? 02000u : 0);
  if ((mode & drop) && j->may_chown) fsy_warn(r, FSY_WARN_SETID, EPERM);
  return mode & ~drop;
}

static int apply_mode(fsy_job *j, fsy_subject s, uint32_t mode, fsy_state *now, fsy_result *r) {
  if (now->mode_known && (now->mode & 07777) == mode) return 0;
  int status = change_mode(j->task->ring, s, mode);
  if (status && !is_refusal(-status)) return status;
  if (status) fsy_warn(r, FSY_WARN_MODE, -status);
  else {
    now->mode = (now->mode & S_IFMT) | mode;
    now->mode_known = true;
  }
  return 0;
}

int fsy_meta_apply(fsy_job *j, fsy_subject s, const fsy_entry *want, fsy_state *now, fsy_attrs_from attrs_from,
                   fsy_result *r) {
  uint32_t flags = j->opt.flags;
  uint32_t type = want->mode & S_IFMT;
  uint32_t mode_before = now->mode, uid_before = now->uid, gid_before = now->gid;
  int status = FSY_FAULT(meta);
  status = status ? -status : apply_owner(j, s, want, now, r);
  if (status) return fsy_fail(r, status, FSY_STAGE_META);

  uint32_t which = fsy_attr_mask(flags), synced = 0;
  bool opened = false;
  bool attrs = which && (want->attrs || (want->flags & FSY_ROW_ATTR_FAILED) || now->attrs_possible);
  if (attrs) {
    /* user.* wants write permission on the inode, also through an open descriptor; the mode is set again below */
    bool locked = !j->may_chown && now->mode_known && !(now->mode & 0200) && now->uid == j->euid && type != S_IFLNK;
    opened = locked && change_mode(j->task->ring, s, (now->mode & 07777) | 0200) == 0;
    if (opened) now->mode |= 0200;
    synced = fsy_attrs_sync(j->task, attrs_from, s, which, !now->attrs_possible, false, r);
    if (synced & FSY_SYNC_SET_ACCESS) now->mode_known = false;
  }

  if (type != S_IFLNK) {
    uint32_t mode = choose_mode(j, want, now, uid_before, gid_before, mode_before, r);
    /* a new file under a default ACL, neither modes nor ACLs preserved: what the directory gave it stays */
    bool leave = !(flags & FSY_OPT_PERMS) && !now->in_place && !now->replaces && j->default_acl;
    status = leave ? 0 : apply_mode(j, s, mode, now, r);
    /* at least not left open */
    if (opened && (leave || status || (r->warnings & FSY_WARN_MODE))) (void)try_mode(j->task->ring, s, mode_before & 07777);
    if (status) return fsy_fail(r, status, FSY_STAGE_META);
  }
  if (synced & FSY_SYNC_HAS_LATE) (void)fsy_attrs_sync(j->task, attrs_from, s, which, false, true, r);

  uint32_t times = type == S_IFDIR ? FSY_OPT_DIR_TIMES : type == S_IFLNK ? FSY_OPT_LINK_TIMES : FSY_OPT_TIMES;
  if (flags & times) {
    status = change_times(j, s, want);
    if (status && !is_refusal(-status)) return fsy_fail(r, status, FSY_STAGE_META);
    if (status) fsy_warn(r, FSY_WARN_TIMES, -status);
  }
  return 0;
}
