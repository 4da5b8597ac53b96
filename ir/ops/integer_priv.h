/* ir/ops/integer_priv.h - what MatMulInteger, ConvInteger and their QLinear forms share. */
#ifndef OX_IR_OPS_INTEGER_PRIV_H
#define OX_IR_OPS_INTEGER_PRIV_H

#include "ir/ops/broadcast.h"
#include "ir/ops/op_integer.h"
#include "ir/ops/quantize_priv.h"

/* x - zp as 16 bits; zp (NULL: 0) is seen with these dims and must broadcast to x's. *out from
 * ox_alloc_raw. */
OX_MUST_USE ox_status ox_widen(int16_t **out, const struct ox_call *call, const ox_tensor *x,
                               const ox_tensor *zp, int zp_rank, const int64_t *zp_dims);

/* Turns sums into the output: y = cut(round(sum * (x_scale * w_scale / y_scale)) + y_zp). The
 * scales are floats, seen with dims of the sums' rank at most; y's are single numbers. */
struct ox_requantize {
    const int32_t *sums;
    int rank;
    const int64_t *dims;
    struct ox_loop_operand x_scale, w_scale; /* of floats */
    float y_scale, y_zp;
    ox_dtype dtype; /* int8 or uint8 */
};
void ox_requantize(ox_ctx *ctx, const struct ox_requantize *r, void *out);

/* Types and constants of all inputs but the data's relations to one another. */
OX_MUST_USE ox_status ox_integer_check(const struct ox_call *call);
OX_MUST_USE ox_status ox_integer_infer_types(const struct ox_call *call, const struct ox_infer *io,
                                             ox_dtype *result);
OX_MUST_USE ox_status ox_integer_eval_types(const struct ox_call *call, const ox_tensor *const *in,
                                            ox_dtype *result);
/* The float number that a tensor of one element is. */
OX_MUST_USE ox_status ox_integer_number(float *out, const struct ox_call *call, size_t i,
                                        const ox_tensor *t);

#endif
