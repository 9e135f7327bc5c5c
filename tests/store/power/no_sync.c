/* Lets no file (NO_SYNC=files), no folder (NO_SYNC=folders) or nothing (NO_SYNC=all) be kept: for a process that has this
 * loaded before the C library, fsync says that it was done. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_left_out(int fd) {
    const char *what = getenv("NO_SYNC");
    struct stat s;
    if (!what || fstat(fd, &s)) return 0;
    return !strcmp(what, "all") || !strcmp(what, S_ISDIR(s.st_mode) ? "folders" : "files");
}

int fsync(int fd) { return is_left_out(fd) ? 0 : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return is_left_out(fd) ? 0 : (int)syscall(SYS_fdatasync, fd); }
