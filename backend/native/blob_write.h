/* backend/native/blob_write.h - a lowered program into the bytes of a blob. */
#ifndef OX_BACKEND_NATIVE_BLOB_WRITE_H
#define OX_BACKEND_NATIVE_BLOB_WRITE_H

#include "backend/native/lower_priv.h"
#include "ir/base/ptr_map.h"

/* The records of all sections but DATA, and where each constant goes in DATA. */
struct ox_blob_build {
    struct ox_lower *lo;
#define X(number, NAME, name, type)                                                                \
    type *name;                                                                                    \
    size_t n_##name, cap_##name;
    OX_BLOB_SECTIONS(X)
#undef X
    const struct ox_packed *given; /* packed weights */
    size_t n_given;
    uint32_t flags;
    struct ox_blob_header header;
    struct ox_blob_section table[OX_BLOB_N_SECTIONS];
    struct ox_ptr_map names; /* interned names to strings */
};

/* `flags` go into the header beside those that follow from what is there. Records are made; the
 * header and its table are complete. */
OX_MUST_USE ox_status ox_blob_build(struct ox_blob_build *build, struct ox_lower *lo,
                                    uint32_t flags, size_t n_packed,
                                    const struct ox_packed *packed);
void ox_blob_build_end(struct ox_blob_build *build);
/* Gives the bytes to `put`, from the first to the last; constants as tensors where they are stored
 * as they are. tensor or data is NULL. */
typedef ox_status (*ox_blob_put_fn)(void *user, const void *data, size_t size,
                                    const ox_tensor *tensor);
OX_MUST_USE ox_status ox_blob_emit(const struct ox_blob_build *build, ox_blob_put_fn put,
                                   void *user);

/* The bytes of DATA alone, or of PACKED, of which *size is then the number. */
OX_MUST_USE ox_status ox_blob_emit_data(const struct ox_blob_build *build, uint64_t *size,
                                        ox_blob_put_fn put, void *user);
OX_MUST_USE ox_status ox_blob_emit_packed(const struct ox_blob_build *build, uint64_t *size,
                                          ox_blob_put_fn put, void *user);

#endif
