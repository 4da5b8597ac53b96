/* frontend/npz.h - members of a ZIP archive of arrays, as NumPy writes it: stored or deflated,
 * ZIP64 or not.
 *
 * Sizes come from the central directory and are checked against the file and against what deflate
 * can give; a member is read at most to its declared size, and its CRC is checked. */
#ifndef OX_FRONTEND_NPZ_H
#define OX_FRONTEND_NPZ_H

#include "ir/base/bytes.h"

struct ox_npz_member {
    const char *name; /* in the file, not terminated; without ".npy" */
    size_t name_len;
    size_t full_len; /* with it */
    unsigned method;
    uint32_t crc;
    size_t packed, size;
    size_t header; /* offset of its local header */
};

struct ox_npz {
    ox_ctx *ctx;
    struct ox_bytes *bytes;        /* counted */
    const struct ox_place *place;  /* for diagnostics; borrowed */
    struct ox_npz_member *members; /* those whose name ends in .npy */
    size_t n_members, cap_members;
    size_t directory; /* offset of the central directory: members lie before it */
};

bool ox_npz_magic(const void *data, size_t size);
/* On failure there is nothing to free. */
OX_MUST_USE ox_status ox_npz_open(struct ox_npz *out, ox_ctx *ctx, struct ox_bytes *bytes,
                                  const struct ox_place *place);
void ox_npz_close(struct ox_npz *npz);
OX_MUST_USE ox_status ox_npz_read(ox_tensor **out, const struct ox_npz *npz, size_t index);

#endif
