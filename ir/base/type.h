/* ir/base/type.h - types of values, and integer values known only in part. */
#ifndef OX_IR_BASE_TYPE_H
#define OX_IR_BASE_TYPE_H

#include "ir/base/dim.h"

enum ox_type_kind {
    OX_TYPE_UNKNOWN,
    OX_TYPE_TENSOR,
    OX_TYPE_SPARSE,
    OX_TYPE_SEQUENCE,
    OX_TYPE_OPTIONAL,
    OX_TYPE_MAP
};

/* Immutable once attached to a value; lives in an arena. */
struct ox_type {
    enum ox_type_kind kind;
    ox_dtype dtype;             /* tensor, sparse: elements (OX_UNDEFINED: unknown); map: keys */
    int rank;                   /* tensor, sparse: -1 unknown */
    const ox_dim *dims;         /* rank entries */
    const struct ox_type *elem; /* sequence, optional: element; map: values */
};

/* A tensor of integers (int64, int32) of rank 0 or 1 whose elements are known at least in part:
 * shape arithmetic. Elements are dims, so one may be "batch * 49" and another 768; an unknown
 * element is a fresh unknown_int. */
struct ox_partial {
    int rank; /* 0 or 1 */
    size_t count;
    const ox_dim *elems;
};
#define OX_PARTIAL_MAX 256 /* longer vectors are not tracked */

static inline bool ox_type_is_tensor(const struct ox_type *t) {
    return t && t->kind == OX_TYPE_TENSOR;
}
/* True if rank and all dims are numbers. */
bool ox_type_is_static(const struct ox_type *t);
/* Number of elements of a static tensor type; -1 where unknown or overflowing. */
int64_t ox_type_count(const struct ox_type *t);
bool ox_type_same(const struct ox_type *a, const struct ox_type *b);
/* As the ONNX text form writes types: "float[N,3,224,224]", "int64" (rank 0), "float[]" (unknown
 * rank), "seq(float[])", "?" for an unknown type (snprintf's contract). */
size_t ox_type_print(char *buf, size_t size, const struct ox_type *t);

OX_MUST_USE ox_status ox_type_tensor(const struct ox_type **out, struct ox_arena *arena,
                                     ox_dtype dtype, int rank, const ox_dim *dims);
/* Of a tensor's own dtype and dims. */
OX_MUST_USE ox_status ox_type_of(const struct ox_type **out, struct ox_arena *arena,
                                 const ox_tensor *tensor);
/* The more precise of two types for the same value, dim by dim (number before named before
 * unnamed). *conflict (may be NULL) is set where they contradict each other (then the result is
 * a's). */
OX_MUST_USE ox_status ox_type_merge(const struct ox_type **out, bool *conflict,
                                    struct ox_arena *arena, const struct ox_type *a,
                                    const struct ox_type *b);

/* What values of types a and b have in common: dims that differ are fresh unknowns; NULL: nothing.
 */
OX_MUST_USE ox_status ox_type_common(const struct ox_type **out, struct ox_arena *arena,
                                     struct ox_dims *dims, const struct ox_type *a,
                                     const struct ox_type *b);

#endif
