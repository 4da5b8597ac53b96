/* ir/ops/op_random.c - RandomNormal, RandomUniform, the two that take another tensor's shape,
 * Bernoulli, Multinomial.
 *
 * Numbers are drawn one after the other, so that no result depends on threads; they repeat from run
 * to run. With a seed they are the seed's; without, those of the node's stream, which its name
 * decides (op.h). */
#include "ir/ops/convert.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/op_random.h"
#include <math.h>

const enum ox_random_kind ox_random_kinds[OX_RANDOM_KINDS] = {OX_RANDOM_NORMAL, OX_RANDOM_UNIFORM};

ox_status ox_random_start(struct ox_random *r, const struct ox_call *call) {
    const struct ox_attr *attr = ox_attr_find(call, "seed");
    double number;
    if (!attr) {
        ox_random_seed64(r, call->stream + ox_ctx_random_seed(call->ctx) * 0x9e3779b97f4a7c15u);
        return OX_OK;
    }
    if (attr->type == OX_ATTR_INT) { /* Dropout's */
        int64_t i;
        OX_TRY(ox_attr_int(&i, call, "seed", 0));
        if (i >= 0 && i <= UINT32_MAX)
            ox_random_seed(r, (uint32_t)i);
        else
            ox_random_seed64(r, (uint64_t)i);
        return OX_OK;
    }
    float f;
    OX_TRY(ox_attr_float(&f, call, "seed", 0));
    number = trunc((double)f);
    if (number >= 0 && number <= UINT32_MAX) {
        ox_random_seed(r, (uint32_t)number);
    } else { /* negative, huge, NaN: as good as any */
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        ox_random_seed64(r, bits);
    }
    return OX_OK;
}

/* Element type of the output: an attribute, or OX_UNDEFINED. */
static ox_status read_dtype(ox_dtype *out, const struct ox_call *call, ox_dtypes allowed,
                            ox_dtype dflt) {
    int64_t dtype;
    OX_TRY(ox_attr_int(&dtype, call, "dtype", dflt));
    *out = (ox_dtype)dflt;
    if (dtype == (int64_t)dflt) return OX_OK;
    if (!ox_dtype_valid(dtype) || !(allowed & OX_BIT(dtype)))
        return ox_bad_attr(call, "dtype is %lld", (long long)dtype);
    *out = (ox_dtype)dtype;
    return OX_OK;
}

ox_status ox_decode_random(const struct ox_call *call, void *params) {
    struct ox_random_params *p = params;
    bool normal = *(const enum ox_random_kind *)call->op->family == OX_RANDOM_NORMAL;
    bool like = call->op->max_in == 1;
    OX_TRY(read_dtype(&p->dtype, call, OX_FLOATS, like ? OX_UNDEFINED : OX_FLOAT));
    OX_TRY(ox_attr_float(&p->a, call, normal ? "mean" : "low", 0));
    OX_TRY(ox_attr_float(&p->b, call, normal ? "scale" : "high", 1));
    if (like) return OX_OK;
    OX_TRY(ox_ints_attr(&p->shape, call, "shape"));
    if (!p->shape.given) return ox_bad_attr(call, "attribute 'shape' is missing");
    for (int i = 0; i < p->shape.n; i++)
        if (p->shape.at[i] < 0)
            return ox_bad_attr(call, "shape[%d] is %lld", i, (long long)p->shape.at[i]);
    return OX_OK;
}

ox_status ox_infer_random(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_random_params *p = params;
    ox_dim dims[OX_MAX_RANK];
    if (p->shape.given) {
        for (int i = 0; i < p->shape.n; i++)
            dims[i] = ox_dim_const(p->shape.at[i]);
        return ox_infer_tensor(io, 0, p->dtype, p->shape.n, dims);
    }
    ox_dtype dtype = p->dtype != OX_UNDEFINED ? p->dtype : ox_in_dtype(io, 0);
    if (p->dtype == OX_UNDEFINED) OX_TRY(ox_expect_dtype(call, 0, dtype, OX_FLOATS));
    if (!ox_in_is_tensor(io, 0)) return ox_infer_tensor(io, 0, dtype, -1, NULL);
    return ox_infer_tensor(io, 0, dtype, io->in[0]->rank, io->in[0]->dims);
}

/* Makes an output of doubles one of the type asked for. */
static ox_status store(ox_tensor **out, const struct ox_call *call, ox_tensor *wide,
                       ox_dtype dtype) {
    ox_status status = ox_tensor_cast(out, call->ctx, wide, dtype, true);
    ox_tensor_unref(wide);
    return status;
}

ox_status ox_eval_random(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const struct ox_random_params *p = params;
    bool normal = *(const enum ox_random_kind *)call->op->family == OX_RANDOM_NORMAL;
    int rank = p->shape.given ? p->shape.n : in[0]->rank;
    const int64_t *dims = p->shape.given ? p->shape.at : in[0]->dims;
    ox_dtype dtype = p->dtype != OX_UNDEFINED ? p->dtype : in[0]->dtype;
    struct ox_random r;
    ox_tensor *wide;
    void *data;
    if (p->dtype == OX_UNDEFINED) OX_TRY(ox_expect_dtype(call, 0, dtype, OX_FLOATS));
    OX_TRY(ox_random_start(&r, call));
    OX_TRY(ox_tensor_new(&wide, &data, call->ctx, OX_DOUBLE, rank, dims));
    double *y = data, a = (double)p->a, b = (double)p->b;
    for (size_t i = 0; i < wide->count; i++)
        y[i] = normal ? ox_random_normal(&r) * b + a : ox_random_uniform(&r) * (b - a) + a;
    return store(&out[0], call, wide, dtype);
}

/* ---- Bernoulli ------------------------------------------------------------------------------- */

ox_status ox_decode_bernoulli(const struct ox_call *call, void *params) {
    struct ox_bernoulli_params *p = params;
    return read_dtype(&p->dtype, call, OX_NUMBERS | OX_BIT(OX_BOOL), OX_UNDEFINED);
}

ox_status ox_infer_bernoulli(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_bernoulli_params *p = params;
    ox_dtype dtype = p->dtype != OX_UNDEFINED ? p->dtype : ox_in_dtype(io, 0);
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    if (!ox_in_is_tensor(io, 0)) return ox_infer_tensor(io, 0, dtype, -1, NULL);
    return ox_infer_tensor(io, 0, dtype, io->in[0]->rank, io->in[0]->dims);
}

/* By inversion, from the rarer side, as the reference does it; where p is 0 no number is drawn. */
static bool flip(struct ox_random *r, double p) {
    if (!(p > 0)) return false;
    if (p >= 1) return true;
    return p <= 0.5 ? ox_random_uniform(r) > 1 - p : ox_random_uniform(r) <= p;
}

ox_status ox_eval_bernoulli(const struct ox_call *call, const void *params,
                            const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_bernoulli_params *p = params;
    struct ox_random r;
    ox_tensor *wide, *chance;
    void *data;
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_FLOATS));
    OX_TRY(ox_random_start(&r, call));
    OX_TRY(ox_tensor_cast(&chance, call->ctx, in[0], OX_DOUBLE, true));
    ox_status status = ox_tensor_new(&wide, &data, call->ctx, OX_DOUBLE, in[0]->rank, in[0]->dims);
    if (status == OX_OK) {
        for (size_t i = 0; i < wide->count; i++)
            ((double *)data)[i] = flip(&r, ((const double *)chance->data)[i]);
        status = store(&out[0], call, wide, p->dtype != OX_UNDEFINED ? p->dtype : in[0]->dtype);
    }
    ox_tensor_unref(chance);
    return status;
}

/* ---- Multinomial ----------------------------------------------------------------------------- */

ox_status ox_decode_multinomial(const struct ox_call *call, void *params) {
    struct ox_multinomial_params *p = params;
    OX_TRY(read_dtype(&p->dtype, call, OX_BIT(OX_INT32) | OX_BIT(OX_INT64), OX_INT32));
    OX_TRY(ox_attr_int(&p->samples, call, "sample_size", 1));
    if (p->samples < 0) return ox_bad_attr(call, "sample_size is %lld", (long long)p->samples);
    return OX_OK;
}

ox_status ox_infer_multinomial(const struct ox_call *call, const void *params,
                               struct ox_infer *io) {
    const struct ox_multinomial_params *p = params;
    ox_dim dims[2];
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 2, 2));
    OX_TRY(ox_dim_unknown(&dims[0], io->dims));
    if (ox_in_rank(io, 0) == 2) dims[0] = io->in[0]->dims[0];
    dims[1] = ox_dim_const(p->samples);
    return ox_infer_tensor(io, 0, p->dtype, 2, dims);
}

/* Logarithms of shares to running sums of shares; false where they are not a distribution. */
static bool accumulate(double *shares, size_t n) {
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (shares[i] > most) most = shares[i];
    for (size_t i = 0; i < n; i++)
        shares[i] = sum += exp(shares[i] - most);
    return sum > 0 && sum < INFINITY; /* NaN fails too */
}

/* First outcome whose running sum is above v, by bisection. */
static size_t outcome(const double *sums, size_t n, double v) {
    size_t low = 0, high = n - 1;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (sums[mid] > v)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

static ox_status sample_rows(const struct ox_call *call, double *y, double *shares, size_t rows,
                             size_t classes, size_t samples) {
    struct ox_random r;
    OX_TRY(ox_random_start(&r, call));
    for (size_t i = 0; i < rows; i++, shares += classes) {
        if (!accumulate(shares, classes))
            return ox_bad_shape(call, "row %zu of Multinomial is no distribution", i);
        for (size_t k = 0; k < samples; k++)
            *y++ = (double)outcome(shares, classes, ox_random_uniform(&r) * shares[classes - 1]);
    }
    return OX_OK;
}

ox_status ox_eval_multinomial(const struct ox_call *call, const void *params,
                              const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_multinomial_params *p = params;
    const ox_tensor *x = in[0];
    ox_tensor *wide, *shares;
    void *data, *copy;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS));
    OX_TRY(ox_expect_rank(call, 0, x->rank, 2, 2));
    OX_TRY(
        ox_tensor_new(&wide, &data, call->ctx, OX_DOUBLE, 2, (int64_t[]){x->dims[0], p->samples}));
    ox_status status = ox_tensor_cast(&shares, call->ctx, x, OX_DOUBLE, true);
    if (status == OX_OK) {
        status = ox_alloc_raw(call->ctx, &copy, x->count, sizeof(double));
        if (status == OX_OK) {
            if (x->count) memcpy(copy, shares->data, x->count * sizeof(double));
            if (wide->count)
                status = sample_rows(call, data, copy, (size_t)x->dims[0], (size_t)x->dims[1],
                                     (size_t)p->samples);
            ox_free(call->ctx, copy);
        }
        ox_tensor_unref(shares);
    }
    if (status == OX_OK) return store(&out[0], call, wide, p->dtype);
    ox_tensor_unref(wide);
    return status;
}
