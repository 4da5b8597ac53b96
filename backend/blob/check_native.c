/* backend/blob/check_native.c - records of convolutions, products and the operators around them.
 * XNNPACK checks little in a release build, so every ratio of scales that its kernels rely on is
 * proved here. */
#include "backend/blob/step_check.h"

#include <math.h>

enum {
    EXTENT_MAX = 1 << 20
}; /* of kernels, strides, dilations and paddings: sums and products stay far from overflow */

static bool is_scale(float s) {
    return isnormal(s) && s > 0;
}

static ox_status check_quant(ox_ctx *ctx, struct ox_step_quant q) {
    if (!is_scale(q.scale) || q.zero < -128 || q.zero > 127)
        return ox_bad_step(ctx, "scale %g or zero point %d", (double)q.scale, q.zero);
    return OX_OK;
}

static ox_status check_zero(ox_ctx *ctx, uint64_t zero) {
    return zero ? ox_bad_step(ctx, "a reserved field is not 0") : OX_OK;
}

static ox_status check_clamp(ox_ctx *ctx, float low, float high) {
    return low < high ? OX_OK : ox_bad_step(ctx, "clamp to %g .. %g", (double)low, (double)high);
}

/* A clamp or an activation, not both. */
static ox_status check_act(ox_ctx *ctx, float low, float high, uint32_t act, uint32_t zero) {
    if (act >= OX_STEP_ACTS) return ox_bad_step(ctx, "activation %u", act);
    if (act && (low > -INFINITY || high < INFINITY))
        return ox_bad_step(ctx, "activation %u and a clamp", act);
    OX_TRY(check_zero(ctx, zero));
    return check_clamp(ctx, low, high);
}

static ox_status check_clamp_s8(ox_ctx *ctx, int32_t low, int32_t high) {
    return low >= -128 && low < high && high <= 127
               ? OX_OK
               : ox_bad_step(ctx, "clamp to %d .. %d", low, high);
}

static ox_status check_window(ox_ctx *ctx, const struct ox_step_window *w) {
    const uint32_t least1[] = {w->kernel[0], w->kernel[1],   w->stride[0],
                               w->stride[1], w->dilation[0], w->dilation[1]};
    const uint32_t least0[] = {w->top, w->right, w->bottom, w->left};
    for (size_t i = 0; i < 6; i++)
        if (least1[i] < 1 || least1[i] > EXTENT_MAX)
            return ox_bad_step(ctx, "window of extent %u", least1[i]);
    for (size_t i = 0; i < 4; i++)
        if (least0[i] > EXTENT_MAX) return ox_bad_step(ctx, "window with padding %u", least0[i]);
    for (size_t i = 0; i < 2; i++)
        if ((uint64_t)w->dilation[i] * w->kernel[i] > EXTENT_MAX)
            return ox_bad_step(ctx, "window of extent %u x %u", w->dilation[i], w->kernel[i]);
    return OX_OK;
}

/* Operand i is a constant of this type and rank, with elements. */
static ox_status check_const(ox_ctx *ctx, const struct ox_step *step, size_t i, ox_dtype dtype,
                             int rank) {
    const ox_tensor *t = step->consts[i];
    if (!t || t->dtype != dtype || t->rank != rank || t->count == 0)
        return ox_bad_step(ctx, "operand %zu must be a constant of type %s and rank %d", i,
                           ox_dtype_name(dtype), rank);
    return OX_OK;
}

/* Operand i, if it is there, holds one value for each of n. */
static ox_status check_vector(ox_ctx *ctx, const struct ox_step *step, size_t i, ox_dtype dtype,
                              int64_t n) {
    if (i >= step->n_in || !step->present[i]) return OX_OK;
    OX_TRY(check_const(ctx, step, i, dtype, 1));
    if (step->consts[i]->dims[0] != n)
        return ox_bad_step(ctx, "operand %zu has %lld values instead of %lld", i,
                           (long long)step->consts[i]->dims[0], (long long)n);
    return OX_OK;
}

/* Filter and groups of a convolution; *outputs gets O. */
static ox_status check_filter(int64_t *outputs, ox_ctx *ctx, const struct ox_step *step,
                              const struct ox_step_window *w, uint32_t groups, uint32_t depthwise,
                              ox_dtype dtype) {
    OX_TRY(check_window(ctx, w));
    OX_TRY(check_const(ctx, step, 1, dtype, 4));
    const int64_t *d = step->consts[1]->dims;
    *outputs = depthwise ? d[3] : d[0];
    if (depthwise > 1 || (depthwise && d[0] != 1) || d[1] != w->kernel[0] || d[2] != w->kernel[1])
        return ox_bad_step(ctx, "filter does not fit its window");
    if (groups < 1 || *outputs % groups != 0)
        return ox_bad_step(ctx, "%u groups for %lld outputs", groups, (long long)*outputs);
    for (int i = 0; i < 4; i++)
        if (d[i] > INT32_MAX) return ox_bad_step(ctx, "filter of extent %lld", (long long)d[i]);
    if (d[3] > INT32_MAX / groups)
        return ox_bad_step(ctx, "filter of extent %lld", (long long)d[3]);
    return OX_OK;
}

/* Scales of an int8 product: in * kernel / out is what accumulators are multiplied by. */
static ox_status check_scales(ox_ctx *ctx, const struct ox_step *step, int64_t outputs,
                              struct ox_step_quant in, struct ox_step_quant out) {
    OX_TRY(check_quant(ctx, in));
    OX_TRY(check_quant(ctx, out));
    OX_TRY(check_vector(ctx, step, 2, OX_FLOAT, outputs));
    const float *scale = step->consts[2]->data;
    for (int64_t i = 0; i < outputs; i++) {
        if (!is_scale(scale[i])) return ox_bad_step(ctx, "scale %g", (double)scale[i]);
        float factor = in.scale * scale[i] / out.scale;
        if (!(factor >= 0x1p-32f && factor < 256))
            return ox_bad_step(ctx, "factor %g of output %lld", (double)factor, (long long)i);
    }
    return check_vector(ctx, step, 3, OX_INT32, outputs);
}

ox_status ox_step_check_conv(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_conv_params *p = step->params;
    int64_t outputs;
    OX_TRY(check_filter(&outputs, ctx, step, &p->window, p->groups, p->depthwise, OX_FLOAT));
    OX_TRY(check_vector(ctx, step, 2, OX_FLOAT, outputs));
    return check_act(ctx, p->low, p->high, p->act, p->zero);
}

ox_status ox_step_check_conv_s8(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_conv_s8_params *p = step->params;
    int64_t outputs;
    OX_TRY(check_filter(&outputs, ctx, step, &p->window, p->groups, p->depthwise, OX_INT8));
    OX_TRY(check_scales(ctx, step, outputs, p->in, p->out));
    return check_clamp_s8(ctx, p->low, p->high);
}

ox_status ox_step_check_dense(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_dense_params *p = step->params;
    OX_TRY(check_const(ctx, step, 1, OX_FLOAT, 2));
    OX_TRY(check_vector(ctx, step, 2, OX_FLOAT, step->consts[1]->dims[0]));
    return check_act(ctx, p->low, p->high, p->act, p->zero);
}

ox_status ox_step_check_dense_s8(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_dense_s8_params *p = step->params;
    OX_TRY(check_const(ctx, step, 1, OX_INT8, 2));
    OX_TRY(check_scales(ctx, step, step->consts[1]->dims[0], p->in, p->out));
    return check_clamp_s8(ctx, p->low, p->high);
}

ox_status ox_step_check_dense_s8f(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_dense_s8f_params *p = step->params;
    OX_TRY(check_quant(ctx, p->in));
    OX_TRY(check_const(ctx, step, 1, OX_INT8, 2));
    const int64_t outputs = step->consts[1]->dims[0];
    OX_TRY(check_vector(ctx, step, 2, OX_FLOAT, outputs));
    for (int64_t i = 0; i < outputs; i++)
        if (!is_scale(((const float *)step->consts[2]->data)[i]))
            return ox_bad_step(ctx, "scale of output %lld", (long long)i);
    OX_TRY(check_vector(ctx, step, 3, OX_FLOAT, outputs));
    return check_clamp(ctx, p->low, p->high);
}

ox_status ox_step_check_matmul(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_matmul_params *p = step->params;
    if (p->transposed_b > 1) return ox_bad_step(ctx, "flag %u", p->transposed_b);
    return check_zero(ctx, p->zero);
}

ox_status ox_step_check_pool(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_pool_params *p = step->params;
    OX_TRY(check_window(ctx, &p->window));
    const struct ox_step_window *w = &p->window;
    if (p->mode > OX_STEP_POOL_AVERAGE) return ox_bad_step(ctx, "pool of mode %u", p->mode);
    if (ox_step_pool_strays(p)) return ox_bad_step(ctx, "pool with dilation and padding");
    if (p->mode == OX_STEP_POOL_AVERAGE && (w->dilation[0] != 1 || w->dilation[1] != 1))
        return ox_bad_step(ctx, "average with dilation");
    if (w->kernel[0] * w->kernel[1] < 2 || w->stride[0] > w->kernel[0] ||
        w->stride[1] > w->kernel[1])
        return ox_bad_step(ctx, "pool of %u x %u", w->kernel[0], w->kernel[1]);
    return check_zero(ctx, p->zero);
}

ox_status ox_step_check_mean(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_mean_params *p = step->params;
    OX_TRY(check_quant(ctx, p->in));
    return check_quant(ctx, p->out);
}

ox_status ox_step_check_table(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_table_params *p = step->params;
    const ox_tensor *t = step->consts[1];
    if (!t || t->rank != 1 || t->dims[0] != 256 || (t->dtype != OX_INT8 && t->dtype != OX_UINT8))
        return ox_bad_step(ctx, "table without 256 entries of 8 bits");
    return check_zero(ctx, p->zero);
}

ox_status ox_step_check_concat(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_concat_params *p = step->params;
    for (size_t i = 0; i < step->n_in; i++)
        if (!step->present[i]) return ox_bad_step(ctx, "concat lacks operand %zu", i);
    if (p->axis >= OX_STEP_RANK_MAX) return ox_bad_step(ctx, "axis %u", p->axis);
    return check_zero(ctx, p->zero);
}

ox_status ox_step_check_binary(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_binary_params *p = step->params;
    if (p->op >= OX_STEP_BINARY_OPS) return ox_bad_step(ctx, "binary operator %u", p->op);
    return check_zero(ctx, p->zero);
}

ox_status ox_step_check_binary_s8(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_binary_s8_params *p = step->params;
    OX_TRY(check_quant(ctx, p->a));
    OX_TRY(check_quant(ctx, p->b));
    OX_TRY(check_quant(ctx, p->out));
    float a = p->a.scale / p->out.scale, b = p->b.scale / p->out.scale,
          ab = p->a.scale * p->b.scale / p->out.scale;
    bool fits;
    if (p->op == OX_STEP_MUL)
        fits = ab >= 0x1p-16f && ab < 256;
    else
        fits = p->op <= OX_STEP_SUB && a >= 0x1p-10f && a < 256 && b >= 0x1p-10f && b < 256;
    if (!fits)
        return ox_bad_step(ctx, "int8 operator %u of scales %g, %g, %g", p->op, (double)p->a.scale,
                           (double)p->b.scale, (double)p->out.scale);
    return check_zero(ctx, p->zero);
}

ox_status ox_step_check_unary(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_unary_params *p = step->params;
    if (p->op >= OX_STEP_UNARY_OPS) return ox_bad_step(ctx, "unary operator %u", p->op);
    if (p->op == OX_STEP_CLAMP) OX_TRY(check_clamp(ctx, p->low, p->high));
    if ((p->op == OX_STEP_ELU || p->op == OX_STEP_LEAKY_RELU) && !isfinite(p->low))
        return ox_bad_step(ctx, "alpha %g", (double)p->low);
    return check_zero(ctx, p->zero);
}

ox_status ox_step_check_scale(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_scale_params *p = step->params;
    OX_TRY(check_const(ctx, step, 0, OX_FLOAT, 1));
    OX_TRY(check_vector(ctx, step, 1, OX_FLOAT, step->consts[0]->dims[0]));
    for (size_t i = 0; i < step->n_in; i++)
        if (!step->present[i]) return ox_bad_step(ctx, "operand %zu is absent", i);
    return check_clamp(ctx, p->low, p->high);
}

ox_status ox_step_check_softmax(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_softmax_params *p = step->params;
    return check_zero(ctx, p->zero);
}

ox_status ox_step_check_resize(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_resize_params *p = step->params;
    if (p->height < 1 || p->width < 1 || p->height > 1 << 16 || p->width > 1 << 16 ||
        p->coords > OX_STEP_ASYMMETRIC)
        return ox_bad_step(ctx, "resize to %u x %u", p->height, p->width);
    return check_zero(ctx, p->zero);
}

ox_status ox_step_check_quantize(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_quantize_params *p = step->params;
    return check_quant(ctx, p->out);
}

ox_status ox_step_check_dequantize(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_dequantize_params *p = step->params;
    return check_quant(ctx, p->in);
}
