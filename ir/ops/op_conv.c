/* ir/ops/op_conv.c - what Conv and ConvTranspose mean: parameters and types. Kernels:
 * op_conv_eval.c, op_conv_transpose.c. */
#include "ir/ops/op_conv.h"

#include "ir/ops/op_priv.h"

/* ---- decode ---------------------------------------------------------------------------------- */

/* Window and group, compared with the weight where it is constant. */
static ox_status decode_common(const struct ox_call *call, struct ox_window *w, int64_t *group) {
    OX_TRY(ox_window_decode(w, call));
    OX_TRY(ox_attr_int(group, call, "group", 1));
    if (*group < 1) return ox_bad_attr(call, "group is %lld", (long long)*group);
    const ox_tensor *weight = call->consts && call->n_in > 1 ? call->consts[1] : NULL;
    if (!weight) return OX_OK;
    if (weight->rank < 3)
        return ox_bad_shape(call, "the weight %s has no spatial dim",
                            ox_dims_text(weight->rank, weight->dims).text);
    return ox_window_kernel(w, call, weight->rank - 2, weight->dims + 2);
}

/* The weight's input channels; in_channels is -1 where not known. */
static ox_status check_channels(const struct ox_call *call, int64_t in_channels, int64_t weight_in,
                                int64_t group) {
    int64_t expected;
    if (!ox_mul_i64(&expected, weight_in, group) && (in_channels < 0 || in_channels == expected))
        return OX_OK;
    return ox_bad_shape(call,
                        "the weight has %lld input channels in %lld groups, the data has %lld",
                        (long long)weight_in, (long long)group, (long long)in_channels);
}

static ox_status check_bias_tensor(const struct ox_call *call, const ox_tensor *bias, int64_t m) {
    if (!bias || (bias->rank == 1 && bias->dims[0] == m)) return OX_OK;
    return ox_bad_shape(call, "the bias has the shape %s, expected [%lld]",
                        ox_dims_text(bias->rank, bias->dims).text, (long long)m);
}

static const ox_tensor *const_input(const struct ox_call *call, size_t i) {
    return call->consts && i < call->n_in ? call->consts[i] : NULL;
}

ox_status ox_decode_conv(const struct ox_call *call, void *params) {
    struct ox_conv_params *p = params;
    OX_TRY(decode_common(call, &p->window, &p->group));
    const ox_tensor *x = const_input(call, 0), *weight = const_input(call, 1);
    if (!weight) return OX_OK;
    int64_t m = weight->dims[0];
    if (m % p->group != 0)
        return ox_bad_shape(call, "%lld output channels cannot be split into %lld groups",
                            (long long)m, (long long)p->group);
    OX_TRY(check_channels(call, x && x->rank > 1 ? x->dims[1] : -1, weight->dims[1], p->group));
    return check_bias_tensor(call, const_input(call, 2), m);
}

static ox_status read_list(const struct ox_call *call, const char *name, struct ox_window *w,
                           int64_t least, int64_t *out, bool *has) {
    const int64_t *values;
    size_t count;
    OX_TRY(ox_attr_ints(&values, &count, call, name));
    *has = count != SIZE_MAX;
    if (!*has) return OX_OK;
    if (count == 0 || count > OX_WINDOW_MAX)
        return ox_bad_attr(call, "%s has %zu values", name, count);
    OX_TRY(ox_window_rank(w, call, (int)count));
    for (size_t i = 0; i < count; i++) {
        if (values[i] < least || values[i] > (int64_t)1 << 40)
            return ox_bad_attr(call, "%s[%zu] is %lld, out of range", name, i,
                               (long long)values[i]);
        out[i] = values[i];
    }
    return OX_OK;
}

ox_status ox_decode_conv_transpose(const struct ox_call *call, void *params) {
    struct ox_conv_transpose_params *p = params;
    bool has_padding;
    OX_TRY(decode_common(call, &p->window, &p->group));
    OX_TRY(read_list(call, "output_padding", &p->window, 0, p->output_padding, &has_padding));
    OX_TRY(read_list(call, "output_shape", &p->window, 1, p->output_shape, &p->has_output_shape));
    const ox_tensor *x = const_input(call, 0), *weight = const_input(call, 1);
    if (!weight) return OX_OK;
    int64_t m;
    if (weight->dims[0] % p->group != 0 || ox_mul_i64(&m, weight->dims[1], p->group))
        return ox_bad_shape(call, "a weight of %s cannot be split into %lld groups",
                            ox_dims_text(weight->rank, weight->dims).text, (long long)p->group);
    if (x && x->rank > 1 && x->dims[1] != weight->dims[0])
        return ox_bad_shape(call, "the weight has %lld input channels, the data has %lld",
                            (long long)weight->dims[0], (long long)x->dims[1]);
    return check_bias_tensor(call, const_input(call, 2), m);
}

/* ---- infer ----------------------------------------------------------------------------------- */

static ox_status check_types(const struct ox_call *call, struct ox_infer *io, ox_dtype *dtype) {
    *dtype = OX_UNDEFINED;
    for (size_t i = 0; i < call->n_in; i++) {
        ox_dtype own = ox_in_dtype(io, i);
        OX_TRY(ox_expect_dtype(call, i, own, OX_FLOATS));
        OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), i, own));
        if (*dtype == OX_UNDEFINED) *dtype = own;
    }
    return OX_OK;
}

/* Ranks and kernel of the window from the types of data and weight. */
static ox_status complete_window(struct ox_window *w, const struct ox_call *call,
                                 struct ox_infer *io) {
    int x_rank = ox_in_rank(io, 0), w_rank = ox_in_rank(io, 1);
    if (x_rank >= 0) OX_TRY(ox_window_rank(w, call, x_rank - 2));
    if (w_rank < 0) return OX_OK;
    OX_TRY(ox_window_rank(w, call, w_rank - 2));
    int64_t kernel[OX_WINDOW_MAX];
    for (int i = 0; i < w->rank; i++) {
        ox_dim dim = io->in[1]->dims[i + 2];
        if (!ox_dim_is_const(dim)) return OX_OK;
        kernel[i] = dim.k;
    }
    return ox_window_kernel(w, call, w->rank, kernel);
}

static ox_status check_bias(const struct ox_call *call, struct ox_infer *io, ox_dim m) {
    int rank = call->n_in > 2 ? ox_in_rank(io, 2) : -1;
    if (rank < 0) return OX_OK;
    if (rank != 1) return ox_bad_shape(call, "the bias has rank %d, expected 1", rank);
    ox_dim length = io->in[2]->dims[0];
    if (ox_dim_is_const(length) && ox_dim_is_const(m) && length.k != m.k)
        return ox_bad_shape(call, "the bias has %lld elements, there are %lld output channels",
                            (long long)length.k, (long long)m.k);
    return OX_OK;
}

static ox_dim type_dim(const struct ox_type *type, int i) {
    return type->dims[i];
}

ox_status ox_infer_conv(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_conv_params *p = params;
    struct ox_window w = p->window;
    ox_dtype dtype;
    OX_TRY(check_types(call, io, &dtype));
    OX_TRY(complete_window(&w, call, io));
    if (w.rank < 0) return ox_infer_tensor(io, 0, dtype, -1, NULL);

    ox_dim out[OX_WINDOW_MAX + 2];
    bool has_x = ox_in_rank(io, 0) >= 0, has_w = ox_in_rank(io, 1) >= 0;
    bool has_m = has_w || (call->n_in > 2 && ox_in_rank(io, 2) == 1),
         spatial = has_x && w.has_kernel;
    /* Unknowns are made for what stays unknown only: each one is kept as long as the model. */
    for (int i = 0; i < w.rank + 2; i++)
        if (!(i == 0 ? has_x : i == 1 ? has_m : spatial)) OX_TRY(ox_dim_unknown(&out[i], io->dims));
    if (has_w) {
        ox_dim m = type_dim(io->in[1], 0), c = type_dim(io->in[1], 1);
        out[1] = m;
        if (ox_dim_is_const(m) && m.k % p->group != 0)
            return ox_bad_shape(call, "%lld output channels cannot be split into %lld groups",
                                (long long)m.k, (long long)p->group);
        if (has_x && ox_dim_is_const(c)) {
            ox_dim x_c = type_dim(io->in[0], 1);
            OX_TRY(check_channels(call, ox_dim_is_const(x_c) ? x_c.k : -1, c.k, p->group));
        }
        OX_TRY(check_bias(call, io, m));
    } else if (has_m) {
        out[1] = type_dim(io->in[2], 0);
    }
    if (has_x) {
        out[0] = type_dim(io->in[0], 0);
        if (spatial) OX_TRY(ox_window_infer(&w, call, io, io->in[0]->dims + 2, out + 2));
    }
    return ox_window_output(call, io, dtype, w.rank + 2, out);
}

/* stride * (in - 1) + output_padding + dilation * (kernel - 1) + 1 - pads, or what auto_pad says.
 */
static ox_status transposed_dim(const struct ox_conv_transpose_params *p, const struct ox_window *w,
                                const struct ox_call *call, struct ox_infer *io, int i, ox_dim in,
                                ox_dim *out) {
    if (ox_dim_is_const(in)) {
        int64_t number, begin;
        OX_TRY(ox_conv_transpose_dim(p, w, call, i, in.k, &number, &begin));
        *out = ox_dim_const(number);
        return OX_OK;
    }
    if (p->has_output_shape) {
        *out = ox_dim_const(p->output_shape[i]);
        return OX_OK;
    }
    OX_TRY(ox_dim_mul(out, io->dims, in, ox_dim_const(w->strides[i])));
    if (w->auto_pad == OX_PAD_SAME_UPPER || w->auto_pad == OX_PAD_SAME_LOWER) return OX_OK;
    int64_t span;
    if (ox_mul_i64(&span, w->dilations[i], w->kernel[i] - 1)) return ox_dim_unknown(out, io->dims);
    int64_t rest = p->output_padding[i] + span + 1 - w->begin[i] - w->end[i] - w->strides[i];
    return ox_dim_add(out, io->dims, *out, ox_dim_const(rest));
}

ox_status ox_infer_conv_transpose(const struct ox_call *call, const void *params,
                                  struct ox_infer *io) {
    const struct ox_conv_transpose_params *p = params;
    struct ox_window w = p->window;
    ox_dtype dtype;
    OX_TRY(check_types(call, io, &dtype));
    OX_TRY(complete_window(&w, call, io));
    if (w.rank < 0) return ox_infer_tensor(io, 0, dtype, -1, NULL);

    ox_dim out[OX_WINDOW_MAX + 2];
    bool has_x = ox_in_rank(io, 0) >= 0, has_w = ox_in_rank(io, 1) >= 0;
    bool spatial = has_x && w.has_kernel;
    for (int i = 0; i < w.rank + 2; i++)
        if (!(i == 0 ? has_x : i == 1 ? has_w : spatial)) OX_TRY(ox_dim_unknown(&out[i], io->dims));
    if (has_w) {
        ox_dim c = type_dim(io->in[1], 0), m = type_dim(io->in[1], 1);
        OX_TRY(ox_dim_mul(&out[1], io->dims, m, ox_dim_const(p->group)));
        if (ox_dim_is_const(c) && c.k % p->group != 0)
            return ox_bad_shape(call, "%lld input channels cannot be split into %lld groups",
                                (long long)c.k, (long long)p->group);
        if (has_x && ox_dim_is_const(c) && ox_dim_is_const(type_dim(io->in[0], 1)) &&
            type_dim(io->in[0], 1).k != c.k)
            return ox_bad_shape(call, "the weight has %lld input channels, the data has %lld",
                                (long long)c.k, (long long)type_dim(io->in[0], 1).k);
        OX_TRY(check_bias(call, io, out[1]));
    }
    if (has_x) {
        out[0] = type_dim(io->in[0], 0);
        for (int i = 0; spatial && i < w.rank; i++)
            OX_TRY(transposed_dim(p, &w, call, io, i, type_dim(io->in[0], i + 2), &out[i + 2]));
    }
    return ox_window_output(call, io, dtype, w.rank + 2, out);
}

ox_status ox_conv_transpose_dim(const struct ox_conv_transpose_params *p, const struct ox_window *w,
                                const struct ox_call *call, int i, int64_t in, int64_t *out,
                                int64_t *begin) {
    int64_t full, span;
    if (ox_mul_i64(&full, in - 1, w->strides[i]) ||
        ox_mul_i64(&span, w->dilations[i], w->kernel[i] - 1) || span > (int64_t)1 << 60 ||
        ox_add_i64(&full, full, span + 1 + p->output_padding[i]) || full > (int64_t)1 << 60)
        return ox_bad_shape(call, "the output is too large along spatial dim %d", i);
    bool same = w->auto_pad == OX_PAD_SAME_UPPER || w->auto_pad == OX_PAD_SAME_LOWER;
    if (p->has_output_shape || same) {
        *out = p->has_output_shape ? p->output_shape[i] : in * w->strides[i];
        int64_t total = full - *out;
        if (total < 0) total = 0;
        /* the larger half goes behind the data with SAME_UPPER, in front of it otherwise; version 1
         * of the operator said it the other way round, but its implementations never did */
        *begin = w->auto_pad == OX_PAD_SAME_UPPER ? total / 2 : total - total / 2;
        return OX_OK;
    }
    *begin = w->begin[i];
    *out = full - w->begin[i] - w->end[i];
    if (*out < 0 || in == 0) {
        if (in > 0) return ox_bad_shape(call, "padding leaves nothing of spatial dim %d", i);
        *out = 0;
    }
    return OX_OK;
}
