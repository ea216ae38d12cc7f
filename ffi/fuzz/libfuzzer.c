/* libFuzzer's door to the target that FSY_FUZZ_TARGET names. */
#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const fuzz_target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  (void)argv;
  const char *name = getenv("FSY_FUZZ_TARGET");
  for (const fuzz_target *t = fuzz_targets; t->name; t++)
    if (name && strcmp(t->name, name) == 0) target = t;
  if (target) return 0;
  fprintf(stderr, "FSY_FUZZ_TARGET names no target\n");
  exit(2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes <= FUZZ_MOST) target->run(data, bytes);
  return 0;
}
