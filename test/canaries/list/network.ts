/** Faults of a daemon that a peer could use. */
import { type Check, edit, type Mutation } from "../mutation.ts";

function conformance(file: string, test: string): Check {
  return { file: `test/conformance/${file}.test.ts`, test };
}

export const NETWORK: readonly Mutation[] = [
  {
    title: "module: `..` climbs out",
    edits: [
      ...edit("src/session/module-places.ts", "|| (name.length === 2 && name[0] === DOT && name[1] === DOT)", ""),
      ...edit("ffi/resolve.c", "if (length == 2 && p[0] == '.' && p[1] == '.') return -EXDEV;", ""),
      ...edit("ffi/resolve.c", "{OPEN_DIR, 0, FSY_RESOLVE_BENEATH |", "{OPEN_DIR, 0,"),
    ],
    check: conformance("policy", 'as a source: "a/.."'),
    says: "(fail)",
  },
  {
    title: "module: a link that leads out is followed",
    edits: edit(
      "ffi/resolve.c",
      "FSY_RESOLVE_BENEATH | FSY_RESOLVE_NO_SYMLINKS | FSY_RESOLVE_NO_MAGICLINKS}",
      "FSY_RESOLVE_NO_MAGICLINKS}",
    ),
    check: conformance("policy", "is not followed by a source: absolute/secret"),
    says: "(fail)",
  },
  {
    title: "module: --copy-links follows a link out",
    edits: edit("ffi/resolve.c", "{(uint64_t)flags, 0, FSY_RESOLVE_BENEATH |", "{(uint64_t)flags, 0,"),
    check: {
      file: "test/behaviours/security-copy-links.test.ts",
      test: "S10 S01 what changes into a link that leads out is never read",
    },
    says: "the outside was",
  },
  {
    title: "module: devices are taken",
    edits: edit("ffi/rows.c", "if (!(flags & FSY_CHECK_DEVICES)) *row_flags |= FSY_ROW_SKIP;", ""),
    check: conformance("policy", "what is uploaded is no device, FIFO or socket"),
    says: "(fail)",
  },
  {
    title: "module: setuid bits are taken",
    edits: edit("ffi/rows.c", "if (flags & FSY_CHECK_STRIP_SETID)", "if (flags == UINT32_MAX)"),
    check: conformance("policy", "what is uploaded loses its setuid and setgid bits"),
    says: "(fail)",
  },
  {
    title: "protocol: names are not checked",
    edits: edit(
      "ffi/rows.c",
      "if (!name || !fsy_name_ok(name, c->name_len[row])) return false;",
      "if (!name) return false;",
    ),
    check: conformance("hostile-listing", 'a listing with the name "../x"'),
    says: "(fail)",
  },
  {
    title: "protocol: a size may be negative",
    edits: edit("ffi/rows.c", "is_whole(c->size[row]) && c->size[row] >= 0 &&", "is_whole(c->size[row]) &&"),
    check: conformance("hostile-listing", "a listing with a size of -1"),
    says: "(fail)",
  },
  {
    title: "protocol: a frame may be of any length",
    edits: edit(
      "ffi/wire_frame.c",
      "if (frame->length > FSY_SHARD_MAX || frame->item == 0 ||",
      "if (frame->item == 0 ||",
    ),
    check: conformance("hostile-frames", "in the control plane a shard of 5 MiB"),
    says: "(fail)",
  },
  {
    title: "protocol: a need may name any row",
    edits: edit("src/session/source-role.ts", "if (row > listing.count) return fail(", "if (row > 1e6) return fail("),
    check: conformance("hostile-needs", "a need for a row out of range"),
    says: "(fail)",
  },
  {
    title: "token: it opens more than once",
    edits: edit("src/link/data-listener.ts", "    session.waiting.delete(greeting.index);\n", ""),
    check: conformance("data-port", "a token opens one stream, once"),
    says: "the connection was answered",
  },
  {
    title: "token: any will do",
    edits: edit(
      "src/link/data-listener.ts",
      "if (!timingSafeEqual(waiting.token, greeting.token))",
      "if (waiting.token.length === 0)",
    ),
    check: conformance("data-port", "a token that is wrong by a bit opens nothing"),
    says: "the connection was answered",
  },
];
