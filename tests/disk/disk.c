/* A faulty disk, preloaded into a program. For what lies below the directory $DISK_DIRECTORY: calls do not return as long as the
 * file $DISK_HANGS_WHILE exists, and nothing can be written as long as the file $DISK_FULL_WHILE exists. $DISK_HANGS_CALL names
 * the one call that hangs; without it every call does that changes something or opens. A call that hangs makes the file
 * $DISK_HANGS_WHILE.reached. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int is_chosen(const char *call) {
    const char *chosen = getenv("DISK_HANGS_CALL");
    if (chosen)
        return strcmp(call, chosen) == 0;
    const char *all[] = {"open", "write", "fsync", "fdatasync", "rename"};
    for (size_t index = 0; index < sizeof all / sizeof *all; index++)
        if (strcmp(call, all[index]) == 0)
            return 1;
    return 0;
}

static int is_below(const char *path) {
    const char *directory = getenv("DISK_DIRECTORY");
    return directory && strncmp(path, directory, strlen(directory)) == 0;
}

static int is_on(const char *name) {
    const char *file = getenv(name);
    return file && access(file, F_OK) == 0;
}

static void hang(const char *call, const char *path) {
    int error = errno;
    if (is_below(path) && is_chosen(call) && is_on("DISK_HANGS_WHILE")) {
        char reached[PATH_MAX];
        snprintf(reached, sizeof reached, "%s.reached", getenv("DISK_HANGS_WHILE"));
        syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, reached, O_CREAT | O_WRONLY, 0600));
        while (is_on("DISK_HANGS_WHILE"))
            usleep(2000);
    }
    errno = error;
}

/* The empty text where it has none. */
static void path_of(int descriptor, char *path, size_t size) {
    char link[64];
    int error = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, size - 1);
    path[length > 0 ? length : 0] = 0;
    errno = error;
}

static void hang_at(const char *call, int descriptor) {
    char path[PATH_MAX];
    path_of(descriptor, path, sizeof path);
    hang(call, path);
}

/* A function that hangs and then does what it always does. `HANG` is where. */
#define CALL(type, name, HANG, parameters, arguments)                                                                    \
    type name parameters {                                                                                               \
        HANG;                                                                                                            \
        type (*real) parameters = (type(*) parameters)dlsym(RTLD_NEXT, #name);                                           \
        return real arguments;                                                                                           \
    }

CALL(ssize_t, read, hang_at("read", descriptor), (int descriptor, void *bytes, size_t count), (descriptor, bytes, count))
CALL(int, fsync, hang_at("fsync", descriptor), (int descriptor), (descriptor))
CALL(int, fdatasync, hang_at("fdatasync", descriptor), (int descriptor), (descriptor))
CALL(int, ftruncate64, hang_at("ftruncate", descriptor), (int descriptor, off64_t bytes), (descriptor, bytes))
CALL(int, flock, hang_at("flock", descriptor), (int descriptor, int operation), (descriptor, operation))
CALL(int, close, hang_at("close", descriptor), (int descriptor), (descriptor))
CALL(int, rename, hang("rename", from), (const char *from, const char *to), (from, to))
CALL(int, unlink, hang("unlink", path), (const char *path), (path))
CALL(int, mkdir, hang("mkdir", path), (const char *path, mode_t mode), (path, mode))
CALL(DIR *, opendir, hang("opendir", path), (const char *path), (path))
CALL(struct dirent64 *, readdir64, hang_at("readdir", dirfd(directory)), (DIR * directory), (directory))

/* With an empty path it asks for the descriptor itself. */
CALL(int, statx, *path ? hang("stat", path) : hang_at("stat", descriptor),
     (int descriptor, const char *restrict path, int flags, unsigned int mask, struct statx *restrict found),
     (descriptor, path, flags, mask, found))

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    hang("open", path);
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    return real(path, flags, mode);
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
    char path[PATH_MAX];
    path_of(descriptor, path, sizeof path);
    hang("write", path);
    if (is_below(path) && is_on("DISK_FULL_WHILE")) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t (*real)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    return real(descriptor, bytes, count);
}
