/* tests/unit/test_op_conv.c - Conv and ConvTranspose against plain loops in double precision. */
#include "op_harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SPATIAL_MAX = 3 };

/* A random problem in numbers. */
struct problem {
    int rank;               /* spatial */
    int64_t n, group, c, m; /* c, m: channels of a group */
    int64_t in[SPATIAL_MAX], out[SPATIAL_MAX], kernel[SPATIAL_MAX], strides[SPATIAL_MAX],
        dilations[SPATIAL_MAX];
    int64_t pads[2 * SPATIAL_MAX], output_padding[SPATIAL_MAX];
    bool bias;
    const char *auto_pad; /* or NULL */
    bool transpose;
};

static int64_t span(const struct problem *p, int d) {
    return (p->kernel[d] - 1) * p->dilations[d] + 1;
}

static bool make_problem(struct problem *p, uint64_t *seed, bool transpose) {
    static const char *const words[] = {NULL, NULL, "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"};
    *p = (struct problem){.rank = 1 + (int)oh_pick(seed, 3), .transpose = transpose};
    p->n = oh_pick(seed, 8) ? 1 + (int64_t)oh_pick(seed, 2) : 0;
    p->group = oh_pick(seed, 2) ? 1 : 1 + (int64_t)oh_pick(seed, 5);
    p->c = 1 + (int64_t)oh_pick(seed, 3) * (int64_t)oh_pick(seed, 7);
    p->m = 1 + (int64_t)oh_pick(seed, 2) * (int64_t)oh_pick(seed, 19);
    p->bias = oh_pick(seed, 2);
    p->auto_pad = words[oh_pick(seed, 6)];
    for (int d = 0; d < p->rank; d++) {
        p->in[d] = 1 + (int64_t)oh_pick(seed, p->rank == 1 ? 150 : p->rank == 2 ? 20 : 8);
        p->kernel[d] = 1 + (int64_t)oh_pick(seed, 4);
        p->strides[d] = 1 + (int64_t)oh_pick(seed, 3);
        p->dilations[d] = 1 + (int64_t)oh_pick(seed, 2);
        p->pads[d] = (int64_t)oh_pick(seed, 3);
        p->pads[p->rank + d] = (int64_t)oh_pick(seed, 3);
        p->output_padding[d] = transpose ? (int64_t)oh_pick(seed, (uint64_t)p->strides[d]) : 0;
    }
    bool same = p->auto_pad && p->auto_pad[0] == 'S';
    for (int d = 0; d < p->rank; d++) {
        int64_t *begin = &p->pads[d], *end = &p->pads[p->rank + d];
        if (p->auto_pad && p->auto_pad[0] == 'V') *begin = *end = 0;
        int64_t full =
            transpose ? p->strides[d] * (p->in[d] - 1) + span(p, d) + p->output_padding[d] : 0;
        if (same) {
            int64_t total = 0;
            p->out[d] = transpose ? p->in[d] * p->strides[d]
                                  : (p->in[d] + p->strides[d] - 1) / p->strides[d];
            total = transpose ? full - p->out[d]
                              : (p->out[d] - 1) * p->strides[d] + span(p, d) - p->in[d];
            if (total < 0) total = 0;
            *begin = p->auto_pad[5] == 'U' ? total / 2 : total - total / 2;
            *end = total - *begin;
        } else if (transpose) {
            p->out[d] = full - *begin - *end;
            if (p->out[d] < 1) return false;
        } else {
            if (p->in[d] + *begin + *end < span(p, d)) return false;
            p->out[d] = (p->in[d] + *begin + *end - span(p, d)) / p->strides[d] + 1;
        }
    }
    return true;
}

static int64_t product(const int64_t *v, int n) {
    int64_t all = 1;
    for (int i = 0; i < n; i++)
        all *= v[i];
    return all;
}

/* Coordinates of a flat index. */
static void unflatten(int64_t i, int rank, const int64_t *dims, int64_t *at) {
    for (int d = rank - 1; d >= 0; d--) {
        at[d] = i % dims[d];
        i /= dims[d];
    }
}

/* The input position that a tap of an output position sees, or -1. */
static int64_t input_at(const struct problem *p, int64_t out, int64_t tap) {
    int64_t o[SPATIAL_MAX], t[SPATIAL_MAX], at = 0;
    unflatten(out, p->rank, p->out, o);
    unflatten(tap, p->rank, p->kernel, t);
    for (int d = 0; d < p->rank; d++) {
        int64_t i;
        if (p->transpose) { /* o = i * stride + t * dilation - pad */
            int64_t away = o[d] + p->pads[d] - t[d] * p->dilations[d];
            if (away < 0 || away % p->strides[d] != 0) return -1;
            i = away / p->strides[d];
        } else {
            i = o[d] * p->strides[d] + t[d] * p->dilations[d] - p->pads[d];
        }
        if (i < 0 || i >= p->in[d]) return -1;
        at = at * p->in[d] + i;
    }
    return at;
}

/* sum and the sum of magnitudes (what rounding errors are measured by). */
static double reference(const struct problem *p, const float *x, const float *w, const float *bias,
                        int64_t n, int64_t m, int64_t out, double *magnitude) {
    int64_t in_plane = product(p->in, p->rank), taps = product(p->kernel, p->rank), g = m / p->m;
    double sum = bias ? (double)bias[m] : 0;
    *magnitude = fabs(sum);
    for (int64_t t = 0; t < taps; t++) {
        int64_t at = input_at(p, out, t);
        if (at < 0) continue;
        for (int64_t c = 0; c < p->c; c++) {
            int64_t channel = g * p->c + c;
            int64_t kernel = p->transpose ? channel * p->m + m % p->m : m * p->c + c;
            double term = (double)x[(n * p->c * p->group + channel) * in_plane + at] *
                          (double)w[kernel * taps + t];
            sum += term;
            *magnitude += fabs(term);
        }
    }
    return sum;
}

static void set_up(struct oh *h, const struct problem *p, uint64_t *seed) {
    int64_t x_dims[5] = {p->n, p->c * p->group}, w_dims[5] = {p->m * p->group, p->c},
            m = p->m * p->group;
    if (p->transpose) w_dims[0] = p->c * p->group, w_dims[1] = p->m;
    for (int d = 0; d < p->rank; d++) {
        x_dims[d + 2] = p->in[d];
        w_dims[d + 2] = p->kernel[d];
    }
    oh_random(h, seed, p->rank + 2, x_dims);
    oh_random(h, seed, p->rank + 2, w_dims);
    if (p->bias) oh_random(h, seed, 1, &m);
    if (oh_pick(seed, 2)) oh_ints(h, "kernel_shape", (size_t)p->rank, p->kernel);
    oh_ints(h, "strides", (size_t)p->rank, p->strides);
    oh_ints(h, "dilations", (size_t)p->rank, p->dilations);
    if (p->auto_pad) oh_string(h, "auto_pad", p->auto_pad);
    if (!p->auto_pad || p->auto_pad[0] == 'N') oh_ints(h, "pads", 2 * (size_t)p->rank, p->pads);
    if (p->group != 1 || oh_pick(seed, 2)) oh_int(h, "group", p->group);
    if (p->transpose) oh_ints(h, "output_padding", (size_t)p->rank, p->output_padding);
}

static void compare(const struct oh *h, const struct problem *p, ox_dtype dtype, double tolerance) {
    int64_t plane = product(p->out, p->rank), m_all = p->m * p->group;
    for (int64_t i = 0; i < p->n * m_all * plane; i++) {
        double magnitude;
        double expected =
            reference(p, h->in[0]->data, h->in[1]->data, p->bias ? h->in[2]->data : NULL,
                      i / plane / m_all, i / plane % m_all, i % plane, &magnitude);
        double got = dtype == OX_DOUBLE ? ((const double *)h->out[0]->data)[i]
                                        : (double)((const float *)h->out[0]->data)[i];
        ck_assert_msg(fabs(got - expected) <= tolerance * (magnitude + 1e-3),
                      "element %lld is %.9g, expected %.9g", (long long)i, got, expected);
    }
}

/* The same problem with all inputs in another float type. */
static void run_as(const struct oh *h, const struct problem *p, uint64_t seed, ox_dtype dtype,
                   double tolerance) {
    struct oh other;
    oh_init(&other, h->op->name, 22, 2);
    set_up(&other, p, &seed);
    ox_tensor *floats[3] = {0};
    for (size_t k = 0; k < other.n_in; k++) {
        floats[k] = other.in[k];
        other.in[k] = NULL;
    }
    size_t n_in = other.n_in;
    other.n_in = 0;
    for (size_t k = 0; k < n_in; k++) {
        void *to = oh_input(&other, dtype, floats[k]->rank, floats[k]->dims);
        const float *from = floats[k]->data;
        for (size_t i = 0; i < floats[k]->count; i++) {
            if (dtype == OX_DOUBLE) ((double *)to)[i] = (double)from[i];
            if (dtype == OX_FLOAT16) ((uint16_t *)to)[i] = ox_float_to_half(from[i]);
            if (dtype == OX_BFLOAT16) ((uint16_t *)to)[i] = ox_float_to_bfloat16(from[i]);
        }
    }
    ck_assert_int_eq(oh_eval(&other, 1), OX_OK);
    ck_assert_int_eq(other.out[0]->dtype, dtype);
    for (size_t i = 0; i < h->out[0]->count; i++) {
        double expected = (double)((const float *)h->out[0]->data)[i], got = 0;
        if (dtype == OX_DOUBLE) got = ((const double *)other.out[0]->data)[i];
        if (dtype == OX_FLOAT16)
            got = (double)ox_half_to_float(((const uint16_t *)other.out[0]->data)[i]);
        if (dtype == OX_BFLOAT16)
            got = (double)ox_bfloat16_to_float(((const uint16_t *)other.out[0]->data)[i]);
        ck_assert_msg(fabs(got - expected) <= tolerance, "element %zu is %g, expected %g", i, got,
                      expected);
    }
    for (size_t k = 0; k < n_in; k++)
        ox_tensor_unref(floats[k]);
    oh_fini(&other);
}

static void run_random(uint64_t *seed, bool transpose) {
    struct problem p;
    if (!make_problem(&p, seed, transpose)) return;
    uint64_t start = *seed, again = start;
    struct oh h;
    oh_init(&h, transpose ? "ConvTranspose" : "Conv", 22, 1);
    set_up(&h, &p, &again);
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    int64_t dims[5] = {p.n, p.m * p.group};
    memcpy(dims + 2, p.out, sizeof p.out);
    oh_expect_dims(&h, 0, p.rank + 2, dims);
    compare(&h, &p, OX_FLOAT, 1e-6);
    oh_same_with_threads(&h, 2);
    oh_same_with_threads(&h, 3);
    if (oh_pick(seed, 8) == 0) {
        run_as(&h, &p, start, OX_DOUBLE, 1e-4);
        run_as(&h, &p, start, OX_FLOAT16, 0.15);
        run_as(&h, &p, start, OX_BFLOAT16, 1.0);
    }
    oh_fini(&h);
}

START_TEST(random_convolutions) {
    uint64_t seed = 1000 + (uint64_t)_i;
    for (int i = 0; i < 120; i++)
        run_random(&seed, false);
}
END_TEST

START_TEST(random_transposed_convolutions) {
    uint64_t seed = 2000 + (uint64_t)_i;
    for (int i = 0; i < 120; i++)
        run_random(&seed, true);
}
END_TEST

/* Shapes that cross the product's blocks, and the models' usual ones. */
START_TEST(large_convolutions) {
    static const struct problem cases[] = {
        {2,
         1,
         1,
         33,
         40,
         {30, 31},
         {30, 31},
         {3, 3},
         {1, 1},
         {1, 1},
         {1, 1, 1, 1},
         {0},
         true,
         NULL,
         false},
        {2,
         1,
         1,
         3,
         32,
         {63, 64},
         {32, 32},
         {3, 3},
         {2, 2},
         {1, 1},
         {1, 1, 1, 1},
         {0},
         true,
         NULL,
         false},
        {2, 2, 1, 300, 24, {9, 9}, {9, 9}, {1, 1}, {1, 1}, {1, 1}, {0}, {0}, false, NULL, false},
        {2,
         1,
         40,
         1,
         1,
         {40, 41},
         {20, 21},
         {3, 3},
         {2, 2},
         {1, 1},
         {1, 1, 1, 1},
         {0},
         true,
         NULL,
         false},
        {1, 2, 1, 10, 20, {1500}, {1496}, {5}, {1}, {1}, {0}, {0}, true, NULL, false},
        {2,
         1,
         1,
         20,
         30,
         {30, 30},
         {60, 60},
         {4, 4},
         {2, 2},
         {1, 1},
         {1, 1, 1, 1},
         {0},
         true,
         NULL,
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t seed = 31 + i;
        struct oh h;
        oh_init(&h, cases[i].transpose ? "ConvTranspose" : "Conv", 11, 1);
        set_up(&h, &cases[i], &seed);
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        compare(&h, &cases[i], OX_FLOAT, 1e-6);
        oh_same_with_threads(&h, 2);
        oh_same_with_threads(&h, 5);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(output_shape_of_transposed) {
    /* total padding -1 and 1: the missing one is a zero behind, the surplus one is cut in front */
    for (int64_t side = 8; side <= 10; side++) {
        struct oh h;
        oh_init(&h, "ConvTranspose", 11, 1);
        float *x = oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 4)),
              *w = oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 3));
        for (int i = 0; i < 4; i++)
            x[i] = (float)(i + 1);
        w[0] = 1, w[1] = 10, w[2] = 100;
        OH_INTS(&h, "strides", 2);
        oh_ints(&h, "output_shape", 1, &side);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        const double full[] = {1, 10, 102, 20, 203, 30, 304, 40, 400, 0};
        oh_expect_dims(&h, 0, OH_DIMS(1, 1, side));
        oh_expect_floats(&h, 0, (size_t)side, side == 8 ? full + 1 : full, 0);
        oh_fini(&h);
    }
}
END_TEST

/* ---- wrong inputs ---------------------------------------------------------------------------- */

static void expect_invalid(struct oh *h, const char *id) {
    ck_assert_int_eq(oh_eval(h, 1), OX_INVALID);
    ck_assert_msg(strcmp(h->id, id) == 0, "%s: %s", h->id, h->text);
    h->id[0] = 0;
    ck_assert_msg(oh_infer(h, 1, false) == OX_INVALID, "inference accepts it");
    ck_assert_str_eq(h->id, id);
    oh_fini(h);
}

static void start(struct oh *h, const char *op) {
    oh_init(h, op, 13, 1);
    oh_input(h, OX_FLOAT, OH_DIMS(1, 2, 8, 8));
    oh_input(h, OX_FLOAT, OH_DIMS(2, 2, 3, 3));
}

START_TEST(wrong_attributes) {
    static const char *const ops[] = {"Conv", "ConvTranspose"};
    for (int i = 0; i < 2; i++) {
        struct oh h;
        start(&h, ops[i]), OH_INTS(&h, "strides", 0, 0), expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), OH_INTS(&h, "strides", 1, -1), expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), OH_INTS(&h, "strides", 1), expect_invalid(&h, "shape-mismatch");
        start(&h, ops[i]), OH_INTS(&h, "strides", INT64_MAX, 1),
            expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), OH_INTS(&h, "dilations", 0, 1), expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), OH_INTS(&h, "dilations", INT64_MAX, INT64_MAX),
            expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), OH_INTS(&h, "kernel_shape", 3, 0), expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), OH_INTS(&h, "kernel_shape", 3, 4), expect_invalid(&h, "shape-mismatch");
        start(&h, ops[i]), OH_INTS(&h, "kernel_shape", 3, 3, 3),
            expect_invalid(&h, "shape-mismatch");
        start(&h, ops[i]), OH_INTS(&h, "pads", 1), expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), OH_INTS(&h, "pads", 1, 1), expect_invalid(&h, "shape-mismatch");
        start(&h, ops[i]), OH_INTS(&h, "pads", -1, 0, 0, 0), expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), OH_INTS(&h, "pads", INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);
        expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), oh_int(&h, "group", 0), expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), oh_int(&h, "group", -1), expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), oh_int(&h, "group", INT64_MAX), expect_invalid(&h, "shape-mismatch");
        start(&h, ops[i]), oh_string(&h, "auto_pad", "SAME"), expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), oh_string(&h, "kernel_shape", "3,3"),
            expect_invalid(&h, "wrong-attribute");
        start(&h, ops[i]), oh_input(&h, OX_FLOAT, OH_DIMS(3)), expect_invalid(&h, "shape-mismatch");
        start(&h, ops[i]), oh_input(&h, OX_FLOAT, OH_DIMS(2, 1)),
            expect_invalid(&h, "shape-mismatch");
        start(&h, ops[i]), oh_input(&h, OX_DOUBLE, OH_DIMS(2)), expect_invalid(&h, "wrong-type");
    }
    struct oh h; /* 2^32 by 2^32 outputs */
    start(&h, "Conv"), OH_INTS(&h, "pads", 2147483648, 2147483648, 2147483648, 2147483648);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_int_eq(oh_infer(&h, 1, true), OX_INVALID);
    oh_fini(&h);
    start(&h, "ConvTranspose"), OH_INTS(&h, "pads", 9, 9, 9, 9),
        expect_invalid(&h, "shape-mismatch");
    start(&h, "ConvTranspose"), OH_INTS(&h, "output_padding", 1),
        expect_invalid(&h, "shape-mismatch");
    start(&h, "ConvTranspose"), OH_INTS(&h, "output_padding", 1, -1),
        expect_invalid(&h, "wrong-attribute");
    start(&h, "ConvTranspose"), OH_INTS(&h, "output_shape", 4, 0),
        expect_invalid(&h, "wrong-attribute");
}
END_TEST

static void two_inputs(struct oh *h, const char *op, int x_rank, const int64_t *x, int w_rank,
                       const int64_t *w) {
    oh_init(h, op, 13, 1);
    oh_input(h, OX_FLOAT, x_rank, x);
    oh_input(h, OX_FLOAT, w_rank, w);
}

START_TEST(wrong_shapes) {
    static const char *const ops[] = {"Conv", "ConvTranspose"};
    for (int i = 0; i < 2; i++) {
        struct oh h;
        two_inputs(&h, ops[i], OH_DIMS(1, 3, 8, 8), OH_DIMS(2, 2, 3, 3)),
            expect_invalid(&h, "shape-mismatch");
        two_inputs(&h, ops[i], OH_DIMS(1, 2, 8), OH_DIMS(2, 2, 3, 3)),
            expect_invalid(&h, "shape-mismatch");
        two_inputs(&h, ops[i], OH_DIMS(1, 2), OH_DIMS(2, 2)), expect_invalid(&h, "shape-mismatch");
        two_inputs(&h, ops[i], OH_DIMS(1, 2, 8), OH_DIMS(2, 2, 0)),
            expect_invalid(&h, "shape-mismatch");
        oh_init(&h, ops[i], 13, 1);
        oh_input(&h, OX_INT32, OH_DIMS(1, 2, 8)), oh_input(&h, OX_INT32, OH_DIMS(2, 2, 1));
        expect_invalid(&h, "wrong-type");
    }
    struct oh h;
    two_inputs(&h, "Conv", OH_DIMS(1, 2, 2, 8), OH_DIMS(2, 2, 3, 3)),
        expect_invalid(&h, "shape-mismatch");
    two_inputs(&h, "Conv", OH_DIMS(1, 4, 8), OH_DIMS(3, 2, 3)), oh_int(&h, "group", 2);
    expect_invalid(&h, "shape-mismatch");
}
END_TEST

/* Padding so large that no padded copy may be made: the outputs are few, so it must work. */
START_TEST(huge_padding_with_few_outputs) {
    for (int64_t c = 1; c <= 2; c++) {
        struct oh h;
        oh_init(&h, "Conv", 13, 1);
        float *x = oh_input(&h, OX_FLOAT, OH_DIMS(1, c, 1, 1)),
              *w = oh_input(&h, OX_FLOAT, OH_DIMS(1, c, 1, 1));
        for (int64_t i = 0; i < c; i++)
            x[i] = 3, w[i] = 2;
        int64_t pad = (int64_t)1 << 38;
        OH_INTS(&h, "pads", pad, pad, 0, 0);
        OH_INTS(&h, "strides", pad, pad);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_dims(&h, 0, OH_DIMS(1, 1, 2, 2));
        oh_expect_floats(&h, 0, 4, (double[]){0, 0, 0, 6 * (double)c}, 0);
        oh_fini(&h);
    }
}
END_TEST

/* Nothing but padding, and nothing to sum over: the bias. */
START_TEST(empty_data_gives_the_bias) {
    for (int64_t c = 0; c <= 2; c++) {
        struct oh h;
        oh_init(&h, "Conv", 13, 1);
        oh_input(&h, OX_FLOAT, OH_DIMS(1, c, 0, 3));
        oh_input(&h, OX_FLOAT, OH_DIMS(2, c, 1, 1));
        oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){5, 6});
        OH_INTS(&h, "pads", 1, 0, 0, 0);
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        oh_expect_dims(&h, 0, OH_DIMS(1, 2, 1, 3));
        oh_expect_floats(&h, 0, 6, (double[]){5, 5, 5, 6, 6, 6}, 0);
        oh_fini(&h);
    }
    struct oh h;
    oh_init(&h, "Conv", 13, 1);
    oh_input(&h, OX_DOUBLE, OH_DIMS(1, 1, 0));
    oh_input(&h, OX_DOUBLE, OH_DIMS(1, 1, 1));
    OH_INTS(&h, "pads", 1, 1);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, OH_DIMS(1, 1, 2));
    oh_fini(&h);
    oh_init(&h, "ConvTranspose", 13, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 0, 2));
    oh_input(&h, OX_FLOAT, OH_DIMS(0, 1, 2));
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1), (float[]){5});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 3, (double[]){5, 5, 5}, 0);
    oh_fini(&h);
}
END_TEST

START_TEST(symbolic_outputs_are_floor_expressions) {
    /* types only: x float[N,2,H,W]; stride 2, kernel 3, pads 1: (H - 1) / 2 + 1 in canonical form
     */
    struct oh h;
    oh_init(&h, "Conv", 13, 1);
    struct ox_arena arena;
    struct ox_dims dims;
    ox_arena_init(&arena, h.ctx);
    ox_dims_init(&dims, h.ctx);
    ox_name n, height;
    ck_assert_int_eq(ox_name_get(&n, &h.names, "N", 1), OX_OK);
    ck_assert_int_eq(ox_name_get(&height, &h.names, "H", 1), OX_OK);
    ox_dim x[4] = {ox_dim_const(0), ox_dim_const(2), ox_dim_const(0), ox_dim_const(9)};
    ck_assert_int_eq(ox_dim_symbol(&x[0], &dims, n), OX_OK);
    ck_assert_int_eq(ox_dim_symbol(&x[2], &dims, height), OX_OK);
    ox_dim w[4] = {ox_dim_const(6), ox_dim_const(2), ox_dim_const(3), ox_dim_const(3)};
    const struct ox_type *in[2], *out[1] = {NULL};
    ck_assert_int_eq(ox_type_tensor(&in[0], &arena, OX_FLOAT, 4, x), OX_OK);
    ck_assert_int_eq(ox_type_tensor(&in[1], &arena, OX_FLOAT, 4, w), OX_OK);
    OH_INTS(&h, "strides", 2, 2);
    OH_INTS(&h, "pads", 1, 1, 1, 1);
    const struct ox_partial *none[2] = {NULL, NULL}, *values[1] = {NULL};
    struct ox_infer io = {&arena, &dims, in, none, out, values, NULL};
    struct ox_call call = {.ctx = h.ctx,
                           .op = h.op,
                           .opset = 13,
                           .attrs = h.attrs,
                           .n_attrs = h.n_attrs,
                           .n_in = 2,
                           .n_out = 1};
    ck_assert_int_eq(ox_op_infer(&call, &io), OX_OK);
    char text[100];
    ox_type_print(text, sizeof text, out[0]);
    ck_assert_str_eq(text, "float[N,6,floor((H + 1)/2),5]");
    ox_dims_fini(&dims);
    ox_arena_fini(&arena);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_conv");
    TCase *t = tcase_create("op_conv");
    tcase_add_loop_test(t, random_convolutions, 0, 4);
    tcase_add_loop_test(t, random_transposed_convolutions, 0, 4);
    tcase_add_test(t, large_convolutions);
    tcase_add_test(t, output_shape_of_transposed);
    tcase_add_test(t, wrong_attributes);
    tcase_add_test(t, wrong_shapes);
    tcase_add_test(t, huge_padding_with_few_outputs);
    tcase_add_test(t, empty_data_gives_the_bias);
    tcase_add_test(t, symbolic_outputs_are_floor_expressions);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
