/* backend/native/lower_util.c - see lower_util.h. */
#include "backend/native/lower_util.h"

#include "ir/ops/mover.h"

/* Asks of the operators whether something can be read; what they say when it cannot is of no
 * interest. */
static bool quiet_decode(union ox_lower_room *params, ox_ctx *ctx, const struct ox_node *node) {
    struct ox_call_scratch scratch = {.ctx = ctx};
    struct ox_call call;
    bool good = node->op && node->op->params_size <= sizeof *params && !ox_node_is_template(node) &&
                ox_node_call(&call, &scratch, node) == OX_OK && ox_op_check(&call) == OX_OK;
    memset(params, 0, sizeof *params);
    good = good && node->op->decode(&call, params) == OX_OK;
    ox_call_scratch_fini(&scratch);
    return good;
}

bool ox_lower_decode(union ox_lower_room *params, struct ox_lower *lo, const struct ox_node *node) {
    ox_ctx *ctx = ox_lower_model(lo)->ctx;
    ox_mute(ctx, true);
    bool good = quiet_decode(params, ctx, node);
    ox_mute(ctx, false);
    return good;
}

const struct ox_node *ox_lower_maker(const struct ox_value *v, const char *type) {
    return v && v->def && v->def_index == 0 && ox_node_is(v->def, type) ? v->def : NULL;
}

unsigned ox_lower_followed(struct ox_lower *lo, const struct ox_value *v) {
    const unsigned last = 1u << OX_FORM_LAST | 1u << OX_FORM_LAST_SHIFTED;
    const int rank = ox_lower_rank(v);
    return rank >= 3 && rank <= OX_STEP_RANK_MAX && (ox_lower_wanted(lo, v) & last) ? OX_FORM_LAST
                                                                                    : OX_FORM_PLAIN;
}

/* ---- constants ---------------------------------------------------------------------------------
 */

static ox_status evaluate(ox_tensor **out, struct ox_lower *lo, const struct ox_node *node) {
    ox_ctx *ctx = ox_lower_model(lo)->ctx;
    struct ox_call_scratch scratch = {.ctx = ctx};
    struct ox_call call;
    const ox_tensor *in[3] = {NULL, NULL, NULL};
    ox_tensor *aligned[3] = {NULL, NULL, NULL};
    ox_status status = ox_node_call(&call, &scratch, node);
    for (size_t i = 0; i < node->n_in && i < 3 && status == OX_OK; i++) {
        const ox_tensor *t = ox_lower_value_const(lo, ox_node_in(node, i));
        if (t) status = ox_tensor_aligned(&aligned[i], ctx, t);
        in[i] = aligned[i];
    }
    *out = NULL;
    if (status == OX_OK) status = ox_op_eval(&call, in, out);
    for (int i = 0; i < 3; i++)
        ox_tensor_unref(aligned[i]);
    ox_call_scratch_fini(&scratch);
    return status;
}

ox_status ox_lower_float_const(ox_tensor **out, struct ox_lower *lo, const struct ox_value *v) {
    const ox_tensor *t = v ? ox_lower_value_const(lo, v) : NULL;
    const struct ox_node *dq = v ? ox_lower_maker(v, "DequantizeLinear") : NULL;
    *out = NULL;
    if (t) return ox_tensor_aligned(out, ox_lower_model(lo)->ctx, t);
    if (!dq || dq->n_in > 3) return OX_OK;
    for (size_t i = 0; i < dq->n_in; i++)
        if (ox_node_in(dq, i) && !ox_lower_value_const(lo, ox_node_in(dq, i))) return OX_OK;
    return evaluate(out, lo, dq);
}

bool ox_lower_scalar(float *out, struct ox_lower *lo, const struct ox_value *v) {
    const ox_tensor *t = v ? ox_lower_value_const(lo, v) : NULL;
    if (!t || t->dtype != OX_FLOAT || t->count != 1) return false;
    memcpy(out, t->data, sizeof *out);
    return true;
}

ox_status ox_lower_permuted(ox_tensor **out, struct ox_lower *lo, const ox_tensor *t,
                            const int *perm) {
    ox_ctx *ctx = ox_lower_model(lo)->ctx;
    int64_t dims[OX_STEP_RANK_MAX], to[OX_STEP_RANK_MAX], from[OX_STEP_RANK_MAX];
    struct ox_strided loops = {.rank = 0};
    void *data;
    for (int i = 0; i < t->rank; i++)
        dims[i] = t->dims[perm[i]];
    OX_TRY(ox_tensor_new(out, &data, ctx, t->dtype, t->rank, dims));
    ox_row_major(to, t->rank, dims);
    ox_row_major(from, t->rank, t->dims);
    for (int i = 0; i < t->rank; i++)
        ox_strided_add(&loops, dims[i], to[i], from[perm[i]]);
    ox_strided_copy(ctx, data, t->data, (size_t)ox_dtype_bits(t->dtype) / 8, &loops);
    return OX_OK;
}

/* ---- quantization ------------------------------------------------------------------------------
 */

/* One scale and zero point for 8-bit elements of type dtype, seen as int8. */
static bool one_quant(struct ox_step_quant *q, unsigned *form, struct ox_lower *lo, ox_dtype dtype,
                      const struct ox_value *scale, const struct ox_value *zero) {
    const ox_tensor *z = zero ? ox_lower_value_const(lo, zero) : NULL;
    if ((dtype != OX_INT8 && dtype != OX_UINT8) || !ox_lower_scalar(&q->scale, lo, scale) ||
        !isnormal(q->scale) || q->scale < 0)
        return false;
    if (zero && (!z || z->count != 1 || z->dtype != dtype)) return false;
    q->zero = 0;
    if (z && dtype == OX_INT8) q->zero = *(const int8_t *)z->data;
    if (z && dtype == OX_UINT8) q->zero = *(const uint8_t *)z->data;
    *form = OX_FORM_PLAIN;
    if (dtype == OX_UINT8) {
        q->zero -= 128;
        *form = OX_FORM_SHIFTED;
    }
    return true;
}

bool ox_lower_dequantized(struct ox_lower_quant *out, struct ox_lower *lo,
                          const struct ox_value *v) {
    const struct ox_node *dq = ox_lower_maker(v, "DequantizeLinear");
    if (!dq || ox_lower_dtype(v) != OX_FLOAT) return false;
    out->value = ox_node_in(dq, 0);
    return one_quant(&out->q, &out->form, lo, ox_lower_dtype(out->value), ox_node_in(dq, 1),
                     ox_node_in(dq, 2));
}

bool ox_lower_quantizer(struct ox_lower_quant *out, struct ox_lower *lo,
                        const struct ox_node *node) {
    if (!ox_node_is(node, "QuantizeLinear") || ox_lower_dtype(ox_node_in(node, 0)) != OX_FLOAT)
        return false;
    out->value = node->out[0];
    return one_quant(&out->q, &out->form, lo, ox_lower_dtype(out->value), ox_node_in(node, 1),
                     ox_node_in(node, 2));
}

/* int8 copy of 8-bit weights whose zero points are all in the middle, or NULL. */
static ox_status as_int8(ox_tensor **out, ox_ctx *ctx, const ox_tensor *w, const ox_tensor *zeros) {
    const unsigned char *in = w->data, middle = w->dtype == OX_UINT8 ? 128 : 0;
    unsigned char *data;
    if (!zeros && w->dtype == OX_UINT8) return OX_OK;
    for (size_t i = 0; zeros && i < zeros->count; i++)
        if (((const unsigned char *)zeros->data)[i] != middle) return OX_OK;
    OX_TRY(ox_tensor_new(out, (void **)&data, ctx, OX_INT8, w->rank, w->dims));
    for (size_t i = 0; i < w->count; i++)
        data[i] = in[i] ^ middle;
    return OX_OK;
}

ox_status ox_lower_weights(ox_tensor **w, ox_tensor **scales, struct ox_lower *lo,
                           const struct ox_value *v, int axis) {
    ox_ctx *ctx = ox_lower_model(lo)->ctx;
    const struct ox_node *dq = ox_lower_maker(v, "DequantizeLinear");
    const ox_tensor *in = dq ? ox_lower_value_const(lo, ox_node_in(dq, 0)) : NULL,
                    *scale = dq ? ox_lower_value_const(lo, ox_node_in(dq, 1)) : NULL;
    const ox_tensor *zeros =
        dq && ox_node_in(dq, 2) ? ox_lower_value_const(lo, ox_node_in(dq, 2)) : NULL;
    union ox_lower_room room;
    const struct ox_quantize_params *p = (const void *)room.bytes;
    float *data;
    *w = *scales = NULL;
    if (!in || !scale || (in->dtype != OX_INT8 && in->dtype != OX_UINT8) ||
        scale->dtype != OX_FLOAT || (ox_node_in(dq, 2) && !zeros))
        return OX_OK;
    if (!ox_lower_decode(&room, lo, dq) || p->block || axis >= in->rank) return OX_OK;
    int64_t n = in->dims[axis], at = p->axis < 0 ? p->axis + in->rank : p->axis;
    if (scale->count != 1 && (at != axis || scale->rank != 1 || scale->dims[0] != n)) return OX_OK;
    for (size_t i = 0; i < scale->count; i++)
        if (!isnormal(((const float *)scale->data)[i]) || ((const float *)scale->data)[i] < 0)
            return OX_OK;
    OX_TRY(as_int8(w, ctx, in, zeros));
    if (!*w) return OX_OK;
    OX_TRY(ox_tensor_new(scales, (void **)&data, ctx, OX_FLOAT, 1, &n));
    for (int64_t i = 0; i < n; i++)
        data[i] = ((const float *)scale->data)[scale->count == 1 ? 0 : i];
    return OX_OK;
}

static const ox_tensor *integers_behind(struct ox_lower *lo, const struct ox_value *v, float in,
                                        const ox_tensor *scales) {
    const struct ox_node *dq = ox_lower_maker(v, "DequantizeLinear");
    const ox_tensor *b = dq ? ox_lower_value_const(lo, ox_node_in(dq, 0)) : NULL,
                    *s = dq ? ox_lower_value_const(lo, ox_node_in(dq, 1)) : NULL;
    if (!b || !s || b->dtype != OX_INT32 || s->dtype != OX_FLOAT || b->count != scales->count ||
        (s->count != 1 && s->count != b->count))
        return NULL;
    const ox_tensor *z = ox_node_in(dq, 2) ? ox_lower_value_const(lo, ox_node_in(dq, 2)) : NULL;
    for (size_t i = 0; z && i < z->count; i++)
        if (((const int32_t *)z->data)[i]) return NULL;
    for (size_t i = 0; i < b->count; i++) {
        float unit = in * ((const float *)scales->data)[i],
              given = ((const float *)s->data)[s->count == 1 ? 0 : i];
        if (!(fabsf(unit - given) <= 1e-5f * unit)) return NULL;
    }
    return b;
}

ox_status ox_lower_int_bias(ox_tensor **out, bool *fits, struct ox_lower *lo,
                            const struct ox_value *v, float in, const ox_tensor *scales) {
    ox_ctx *ctx = ox_lower_model(lo)->ctx;
    const ox_tensor *b;
    ox_tensor *f;
    int32_t *data;
    *out = NULL;
    *fits = !v;
    if (!v) return OX_OK;
    b = integers_behind(lo, v, in, scales);
    if (b) {
        *fits = true;
        return ox_tensor_copy(out, ctx, OX_INT32, 1, scales->dims, b->data, b->size);
    }
    OX_TRY(ox_lower_float_const(&f, lo, v));
    if (f && f->dtype == OX_FLOAT && (f->count == scales->count || f->count == 1)) {
        ox_status status = ox_tensor_new(out, (void **)&data, ctx, OX_INT32, 1, scales->dims);
        *fits = status == OX_OK;
        for (size_t i = 0; *fits && i < scales->count; i++) {
            double units = rint((double)((const float *)f->data)[f->count == 1 ? 0 : i] /
                                ((double)in * (double)((const float *)scales->data)[i]));
            *fits = fabs(units) < 0x1p30; /* NaN too */
            if (*fits) data[i] = (int32_t)units;
        }
        ox_tensor_unref(f);
        if (!*fits) {
            ox_tensor_unref(*out);
            *out = NULL;
        }
        return status;
    }
    ox_tensor_unref(f);
    return OX_OK;
}

bool ox_lower_factors_fit(float in, const ox_tensor *scales, float out) {
    for (size_t i = 0; i < scales->count; i++) {
        float factor = in * ((const float *)scales->data)[i] / out;
        if (!(factor >= 0x1p-32f && factor < 256)) return false;
    }
    return true;
}

/* ---- clamps and windows ------------------------------------------------------------------------
 */

bool ox_lower_bounds(float *low, float *high, struct ox_lower *lo, const struct ox_node *act) {
    *low = -INFINITY;
    *high = INFINITY;
    if (!act) return true;
    if (ox_node_is(act, "Relu")) {
        *low = 0;
        return true;
    }
    union ox_lower_room room;
    const struct ox_clip_params *p = (const void *)room.bytes;
    if (!ox_node_is(act, "Clip") || !ox_lower_decode(&room, lo, act) ||
        (p->has_min && !p->min_known) || (p->has_max && !p->max_known))
        return false;
    if (p->has_min) *low = (float)p->min;
    if (p->has_max) *high = (float)p->max;
    return *low < *high;
}

bool ox_lower_int_bounds(int32_t *low, int32_t *high, struct ox_lower *lo,
                         const struct ox_node *act, struct ox_step_quant out) {
    float bounds[2];
    if (!ox_lower_bounds(&bounds[0], &bounds[1], lo, act)) return false;
    int32_t *const to[2] = {low, high};
    for (int i = 0; i < 2; i++) {
        double v = rint((double)bounds[i] / (double)out.scale) + out.zero;
        *to[i] = (int32_t)(v < -128 ? -128 : v > 127 ? 127 : v);
    }
    return *low < *high;
}

bool ox_lower_window(struct ox_step_window *out, struct ox_lower *lo, const struct ox_node *node,
                     const struct ox_window *w, const struct ox_value *v, const int64_t *kernel) {
    const int n = ox_lower_rank(v) - 2, skip = 2 - n; /* of one dim: the window is across */
    int64_t begin[2] = {0, 0}, end[2] = {0, 0}, in[2], size[2], at[2];
    (void)node;
    if (n != 1 && n != 2) return false;
    *out = (struct ox_step_window){{1, 1}, {1, 1}, {1, 1}, 0, 0, 0, 0};
    for (int i = 0; i < n; i++) {
        const int64_t limits[] = {kernel[i],       w->strides[i],
                                  w->dilations[i], kernel[i] * w->dilations[i],
                                  w->begin[i] + 1, w->end[i] + 1};
        for (int k = 0; k < 6; k++)
            if (limits[k] < 1 || limits[k] > 1 << 20) return false;
        begin[i] = w->begin[i];
        end[i] = w->end[i];
        out->kernel[i + skip] = (uint32_t)kernel[i];
        out->stride[i + skip] = (uint32_t)w->strides[i];
        out->dilation[i + skip] = (uint32_t)w->dilations[i];
        if (w->auto_pad == OX_PAD_SAME_UPPER || w->auto_pad == OX_PAD_SAME_LOWER) {
            in[i] = ox_lower_dim(v, i + 2);
            if (in[i] < 0) return false;
            size[i] = (in[i] + w->strides[i] - 1) / w->strides[i];
            at[i] = (size[i] - 1) * w->strides[i] + (kernel[i] - 1) * w->dilations[i] + 1 - in[i];
            if (at[i] < 0) at[i] = 0;
            if (at[i] > 1 << 20) return false;
            begin[i] = w->auto_pad == OX_PAD_SAME_UPPER ? at[i] / 2 : at[i] - at[i] / 2;
            end[i] = at[i] - begin[i];
        }
    }
    (void)lo;
    out->top = n == 2 ? (uint32_t)begin[0] : 0;
    out->bottom = n == 2 ? (uint32_t)end[0] : 0;
    out->left = (uint32_t)begin[n - 1];
    out->right = (uint32_t)end[n - 1];
    return true;
}

ox_status ox_lower_scales_and_bias(ox_operand *scales_in, ox_operand *bias_in, struct ox_lower *lo,
                                   ox_status status, ox_tensor *scales, ox_tensor *bias) {
    if (status == OX_OK)
        status = ox_lower_const(scales_in, lo, scales);
    else
        ox_tensor_unref(scales);
    if (status == OX_OK && bias) return ox_lower_const(bias_in, lo, bias);
    ox_tensor_unref(bias);
    return status;
}
