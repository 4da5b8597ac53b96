/* tests/unit/test_op_norm.c - normalizations and softmax against plain loops in double precision.
 */
#include "op_harness.h"

#include <math.h>
#include <stdlib.h>

static double *numbers(size_t n) {
    double *v = calloc(n + 1, sizeof *v);
    ck_assert_ptr_nonnull(v);
    return v;
}

static size_t product(const int64_t *dims, int from, int to) {
    size_t n = 1;
    for (int d = from; d < to; d++)
        n *= (size_t)dims[d];
    return n;
}

static int random_dims(uint64_t *seed, int64_t *dims, int min_rank, int max_rank) {
    int rank = min_rank + (int)oh_pick(seed, (uint64_t)(max_rank - min_rank + 1));
    for (int d = 0; d < rank; d++)
        dims[d] = 1 + (int64_t)oh_pick(seed, d == rank - 1 ? 40 : 6);
    return rank;
}

/* Mean and population variance of a list of numbers. */
static void moments(const double *v, size_t n, double *mean, double *variance) {
    *mean = *variance = 0;
    for (size_t i = 0; i < n; i++)
        *mean += v[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        *variance += (v[i] - *mean) * (v[i] - *mean) / (double)n;
}

static void finish(struct oh *h, size_t i, double *expected, double tolerance) {
    oh_expect_floats(h, i, h->out[i]->count, expected, tolerance);
    free(expected);
}

/* ---- batch ----------------------------------------------------------------------------------- */

struct batch {
    int opset;
    bool training, spatial;
    size_t n_out;
};

/* Gives data and the four vectors; the variance is positive. */
static void batch_inputs(struct oh *h, uint64_t *seed, int rank, const int64_t *dims,
                         bool spatial) {
    oh_random(h, seed, rank, dims);
    for (int i = 0; i < 4; i++) {
        float *v = oh_random(h, seed, spatial ? 1 : rank - 1, dims + 1);
        for (size_t k = 0; i == 3 && k < h->in[4]->count; k++)
            v[k] += 1.5f;
    }
}

static void random_batch(uint64_t *seed, const struct batch *b) {
    int64_t dims[4];
    int rank = random_dims(seed, dims, 2, 4);
    struct oh h;
    oh_init(&h, "BatchNormalization", b->opset, 1);
    batch_inputs(&h, seed, rank, dims, b->spatial);
    oh_float(&h, "epsilon", 0.01f);
    oh_float(&h, "momentum", 0.75f);
    if (b->opset >= 14) oh_int(&h, "training_mode", b->training);
    if (b->opset < 7) oh_int(&h, "is_test", !b->training);
    if (!b->spatial) oh_int(&h, "spatial", 0);
    ck_assert_msg(oh_eval(&h, b->n_out) == OX_OK, "%s", h.text);
    size_t channels = h.in[1]->count, batch = (size_t)dims[0],
           plane = h.in[0]->count / batch / channels;
    const float *x = h.in[0]->data, *v[4];
    for (int i = 0; i < 4; i++)
        v[i] = h.in[i + 1]->data;
    double *y = numbers(h.in[0]->count), *stats[4];
    for (int i = 0; i < 4; i++)
        stats[i] = numbers(channels);
    for (size_t c = 0; c < channels; c++) {
        double *column = numbers(batch * plane), mean, variance;
        for (size_t i = 0; i < batch * plane; i++)
            column[i] = (double)x[(i / plane * channels + c) * plane + i % plane];
        moments(column, batch * plane, &mean, &variance);
        stats[2][c] = mean;
        stats[3][c] = variance;
        stats[0][c] = (double)v[2][c] * 0.75 + mean * 0.25;
        stats[1][c] = (double)v[3][c] * 0.75 + variance * 0.25;
        if (!b->training) mean = (double)v[2][c], variance = (double)v[3][c];
        for (size_t i = 0; i < batch * plane; i++)
            y[(i / plane * channels + c) * plane + i % plane] =
                (column[i] - mean) / sqrt(variance + 0.01) * (double)v[0][c] + (double)v[1][c];
        free(column);
    }
    finish(&h, 0, y, 1e-5);
    for (size_t i = 1; i < b->n_out; i++)
        oh_expect_floats(&h, i, channels, stats[i - 1], 1e-5);
    for (int i = 0; i < 4; i++)
        free(stats[i]);
    oh_same_with_threads(&h, 3);
    oh_fini(&h);
}

START_TEST(batches) {
    static const struct batch modes[] = {
        {15, false, true, 1}, {15, true, true, 3}, {14, true, true, 2},
        {9, false, true, 1},  {9, true, true, 5},  {7, false, false, 1},
        {7, true, false, 5},  {6, false, true, 1}, {6, true, true, 5}};
    uint64_t seed = 11;
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
        for (int i = 0; i < 10; i++)
            random_batch(&seed, &modes[m]);
}
END_TEST

START_TEST(batches_of_mixed_types) {
    struct oh h;
    oh_init(&h, "BatchNormalization", 15, 1);
    oh_input_of(&h, OX_FLOAT16, OH_DIMS(1, 2, 1), (uint16_t[]){0x3c00, 0x4000}); /* 1, 2 */
    for (int i = 0; i < 2; i++)
        oh_input_of(&h, OX_BFLOAT16, OH_DIMS(2), (uint16_t[]){0x3f80, 0x4000}); /* 1, 2 */
    oh_input_of(&h, OX_DOUBLE, OH_DIMS(2), (double[]){0, 1});
    oh_input_of(&h, OX_DOUBLE, OH_DIMS(2), (double[]){0.25, 0.25});
    oh_float(&h, "epsilon", 0);
    ck_assert_msg(oh_eval(&h, 3) == OX_OK, "%s", h.text);
    ck_assert_int_eq(h.out[0]->dtype, OX_FLOAT16);
    ck_assert_int_eq(memcmp(h.out[0]->data, (uint16_t[]){0x4200, 0x4600}, 4), 0); /* 3, 6 */
    ck_assert_int_eq(h.out[1]->dtype, OX_DOUBLE); /* not training: as they came */
    ck_assert_double_eq(((const double *)h.out[1]->data)[1], 1);
    ck_assert_double_eq(((const double *)h.out[2]->data)[1], 0.25);
    oh_fini(&h);
}
END_TEST

START_TEST(batch_of_a_vector_has_one_channel) {
    struct oh h;
    oh_init(&h, "BatchNormalization", 15, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(3), (float[]){1, 2, 3});
    for (int i = 0; i < 4; i++)
        oh_input_of(&h, OX_FLOAT, OH_DIMS(1), (float[]){4});
    oh_float(&h, "epsilon", 0);
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    oh_expect_floats(&h, 0, 3, (double[]){-2, 0, 2}, 1e-6);
    oh_fini(&h);
}
END_TEST

/* ---- instances, groups, layers --------------------------------------------------------------- */

static void random_groups(uint64_t *seed, int opset, bool instance) {
    int64_t dims[4];
    int rank = random_dims(seed, dims, instance ? 3 : 2, 4);
    int64_t groups = instance ? dims[1] : 1 + (int64_t)oh_pick(seed, 3);
    if (!instance) dims[1] = groups * (1 + (int64_t)oh_pick(seed, 3));
    bool per_channel = instance || opset >= 21;
    struct oh h;
    oh_init(&h, instance ? "InstanceNormalization" : "GroupNormalization", opset, 1);
    const float *x = oh_random(&h, seed, rank, dims);
    const float *scale = oh_random(&h, seed, 1, per_channel ? &dims[1] : &groups);
    const float *bias = oh_random(&h, seed, 1, per_channel ? &dims[1] : &groups);
    if (!instance) oh_int(&h, "num_groups", groups);
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    size_t count = h.in[0]->count, plane = product(dims, 2, rank), per = (size_t)(dims[1] / groups),
           n = per * plane;
    double *y = numbers(count), *row = numbers(n), mean, variance;
    for (size_t g = 0; g < count / n; g++) {
        for (size_t i = 0; i < n; i++)
            row[i] = (double)x[g * n + i];
        moments(row, n, &mean, &variance);
        for (size_t i = 0; i < n; i++) {
            size_t group = g % (size_t)groups, k = per_channel ? group * per + i / plane : group;
            y[g * n + i] =
                (row[i] - mean) / sqrt(variance + 1e-5) * (double)scale[k] + (double)bias[k];
        }
    }
    free(row);
    finish(&h, 0, y, 2e-4); /* a group of one or two elements divides by little */
    oh_same_with_threads(&h, 2);
    oh_fini(&h);
}

START_TEST(groups_and_instances) {
    uint64_t seed = 21;
    for (int i = 0; i < 40; i++) {
        random_groups(&seed, 22, true);
        random_groups(&seed, 6, true);
        random_groups(&seed, 18, false);
        random_groups(&seed, 21, false);
    }
}
END_TEST

static void random_layers(uint64_t *seed) {
    int64_t dims[4], mean_dims[4];
    int rank = random_dims(seed, dims, 1, 4), axis = (int)oh_pick(seed, (uint64_t)rank);
    struct oh h;
    oh_init(&h, "LayerNormalization", 17, 1);
    const float *x = oh_random(&h, seed, rank, dims);
    const ox_tensor *operand[2] = {NULL, NULL};
    for (int i = 0; i < 2 && (i == 0 || oh_pick(seed, 2)); i++) {
        int64_t own[4];
        int skip = oh_pick(seed, 3) ? axis : (int)oh_pick(seed, (uint64_t)rank);
        for (int d = skip; d < rank; d++)
            own[d - skip] = oh_pick(seed, 5) ? dims[d] : 1;
        oh_random(&h, seed, rank - skip, own);
        operand[i] = h.in[h.n_in - 1];
    }
    if (axis != rank - 1 || oh_pick(seed, 2))
        oh_int(&h, "axis", oh_pick(seed, 2) ? axis : axis - rank);
    oh_float(&h, "epsilon", 0.1f);
    ck_assert_msg(oh_eval(&h, 3) == OX_OK, "%s", h.text);
    size_t n = product(dims, axis, rank), rows = product(dims, 0, axis);
    double *y = numbers(rows * n), *means = numbers(rows), *inverses = numbers(rows),
           *row = numbers(n), variance;
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < n; i++)
            row[i] = (double)x[r * n + i];
        moments(row, n, &means[r], &variance);
        inverses[r] = 1 / sqrt(variance + 0.1);
        for (size_t i = 0; i < n; i++) {
            double v[2] = {1, 0};
            for (int o = 0; o < 2 && operand[o]; o++) {
                size_t rest = r * n + i, at = 0, stride = 1;
                for (int d = rank - 1, own = operand[o]->rank - 1; own >= 0; d--, own--) {
                    size_t k = rest % (size_t)dims[d];
                    rest /= (size_t)dims[d];
                    if (operand[o]->dims[own] != 1) at += k * stride;
                    stride *= (size_t)operand[o]->dims[own];
                }
                v[o] = (double)((const float *)operand[o]->data)[at];
            }
            y[r * n + i] = (row[i] - means[r]) * inverses[r] * v[0] + v[1];
        }
    }
    for (int d = 0; d < rank; d++)
        mean_dims[d] = d < axis ? dims[d] : 1;
    oh_expect_dims(&h, 1, rank, mean_dims);
    finish(&h, 0, y, 1e-5);
    finish(&h, 1, means, 1e-6);
    finish(&h, 2, inverses, 1e-6);
    free(row);
    oh_same_with_threads(&h, 3);
    oh_fini(&h);
}

START_TEST(layers) {
    uint64_t seed = 31;
    for (int i = 0; i < 200; i++)
        random_layers(&seed);
}
END_TEST

START_TEST(layers_of_narrow_floats) {
    struct oh h;
    oh_init(&h, "LayerNormalization", 17, 1);
    oh_input_of(&h, OX_FLOAT16, OH_DIMS(1, 2), (uint16_t[]){0x3c00, 0x4200}); /* 1, 3 */
    oh_input_of(&h, OX_FLOAT16, OH_DIMS(2), (uint16_t[]){0x3c00, 0x3c00});
    oh_float(&h, "epsilon", 0);
    oh_int(&h, "stash_type", 16);
    h.unwanted = 1u << 1;
    ck_assert_msg(oh_eval(&h, 3) == OX_OK, "%s", h.text);
    ck_assert_int_eq(memcmp(h.out[0]->data, (uint16_t[]){0xbc00, 0x3c00}, 4), 0); /* -1, 1 */
    ck_assert_ptr_null(h.out[1]);
    ck_assert_int_eq(h.out[2]->dtype, OX_BFLOAT16);
    ck_assert_uint_eq(*(const uint16_t *)h.out[2]->data, 0x3f80);
    oh_fini(&h);
}
END_TEST

/* ---- LRN, Lp, mean and variance -------------------------------------------------------------- */

START_TEST(local_responses) {
    uint64_t seed = 41;
    for (int i = 0; i < 60; i++) {
        int64_t dims[4], size = 1 + (int64_t)oh_pick(&seed, 7);
        int rank = random_dims(&seed, dims, 2, 4);
        struct oh h;
        oh_init(&h, "LRN", 13, 1);
        const float *x = oh_random(&h, &seed, rank, dims);
        oh_int(&h, "size", size);
        oh_float(&h, "alpha", 0.5f);
        oh_float(&h, "bias", 2);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        int64_t plane = (int64_t)product(dims, 2, rank);
        double *y = numbers(h.in[0]->count);
        for (int64_t e = 0; e < (int64_t)h.in[0]->count; e++) {
            int64_t c = e / plane % dims[1], n = e / plane / dims[1];
            double sum = 0;
            for (int64_t k = c - (size - 1) / 2; k <= c + size / 2;
                 k++) /* floor and ceil of (size - 1) / 2 */
                if (k >= 0 && k < dims[1])
                    sum += pow((double)x[(n * dims[1] + k) * plane + e % plane], 2);
            y[e] = (double)x[e] / pow(2 + 0.5 / (double)size * sum, 0.75);
        }
        finish(&h, 0, y, 1e-6);
        oh_same_with_threads(&h, 2);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(lp_norms) {
    uint64_t seed = 51;
    for (int i = 0; i < 60; i++) {
        int64_t dims[4], p = 1 + (int64_t)oh_pick(&seed, 2);
        int rank = random_dims(&seed, dims, 1, 4), axis = (int)oh_pick(&seed, (uint64_t)rank);
        struct oh h;
        oh_init(&h, "LpNormalization", 22, 1);
        float *x = oh_random(&h, &seed, rank, dims);
        size_t inner = product(dims, axis + 1, rank), n = (size_t)dims[axis];
        for (size_t k = 0; i % 4 == 0 && k < n; k++)
            x[k * inner] = 0; /* a norm of 0 */
        oh_int(&h, "axis", axis - (i % 2 ? rank : 0));
        oh_int(&h, "p", p);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        double *y = numbers(h.in[0]->count);
        for (size_t e = 0; e < h.in[0]->count; e++) {
            size_t first = e / (n * inner) * n * inner + e % inner;
            double sum = 0;
            for (size_t k = 0; k < n; k++)
                sum += pow(fabs((double)x[first + k * inner]), (double)p);
            sum = pow(sum, 1 / (double)p);
            y[e] = sum > 0 ? (double)x[e] / sum : 0;
        }
        finish(&h, 0, y, 1e-6);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(means_and_variances) {
    uint64_t seed = 61;
    for (int i = 0; i < 20; i++) {
        int64_t dims[4], axes[4];
        int rank = random_dims(&seed, dims, 4, 4);
        bool over[4] = {true, false, true, true};
        struct oh h;
        oh_init(&h, "MeanVarianceNormalization", 13, 1);
        const float *x = oh_random(&h, &seed, rank, dims);
        if (i % 3) {
            size_t n = 0;
            for (int d = 0; d < 4; d++) {
                over[d] = d == 3 || oh_pick(&seed, 2);
                if (over[d]) axes[n++] = oh_pick(&seed, 2) ? d : d - 4;
            }
            oh_ints(&h, "axes", n, axes);
        }
        dims[3] = h.in[0]->dims[3];
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        double *y = numbers(h.in[0]->count), *row = numbers(h.in[0]->count);
        for (size_t e = 0; e < h.in[0]->count; e++) {
            size_t n = 0;
            for (size_t k = 0; k < h.in[0]->count;
                 k++) { /* those that share all other coordinates */
                size_t a = e, b = k;
                bool same = true;
                for (int d = 3; d >= 0; d--) {
                    same = same && (over[d] || a % (size_t)dims[d] == b % (size_t)dims[d]);
                    a /= (size_t)dims[d];
                    b /= (size_t)dims[d];
                }
                if (same) row[n++] = (double)x[k];
            }
            double mean, variance;
            moments(row, n, &mean, &variance);
            y[e] = ((double)x[e] - mean) / (sqrt(variance) + 1e-9);
        }
        free(row);
        finish(&h, 0, y, 1e-4);
        oh_fini(&h);
    }
}
END_TEST

/* ---- softmax --------------------------------------------------------------------------------- */

static void random_softmax(uint64_t *seed, const char *op, int opset) {
    int64_t dims[4];
    int rank = random_dims(seed, dims, opset < 13 ? 2 : 1, 4),
        axis = (int)oh_pick(seed, (uint64_t)rank);
    if (oh_pick(seed, 4) == 0) dims[rank - 1] += 100; /* more columns than are done at once */
    struct oh h;
    oh_init(&h, op, opset, 1);
    float *x = oh_random(&h, seed, rank, dims);
    for (size_t i = 0; i < h.in[0]->count; i++)
        x[i] = op[0] == 'H' ? (float)(int)(3 * x[i]) : 20 * x[i]; /* ties for Hardmax */
    if (oh_pick(seed, 3))
        oh_int(&h, "axis", oh_pick(seed, 2) ? axis : axis - rank);
    else
        axis = opset < 13 ? 1 : rank - 1; /* the default */
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    size_t inner = opset < 13 ? 1 : product(dims, axis + 1, rank),
           n = product(dims, axis, opset < 13 ? rank : axis + 1);
    double *y = numbers(h.in[0]->count);
    for (size_t e = 0; e < h.in[0]->count; e++) {
        size_t first = e / (n * inner) * n * inner + e % inner, best = first;
        double sum = 0;
        for (size_t k = 0; k < n; k++)
            if (x[first + k * inner] > x[best]) best = first + k * inner;
        for (size_t k = 0; k < n; k++)
            sum += exp((double)x[first + k * inner] - (double)x[best]);
        double away = (double)x[e] - (double)x[best];
        y[e] = op[0] == 'H' ? e == best : op[0] == 'S' ? exp(away) / sum : away - log(sum);
    }
    finish(&h, 0, y, 2e-6);
    oh_same_with_threads(&h, 2);
    oh_same_with_threads(&h, 3);
    oh_fini(&h);
}

START_TEST(softmaxes) {
    static const char *const ops[] = {"Softmax", "LogSoftmax", "Hardmax"};
    uint64_t seed = 71;
    for (int i = 0; i < 240; i++)
        random_softmax(&seed, ops[i % 3], i % 2 ? 13 : 11);
}
END_TEST

START_TEST(softmax_of_other_types_and_extremes) {
    struct oh h;
    oh_init(&h, "Softmax", 13, 1);
    oh_input_of(&h, OX_DOUBLE, OH_DIMS(3), (double[]){0, 1000, -1000});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_double_eq(((const double *)h.out[0]->data)[1], 1);
    oh_fini(&h);
    oh_init(&h, "Softmax", 13, 1);
    oh_input_of(&h, OX_BFLOAT16, OH_DIMS(2), (uint16_t[]){0x3f80, 0x3f80});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_uint_eq(((const uint16_t *)h.out[0]->data)[1], 0x3f00);
    oh_fini(&h);
    oh_init(&h, "Softmax", 13, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 2), (float[]){-INFINITY, 0, NAN, 0});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 4, (double[]){0, 1, NAN, NAN}, 0);
    oh_fini(&h);
    oh_init(&h, "LogSoftmax", 13, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(0, 4));
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_fini(&h);
}
END_TEST

/* ---- wrong inputs ---------------------------------------------------------------------------- */

static void expect_invalid(struct oh *h) {
    ck_assert_int_eq(oh_eval(h, 1), OX_INVALID);
    ck_assert_int_eq(oh_infer(h, 1, true), OX_INVALID);
    oh_fini(h);
}

static void start(struct oh *h, const char *op, int opset, size_t n_in, int64_t vector) {
    oh_init(h, op, opset, 1);
    oh_input(h, OX_FLOAT, OH_DIMS(2, 6, 4));
    for (size_t i = 1; i < n_in; i++)
        oh_input(h, OX_FLOAT, 1, &vector);
}

START_TEST(wrong_inputs) {
    struct oh h;
    start(&h, "BatchNormalization", 15, 5, 5), expect_invalid(&h);
    start(&h, "BatchNormalization", 7, 5, 6), oh_int(&h, "spatial", 0), expect_invalid(&h);
    start(&h, "BatchNormalization", 15, 5, 6);
    ck_assert_int_eq(oh_eval(&h, 5), OX_INVALID); /* two outputs too many since version 14 */
    oh_fini(&h);
    start(&h, "InstanceNormalization", 6, 3, 5), expect_invalid(&h);
    start(&h, "GroupNormalization", 21, 3, 6), expect_invalid(&h);
    start(&h, "GroupNormalization", 21, 3, 6), oh_int(&h, "num_groups", 0), expect_invalid(&h);
    start(&h, "GroupNormalization", 21, 3, 6), oh_int(&h, "num_groups", 4), expect_invalid(&h);
    start(&h, "GroupNormalization", 21, 3, 2), oh_int(&h, "num_groups", 2), expect_invalid(&h);
    start(&h, "GroupNormalization", 18, 3, 6), oh_int(&h, "num_groups", 2), expect_invalid(&h);
    start(&h, "LayerNormalization", 17, 3, 5), expect_invalid(&h);
    start(&h, "LayerNormalization", 17, 3, 4), oh_int(&h, "axis", 3), expect_invalid(&h);
    start(&h, "LayerNormalization", 17, 3, 4), oh_int(&h, "stash_type", 7), expect_invalid(&h);
    start(&h, "LRN", 13, 1, 0), expect_invalid(&h);
    start(&h, "LRN", 13, 1, 0), oh_int(&h, "size", -3), expect_invalid(&h);
    start(&h, "LpNormalization", 13, 1, 0), oh_int(&h, "p", 3), expect_invalid(&h);
    start(&h, "LpNormalization", 13, 1, 0), oh_int(&h, "axis", INT64_MIN), expect_invalid(&h);
    start(&h, "MeanVarianceNormalization", 13, 1, 0), expect_invalid(&h); /* no dim 3 */
    start(&h, "Softmax", 13, 1, 0), oh_int(&h, "axis", 3), expect_invalid(&h);
    start(&h, "LogSoftmax", 13, 1, 0), oh_int(&h, "axis", -4), expect_invalid(&h);
    oh_init(&h, "Softmax", 13, 1), oh_input(&h, OX_INT32, OH_DIMS(2)), expect_invalid(&h);
    oh_init(&h, "Hardmax", 13, 1), oh_input(&h, OX_FLOAT, 0, NULL), expect_invalid(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_norm");
    TCase *t = tcase_create("op_norm");
    tcase_add_test(t, batches);
    tcase_add_test(t, batches_of_mixed_types);
    tcase_add_test(t, batch_of_a_vector_has_one_channel);
    tcase_add_test(t, groups_and_instances);
    tcase_add_test(t, layers);
    tcase_add_test(t, layers_of_narrow_floats);
    tcase_add_test(t, local_responses);
    tcase_add_test(t, lp_norms);
    tcase_add_test(t, means_and_variances);
    tcase_add_test(t, softmaxes);
    tcase_add_test(t, softmax_of_other_types_and_extremes);
    tcase_add_test(t, wrong_inputs);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
