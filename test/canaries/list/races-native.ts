/** Each step of the native library made naive, by a path or by following: the race that lies in wait for it bites. */
import { byPath, type Edit, edit, type Mutation } from "../mutation.ts";
import { type RaceName, raceCheck } from "./race-checks.ts";

const LOCAL = { placement: "local", user: "root" } as const;
const LOCAL_USER = { placement: "local", user: "ordinary" } as const;
const PUSH = { placement: "push", user: "root" } as const;
const PULL = { placement: "pull", user: "root" } as const;
const PULL_USER = { placement: "pull", user: "ordinary" } as const;

type Cell = Parameters<typeof raceCheck>[2];

function race(name: RaceName, cell: Cell, step: string, edits: readonly Edit[], says = "the outside "): Mutation {
  return {
    title: `S race ${name}, ${cell!.placement}, ${cell!.user}: ${step}`,
    edits,
    check: raceCheck(name, "native", cell),
    says,
  };
}

const WALK_FOLLOWS = edit("ffi/walk_linux.c", "((q->flags & FSY_WALK_OPEN_FOLLOW) ? 0 : O_NOFOLLOW);", "0;");
const READ_BY_PATH = byPath(
  "ffi/copy_file.c",
  "int fd = openat(j->source_dir, name, flags | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));",
  "int fd = open(naive(j->source_dir, name), flags | O_CLOEXEC | O_NOFOLLOW);",
);
const READ_FOLLOWS = edit("ffi/copy_file.c", "flags | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW)", "flags | O_CLOEXEC");
const LINK_BY_PATH = byPath(
  "ffi/publish.c",
  'if (linkat(fd, "", dir, name, AT_EMPTY_PATH) == 0) return 0;',
  'if (linkat(fd, "", AT_FDCWD, naive(dir, name), AT_EMPTY_PATH) == 0) return 0;',
);
const RENAME_BY_PATH = byPath(
  "ffi/publish.c",
  "if (FSY_TRY(rename, renameat(from_dir, from, to_dir, to)) == 0) return 0;",
  "if (renameat(from_dir, from, AT_FDCWD, naive(to_dir, to)) == 0) return 0;",
);
const UNLINK_BY_PATH = byPath(
  "ffi/delete.c",
  ": FSY_TRY(unlink, unlinkat(j->target_dir, name, 0));",
  ": unlink(naive(j->target_dir, name));",
);
const LINK_BY_NAME = byPath(
  "ffi/copy_file.c",
  'status = fsy_meta_apply(j, (fsy_subject){FSY_BY_PATH_FD, fd, ""}, &want, now, attrs, r);',
  'close(fd);\n    fd = openat(dir, late(dir, name), O_PATH | O_NOFOLLOW | O_CLOEXEC);\n    status = fsy_meta_apply(j, (fsy_subject){FSY_BY_PATH_FD, fd, ""}, &want, now, attrs, r);',
);
const RESOLVE_FOLLOWS: Edit[] = [
  {
    file: "ffi/resolve.c",
    find: "{OPEN_DIR, 0, FSY_RESOLVE_BENEATH | FSY_RESOLVE_NO_SYMLINKS | FSY_RESOLVE_NO_MAGICLINKS}",
    replace: "{OPEN_DIR, 0, FSY_RESOLVE_NO_MAGICLINKS}",
  },
];

export const RACES_NATIVE: readonly Mutation[] = [
  race("source", LOCAL, "a directory is opened through a link", WALK_FOLLOWS),
  race("source", LOCAL_USER, "a file is read by its path", READ_BY_PATH),
  race("source", PUSH, "a file is read by its path", READ_BY_PATH),
  race("source", PULL_USER, "a file is read by its path", READ_BY_PATH),
  race("sourceFiles", LOCAL, "a file is opened through a link", READ_FOLLOWS),
  race("sourceFiles", PULL, "a file is opened through a link", READ_FOLLOWS),

  race("made", LOCAL, "a directory is made by its path", [
    ...byPath(
      "ffi/walk_linux.c",
      "if (FSY_TRY(mkdir, mkdirat(base, path, 0700)) == 0)",
      "if (mkdir(naive(base, path), 0700) == 0)",
    ),
  ]),
  race("made", LOCAL, "a named temporary is made by its path", [
    ...byPath(
      "ffi/publish.c",
      "temp->fd = FSY_TRY(create, openat(j->temp_dir, temp->name, flags, 0600));",
      "temp->fd = open(naive(j->temp_dir, temp->name), flags, 0600);",
    ),
    {
      file: "ffi/publish.c",
      find: "if (!(known & FSY_PAIR_NO_TMPFILE) && fsy_temp_type(j) != ZFS_MAGIC) {",
      replace: "if (known == UINT32_MAX) {",
    },
  ]),
  race("made", LOCAL_USER, "a temporary without a name is given one by its path", LINK_BY_PATH),
  race("made", PUSH, "a temporary without a name is given one by its path", LINK_BY_PATH),
  race("made", LOCAL, "a symbolic link is made by its path", [
    ...byPath(
      "ffi/copy_file.c",
      "if (FSY_TRY(symlink, symlinkat(entry->link, j->target_dir, name)) == 0)",
      "if (symlink(entry->link, naive(j->target_dir, name)) == 0)",
    ),
  ]),
  race("made", LOCAL, "a FIFO is made by its path", [
    ...byPath("ffi/copy_file.c", "mknodat(j->target_dir, temp,", "mknod(naive(j->target_dir, temp),"),
  ]),
  race("made", LOCAL, "a hard link is made by its path", [
    ...byPath(
      "ffi/link.c",
      "if (FSY_TRY(link, linkat(leader_dir, leader, j->target_dir, name, 0)) == 0) return 0;",
      "if (linkat(leader_dir, leader, AT_FDCWD, naive(j->target_dir, name), 0) == 0) return 0;",
    ),
  ]),

  race("replaced", LOCAL, "an older file is replaced by its path", RENAME_BY_PATH),
  race("replaced", PULL_USER, "an older file is replaced by its path", RENAME_BY_PATH),
  race("replaced", LOCAL, "metadata is mended by path", [
    ...byPath(
      "ffi/copy_file.c",
      "FSY_TRY(repair, openat(j->target_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));",
      "open(naive(j->target_dir, name), O_PATH | O_NOFOLLOW | O_CLOEXEC);",
    ),
  ]),
  race("replaced", LOCAL_USER, "a directory's mode is set by its path", [
    ...byPath(
      "ffi/meta_linux.c",
      "if (s.by == FSY_BY_FD) return fchmod(s.fd, mode) < 0 ? -errno : 0;",
      'if (s.by == FSY_BY_FD) return chmod(naive(s.fd, ""), mode) < 0 ? -errno : 0;',
    ),
  ]),
  race("replaced", LOCAL, "a directory's owner is set by its path", [
    ...byPath("ffi/meta_linux.c", "fchown(s.fd, uid, gid)", 'chown(naive(s.fd, ""), uid, gid)'),
  ]),
  race("replaced", PUSH, "a directory's times are set by its path", [
    ...byPath("ffi/meta_linux.c", "futimens(s.fd, times)", 'utimensat(AT_FDCWD, naive(s.fd, ""), times, 0)'),
  ]),
  race("replaced", LOCAL, "a directory's attributes are set by its path", [
    ...byPath(
      "ffi/attrs_linux.c",
      "fsetxattr(p->fd, key, value, bytes, 0)",
      'setxattr(naive(p->fd, ""), key, value, bytes, 0)',
    ),
  ]),
  race("targetFiles", LOCAL, "metadata is mended through a link", [
    ...byPath(
      "ffi/copy_file.c",
      "FSY_TRY(repair, openat(j->target_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));",
      "openat(j->target_dir, late(j->target_dir, name), O_PATH | O_CLOEXEC);",
    ),
  ]),
  race("hashed", PUSH, "the target's digests follow links", [
    ...edit("src/session/target-runner.ts", "{ ...settings.settings, follow: false }", "{ ...settings.settings }"),
    ...byPath(
      "ffi/hash.c",
      "int fd = fsy_open_source(j, row->name, j->opt.flags & FSY_OPT_FOLLOW);",
      "int fd = fsy_open_source(j, late(j->source_dir, row->name), j->opt.flags & FSY_OPT_FOLLOW);",
    ),
  ]),
  race(
    "fullDirectory",
    LOCAL,
    "what is mended may be of another type",
    [
      ...edit(
        "ffi/copy_file.c",
        "else if ((st.st_mode & S_IFMT) != (entry->mode & S_IFMT)) status = -ESTALE;\n  if (status) fsy_fail",
        "if (status) fsy_fail",
      ),
      ...byPath(
        "ffi/copy_file.c",
        "FSY_TRY(repair, openat(j->target_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));",
        "openat(j->target_dir, late(j->target_dir, name), O_PATH | O_NOFOLLOW | O_CLOEXEC);",
      ),
    ],
    "a directory changed",
  ),
  race("newLinks", LOCAL, "a link is looked at, and its metadata set by its name", LINK_BY_NAME),
  race("newLinks", LOCAL_USER, "a link is looked at, and its metadata set by its name", LINK_BY_NAME),

  race("inPlace", LOCAL, "a file is written by its path", [
    ...byPath(
      "ffi/landing.c",
      "to->fd = FSY_TRY(open_in_place, openat(j->target_dir, name, flags));",
      "to->fd = open(naive(j->target_dir, name), flags);",
    ),
  ]),
  race("inPlace", PUSH, "a file is written by its path", [
    ...byPath(
      "ffi/landing.c",
      "to->fd = FSY_TRY(open_in_place, openat(j->target_dir, name, flags));",
      "to->fd = open(naive(j->target_dir, name), flags);",
    ),
  ]),
  race("targetFiles", LOCAL, "a file is written through a link", [
    ...byPath(
      "ffi/landing.c",
      "to->fd = FSY_TRY(open_in_place, openat(j->target_dir, name, flags));",
      "to->fd = openat(j->target_dir, late(j->target_dir, name), flags & ~O_NOFOLLOW);",
    ),
  ]),
  race("denied", LOCAL_USER, "a directory is opened up through a link", [
    ...byPath(
      "ffi/walk_linux.c",
      "opened >= 0 ? opened : openat(base, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)",
      "openat(base, late(base, path), O_PATH | O_DIRECTORY | O_CLOEXEC)",
    ),
  ]),

  race("deleted", LOCAL, "a file is deleted by its path", UNLINK_BY_PATH),
  race("deleted", PUSH, "a file is deleted by its path", UNLINK_BY_PATH),
  race("extras", LOCAL_USER, "a directory that goes is opened through a link", WALK_FOLLOWS),
  race("moved", LOCAL, "a source is removed by its path", UNLINK_BY_PATH),
  race("moved", PULL, "a source is removed by its path", UNLINK_BY_PATH),
  race("moved", LOCAL_USER, "a source is renamed by its path", [
    ...byPath(
      "ffi/publish.c",
      "if (fsy_sys_renameat2(from_dir, from, to_dir, to, FSY_RENAME_NOREPLACE) == 0) return 0;",
      "if (fsy_sys_renameat2(AT_FDCWD, naive(from_dir, from), to_dir, to, FSY_RENAME_NOREPLACE) == 0) return 0;",
    ),
  ]),

  race("backup", LOCAL, "a backup's directory is opened through a link", RESOLVE_FOLLOWS),
  race("backup", PUSH, "a backup is made by its path", [
    ...byPath(
      "ffi/publish.c",
      "FSY_TRY(backup_link, linkat(j->target_dir, name, j->backup_dir, backup, 0)) < 0",
      "linkat(j->target_dir, name, AT_FDCWD, naive(j->backup_dir, backup), 0) < 0",
    ),
  ]),
  race("large", LOCAL, "a part is opened through a link", [
    ...edit(
      "ffi/large.c",
      "flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK",
      "flags = O_RDWR | O_CREAT | O_NONBLOCK",
    ),
  ]),
  race("large", LOCAL_USER, "an older version is read through a link", [
    ...byPath(
      "ffi/method_clone.c",
      "openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)",
      "openat(directory, late(directory, name), O_RDONLY | O_NONBLOCK | O_CLOEXEC)",
    ),
  ]),

  race("operator", LOCAL, "whose link it is is asked before it is opened", [
    ...byPath(
      "ffi/resolve.c",
      "if (fd < 0 || fstat(fd, &st) < 0) {",
      "if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISLNK(st.st_mode)) {\n      close(fd);\n      fd = openat(at, late(at, name), O_PATH | O_CLOEXEC);\n    }\n    if (fd < 0 || fstat(fd, &st) < 0) {",
    ),
  ]),
  race("pushed", PUSH, "a path of a module is opened through links", RESOLVE_FOLLOWS),
  race("pulled", PULL, "a path of a module is opened through links", RESOLVE_FOLLOWS),
];
