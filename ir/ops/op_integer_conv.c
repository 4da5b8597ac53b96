/* ir/ops/op_integer_conv.c - ConvInteger and QLinearConv.
 *
 * For each image and group, the input is widened with its zero point taken off (so that padding is
 * 0), laid out as one row for each output position, and multiplied exactly with the widened weight.
 */
#include "ir/ops/convert.h"
#include "ir/ops/integer_priv.h"
#include "ir/ops/kernel_dot.h"

/* ---- decode and infer: as Conv of the same shapes ---------------------------------------------
 */

enum { CONV_INPUTS = 2 };

/* Conv's view of the call: the data and the weight. */
struct as_conv {
    struct ox_call call;
    const ox_tensor *consts[CONV_INPUTS];
};

static void make_conv(struct as_conv *conv, const struct ox_call *call) {
    const struct ox_integer_kind *kind = call->op->family;
    conv->call = *call;
    conv->call.n_in = CONV_INPUTS;
    conv->call.n_out = 1;
    conv->call.present = NULL;
    conv->consts[0] = ox_q_const(call, 0);
    conv->consts[1] = ox_q_const(call, kind->w);
    conv->call.consts = conv->consts;
}

ox_status ox_decode_integer_conv(const struct ox_call *call, void *params) {
    struct ox_integer_conv_params *p = params;
    struct as_conv conv;
    make_conv(&conv, call);
    OX_TRY(ox_decode_conv(&conv.call, &p->conv));
    return ox_integer_check(call);
}

ox_status ox_infer_integer_conv(const struct ox_call *call, const void *params,
                                struct ox_infer *io) {
    const struct ox_integer_conv_params *p = params;
    const struct ox_integer_kind *kind = call->op->family;
    ox_dtype result;
    OX_TRY(ox_integer_infer_types(call, io, &result));
    struct as_conv conv;
    make_conv(&conv, call);
    const struct ox_type *in[CONV_INPUTS] = {NULL}, *out = NULL;
    const size_t from[CONV_INPUTS] = {0, kind->w};
    for (int i = 0; i < CONV_INPUTS; i++)
        if (ox_in_rank(io, from[i]) >= 0)
            OX_TRY(ox_type_tensor(&in[i], io->arena, OX_FLOAT, io->in[from[i]]->rank,
                                  io->in[from[i]]->dims));
    struct ox_infer sub = {.arena = io->arena, .dims = io->dims, .in = in, .out = &out};
    OX_TRY(ox_infer_conv(&conv.call, &p->conv, &sub));
    return ox_infer_tensor(io, 0, result, out->rank, out->dims);
}

/* ---- geometry -------------------------------------------------------------------------------- */

struct conv {
    const struct ox_window *w;
    int rank;
    size_t batch, group, c, m; /* c, m: channels of a group */
    size_t in_plane, out_plane, taps;
    int64_t in[OX_WINDOW_MAX], out[OX_WINDOW_MAX], begin[OX_WINDOW_MAX];
    int64_t dims[OX_WINDOW_MAX + 2]; /* of the output */
    const int16_t *x;                /* channels of the image and group in work */
    int16_t *rows;                   /* out_plane rows of c * taps */
};

static ox_status set_up(struct conv *v, const struct ox_call *call, const struct ox_conv_params *p,
                        const ox_tensor *x, const ox_tensor *w) {
    size_t count, bytes;
    *v = (struct conv){.w = &p->window, .rank = p->window.rank};
    if (x->rank != v->rank + 2) /* channels and kernel have been checked by decode */
        return ox_bad_shape(call, "data %s with a kernel of %d dims",
                            ox_dims_text(x->rank, x->dims).text, v->rank);
    for (int i = 0; i < v->rank; i++)
        v->in[i] = x->dims[i + 2];
    OX_TRY(ox_window_resolve(v->w, call, v->in, v->out, v->begin));
    v->dims[0] = x->dims[0];
    v->dims[1] = w->dims[0];
    memcpy(v->dims + 2, v->out, (size_t)v->rank * sizeof *v->out);
    if (ox_shape_size(&count, &bytes, OX_INT32, x->rank, v->dims))
        return ox_bad_shape(call, "the output %s is too large",
                            ox_dims_text(x->rank, v->dims).text);
    v->in_plane = v->out_plane = v->taps = 1;
    for (int i = 0; i < v->rank; i++) {
        v->in_plane *= (size_t)v->in[i];
        v->out_plane *= (size_t)v->out[i];
        v->taps *= (size_t)w->dims[i + 2];
    }
    v->batch = (size_t)x->dims[0];
    v->group = (size_t)p->group;
    v->c = (size_t)w->dims[1];
    v->m = (size_t)w->dims[0] / v->group;
    return OX_OK;
}

/* Element of the input plane that tap `tap` sees at output position `at`; -1 in the padding. */
static int64_t seen_by(const struct conv *v, const int64_t *at, size_t tap) {
    int64_t element = 0, stride = 1;
    for (int d = v->rank - 1; d >= 0; d--) {
        int64_t k = (int64_t)(tap % (size_t)v->w->kernel[d]);
        tap /= (size_t)v->w->kernel[d];
        int64_t i = at[d] * v->w->strides[d] - v->begin[d] + k * v->w->dilations[d];
        if (i < 0 || i >= v->in[d]) return -1;
        element += i * stride;
        stride *= v->in[d];
    }
    return element;
}

/* Fills the rows of output positions [begin, end). */
static void fill_rows(void *arg, size_t begin, size_t end) {
    const struct conv *v = arg;
    for (size_t p = begin; p < end; p++) {
        int64_t at[OX_WINDOW_MAX];
        size_t rest = p;
        for (int d = v->rank - 1; d >= 0; d--) {
            at[d] = (int64_t)(rest % (size_t)v->out[d]);
            rest /= (size_t)v->out[d];
        }
        int16_t *row = v->rows + p * v->c * v->taps;
        for (size_t tap = 0; tap < v->taps; tap++) {
            int64_t element = seen_by(v, at, tap);
            for (size_t c = 0; c < v->c; c++)
                row[c * v->taps + tap] = element < 0 ? 0 : v->x[c * v->in_plane + (size_t)element];
        }
    }
}

/* All sums of the call from widened operands. */
static ox_status convolve(const struct ox_call *call, struct conv *v, const int16_t *x,
                          const int16_t *w, int32_t *sums) {
    size_t k = v->c * v->taps, count;
    if (ox_mul_size(&count, v->out_plane, k))
        return ox_bad_shape(call, "the convolution is too large");
    OX_TRY(ox_alloc_raw(call->ctx, &v->rows, count, sizeof *v->rows));
    for (size_t item = 0; item < v->batch * v->group; item++) {
        size_t group = item % v->group;
        v->x = x + item * v->c * v->in_plane;
        ox_parallel(call->ctx, v->out_plane, 20000 / (k + 1) + 1, fill_rows, v);
        struct ox_dot dot = {v->m,        v->out_plane,
                             k,           w + group * v->m * k,
                             v->rows,     sums + item * v->m * v->out_plane,
                             v->out_plane};
        ox_dot(call->ctx, &dot);
    }
    ox_free(call->ctx, v->rows);
    return OX_OK;
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* Dims under which one number for each output channel broadcasts to the weight, or to the output.
 */
struct spread {
    int rank;
    int64_t dims[OX_WINDOW_MAX + 2];
};

static ox_status spread_of(struct spread *s, const struct ox_call *call, const struct conv *v,
                           const ox_tensor *t, bool output) {
    *s = (struct spread){0};
    if (!t || t->count == 1) return OX_OK;
    if (t->rank != 1 || t->dims[0] != v->dims[1])
        return ox_bad_shape(call, "%s holds neither one number nor one for each of %lld channels",
                            ox_dims_text(t->rank, t->dims).text, (long long)v->dims[1]);
    s->rank = v->rank + 2;
    for (int i = 0; i < s->rank; i++)
        s->dims[i] = 1;
    s->dims[output ? 1 : 0] = v->dims[1];
    return OX_OK;
}

static ox_status sum_up(const struct ox_call *call, struct conv *v, const ox_tensor *const *in,
                        int32_t *sums) {
    const struct ox_integer_kind *kind = call->op->family;
    const ox_tensor *x_zp = ox_q_has(call, kind->x_zp) ? in[kind->x_zp] : NULL;
    const ox_tensor *w_zp = ox_q_has(call, kind->w_zp) ? in[kind->w_zp] : NULL;
    struct spread s;
    int16_t *x = NULL, *w = NULL;
    if (x_zp && x_zp->count != 1)
        return ox_bad_shape(call, "zero point of the data is %s, expected one number",
                            ox_dims_text(x_zp->rank, x_zp->dims).text);
    OX_TRY(spread_of(&s, call, v, w_zp, false));
    ox_status status = ox_widen(&x, call, in[0], x_zp, 0, NULL);
    if (status == OX_OK) status = ox_widen(&w, call, in[kind->w], w_zp, s.rank, s.dims);
    if (status == OX_OK) status = convolve(call, v, x, w, sums);
    ox_free(call->ctx, x);
    ox_free(call->ctx, w);
    return status;
}

ox_status ox_eval_conv_integer(const struct ox_call *call, const void *params,
                               const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_integer_conv_params *p = params;
    struct conv v;
    ox_dtype result;
    void *sums;
    OX_TRY(ox_integer_eval_types(call, in, &result));
    OX_TRY(set_up(&v, call, &p->conv, in[0], in[1]));
    OX_TRY(ox_tensor_new(&out[0], &sums, call->ctx, OX_INT32, v.rank + 2, v.dims));
    return out[0]->count ? sum_up(call, &v, in, sums) : OX_OK;
}

static ox_status add_bias(const struct ox_call *call, const struct conv *v, const ox_tensor *bias,
                          int32_t *sums) {
    if (bias->rank != 1 || bias->dims[0] != v->dims[1])
        return ox_bad_shape(call, "the bias is %s, expected [%lld]",
                            ox_dims_text(bias->rank, bias->dims).text, (long long)v->dims[1]);
    const int32_t *b = bias->data;
    for (size_t item = 0; item < v->batch * v->group * v->m; item++)
        for (size_t i = 0; i < v->out_plane; i++) {
            uint32_t sum = (uint32_t)sums[item * v->out_plane + i];
            sums[item * v->out_plane + i] = (int32_t)(sum + (uint32_t)b[item % (v->group * v->m)]);
        }
    return OX_OK;
}

static ox_status finish(const struct ox_call *call, const struct conv *v,
                        const ox_tensor *const *in, const int32_t *sums, const ox_tensor *w_scale,
                        ox_tensor **out) {
    struct ox_requantize r = {
        .sums = sums, .rank = v->rank + 2, .dims = v->dims, .dtype = in[7]->dtype};
    struct spread s;
    float x_scale;
    OX_TRY(ox_integer_number(&x_scale, call, 1, in[1]));
    OX_TRY(ox_integer_number(&r.y_scale, call, 6, in[6]));
    OX_TRY(ox_integer_number(&r.y_zp, call, 7, in[7]));
    OX_TRY(spread_of(&s, call, v, w_scale, true));
    r.x_scale = (struct ox_loop_operand){&x_scale, sizeof x_scale, 0, NULL};
    r.w_scale = (struct ox_loop_operand){w_scale->data, sizeof(float), s.rank, s.dims};
    void *data;
    OX_TRY(ox_tensor_new(out, &data, call->ctx, r.dtype, r.rank, r.dims));
    ox_requantize(call->ctx, &r, data);
    return OX_OK;
}

ox_status ox_eval_qlinear_conv(const struct ox_call *call, const void *params,
                               const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_integer_conv_params *p = params;
    struct conv v;
    ox_dtype result;
    int32_t *sums = NULL;
    ox_tensor *w_scale = NULL;
    OX_TRY(ox_integer_eval_types(call, in, &result));
    OX_TRY(set_up(&v, call, &p->conv, in[0], in[3]));
    size_t count = v.batch * v.group * v.m * v.out_plane;
    OX_TRY(ox_alloc(call->ctx, &sums, count, sizeof *sums));
    ox_status status = count ? sum_up(call, &v, in, sums) : OX_OK;
    if (status == OX_OK && ox_q_has(call, 8)) status = add_bias(call, &v, in[8], sums);
    if (status == OX_OK) status = ox_tensor_cast(&w_scale, call->ctx, in[4], OX_FLOAT, true);
    if (status == OX_OK) status = finish(call, &v, in, sums, w_scale, &out[0]);
    ox_tensor_unref(w_scale);
    ox_free(call->ctx, sums);
    return status;
}
