/* ir/ops/op_doubles.c - kernels for doubles on tensors of every float type. */
#include "ir/ops/convert.h"
#include "ir/ops/op_doubles.h"

static ox_status narrow_output(ox_tensor **out, ox_ctx *ctx, ox_dtype dtype) {
    ox_tensor *t = *out;
    *out = NULL;
    ox_status s = ox_tensor_cast(out, ctx, t, dtype, true);
    ox_tensor_unref(t);
    return s;
}

ox_status ox_eval_doubles(ox_eval_fn eval, const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out, unsigned narrow,
                          ox_dtype dtype) {
    ox_tensor *own[OX_DOUBLES_MAX_IN] = {NULL};
    const ox_tensor *wide[OX_DOUBLES_MAX_IN] = {NULL};
    ox_status s = OX_OK;
    if (call->n_in > OX_DOUBLES_MAX_IN) return OX_INTERNAL;
    for (size_t i = 0; i < call->n_in && s == OX_OK; i++) {
        wide[i] = in[i];
        if (!in[i] || !ox_dtype_is_float(in[i]->dtype)) continue;
        s = ox_tensor_cast(&own[i], call->ctx, in[i], OX_DOUBLE, true);
        wide[i] = own[i];
    }
    if (s == OX_OK) s = eval(call, params, wide, out);
    for (size_t i = 0; i < call->n_out && s == OX_OK; i++)
        if (out[i] && (narrow >> i & 1)) s = narrow_output(&out[i], call->ctx, dtype);
    for (size_t i = 0; i < call->n_in; i++)
        ox_tensor_unref(own[i]);
    return s;
}
