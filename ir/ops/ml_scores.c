/* ir/ops/ml_scores.c - see ml_scores.h. */
#include "ir/ops/key_map.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/ml_scores.h"
#include "ir/ops/convert.h"

#include <math.h>

/* ---- transforms ------------------------------------------------------------------------------ */

ox_status ox_post_attr(enum ox_post *out, const struct ox_call *call) {
    static const char *const names[] = {"NONE",         "SOFTMAX", "LOGISTIC",
                                        "SOFTMAX_ZERO", "PROBIT",  NULL};
    int post;
    OX_TRY(ox_attr_choice(&post, call, "post_transform", names, OX_POST_NONE));
    *out = (enum ox_post)post;
    return OX_OK;
}

double ox_logistic(double x) {
    double v = 1 / (1 + exp(-fabs(x)));
    return x < 0 ? 1 - v : v;
}

/* The inverse of the normal distribution, by Winitzki's approximation of the inverse error
 * function. */
static double probit(double p) {
    const double a = .147, pi = 3.14159265358979323846;
    double x = 2 * p - 1, l = log((1 - x) * (1 + x)), v = 2 / (pi * a) + l / 2;
    double y = sqrt(sqrt(v * v - l / a) - v);
    return 1.41421356237309504880 * (x < 0 ? -y : y);
}

/* With `skip`, zeros stay zeros. */
static void softmax(double *s, size_t n, bool skip) {
    double max = s[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        if (s[i] > max) max = s[i];
    for (size_t i = 0; i < n; i++) {
        bool zero = skip && fabs(s[i]) <= 1e-7;
        s[i] = zero ? s[i] * exp(-max) : exp(s[i] - max);
        sum += s[i];
    }
    for (size_t i = 0; i < n; i++)
        s[i] = sum == 0 ? .5 : s[i] / sum;
}

void ox_post_transform(double *s, size_t n, enum ox_post post) {
    if (post == OX_POST_PROBIT)
        for (size_t i = 0; i < n; i++)
            s[i] = probit(s[i]);
    if (n < 2) return;
    if (post == OX_POST_LOGISTIC)
        for (size_t i = 0; i < n; i++)
            s[i] = ox_logistic(s[i]);
    if (post == OX_POST_SOFTMAX || post == OX_POST_SOFTMAX_ZERO)
        softmax(s, n, post == OX_POST_SOFTMAX_ZERO);
}

void ox_post_binary(double *two, double s, bool mixed, enum ox_post post) {
    two[0] = mixed ? -s : 1 - s;
    two[1] = s;
    if (post == OX_POST_PROBIT) {
        two[0] = 1 - s;
        ox_post_transform(two, 2, post);
    }
    if (mixed && post == OX_POST_LOGISTIC) ox_post_transform(two, 2, post);
}

size_t ox_argmax(const double *s, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (s[i] > s[best]) best = i;
    return best;
}

/* ---- rows and labels ------------------------------------------------------------------------- */

ox_status ox_ml_rows_open(struct ox_ml_rows *rows, const struct ox_call *call, const ox_tensor *x) {
    ox_tensor *floats;
    *rows = (struct ox_ml_rows){0};
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_ML_NUMBERS));
    OX_TRY(ox_expect_rank(call, 0, x->rank, 1, 2));
    rows->n = x->rank == 1 ? 1 : (size_t)x->dims[0];
    rows->width = (size_t)x->dims[x->rank - 1];
    if (x->dtype == OX_DOUBLE) {
        rows->tensor = ox_tensor_ref(x);
    } else { /* integers become floats, as thresholds and coefficients are */
        OX_TRY(ox_tensor_cast(&floats, call->ctx, x, OX_FLOAT, true));
        ox_status s = ox_tensor_cast(&rows->tensor, call->ctx, floats, OX_DOUBLE, true);
        ox_tensor_unref(floats);
        OX_TRY(s);
    }
    rows->data = rows->tensor->data;
    return OX_OK;
}

void ox_ml_rows_close(struct ox_ml_rows *rows) {
    ox_tensor_unref(rows->tensor);
}

ox_status ox_ml_list_attr(struct ox_ml_list *list, const struct ox_call *call, const char *ints,
                          const char *strings) {
    const int64_t *is;
    const struct ox_str *ss;
    size_t n_ints, n_strings;
    OX_TRY(ox_attr_ints(&is, &n_ints, call, ints));
    OX_TRY(ox_attr_strings(&ss, &n_strings, call, strings));
    if (n_ints == SIZE_MAX) n_ints = 0;
    if (n_strings == SIZE_MAX) n_strings = 0;
    if (n_ints && n_strings)
        return ox_bad_attr(call, "both '%s' and '%s' are there", ints, strings);
    *list = n_strings ? (struct ox_ml_list){OX_STRING, ss, n_strings}
                      : (struct ox_ml_list){OX_INT64, n_ints ? is : NULL, n_ints};
    return OX_OK;
}

static int64_t int_at(const struct ox_ml_list *list, size_t i) {
    const unsigned char *data = list->data;
    int64_t i64;
    int32_t i32;
    int16_t i16;
    if (!data) return (int64_t)i;
    switch (list->dtype) {
    case OX_INT64:
        memcpy(&i64, data + 8 * i, 8);
        return i64;
    case OX_INT32:
        memcpy(&i32, data + 4 * i, 4);
        return i32;
    default:
        memcpy(&i16, data + 2 * i, 2);
        return i16;
    }
}

struct ox_key ox_ml_key(const struct ox_ml_list *list, size_t i) {
    const unsigned char *data = list->data;
    float f;
    double d;
    if (list->dtype == OX_STRING) return ox_key_string(((const struct ox_str *)list->data)[i]);
    if (list->dtype == OX_FLOAT) {
        memcpy(&f, data + 4 * i, 4);
        return ox_key_double((double)f);
    }
    if (list->dtype == OX_DOUBLE) {
        memcpy(&d, data + 8 * i, 8);
        return ox_key_double(d);
    }
    return ox_key_int(int_at(list, i));
}

ox_status ox_ml_labels(ox_tensor **out, const struct ox_call *call, const struct ox_ml_list *list,
                       const size_t *ids, size_t n) {
    const int64_t dims[1] = {(int64_t)n};
    if (list->dtype != OX_STRING) {
        void *data;
        OX_TRY(ox_tensor_new(out, &data, call->ctx, OX_INT64, 1, dims));
        for (size_t i = 0; i < n; i++)
            ((int64_t *)data)[i] = ids[i] == OX_LABEL_NONE  ? 0
                                   : ids[i] == OX_LABEL_ONE ? 1
                                                            : int_at(list, ids[i]);
        return OX_OK;
    }
    struct ox_str *strings;
    OX_TRY(ox_alloc(call->ctx, &strings, n, sizeof *strings));
    for (size_t i = 0; i < n; i++)
        strings[i] = ids[i] == OX_LABEL_NONE  ? (struct ox_str){"0", 1}
                     : ids[i] == OX_LABEL_ONE ? (struct ox_str){"1", 1}
                                              : ((const struct ox_str *)list->data)[ids[i]];
    ox_status s = ox_tensor_strings(out, call->ctx, 1, dims, strings);
    ox_free(call->ctx, strings);
    return s;
}

ox_status ox_ml_matrix(ox_tensor **out, const struct ox_call *call, ox_dtype dtype,
                       const double *data, size_t n, size_t width) {
    ox_tensor *doubles;
    const int64_t dims[2] = {(int64_t)n, (int64_t)width};
    OX_TRY(ox_tensor_copy(&doubles, call->ctx, OX_DOUBLE, 2, dims, data, n * width * sizeof *data));
    ox_status s = ox_tensor_cast(out, call->ctx, doubles, dtype, true);
    ox_tensor_unref(doubles);
    return s;
}

ox_status ox_ml_infer_rows(const struct ox_call *call, struct ox_infer *io, size_t i,
                           ox_dtype dtype, int64_t width) {
    int rank = ox_in_rank(io, 0);
    ox_dim dims[2] = {ox_dim_const(1), ox_dim_const(width)};
    if (i >= call->n_out) return OX_OK;
    OX_TRY(ox_expect_rank(call, 0, rank, 1, 2));
    if (rank == 2) dims[0] = io->in[0]->dims[0];
    if (rank < 0) OX_TRY(ox_dim_unknown(&dims[0], io->dims));
    return ox_infer_tensor(io, i, dtype, width < 0 ? 1 : 2, dims);
}
