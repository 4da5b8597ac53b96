/* backend/file/file_target.c - see file_target.h.
 *
 * The last part of a path is resolved by hand, link by link, and each link is looked at through a
 * descriptor, so that what was checked is what is followed: a link that another user has put there
 * is refused, because writing through it would put our file where he wants it. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* O_PATH */
#endif
#include "backend/file/file_target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

enum { LINKS_MAX = 40 };

ox_status ox_file_error(ox_ctx *ctx, const char *path, const char *what, int error) {
    return ox_fail(ctx, error == ENOMEM ? OX_NOMEM : OX_IO, "file",
                   &(struct ox_place){.file = path}, "%s: %s", what, strerror(error));
}

static ox_status refuse(ox_ctx *ctx, const char *path, const char *why) {
    return ox_fail(ctx, OX_IO, "file", &(struct ox_place){.file = path}, "cannot write: %s", why);
}

/* Replaces the target's path, `base` pointing behind its last slash. */
static ox_status set_path(struct ox_file_target *t, ox_ctx *ctx, const char *folder,
                          size_t folder_len, const char *rest) {
    char *path;
    size_t len = strlen(rest);
    OX_TRY(ox_alloc(ctx, &path, folder_len + len + 1, 1));
    memcpy(path, folder, folder_len);
    memcpy(path + folder_len, rest, len);
    ox_free(ctx, t->path);
    t->path = path;
    char *slash = strrchr(path, '/');
    t->base = slash ? slash + 1 : path;
    return OX_OK;
}

static ox_status open_folder(struct ox_file_target *t, ox_ctx *ctx) {
    char *folder;
    size_t len = (size_t)(t->base - t->path);
    if (t->dir >= 0) close(t->dir);
    OX_TRY(ox_alloc(ctx, &folder, len + 2, 1));
    memcpy(folder, len ? t->path : ".", len ? len : 1);
    t->dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    ox_free(ctx, folder);
    return t->dir < 0 ? ox_file_error(ctx, t->path, "cannot open its folder", error) : OX_OK;
}

/* The link `fd` (opened with O_PATH) is the target so far: goes where it points. Of a link to a
 * device or pipe (such as /dev/stdout, whose last link names no path at all) t->exists is set and
 * the system follows it. */
static ox_status follow(struct ox_file_target *t, ox_ctx *ctx, int fd) {
    char to[PATH_MAX + 1];
    struct stat end;
    if (t->old.st_uid != geteuid() && t->old.st_uid != 0)
        return refuse(ctx, t->path, "it is a symbolic link that belongs to another user");
    if (fstatat(t->dir, t->base, &end, 0) == 0 && (S_ISFIFO(end.st_mode) || S_ISCHR(end.st_mode))) {
        t->old = end;
        t->exists = true;
        return OX_OK;
    }
    ssize_t n = readlinkat(fd, "", to, sizeof to - 1);
    if (n < 0) return ox_file_error(ctx, t->path, "cannot follow the link", errno);
    to[n] = 0;
    if (!to[0] || to[n - 1] == '/') return refuse(ctx, t->path, "it is a link to a folder");
    return set_path(t, ctx, t->path, to[0] == '/' ? 0 : (size_t)(t->base - t->path), to);
}

/* Looks at what is there. *link: it was a link, and t is now where it points. */
static ox_status look(struct ox_file_target *t, ox_ctx *ctx, bool *link) {
    *link = false;
    if (strlen(t->base) > OX_FILE_NAME_MAX)
        return ox_file_error(ctx, t->path, "cannot write", ENAMETOOLONG);
    if (!t->base[0] || strcmp(t->base, ".") == 0 || strcmp(t->base, "..") == 0)
        return refuse(ctx, t->path, "it is a folder");
    OX_TRY(open_folder(t, ctx));
    int fd = openat(t->dir, t->base, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? OX_OK : ox_file_error(ctx, t->path, "cannot examine it", errno);
    ox_status status = OX_OK;
    if (fstat(fd, &t->old) != 0)
        status = ox_file_error(ctx, t->path, "cannot examine it", errno);
    else if (S_ISLNK(t->old.st_mode))
        status = follow(t, ctx, fd);
    else
        t->exists = true;
    *link = status == OX_OK && !t->exists;
    close(fd);
    return status;
}

/* A terminal, /dev/null, a named pipe: opened as any program would. */
static ox_status open_stream(struct ox_file_target *t, ox_ctx *ctx) {
    t->stream = openat(t->dir, t->base, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    return t->stream < 0 ? ox_file_error(ctx, t->path, "cannot open", errno) : OX_OK;
}

static ox_status judge(struct ox_file_target *t, ox_ctx *ctx) {
    mode_t mode = t->old.st_mode;
    if (!t->exists) return OX_OK;
    if (S_ISDIR(mode)) return refuse(ctx, t->path, "it is a folder");
    if (S_ISFIFO(mode) || S_ISCHR(mode)) return open_stream(t, ctx);
    if (!S_ISREG(mode)) return refuse(ctx, t->path, "it is neither a file nor a pipe");
    if (faccessat(t->dir, t->base, W_OK, AT_EACCESS) != 0)
        return refuse(ctx, t->path, "the file is write-protected");
    return OX_OK;
}

static ox_status find(struct ox_file_target *t, ox_ctx *ctx, const char *path) {
    bool link = true;
    if (!path[0])
        return ox_fail(ctx, OX_USAGE, "file", NULL, "the name of the file to write is empty");
    OX_TRY(set_path(t, ctx, "", 0, path));
    for (int i = 0; link; i++) {
        if (i == LINKS_MAX) return ox_file_error(ctx, t->path, "cannot write", ELOOP);
        OX_TRY(look(t, ctx, &link));
    }
    return judge(t, ctx);
}

ox_status ox_file_target_find(struct ox_file_target *out, ox_ctx *ctx, const char *path) {
    struct ox_file_target t = {.dir = -1, .stream = -1};
    ox_status status = find(&t, ctx, path);
    if (status == OX_OK) {
        *out = t;
        return OX_OK;
    }
    if (t.dir >= 0) close(t.dir);
    ox_free(ctx, t.path);
    return status;
}
