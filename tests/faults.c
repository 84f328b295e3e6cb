/* Faults for what a program does to the files below one folder.

   Preloaded with LD_PRELOAD, it counts every call that changes those files: creating, writing,
   syncing, renaming, deleting, truncating, making folders. `faults_arm` sets which call, counted
   from 1, is to go wrong and how, or that all are to be written to a log from which what was on
   disk at any moment can be put together again. Calls take turns, so that the log is in order. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NONE, KILL, TEAR, FULL, BROKEN, FULL_ON, BROKEN_ON };
enum op { OPEN = 1, WRITE, SYNC, RENAME, UNLINK, TRUNCATE, MKDIR, LINK, ALLOCATE };

struct record {
    uint32_t op, name_size, other_size, flags;
    uint64_t inode, offset, size;
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char home[PATH_MAX];
static size_t home_size;
static long done, at;
static int kind, log_fd = -1;

/* Count from 1 again, below `folder`; `number` 0 lets all calls pass. `log` is a descriptor to
   write a record of each call to, or -1. */
void faults_arm(const char *folder, int how, long number, int log) {
    pthread_mutex_lock(&turn);
    snprintf(home, sizeof home, "%s", folder);
    home_size = strlen(home);
    done = 0, at = number, kind = how, log_fd = log;
    pthread_mutex_unlock(&turn);
}

/* How many calls there were since. */
long faults_done(void) { return done; }

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
    return home_size && !strncmp(path, home, home_size) &&
           (path[home_size] == '/' || !path[home_size]);
}

/* Write where a descriptor leads to `path`; whether that is below the folder. */
static int leads_below(int fd, char *path) {
    char link[40];
    if (!home_size) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return below(path);
}

/* Write the absolute path of `name` to `path`; whether that is below the folder. */
static int is_below(int folder, const char *name, char *path) {
    char from[PATH_MAX];
    if (!home_size || !name) return 0;
    if (name[0] == '/')
        return snprintf(path, PATH_MAX, "%s", name) > 0 && below(path);
    if (folder == AT_FDCWD) {
        if (!getcwd(from, sizeof from)) return 0;
    } else
        leads_below(folder, from);
    return snprintf(path, PATH_MAX, "%s/%s", from, name) > 0 && below(path);
}

/* What is to become of the next call: 0 to let it pass, else the error it ends with; for a write
   that ends half done, `half` is set. May not return. */
static int verdict(enum op op, int *half) {
    *half = 0;
    long number = ++done;
    if (!at || number < at) return 0;
    if (number == at) {
        if (kind == KILL || (kind == TEAR && op != WRITE)) raise(SIGKILL);
        if (kind == TEAR || ((kind == BROKEN || kind == FULL_ON) && op == WRITE)) *half = 1;
        if (kind == TEAR) return EINTR; /* not seen: it is killed when half is written */
        return kind == FULL || kind == FULL_ON ? ENOSPC : EIO;
    }
    if (kind == FULL_ON && op != UNLINK) return ENOSPC; /* a full disk lets files be deleted */
    return kind == BROKEN_ON ? EIO : 0;
}

static void put(const void *data, size_t size) {
    const char *from = data;
    while (size) {
        ssize_t put = syscall(SYS_write, log_fd, from, size);
        if (put <= 0) abort();
        from += put, size -= put;
    }
}

static uint64_t inode_of(int fd) {
    struct stat64 found;
    return fstat64(fd, &found) ? 0 : found.st_ino;
}

static void note(enum op op, const char *name, const char *other, int flags, int fd,
                 uint64_t offset, const void *data, size_t size) {
    if (log_fd < 0) return;
    struct record record = {op, strlen(name), other ? strlen(other) : 0, flags,
                            fd < 0 ? 0 : inode_of(fd), offset, size};
    put(&record, sizeof record);
    put(name, record.name_size);
    put(other, record.other_size);
    if (data) put(data, size);
}

#define BEGIN(op)                                   \
    int half, error;                                \
    pthread_mutex_lock(&turn);                      \
    error = verdict(op, &half);
#define END(result)                                 \
    __typeof__(result) kept = (result);             \
    int number = errno;                             \
    pthread_mutex_unlock(&turn);                    \
    errno = number;                                 \
    return kept;
#define FAIL                                        \
    do {                                            \
        pthread_mutex_unlock(&turn);                \
        errno = error;                              \
        return -1;                                  \
    } while (0)

/* The common part of all that write; offset -1 is where the descriptor stands. */
static ssize_t writing(int fd, const void *data, size_t size, off64_t offset) {
    REAL(pwrite64);
    char path[PATH_MAX];
    if (!leads_below(fd, path))
        return offset < 0 ? syscall(SYS_write, fd, data, size) : real(fd, data, size, offset);
    BEGIN(WRITE);
    off64_t from = offset < 0 ? lseek64(fd, 0, SEEK_CUR) : offset;
    if (error && !half) FAIL;
    if (half) size /= 2;
    ssize_t put = offset < 0 ? syscall(SYS_write, fd, data, size) : real(fd, data, size, offset);
    if (half && kind == TEAR) raise(SIGKILL);
    if (half && kind == BROKEN) FAIL;
    if (half && !put) FAIL;
    if (put > 0) note(WRITE, path, NULL, 0, fd, from, data, put);
    END(put);
}

ssize_t write(int fd, const void *data, size_t size) { return writing(fd, data, size, -1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return writing(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    return writing(fd, data, size, offset);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    char path[PATH_MAX];
    if (!leads_below(fd, path)) return real(fd, parts, count);
    return count ? writing(fd, parts[0].iov_base, parts[0].iov_len, -1) : 0;
}

static int opening(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int changes = flags & (O_CREAT | O_TRUNC) || (flags & O_TMPFILE) == O_TMPFILE;
    if (!changes || !is_below(folder, name, path))
        return syscall(SYS_openat, folder, name, flags, mode);
    BEGIN(OPEN);
    if (error) FAIL;
    int fd = syscall(SYS_openat, folder, name, flags, mode);
    if (fd >= 0) note(OPEN, path, NULL, flags, fd, 0, NULL, 0);
    END(fd);
}

#define MODE                                            \
    mode_t mode = 0;                                    \
    if (flags & (O_CREAT | O_TMPFILE)) {                \
        va_list rest;                                   \
        va_start(rest, flags);                          \
        mode = va_arg(rest, mode_t);                    \
        va_end(rest);                                   \
    }
int open(const char *name, int flags, ...) { MODE return opening(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) {
    MODE return opening(AT_FDCWD, name, flags | O_LARGEFILE, mode);
}
int openat(int folder, const char *name, int flags, ...) {
    MODE return opening(folder, name, flags, mode);
}
int openat64(int folder, const char *name, int flags, ...) {
    MODE return opening(folder, name, flags | O_LARGEFILE, mode);
}
int creat(const char *name, mode_t mode) {
    return opening(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* A call on a descriptor, made by number so that its name's variants meet here. */
static int on_descriptor(enum op op, int fd, long call, long a, long b, long c) {
    char path[PATH_MAX];
    if (!leads_below(fd, path)) return syscall(call, fd, a, b, c);
    BEGIN(op);
    if (error) FAIL;
    int result = syscall(call, fd, a, b, c);
    if (!result) note(op, path, NULL, 0, fd, op == TRUNCATE ? a : 0, NULL, 0);
    END(result);
}

int fsync(int fd) { return on_descriptor(SYNC, fd, SYS_fsync, 0, 0, 0); }
int fdatasync(int fd) { return on_descriptor(SYNC, fd, SYS_fdatasync, 0, 0, 0); }
int ftruncate(int fd, off_t size) { return on_descriptor(TRUNCATE, fd, SYS_ftruncate, size, 0, 0); }
int ftruncate64(int fd, off64_t size) {
    return on_descriptor(TRUNCATE, fd, SYS_ftruncate, size, 0, 0);
}
int fallocate(int fd, int mode, off_t offset, off_t size) {
    return on_descriptor(ALLOCATE, fd, SYS_fallocate, mode, offset, size);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t size) {
    return on_descriptor(ALLOCATE, fd, SYS_fallocate, mode, offset, size);
}
int posix_fallocate(int fd, off_t offset, off_t size) {
    return on_descriptor(ALLOCATE, fd, SYS_fallocate, 0, offset, size) ? errno : 0;
}
int posix_fallocate64(int fd, off64_t offset, off64_t size) {
    return on_descriptor(ALLOCATE, fd, SYS_fallocate, 0, offset, size) ? errno : 0;
}

static int renaming(int from, const char *name, int to, const char *other, unsigned flags) {
    char path[PATH_MAX], path2[PATH_MAX];
    int ours = is_below(from, name, path);
    ours |= is_below(to, other, path2);
    if (!ours) return syscall(SYS_renameat2, from, name, to, other, flags);
    BEGIN(RENAME);
    if (error) FAIL;
    int result = syscall(SYS_renameat2, from, name, to, other, flags);
    if (!result) note(RENAME, path, path2, 0, -1, 0, NULL, 0);
    END(result);
}

int rename(const char *name, const char *other) {
    return renaming(AT_FDCWD, name, AT_FDCWD, other, 0);
}
int renameat(int from, const char *name, int to, const char *other) {
    return renaming(from, name, to, other, 0);
}
int renameat2(int from, const char *name, int to, const char *other, unsigned flags) {
    return renaming(from, name, to, other, flags);
}

static int on_name(enum op op, int folder, const char *name, long call, long a) {
    char path[PATH_MAX];
    if (!is_below(folder, name, path)) return syscall(call, folder, name, a);
    BEGIN(op);
    if (error) FAIL;
    int result = syscall(call, folder, name, a);
    if (!result) note(op, path, NULL, a, -1, 0, NULL, 0);
    END(result);
}

int unlink(const char *name) { return on_name(UNLINK, AT_FDCWD, name, SYS_unlinkat, 0); }
int unlinkat(int folder, const char *name, int flags) {
    return on_name(UNLINK, folder, name, SYS_unlinkat, flags);
}
int rmdir(const char *name) { return on_name(UNLINK, AT_FDCWD, name, SYS_unlinkat, AT_REMOVEDIR); }
int mkdir(const char *name, mode_t mode) { return on_name(MKDIR, AT_FDCWD, name, SYS_mkdirat, mode); }
int mkdirat(int folder, const char *name, mode_t mode) {
    return on_name(MKDIR, folder, name, SYS_mkdirat, mode);
}

int linkat(int from, const char *name, int to, const char *other, int flags) {
    char path[PATH_MAX], path2[PATH_MAX];
    if (!is_below(to, other, path2)) return syscall(SYS_linkat, from, name, to, other, flags);
    is_below(from, name, path);
    BEGIN(LINK);
    if (error) FAIL;
    int result = syscall(SYS_linkat, from, name, to, other, flags);
    if (!result) note(LINK, path, path2, 0, -1, 0, NULL, 0);
    END(result);
}
int link(const char *name, const char *other) {
    return linkat(AT_FDCWD, name, AT_FDCWD, other, 0);
}
