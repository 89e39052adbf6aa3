/* A faulty disk, preloaded into a program. For what lies below the directory $DISK_DIRECTORY: calls that write do not return as
 * long as the file $DISK_HANGS_WHILE exists, and nothing can be written as long as the file $DISK_FULL_WHILE exists. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int is_below(const char *path) {
    const char *directory = getenv("DISK_DIRECTORY");
    return directory && strncmp(path, directory, strlen(directory)) == 0;
}

static int is_on(const char *name) {
    const char *file = getenv(name);
    return file && access(file, F_OK) == 0;
}

static void hang(const char *path) {
    while (is_below(path) && is_on("DISK_HANGS_WHILE"))
        usleep(2000);
}

/* The empty text where it has none. */
static void path_of(int descriptor, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, size - 1);
    path[length > 0 ? length : 0] = 0;
}

static void hang_at(int descriptor) {
    char path[4096];
    path_of(descriptor, path, sizeof path);
    hang(path);
}

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

ssize_t write(int descriptor, const void *bytes, size_t count) {
    char path[4096];
    path_of(descriptor, path, sizeof path);
    hang(path);
    if (is_below(path) && is_on("DISK_FULL_WHILE")) {
        errno = ENOSPC;
        return -1;
    }
    return REAL(ssize_t, "write", int, const void *, size_t)(descriptor, bytes, count);
}

int fsync(int descriptor) {
    hang_at(descriptor);
    return REAL(int, "fsync", int)(descriptor);
}

int fdatasync(int descriptor) {
    hang_at(descriptor);
    return REAL(int, "fdatasync", int)(descriptor);
}

int rename(const char *from, const char *to) {
    hang(from);
    return REAL(int, "rename", const char *, const char *)(from, to);
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    hang(path);
    return REAL(int, "open64", const char *, int, ...)(path, flags, mode);
}
