/* passes/quantize/quant_param.h - scales and zero points, and rounding through them.
 *
 * Every scale made here is finite and at least OX_SCALE_MIN, and every dequantized number is
 * finite: a value that is always zero, or denormal, or near the largest float, quantizes without
 * dividing by zero or overflowing. */
#ifndef OX_PASSES_QUANTIZE_QUANT_PARAM_H
#define OX_PASSES_QUANTIZE_QUANT_PARAM_H

#include "passes/quantize/histogram.h"

#include <float.h>

#define OX_SCALE_MIN FLT_MIN
#define OX_SCALE_MAX (FLT_MAX / 512)

/* Of a tensor as a whole: real = (q - zero) * scale, q in [low, high] of the type. */
struct ox_qparam {
    ox_dtype dtype; /* OX_UINT8 or OX_INT8 */
    float scale;
    int32_t zero;
};

/* The parameters that cover a range (which gets zero into it if it is not there). Zero is
 * represented exactly. */
struct ox_qparam ox_qparam_of(struct ox_range range, ox_dtype dtype);
/* What the parameters represent: [(low - zero) * scale, (high - zero) * scale]. */
struct ox_range ox_qparam_range(struct ox_qparam param);
/* A scale forced into [OX_SCALE_MIN, OX_SCALE_MAX]. */
float ox_scale_legal(double scale);

/* out[i] = DequantizeLinear(QuantizeLinear(in[i])): rounds half to even, saturates; NaN becomes
 * zero. in may be out. Threaded. */
void ox_fake_quant(ox_ctx *ctx, float *out, const float *in, size_t n, struct ox_qparam param);
/* The integers themselves. */
void ox_quantize(void *out, const float *in, size_t n, struct ox_qparam param);

#endif
