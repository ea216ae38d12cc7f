/* Calls that are made again, and the plans of tests: see fault.h. */
#include "internal.h"

#define PAUSES 10u /* 1, 2, 4 .. 512 ms */

int fsy_again(int error, unsigned *round) {
  if (error == EINTR) return 1;
  if (error != EAGAIN || *round == PAUSES) return 0;
  struct timespec pause = {0, 1000000l << (*round)++};
  (void)nanosleep(&pause, NULL);
  return 1;
}

#ifdef FSY_FAULTS
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#define FSY_POINT_NAME(name, kind) #name,
static const char *const names[] = {FSY_FAULT_POINTS(FSY_POINT_NAME)};
static atomic_uint passes[FSY_POINT_COUNT];
static _Thread_local bool cut; /* the call that follows moves less */

static _Atomic(const char *) given; /* NULL: FSY_FAULT is asked */

void fsy_fault_plan(const char *plan) {
  for (size_t i = 0; i < FSY_POINT_COUNT; i++) atomic_store(&passes[i], 0);
  atomic_store(&given, plan);
}

static void trace(const char *name) {
  static atomic_int file = -1;
  const char *path = getenv("FSY_FAULT_TRACE");
  if (!path) return;
  int fd = atomic_load(&file);
  if (fd < 0) {
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    int none = -1;
    if (fd >= 0 && !atomic_compare_exchange_strong(&file, &none, fd)) {
      (void)close(fd);
      fd = none;
    }
  }
  char line[32];
  size_t length = strlen(name);
  memcpy(line, name, length);
  line[length] = '\n';
  (void)!write(fd, line, length + 1);
}

/* The next plan for the point in `plans`, behind its name and colon; NULL: none. */
static const char *plan_of(const char *plans, const char *name, size_t length) {
  for (const char *at = plans; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
    if (strncmp(at, name, length) == 0 && at[length] == ':') return at + length + 1;
  return NULL;
}

int fsy_fault(fsy_point point) {
  const char *name = names[point];
  cut = false;
  trace(name);
  unsigned long pass = atomic_fetch_add(&passes[point], 1) + 1;
  const char *plan = atomic_load(&given);
  if (!plan) plan = getenv("FSY_FAULT");
  while ((plan = plan_of(plan, name, strlen(name)))) {
    char *rest;
    unsigned long nth = strtoul(plan, &rest, 10);
    bool on = *rest == '+';
    if (on) rest++;
    if (pass != nth && !(on && pass > nth)) continue;
    if (!strncmp(rest, ":kill", 5)) {
      (void)raise(SIGKILL);
      (void)pause();
    }
    if (!strncmp(rest, ":short", 6)) cut = true;
    else return *rest == ':' ? atoi(rest + 1) : EIO;
  }
  return 0;
}

size_t fsy_fault_short(fsy_point point, size_t bytes) {
  (void)point;
  return cut && bytes > 1 ? (bytes + 1) / 2 : bytes;
}
#endif
