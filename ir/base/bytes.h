/* ir/base/bytes.h - counted bytes: a heap block or a whole mapped file, shared by tensors that are
 * slices of it.
 *
 * Weights are never copied without need: a tensor read from a file is a slice of the mapping, and
 * the mapping lives until its last slice is gone. When a mapped slice dies, its pages are given
 * back to the system at once (ox_bytes_drop), so that peak memory is what is in use and not what
 * was once looked at. */
#ifndef OX_IR_BASE_BYTES_H
#define OX_IR_BASE_BYTES_H

#include "ir/base/context.h"

struct ox_bytes {
    ox_ctx *ctx;
    size_t refs;
    unsigned char *data;
    size_t size;
    bool mapped, lent; /* lent: somebody else's memory */
    char *path;        /* of a mapped file, for diagnostics; else NULL */
};

OX_MUST_USE ox_status ox_bytes_new(struct ox_bytes **out, ox_ctx *ctx,
                                   size_t size); /* zeroed, aligned to 64 */
/* The same, not zeroed (a debug build fills it with a pattern, so that tests see what was never
 * written). */
OX_MUST_USE ox_status ox_bytes_new_raw(struct ox_bytes **out, ox_ctx *ctx, size_t size);
/* Maps all of an open regular file, privately and read-only; the descriptor may be closed
 * afterwards. */
OX_MUST_USE ox_status ox_bytes_map(struct ox_bytes **out, ox_ctx *ctx, int fd, size_t size,
                                   const char *path);
/* Bytes that somebody else owns and keeps longer than anything that refers to them. */
OX_MUST_USE ox_status ox_bytes_lend(struct ox_bytes **out, ox_ctx *ctx, const void *data,
                                    size_t size);
struct ox_bytes *ox_bytes_ref(struct ox_bytes *bytes);
void ox_bytes_unref(struct ox_bytes *bytes);
/* Tells the system that a range of a mapping is not needed for now (it is read again on demand).
 * No-op on heap. */
void ox_bytes_drop(struct ox_bytes *bytes, size_t offset, size_t size);

/* ox_tensor_new without the zeros, for a kernel that writes every element before anybody may see
 * the tensor: memory that was in use before must never leave the process. Elements must be whole
 * bytes. */
OX_MUST_USE ox_status ox_tensor_new_raw(ox_tensor **out, void **data, ox_ctx *ctx, ox_dtype dtype,
                                        int rank, const int64_t *dims);
/* A tensor that is `size` bytes at `offset` of `bytes` (counted once more). size must be exactly
 * what dims need, else OX_INVALID. Not for strings. */
OX_MUST_USE ox_status ox_tensor_slice(ox_tensor **out, ox_ctx *ctx, ox_dtype dtype, int rank,
                                      const int64_t *dims, struct ox_bytes *bytes, size_t offset,
                                      size_t size);
/* The bytes a tensor stands on and where (for writers); NULL for string tensors. */
struct ox_bytes *ox_tensor_bytes(const ox_tensor *tensor, size_t *offset);
/* The same elements under other dims (same count), without a copy. */
OX_MUST_USE ox_status ox_tensor_reshape(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor,
                                        int rank, const int64_t *dims);
/* The tensor itself, counted once more, if its data is aligned to its element size; else an aligned
 * copy. */
OX_MUST_USE ox_status ox_tensor_aligned(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor);
/* A string tensor holding copies of `count` strings. */
OX_MUST_USE ox_status ox_tensor_strings(ox_tensor **out, ox_ctx *ctx, int rank, const int64_t *dims,
                                        const struct ox_str *strings);
/* True if nobody else counts the tensor or its bytes and these are the process's own: whoever holds
 * it may write over it. */
bool ox_tensor_sole(const ox_tensor *tensor);
/* Packs or unpacks elements of 2 and 4 bits: one byte an element on the unpacked side,
 * sign-extended for int types. */
void ox_unpack_bits(void *bytes, const void *packed, size_t count, ox_dtype dtype);
void ox_pack_bits(void *packed, const void *bytes, size_t count, ox_dtype dtype);
/* Narrow floats, by the standard's tables (round to nearest even; saturating as in Cast's default).
 */
float ox_half_to_float(uint16_t h);
uint16_t ox_float_to_half(float f);
static inline float ox_bfloat16_to_float(uint16_t b) {
    uint32_t u = (uint32_t)b << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
uint16_t ox_float_to_bfloat16(float f);

#endif
