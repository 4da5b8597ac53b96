/* ir/ops/op_dynamic_quantize.c - DynamicQuantizeLinear: float to uint8 with a scale from the data's
 * own range. */
#include "ir/ops/quantize_priv.h"
#include "ir/ops/simd.h"
#include <math.h>

ox_status ox_infer_dynamic_quantize(const struct ox_call *call, const void *params,
                                    struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_BIT(OX_FLOAT)));
    if (ox_type_is_tensor(io->in[0]))
        OX_TRY(ox_infer_tensor(io, 0, OX_UINT8, io->in[0]->rank, io->in[0]->dims));
    else
        OX_TRY(ox_infer_tensor(io, 0, OX_UINT8, -1, NULL));
    if (call->n_out > 1) OX_TRY(ox_infer_tensor(io, 1, OX_FLOAT, 0, NULL));
    return call->n_out > 2 ? ox_infer_tensor(io, 2, OX_UINT8, 0, NULL) : OX_OK;
}

/* The range widened to hold 0; NaN is passed over. */
OX_CLONES static void range_of(float *low, float *high, const float *x, size_t n) {
    float lows[16] = {0}, highs[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        for (size_t k = 0; k < 16; k++) {
            lows[k] = x[i + k] < lows[k] ? x[i + k] : lows[k];
            highs[k] = x[i + k] > highs[k] ? x[i + k] : highs[k];
        }
    }
    for (; i < n; i++) {
        lows[0] = x[i] < lows[0] ? x[i] : lows[0];
        highs[0] = x[i] > highs[0] ? x[i] : highs[0];
    }
    *low = *high = 0;
    for (size_t k = 0; k < 16; k++) {
        *low = lows[k] < *low ? lows[k] : *low;
        *high = highs[k] > *high ? highs[k] : *high;
    }
}

ox_status ox_eval_dynamic_quantize(const struct ox_call *call, const void *params,
                                   const ox_tensor *const *in, ox_tensor **out) {
    const ox_tensor *x = in[0];
    float low, high;
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_BIT(OX_FLOAT)));
    range_of(&low, &high, x->data, x->count);
    float scale = (high - low) / 255.0f;
    if (!(scale > 0 && scale < INFINITY))
        scale = 1.0f; /* all zero, or beyond what a scale can be */
    float zp = rintf(0.0f - low / scale);
    zp = zp < 0 ? 0 : zp > 255 ? 255 : zp == zp ? zp : 0;
    ox_tensor *scale_tensor = NULL, *zp_tensor = NULL;
    uint8_t zp_code = (uint8_t)zp;
    OX_TRY(ox_tensor_copy(&scale_tensor, call->ctx, OX_FLOAT, 0, NULL, &scale, sizeof scale));
    ox_status status = ox_tensor_copy(&zp_tensor, call->ctx, OX_UINT8, 0, NULL, &zp_code, 1);
    struct ox_scales at = {1, {(int64_t)x->count}, {1}, 0};
    if (status == OX_OK)
        status =
            ox_run_quantize(&out[0], call->ctx, &at, x, scale_tensor, zp_tensor, OX_UINT8, true);
    if (status == OX_OK && call->n_out > 1) out[1] = ox_tensor_ref(scale_tensor);
    if (status == OX_OK && call->n_out > 2) out[2] = ox_tensor_ref(zp_tensor);
    ox_tensor_unref(scale_tensor);
    ox_tensor_unref(zp_tensor);
    return status;
}
