/* ir/ops/op_args.h - integers that tell an operator what to do: axes, sizes, starts, repeats.
 *
 * They come as an attribute in one opset and as an input in the next; the input may be a constant
 * (then decode knows it), known in part to shape inference, or unknown until the model runs. */
#ifndef OX_IR_OPS_OP_ARGS_H
#define OX_IR_OPS_OP_ARGS_H

#include "ir/ops/op.h"

/* Up to OX_MAX_RANK integers, as the model gives them (negative axes not yet resolved). */
struct ox_ints {
    bool given; /* the attribute or input is there */
    bool known; /* n and at are filled in */
    int n;
    int64_t at[OX_MAX_RANK];
};

/* From an attribute; absent: given is false. */
OX_MUST_USE ox_status ox_ints_attr(struct ox_ints *out, const struct ox_call *call,
                                   const char *name);
/* From input i, int32 or int64, rank 0 or 1. */
OX_MUST_USE ox_status ox_ints_input(struct ox_ints *out, const struct ox_call *call, size_t i);
/* For infer: what decode found, or else what is known of input i by now, if that is every element.
 */
struct ox_ints ox_ints_late(const struct ox_ints *ints, const struct ox_infer *io, size_t i);

/* How many there are, which the type of input i may tell although they are not known; -1: not even
 * that. */
int ox_ints_count(const struct ox_ints *ints, const struct ox_infer *io, size_t i);

/* Resolves axes against a rank: at[k] in [0, rank), no axis twice. */
OX_MUST_USE ox_status ox_axes_resolve(struct ox_ints *axes, const struct ox_call *call, int rank);

/* Is optional input i there? */
static inline bool ox_has_input(const struct ox_call *call, size_t i) {
    return i < call->n_in && (!call->present || call->present[i]);
}
/* The constant behind input i, or NULL. */
static inline const ox_tensor *ox_const_input(const struct ox_call *call, size_t i) {
    return i < call->n_in && call->consts && ox_has_input(call, i) ? call->consts[i] : NULL;
}
/* Element i of a tensor of int32 or int64, which may be unaligned. */
int64_t ox_tensor_int(const ox_tensor *tensor, size_t i);
/* A single number (rank 0 or one element) of any integer or float type; a float must be integral.
 * OX_INVALID for anything else. `what` names it in the diagnostic. */
OX_MUST_USE ox_status ox_scalar_int(int64_t *out, const struct ox_call *call, const char *what,
                                    const ox_tensor *tensor);
/* OX_INVALID unless input i is of type int32 or int64 (unknown passes). */
OX_MUST_USE ox_status ox_expect_index(const struct ox_call *call, size_t i, ox_dtype dtype);
/* All of an index tensor as int64, each brought from [-dim, dim) to [0, dim); out of range is
 * OX_INVALID. *out from ox_alloc. */
OX_MUST_USE ox_status ox_indices(int64_t **out, const struct ox_call *call, const ox_tensor *tensor,
                                 int64_t dim);

/* ---- inference ------------------------------------------------------------------------------- */

/* What is known of the elements of input i, or NULL. */
static inline const struct ox_partial *ox_in_value(const struct ox_infer *io, size_t i) {
    return io->in_values ? io->in_values[i] : NULL;
}
/* The same; where only the length is known, fresh unknowns stand for the elements. NULL: not even
 * that. */
OX_MUST_USE ox_status ox_in_elems(const struct ox_partial **out, struct ox_infer *io, size_t i);
static inline bool ox_in_is_tensor(const struct ox_infer *io, size_t i) {
    return ox_type_is_tensor(io->in[i]);
}
/* OX_INVALID unless input i's rank is unknown or in [min, max] (max -1: no bound). */
OX_MUST_USE ox_status ox_expect_rank(const struct ox_call *call, size_t i, int rank, int min,
                                     int max);
/* A tensor of that rank about whose dims nothing is known. */
OX_MUST_USE ox_status ox_infer_rank(struct ox_infer *io, size_t i, ox_dtype dtype, int rank);
/* Product of n dims; 1 for none. */
OX_MUST_USE ox_status ox_dim_product(ox_dim *out, struct ox_infer *io, const ox_dim *dims, int n);
/* Dims that must be equal: *a becomes the more precise one; two unlike numbers are OX_INVALID. */
OX_MUST_USE ox_status ox_dim_unify(ox_dim *a, const struct ox_call *call, ox_dim b);
/* Passes what is known of input 0's elements to output 0, under output 0's rank. */
OX_MUST_USE ox_status ox_infer_pass_value(struct ox_infer *io);

#endif
