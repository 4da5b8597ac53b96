/* frontend/external.h - the one place that opens files, and the only one that opens a file because
 * a model names it.
 *
 * External data is data that an attacker points at: the location must lead, without links, to a
 * regular file with one name beneath the model's folder. The folder is opened before the model is
 * read; every check is made on the open descriptor. Each file is mapped once and shared, however
 * many tensors lie in it. */
#ifndef OX_FRONTEND_EXTERNAL_H
#define OX_FRONTEND_EXTERNAL_H

#include "ir/base/bytes.h"

/* Maps a regular file that the caller (not a model) names. At most max bytes. */
OX_MUST_USE ox_status ox_file_map(struct ox_bytes **out, ox_ctx *ctx, const char *path, size_t max);

struct ox_external_file;

struct ox_external {
    ox_ctx *ctx;
    char *folder;     /* of the model, for diagnostics; NULL: external data is refused */
    int dirfd;        /* the folder, or -1 */
    int links_fd;     /* the folder that links may not leave, or -1 */
    char *links_path; /* the model's folder relative to it */
    struct ox_external_file *files;
    size_t n_files, cap_files;
    uint64_t mapped;  /* bytes of all files */
    uint64_t claimed; /* bytes of all tensors in them */
};

/* folder: where the model lies (NULL: external data is refused). links_under: a folder beneath
 * which links are followed, or NULL. On failure there is nothing to free. */
OX_MUST_USE ox_status ox_external_init(struct ox_external *out, ox_ctx *ctx, const char *folder,
                                       const char *links_under);
void ox_external_fini(struct ox_external *external);

/* What a TensorProto's external_data says, as text. */
struct ox_external_ref {
    const char *location, *offset, *length; /* NULL: not given */
};
/* The file and the place in it of `size` bytes; *out is counted for the caller. place is for
 * diagnostics. */
OX_MUST_USE ox_status ox_external_find(struct ox_bytes **out, size_t *offset,
                                       struct ox_external *external,
                                       const struct ox_external_ref *ref, size_t size,
                                       const struct ox_place *place);

/* For tests: opens `path` beneath dirfd without openat2, as on systems that lack it. -1 and errno
 * on failure. */
int ox_open_beneath_slowly(int dirfd, const char *path);

#endif
