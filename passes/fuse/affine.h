/* passes/fuse/affine.h - what a constant per-channel operator does to each channel: y = x * scale +
 * shift.
 *
 * BatchNormalization, Mul, Div, Add, Sub and Neg with constants are all of that form, so what
 * absorbs one of them absorbs all. Factors are computed in double; the weights they go into are
 * rounded once. */
#ifndef OX_PASSES_FUSE_AFFINE_H
#define OX_PASSES_FUSE_AFFINE_H

#include "passes/rules/rule.h"

struct ox_affine {
    ox_ctx *ctx;
    size_t n;
    double *scale, *shift; /* n entries each */
    bool shifts;           /* some shift is not 0 */
};

/* Reads `node` as an affine operator on its operand `data`, whose axis `axis` of `rank` dims has n
 * channels; a negative axis counts from the back. *fits is false (and the match refused) where it
 * is none: then nothing is to be freed. */
OX_MUST_USE ox_status ox_affine_of(bool *fits, struct ox_affine *out, struct ox_match *m,
                                   const struct ox_node *node, const struct ox_value *data,
                                   int rank, int axis, size_t n);
void ox_affine_free(struct ox_affine *a);
/* bias * scale + shift as a vector of n; bias (vector of n elements) may be NULL for zeros. */
OX_MUST_USE ox_status ox_affine_bias(ox_tensor **out, const struct ox_affine *a, ox_dtype dtype,
                                     const ox_tensor *bias);

/* The replacement's name `name` is this weight; refuses where a product or sum left the numbers of
 * its type (float16 ends at 65504). Takes over the count. */
OX_MUST_USE ox_status ox_affine_make(struct ox_match *m, const char *name, ox_tensor *weight,
                                     const struct ox_value *like);

/* May a constant of this size be copied by a rewrite although others still use it? Then the file
 * grows. */
bool ox_affine_may_copy(const struct ox_value *weight);

#endif
