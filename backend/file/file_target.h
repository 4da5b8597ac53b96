/* backend/file/file_target.h - where a path leads, and whether a file may be put there. */
#ifndef OX_BACKEND_FILE_FILE_TARGET_H
#define OX_BACKEND_FILE_FILE_TARGET_H

#include "backend/file/file_out.h"
#include <sys/stat.h>

struct ox_file_target {
    char *path, *base; /* links resolved; base is inside path; the caller frees path */
    int dir;           /* open folder of the target, or -1 */
    int stream;        /* a device or pipe opened for writing, or -1 */
    bool exists;
    struct stat old; /* of the regular file that is there */
};

OX_MUST_USE ox_status ox_file_target_find(struct ox_file_target *out, ox_ctx *ctx,
                                          const char *path);
/* "<what>: <reason>", placed at the file; OX_IO, or OX_NOMEM where errno says so. */
ox_status ox_file_error(ox_ctx *ctx, const char *path, const char *what, int error);

#endif
