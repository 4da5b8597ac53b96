/* ir/ops/op_ml_features.c - features one by one: ArrayFeatureExtractor, Binarizer, Scaler, Imputer,
 * FeatureVectorizer, Normalizer. Rows are the last dim. */
#include "ir/ops/convert.h"
#include "ir/ops/key_map.h"
#include "ir/ops/ml_scores.h"
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"

#include <math.h>

static ox_status expect_numbers(const struct ox_call *call, struct ox_infer *io) {
    return ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_ML_NUMBERS);
}

/* Output 0 has the shape of input 0. */
static ox_status infer_shape(struct ox_infer *io, ox_dtype dtype) {
    const struct ox_type *t = io->in[0];
    return ox_infer_tensor(io, 0, dtype, ox_in_rank(io, 0), ox_type_is_tensor(t) ? t->dims : NULL);
}

/* Length of the last dim; 1 for a single number. */
static size_t last_dim(const ox_tensor *t) {
    return t->rank ? (size_t)t->dims[t->rank - 1] : 1;
}

/* All elements as doubles; the tensor owns them. */
static ox_status as_doubles(ox_tensor **out, const struct ox_call *call, size_t i,
                            const ox_tensor *t) {
    OX_TRY(ox_expect_dtype(call, i, t->dtype, OX_ML_NUMBERS));
    return ox_tensor_cast(out, call->ctx, t, OX_DOUBLE, true);
}

/* ---- ArrayFeatureExtractor ------------------------------------------------------------------- */

ox_status ox_infer_array_feature_extractor(const struct ox_call *call, const void *params,
                                           struct ox_infer *io) {
    const struct ox_type *y = io->in[1];
    int rank = ox_in_rank(io, 0);
    ox_dim dims[OX_MAX_RANK];
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_ML_NUMBERS | OX_BIT(OX_STRING)));
    OX_TRY(ox_expect_dtype(call, 1, ox_in_dtype(io, 1), OX_BIT(OX_INT64)));
    if (rank < 0) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    if (rank == 0) return ox_bad_shape(call, "the data is a single number");
    int n = rank == 1 ? 2 : rank;
    dims[0] = ox_dim_const(1);
    if (rank > 1) memcpy(dims, io->in[0]->dims, (size_t)(rank - 1) * sizeof *dims);
    if (ox_in_rank(io, 1) >= 0)
        OX_TRY(ox_dim_product(&dims[n - 1], io, y->dims, y->rank));
    else
        OX_TRY(ox_dim_unknown(&dims[n - 1], io->dims));
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), n, dims);
}

ox_status ox_eval_array_feature_extractor(const struct ox_call *call, const void *params,
                                          const ox_tensor *const *in, ox_tensor **out) {
    const ox_tensor *x = in[0], *y = in[1];
    const int64_t *at = y->data;
    int64_t dims[OX_MAX_RANK] = {1};
    struct ox_view view;
    struct ox_sink sink;
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_ML_NUMBERS | OX_BIT(OX_STRING)));
    OX_TRY(ox_expect_dtype(call, 1, y->dtype, OX_BIT(OX_INT64)));
    if (x->rank == 0) return ox_bad_shape(call, "the data is a single number");
    int n = x->rank == 1 ? 2 : x->rank;
    if (x->rank > 1) memcpy(dims, x->dims, (size_t)(x->rank - 1) * sizeof *dims);
    dims[n - 1] = (int64_t)y->count;
    for (size_t i = 0; i < y->count; i++)
        if (at[i] < 0 || (size_t)at[i] >= last_dim(x))
            return ox_bad_shape(call, "feature %lld of %zu", (long long)at[i], last_dim(x));
    OX_TRY(ox_view_open(&view, call->ctx, x));
    ox_status s = ox_sink_open(&sink, call->ctx, x->dtype, n, dims);
    if (s == OX_OK) {
        unsigned char *to = sink.data;
        for (size_t row = 0; sink.count && row < sink.count / y->count; row++)
            for (size_t i = 0; i < y->count; i++, to += sink.size)
                memcpy(to, view.data + (row * last_dim(x) + (size_t)at[i]) * view.size, view.size);
        s = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
    }
    ox_view_close(&view, call->ctx);
    return s;
}

/* ---- Binarizer ------------------------------------------------------------------------------- */

ox_status ox_decode_binarizer(const struct ox_call *call, void *params) {
    return ox_attr_float(&((struct ox_binarizer_params *)params)->threshold, call, "threshold", 0);
}

ox_status ox_infer_binarizer(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(expect_numbers(call, io));
    return ox_infer_same(io, 0, 0);
}

/* out = y, of doubles in the shape of x, as elements of `dtype`. */
static ox_status narrow(ox_tensor **out, const struct ox_call *call, ox_tensor *y, ox_dtype dtype) {
    ox_status s = ox_tensor_cast(out, call->ctx, y, dtype, true);
    ox_tensor_unref(y);
    return s;
}

ox_status ox_eval_binarizer(const struct ox_call *call, const void *params,
                            const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_binarizer_params *p = params;
    ox_tensor *x, *y;
    void *data;
    OX_TRY(as_doubles(&x, call, 0, in[0]));
    ox_status s = ox_tensor_new(&y, &data, call->ctx, OX_DOUBLE, x->rank, x->dims);
    for (size_t i = 0; s == OX_OK && i < x->count; i++)
        ((double *)data)[i] = ((const double *)x->data)[i] > (double)p->threshold;
    ox_tensor_unref(x);
    return s == OX_OK ? narrow(&out[0], call, y, in[0]->dtype) : s;
}

/* ---- Scaler ---------------------------------------------------------------------------------- */

ox_status ox_decode_scaler(const struct ox_call *call, void *params) {
    struct ox_scaler_params *p = params;
    OX_TRY(ox_attr_floats(&p->offset, &p->n_offset, call, "offset"));
    OX_TRY(ox_attr_floats(&p->scale, &p->n_scale, call, "scale"));
    if (p->n_offset == SIZE_MAX || p->n_offset == 0) p->offset = NULL;
    if (p->n_scale == SIZE_MAX || p->n_scale == 0) p->scale = NULL;
    return OX_OK;
}

ox_status ox_infer_scaler(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(expect_numbers(call, io));
    return infer_shape(io, OX_FLOAT);
}

ox_status ox_eval_scaler(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const struct ox_scaler_params *p = params;
    size_t width = last_dim(in[0]);
    ox_tensor *x, *y;
    void *data;
    if ((p->offset && p->n_offset != 1 && p->n_offset != width) ||
        (p->scale && p->n_scale != 1 && p->n_scale != width))
        return ox_bad_shape(call, "offset and scale are for %zu and %zu features, rows have %zu",
                            p->offset ? p->n_offset : 0, p->scale ? p->n_scale : 0, width);
    OX_TRY(as_doubles(&x, call, 0, in[0]));
    ox_status s = ox_tensor_new(&y, &data, call->ctx, OX_DOUBLE, x->rank, x->dims);
    for (size_t i = 0; s == OX_OK && i < x->count; i++) {
        size_t f = i % width;
        double offset = p->offset ? (double)p->offset[p->n_offset == 1 ? 0 : f] : 0,
               scale = p->scale ? (double)p->scale[p->n_scale == 1 ? 0 : f] : 1;
        ((double *)data)[i] = (((const double *)x->data)[i] - offset) * scale;
    }
    ox_tensor_unref(x);
    return s == OX_OK ? narrow(&out[0], call, y, OX_FLOAT) : s;
}

/* ---- Imputer --------------------------------------------------------------------------------- */

ox_status ox_decode_imputer(const struct ox_call *call, void *params) {
    struct ox_imputer_params *p = params;
    size_t n_floats, n_ints;
    OX_TRY(ox_attr_floats(&p->floats, &n_floats, call, "imputed_value_floats"));
    OX_TRY(ox_attr_ints(&p->ints, &n_ints, call, "imputed_value_int64s"));
    OX_TRY(ox_attr_float(&p->replaced_float, call, "replaced_value_float", 0));
    OX_TRY(ox_attr_int(&p->replaced_int, call, "replaced_value_int64", 0));
    if (n_floats == SIZE_MAX || n_floats == 0) p->floats = NULL;
    if (n_ints == SIZE_MAX || n_ints == 0) p->ints = NULL;
    if (!p->floats == !p->ints)
        return ox_bad_attr(
            call, "exactly one of imputed_value_floats and imputed_value_int64s must be there");
    p->n = p->floats ? n_floats : n_ints;
    return OX_OK;
}

static ox_status check_imputer(const struct ox_imputer_params *p, const struct ox_call *call,
                               ox_dtype dtype) {
    ox_dtypes floats = OX_BIT(OX_FLOAT) | OX_BIT(OX_DOUBLE);
    return ox_expect_dtype(call, 0, dtype, p->floats ? floats : OX_ML_NUMBERS & ~floats);
}

ox_status ox_infer_imputer(const struct ox_call *call, const void *params, struct ox_infer *io) {
    OX_TRY(check_imputer(params, call, ox_in_dtype(io, 0)));
    return ox_infer_same(io, 0, 0);
}

static bool is_missing(double v, double missing) {
    return isnan(missing) ? isnan(v) : v == missing;
}

ox_status ox_eval_imputer(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_imputer_params *p = params;
    const ox_tensor *x = in[0];
    size_t width = last_dim(x);
    void *data;
    OX_TRY(check_imputer(p, call, x->dtype));
    if (p->n != 1 && p->n != width)
        return ox_bad_shape(call, "%zu imputed values, rows have %zu features", p->n, width);
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, x->dtype, x->rank, x->dims));
    for (size_t i = 0; i < x->count; i++) {
        size_t k = p->n == 1 ? 0 : i % width;
        switch (x->dtype) {
        case OX_FLOAT: {
            float v = ((const float *)x->data)[i];
            ((float *)data)[i] =
                is_missing((double)v, (double)p->replaced_float) ? p->floats[k] : v;
            break;
        }
        case OX_DOUBLE: {
            double v = ((const double *)x->data)[i];
            ((double *)data)[i] =
                is_missing(v, (double)p->replaced_float) ? (double)p->floats[k] : v;
            break;
        }
        case OX_INT32: {
            int32_t v = ((const int32_t *)x->data)[i];
            ((int32_t *)data)[i] = v == p->replaced_int ? (int32_t)p->ints[k] : v;
            break;
        }
        default: {
            int64_t v = ((const int64_t *)x->data)[i];
            ((int64_t *)data)[i] = v == p->replaced_int ? p->ints[k] : v;
            break;
        }
        }
    }
    return OX_OK;
}

/* ---- FeatureVectorizer ----------------------------------------------------------------------- */

ox_status ox_decode_feature_vectorizer(const struct ox_call *call, void *params) {
    struct ox_feature_vectorizer_params *p = params;
    OX_TRY(ox_attr_ints(&p->widths, &p->n, call, "inputdimensions"));
    if (p->n != SIZE_MAX && p->n != call->n_in)
        return ox_bad_attr(call, "inputdimensions has %zu entries for %zu inputs", p->n,
                           call->n_in);
    for (size_t i = 0; p->n != SIZE_MAX && i < p->n; i++)
        if (p->widths[i] < 0)
            return ox_bad_attr(call, "inputdimensions[%zu] is %lld", i, (long long)p->widths[i]);
    return OX_OK;
}

ox_status ox_infer_feature_vectorizer(const struct ox_call *call, const void *params,
                                      struct ox_infer *io) {
    const struct ox_feature_vectorizer_params *p = params;
    ox_dim dims[2];
    int64_t width = 0;
    bool known = true;
    int rank = ox_in_rank(io, 0);
    for (size_t i = 0; i < call->n_in; i++) {
        const struct ox_type *t = io->in[i];
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), OX_ML_NUMBERS));
        OX_TRY(ox_expect_rank(call, i, ox_in_rank(io, i), 1, 2));
        bool here = ox_in_rank(io, i) > 0 && ox_dim_is_const(t->dims[t->rank - 1]);
        int64_t w = p->n != SIZE_MAX ? p->widths[i] : here ? t->dims[t->rank - 1].k : 0;
        if (p->n == SIZE_MAX && !here) known = false;
        if (ox_add_i64(&width, width, w)) return ox_bad_attr(call, "the result is too wide");
    }
    dims[0] = rank == 2 ? io->in[0]->dims[0] : ox_dim_const(1);
    dims[1] = ox_dim_const(width);
    if (rank < 0) OX_TRY(ox_dim_unknown(&dims[0], io->dims));
    if (!known) OX_TRY(ox_dim_unknown(&dims[1], io->dims));
    return ox_infer_tensor(io, 0, OX_FLOAT, 2, dims);
}

/* Each input [N,C] (or [C], one row) takes its width in the output: what is wider is cut, what is
 * narrower followed by zeros. */
ox_status ox_eval_feature_vectorizer(const struct ox_call *call, const void *params,
                                     const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_feature_vectorizer_params *p = params;
    int64_t dims[2] = {0, 0};
    void *data;
    for (size_t i = 0; i < call->n_in; i++) {
        OX_TRY(ox_expect_rank(call, i, in[i]->rank, 1, 2));
        int64_t n = in[i]->rank == 1 ? 1 : in[i]->dims[0],
                w = p->n != SIZE_MAX ? p->widths[i] : in[i]->dims[in[i]->rank - 1];
        if (i && n != dims[0])
            return ox_bad_shape(call, "input %zu has %lld rows, input 0 %lld", i, (long long)n,
                                (long long)dims[0]);
        if (ox_add_i64(&dims[1], dims[1], w)) return ox_bad_shape(call, "the result is too wide");
        dims[0] = n;
    }
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, OX_FLOAT, 2, dims));
    size_t at = 0;
    for (size_t i = 0; i < call->n_in; i++) {
        ox_tensor *x;
        size_t have = last_dim(in[i]), w = p->n != SIZE_MAX ? (size_t)p->widths[i] : have;
        OX_TRY(ox_expect_dtype(call, i, in[i]->dtype, OX_ML_NUMBERS));
        OX_TRY(ox_tensor_cast(&x, call->ctx, in[i], OX_FLOAT, true));
        size_t n = have < w ? have : w;
        for (size_t row = 0; n && row < (size_t)dims[0]; row++)
            memcpy((float *)data + row * (size_t)dims[1] + at, (const float *)x->data + row * have,
                   n * sizeof(float));
        ox_tensor_unref(x);
        at += w;
    }
    return OX_OK;
}

/* ---- Normalizer ------------------------------------------------------------------------------ */

ox_status ox_decode_normalizer(const struct ox_call *call, void *params) {
    static const char *const norms[] = {"MAX", "L1", "L2", NULL};
    int norm;
    OX_TRY(ox_attr_choice(&norm, call, "norm", norms, OX_ROW_MAX));
    ((struct ox_normalizer_params *)params)->norm = (enum ox_row_norm)norm;
    return OX_OK;
}

ox_status ox_infer_normalizer(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(expect_numbers(call, io));
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 1, 2));
    return infer_shape(io, OX_FLOAT);
}

/* By the greatest (not its absolute value), the sum of absolute values, or the length; a row whose
 * divisor is 0 stays. */
static void normalize_row(double *y, const double *x, size_t n, enum ox_row_norm norm) {
    double by = norm == OX_ROW_MAX && n ? x[0] : 0;
    for (size_t i = 0; i < n; i++) {
        if (norm == OX_ROW_MAX)
            by = x[i] > by ? x[i] : by;
        else
            by += norm == OX_ROW_L1 ? fabs(x[i]) : x[i] * x[i];
    }
    if (norm == OX_ROW_L2) by = sqrt(by);
    for (size_t i = 0; i < n; i++)
        y[i] = by != 0 ? x[i] / by : x[i];
}

ox_status ox_eval_normalizer(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_normalizer_params *p = params;
    size_t width = last_dim(in[0]);
    ox_tensor *x, *y;
    void *data;
    OX_TRY(ox_expect_rank(call, 0, in[0]->rank, 1, 2));
    OX_TRY(as_doubles(&x, call, 0, in[0]));
    ox_status s = ox_tensor_new(&y, &data, call->ctx, OX_DOUBLE, x->rank, x->dims);
    for (size_t i = 0; s == OX_OK && i < x->count; i += width)
        normalize_row((double *)data + i, (const double *)x->data + i, width, p->norm);
    ox_tensor_unref(x);
    return s == OX_OK ? narrow(&out[0], call, y, OX_FLOAT) : s;
}
