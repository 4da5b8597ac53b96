/* tests/unit/test_op_pool.c - pools against plain loops. */
#include "op_harness.h"

#include <math.h>
#include <stdlib.h>

enum { SPATIAL_MAX = 3 };

struct problem {
    int rank;
    int64_t n, c, in[SPATIAL_MAX], out[SPATIAL_MAX], kernel[SPATIAL_MAX], strides[SPATIAL_MAX],
        dilations[SPATIAL_MAX];
    int64_t pads[2 * SPATIAL_MAX];
    const char *auto_pad;
    bool ceil_mode, include_pad, column_major;
    int64_t p;
};

static bool make_problem(struct problem *p, uint64_t *seed) {
    static const char *const words[] = {NULL, NULL, NULL, "SAME_UPPER", "SAME_LOWER", "VALID"};
    *p = (struct problem){.rank = 1 + (int)oh_pick(seed, 3), .auto_pad = words[oh_pick(seed, 6)]};
    p->n = oh_pick(seed, 9) ? 1 + (int64_t)oh_pick(seed, 2) : 0;
    p->c = 1 + (int64_t)oh_pick(seed, 3);
    p->ceil_mode = oh_pick(seed, 2);
    p->include_pad = oh_pick(seed, 2);
    p->column_major = oh_pick(seed, 2);
    p->p = 1 + (int64_t)oh_pick(seed, 3);
    for (int d = 0; d < p->rank; d++) {
        p->in[d] = 1 + (int64_t)oh_pick(seed, p->rank == 1 ? 90 : 12);
        p->kernel[d] = 1 + (int64_t)oh_pick(seed, 4);
        p->strides[d] = 1 + (int64_t)oh_pick(seed, 4);
        p->dilations[d] = 1 + (int64_t)oh_pick(seed, 3);
        int64_t span = (p->kernel[d] - 1) * p->dilations[d] + 1, total;
        int64_t *begin = &p->pads[d], *end = &p->pads[p->rank + d];
        *begin = (int64_t)oh_pick(seed, 3);
        *end = (int64_t)oh_pick(seed, 3);
        if (p->auto_pad && p->auto_pad[0] == 'S') {
            p->out[d] = (p->in[d] + p->strides[d] - 1) / p->strides[d];
            total = (p->out[d] - 1) * p->strides[d] + span - p->in[d];
            if (total < 0) total = 0;
            *begin = p->auto_pad[5] == 'U' ? total / 2 : total - total / 2;
            *end = total - *begin;
            continue;
        }
        if (p->auto_pad) *begin = *end = 0;
        int64_t room = p->in[d] + *begin + *end - span;
        if (room < 0) return false;
        p->out[d] = room / p->strides[d] + 1;
        if (p->ceil_mode && !p->auto_pad) {
            p->out[d] = (room + p->strides[d] - 1) / p->strides[d] + 1;
            while ((p->out[d] - 1) * p->strides[d] >= p->in[d] + *begin)
                p->out[d]--; /* would start behind the data */
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

static void unflatten(int64_t i, int rank, const int64_t *dims, int64_t *at) {
    for (int d = rank - 1; d >= 0; d--) {
        at[d] = i % dims[d];
        i /= dims[d];
    }
}

struct window { /* what one output sees */
    double max, sum, powers;
    int64_t index, cells, padded_cells;
};

static struct window look(const struct problem *p, const float *plane, int64_t out) {
    struct window w = {.max = -INFINITY};
    int64_t o[SPATIAL_MAX], t[SPATIAL_MAX];
    unflatten(out, p->rank, p->out, o);
    for (int64_t tap = 0; tap < product(p->kernel, p->rank); tap++) {
        bool inside = true, padded = true;
        int64_t at = 0, number = 0, step = 1;
        unflatten(tap, p->rank, p->kernel, t);
        for (int d = 0; d < p->rank; d++) {
            int64_t i = o[d] * p->strides[d] + t[d] * p->dilations[d] - p->pads[d];
            inside = inside && i >= 0 && i < p->in[d];
            padded = padded && i < p->in[d] + p->pads[p->rank + d];
            at = at * p->in[d] + i;
            number += i * step;
            step *= p->in[d];
        }
        w.padded_cells += padded;
        if (!inside) continue;
        double v = (double)plane[at];
        w.cells++;
        w.sum += v;
        w.powers += pow(fabs(v), (double)p->p);
        if (v > w.max) {
            w.max = v;
            w.index = p->column_major ? number : at;
        }
    }
    return w;
}

static void set_up(struct oh *h, const struct problem *p, const char *op, uint64_t seed) {
    int64_t dims[5] = {p->n, p->c};
    memcpy(dims + 2, p->in, sizeof p->in);
    oh_init(h, op, 22, 1);
    oh_random(h, &seed, p->rank + 2, dims);
    oh_ints(h, "kernel_shape", (size_t)p->rank, p->kernel);
    oh_ints(h, "strides", (size_t)p->rank, p->strides);
    oh_ints(h, "dilations", (size_t)p->rank, p->dilations);
    if (p->auto_pad)
        oh_string(h, "auto_pad", p->auto_pad);
    else
        oh_ints(h, "pads", 2 * (size_t)p->rank, p->pads);
    oh_int(h, "ceil_mode", p->ceil_mode);
}

static void check(const struct problem *p, const char *op, uint64_t seed) {
    struct oh h;
    bool max = strcmp(op, "MaxPool") == 0, average = strcmp(op, "AveragePool") == 0;
    set_up(&h, p, op, seed);
    if (max) oh_int(&h, "storage_order", p->column_major);
    if (average) oh_int(&h, "count_include_pad", p->include_pad);
    if (!max && !average) oh_int(&h, "p", p->p);
    ck_assert_msg(oh_eval(&h, max ? 2 : 1) == OX_OK, "%s", h.text);
    int64_t dims[5] = {p->n, p->c}, in_plane = product(p->in, p->rank),
            out_plane = product(p->out, p->rank);
    memcpy(dims + 2, p->out, sizeof p->out);
    oh_expect_dims(&h, 0, p->rank + 2, dims);
    for (int64_t i = 0; i < p->n * p->c * out_plane; i++) {
        int64_t plane = i / out_plane;
        struct window w = look(p, (const float *)h.in[0]->data + plane * in_plane, i % out_plane);
        int64_t cells = p->include_pad ? w.padded_cells : w.cells;
        double expected = max       ? w.max
                          : average ? (cells ? w.sum / (double)cells : 0)
                                    : pow(w.powers, 1 / (double)p->p);
        double got = (double)((const float *)h.out[0]->data)[i];
        ck_assert_msg(got == expected || fabs(got - expected) < 1e-5,
                      "%s: element %lld is %g, expected %g", op, (long long)i, got, expected);
        if (max && w.cells > 0)
            ck_assert_int_eq(((const int64_t *)h.out[1]->data)[i], plane * in_plane + w.index);
    }
    oh_same_with_threads(&h, 2);
    if (max) { /* without indices another loop runs */
        ox_tensor *values = ox_tensor_ref(h.out[0]);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        ck_assert(ox_tensor_equal(values, h.out[0]));
        oh_same_with_threads(&h, 3);
        ox_tensor_unref(values);
    }
    oh_fini(&h);
}

START_TEST(random_pools) {
    uint64_t seed = 40 + (uint64_t)_i;
    for (int i = 0; i < 150; i++) {
        struct problem p;
        if (!make_problem(&p, &seed)) continue;
        check(&p, "MaxPool", seed);
        check(&p, "AveragePool", seed);
        check(&p, "LpPool", seed);
    }
}
END_TEST

START_TEST(other_types) {
    struct oh h;
    oh_init(&h, "MaxPool", 12, 1);
    oh_input_of(&h, OX_INT8, OH_DIMS(1, 1, 5), (int8_t[]){-128, -3, 7, -128, -128});
    OH_INTS(&h, "kernel_shape", 2);
    ck_assert_int_eq(oh_eval(&h, 2), OX_OK);
    ck_assert_int_eq(memcmp(h.out[0]->data, (int8_t[]){-3, 7, 7, -128}, 4), 0);
    ck_assert_int_eq(memcmp(h.out[1]->data, (int64_t[]){1, 2, 2, 3}, 32), 0);
    oh_fini(&h);
    oh_init(&h, "MaxPool", 12, 1);
    oh_input_of(&h, OX_UINT8, OH_DIMS(1, 1, 4), (uint8_t[]){0, 200, 7, 9});
    OH_INTS(&h, "kernel_shape", 2);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(memcmp(h.out[0]->data, (uint8_t[]){200, 200, 9}, 3), 0);
    oh_fini(&h);
    oh_init(&h, "AveragePool", 12, 1);
    oh_input_of(&h, OX_DOUBLE, OH_DIMS(1, 1, 3), (double[]){1, 2, 4});
    OH_INTS(&h, "kernel_shape", 2);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_double_eq(((const double *)h.out[0]->data)[1], 3);
    oh_fini(&h);
    oh_init(&h, "MaxPool", 12, 1);
    oh_input_of(&h, OX_FLOAT16, OH_DIMS(1, 1, 2), (uint16_t[]){0x3c00, 0xc000});
    OH_INTS(&h, "kernel_shape", 2);
    ck_assert_int_eq(oh_eval(&h, 2), OX_OK);
    ck_assert_uint_eq(*(const uint16_t *)h.out[0]->data, 0x3c00);
    ck_assert_int_eq(*(const int64_t *)h.out[1]->data, 0);
    oh_fini(&h);
}
END_TEST

START_TEST(global_pools) {
    static const char *const ops[] = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"};
    uint64_t seed = 3;
    for (int i = 0; i < 60; i++) {
        int op = i % 3;
        int64_t dims[4] = {1 + (int64_t)oh_pick(&seed, 3), 1 + (int64_t)oh_pick(&seed, 5),
                           1 + (int64_t)oh_pick(&seed, 9), 1 + (int64_t)oh_pick(&seed, 9)},
                p = 1 + (int64_t)oh_pick(&seed, 3);
        struct oh h;
        oh_init(&h, ops[op], 22, 1);
        float *x = oh_random(&h, &seed, i % 2 ? 4 : 3, dims);
        if (op == 2) oh_int(&h, "p", p);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        size_t n = (size_t)(dims[2] * (i % 2 ? dims[3] : 1)), planes = (size_t)(dims[0] * dims[1]);
        double *expected = calloc(planes, sizeof *expected);
        for (size_t k = 0; k < planes; k++) {
            double sum = op == 1 ? -INFINITY : 0;
            for (size_t j = 0; j < n; j++) {
                double v = (double)x[k * n + j];
                sum = op == 0   ? sum + v
                      : op == 1 ? (v > sum ? v : sum)
                                : sum + pow(fabs(v), (double)p);
            }
            expected[k] = op == 0 ? sum / (double)n : op == 1 ? sum : pow(sum, 1 / (double)p);
        }
        oh_expect_floats(&h, 0, planes, expected, 1e-6);
        oh_same_with_threads(&h, 3);
        free(expected);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(lp_of_version_one) {
    struct oh h;
    oh_init(&h, "LpPool", 1, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 1, 2), (float[]){3, -4});
    OH_INTS(&h, "kernel_shape", 1, 2);
    oh_float(&h, "p", 2.0f);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 1, (double[]){5}, 1e-6);
    oh_fini(&h);
}
END_TEST

/* Kernel and padding far larger than the data must not cost more than the data. */
START_TEST(absurd_windows_are_cheap) {
    static const char *const ops[] = {"MaxPool", "AveragePool", "LpPool"};
    int64_t huge = (int64_t)1 << 39;
    for (int i = 0; i < 3; i++) {
        struct oh h;
        oh_init(&h, ops[i], 22, 1);
        oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 1, 2), (float[]){3, 4});
        OH_INTS(&h, "kernel_shape", huge, huge);
        OH_INTS(&h, "pads", huge, huge, huge, huge);
        OH_INTS(&h, "strides", huge, huge);
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        oh_expect_dims(&h, 0, OH_DIMS(1, 1, 2, 2));
        double seen = i == 0 ? 4 : i == 1 ? 3.5 : 5, none = i == 0 ? -INFINITY : 0;
        /* window 0 covers the padding in front only, window 1 the data and what is behind it */
        oh_expect_floats(&h, 0, 4, (double[]){none, none, none, seen}, 1e-6);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(empty_data_pools_to_nothing_or_padding) {
    static const char *const ops[] = {"MaxPool", "AveragePool", "LpPool"};
    for (int i = 0; i < 3; i++) {
        struct oh h;
        oh_init(&h, ops[i], 22, 1);
        oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 0, 2));
        OH_INTS(&h, "kernel_shape", 1, 1);
        OH_INTS(&h, "pads", 1, 0, 0, 0);
        ck_assert_msg(oh_eval(&h, i == 0 ? 2 : 1) == OX_OK, "%s", h.text);
        double none = i == 0 ? -INFINITY : 0;
        oh_expect_dims(&h, 0, OH_DIMS(1, 1, 1, 2));
        oh_expect_floats(&h, 0, 2, (double[]){none, none}, 0);
        oh_fini(&h);
    }
}
END_TEST

static void expect_invalid(struct oh *h) {
    ck_assert_int_eq(oh_eval(h, 1), OX_INVALID);
    ck_assert_int_eq(oh_infer(h, 1, true), OX_INVALID);
    oh_fini(h);
}

static void start(struct oh *h, const char *op) {
    oh_init(h, op, 12, 1);
    oh_input(h, OX_FLOAT, OH_DIMS(1, 2, 8, 8));
}

START_TEST(wrong_inputs) {
    static const char *const ops[] = {"MaxPool", "AveragePool", "LpPool"};
    for (int i = 0; i < 3; i++) {
        struct oh h;
        start(&h, ops[i]), expect_invalid(&h);
        start(&h, ops[i]), OH_INTS(&h, "kernel_shape", 3), expect_invalid(&h);
        start(&h, ops[i]), OH_INTS(&h, "kernel_shape", 3, 0), expect_invalid(&h);
        start(&h, ops[i]), OH_INTS(&h, "kernel_shape", 9, 9), expect_invalid(&h);
        start(&h, ops[i]), OH_INTS(&h, "kernel_shape", 3, 3), OH_INTS(&h, "strides", 0, 1),
            expect_invalid(&h);
        start(&h, ops[i]), OH_INTS(&h, "kernel_shape", 3, 3), OH_INTS(&h, "pads", 1, 1),
            expect_invalid(&h);
        start(&h, ops[i]), OH_INTS(&h, "kernel_shape", 3, 3), OH_INTS(&h, "dilations", -1, 1),
            expect_invalid(&h);
        start(&h, ops[i]), OH_INTS(&h, "kernel_shape", 1, 1);
        OH_INTS(&h, "pads", 1099511627776, 1099511627776, 1099511627776, 1099511627776),
            expect_invalid(&h);
        oh_init(&h, ops[i], 12, 1), oh_input(&h, OX_INT32, OH_DIMS(1, 2, 8));
        OH_INTS(&h, "kernel_shape", 3), expect_invalid(&h);
        oh_init(&h, ops[i], 12, 1), oh_input(&h, OX_FLOAT, OH_DIMS(1, 2));
        OH_INTS(&h, "kernel_shape", 3), expect_invalid(&h);
    }
    struct oh h;
    start(&h, "LpPool"), OH_INTS(&h, "kernel_shape", 3, 3), oh_int(&h, "p", 0), expect_invalid(&h);
    start(&h, "GlobalLpPool"), oh_float(&h, "p", NAN), expect_invalid(&h);
    oh_init(&h, "GlobalMaxPool", 12, 1), oh_input(&h, OX_FLOAT, OH_DIMS(2, 2)), expect_invalid(&h);
    oh_init(&h, "GlobalAveragePool", 12, 1), oh_input(&h, OX_INT8, OH_DIMS(2, 2, 2)),
        expect_invalid(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_pool");
    TCase *t = tcase_create("op_pool");
    tcase_add_loop_test(t, random_pools, 0, 3);
    tcase_add_test(t, other_types);
    tcase_add_test(t, global_pools);
    tcase_add_test(t, lp_of_version_one);
    tcase_add_test(t, absurd_windows_are_cheap);
    tcase_add_test(t, empty_data_pools_to_nothing_or_padding);
    tcase_add_test(t, wrong_inputs);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
