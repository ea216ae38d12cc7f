/* The inputs of ../fuzz/corpus, seeds and whatever was found, through their targets. */
#include "harness.h"

#include "../fuzz/fuzz.h"

#include <dirent.h>

#ifndef FSY_FUZZ_CORPUS
#define FSY_FUZZ_CORPUS "ffi/fuzz/corpus"
#endif

static int run_inputs(const fuzz_target *target) {
  char path[4096];
  int inputs = 0;
  snprintf(path, sizeof(path), "%s/%s", FSY_FUZZ_CORPUS, target->name);
  DIR *d = opendir(path);
  if (!d) return 0;
  for (struct dirent *e; (e = readdir(d));) {
    static uint8_t data[FUZZ_MOST + 1];
    int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = e->d_name[0] == '.' || fd < 0 ? -1 : read(fd, data, sizeof(data));
    if (fd >= 0) close(fd);
    if (bytes < 0) continue;
    CHECK(bytes <= (ssize_t)FUZZ_MOST);
    target->run(data, (size_t)bytes);
    inputs++;
  }
  closedir(d);
  target->end();
  return inputs;
}

TEST(S37_corpus_of_every_fuzz_target) {
  setenv("FSY_FUZZ_DIR", dir, 1);
  for (const fuzz_target *target = fuzz_targets; target->name; target++) {
    int inputs = run_inputs(target);
    if (inputs == 0) test_failed(__FILE__, __LINE__, target->name);
  }
  unsetenv("FSY_FUZZ_DIR");
}
