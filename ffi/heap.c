/* Blocks inside the arena.
 *
 * The arena is cut into units of 16 KiB. A span is a run of units, free or taken; free neighbours are merged through
 * the marks at both ends, and free spans hang in lists by size class (log2). Requests up to 12 KiB come from slabs
 * (spans of 64 KiB cut into equal blocks, with a bitmap), so that an offset that was never handed out, or was freed
 * before, is recognised. All bookkeeping is outside the arena: a stray write of the owner cannot corrupt it.
 * Pages of large free spans go back to the system at once, those of small ones when 16 MiB have gathered.
 */
#include "internal.h"

#include <stdlib.h>
#include <sys/mman.h>

#define UNIT_SHIFT 14u
#define UNIT (1u << UNIT_SHIFT)
#define SLAB_UNITS 4u
#define SLAB_BYTES (SLAB_UNITS * UNIT)
#define BINS 18u
#define RELEASE_AT_ONCE (1u << 20)
#define RELEASE_GATHERED (16u << 20)
#define NONE UINT32_MAX

static const uint32_t class_bytes[] = {64,   128,  192,  256,  384,  512,  768,  1024,
                                       1536, 2048, 3072, 4096, 6144, 8192, 12288};
#define CLASSES (sizeof(class_bytes) / sizeof(class_bytes[0]))
#define SMALL_MAX 12288u

typedef struct slab {
  struct slab *next, *previous; /* among those of the class with room */
  uint32_t unit;
  uint32_t class_index;
  uint32_t blocks, taken;
  uint64_t map[SLAB_BYTES / 64 / 64]; /* bit set: handed out */
} slab;

enum { STATE_INSIDE, STATE_FREE, STATE_SPAN, STATE_SLAB };

struct fsy_heap {
  pthread_mutex_t lock;
  uint8_t *base;
  uint32_t first_unit, units; /* the heap is units first_unit..units-1 */
  uint8_t *state;             /* of a span's first unit; STATE_INSIDE elsewhere */
  uint32_t *length;           /* units, at the first and at the last unit of a span */
  uint32_t *next, *previous;  /* links of free spans, by first unit */
  uint8_t *last_of_free;      /* this unit ends a free span */
  slab **slabs;               /* by first unit / SLAB_UNITS is not aligned: by first unit */
  uint32_t bin[BINS];
  slab *room[CLASSES];
  uint64_t dirty; /* bytes freed and not given back */
  uint64_t *used;
};

static uint32_t bin_of(uint32_t units) {
  uint32_t bin = 31u - (uint32_t)__builtin_clz(units);
  return bin < BINS ? bin : BINS - 1;
}

static void bin_add(fsy_heap *h, uint32_t unit, uint32_t units) {
  uint32_t bin = bin_of(units);
  h->state[unit] = STATE_FREE;
  h->length[unit] = units;
  h->length[unit + units - 1] = units;
  h->last_of_free[unit + units - 1] = 1;
  h->previous[unit] = NONE;
  h->next[unit] = h->bin[bin];
  if (h->bin[bin] != NONE) h->previous[h->bin[bin]] = unit;
  h->bin[bin] = unit;
}

static void bin_remove(fsy_heap *h, uint32_t unit) {
  uint32_t units = h->length[unit];
  uint32_t next = h->next[unit], previous = h->previous[unit];
  if (previous != NONE) h->next[previous] = next;
  else h->bin[bin_of(units)] = next;
  if (next != NONE) h->previous[next] = previous;
  h->last_of_free[unit + units - 1] = 0;
  h->state[unit] = STATE_INSIDE;
}

static uint32_t span_take(fsy_heap *h, uint32_t units, uint8_t state) {
  for (uint32_t bin = bin_of(units); bin < BINS; bin++) {
    /* best of the first few that fit: keeps large spans whole without long searches */
    uint32_t best = NONE;
    uint32_t seen = 0;
    for (uint32_t at = h->bin[bin]; at != NONE && seen < 64; at = h->next[at]) {
      if (h->length[at] < units) {
        if (best != NONE) seen++;
        continue;
      }
      seen++;
      if (best == NONE || h->length[at] < h->length[best]) best = at;
    }
    if (best == NONE) continue;
    uint32_t have = h->length[best];
    bin_remove(h, best);
    if (have > units) bin_add(h, best + units, have - units);
    h->state[best] = state;
    h->length[best] = units;
    return best;
  }
  return NONE;
}

static void span_give(fsy_heap *h, uint32_t unit) {
  uint32_t units = h->length[unit];
  uint64_t bytes = (uint64_t)units << UNIT_SHIFT;
  if (bytes >= RELEASE_AT_ONCE) (void)madvise(h->base + ((uint64_t)unit << UNIT_SHIFT), bytes, MADV_DONTNEED);
  else h->dirty += bytes;
  h->state[unit] = STATE_INSIDE;
  if (unit + units < h->units && h->state[unit + units] == STATE_FREE) {
    uint32_t more = h->length[unit + units];
    bin_remove(h, unit + units);
    units += more;
  }
  if (unit > h->first_unit && h->last_of_free[unit - 1]) {
    uint32_t more = h->length[unit - 1];
    bin_remove(h, unit - more);
    unit -= more;
    units += more;
  }
  bin_add(h, unit, units);
  if (h->dirty < RELEASE_GATHERED) return;
  h->dirty = 0;
  for (uint32_t bin = 0; bin < BINS; bin++)
    for (uint32_t at = h->bin[bin]; at != NONE; at = h->next[at])
      (void)madvise(h->base + ((uint64_t)at << UNIT_SHIFT), (size_t)h->length[at] << UNIT_SHIFT, MADV_DONTNEED);
}

static void room_add(fsy_heap *h, slab *s) {
  s->previous = NULL;
  s->next = h->room[s->class_index];
  if (s->next) s->next->previous = s;
  h->room[s->class_index] = s;
}

static void room_remove(fsy_heap *h, slab *s) {
  if (s->previous) s->previous->next = s->next;
  else h->room[s->class_index] = s->next;
  if (s->next) s->next->previous = s->previous;
}

static uint32_t small_take(fsy_heap *h, uint32_t class_index) {
  slab *s = h->room[class_index];
  if (!s) {
    s = calloc(1, sizeof(*s));
    if (!s) return 0;
    uint32_t unit = span_take(h, SLAB_UNITS, STATE_SLAB);
    if (unit == NONE) {
      free(s);
      return 0;
    }
    s->unit = unit;
    s->class_index = class_index;
    s->blocks = SLAB_BYTES / class_bytes[class_index];
    h->slabs[unit] = s;
    room_add(h, s);
  }
  for (uint32_t word = 0; word < sizeof(s->map) / 8; word++) {
    if (s->map[word] == UINT64_MAX) continue;
    uint32_t block = word * 64 + (uint32_t)__builtin_ctzll(~s->map[word]);
    if (block >= s->blocks) break;
    s->map[word] |= 1ull << (block & 63);
    s->taken++;
    if (s->taken == s->blocks) room_remove(h, s);
    return (s->unit << UNIT_SHIFT) + block * class_bytes[class_index];
  }
  return 0;
}

static bool small_give(fsy_heap *h, slab *s, uint32_t at) {
  uint32_t bytes = class_bytes[s->class_index];
  uint32_t inside = at - (s->unit << UNIT_SHIFT);
  if (inside % bytes) return false;
  uint32_t block = inside / bytes;
  uint64_t bit = 1ull << (block & 63);
  if (block >= s->blocks || !(s->map[block / 64] & bit)) return false;
  s->map[block / 64] &= ~bit;
  if (s->taken == s->blocks) room_add(h, s);
  s->taken--;
  /* the last slab of a class stays, so that one block taken and given in turn does not churn */
  if (s->taken == 0 && (s->next || s->previous)) {
    room_remove(h, s);
    h->slabs[s->unit] = NULL;
    span_give(h, s->unit);
    free(s);
  }
  return true;
}

fsy_heap *fsy_heap_open(uint8_t *base, uint64_t from, uint64_t bytes, uint64_t *used) {
  fsy_heap *h = calloc(1, sizeof(*h));
  if (!h) return NULL;
  h->base = base;
  h->used = used;
  h->first_unit = (uint32_t)((from + UNIT - 1) >> UNIT_SHIFT);
  h->units = (uint32_t)(bytes >> UNIT_SHIFT);
  h->state = calloc(h->units, 1);
  h->last_of_free = calloc(h->units, 1);
  h->length = calloc(h->units, sizeof(uint32_t));
  h->next = calloc(h->units, sizeof(uint32_t));
  h->previous = calloc(h->units, sizeof(uint32_t));
  h->slabs = calloc(h->units, sizeof(slab *));
  pthread_mutex_init(&h->lock, NULL);
  if (!h->state || !h->last_of_free || !h->length || !h->next || !h->previous || !h->slabs) {
    fsy_heap_close(h);
    return NULL;
  }
  for (uint32_t i = 0; i < BINS; i++) h->bin[i] = NONE;
  bin_add(h, h->first_unit, h->units - h->first_unit);
  return h;
}

void fsy_heap_close(fsy_heap *h) {
  if (!h) return;
  if (h->slabs)
    for (uint32_t i = 0; i < h->units; i++) free(h->slabs[i]);
  free(h->state);
  free(h->last_of_free);
  free(h->length);
  free(h->next);
  free(h->previous);
  free(h->slabs);
  pthread_mutex_destroy(&h->lock);
  free(h);
}

uint32_t fsy_heap_take(fsy_heap *h, uint64_t bytes) {
  if (bytes == 0) bytes = 1;
  if (bytes > ((uint64_t)h->units << UNIT_SHIFT)) return 0;
  pthread_mutex_lock(&h->lock);
  uint32_t at = 0;
  uint64_t taken = 0;
  if (bytes <= SMALL_MAX) {
    uint32_t class_index = 0;
    while (class_bytes[class_index] < bytes) class_index++;
    at = small_take(h, class_index);
    taken = class_bytes[class_index];
  } else {
    uint32_t units = (uint32_t)((bytes + UNIT - 1) >> UNIT_SHIFT);
    uint32_t unit = span_take(h, units, STATE_SPAN);
    at = unit == NONE ? 0 : unit << UNIT_SHIFT;
    taken = (uint64_t)units << UNIT_SHIFT;
  }
  if (at) {
    __atomic_fetch_add(h->used, taken, __ATOMIC_RELAXED);
    memset(h->base + at, 0, 64);
  }
  pthread_mutex_unlock(&h->lock);
  return at;
}

bool fsy_heap_give(fsy_heap *h, uint32_t block) {
  uint32_t unit = block >> UNIT_SHIFT;
  if (block % 64 || unit < h->first_unit || unit >= h->units) return false;
  bool known = false;
  uint64_t given = 0;
  pthread_mutex_lock(&h->lock);
  if (h->state[unit] == STATE_SPAN && (block & (UNIT - 1)) == 0) {
    given = (uint64_t)h->length[unit] << UNIT_SHIFT;
    span_give(h, unit);
    known = true;
  } else {
    for (uint32_t back = 0; back < SLAB_UNITS && unit - back >= h->first_unit; back++) {
      slab *s = h->slabs[unit - back];
      if (!s) continue;
      given = class_bytes[s->class_index];
      known = small_give(h, s, block);
      break;
    }
  }
  if (known) __atomic_fetch_sub(h->used, given, __ATOMIC_RELAXED);
  pthread_mutex_unlock(&h->lock);
  return known;
}
