/* ir/ops/op_signal.c - HannWindow, HammingWindow, BlackmanWindow, DFT and STFT. Transforms are
 * computed in double precision (fft.h). */
#include "ir/ops/convert.h"
#include "ir/ops/fft.h"
#include "ir/ops/op_args.h"
#include "ir/ops/op_doubles.h"
#include "ir/ops/op_priv.h"
#include <math.h>

#define PI 3.14159265358979323846

/* ---- windows --------------------------------------------------------------------------------- */

const enum ox_taper ox_tapers[OX_TAPERS] = {OX_TAPER_HANN, OX_TAPER_HAMMING, OX_TAPER_BLACKMAN};

ox_status ox_decode_taper(const struct ox_call *call, void *params) {
    struct ox_taper_params *p = params;
    int64_t dtype, periodic;
    OX_TRY(ox_attr_int(&dtype, call, "output_datatype", OX_FLOAT));
    OX_TRY(ox_attr_int(&periodic, call, "periodic", 1));
    if (!ox_dtype_valid(dtype) || !(OX_NUMBERS & OX_BIT(dtype)))
        return ox_bad_attr(call, "output_datatype is %lld", (long long)dtype);
    p->dtype = (ox_dtype)dtype;
    p->periodic = periodic != 0;
    return OX_OK;
}

ox_status ox_infer_taper(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_taper_params *p = params;
    const struct ox_partial *size = ox_in_value(io, 0);
    ox_dim n;
    OX_TRY(ox_expect_index(call, 0, ox_in_dtype(io, 0)));
    OX_TRY(ox_dim_unknown(&n, io->dims));
    if (size && size->count == 1 && ox_dim_ge(size->elems[0], 0)) n = size->elems[0];
    return ox_infer_tensor(io, 0, p->dtype, 1, &n);
}

ox_status ox_eval_taper(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out) {
    static const double weights[OX_TAPERS][3] = {
        {0.5, 0.5, 0}, {25.0 / 46, 21.0 / 46, 0}, {0.42, 0.5, 0.08}};
    const struct ox_taper_params *p = params;
    const double *w = weights[*(const enum ox_taper *)call->op->family];
    int64_t n;
    void *data;
    ox_tensor *wide;
    OX_TRY(ox_scalar_int(&n, call, "size", in[0]));
    OX_TRY(ox_tensor_new(&wide, &data, call->ctx, OX_DOUBLE, 1, &n));
    double *y = data, period = p->periodic || n < 2 ? (double)n : (double)(n - 1);
    for (int64_t i = 0; i < n; i++) {
        double angle = 2 * PI * (double)i / period;
        y[i] = w[0] - w[1] * cos(angle) + w[2] * cos(2 * angle);
    }
    ox_status s = ox_tensor_cast(&out[0], call->ctx, wide, p->dtype, true);
    ox_tensor_unref(wide);
    return s;
}

/* ---- one transform --------------------------------------------------------------------------- */

struct transform {
    struct ox_fft fft;
    size_t n, bins; /* points; pairs of the spectrum that come out, or go in */
    bool inverse;
    double *work; /* n pairs */
};

static void transform_fini(struct transform *t, ox_ctx *ctx) {
    ox_free(ctx, t->work);
    ox_fft_fini(&t->fft, ctx);
}

/* onesided: of a real signal, whose spectrum is told by its first half. */
static ox_status transform_init(struct transform *t, ox_ctx *ctx, size_t n, bool inverse,
                                bool onesided) {
    *t = (struct transform){.n = n, .bins = onesided ? n / 2 + 1 : n, .inverse = inverse};
    OX_TRY(ox_fft_init(&t->fft, ctx, n));
    ox_status s = ox_alloc(ctx, &t->work, n, 2 * sizeof *t->work);
    if (s != OX_OK) transform_fini(t, ctx);
    return s;
}

/* count points of x (complex where parts is 2), `step` doubles apart, those missing to n are 0. */
static void transform_load(const struct transform *t, const double *x, size_t step, size_t count,
                           size_t parts, const double *window) {
    if (count > t->n) count = t->n;
    memset(t->work + 2 * count, 0, 2 * (t->n - count) * sizeof *t->work);
    for (size_t i = 0; i < count; i++) {
        double w = window ? window[i] : 1;
        t->work[2 * i] = x[i * step] * w;
        t->work[2 * i + 1] = parts == 2 ? x[i * step + 1] * w : 0;
    }
}

/* Transforms what was loaded. The inverse is the conjugate of the conjugate's transform. */
static void transform_work(const struct transform *t) {
    for (size_t i = 0; t->inverse && i < t->n; i++)
        t->work[2 * i + 1] = -t->work[2 * i + 1];
    ox_fft_run(&t->fft, t->work);
    for (size_t i = 0; t->inverse && i < t->n; i++) {
        t->work[2 * i] /= (double)t->n;
        t->work[2 * i + 1] /= -(double)t->n;
    }
}

/* out: pairs, `out_step` doubles apart. */
static void transform_run(const struct transform *t, double *out, size_t out_step, const double *x,
                          size_t step, size_t count, size_t parts, const double *window) {
    transform_load(t, x, step, count, parts, window);
    transform_work(t);
    for (size_t k = 0; k < t->bins; k++)
        memcpy(out + k * out_step, t->work + 2 * k, 2 * sizeof *out);
}

/* The real signal whose spectrum begins with x; what cannot be in such a spectrum, an imaginary
 * part of its first and its middle point, does not count. */
static void transform_real(const struct transform *t, double *out, size_t out_step, const double *x,
                           size_t step, size_t count, size_t parts) {
    transform_load(t, x, step, count < t->bins ? count : t->bins, parts, NULL);
    t->work[1] = 0;
    if (t->n % 2 == 0) t->work[t->n + 1] = 0;
    for (size_t k = 1; k < (t->n + 1) / 2; k++) {
        t->work[2 * (t->n - k)] = t->work[2 * k];
        t->work[2 * (t->n - k) + 1] = -t->work[2 * k + 1];
    }
    transform_work(t);
    for (size_t i = 0; i < t->n; i++)
        out[i * out_step] = t->work[2 * i];
}

/* ---- DFT ------------------------------------------------------------------------------------- */

ox_status ox_decode_dft(const struct ox_call *call, void *params) {
    struct ox_dft_params *p = params;
    int64_t inverse, onesided;
    OX_TRY(ox_attr_int(&inverse, call, "inverse", 0));
    OX_TRY(ox_attr_int(&onesided, call, "onesided", 0));
    p->inverse = inverse != 0;
    p->onesided = onesided != 0;
    p->axis = -2;
    if (call->opset < 20) OX_TRY(ox_attr_int(&p->axis, call, "axis", 1));
    p->axis_is_input = call->opset >= 20 && ox_has_input(call, 2);
    return OX_OK;
}

static ox_status check_axis(int *axis, const struct ox_call *call, int64_t given, int rank) {
    OX_TRY(ox_axis(axis, call, "axis", given, rank));
    if (*axis == rank - 1)
        return ox_bad_attr(call, "axis %lld is the one of real and imaginary part",
                           (long long)given);
    return OX_OK;
}

ox_status ox_infer_dft(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_dft_params *p = params;
    int rank = ox_in_rank(io, 0), axis;
    ox_dim dims[OX_MAX_RANK], length;
    int64_t given = p->axis;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    OX_TRY(ox_expect_rank(call, 0, rank, 2, -1));
    if (rank < 0) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
    dims[rank - 1] = ox_dim_const(p->onesided && p->inverse ? 1 : 2);
    const struct ox_partial *value = p->axis_is_input ? ox_in_value(io, 2) : NULL;
    if (p->axis_is_input && !(value && value->count == 1 && ox_dim_is_const(value->elems[0]))) {
        for (int i = 0; i < rank - 1; i++)
            OX_TRY(ox_dim_unknown(&dims[i], io->dims));
        return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
    }
    if (value) given = value->elems[0].k;
    OX_TRY(check_axis(&axis, call, given, rank));
    length = dims[axis];
    if (ox_has_input(call, 1)) {
        value = ox_in_value(io, 1);
        OX_TRY(ox_dim_unknown(&length, io->dims));
        if (value && value->count == 1 && ox_dim_ge(value->elems[0], 0)) length = value->elems[0];
    } else if (p->onesided && p->inverse) { /* the even length that has so many bins */
        OX_TRY(ox_dim_sub(&length, io->dims, length, ox_dim_const(1)));
        OX_TRY(ox_dim_mul(&length, io->dims, length, ox_dim_const(2)));
        if (!ox_dim_ge(length, 0)) OX_TRY(ox_dim_unknown(&length, io->dims));
    }
    if (p->onesided && !p->inverse) {
        OX_TRY(ox_dim_floordiv(&length, io->dims, length, ox_dim_const(2)));
        OX_TRY(ox_dim_add(&length, io->dims, length, ox_dim_const(1)));
    }
    dims[axis] = length;
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

/* Axis and number of points of one call. */
static ox_status dft_length(int *axis, int64_t *n, const struct ox_call *call,
                            const struct ox_dft_params *p, const ox_tensor *const *in) {
    const ox_tensor *x = in[0];
    int64_t given = p->axis;
    if (x->rank < 2 || (x->dims[x->rank - 1] != 1 && x->dims[x->rank - 1] != 2))
        return ox_bad_shape(call, "data is %s, its last dim must be 1 or 2",
                            ox_dims_text(x->rank, x->dims).text);
    if (p->axis_is_input) OX_TRY(ox_scalar_int(&given, call, "axis", in[2]));
    OX_TRY(check_axis(axis, call, given, x->rank));
    *n = x->dims[*axis];
    if (p->onesided && p->inverse) *n = *n < (int64_t)OX_FFT_MAX ? 2 * (*n - 1) : *n;
    if (call->n_in > 1 && in[1]) OX_TRY(ox_scalar_int(n, call, "dft_length", in[1]));
    if (*n < 1 || *n > (int64_t)OX_FFT_MAX)
        return ox_bad_shape(call, "a transform of %lld points", (long long)*n);
    return OX_OK;
}

static ox_status dft(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                     ox_tensor **out) {
    const struct ox_dft_params *p = params;
    const ox_tensor *x = in[0];
    bool real = p->onesided && p->inverse;
    int axis;
    int64_t dims[OX_MAX_RANK], n;
    double *y;
    struct transform t;
    OX_TRY(dft_length(&axis, &n, call, p, in));
    memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    dims[axis] = p->onesided && !real ? n / 2 + 1 : n;
    dims[x->rank - 1] = real ? 1 : 2;
    OX_TRY(ox_new_doubles(&y, call, out, 0, x->rank, dims));
    if (out[0]->count == 0) return OX_OK;
    OX_TRY(transform_init(&t, call->ctx, (size_t)n, p->inverse, p->onesided));
    size_t parts = (size_t)x->dims[x->rank - 1], inner = 1, outer = 1,
           count = (size_t)x->dims[axis], made = (size_t)dims[axis];
    for (int i = 0; i < axis; i++)
        outer *= (size_t)dims[i];
    for (int i = axis + 1; i < x->rank - 1; i++)
        inner *= (size_t)dims[i];
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
            const double *from =
                x->count ? (const double *)x->data + (o * count * inner + i) * parts : NULL;
            if (real)
                transform_real(&t, y + o * made * inner + i, inner, from, inner * parts, count,
                               parts);
            else
                transform_run(&t, y + (o * made * inner + i) * 2, inner * 2, from, inner * parts,
                              count, parts, NULL);
        }
    transform_fini(&t, call->ctx);
    return OX_OK;
}

ox_status ox_eval_dft(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                      ox_tensor **out) {
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_FLOATS));
    return ox_eval_doubles(dft, call, params, in, out, 1, in[0]->dtype);
}

/* ---- STFT ------------------------------------------------------------------------------------ */

ox_status ox_decode_stft(const struct ox_call *call, void *params) {
    int64_t onesided;
    OX_TRY(ox_attr_int(&onesided, call, "onesided", 1));
    ((struct ox_stft_params *)params)->onesided = onesided != 0;
    return OX_OK;
}

ox_status ox_infer_stft(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_stft_params *p = params;
    ox_dim dims[4], length = {0, NULL};
    const struct ox_partial *step = ox_in_value(io, 1), *frame = ox_in_value(io, 3);
    bool known = false;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 3, 3));
    for (int i = 0; i < 3; i++)
        OX_TRY(ox_dim_unknown(&dims[i], io->dims));
    dims[3] = ox_dim_const(2);
    if (frame && frame->count == 1 && ox_dim_is_const(frame->elems[0])) {
        length = frame->elems[0];
        known = true;
    } else if (ox_has_input(call, 2) && ox_in_rank(io, 2) == 1 &&
               ox_dim_is_const(io->in[2]->dims[0])) {
        length = io->in[2]->dims[0];
        known = true;
    }
    if (known) dims[2] = ox_dim_const(p->onesided ? length.k / 2 + 1 : length.k);
    if (known && length.k < 1)
        return ox_bad_shape(call, "frame_length is %lld", (long long)length.k);
    if (ox_in_rank(io, 0) == 3) {
        ox_dim total = io->in[0]->dims[1];
        dims[0] = io->in[0]->dims[0];
        bool fixed = known && step && step->count == 1 && ox_dim_is_const(step->elems[0]) &&
                     step->elems[0].k > 0 && ox_dim_is_const(total);
        if (fixed && total.k >= length.k)
            dims[1] = ox_dim_const((total.k - length.k) / step->elems[0].k + 1);
    }
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), 4, dims);
}

static ox_status stft(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                      ox_tensor **out) {
    const struct ox_stft_params *p = params;
    const ox_tensor *x = in[0], *window = call->n_in > 2 ? in[2] : NULL;
    int64_t step, length = window ? (int64_t)window->count : 0;
    double *y;
    struct transform t;
    OX_TRY(ox_scalar_int(&step, call, "frame_step", in[1]));
    if (call->n_in > 3 && in[3]) OX_TRY(ox_scalar_int(&length, call, "frame_length", in[3]));
    if (x->rank != 3 || (x->dims[2] != 1 && x->dims[2] != 2))
        return ox_bad_shape(call, "signal is %s, expected [batch, length, 1 or 2]",
                            ox_dims_text(x->rank, x->dims).text);
    if (step < 1 || length < 1 || length > x->dims[1] || length > (int64_t)OX_FFT_MAX ||
        (window && (window->rank != 1 || window->dims[0] != length)))
        return ox_bad_shape(call, "frames of %lld every %lld of a signal of %lld",
                            (long long)length, (long long)step, (long long)x->dims[1]);
    if (p->onesided && x->dims[2] == 2) return ox_bad_attr(call, "onesided is for real signals");
    int64_t frames = (x->dims[1] - length) / step + 1;
    OX_TRY(
        ox_new_doubles(&y, call, out, 0, 4,
                       (int64_t[]){x->dims[0], frames, p->onesided ? length / 2 + 1 : length, 2}));
    OX_TRY(transform_init(&t, call->ctx, (size_t)length, false, p->onesided));
    size_t parts = (size_t)x->dims[2];
    for (int64_t b = 0; b < x->dims[0]; b++)
        for (int64_t f = 0; f < frames; f++) {
            const double *from =
                (const double *)x->data + (size_t)(b * x->dims[1] + f * step) * parts;
            transform_run(&t, y + (size_t)(b * frames + f) * t.bins * 2, 2, from, parts,
                          (size_t)length, parts, window ? window->data : NULL);
        }
    transform_fini(&t, call->ctx);
    return OX_OK;
}

ox_status ox_eval_stft(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                       ox_tensor **out) {
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_FLOATS));
    if (call->n_in > 2 && in[2])
        OX_TRY(ox_expect_same_dtype(call, 0, in[0]->dtype, 2, in[2]->dtype));
    return ox_eval_doubles(stft, call, params, in, out, 1, in[0]->dtype);
}
