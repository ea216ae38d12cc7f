/* Put before every source of the prebuilt library (see cc-oldest-glibc), so that what is linked on a new glibc loads on
 * an old one: glibc 2.17, the floor of Bun itself.
 *
 * Some calls got a new symbol version without a new meaning; they are bound to the old one, which glibc keeps. Others
 * were inline functions before glibc 2.33 and have no old symbol; those go to the kernel by number, whose `struct stat`
 * is glibc's own on these two machines. */
#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define FSY_OLDEST "GLIBC_2.2.5"
#else
#define FSY_OLDEST "GLIBC_2.17"
#endif

/* Moved from libpthread into libc by glibc 2.32 and 2.34. */
__asm__(".symver pthread_create,pthread_create@" FSY_OLDEST);
__asm__(".symver pthread_join,pthread_join@" FSY_OLDEST);
__asm__(".symver pthread_attr_setstacksize,pthread_attr_setstacksize@" FSY_OLDEST);
__asm__(".symver pthread_sigmask,pthread_sigmask@" FSY_OLDEST);
#if defined(__x86_64__)
__asm__(".symver pthread_condattr_setclock,pthread_condattr_setclock@GLIBC_2.3.3");
#else
__asm__(".symver pthread_condattr_setclock,pthread_condattr_setclock@" FSY_OLDEST);
#endif
/* Made by 64-bit file offsets since glibc 2.28; the same as fcntl where long has 64 bits. */
__asm__(".symver fcntl64,fcntl@" FSY_OLDEST);
__asm__(".symver fcntl,fcntl@" FSY_OLDEST);

static inline int fsy_oldest_fstat(int fd, struct stat *result) { return (int)syscall(SYS_fstat, fd, result); }
static inline int fsy_oldest_fstatat(int fd, const char *path, struct stat *result, int flags) {
  return (int)syscall(SYS_newfstatat, fd, path, result, flags);
}
static inline int fsy_oldest_mknodat(int fd, const char *path, mode_t mode, dev_t device) {
  if (device != (unsigned)device) {
    errno = EINVAL;
    return -1;
  }
  return (int)syscall(SYS_mknodat, fd, path, mode, (unsigned)device);
}
#define fstat fsy_oldest_fstat
#define fstatat fsy_oldest_fstatat
#define mknodat fsy_oldest_mknodat
#endif
