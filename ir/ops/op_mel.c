/* ir/ops/op_mel.c - MelWeightMatrix: triangles, evenly spaced on the mel scale, that sum a spectrum
 * to bands. */
#include "ir/ops/convert.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/op_signal.h"
#include "ir/ops/wide.h"
#include <math.h>

ox_status ox_decode_mel(const struct ox_call *call, void *params) {
    int64_t dtype;
    OX_TRY(ox_attr_int(&dtype, call, "output_datatype", OX_FLOAT));
    if (!ox_dtype_valid(dtype) || !(OX_NUMBERS & OX_BIT(dtype)))
        return ox_bad_attr(call, "output_datatype is %lld", (long long)dtype);
    ((struct ox_mel_params *)params)->dtype = (ox_dtype)dtype;
    return OX_OK;
}

ox_status ox_infer_mel(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_mel_params *p = params;
    const struct ox_partial *bands = ox_in_value(io, 0), *length = ox_in_value(io, 1);
    ox_dim dims[2];
    for (size_t i = 0; i < 3; i++)
        OX_TRY(ox_expect_index(call, i, ox_in_dtype(io, i)));
    for (size_t i = 3; i < 5; i++)
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), OX_FLOATS));
    for (int i = 0; i < 2; i++)
        OX_TRY(ox_dim_unknown(&dims[i], io->dims));
    if (length && length->count == 1 && ox_dim_ge(length->elems[0], 0)) {
        OX_TRY(ox_dim_floordiv(&dims[0], io->dims, length->elems[0], ox_dim_const(2)));
        OX_TRY(ox_dim_add(&dims[0], io->dims, dims[0], ox_dim_const(1)));
    }
    if (bands && bands->count == 1 && ox_dim_ge(bands->elems[0], 0)) dims[1] = bands->elems[0];
    return ox_infer_tensor(io, 0, p->dtype, 2, dims);
}

static ox_status scalar(double *out, const struct ox_call *call, size_t i, const ox_tensor *t) {
    union ox_wide v;
    OX_TRY(ox_expect_dtype(call, i, t->dtype, OX_FLOATS));
    if (t->count != 1) return ox_bad_shape(call, "input %zu has %zu elements", i, t->count);
    ox_wide_load(&v, t->dtype, t->data, 1, 1);
    *out = v.f;
    return OX_OK;
}

static double mel_of(double hertz) {
    return 2595 * log10(1 + hertz / 700);
}

static double hertz_of(double mel) {
    return 700 * (pow(10, mel / 2595) - 1);
}

struct mel {
    double low, step; /* of the bands, in mel */
    double length, rate;
    int64_t bins, bands;
    double *y;
};

/* Bin of the k-th of the points that are the triangles' corners, at most the last but one and all
 * beyond. */
static int64_t corner_bin(const struct mel *m, int64_t k) {
    double bin = floor((m->length + 1) * hertz_of(m->low + (double)k * m->step) / m->rate);
    return bin < 0 ? 0 : bin < 1e15 ? (int64_t)bin : (int64_t)1e15;
}

static void set(const struct mel *m, int64_t bin, int64_t band, double v) {
    if (bin < m->bins) m->y[bin * m->bands + band] = v;
}

/* Rises from the first corner to 1 at the second and falls to the third. */
static void triangle(const struct mel *m, int64_t band) {
    int64_t left = corner_bin(m, band), top = corner_bin(m, band + 1),
            right = corner_bin(m, band + 2);
    if (left == top) set(m, top, band, 1);
    for (int64_t j = left; left < top && j <= top && j < m->bins; j++)
        set(m, j, band, (double)(j - left) / (double)(top - left));
    for (int64_t j = top; j < right && j < m->bins; j++)
        set(m, j, band, (double)(right - j) / (double)(right - top));
}

static ox_status read_inputs(struct mel *m, const struct ox_call *call,
                             const ox_tensor *const *in) {
    int64_t length, rate;
    double low, high;
    OX_TRY(ox_scalar_int(&m->bands, call, "num_mel_bins", in[0]));
    OX_TRY(ox_scalar_int(&length, call, "dft_length", in[1]));
    OX_TRY(ox_scalar_int(&rate, call, "sample_rate", in[2]));
    OX_TRY(scalar(&low, call, 3, in[3]));
    OX_TRY(scalar(&high, call, 4, in[4]));
    if (m->bands < 0 || length < 0 || rate < 1 || !(low >= 0 && high >= low && high < 1e15))
        return ox_bad_shape(call, "%lld bands of a spectrum of %lld at %lld Hz, from %g to %g Hz",
                            (long long)m->bands, (long long)length, (long long)rate, low, high);
    m->length = (double)length;
    m->rate = (double)rate;
    m->bins = length / 2 + 1;
    m->low = mel_of(low);
    m->step = (mel_of(high) - m->low) / ((double)m->bands + 2);
    return OX_OK;
}

ox_status ox_eval_mel(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                      ox_tensor **out) {
    struct mel m;
    ox_tensor *wide;
    void *data;
    for (size_t i = 0; i < 3; i++)
        OX_TRY(ox_expect_index(call, i, in[i]->dtype));
    OX_TRY(read_inputs(&m, call, in));
    OX_TRY(ox_tensor_new(&wide, &data, call->ctx, OX_DOUBLE, 2, (int64_t[]){m.bins, m.bands}));
    m.y = data;
    for (int64_t i = 0; i < m.bands; i++)
        triangle(&m, i);
    ox_status status = ox_tensor_cast(&out[0], call->ctx, wide,
                                      ((const struct ox_mel_params *)params)->dtype, true);
    ox_tensor_unref(wide);
    return status;
}
