/* SHA-256 (FIPS 180-4), with the SHA extensions of x86 where the CPU has them. */
#include "internal.h"

static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

static uint32_t load(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static void blocks_portable(uint32_t state[8], const uint8_t *data, size_t count) {
  for (; count; count--, data += 64) {
    uint32_t w[64];
    for (int i = 0; i < 16; i++) w[i] = load(data + 4 * i);
    for (int i = 16; i < 64; i++) {
      uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
      uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    uint32_t s[8];
    memcpy(s, state, sizeof(s));
    for (int i = 0; i < 64; i++) {
      uint32_t e1 = rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25);
      uint32_t t1 = s[7] + e1 + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
      uint32_t e0 = rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22);
      uint32_t t2 = e0 + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
      s[7] = s[6];
      s[6] = s[5];
      s[5] = s[4];
      s[4] = s[3] + t1;
      s[3] = s[2];
      s[2] = s[1];
      s[1] = s[0];
      s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
  }
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/* CPUID 7.0 EBX bit 29 (SHA) and 1 ECX bits 9 and 19 (SSSE3, SSE4.1); __builtin_cpu_supports knows no "sha" in gcc 12 */
bool fsy_sha256_fast(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 9) || !(c & 1u << 19)) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29);
}

__attribute__((target("sha,sse4.1,ssse3"))) static void blocks_sha(uint32_t state[8], const uint8_t *data,
                                                                    size_t count) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
  __m128i t = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)&state[0]), 0xb1);  /* CDAB */
  __m128i s1 = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)&state[4]), 0x1b); /* EFGH */
  __m128i s0 = _mm_alignr_epi8(t, s1, 8);                                                         /* ABEF */
  s1 = _mm_blend_epi16(s1, t, 0xf0);                                                              /* CDGH */
  for (; count; count--, data += 64) {
    const __m128i before0 = s0, before1 = s1;
    __m128i w[4];
    for (int i = 0; i < 4; i++)
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(data + 16 * i)), swap);
    for (int i = 0; i < 16; i++) {
      __m128i now = w[i & 3];
      __m128i sum = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)(const void *)&k[4 * i]));
      s1 = _mm_sha256rnds2_epu32(s1, s0, sum);
      s0 = _mm_sha256rnds2_epu32(s0, s1, _mm_shuffle_epi32(sum, 0x0e));
      if (i < 12) { /* w[i+4] from w[i], w[i+1], w[i+2], w[i+3] */
        __m128i next = _mm_sha256msg1_epu32(now, w[(i + 1) & 3]);
        next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
        w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
      }
    }
    s0 = _mm_add_epi32(s0, before0);
    s1 = _mm_add_epi32(s1, before1);
  }
  t = _mm_shuffle_epi32(s0, 0x1b);  /* FEBA */
  s1 = _mm_shuffle_epi32(s1, 0xb1); /* DCHG */
  _mm_storeu_si128((__m128i *)(void *)&state[0], _mm_blend_epi16(t, s1, 0xf0));
  _mm_storeu_si128((__m128i *)(void *)&state[4], _mm_alignr_epi8(s1, t, 8));
}
#else
bool fsy_sha256_fast(void) { return false; }
#endif

static void blocks(fsy_sha256 *s, const uint8_t *data, size_t count) {
#if defined(__x86_64__)
  if (s->fast) {
    blocks_sha(s->state, data, count);
    return;
  }
#endif
  blocks_portable(s->state, data, count);
}

void fsy_sha256_open(fsy_sha256 *s, bool fast) {
  static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(s->state, start, sizeof(start));
  s->bytes = 0;
  s->fill = 0;
  s->fast = fast;
}

void fsy_sha256_add(fsy_sha256 *s, const void *data, size_t bytes) {
  const uint8_t *p = data;
  s->bytes += bytes;
  if (s->fill) {
    size_t take = 64 - s->fill < bytes ? 64 - s->fill : bytes;
    memcpy(s->block + s->fill, p, take);
    s->fill += (uint32_t)take;
    p += take;
    bytes -= take;
    if (s->fill < 64) return;
    blocks(s, s->block, 1);
    s->fill = 0;
  }
  if (bytes >= 64) blocks(s, p, bytes / 64);
  p += bytes / 64 * 64;
  bytes %= 64;
  memcpy(s->block, p, bytes);
  s->fill = (uint32_t)bytes;
}

void fsy_sha256_close(fsy_sha256 *s, uint8_t digest[32]) {
  uint64_t bits = s->bytes * 8;
  uint8_t end[72] = {0x80};
  size_t pad = (s->fill < 56 ? 56u : 120u) - s->fill;
  for (int i = 0; i < 8; i++) end[pad + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
  fsy_sha256_add(s, end, pad + 8);
  for (int i = 0; i < 8; i++)
    for (int b = 0; b < 4; b++) digest[4 * i + b] = (uint8_t)(s->state[i] >> (24 - 8 * b));
}
