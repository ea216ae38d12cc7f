/* All targets, and what several of them need. */
#include "fuzz.h"

#include <dirent.h>

const fuzz_target fuzz_targets[] = {
    {"attrs", fuzz_attrs, fuzz_attrs_end},
    {"delta", fuzz_delta, fuzz_delta_end},
    {"dents", fuzz_dents, fuzz_dents_end},
    {"frame", fuzz_frame, fuzz_frame_end},
    {"receive", fuzz_receive, fuzz_receive_end},
    {"ring", fuzz_ring, fuzz_ring_end},
    {"rows", fuzz_rows, fuzz_rows_end},
    {"send", fuzz_send, fuzz_send_end},
    {"tar", fuzz_tar, fuzz_tar_end},
    {NULL, NULL, NULL},
};

/* In memory, or where FSY_FUZZ_DIR says; who runs the targets removes it. */
int fuzz_directory(void) {
  const char *root = getenv("FSY_FUZZ_DIR");
  char path[300];
  snprintf(path, sizeof(path), "%s/fsy-fuzz.XXXXXX", root ? root : "/dev/shm");
  if (!mkdtemp(path)) {
    perror(path);
    abort();
  }
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) abort();
  return fd;
}

void fuzz_file(int directory, const char *name, size_t bytes, unsigned seed) {
  int fd = openat(directory, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  HOLDS(fd >= 0);
  uint8_t block[4096];
  for (size_t done = 0; done < bytes;) {
    size_t n = bytes - done < sizeof(block) ? bytes - done : sizeof(block);
    for (size_t i = 0; i < n; i++) block[i] = (uint8_t)((done + i) * 31 + ((done + i) >> 9) + seed);
    HOLDS(write(fd, block, n) == (ssize_t)n);
    done += n;
  }
  close(fd);
}

uint32_t fuzz_entries(int directory) {
  uint32_t count = 0;
  DIR *d = fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  HOLDS(d);
  for (struct dirent *e; (e = readdir(d));) count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
  closedir(d);
  return count;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif
#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
void fuzz_forbid(const void *at, size_t bytes) { __asan_poison_memory_region(at, bytes); }
void fuzz_allow(const void *at, size_t bytes) { __asan_unpoison_memory_region(at, bytes); }
#else
void fuzz_forbid(const void *at, size_t bytes) {
  (void)at;
  (void)bytes;
}
void fuzz_allow(const void *at, size_t bytes) {
  (void)at;
  (void)bytes;
}
#endif
