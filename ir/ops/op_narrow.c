/* ir/ops/op_narrow.c - 16-bit floats by way of 32-bit ones; see op_narrow.h. */
#include "ir/ops/op_narrow.h"

struct convert {
    const void *from;
    void *to;
    ox_dtype dtype; /* the narrow one */
    bool widen;
};

static void convert_range(void *arg, size_t begin, size_t end) {
    const struct convert *c = arg;
    bool half = c->dtype == OX_FLOAT16;
    if (c->widen) {
        const uint16_t *from = c->from;
        float *to = c->to;
        for (size_t i = begin; i < end; i++)
            to[i] = half ? ox_half_to_float(from[i]) : ox_bfloat16_to_float(from[i]);
    } else {
        const float *from = c->from;
        uint16_t *to = c->to;
        for (size_t i = begin; i < end; i++)
            to[i] = half ? ox_float_to_half(from[i]) : ox_float_to_bfloat16(from[i]);
    }
}

ox_status ox_tensor_to(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor, ox_dtype dtype) {
    if (tensor->dtype == dtype) {
        *out = ox_tensor_ref(tensor);
        return OX_OK;
    }
    ox_tensor *wide = NULL;
    if (ox_is_narrow(tensor->dtype) && ox_is_narrow(dtype)) {
        OX_TRY(ox_tensor_to(&wide, ctx, tensor, OX_FLOAT));
        tensor = wide;
    }
    struct convert c = {.from = tensor->data, .widen = dtype == OX_FLOAT};
    c.dtype = c.widen ? tensor->dtype : dtype;
    ox_status status = ox_tensor_new_raw(out, &c.to, ctx, dtype, tensor->rank, tensor->dims);
    if (status == OX_OK) ox_parallel(ctx, tensor->count, 1 << 14, convert_range, &c);
    ox_tensor_unref(wide);
    return status;
}

ox_status ox_eval_wide(ox_eval_fn eval, const struct ox_call *call, const void *params,
                       const ox_tensor *const *in, ox_tensor **out, unsigned narrow) {
    ox_tensor *wide[OX_WIDE_MAX_IN] = {0};
    ox_status status = OX_OK;
    if (call->n_in > OX_WIDE_MAX_IN)
        return ox_no_kernel(call, "%s of %zu 16-bit inputs", call->op->name, call->n_in);
    for (size_t i = 0; status == OX_OK && i < call->n_in; i++) {
        if (!in[i]) continue;
        if (ox_is_narrow(in[i]->dtype))
            status = ox_tensor_to(&wide[i], call->ctx, in[i], OX_FLOAT);
        else
            wide[i] = ox_tensor_ref(in[i]);
    }
    if (status == OX_OK) status = eval(call, params, (const ox_tensor *const *)wide, out);
    for (size_t i = 0; i < OX_WIDE_MAX_IN; i++)
        ox_tensor_unref(wide[i]);
    for (size_t i = 0; status == OX_OK && i < call->n_out; i++) {
        if (!out[i] || !(narrow >> i & 1)) continue;
        ox_tensor *rounded;
        status = ox_tensor_to(&rounded, call->ctx, out[i], in[0]->dtype);
        if (status != OX_OK) break;
        ox_tensor_unref(out[i]);
        out[i] = rounded;
    }
    return status;
}
