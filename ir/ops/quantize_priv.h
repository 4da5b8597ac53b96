/* ir/ops/quantize_priv.h - checks that all quantized operators share. */
#ifndef OX_IR_OPS_QUANTIZE_PRIV_H
#define OX_IR_OPS_QUANTIZE_PRIV_H

#include "ir/ops/op_priv.h"
#include "ir/ops/op_quantize.h"

/* What is computed with, and what scales may be besides. */
#define OX_REAL_TYPES (OX_BIT(OX_FLOAT) | OX_BIT(OX_FLOAT16) | OX_BIT(OX_BFLOAT16))
#define OX_SCALE_TYPES (OX_REAL_TYPES | OX_BIT(OX_FLOAT8E8M0) | OX_BIT(OX_INT32))
#define OX_BYTES (OX_BIT(OX_INT8) | OX_BIT(OX_UINT8))

/* OX_INVALID unless the tensor's elements are all finite and above 0. */
OX_MUST_USE ox_status ox_check_scale(const struct ox_call *call, size_t i, const ox_tensor *scale);
/* The same for input i, if it is known to be constant. */
OX_MUST_USE ox_status ox_check_const_scale(const struct ox_call *call, size_t i);
/* OX_INVALID unless the zero point (input `zp`) has the shape of the scale (input `scale`); a
 * scalar and a vector of one element are the same. Constants and inferred types respectively. */
OX_MUST_USE ox_status ox_check_zero_point(const struct ox_call *call, size_t scale, size_t zp);
OX_MUST_USE ox_status ox_infer_zero_point(const struct ox_call *call, const struct ox_infer *io,
                                          size_t scale, size_t zp);
/* The two operators proper: the result's type is given, checks are done. zp may be NULL. Types
 * narrower than a byte included. */
OX_MUST_USE ox_status ox_run_quantize(ox_tensor **out, ox_ctx *ctx, const struct ox_scales *at,
                                      const ox_tensor *x, const ox_tensor *scale,
                                      const ox_tensor *zp, ox_dtype dtype, bool saturate);
/* Quotients of x and its scales as floats, operands and results rounded to `precision`; and scales
 * of 1 that lie as the scales do. */
OX_MUST_USE ox_status ox_run_divide(ox_tensor **quotients, ox_tensor **ones, ox_ctx *ctx,
                                    const struct ox_scales *at, const ox_tensor *x,
                                    const ox_tensor *scale, ox_dtype precision);
OX_MUST_USE ox_status ox_run_dequantize(ox_tensor **out, ox_ctx *ctx, const struct ox_scales *at,
                                        const ox_tensor *x, const ox_tensor *scale,
                                        const ox_tensor *zp, ox_dtype dtype);

/* Least and greatest number of an integer type of at most 16 bits. */
struct ox_int_range {
    float low, high;
};
struct ox_int_range ox_int_range(ox_dtype dtype);

/* Is optional input i there? */
static inline bool ox_q_has(const struct ox_call *call, size_t i) {
    return i < call->n_in && (!call->present || call->present[i]);
}
static inline const ox_tensor *ox_q_const(const struct ox_call *call, size_t i) {
    return call->consts && ox_q_has(call, i) ? call->consts[i] : NULL;
}

#endif
