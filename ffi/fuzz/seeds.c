/* seeds DIRECTORY: writes the inputs that each target starts from, DIRECTORY/<target>/<name>. They are what honest peers
 * and filesystems say; those of `receive` are for the tree in fuzz.h. */
#include "fuzz.h"

#include <stdarg.h>
#include <stddef.h>

enum { MOST = 1 << 16 };
static const char *root;
static uint8_t out[MOST];
static size_t used;

static void put(const void *data, size_t bytes) {
  HOLDS(used + bytes <= MOST);
  memcpy(out + used, data, bytes);
  used += bytes;
}
static void put8(uint32_t value) { put(&(uint8_t){(uint8_t)value}, 1); }
static void put16(uint32_t value) {
  put8(value);
  put8(value >> 8);
}
static void put32(uint32_t value) {
  put16(value);
  put16(value >> 16);
}
static void put_double(double value) { put(&value, sizeof(value)); }
static void zeros(size_t bytes) {
  while (bytes-- > 0) put8(0);
}
static void save(const char *target, const char *name) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/%s", root, target);
  (void)mkdir(path, 0755);
  snprintf(path, sizeof(path), "%s/%s/%s", root, target, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  HOLDS(fd >= 0 && write(fd, out, used) == (ssize_t)used);
  close(fd);
  used = 0;
}

/* ---- frames ---------------------------------------------------------------------------------------------------------- */

static void put_frame(uint8_t type, uint32_t need, uint32_t item, uint64_t offset, uint32_t length) {
  uint8_t head[FSY_FRAME_BYTES];
  fsy_frame frame = {.type = type, .need = need, .item = item, .length = length, .offset = offset};
  fsy_frame_put(head, &frame);
  put(head, sizeof(head));
}
static void put_record(fsy_record record) {
  uint8_t packed[FSY_RECORD_BYTES];
  fsy_record_put(packed, &record);
  put(packed, sizeof(packed));
}
static fsy_record regular(uint32_t item, uint64_t size) {
  return (fsy_record){.item = item, .size = size, .mode = 0100644, .mtime_sec = 1000000000, .mtime_nsec = 5};
}
/* xattrs in their form: name and value, both as text */
static uint32_t put_attribute(const char *name, const char *value) {
  put32((uint32_t)strlen(name));
  put32((uint32_t)strlen(value));
  put(name, strlen(name));
  put(value, strlen(value));
  return 8 + (uint32_t)strlen(name) + (uint32_t)strlen(value);
}
static void put_member(const char *name, uint32_t size) {
  uint8_t head[3 * FSY_TAR_BLOCK];
  fsy_record record = regular(0, size);
  fsy_tar_header(head, name, (uint32_t)strlen(name), &record);
  put(head, fsy_tar_header_bytes((uint32_t)strlen(name)));
  zeros(fsy_tar_padded(size));
}

static void put_shard(uint32_t need) {
  uint32_t attrs = 8 + 6 + 3, length = 3 * FSY_RECORD_BYTES + attrs + 5 * FSY_TAR_BLOCK + 1024;
  put_frame(FSY_FRAME_SHARD, need, 3, 0, length);
  fsy_record a = regular(0, 10), b = regular(1, 600), link = {.item = 2, .mode = 0120777};
  a.attr_bytes = attrs;
  put_record(a);
  put_record(b);
  put_record(link);
  (void)put_attribute("user.a", "one");
  put_member("a", 10);
  put_member("b", 600);
  zeros(2 * FSY_TAR_BLOCK);
}
static void put_file(uint32_t need, bool again) {
  fsy_record d = regular(3, 9000), end = d;
  for (int pass = 0; pass <= (again ? 1 : 0); pass++) {
    put_frame(FSY_FRAME_FILE, need, 3, 0, FSY_RECORD_BYTES);
    put_record(d);
    put_frame(FSY_FRAME_DATA, need, 3, 4096, 1000);
    zeros(1000);
    put_frame(FSY_FRAME_DATA, need, 3, 8000, 1000);
    zeros(1000);
    put_frame(FSY_FRAME_END, need, 3, 0, FSY_RECORD_BYTES);
    end.bytes = 2000;
    end.flags = again && pass == 0 ? FSY_RECORD_AGAIN : again ? FSY_RECORD_RETRIED : 0;
    put_record(end);
  }
}
static void put_bye(void) { put_frame(FSY_FRAME_BYE, 0, 0, 0, 0); }

static void receive_seeds(void) {
  for (uint32_t flags = 0; flags < 16; flags += 5) {
    char name[40];
    put8(flags);
    put_shard(RECEIVE_CONTENT);
    put_file(RECEIVE_CONTENT, flags & 1);
    put_bye();
    snprintf(name, sizeof(name), "content-%u", flags);
    save("receive", name);
  }
  put8(0);
  put_shard(RECEIVE_IN_PLACE);
  put_file(RECEIVE_IN_PLACE, true);
  put_bye();
  save("receive", "in-place");
  put8(0);
  put_frame(FSY_FRAME_SHARD, RECEIVE_ATTRIBUTES, 2, 0, 2 * FSY_RECORD_BYTES + 8 + 9 + 1);
  fsy_record a = regular(0, 10), link = {.item = 2, .mode = 0120777};
  a.attr_bytes = 8 + 9 + 1;
  put_record(a);
  put_record(link);
  (void)put_attribute("trusted.x", "2");
  put_frame(FSY_FRAME_FILE, RECEIVE_ATTRIBUTES, 1, 0, FSY_RECORD_BYTES);
  put_record(regular(1, 600));
  put_frame(FSY_FRAME_END, RECEIVE_ATTRIBUTES, 1, 0, FSY_RECORD_BYTES);
  put_record(regular(1, 600));
  put_bye();
  save("receive", "attributes");
  /* one small file with holes, whose content is all in the archive */
  put8(4);
  put_frame(FSY_FRAME_SHARD, RECEIVE_CONTENT, 1, 0, FSY_RECORD_BYTES + FSY_TAR_BLOCK + 18 * FSY_TAR_BLOCK + 1024);
  put_record(regular(3, 9000));
  put_member("d", 9000);
  out[used - 4096] = 1;
  zeros(2 * FSY_TAR_BLOCK);
  put_bye();
  save("receive", "sparse-shard");
  /* a range's digest, and frames that answer no such need */
  put8(2);
  put_frame(FSY_FRAME_DATA, RECEIVE_RANGE, 0, RECEIVE_RANGE_FROM, 100);
  zeros(100);
  put_frame(FSY_FRAME_END, RECEIVE_RANGE, 0, 0, FSY_RECORD_BYTES);
  fsy_record hashed = regular(0, 600);
  hashed.bytes = 100;
  hashed.flags = FSY_RECORD_HASHED;
  put_record(hashed);
  put_bye();
  save("receive", "range-hashed");
  put8(0);
  put_shard(RECEIVE_RANGE);
  put_bye();
  save("receive", "shard-for-range");
  put8(0);
  put_frame(FSY_FRAME_FILE, RECEIVE_RANGE, 0, 0, FSY_RECORD_BYTES);
  put_record(regular(0, 10));
  put_bye();
  save("receive", "file-for-range");
  put8(0);
  put_frame(FSY_FRAME_FILE, RECEIVE_CONTENT, 1, 0, FSY_RECORD_BYTES);
  put_record(regular(1, 600));
  put_frame(FSY_FRAME_END, RECEIVE_CONTENT, 1, 0, FSY_RECORD_BYTES);
  fsy_record more = regular(1, 600);
  more.flags = FSY_RECORD_AGAIN;
  put_record(more);
  put_frame(FSY_FRAME_FILE, RECEIVE_CONTENT, 0, 0, FSY_RECORD_BYTES);
  put_record(regular(0, 10));
  put_bye();
  save("receive", "again-another");
  put8(2);
  put_frame(FSY_FRAME_DATA, RECEIVE_RANGE, 0, RECEIVE_RANGE_FROM, 100);
  zeros(100);
  put_frame(FSY_FRAME_DATA, RECEIVE_RANGE, 0, RECEIVE_RANGE_FROM + 200, 100);
  zeros(100);
  put_frame(FSY_FRAME_END, RECEIVE_RANGE, 0, 0, FSY_RECORD_BYTES);
  fsy_record end = regular(0, 600);
  end.bytes = 200;
  put_record(end);
  put_frame(FSY_FRAME_SHARD, RECEIVE_COMMIT, 1, 0, FSY_RECORD_BYTES);
  put_record(regular(0, 10));
  put_bye();
  save("receive", "range-commit");
  put8(0);
  put_frame(FSY_FRAME_SHARD, RECEIVE_COMMIT, 1, 0, FSY_RECORD_BYTES);
  fsy_record changed = regular(0, 77);
  changed.status = -EBUSY;
  changed.stage = FSY_RECORD_READ;
  changed.flags = FSY_RECORD_CHANGED;
  put_record(changed);
  put_bye();
  save("receive", "commit-changed");
}

static void frame_seeds(void) {
  for (uint8_t type = FSY_FRAME_SHARD; type <= FSY_FRAME_BYE; type++) {
    char name[20];
    put8(1);
    put_frame(type, type == FSY_FRAME_BYE ? 0 : 1, type == FSY_FRAME_SHARD ? 1 : 0, 0, type == FSY_FRAME_BYE ? 0 : FSY_RECORD_BYTES);
    put_record(regular(0, 600));
    snprintf(name, sizeof(name), "type-%u", type);
    save("frame", name);
  }
}

static void tar_seeds(void) {
  static const char *const names[] = {"a", "file-with-a-name.txt"};
  for (uint32_t i = 0; i < 2; i++) {
    put8((uint32_t)strlen(names[i]) - 1);
    put8(1);
    put16(0);
    put32(600);
    put(names[i], strlen(names[i]));
    put_member(names[i], 600);
    save("tar", i ? "name" : "short");
  }
  char name[256];
  memset(name, 'n', 255);
  name[255] = 0;
  for (uint32_t length = 100; length <= 255; length += length == 100 ? 1 : 154) {
    name[length] = 0;
    put8(length - 1);
    put8(1);
    put16(FSY_TAR_BLOCK);
    put32(10);
    put(name, length);
    zeros(FSY_TAR_BLOCK);
    put_member(name, 10);
    zeros(2 * FSY_TAR_BLOCK);
    char title[20];
    snprintf(title, sizeof(title), "long-%u", length);
    save("tar", title);
    memset(name, 'n', 255);
  }
}

/* ---- directories and attributes --------------------------------------------------------------------------------------- */

static void put_dent(const char *name, uint8_t type) {
  size_t bytes = offsetof(struct fsy_dirent, d_name) + strlen(name) + 1, padded = (bytes + 7) & ~(size_t)7;
  put_double(1.0);
  put_double(1.0);
  put16((uint32_t)padded);
  put8(type);
  put(name, strlen(name));
  zeros(padded - bytes + 1);
}

static void dents_seeds(void) {
  put16(48);
  put_dent(".", 4);
  put_dent("..", 4);
  put_dent("b", 8);
  put_dent("a-longer-name-than-eight", 8);
  put_dent("a-longer-name-than", 10);
  put_dent("b", 8);
  save("dents", "few");
  put16(60000);
  for (int i = 40; i > 0; i--) {
    char name[20];
    snprintf(name, sizeof(name), "%d", i * 7919 % 1000);
    put_dent(name, 8);
  }
  save("dents", "many");
}

static void attrs_seeds(void) {
  static const char list[] = "user.b\0user.a\0system.posix_acl_access\0trusted.x\0security.selinux\0trusted.SGI_ACL_FILE\0user.c";
  put8(7);
  put8(0);
  put(list, sizeof(list));
  save("attrs", "list");
  static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 4, 0, 232, 3, 0, 0, 4, 0, 5, 0, 255,
                                255, 255, 255, 16, 0, 5, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255};
  for (uint32_t form = 1; form <= 2; form++) {
    const char *name = form == 1 ? "system.posix_acl_access" : "system.posix_acl_default";
    put8(7);
    put8(form);
    put32((uint32_t)strlen(name));
    put32(sizeof(acl));
    put(name, strlen(name));
    put(acl, sizeof(acl));
    (void)put_attribute("trusted.x", "value");
    (void)put_attribute("user.a", "");
    (void)put_attribute("user.b", "two");
    save("attrs", form == 1 ? "file" : "directory");
  }
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

static void rows_seed(const char *name, uint32_t rows, bool single) {
  static const uint32_t widths[FSY_PACK_COLUMNS] = {
      [FSY_PACK_NAME_LENGTHS] = 2, [FSY_PACK_MODES] = 4, [FSY_PACK_SIZES] = 8,    [FSY_PACK_MTIME_SECONDS] = 8,
      [FSY_PACK_MTIME_NANOS] = 4,  [FSY_PACK_UIDS] = 4,  [FSY_PACK_GIDS] = 4,     [FSY_PACK_RDEVS] = 4,
      [FSY_PACK_NLINKS] = 4,       [FSY_PACK_DEVS] = 4,  [FSY_PACK_FLAGS] = 1,    [FSY_PACK_STATUSES] = 4,
      [FSY_PACK_ATTRIBUTES] = 8,   [FSY_PACK_INODES] = 8, [FSY_PACK_LINK_LENGTHS] = 2};
  uint32_t lengths[FSY_PACK_COLUMNS];
  put8(rows - 1);
  put8(7);
  put8(rows - 1);
  put16(2 * rows + 2);
  for (uint32_t i = 0, from = 0; i < FSY_PACK_COLUMNS; from += lengths[i++]) {
    bool whole = !single || i == FSY_PACK_MODES || i == FSY_PACK_LINK_LENGTHS;
    lengths[i] = i == FSY_PACK_NAMES ? 2 * rows
                 : i == FSY_PACK_LINKS ? 2
                 : whole               ? widths[i] * rows
                 : i == FSY_PACK_ATTRIBUTES || i == FSY_PACK_INODES ? 0
                                                                    : widths[i];
    put16(from);
    put16(lengths[i]);
  }
  for (uint32_t i = 0; i < FSY_PACK_COLUMNS; i++) {
    uint32_t values = widths[i] ? lengths[i] / widths[i] : 0;
    if (i == FSY_PACK_NAMES)
      for (uint32_t row = 0; row < rows; row++) put16(row + 1 == rows ? '.' : 'A' + row);
    else if (i == FSY_PACK_LINKS) put16('t');
    else if (i == FSY_PACK_MODES)
      for (uint32_t row = 0; row < values; row++) put32(row + 1 == rows ? 040755 : row == 1 ? 0120777 : row == 2 ? 010644 : 0104755);
    else if (i == FSY_PACK_LINK_LENGTHS)
      for (uint32_t row = 0; row < values; row++) put16(row == 1);
    else if (i == FSY_PACK_NAME_LENGTHS)
      for (uint32_t row = 0; row < values; row++) put16(1);
    else if (widths[i] == 8 && i != FSY_PACK_ATTRIBUTES && i != FSY_PACK_INODES)
      for (uint32_t row = 0; row < values; row++) put_double(row * 10.0);
    else
      for (uint32_t byte = 0; byte < lengths[i]; byte++) put8(0);
  }
  save("rows", name);
}

/* ---- requests -------------------------------------------------------------------------------------------------------------- */

static void send_seeds(void) {
  for (uint32_t purpose = 0; purpose <= FSY_WIRE_COMMIT; purpose++) {
    for (uint32_t flags = 0; flags < 128; flags += 25) {
      char name[40];
      uint32_t whole = purpose == FSY_WIRE_RANGE ? 64 : 0;
      put8(purpose);
      put8(flags | whole);
      put8(purpose < FSY_WIRE_RANGE ? 7 : 1);
      put32(4096 + 1);
      put8(1);
      if ((flags | whole) & 64) {
        put32(1000);
        put32(60000);
      } else {
        put_double(0);
        put_double(60000);
      }
      for (uint32_t row = 0; row < 8; row++) put32(purpose < FSY_WIRE_RANGE ? row % 7 : 1);
      if (purpose == FSY_WIRE_RANGE) put16(15 * 16);
      zeros(40);
      snprintf(name, sizeof(name), "purpose-%u-%u", purpose, flags);
      save("send", name);
    }
  }
}

static void delta_seeds(void) {
  static const uint32_t sizes[][5] = {{60000, 60000, 0, 59999, 0}, {50000, 20000, 4096, 30000, 904}, {9000, 60000, 8999, 0, 60000}};
  for (uint32_t i = 0; i < 3; i++) {
    char name[20];
    for (uint32_t k = 0; k < 5; k++) put16(sizes[i][k]);
    for (uint32_t edits = 0; edits < 5; edits++) {
      put16(edits * 9000);
      put8(edits);
    }
    snprintf(name, sizeof(name), "sizes-%u", i);
    save("delta", name);
  }
}

static void ring_seeds(void) {
  for (uint32_t op = 0; op < 20; op++) {
    char name[20];
    put8(0);
    for (uint32_t turn = 0; turn < 3; turn++) {
      put8(op);
      put8(6); /* out of the first directory into the second */
      put32(turn);
      put8(turn == 0 ? 2 : turn);
      put8(turn == 2 ? 255 : 32);
      put8(turn == 2 ? op % 16 : 15);
      put8(turn * 2 + 1);
      put32(turn == 1 ? 0xffffffff : 3);
      put8(turn + 7 * (op % 2)); /* a name that is known */
      put8(2);
      put16(0);
      put16(5000);
    }
    snprintf(name, sizeof(name), "op-%u", op);
    save("ring", name);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  root = argv[1];
  attrs_seeds();
  delta_seeds();
  dents_seeds();
  frame_seeds();
  receive_seeds();
  ring_seeds();
  rows_seed("whole", 5, false);
  rows_seed("single", 5, true);
  rows_seed("many", 26, false);
  send_seeds();
  tar_seeds();
  return 0;
}
