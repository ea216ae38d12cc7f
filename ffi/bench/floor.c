/* floor SRC DST: the least that a safe copy of a tree of small files can cost: two threads, each directory by one,
 * open, read, fstat, O_TMPFILE, write, futimens, linkat; no ring, no batches, no checks. DST must not exist. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS 2
#define BUFFER (1 << 20)

static char **source_paths, **target_paths;
static size_t paths;
static atomic_size_t next_path, files;

static void add(const char *source, const char *target) {
  source_paths = realloc(source_paths, (paths + 1) * sizeof(char *));
  target_paths = realloc(target_paths, (paths + 1) * sizeof(char *));
  source_paths[paths] = strdup(source);
  target_paths[paths++] = strdup(target);
  mkdir(target, 0755);
  DIR *d = opendir(source);
  if (!d) {
    perror(source);
    exit(1);
  }
  for (struct dirent *e; (e = readdir(d));) {
    if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    char a[4096], b[4096];
    snprintf(a, sizeof(a), "%s/%s", source, e->d_name);
    snprintf(b, sizeof(b), "%s/%s", target, e->d_name);
    add(a, b);
  }
  closedir(d);
}

static void copy(int from, int to, const char *name, char *buffer) {
  int in = openat(from, name, O_RDONLY | O_NOFOLLOW);
  int out = openat(to, ".", O_TMPFILE | O_WRONLY, 0644);
  struct stat st;
  ssize_t got;
  while ((got = read(in, buffer, BUFFER)) > 0) {
    if (write(out, buffer, (size_t)got) != got) exit(3);
    if (got < BUFFER) break;
  }
  fstat(in, &st);
  struct timespec times[2] = {{0, UTIME_OMIT}, st.st_mtim};
  if (in < 0 || out < 0 || futimens(out, times) < 0 || linkat(out, "", to, name, AT_EMPTY_PATH) < 0) {
    perror(name);
    exit(3);
  }
  close(in);
  close(out);
  atomic_fetch_add(&files, 1);
}

static void *work(void *unused) {
  char *buffer = malloc(BUFFER);
  for (size_t i; (i = atomic_fetch_add(&next_path, 1)) < paths;) {
    int from = open(source_paths[i], O_RDONLY | O_DIRECTORY), to = open(target_paths[i], O_RDONLY | O_DIRECTORY);
    DIR *d = opendir(source_paths[i]);
    for (struct dirent *e; (e = readdir(d));)
      if (e->d_type == DT_REG) copy(from, to, e->d_name, buffer);
    closedir(d);
    close(from);
    close(to);
  }
  free(buffer);
  return unused;
}

int main(int argc, char **argv) {
  if (argc != 3) return 1;
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  add(argv[1], argv[2]);
  pthread_t thread[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, work, NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
  clock_gettime(CLOCK_MONOTONIC, &b);
  printf("%.3f s, %zu files\n", (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9, files);
  return 0;
}
