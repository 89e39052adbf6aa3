/* A disk that does not answer: preloaded into a program, calls that write below the directory $HANG_DIRECTORY do not return as
 * long as the file $HANG_WHILE exists. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static void hang(const char *path) {
    const char *directory = getenv("HANG_DIRECTORY"), *while_there = getenv("HANG_WHILE");
    if (directory && while_there && strncmp(path, directory, strlen(directory)) == 0)
        while (access(while_there, F_OK) == 0)
            usleep(2000);
}

static void hang_at(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        hang(path);
    }
}

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

ssize_t write(int descriptor, const void *bytes, size_t count) {
    hang_at(descriptor);
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
