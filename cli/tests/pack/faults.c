/* Loaded before the C library (LD_PRELOAD): writes down what a process does to the files below SELVEDGE_FAULT_UNDER, in
   the file SELVEDGE_FAULT_LOG, and at step SELVEDGE_FAULT_AT either kills it (SELVEDGE_FAULT=kill) or finds the disk full
   from there on (SELVEDGE_FAULT=full). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int steps;

static int is_below(const char *path) {
    const char *under = getenv("SELVEDGE_FAULT_UNDER");
    return under && strncmp(path, under, strlen(under)) == 0;
}

/* Whether this step fails. */
static int step(const char *what, const char *path, const char *to, int takes_room) {
    if (!is_below(path)) return 0;
    int at = atomic_fetch_add(&steps, 1) + 1;
    char line[2 * PATH_MAX + 32];
    int len = snprintf(line, sizeof line, "%s %s%s%s\n", what, path, to ? " " : "", to ? to : "");
    int log = (int)syscall(SYS_openat, AT_FDCWD, getenv("SELVEDGE_FAULT_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0644);
    syscall(SYS_write, log, line, (size_t)len);
    syscall(SYS_close, log);
    const char *fault = getenv("SELVEDGE_FAULT"), *from = getenv("SELVEDGE_FAULT_AT");
    if (!fault || !from) return 0;
    if (strcmp(fault, "kill") == 0 && at == atoi(from)) raise(SIGKILL);
    if (strcmp(fault, "full") == 0 && at >= atoi(from) && takes_room) {
        errno = ENOSPC;
        return 1;
    }
    return 0;
}

static int step_of(const char *what, int fd, int takes_room) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len < 0 ? 0 : len] = 0;
    return step(what, path, NULL, takes_room);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPENS(name)                                                                                                    \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                                                      \
        va_end(rest);                                                                                                  \
        return flags & O_CREAT && step("create", path, NULL, 1) ? -1 : REAL(name)(path, flags, mode);                  \
    }
OPENS(open)
OPENS(open64)

ssize_t write(int fd, const void *bytes, size_t len) {
    return step_of("write", fd, 1) ? -1 : REAL(write)(fd, bytes, len);
}

int fsync(int fd) { return step_of("fsync", fd, 1) ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return step_of("fsync", fd, 1) ? -1 : REAL(fdatasync)(fd); }

int mkdir(const char *path, mode_t mode) { return step("mkdir", path, NULL, 1) ? -1 : REAL(mkdir)(path, mode); }

int rename(const char *from, const char *to) { return step("rename", from, to, 0) ? -1 : REAL(rename)(from, to); }
