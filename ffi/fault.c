/* Fault injection for tests: FSY_FAULT="point:nth:errno|kill". Compiled only with -DFSY_FAULTS. */
#include "internal.h"

#ifdef FSY_FAULTS
#include <signal.h>
#include <stdlib.h>

static atomic_uint passes; /* of the planned point */

void fsy_fault_reset(void) { atomic_store(&passes, 0); }

int fsy_fault(const char *point) {
  const char *plan = getenv("FSY_FAULT");
  size_t length = strlen(point);
  if (!plan || strncmp(plan, point, length) != 0 || plan[length] != ':') return 0;
  char *rest;
  unsigned long nth = strtoul(plan + length + 1, &rest, 10);
  if (atomic_fetch_add(&passes, 1) + 1 != nth) return 0;
  if (!strcmp(rest, ":kill")) {
    raise(SIGKILL);
    pause();
  }
  return *rest == ':' ? atoi(rest + 1) : EIO;
}
#else
typedef int fsy_fault_off; /* ISO C wants a declaration */
#endif
