/* ir/ops/op_conv_eval.c - the convolution's kernel: depthwise, pointwise and general cases of
 * 32-bit floats by kernel_depthwise.h and kernel_gemm.h; 64-bit floats by plain loops; 16-bit
 * floats through 32-bit ones. */
#include "ir/ops/conv_cols.h"
#include "ir/ops/kernel_depthwise.h"
#include "ir/ops/op_conv.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"

/* All numbers of one call. */
struct conv {
    const struct ox_call *call;
    const void *x, *w, *bias; /* bias may be NULL */
    void *y;
    size_t batch, group, c, m; /* c, m: channels of a group */
    size_t in_plane, out_plane, taps;
    int rank;
    int64_t in[OX_WINDOW_MAX], out[OX_WINDOW_MAX], begin[OX_WINDOW_MAX];
    const struct ox_window *window;
};

static ox_status set_up(struct conv *v, const struct ox_call *call, const struct ox_conv_params *p,
                        const ox_tensor *const *in, ox_tensor **out) {
    const ox_tensor *x = in[0], *w = in[1], *bias = call->n_in > 2 ? in[2] : NULL;
    *v = (struct conv){.call = call, .window = &p->window, .rank = p->window.rank};
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS));
    for (size_t i = 1; i < call->n_in; i++)
        if (in[i]) OX_TRY(ox_expect_same_dtype(call, 0, x->dtype, i, in[i]->dtype));
    if (x->rank != v->rank + 2) /* channels, kernel and bias have been checked by decode */
        return ox_bad_shape(call, "data %s with a kernel of %d dims",
                            ox_dims_text(x->rank, x->dims).text, v->rank);
    int64_t dims[OX_WINDOW_MAX + 2] = {x->dims[0], w->dims[0]};
    for (int i = 0; i < v->rank; i++)
        v->in[i] = x->dims[i + 2];
    OX_TRY(ox_window_resolve(&p->window, call, v->in, v->out, v->begin));
    v->in_plane = v->out_plane = v->taps = 1;
    for (int i = 0; i < v->rank; i++)
        dims[i + 2] = v->out[i];
    OX_TRY(ox_tensor_new_raw(&out[0], &v->y, call->ctx, x->dtype, x->rank, dims));
    for (int i = 0; i < v->rank;
         i++) { /* the tensors exist, so these do not overflow unless one is empty */
        v->in_plane *= (size_t)v->in[i];
        v->out_plane *= (size_t)v->out[i];
        v->taps *= (size_t)w->dims[i + 2];
    }
    v->batch = (size_t)x->dims[0];
    v->group = (size_t)p->group;
    v->c = (size_t)w->dims[1];
    v->m = (size_t)w->dims[0] / v->group;
    v->x = ox_elements(x);
    v->w = ox_elements(w);
    v->bias = bias ? bias->data : NULL;
    return OX_OK;
}

/* ---- 32-bit floats --------------------------------------------------------------------------- */

/* One channel in, 1-d or 2-d. */
static bool try_depthwise(ox_status *status, const struct conv *v) {
    const struct ox_window *w = v->window;
    if (v->c != 1 || v->rank > 2 || v->m > 8) return false;
    int last = v->rank - 1;
    bool flat = v->rank == 1;
    struct ox_depthwise d = {
        .x = v->x,
        .w = v->w,
        .bias = v->bias,
        .y = v->y,
        .planes = v->batch * v->group * v->m,
        .planes_per_in = v->m,
        .kernels = v->group * v->m,
        .in_h = flat ? 1 : (size_t)v->in[0],
        .out_h = flat ? 1 : (size_t)v->out[0],
        .k_h = flat ? 1 : (size_t)w->kernel[0],
        .stride_h = flat ? 1 : (size_t)w->strides[0],
        .dilation_h = flat ? 1 : (size_t)w->dilations[0],
        .pad_h = flat ? 0 : (size_t)v->begin[0],
        .in_w = (size_t)v->in[last],
        .out_w = (size_t)v->out[last],
        .k_w = (size_t)w->kernel[last],
        .stride_w = (size_t)w->strides[last],
        .dilation_w = (size_t)w->dilations[last],
        .pad_w = (size_t)v->begin[last],
    };
    return ox_depthwise(status, v->call->ctx, &d);
}

/* Every output reads exactly the input at its own place. */
static bool is_pointwise(const struct conv *v) {
    for (int i = 0; i < v->rank; i++)
        if (v->window->kernel[i] != 1 || v->window->strides[i] != 1 || v->begin[i] != 0 ||
            v->in[i] != v->out[i])
            return false;
    return true;
}

static ox_status by_product(const struct conv *v) {
    size_t n = v->out_plane, k = v->c * v->taps, items = v->batch * v->group, *at;
    if (items == 0) return OX_OK;
    ox_ctx *ctx = v->call->ctx;
    OX_TRY(ox_alloc_raw(ctx, &at, items, 4 * sizeof *at));
    size_t *x_at = at, *w_at = at + items, *y_at = at + 2 * items, *bias_at = at + 3 * items;
    for (size_t i = 0; i < items; i++) {
        size_t g = i % v->group;
        x_at[i] = i * v->c * v->in_plane;
        y_at[i] = i * v->m * n;
        w_at[i] = g * v->m * k;
        bias_at[i] = g * v->m;
    }
    struct ox_conv_cols cols = {
        .x = v->x, .x_at = x_at, .rank = v->rank, .plane = v->in_plane, .taps = v->taps};
    memcpy(cols.in, v->in, sizeof cols.in);
    memcpy(cols.out, v->out, sizeof cols.out);
    memcpy(cols.begin, v->begin, sizeof cols.begin);
    memcpy(cols.kernel, v->window->kernel, sizeof cols.kernel);
    memcpy(cols.strides, v->window->strides, sizeof cols.strides);
    memcpy(cols.dilations, v->window->dilations, sizeof cols.dilations);
    struct ox_gemm g = {
        .m = v->m,
        .n = n,
        .k = k,
        .batch = items,
        .a = v->w,
        .a_rs = k,
        .a_cs = 1,
        .a_at = v->group > 1 ? w_at : NULL,
        .c = v->y,
        .c_rs = n,
        .c_at = y_at,
        .bias = v->bias,
        .bias_at = bias_at,
    };
    if (is_pointwise(v)) {
        g.b = v->x;
        g.b_rs = v->in_plane;
        g.b_cs = 1;
        g.b_at = x_at;
    } else {
        g.pack = ox_conv_cols_pack;
        g.pack_arg = &cols;
    }
    ox_status status = ox_gemm(ctx, &g);
    ox_free(ctx, at);
    return status;
}

/* ---- 64-bit floats --------------------------------------------------------------------------- */

/* Sum of one channel's products for the window at `pos`. */
static double window_sum(const struct conv *v, const double *x, const double *w,
                         const int64_t *pos) {
    double sum = 0;
    int64_t tap[OX_WINDOW_MAX] = {0};
    for (size_t t = 0; t < v->taps; t++) {
        int64_t at = 0;
        bool inside = true;
        for (int d = 0; inside && d < v->rank; d++) {
            int64_t i =
                pos[d] * v->window->strides[d] - v->begin[d] + tap[d] * v->window->dilations[d];
            inside = i >= 0 && i < v->in[d];
            at = at * v->in[d] + i;
        }
        if (inside) sum += x[at] * w[t];
        for (int d = v->rank - 1; d >= 0 && ++tap[d] == v->window->kernel[d]; d--)
            tap[d] = 0;
    }
    return sum;
}

/* Output planes [begin,end). */
static void double_planes(void *arg, size_t begin, size_t end) {
    const struct conv *v = arg;
    size_t all_m = v->m * v->group;
    for (size_t p = begin; p < end; p++) {
        size_t b = p / all_m, m = p % all_m, g = m / v->m;
        const double *x = (const double *)v->x + (b * v->group + g) * v->c * v->in_plane;
        const double *w = (const double *)v->w + m * v->c * v->taps;
        double *y = (double *)v->y + p * v->out_plane;
        int64_t pos[OX_WINDOW_MAX] = {0};
        for (size_t j = 0; j < v->out_plane; j++) {
            double sum = v->bias ? ((const double *)v->bias)[m] : 0;
            for (size_t c = 0; c < v->c; c++)
                sum += window_sum(v, x + c * v->in_plane, w + c * v->taps, pos);
            y[j] = sum;
            for (int d = v->rank - 1; d >= 0 && ++pos[d] == v->out[d]; d--)
                pos[d] = 0;
        }
    }
}

ox_status ox_eval_conv(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                       ox_tensor **out) {
    if (ox_is_narrow(in[0]->dtype)) return ox_eval_wide(ox_eval_conv, call, params, in, out, 1);
    struct conv v;
    OX_TRY(set_up(&v, call, params, in, out));
    if (out[0]->count == 0) return OX_OK;
    if (out[0]->dtype == OX_DOUBLE) {
        ox_parallel(call->ctx, v.batch * v.group * v.m, 1, double_planes, &v);
        return OX_OK;
    }
    ox_status status;
    if (try_depthwise(&status, &v)) return status;
    return by_product(&v);
}
