/** One fault at least for each class of check: what a copier can get wrong, and says nothing about. */
import { type Check, edit, type Mutation } from "../mutation.ts";

function behaviour(file: string, test: string, backend: Check["backend"] = "native"): Check {
  return { file: `test/behaviours/${file}.test.ts`, test, backend };
}

const PORTABLE = "src/fs/portable";

const comparing: readonly Mutation[] = [
  {
    title: "comparison: nanoseconds of mtimes do not count",
    edits: [
      ...edit("ffi/rows.c", " || x->mtime_nsec[i] != y->mtime_nsec[k]) return false;", ") return false;"),
      ...edit("src/compare/rules.ts", "(source.mtimeNsec(row) - target.mtimeNsec(targetRow))", "0"),
    ],
    check: behaviour("compare", "B12 no flag decides exactly this"),
    says: "plus-1ns",
  },
  {
    title: "comparison: the size does not count",
    edits: edit("src/compare/rules.ts", 'if (source.size(row) !== target.size(targetRow)) return "differs";', ""),
    check: behaviour("compare", "B13 --modify-window=2 decides exactly this", "portable"),
    says: "size",
  },
  {
    title: "trees: a name that begins with a dot is dropped",
    edits: edit(
      "ffi/dents.c",
      "if (length > 0 && name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'))) continue;",
      "if (name[0] == '.') continue;",
    ),
    check: behaviour("trees-variety", "on ext4 B01 a mirror is equal in everything"),
    says: "missing",
  },
  {
    title: "live sources: no second look after reading",
    edits: edit(
      "ffi/copy_file.c",
      "if (whole && !moved && fsy_entry_same(&in->want, &st)) {",
      "if (S_ISREG(st.st_mode)) {",
    ),
    check: behaviour("live-source", "B57 a file grows between the scan and its turn"),
    says: "m: size",
  },
  {
    title: "live sources: a size of 0 is believed",
    edits: edit("ffi/copy_file.c", "if (whole && in->want.size == 0) {", "if (0) {"),
    check: behaviour("live-source", "B57 B60 one that says it is empty is not taken for empty: []"),
    says: "expected 23",
  },
];

const writing: readonly Mutation[] = [
  {
    title: "atomicity: written straight to the final name",
    edits: edit(
      "ffi/copy_file.c",
      "if ((j->opt.flags & FSY_OPT_INPLACE) && exists) status = copy_in_place(j, &in, name, r);",
      "if (exists) status = copy_in_place(j, &in, name, r);",
    ),
    check: behaviour("atomicity", "B48 medium: a reader sees whole versions only"),
    says: "torn",
  },
  {
    title: "atomicity: the old file goes before the new one comes",
    edits: edit(
      "ffi/publish.c",
      "if (FSY_TRY(rename, renameat(from_dir, from, to_dir, to)) == 0) return 0;",
      "(void)unlinkat(to_dir, to, 0);\n  usleep(20000);\n  if (renameat(from_dir, from, to_dir, to) == 0) return 0;",
    ),
    check: behaviour("atomicity", "B48 small: a reader sees whole versions only"),
    says: "missing",
  },
  {
    title: "interruption: what killed runs left is not swept",
    edits: edit(`${PORTABLE}/remove.ts`, "    fs.unlinkSync(path);\n  } finally {", "  } finally {"),
    check: behaviour(
      "interruption-small",
      "B49 SIGKILL at any moment leaves whole files, the next run finishes and cleans up: the portable twin",
      "portable",
    ),
    says: ".fastsync.",
  },
  {
    title: "resume: what a part holds is believed",
    edits: edit(
      "ffi/large.c",
      "else if (flow.basis) status = fsy_flow_delta(&flow, offset, length);",
      "else if (flow.basis) status = 0;",
    ),
    check: behaviour("interruption-large", "B50 a part that was tampered with is not trusted"),
    says: "big: content",
  },
  {
    title: "resume: what a part holds is believed, portable",
    edits: edit(
      `${PORTABLE}/large-file.ts`,
      "else if (compare) await copyDifferences(flow, offset, length, item);",
      "else if (compare) flow.method = flow.method;",
    ),
    check: behaviour("interruption-large", "B50 a part that was tampered with is not trusted", "portable"),
    says: "big: content",
  },
  {
    title: "verification: nothing is compared",
    edits: edit("ffi/copy_linux.c", "  if (st.st_size != size) return -EBADMSG;\n", "  return 0;\n"),
    check: { file: "test/backend/native.test.ts", test: "finds a corrupted part by verification" },
    says: "(fail)",
  },
  {
    title: "space: a full disk is one failure among others",
    edits: edit(
      "src/session/target-report.ts",
      'failure.side === "target" && (failure.code === "no_space" ||',
      'failure.side === "target" && (',
    ),
    check: behaviour("space", "a full tmpfs B53 small files: the run stops"),
    says: "expected 11",
  },
  {
    title: "sparse: holes are written out",
    edits: edit(
      "ffi/copy_file.c",
      "bool sparse = (j->opt.flags & FSY_OPT_SPARSE) && (in->want.flags & FSY_ROW_SPARSE);",
      "bool sparse = false;",
    ),
    check: behaviour(
      "metadata-data",
      "sparse files on ext4 B32 a file that is replaced or written in place becomes as sparse",
    ),
    says: "sparse",
  },
  {
    title: "hard links: names of one file are not seen as such",
    edits: edit(
      "ffi/rows.c",
      "if (c.nlink[row] > 1 && (c.mode[row] & S_IFMT) != S_IFDIR) kinds |= FSY_KIND_LINKED;",
      "",
    ),
    check: behaviour("links-hard", "B21 names that were apart become one"),
    says: "(fail)",
  },
];

const metadata: readonly Mutation[] = [
  {
    title: "metadata: a directory that was opened for a change stays open after a stop",
    edits: edit(
      "src/session/target-runner.ts",
      "const status = restoreMode(dir.handle, dir.target);",
      "const status = 0;",
    ),
    check: behaviour("atomicity", "B52 a directory that was opened for a change has its mode back after a stop"),
    says: "493",
  },
  {
    title: "backups: what becomes a name of another file is not kept",
    edits: edit(
      "src/session/target-runner.ts",
      "const kept = backup === undefined ? undefined : { backup, settings };",
      "const kept = undefined;",
    ),
    check: behaviour("deletion", "B47 B20 --backup keeps what becomes a name of another file"),
    says: "b~",
  },
  {
    title: "times: steps are not known where a range is not",
    edits: edit(
      "src/fs/filesystems.ts",
      "if (stepNs === 0) return",
      "if (stepNs === 0 || earliestSec >= latestSec) return",
    ),
    check: { file: "src/fs/filesystems.test.ts", test: "a range that wrapped around is not known, its step is" },
    says: "(fail)",
  },
  {
    title: "descriptors: as many directories are open as the window holds",
    edits: edit("src/session/source-role.ts", "  if (isFull) return", "  if (false as boolean) return"),
    check: { file: "test/session/simulator.test.ts", test: "with few descriptors every run ends" },
    says: "Expected: <=",
  },
  {
    title: "metadata: the owner after the mode, which takes setuid away",
    edits: [
      ...edit(
        "ffi/meta_linux.c",
        "status = status ? -status : apply_owner(j, s, want, now, r);",
        "if (type == S_IFLNK) status = apply_owner(j, s, want, now, r);\n  uint32_t is_uid = now->uid, is_gid = now->gid;\n  now->uid = want->uid;\n  now->gid = want->gid;",
      ),
      ...edit(
        "ffi/meta_linux.c",
        "status = leave ? 0 : apply_mode(j, s, mode, now, r);",
        "status = leave ? 0 : apply_mode(j, s, mode, now, r);\n    now->uid = is_uid;\n    now->gid = is_gid;\n    if (!status) status = apply_owner(j, s, want, now, r);",
      ),
    ],
    check: behaviour("metadata-modes", "B27 they are kept where the owner is"),
    says: "mode",
  },
  {
    title: "metadata: extended attributes that the source lacks stay",
    edits: edit("ffi/attrs_linux.c", "if (target_bare || late) return done;", "return done;"),
    check: behaviour("metadata-attributes", "on ext4 B29 of every namespace, on files, directories, links and FIFOs"),
    says: "xattrs",
  },
  {
    title: "metadata: set-id bits for another owner than they were meant for",
    edits: edit("ffi/meta_linux.c", "return mode & ~drop;", "return mode;"),
    check: behaviour("metadata-modes", "B27 root that does not keep the owner does not make programs that run as root"),
    says: "(fail)",
  },
  {
    title: "metadata: directories keep the time of the last change in them",
    edits: edit(
      "ffi/meta_linux.c",
      "uint32_t times = type == S_IFDIR ? FSY_OPT_DIR_TIMES :",
      "uint32_t times = type == S_IFDIR ? 0 :",
    ),
    check: behaviour("metadata-modes", "on ext4 B26 directories have the source's times"),
    says: "mtime",
  },
];

const deleting: readonly Mutation[] = [
  {
    title: "deletion guard: the source could not be read",
    edits: edit(
      "src/session/target-ending.ts",
      "if (state.sourceIncomplete || state.scanned === undefined) {",
      "if (state.scanned === undefined) {",
    ),
    check: behaviour(
      "deletion-guards",
      "B43 a directory of the source that cannot be read disables every deletion",
      "portable",
    ),
    says: "files_deleted",
  },
  {
    title: "deletion guard: the source is empty",
    edits: edit(
      "src/session/target-ending.ts",
      "if (state.scanned.entries === 0 && !allowEmptySource) {",
      "if (state.scanned.entries < 0) {",
    ),
    check: behaviour("deletion-guards", "B43 an empty source does not empty the target, whichever way it is written"),
    says: "expected 25",
  },
  {
    title: "deletion guard: the target is a directory of the source",
    edits: edit(
      "src/session/target-ending.ts",
      'if (state.skipped.has("target_inside_source")) {',
      'if (state.skipped.has("nothing")) {',
    ),
    check: behaviour("deletion-guards", "B44 B46 a second path of a directory, by a bind mount"),
    says: "(fail)",
  },
  {
    title: "deletion guard: more than the limit",
    edits: edit(
      "src/session/target-ending.ts",
      "if (extra <= allowed) return undefined;",
      "if (extra <= allowed + 1e6) return undefined;",
    ),
    check: behaviour("deletion-guards", "B42 more deletions than --max-delete"),
    says: "expected 25",
  },
  {
    title: "deletion guard: nobody was asked",
    edits: edit(
      "src/session/target-ending.ts",
      'if (answer === "accepted" && !state.stopped) {',
      'if (answer !== "declined" && !state.stopped) {',
    ),
    check: behaviour("deletion-guards", "B41 unattended and without --yes"),
    says: "exit 0",
  },
  {
    title: "deletion guard: the answer was no",
    edits: edit(
      "src/session/target-ending.ts",
      'if (answer === "accepted" && !state.stopped) {',
      'if (answer !== "unattended" && !state.stopped) {',
    ),
    check: behaviour("deletion-guards", 'B41 the question on a terminal, answered by "n\\n"'),
    says: "25",
  },
  {
    title: "deletion guard: what filters leave out is deleted",
    edits: edit(
      "src/engine/extraneous.ts",
      'filter.decide(listing, row, "target") !== Decision.include',
      "listing.count < 0",
    ),
    check: behaviour("filters", "B37 what the filters leave out survives in the target"),
    says: "(fail)",
  },
  {
    title: "move receipts: before the sync",
    edits: edit(
      "src/session/target-release.ts",
      "state.awaitingSync.push(dir);",
      'effects.push({ kind: "send", message: { kind: "receipts", dir: dir.id, rows: Uint32Array.from(dir.receipts) } });\n    state.awaitingSync.push(dir);',
    ),
    check: { file: "test/session/simulator.test.ts", test: "a move whose data cannot be made durable removes nothing" },
    says: "(fail)",
  },
  {
    title: "move receipts: after a sync that failed",
    edits: edit("src/session/target-ending.ts", "if (status === 0 && !state.stopped) {", "if (!state.stopped) {"),
    check: { file: "test/session/simulator.test.ts", test: "a move whose data cannot be made durable removes nothing" },
    says: "(fail)",
  },
  {
    title: "move: a source goes that is no longer what was copied",
    edits: edit("ffi/delete.c", "if (q->flags & FSY_DELETE_SAME) {", "if (q->flags == UINT32_MAX) {"),
    check: behaviour("move", "B46 a source that changes after its copy stays"),
    says: "ENOENT",
  },
];

const telling: readonly Mutation[] = [
  {
    title: "filters: the last rule that matches decides",
    edits: [
      ...edit(
        "src/filter/rule-block.ts",
        "    const words = this.words;\n    const first",
        "    let deciding: Rule | undefined;\n    const words = this.words;\n    const first",
      ),
      ...edit(
        "src/filter/rule-block.ts",
        "if (matched !== rule.negated) return rule;",
        "if (matched !== rule.negated) deciding = rule;",
      ),
      ...edit(
        "src/filter/rule-block.ts",
        "    return undefined;\n  }\n\n  private enter",
        "    return deciding;\n  }\n\n  private enter",
      ),
    ],
    check: behaviour("filters", 'B36 [ "--include=/a.log", "--exclude=*.log" ]'),
    says: "(fail)",
  },
  {
    title: "safe links: a link that climbs out is carried",
    edits: edit("src/scan/select-rows.ts", "if (level < 0 || isBehindName) return true;", ""),
    check: behaviour("links-symbolic", "B19 --safe-links carries links that stay inside"),
    says: "(fail)",
  },
  {
    title: "output: updated files are not counted",
    edits: edit("src/session/target-results.ts", "counters.updated += updated.length;", ""),
    check: behaviour("output", "B61 counts of a run that creates, replaces, mends, links and deletes"),
    says: "updated",
  },
  {
    title: "output: control characters in names reach the terminal",
    edits: edit(
      "src/core/paths.ts",
      '  let out = "";\n  let i = 0;\n  while (i < path.length) {\n    const length = utf8',
      '  if (text !== undefined) return text;\n  let out = "";\n  let i = 0;\n  while (i < path.length) {\n    const length = utf8',
    ),
    check: behaviour("output", "B62 S33 control characters in names are escaped"),
    says: "(fail)",
  },
  {
    title: "exit code: failures of items end in 0",
    edits: edit("src/session/summary.ts", "if (counters.failed > 0) {", "if (counters.failed > 1e6) {"),
    check: behaviour("deletion-guards", "B43 a file of the source that cannot be read keeps its older copy"),
    says: "expected 23",
  },
];

export const CLASSES: readonly Mutation[] = [...comparing, ...writing, ...metadata, ...deleting, ...telling];
