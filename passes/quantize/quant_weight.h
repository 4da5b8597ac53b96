/* passes/quantize/quant_weight.h - int8 weights: symmetric, one scale per output channel, integers
 * -127 to 127. */
#ifndef OX_PASSES_QUANTIZE_QUANT_WEIGHT_H
#define OX_PASSES_QUANTIZE_QUANT_WEIGHT_H

#include "passes/quantize/quant_param.h"

/* A weight as [outer][channels][inner]: the axis of output channels with what is before and behind
 * it. Which input channel an element is multiplied by follows from its place, for every operator
 * that has weights: Conv           [M, C/g, taps]  outer 1, input = group of c, then inner / taps
 *   ConvTranspose  [C, M/g, taps]  input = outer
 *   MatMul, Gemm   [K, N] or transposed [N, K]: input = outer, or inner */
struct ox_qlayout {
    size_t outer, channels, inner;
    size_t taps;         /* inner elements that share one input channel */
    size_t group_width;  /* output channels a group of Conv */
    size_t group_inputs; /* input channels a group of Conv; 0 for the others */
};

static inline size_t ox_qlayout_input(const struct ox_qlayout *l, size_t o, size_t c, size_t i) {
    return c / l->group_width * l->group_inputs + o + i / l->taps;
}

struct ox_qweight {
    struct ox_qlayout layout;
    int axis; /* of DequantizeLinear; -1: one scale for the whole tensor */
    size_t n; /* scales: layout.channels, or 1 */
    float *scale;
};

struct ox_qweight_options {
    bool
        search; /* look for the scale of least error; else the one that covers the largest weight */
    const double *
        power; /* mean square of each input channel, by which errors are weighed; NULL: all alike */
};

/* Chooses scales for weights w. NaN counts as zero, and infinity as the largest finite float. */
OX_MUST_USE ox_status ox_qweight_init(struct ox_qweight *out, ox_ctx *ctx, const float *w,
                                      struct ox_qlayout layout, int axis,
                                      const struct ox_qweight_options *options);
void ox_qweight_fini(ox_ctx *ctx, struct ox_qweight *weight);
/* The integers of w under the scales, and what they stand for. Either may be NULL; real may be w.
 */
void ox_qweight_apply(ox_ctx *ctx, const struct ox_qweight *weight, const float *w, int8_t *q,
                      float *real);

#endif
