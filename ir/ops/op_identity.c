/* ir/ops/op_identity.c - operators that give back their input: Identity, and Dropout, which does so
 * unless it trains. */
#include "ir/ops/convert.h"
#include "ir/ops/op_priv.h"

ox_status ox_infer_identity(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)call;
    (void)params;
    if (io->in_values && io->out_values) io->out_values[0] = io->in_values[0];
    return ox_infer_same(io, 0, 0);
}

ox_status ox_eval_identity(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    (void)call;
    (void)params;
    out[0] = ox_tensor_ref(in[0]);
    return OX_OK;
}

/* ---- Dropout --------------------------------------------------------------------------------- */

/* Since opset 12 an input says whether the model trains. In opset 1 and 6 the attribute is_test
 * did, with default 0, but models that are only run leave it out as often as not: where it is
 * absent nothing is dropped, where a 0 is written out the model trains. */
ox_status ox_decode_dropout(const struct ox_call *call, void *params) {
    struct ox_dropout_params *p = params;
    OX_TRY(ox_attr_float(&p->ratio, call, "ratio", 0.5f));
    bool has_mode = call->opset >= 12 && call->n_in > 2 && (!call->present || call->present[2]);
    const ox_tensor *mode = has_mode && call->consts ? call->consts[2] : NULL;
    p->training = OX_TRAINING_NO;
    if (has_mode) p->training = OX_TRAINING_UNKNOWN;
    if (call->opset < 7 && ox_attr_find(call, "is_test")) {
        int64_t is_test;
        OX_TRY(ox_attr_int(&is_test, call, "is_test", 0));
        p->training = is_test ? OX_TRAINING_NO : OX_TRAINING_YES;
    }
    if (!mode) return OX_OK;
    if (mode->dtype != OX_BOOL || mode->count != 1)
        return ox_bad_type(call, "training_mode is a %s tensor of %zu elements, expected one bool",
                           ox_dtype_name(mode->dtype), mode->count);
    p->training = *(const uint8_t *)mode->data ? OX_TRAINING_YES : OX_TRAINING_NO;
    return OX_OK;
}

ox_status ox_infer_dropout(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS | OX_FLOAT8S));
    OX_TRY(ox_infer_same(io, 0, 0));
    if (call->n_out < 2) return OX_OK;
    /* Before opset 10 the mask had the type of the data. */
    ox_dtype dtype = call->opset < 10 ? ox_in_dtype(io, 0) : OX_BOOL;
    if (!ox_type_is_tensor(io->in[0])) return ox_infer_tensor(io, 1, dtype, -1, NULL);
    return ox_infer_tensor(io, 1, dtype, io->in[0]->rank, io->in[0]->dims);
}

/* All of a mask is kept. */
static void fill_ones(void *data, ox_dtype dtype, size_t n) {
    if (dtype == OX_BOOL) {
        memset(data, 1, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (dtype == OX_FLOAT) ((float *)data)[i] = 1.0f;
        if (dtype == OX_DOUBLE) ((double *)data)[i] = 1.0;
        if (dtype == OX_FLOAT16) ((uint16_t *)data)[i] = 0x3c00;
        if (dtype == OX_BFLOAT16) ((uint16_t *)data)[i] = 0x3f80;
    }
}

/* Element i is not kept; of every type that a mask may have, 0 is all bits 0. */
static void clear_at(void *data, ox_dtype dtype, size_t i) {
    size_t size = (size_t)ox_dtype_bits(dtype) / 8;
    memset((unsigned char *)data + i * size, 0, size);
}

/* Share that is dropped: in [0, 1). */
static ox_status read_ratio(double *out, const struct ox_call *call,
                            const struct ox_dropout_params *p, const ox_tensor *ratio) {
    *out = (double)p->ratio;
    if (ratio) {
        ox_tensor *wide;
        OX_TRY(ox_expect_dtype(call, 1, ratio->dtype, OX_FLOATS | OX_FLOAT8S));
        if (ratio->count != 1)
            return ox_bad_shape(call, "ratio has %zu elements, expected one", ratio->count);
        OX_TRY(ox_tensor_cast(&wide, call->ctx, ratio, OX_DOUBLE, true));
        *out = *(const double *)wide->data;
        ox_tensor_unref(wide);
    }
    if (*out >= 0 && *out < 1) return OX_OK; /* NaN fails too */
    return ox_bad_shape(call, "a ratio of %g is not in [0, 1)", *out);
}

/* The mode of training: what is kept is scaled so that the mean stays. mask may be NULL. */
static ox_status drop(ox_tensor **out, void *mask, ox_dtype mask_dtype, const struct ox_call *call,
                      const ox_tensor *x, double ratio) {
    ox_tensor *from, *to;
    struct ox_random r;
    void *data;
    OX_TRY(ox_random_start(&r, call));
    OX_TRY(ox_tensor_cast(&from, call->ctx, x, OX_DOUBLE, true));
    ox_status status = ox_tensor_new(&to, &data, call->ctx, OX_DOUBLE, x->rank, x->dims);
    if (status == OX_OK) {
        for (size_t i = 0; i < x->count; i++) {
            bool keep = ox_random_uniform(&r) >= ratio;
            /* a product, so that NaN and infinities that are dropped become NaN, as the standard's
             * formula has it */
            ((double *)data)[i] = ((const double *)from->data)[i] * keep / (1 - ratio);
            if (mask && !keep) clear_at(mask, mask_dtype, i);
        }
        status = ox_tensor_cast(out, call->ctx, to, x->dtype, true);
        ox_tensor_unref(to);
    }
    ox_tensor_unref(from);
    return status;
}

ox_status ox_eval_dropout(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_dropout_params *p = params;
    const ox_tensor *x = in[0], *ratio = call->opset >= 12 && call->n_in > 1 ? in[1] : NULL;
    bool masked = call->n_out > 1 && (!call->wanted || call->wanted[1]);
    double share = 0;
    void *mask = NULL;
    ox_dtype dtype = OX_BOOL;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS | OX_FLOAT8S));
    if (p->training != OX_TRAINING_NO) OX_TRY(read_ratio(&share, call, p, ratio));
    if (masked) {
        dtype = call->opset < 10 ? x->dtype : OX_BOOL;
        OX_TRY(ox_tensor_new(&out[1], &mask, call->ctx, dtype, x->rank, x->dims));
        fill_ones(mask, dtype, x->count);
    }
    if (share > 0) return drop(&out[0], mask, dtype, call, x, share);
    out[0] = ox_tensor_ref(x);
    return OX_OK;
}
