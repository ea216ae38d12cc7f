/* Walking, stating, resolving. */
#include "harness.h"

#include <sys/mount.h>
#include <sys/xattr.h>

static void end(client *c, uint32_t batch) {
  if (batch_of(c, batch)->dirfd >= 0) close(batch_of(c, batch)->dirfd);
  fsy_free(c->ring, batch);
}

TEST(walk_hostile_names) {
  client c = client_open(2);
  char longest[256];
  memset(longest, 'n', 255);
  longest[255] = 0;
  const char *names[] = {"a", "\xff\xfe", "new\nline", "ab", "abcdefgh", "abcdefghi", "abcdefgha", "-rf", " ",
                         "tab\t", "quote\"'", "$x`y", "*?[", "trailing.", ".hidden", "...", "\x01", longest};
  const size_t n = sizeof(names) / sizeof(names[0]);
  for (size_t i = 0; i < n; i++) make_file(dirfd, names[i], i, (unsigned)i);
  fsy_cqe done = walk(&c, dirfd, ".", 0);
  CHECK_EQ(done.result, 0);
  fsy_batch *b = batch_of(&c, done.block);
  CHECK_EQ(b->magic, FSY_BATCH_MAGIC);
  CHECK_EQ(b->count, n);
  for (uint32_t i = 1; i < b->count; i++) CHECK(strcmp(name_of(b, i - 1), name_of(b, i)) < 0);
  for (size_t i = 0; i < n; i++) {
    int row = row_of(b, names[i]);
    CHECK(row >= 0);
    if (row < 0) continue;
    CHECK_EQ(f64(b, FSY_F64_SIZE)[row], i);
    CHECK_EQ(u32(b, FSY_U32_NAME_LEN)[row], strlen(names[i]));
    struct stat st = stat_of(dirfd, names[i]);
    CHECK_EQ(u32(b, FSY_U32_MODE)[row], st.st_mode);
    CHECK_EQ(f64(b, FSY_F64_MTIME_SEC)[row], st.st_mtim.tv_sec);
    CHECK_EQ(u32(b, FSY_U32_MTIME_NSEC)[row], 123456789);
    CHECK_EQ(u32(b, FSY_U32_INO_LO)[row], (uint32_t)st.st_ino);
    CHECK_EQ(u32(b, FSY_U32_STATUS)[row], 0);
  }
  CHECK_EQ(u32(b, FSY_U32_INO_LO)[b->count], (uint32_t)stat_of(dirfd, ".").st_ino);
  CHECK(b->fs_type != 0);
  end(&c, done.block);
  fsy_close(c.ring);
}

TEST(walk_sorts_many) {
  client c = client_open(2);
  for (unsigned i = 0; i < 5000; i++) {
    char name[64];
    snprintf(name, sizeof(name), "common-prefix-%u", (i * 2654435761u) >> (i % 20));
    int fd = openat(dirfd, name, O_CREAT | O_WRONLY, 0600);
    if (fd >= 0) close(fd);
  }
  fsy_cqe done = walk(&c, dirfd, "", 0);
  fsy_batch *b = batch_of(&c, done.block);
  CHECK_EQ(b->count, entries_in(dirfd));
  for (uint32_t i = 1; i < b->count; i++) CHECK(strcmp(name_of(b, i - 1), name_of(b, i)) < 0);
  end(&c, done.block);
  fsy_close(c.ring);
}

TEST(walk_links) {
  client c = client_open(1);
  char text[1024]; /* XFS stores at most 1023 bytes */
  memset(text, 'x', sizeof(text));
  text[1023] = 0;
  CHECK(symlinkat(text, dirfd, "long") == 0);
  CHECK(symlinkat("nowhere", dirfd, "dangling") == 0);
  CHECK(symlinkat("file", dirfd, "good") == 0);
  CHECK(symlinkat("loop", dirfd, "loop") == 0);
  for (int i = 0; i < 300; i++) {
    char name[20];
    snprintf(name, sizeof(name), "l%d", i);
    CHECK(symlinkat(text, dirfd, name) == 0);
  }
  make_file(dirfd, "file", 7, 1);
  fsy_cqe done = walk(&c, dirfd, ".", 0);
  fsy_batch *b = batch_of(&c, done.block);
  int row = row_of(b, "long");
  CHECK(!strcmp(link_of(b, (uint32_t)row), text));
  CHECK_EQ(u32(b, FSY_U32_LINK_LEN)[row], 1023);
  for (uint32_t i = 0; i < b->count; i++)
    if (name_of(b, i)[0] == 'l' && name_of(b, i)[1] != 'o') CHECK(!strcmp(link_of(b, i), text));
  end(&c, done.block);
  done = walk(&c, dirfd, ".", FSY_WALK_FOLLOW);
  b = batch_of(&c, done.block);
  row = row_of(b, "dangling");
  CHECK_EQ((int32_t)u32(b, FSY_U32_STATUS)[row], -ENOENT);
  CHECK(S_ISLNK(u32(b, FSY_U32_MODE)[row]));
  CHECK(!strcmp(link_of(b, (uint32_t)row), "nowhere"));
  CHECK_EQ((int32_t)u32(b, FSY_U32_STATUS)[row_of(b, "loop")], -ELOOP);
  row = row_of(b, "good");
  CHECK(S_ISREG(u32(b, FSY_U32_MODE)[row]));
  CHECK_EQ(f64(b, FSY_F64_SIZE)[row], 7);
  end(&c, done.block);
  fsy_close(c.ring);
}

TEST(walk_answers_failures_with_a_batch) {
  client c = client_open(1);
  fsy_cqe done = walk(&c, dirfd, "missing", 0);
  CHECK_EQ(done.result, -ENOENT);
  CHECK_EQ(batch_of(&c, done.block)->status, -ENOENT);
  CHECK_EQ(batch_of(&c, done.block)->count, 0);
  CHECK_EQ(batch_of(&c, done.block)->dirfd, FSY_NO_FD);
  end(&c, done.block);
  make_file(dirfd, "file", 1, 1);
  done = walk(&c, dirfd, "file", 0);
  CHECK_EQ(batch_of(&c, done.block)->status, -ENOTDIR);
  end(&c, done.block);
  CHECK(symlinkat(".", dirfd, "link") == 0);
  done = walk(&c, dirfd, "link", 0);
  CHECK(batch_of(&c, done.block)->status == -ENOTDIR || batch_of(&c, done.block)->status == -ELOOP);
  end(&c, done.block);
  done = walk(&c, dirfd, "link", FSY_WALK_OPEN_FOLLOW);
  CHECK_EQ(done.result, 0);
  end(&c, done.block);
  done = walk(&c, dirfd, "..", 0);
  CHECK_EQ(batch_of(&c, done.block)->status, -EINVAL);
  end(&c, done.block);
  done = walk(&c, dirfd, "new", FSY_WALK_CREATE);
  CHECK_EQ(batch_of(&c, done.block)->flags, FSY_BATCH_CREATED);
  CHECK_EQ(stat_of(dirfd, "new").st_mode & 07777, 0700);
  end(&c, done.block);
  done = walk(&c, dirfd, "new", FSY_WALK_CREATE | FSY_WALK_SELF_ONLY);
  CHECK_EQ(batch_of(&c, done.block)->flags, 0);
  end(&c, done.block);
  c.control->cancel = 1;
  done = walk(&c, dirfd, ".", 0);
  CHECK_EQ(done.result, -ECANCELED);
  end(&c, done.block);
  fsy_close(c.ring);
}

TEST(walk_digest_tells_attributes) {
  client c = client_open(1);
  make_file(dirfd, "plain", 1, 1);
  make_file(dirfd, "a", 1, 1);
  make_file(dirfd, "b", 1, 1);
  make_file(dirfd, "other", 1, 1);
  make_file(dirfd, "moved", 1, 1);
  int fd = openat(dirfd, "a", O_RDONLY);
  if (fsetxattr(fd, "user.x", "1", 1, 0) < 0) {
    test_skip("no user xattrs here");
    close(fd);
    fsy_close(c.ring);
    return;
  }
  fsetxattr(fd, "user.y", "22", 2, 0);
  close(fd);
  fd = openat(dirfd, "b", O_RDONLY);
  fsetxattr(fd, "user.y", "22", 2, 0); /* other order */
  fsetxattr(fd, "user.x", "1", 1, 0);
  close(fd);
  fd = openat(dirfd, "other", O_RDONLY);
  fsetxattr(fd, "user.x", "2", 1, 0);
  fsetxattr(fd, "user.y", "22", 2, 0);
  close(fd);
  fd = openat(dirfd, "moved", O_RDONLY); /* the same bytes, another border between name and value */
  fsetxattr(fd, "user.x1", "", 0, 0);
  fsetxattr(fd, "user.y", "22", 2, 0);
  close(fd);
  fsy_cqe done = walk(&c, dirfd, ".", FSY_WALK_XATTRS | FSY_WALK_ACLS);
  fsy_batch *b = batch_of(&c, done.block);
#define DIGEST(n) (u32(b, FSY_U32_ATTR_LO)[row_of(b, n)] | (uint64_t)u32(b, FSY_U32_ATTR_HI)[row_of(b, n)] << 32)
  CHECK_EQ(DIGEST("plain"), 0);
  CHECK(DIGEST("a") != 0 && DIGEST("a") == DIGEST("b"));
  CHECK(DIGEST("a") != DIGEST("other"));
  CHECK(DIGEST("a") != DIGEST("moved"));
  end(&c, done.block);
  done = walk(&c, dirfd, ".", 0);
  b = batch_of(&c, done.block);
  CHECK_EQ(DIGEST("a"), 0);
  end(&c, done.block);
  uint32_t text = put_text(&c, "plain\0a\0missing\0b", 18);
  fsy_sqe *q = next_sqe(&c, FSY_OP_STAT);
  q->fd0 = dirfd;
  q->path = text;
  q->path_bytes = 18;
  q->count = 4;
  q->flags = FSY_WALK_XATTRS;
  done = call(&c);
  CHECK_EQ(done.result, 0);
  b = batch_of(&c, done.block);
  CHECK(!strcmp(name_of(b, 0), "plain") && !strcmp(name_of(b, 3), "b"));
  CHECK_EQ((int32_t)u32(b, FSY_U32_STATUS)[2], -ENOENT);
  CHECK(DIGEST("a") != 0 && DIGEST("a") == DIGEST("b"));
  end(&c, done.block);
  fsy_close(c.ring);
}

TEST(walk_marks_mounts) {
  client c = client_open(1);
  int m = make_dir(dirfd, "m");
  close(m);
  char path[4200];
  snprintf(path, sizeof(path), "%s/m", dir);
  if (mount("tmpfs", path, "tmpfs", 0, "size=1m") < 0) {
    test_skip("mount needs root");
  } else {
    fsy_cqe done = walk(&c, dirfd, ".", 0);
    fsy_batch *b = batch_of(&c, done.block);
    CHECK(u32(b, FSY_U32_FLAGS)[0] & FSY_ROW_MOUNT);
    end(&c, done.block);
    umount(path);
  }
  fsy_close(c.ring);
}

TEST(vanished_entries_keep_their_row) {
  client c = client_open(1);
  make_file(dirfd, "a", 1, 1);
  make_file(dirfd, "b", 1, 1);
  fault("statx:2:2"); /* the directory is the first, `a` the second; 2 is ENOENT */
  fsy_cqe done = walk(&c, dirfd, ".", 0);
  fault(NULL);
  fsy_batch *b = batch_of(&c, done.block);
  CHECK_EQ(done.result, 0);
  CHECK_EQ(b->count, 2);
  CHECK_EQ((int32_t)u32(b, FSY_U32_STATUS)[0], -ENOENT);
  CHECK_EQ((int32_t)u32(b, FSY_U32_STATUS)[1], 0);
  end(&c, done.block);
  fault("getdents:2:5");
  done = walk(&c, dirfd, ".", 0);
  fault(NULL);
  b = batch_of(&c, done.block);
  CHECK_EQ(b->status, -EIO);
  CHECK(b->flags & FSY_BATCH_PARTIAL);
  CHECK_EQ(b->count, 2);
  end(&c, done.block);
  fsy_close(c.ring);
}

static int resolve(client *c, int base, const char *path, uint32_t flags) {
  uint32_t text = put_text(c, path, (uint32_t)strlen(path) + 1);
  fsy_sqe *q = next_sqe(c, FSY_OP_RESOLVE);
  q->fd0 = base;
  q->path = text;
  q->path_bytes = (uint32_t)strlen(path) + 1;
  q->flags = flags;
  fsy_cqe done = call(c);
  fsy_free(c->ring, text);
  if (done.fd0 >= 0) close(done.fd0);
  return done.result;
}

TEST(resolve_stays_below) {
  client c = client_open(1);
  close(make_dir(dirfd, "a"));
  int a = openat(dirfd, "a", O_RDONLY);
  close(make_dir(a, "b"));
  CHECK(symlinkat("/", a, "root") == 0);
  CHECK(symlinkat("b", a, "inner") == 0);
  make_file(a, "file", 1, 1);
  for (int twice = 0; twice < 2; twice++) {
    CHECK_EQ(resolve(&c, dirfd, "a/b", 0), 0);
    CHECK_EQ(resolve(&c, dirfd, "a//b/", 0), 0);
    CHECK_EQ(resolve(&c, dirfd, "", 0), 0);
    CHECK_EQ(resolve(&c, dirfd, "a/../a", 0), -EXDEV);
    CHECK_EQ(resolve(&c, dirfd, "..", 0), -EXDEV);
    CHECK_EQ(resolve(&c, dirfd, "/", 0), -EXDEV);
    CHECK(resolve(&c, dirfd, "a/root", 0) < 0);
    CHECK(resolve(&c, dirfd, "a/root/etc", 0) < 0);
    CHECK(resolve(&c, dirfd, "a/inner", 0) < 0);
    CHECK_EQ(resolve(&c, dirfd, "a/file", 0), -ENOTDIR);
    CHECK_EQ(resolve(&c, dirfd, "a/missing/deep", 0), -ENOENT);
    c.options = c.options;
    /* second turn: the loop of components, as on kernels without openat2 */
    extern void test_forget_openat2(fsy_ring *);
    test_forget_openat2(c.ring);
  }
  CHECK_EQ(resolve(&c, dirfd, "x/y/z", FSY_RESOLVE_CREATE), 0);
  CHECK(S_ISDIR(stat_of(dirfd, "x/y/z").st_mode));
  close(a);
  fsy_close(c.ring);
}

TEST(operator_paths_follow_only_trusted_links) {
  client c = client_open(1);
  close(make_dir(dirfd, "real"));
  char path[4300], real[4200];
  snprintf(real, sizeof(real), "%s/real", dir);
  CHECK(symlinkat(real, dirfd, "mine") == 0);
  CHECK(symlinkat("mine", dirfd, "chain") == 0);
  CHECK(symlinkat("real", dirfd, "theirs") == 0);
  CHECK(symlinkat("loop", dirfd, "loop") == 0);
  snprintf(path, sizeof(path), "%s/chain/../real/./", dir);
  CHECK_EQ(resolve(&c, FSY_CWD, path, FSY_RESOLVE_OPERATOR), 0);
  snprintf(path, sizeof(path), "%s/chain/new/er", dir);
  CHECK_EQ(resolve(&c, FSY_CWD, path, FSY_RESOLVE_OPERATOR | FSY_RESOLVE_CREATE), 0);
  CHECK(S_ISDIR(stat_of(dirfd, "real/new/er").st_mode));
  snprintf(path, sizeof(path), "%s/loop", dir);
  CHECK_EQ(resolve(&c, FSY_CWD, path, FSY_RESOLVE_OPERATOR), -ELOOP);
  CHECK_EQ(resolve(&c, FSY_CWD, ".", FSY_RESOLVE_OPERATOR), 0);
  CHECK_EQ(resolve(&c, FSY_CWD, "/", FSY_RESOLVE_OPERATOR), 0);
  if (geteuid() == 0) {
    CHECK(fchownat(dirfd, "theirs", 12345, 12345, AT_SYMLINK_NOFOLLOW) == 0);
    snprintf(path, sizeof(path), "%s/theirs", dir);
    CHECK_EQ(resolve(&c, FSY_CWD, path, FSY_RESOLVE_OPERATOR), -ELOOP);
  }
  fsy_close(c.ring);
}
