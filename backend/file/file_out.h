/* backend/file/file_out.h - a file that is written whole or not at all.
 *
 *   open -> write ... -> sync -> commit        the new file is there
 *   open -> write ... -> abort                 nothing has happened
 *
 * The bytes go to a file without a name in the target's folder (where the file system has no such
 * thing, to one with a name of its own), which gets the target's name by rename once it is on disk.
 * So a reader, at any time, and whoever looks after a crash, finds the old file or the new one. See
 * onnxopt/save.h for links, permissions and devices. */
#ifndef OX_BACKEND_FILE_FILE_OUT_H
#define OX_BACKEND_FILE_FILE_OUT_H

#include "ir/base/hash64.h"
#include "ir/base/bytes.h"
#include <sys/stat.h>

enum { OX_FILE_NAME_MAX = 255 };

struct ox_file_out {
    ox_ctx *ctx;
    char *path; /* of the target, links resolved; for diagnostics and its folder */
    char *base; /* last part of path, inside it */
    int dir;    /* the target's folder; -1: a stream */
    int fd;
    bool stream; /* a device or pipe, or a descriptor of the caller: bytes go there as they come */
    bool borrowed; /* fd is the caller's */
    bool synced;
    bool
        named; /* the target is the new file, even if what came after that failed; survives abort */
    bool replaces; /* a file is there, which is `old` */
    struct stat old;
    char temp[OX_FILE_NAME_MAX + 1]; /* name of the file being written, "" while it has none */
    unsigned char *buffer;
    size_t held;            /* bytes in buffer */
    uint64_t written;       /* bytes accepted */
    uint64_t total;         /* expected; only for the progress hook */
    struct ox_hash64 *hash; /* of all bytes accepted, where the caller wants one; else NULL */
};

/* Makes ready to write `path`. On failure *out needs no abort. */
OX_MUST_USE ox_status ox_file_out_open(struct ox_file_out *out, ox_ctx *ctx, const char *path);
/* A second file in the folder of `model`, to be committed under a name of its own, with the same
 * permissions. */
OX_MUST_USE ox_status ox_file_out_beside(struct ox_file_out *out, const struct ox_file_out *model);
/* The same for a descriptor of the caller, which stays open. `name` is for diagnostics. */
OX_MUST_USE ox_status ox_file_out_stream(struct ox_file_out *out, ox_ctx *ctx, int fd,
                                         const char *name);
OX_MUST_USE ox_status ox_file_out_write(struct ox_file_out *out, const void *data, size_t size);
/* The bytes of a tensor; those that lie in a mapped file are given back to the system as they have
 * been written. */
OX_MUST_USE ox_status ox_file_out_tensor(struct ox_file_out *out, const ox_tensor *tensor);
OX_MUST_USE ox_status ox_file_out_zeros(struct ox_file_out *out, uint64_t count);
/* Everything written so far is on disk when this returns. */
OX_MUST_USE ox_status ox_file_out_sync(struct ox_file_out *out);
/* Syncs if that was not done and gives the file its name. base: instead of the target's own (in the
 * same folder), or NULL. Whatever the outcome, *out is finished. */
OX_MUST_USE ox_status ox_file_out_commit(struct ox_file_out *out, const char *base);
/* Leaves everything as it was. Fine after a commit. */
void ox_file_out_abort(struct ox_file_out *out);

#endif
