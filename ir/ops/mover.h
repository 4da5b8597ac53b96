/* ir/ops/mover.h - moving elements of any type: what Transpose, Slice, Concat, Gather and their kin
 * share.
 *
 * Moving is by bytes. Types that do not lie in whole bytes are unpacked before and packed
 * afterwards; strings are moved as ox_str and copied by the tensor that is made in the end. */
#ifndef OX_IR_OPS_MOVER_H
#define OX_IR_OPS_MOVER_H

#include "ir/ops/op.h"

/* The elements of a tensor, `size` whole bytes each. */
struct ox_view {
    const unsigned char *data;
    size_t size;
    void *own; /* unpacked copy, or NULL */
};
OX_MUST_USE ox_status ox_view_open(struct ox_view *view, ox_ctx *ctx, const ox_tensor *tensor);
void ox_view_close(struct ox_view *view, ox_ctx *ctx);

/* Room for the elements of a tensor to be; all zero at first (empty strings). */
struct ox_sink {
    unsigned char *data;
    size_t size, count;
    ox_tensor *tensor; /* what is made; of strings: a holder that only lends its memory */
    void *packed;      /* where an unpacked `own` goes in the end */
    void *own;
};
OX_MUST_USE ox_status ox_sink_open(struct ox_sink *sink, ox_ctx *ctx, ox_dtype dtype, int rank,
                                   const int64_t *dims);
/* Ends the filling. With OX_OK *out gets the tensor; with another status, all is dropped and that
 * status returned. */
OX_MUST_USE ox_status ox_sink_close(struct ox_sink *sink, ox_ctx *ctx, ox_status status,
                                    ox_tensor **out);

/* Loops over dims (outer first) with the distance, in elements, that a step makes on either side.
 * Distances may be 0 (repetition) or negative on the source side. */
struct ox_strided {
    int rank;
    int64_t dims[2 * OX_MAX_RANK], dst[2 * OX_MAX_RANK], src[2 * OX_MAX_RANK];
};
static inline void ox_strided_add(struct ox_strided *s, int64_t dim, int64_t dst, int64_t src) {
    s->dims[s->rank] = dim;
    s->dst[s->rank] = dst;
    s->src[s->rank++] = src;
}
/* Copies; distinct loop positions must be distinct elements of dst. Threaded. */
void ox_strided_copy(ox_ctx *ctx, void *dst, const void *src, size_t size,
                     const struct ox_strided *strided);

/* Row-major distances of a shape. */
void ox_row_major(int64_t *strides, int rank, const int64_t *dims);
/* Product of n dims of a shape that is known to exist; it may wrap only if the tensor is empty. */
static inline int64_t ox_count_of(int n, const int64_t *dims) {
    uint64_t count = 1;
    for (int i = 0; i < n; i++)
        count *= (uint64_t)dims[i];
    return (int64_t)count;
}
/* n copies of the element at `value`. */
void ox_fill(void *dst, const void *value, size_t size, size_t n);

/* Items for one thread when an item costs about `bytes` of copying. */
static inline size_t ox_copy_grain(size_t bytes) {
    return (size_t)65536 / (bytes ? bytes : 1) + 1;
}

#endif
