/* tests/unit/test_quant_weight.c - int8 weights per output channel. */
#include "passes/quantize/quant_weight.h"
#include <check.h>
#include <math.h>
#include <stdlib.h>

static ox_ctx *ctx;

static void setup(void) {
    struct ox_ctx_options o = {.size = sizeof o, .threads = 2};
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

static float noise(uint32_t *state) {
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        *state = *state * 1664525u + 1013904223u;
        sum += (float)(*state >> 8) / 8388608.0f - 1;
    }
    return sum;
}

static struct ox_qweight make(const float *w, struct ox_qlayout l, int axis, bool search,
                              const double *power) {
    struct ox_qweight q;
    struct ox_qweight_options o = {.search = search, .power = power};
    ck_assert_int_eq(ox_qweight_init(&q, ctx, w, l, axis, &o), OX_OK);
    return q;
}

START_TEST(each_channel_has_its_scale) {
    /* [2][3][2]: channel 1 is a hundred times as large, channel 2 all zeros */
    float w[12] = {0.5f, -1, 100, 50, 0, 0, 0.25f, 1, -100, 25, 0, 0}, real[12];
    int8_t q[12];
    struct ox_qlayout l = {.outer = 2, .channels = 3, .inner = 2, .taps = 2, .group_width = 3};
    struct ox_qweight weight = make(w, l, 1, false, NULL);
    ck_assert_uint_eq(weight.n, 3);
    ck_assert_float_eq_tol(weight.scale[0], 1 / 127.0f, 1e-9);
    ck_assert_float_eq_tol(weight.scale[1], 100 / 127.0f, 1e-6);
    ck_assert(weight.scale[2] == weight.scale[0]); /* the finest */
    ox_qweight_apply(ctx, &weight, w, q, real);
    static const int8_t expected[12] = {64, -127, 127, 64, 0, 0, 32, 127, -127, 32, 0, 0};
    for (int i = 0; i < 12; i++) {
        ck_assert_int_eq(q[i], expected[i]);
        ck_assert_float_eq(real[i], (float)q[i] * weight.scale[i / 2 % 3]);
    }
    ox_qweight_fini(ctx, &weight);
}
END_TEST

START_TEST(one_scale_covers_all_channels) {
    float w[4] = {1, -2, 3, -4};
    struct ox_qlayout l = {.outer = 1, .channels = 2, .inner = 2, .taps = 1, .group_width = 2};
    struct ox_qweight weight = make(w, l, -1, true, NULL);
    ck_assert_uint_eq(weight.n, 1);
    ck_assert_float_eq_tol(weight.scale[0], 4 / 127.0f, 1e-7);
    ox_qweight_fini(ctx, &weight);
}
END_TEST

static double error_of(const struct ox_qweight *weight, const float *w, size_t n,
                       const double *power) {
    float *real;
    double sum = 0;
    ck_assert_int_eq(ox_alloc(ctx, &real, n, sizeof *real), OX_OK);
    ox_qweight_apply(ctx, weight, w, NULL, real);
    for (size_t i = 0; i < n; i++)
        sum += ((double)real[i] - w[i]) * ((double)real[i] - w[i]) * (power ? power[i] : 1);
    ox_free(ctx, real);
    return sum;
}

START_TEST(search_lessens_the_error) {
    enum { N = 4096 };
    float *w;
    double *power;
    uint32_t state = 7;
    ck_assert_int_eq(ox_alloc(ctx, &w, N, sizeof *w), OX_OK);
    ck_assert_int_eq(ox_alloc(ctx, &power, N, sizeof *power), OX_OK);
    for (int i = 0; i < N; i++) {
        w[i] = noise(&state) * 0.01f;
        power[i] = 1;
    }
    w[17] = 0.055f; /* alone, and its input is nearly always zero */
    power[17] = 1e-3;
    struct ox_qlayout l = {
        .outer = 1, .channels = 1, .inner = N, .taps = 1, .group_width = 1, .group_inputs = N};
    struct ox_qweight plain = make(w, l, 0, false, NULL), searched = make(w, l, 0, true, NULL),
                      weighed = make(w, l, 0, true, power);
    ck_assert_double_le(error_of(&searched, w, N, NULL), error_of(&plain, w, N, NULL));
    ck_assert_double_lt(error_of(&weighed, w, N, power), 0.8 * error_of(&searched, w, N, power));
    ck_assert_float_lt(weighed.scale[0], 0.85f * plain.scale[0]);
    ox_qweight_fini(ctx, &plain);
    ox_qweight_fini(ctx, &searched);
    ox_qweight_fini(ctx, &weighed);
    ox_free(ctx, w);
    ox_free(ctx, power);
}
END_TEST

START_TEST(odd_weights_stay_legal) {
    float w[12] = {NAN,    1, INFINITY, 2,        -INFINITY, -FLT_MAX,
                   1e-45f, 0, FLT_MIN,  -FLT_MIN, NAN,       NAN};
    int8_t q[12];
    float real[12];
    struct ox_qlayout l = {
        .outer = 1, .channels = 6, .inner = 2, .taps = 1, .group_width = 6, .group_inputs = 2};
    for (int search = 0; search < 2; search++) {
        double power[2] = {search ? INFINITY : 0, NAN};
        struct ox_qweight weight = make(w, l, 0, search, power);
        ox_qweight_apply(ctx, &weight, w, q, real);
        for (int c = 0; c < 6; c++)
            ck_assert(weight.scale[c] >= FLT_MIN && isfinite(weight.scale[c]));
        for (int i = 0; i < 12; i++)
            ck_assert(isfinite(real[i]) && q[i] >= -127);
        ck_assert_int_eq(q[0], 0);
        ck_assert_int_eq(q[1], 127);
        ox_qweight_fini(ctx, &weight);
    }
    struct ox_qlayout none = {
        .outer = 1, .channels = 0, .inner = 5, .taps = 1, .group_width = 1, .group_inputs = 5};
    struct ox_qweight weight = make(w, none, 0, true, NULL);
    ox_qweight_apply(ctx, &weight, w, q, real);
    ck_assert_uint_eq(weight.n, 0);
    ox_qweight_fini(ctx, &weight);
}
END_TEST

START_TEST(elements_know_their_input_channel) {
    /* Conv [4, 3, 2 taps] in 2 groups: output channels 2 and 3 read inputs 3 to 5 */
    struct ox_qlayout conv = {
        .outer = 1, .channels = 4, .inner = 6, .taps = 2, .group_width = 2, .group_inputs = 3};
    ck_assert_uint_eq(ox_qlayout_input(&conv, 0, 0, 0), 0);
    ck_assert_uint_eq(ox_qlayout_input(&conv, 0, 1, 5), 2);
    ck_assert_uint_eq(ox_qlayout_input(&conv, 0, 2, 0), 3);
    ck_assert_uint_eq(ox_qlayout_input(&conv, 0, 3, 4), 5);
    /* MatMul [K, N] */
    struct ox_qlayout matmul = {.outer = 7, .channels = 5, .inner = 1, .taps = 1, .group_width = 5};
    ck_assert_uint_eq(ox_qlayout_input(&matmul, 6, 4, 0), 6);
}
END_TEST

int main(void) {
    Suite *s = suite_create("quant_weight");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, each_channel_has_its_scale);
    tcase_add_test(t, one_scale_covers_all_channels);
    tcase_add_test(t, search_lessens_the_error);
    tcase_add_test(t, odd_weights_stay_legal);
    tcase_add_test(t, elements_know_their_input_channel);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
