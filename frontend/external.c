/* frontend/external.c - see external.h. */
#include "frontend/external.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h> /* realpath */
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#if defined(SYS_openat2)
#include <linux/openat2.h>
#define HAVE_OPENAT2 1
#endif
#endif
#ifndef HAVE_OPENAT2
#define HAVE_OPENAT2 0
#endif

enum { LOCATION_MAX = 4096 };
/* O_NONBLOCK: a FIFO must not make us wait before we can see that it is one. */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

struct ox_external_file {
    struct ox_bytes *bytes;
    dev_t dev;
    ino_t ino;
    char *location;
};

/* ---- opening --------------------------------------------------------------------------------- */

/* One component of a path; every one but the last must be a folder, none may be a link or lead
 * upwards. */
static int open_component(int at, const char *name, size_t n, bool last) {
    char text[NAME_MAX + 1];
    if (n > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(text, name, n);
    text[n] = 0;
    if (strcmp(text, "..") == 0) {
        errno = EXDEV;
        return -1;
    }
    return openat(at, text, OPEN_FLAGS | O_NOFOLLOW | (last ? 0 : O_DIRECTORY));
}

int ox_open_beneath_slowly(int dirfd, const char *path) {
    int at = dirfd, fd = -1;
    errno = EXDEV;
    if (*path == '/') return -1;
    for (bool last = false; !last;) {
        size_t n = strcspn(path, "/");
        last = path[n] == 0;
        fd = open_component(at, path, n, last);
        int saved = errno;
        if (at != dirfd) close(at);
        errno = saved;
        if (fd < 0) return -1;
        at = fd;
        path += n;
        path += strspn(path, "/");
    }
    return fd;
}

/* False: the kernel lacks openat2 or a sandbox hides it; else *fd is a descriptor, or -1 and errno.
 */
static bool open_beneath_fast(int *fd, int dirfd, const char *path, bool links) {
#if HAVE_OPENAT2
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    if (!links) how.resolve |= RESOLVE_NO_SYMLINKS;
    int tries = 16; /* EAGAIN: something was renamed meanwhile */
    do
        *fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof how);
    while (*fd < 0 && (errno == EAGAIN || errno == EINTR) && --tries);
    return *fd >= 0 || (errno != ENOSYS && errno != EPERM);
#else
    (void)dirfd;
    (void)path;
    (void)links;
    *fd = -1;
    return false;
#endif
}

static bool has_dotdot(const char *path) {
    for (; *path; path += strspn(path, "/")) {
        size_t n = strcspn(path, "/");
        if (n == 2 && memcmp(path, "..", 2) == 0) return true;
        path += n;
    }
    return false;
}

static ox_status cannot_open(struct ox_external *x, const char *location,
                             const struct ox_place *place) {
    switch (errno) {
    case ELOOP:
        return ox_fail(x->ctx, OX_INVALID, "external-link", place,
                       "external data '%s' lies behind a link", location);
    case EXDEV:
        return ox_fail(x->ctx, OX_INVALID, "external-outside", place,
                       "external data '%s' is not beneath the model's folder", location);
    case ENOTDIR:
    case ENXIO: /* a socket, a FIFO */
        return ox_fail(x->ctx, OX_INVALID, "external-file", place,
                       "external data '%s' is not a regular file", location);
    default:
        return ox_fail(x->ctx, OX_IO, "external-file", place, "cannot open external data '%s': %s",
                       location, strerror(errno));
    }
}

static ox_status open_location(int *fd, struct ox_external *x, const char *location,
                               const struct ox_place *place) {
    if (*location == '/' || has_dotdot(location)) {
        errno = EXDEV;
        return cannot_open(x, location, place);
    }
    if (x->links_fd < 0) {
        if (!open_beneath_fast(fd, x->dirfd, location, false))
            *fd = ox_open_beneath_slowly(x->dirfd, location);
        return *fd < 0 ? cannot_open(x, location, place) : OX_OK;
    }
    char *path;
    size_t n = strlen(x->links_path) + strlen(location) + 2;
    OX_TRY(ox_alloc(x->ctx, &path, n, 1));
    snprintf(path, n, "%s/%s", x->links_path, location);
    bool known = open_beneath_fast(fd, x->links_fd, path, true);
    ox_status s = OX_OK;
    if (!known)
        s = ox_fail(x->ctx, OX_UNSUPPORTED, "external-link", place,
                    "this system cannot follow links safely (no openat2)");
    else if (*fd < 0)
        s = cannot_open(x, location, place);
    ox_free(x->ctx, path);
    return s;
}

static ox_status copy_text(char **out, ox_ctx *ctx, const char *text) {
    size_t n = strlen(text) + 1;
    OX_TRY(ox_alloc_raw(ctx, out, n, 1));
    memcpy(*out, text, n);
    return OX_OK;
}

/* Checks and maps an open descriptor; a file that is already mapped under another spelling is
 * shared. */
static ox_status map_file(struct ox_external_file *out, struct ox_external *x, int fd,
                          const char *location, const struct ox_place *place) {
    struct stat st;
    if (fstat(fd, &st) != 0) return cannot_open(x, location, place);
    if (!S_ISREG(st.st_mode))
        return ox_fail(x->ctx, OX_INVALID, "external-file", place,
                       "external data '%s' is not a regular file", location);
    if (st.st_nlink != 1)
        return ox_fail(x->ctx, OX_INVALID, "external-link", place,
                       "external data '%s' has another name (a hard link)", location);
    out->dev = st.st_dev;
    out->ino = st.st_ino;
    for (size_t i = 0; i < x->n_files; i++)
        if (x->files[i].dev == st.st_dev && x->files[i].ino == st.st_ino) {
            out->bytes = ox_bytes_ref(x->files[i].bytes);
            return OX_OK;
        }
    char *path;
    size_t n = strlen(x->folder) + strlen(location) + 2;
    OX_TRY(ox_alloc(x->ctx, &path, n, 1));
    snprintf(path, n, "%s/%s", x->folder, location);
    ox_status s = ox_bytes_map(&out->bytes, x->ctx, fd, (size_t)st.st_size, path);
    ox_free(x->ctx, path);
    if (s == OX_OK) x->mapped += (uint64_t)st.st_size;
    return s;
}

static ox_status add_file(struct ox_bytes **out, struct ox_external *x, const char *location,
                          const struct ox_place *place) {
    struct ox_external_file file = {0};
    int fd;
    OX_TRY(OX_GROW(x->ctx, x->files, x->n_files, x->cap_files));
    OX_TRY(copy_text(&file.location, x->ctx, location));
    ox_status s = open_location(&fd, x, location, place);
    if (s == OX_OK) {
        s = map_file(&file, x, fd, location, place);
        close(fd);
    }
    if (s != OX_OK) {
        ox_free(x->ctx, file.location);
        return s;
    }
    x->files[x->n_files++] = file;
    *out = file.bytes;
    return OX_OK;
}

/* ---- finding --------------------------------------------------------------------------------- */

/* Digits and nothing else. */
static bool parse_decimal(uint64_t *out, const char *text) {
    uint64_t v = 0;
    if (!*text) return false;
    for (; *text; text++)
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
            return false;
    *out = v;
    return true;
}

static ox_status parse_ref(uint64_t *offset, struct ox_external *x,
                           const struct ox_external_ref *ref, size_t size,
                           const struct ox_place *place) {
    uint64_t length = size;
    *offset = 0;
    if (!ref->location || !*ref->location || strlen(ref->location) > LOCATION_MAX)
        return ox_fail(x->ctx, OX_INVALID, "external-location", place,
                       "external data without a usable location");
    if (ref->offset && !parse_decimal(offset, ref->offset))
        return ox_fail(x->ctx, OX_INVALID, "external-range", place,
                       "external data with the offset '%.64s'", ref->offset);
    if (ref->length && !parse_decimal(&length, ref->length))
        return ox_fail(x->ctx, OX_INVALID, "external-range", place,
                       "external data with the length '%.64s'", ref->length);
    if (length != size)
        return ox_fail(x->ctx, OX_INVALID, "external-range", place,
                       "external data of %llu bytes for a tensor of %zu bytes",
                       (unsigned long long)length, size);
    return OX_OK;
}

/* Tensors may share bytes, but a small file must not stand for gigabytes of tensors. */
static ox_status claim(struct ox_external *x, size_t size, const struct ox_place *place) {
    uint64_t limit;
    if (__builtin_mul_overflow(x->mapped, 16, &limit) ||
        __builtin_add_overflow(limit, (uint64_t)64 << 20, &limit))
        limit = UINT64_MAX;
    if (__builtin_add_overflow(x->claimed, size, &x->claimed) || x->claimed > limit)
        return ox_fail(
            x->ctx, OX_NOMEM, "over-budget", place,
            "tensors in external data overlap so much that they are over 16 times its size");
    return OX_OK;
}

ox_status ox_external_find(struct ox_bytes **out, size_t *offset, struct ox_external *x,
                           const struct ox_external_ref *ref, size_t size,
                           const struct ox_place *place) {
    uint64_t at;
    struct ox_bytes *bytes = NULL;
    OX_TRY(parse_ref(&at, x, ref, size, place));
    if (x->dirfd < 0)
        return ox_fail(x->ctx, OX_INVALID, "external-refused", place,
                       "external data '%s' in a model that has no folder", ref->location);
    for (size_t i = x->n_files;
         i-- > 0 && !bytes;) /* backwards: most often it is the same file as before */
        if (strcmp(x->files[i].location, ref->location) == 0) bytes = x->files[i].bytes;
    if (!bytes) OX_TRY(add_file(&bytes, x, ref->location, place));
    if (at > bytes->size || size > bytes->size - at)
        return ox_fail(x->ctx, OX_INVALID, "external-range", place,
                       "external data '%s': %zu bytes at %llu lie beyond its end at %zu",
                       ref->location, size, (unsigned long long)at, bytes->size);
    OX_TRY(claim(x, size, place));
    *out = ox_bytes_ref(bytes);
    *offset = (size_t)at;
    return OX_OK;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* The model's folder relative to the folder that links may not leave; both resolved, compared by
 * component. */
static ox_status relate(struct ox_external *x, const char *folder, const char *links_under) {
    char inner[PATH_MAX], outer[PATH_MAX];
    if (!realpath(folder, inner))
        return ox_fail(x->ctx, OX_IO, "no-folder", NULL, "cannot resolve '%s': %s", folder,
                       strerror(errno));
    if (!realpath(links_under, outer))
        return ox_fail(x->ctx, OX_IO, "no-folder", NULL, "cannot resolve '%s': %s", links_under,
                       strerror(errno));
    size_t n = strlen(outer);
    if (outer[n - 1] == '/') n--; /* the root folder itself */
    if (strncmp(inner, outer, n) != 0 || (inner[n] != 0 && inner[n] != '/'))
        return ox_fail(x->ctx, OX_USAGE, "external-link", NULL,
                       "the model's folder '%s' is not beneath '%s'", inner, outer);
    OX_TRY(copy_text(&x->links_path, x->ctx, inner[n] && inner[n + 1] ? inner + n + 1 : "."));
    x->links_fd = open(outer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (x->links_fd < 0)
        return ox_fail(x->ctx, OX_IO, "no-folder", NULL, "cannot open '%s': %s", outer,
                       strerror(errno));
    return OX_OK;
}

static ox_status open_folder(struct ox_external *x, const char *folder, const char *links_under) {
    OX_TRY(copy_text(&x->folder, x->ctx, folder));
    x->dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (x->dirfd < 0)
        return ox_fail(x->ctx, OX_IO, "no-folder", NULL, "cannot open '%s': %s", folder,
                       strerror(errno));
    return links_under ? relate(x, folder, links_under) : OX_OK;
}

ox_status ox_external_init(struct ox_external *out, ox_ctx *ctx, const char *folder,
                           const char *links_under) {
    *out = (struct ox_external){.ctx = ctx, .dirfd = -1, .links_fd = -1};
    ox_status s = folder ? open_folder(out, folder, links_under) : OX_OK;
    if (s != OX_OK) ox_external_fini(out);
    return s;
}

void ox_external_fini(struct ox_external *x) {
    for (size_t i = 0; i < x->n_files; i++) {
        ox_bytes_unref(x->files[i].bytes);
        ox_free(x->ctx, x->files[i].location);
    }
    ox_free(x->ctx, x->files);
    ox_free(x->ctx, x->folder);
    ox_free(x->ctx, x->links_path);
    if (x->dirfd >= 0) close(x->dirfd);
    if (x->links_fd >= 0) close(x->links_fd);
    *x = (struct ox_external){.ctx = x->ctx, .dirfd = -1, .links_fd = -1};
}

/* ---- files that the caller names ---------------------------------------------------------------
 */

ox_status ox_file_map(struct ox_bytes **out, ox_ctx *ctx, const char *path, size_t max) {
    struct ox_place place = {.file = path};
    struct stat st;
    int fd = open(path, OPEN_FLAGS);
    if (fd < 0)
        return ox_fail(ctx, OX_IO, "cannot-open", &place, "cannot open: %s", strerror(errno));
    ox_status s;
    if (fstat(fd, &st) != 0)
        s = ox_fail(ctx, OX_IO, "cannot-open", &place, "cannot examine: %s", strerror(errno));
    else if (!S_ISREG(st.st_mode))
        s = ox_fail(ctx, OX_IO, "cannot-open", &place,
                    S_ISDIR(st.st_mode) ? "is a folder" : "is not a regular file");
    else if ((uint64_t)st.st_size > max)
        s = ox_fail(ctx, OX_INVALID, "over-limit", &place,
                    "the file has %llu bytes, more than %zu (limit max_file_bytes)",
                    (unsigned long long)st.st_size, max);
    else
        s = ox_bytes_map(out, ctx, fd, (size_t)st.st_size, path);
    close(fd);
    return s;
}
