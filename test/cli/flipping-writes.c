/* A disk that lies: preloaded, each write of exactly 10,000 bytes at the beginning of a file lands with one bit turned. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { BYTES = 10000 };

static ssize_t put(int fd, const void *from, size_t bytes, off_t at) {
  if (bytes != BYTES || at != 0) return syscall(SYS_pwrite64, fd, from, bytes, at);
  char turned[BYTES];
  memcpy(turned, from, BYTES);
  turned[BYTES / 2] ^= 1;
  return syscall(SYS_pwrite64, fd, turned, bytes, at);
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at) { return put(fd, from, bytes, at); }
ssize_t pwrite64(int fd, const void *from, size_t bytes, off_t at) { return put(fd, from, bytes, at); }

ssize_t write(int fd, const void *from, size_t bytes) {
  if (bytes != BYTES) return syscall(SYS_write, fd, from, bytes);
  char turned[BYTES];
  memcpy(turned, from, BYTES);
  turned[BYTES / 2] ^= 1;
  return syscall(SYS_write, fd, turned, bytes);
}
