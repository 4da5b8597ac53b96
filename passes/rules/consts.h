/* passes/rules/consts.h - arithmetic on constant tensors, for passes that compute new weights.
 *
 * Elements are read and written as doubles whatever their type, so a computation is written once,
 * and weights of float, float16 or bfloat16 are rounded once, at the end. */
#ifndef OX_PASSES_RULES_CONSTS_H
#define OX_PASSES_RULES_CONSTS_H

#include "ir/ir.h"

/* May elements be read (and written) as doubles: float, double, float16, bfloat16, integers up to
 * 64 bits, bool? */
bool ox_const_readable(ox_dtype dtype);
/* The elements as doubles; *out from ox_alloc, the caller frees. 64-bit integers beyond 2^53 are
 * rounded. The type must be readable. */
OX_MUST_USE ox_status ox_const_doubles(double **out, ox_ctx *ctx, const ox_tensor *tensor);
/* A new tensor with these elements, rounded to nearest even (integers: towards zero). */
OX_MUST_USE ox_status ox_const_from_doubles(ox_tensor **out, ox_ctx *ctx, ox_dtype dtype, int rank,
                                            const int64_t *dims, const double *elems);
double ox_const_at(const ox_tensor *tensor, size_t index);
/* True if there are elements and all equal the same number (0 and -0 are equal), which is stored.
 */
bool ox_const_splat(double *out, const ox_tensor *tensor);
/* A new tensor: elements of `tensor`, each seen as [outer, n, inner], times factor[n index]. */
OX_MUST_USE ox_status ox_const_scale(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor,
                                     size_t outer, size_t n, size_t inner, const double *factor);
/* No element of a float tensor is infinite or NaN. */
bool ox_const_finite(const ox_tensor *tensor);
/* A scalar of a type. */
OX_MUST_USE ox_status ox_const_scalar(ox_tensor **out, ox_ctx *ctx, ox_dtype dtype, double value);
OX_MUST_USE ox_status ox_const_ints(ox_tensor **out, ox_ctx *ctx, const int64_t *values,
                                    size_t count); /* int64 vector */
/* Can each of n channels of axis `axis` of a tensor of rank `rank` be given one factor or summand
 * by broadcasting `tensor`? Then *out (from ox_alloc, n entries) holds them. False in *fits: it
 * varies along another dim, or does not have n or 1 elements. */
OX_MUST_USE ox_status ox_const_per_channel(bool *fits, double **out, ox_ctx *ctx,
                                           const ox_tensor *tensor, int rank, int axis, size_t n);

#endif
