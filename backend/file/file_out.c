/* backend/file/file_out.c - writing, syncing and naming; see file_out.h. Finding the target is in
 * file_target.c.
 *
 * A write into a pipe without reader or beyond a size limit raises a signal that would end the
 * process; both are held back in this thread while it writes, so that they are errors like others.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* O_TMPFILE */
#endif
#include "backend/file/file_target.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, STEP = 8 << 20, TRIES = 100 };

/* ---- bytes ----------------------------------------------------------------------------------- */

/* The signals are consumed here if they were not pending before. */
static ssize_t quiet_write(int fd, const void *data, size_t size) {
    sigset_t mine, former, pending;
    sigemptyset(&mine);
    sigaddset(&mine, SIGPIPE);
    sigaddset(&mine, SIGXFSZ);
    sigpending(&pending);
    bool had_pipe = sigismember(&pending, SIGPIPE) == 1,
         had_size = sigismember(&pending, SIGXFSZ) == 1;
    pthread_sigmask(SIG_BLOCK, &mine, &former);
    ssize_t n = write(fd, data, size);
    int error = errno;
    if (n < 0 && (error == EPIPE || error == EFBIG)) {
        const struct timespec now = {0, 0};
        if (had_pipe) sigdelset(&mine, SIGPIPE);
        if (had_size) sigdelset(&mine, SIGXFSZ);
        while (sigtimedwait(&mine, NULL, &now) < 0 && errno == EINTR)
            continue;
    }
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    errno = error;
    return n;
}

static ox_status write_all(struct ox_file_out *out, const unsigned char *data, size_t size) {
    while (size) {
        uint64_t done = out->written < out->total ? out->written : out->total;
        if (!ox_progress(out->ctx, "write", (size_t)done, (size_t)out->total))
            return ox_fail(out->ctx, OX_CANCELLED, "cancelled", NULL, "writing %s was cancelled",
                           out->path);
        ssize_t n = quiet_write(out->fd, data, size < STEP ? size : STEP);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO; /* a file system that takes nothing would be asked for ever */
        if (n <= 0) return ox_file_error(out->ctx, out->path, "cannot write", errno);
        data += n;
        size -= (size_t)n;
    }
    return OX_OK;
}

static ox_status flush(struct ox_file_out *out) {
    size_t held = out->held;
    out->held = 0;
    return write_all(out, out->buffer, held);
}

ox_status ox_file_out_write(struct ox_file_out *out, const void *data, size_t size) {
    if (size == 0) return OX_OK;
    out->written += size;
    if (out->hash) ox_hash64_add(out->hash, data, size);
    if (size > BUFFER - out->held) OX_TRY(flush(out));
    if (size >= BUFFER) return write_all(out, data, size);
    memcpy(out->buffer + out->held, data, size);
    out->held += size;
    return OX_OK;
}

ox_status ox_file_out_tensor(struct ox_file_out *out, const ox_tensor *tensor) {
    size_t offset = 0;
    struct ox_bytes *bytes = ox_tensor_bytes(tensor, &offset);
    const unsigned char *data = tensor->data;
    for (size_t done = 0; done < tensor->size;) {
        size_t n = tensor->size - done < STEP ? tensor->size - done : STEP;
        OX_TRY(ox_file_out_write(out, data + done, n));
        if (bytes) ox_bytes_drop(bytes, offset + done, n);
        done += n;
    }
    return OX_OK;
}

ox_status ox_file_out_zeros(struct ox_file_out *out, uint64_t count) {
    static const unsigned char zeros[4096];
    for (; count; count -= count < sizeof zeros ? count : sizeof zeros)
        OX_TRY(ox_file_out_write(out, zeros, count < sizeof zeros ? (size_t)count : sizeof zeros));
    return OX_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void random_name(char *name, const char *base) {
    uint64_t r = 0;
    if (getrandom(&r, sizeof r, GRND_NONBLOCK) != (ssize_t)sizeof r) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        r = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)getpid();
    }
    /* O_EXCL guards against collisions, so this need not be secret. */
    snprintf(name, OX_FILE_NAME_MAX + 1, ".%.200s.%08x.tmp", base, (unsigned)(r ^ r >> 32));
}

/* A file with a name of its own, where there are none without. */
static int open_named(struct ox_file_out *out) {
    for (int i = 0; i < TRIES; i++) {
        random_name(out->temp, out->base);
        int fd =
            openat(out->dir, out->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/* True if a file without a name can be given one later. */
static bool can_link(int fd) {
    char proc[40];
    struct stat a, b;
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    return fstat(fd, &a) == 0 && stat(proc, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static ox_status open_temp(struct ox_file_out *out) {
    out->fd = -1;
#ifdef O_TMPFILE
    out->fd = openat(out->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (out->fd >= 0 && !can_link(out->fd)) {
        close(out->fd);
        out->fd = -1;
    }
#endif
    if (out->fd < 0) out->fd = open_named(out);
    if (out->fd < 0) {
        out->temp[0] = 0;
        return ox_file_error(out->ctx, out->path, "cannot create a file beside it", errno);
    }
    if (!out->replaces) return OX_OK;
    /* Best effort: an owner that cannot be kept is no reason to lose the result. */
    if (fchown(out->fd, out->old.st_uid, out->old.st_gid) != 0)
        (void)!fchown(out->fd, (uid_t)-1, out->old.st_gid);
    if (fchmod(out->fd, out->old.st_mode & 0777) != 0)
        return ox_file_error(out->ctx, out->path, "cannot set its mode", errno);
    return OX_OK;
}

ox_status ox_file_out_open(struct ox_file_out *out, ox_ctx *ctx, const char *path) {
    struct ox_file_target target;
    *out = (struct ox_file_out){.ctx = ctx, .dir = -1, .fd = -1};
    OX_TRY(ox_file_target_find(&target, ctx, path));
    out->path = target.path;
    out->base = target.base;
    out->dir = target.dir;
    out->fd = target.stream;
    out->stream = target.stream >= 0;
    out->replaces = target.exists;
    out->old = target.old;
    ox_status status = ox_alloc_raw(ctx, &out->buffer, BUFFER, 1);
    if (status == OX_OK && !out->stream) status = open_temp(out);
    if (status != OX_OK) ox_file_out_abort(out);
    return status;
}

ox_status ox_file_out_beside(struct ox_file_out *out, const struct ox_file_out *model) {
    *out = (struct ox_file_out){
        .ctx = model->ctx, .dir = -1, .fd = -1, .replaces = model->replaces, .old = model->old};
    size_t len = strlen(model->path);
    OX_TRY(ox_alloc(out->ctx, &out->path, len + 1, 1));
    memcpy(out->path, model->path, len);
    out->base = out->path + (model->base - model->path);
    ox_status status = ox_alloc_raw(out->ctx, &out->buffer, BUFFER, 1);
    if (status == OX_OK && (out->dir = fcntl(model->dir, F_DUPFD_CLOEXEC, 0)) < 0)
        status = ox_file_error(out->ctx, out->path, "cannot open its folder", errno);
    if (status == OX_OK) status = open_temp(out);
    if (status != OX_OK) ox_file_out_abort(out);
    return status;
}

ox_status ox_file_out_stream(struct ox_file_out *out, ox_ctx *ctx, int fd, const char *name) {
    *out = (struct ox_file_out){.ctx = ctx, .dir = -1, .fd = fd, .stream = true, .borrowed = true};
    ox_status status = ox_alloc(ctx, &out->path, strlen(name) + 1, 1);
    if (status == OX_OK) memcpy(out->path, name, strlen(name));
    if (status == OX_OK) status = ox_alloc_raw(ctx, &out->buffer, BUFFER, 1);
    if (status != OX_OK) ox_file_out_abort(out);
    return status;
}

/* ---- finishing ------------------------------------------------------------------------------- */

ox_status ox_file_out_sync(struct ox_file_out *out) {
    OX_TRY(flush(out));
    out->synced = true;
    if (out->stream) return OX_OK;
    while (fsync(out->fd) != 0)
        if (errno != EINTR)
            return ox_file_error(out->ctx, out->path, "cannot bring to disk", errno);
    return OX_OK;
}

/* Gives a file without a name one of its own, from which rename can go on (only rename replaces
 * atomically). */
static ox_status link_temp(struct ox_file_out *out) {
    char proc[40];
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", out->fd);
    for (int i = 0; i < TRIES; i++) {
        random_name(out->temp, out->base);
        if (linkat(AT_FDCWD, proc, out->dir, out->temp, AT_SYMLINK_FOLLOW) == 0) return OX_OK;
        if (errno != EEXIST) break;
    }
    out->temp[0] = 0;
    return ox_file_error(out->ctx, out->path, "cannot name the new file", errno);
}

static ox_status close_checked(struct ox_file_out *out) {
    int fd = out->fd;
    out->fd = -1;
    if (close(fd) != 0 && errno != EINTR)
        return ox_file_error(out->ctx, out->path, "cannot close", errno);
    return OX_OK;
}

static ox_status rename_temp(struct ox_file_out *out, const char *base) {
    if (!out->temp[0]) OX_TRY(link_temp(out));
    OX_TRY(close_checked(out));
    if (renameat(out->dir, out->temp, out->dir, base) != 0)
        return ox_file_error(out->ctx, out->path, "cannot replace it", errno);
    out->named = true;
    out->temp[0] = 0;
    /* Some file systems cannot sync a folder; the rename itself has happened. */
    while (fsync(out->dir) != 0)
        if (errno != EINTR) {
            if (errno == EINVAL || errno == EBADF || errno == ENOTSUP) break;
            return ox_file_error(out->ctx, out->path, "cannot bring its folder to disk", errno);
        }
    return OX_OK;
}

/* Between linkat and rename the file has a name that nobody would remove: signals wait for those
 * few steps. */
static ox_status name_file(struct ox_file_out *out, const char *base) {
    sigset_t all, former;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    ox_status status = rename_temp(out, base);
    if (status != OX_OK && out->temp[0]) {
        (void)unlinkat(out->dir, out->temp, 0);
        out->temp[0] = 0;
    }
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return status;
}

ox_status ox_file_out_commit(struct ox_file_out *out, const char *base) {
    ox_status status = out->synced && out->held == 0 ? OX_OK : ox_file_out_sync(out);
    if (status == OX_OK && !out->stream) status = name_file(out, base ? base : out->base);
    if (status == OX_OK && out->stream && !out->borrowed) status = close_checked(out);
    ox_file_out_abort(out);
    return status;
}

void ox_file_out_abort(struct ox_file_out *out) {
    if (out->temp[0]) (void)unlinkat(out->dir, out->temp, 0);
    if (out->fd >= 0 && !out->borrowed) close(out->fd);
    if (out->dir >= 0) close(out->dir);
    ox_free(out->ctx, out->path);
    ox_free(out->ctx, out->buffer);
    *out = (struct ox_file_out){.ctx = out->ctx, .dir = -1, .fd = -1, .named = out->named};
}
