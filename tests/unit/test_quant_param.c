/* tests/unit/test_quant_param.c - scales, zero points, and rounding through them. */
#include "passes/quantize/quant_param.h"
#include <check.h>
#include <math.h>
#include <stdlib.h>

static ox_ctx *ctx;

static void setup(void) {
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
}

static void teardown(void) {
    ox_ctx_free(ctx);
}

START_TEST(parameters_cover_the_range) {
    static const struct ox_range ranges[] = {{0, 6}, {-1, 1},  {-0.3f, 5}, {-4, 0},
                                             {2, 3}, {-3, -2}, {0, 1e30f}, {-1e-30f, 1e-30f}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        for (int d = 0; d < 2; d++) {
            struct ox_qparam p = ox_qparam_of(ranges[i], d ? OX_INT8 : OX_UINT8);
            struct ox_range r = ox_qparam_range(p);
            float slack = p.scale * 0.5001f;
            ck_assert(p.zero >= (d ? -128 : 0) && p.zero <= (d ? 127 : 255));
            ck_assert_msg(r.min <= fminf(0, ranges[i].min) + slack &&
                              r.max >= fmaxf(0, ranges[i].max) - slack,
                          "range %zu type %d", i, d);
            ck_assert(p.scale <= (fmaxf(0, ranges[i].max) - fminf(0, ranges[i].min)) / 254);
        }
}
END_TEST

START_TEST(one_sided_ranges_put_zero_at_the_end) {
    ck_assert_int_eq(ox_qparam_of((struct ox_range){0, 6}, OX_UINT8).zero, 0);
    ck_assert_int_eq(ox_qparam_of((struct ox_range){0, 6}, OX_INT8).zero, -128);
    ck_assert_int_eq(ox_qparam_of((struct ox_range){-6, 0}, OX_UINT8).zero, 255);
}
END_TEST

START_TEST(no_range_makes_an_illegal_scale) {
    static const float ends[] = {0, 1e-45f, FLT_MIN, 1, FLT_MAX};
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++) {
            struct ox_qparam p = ox_qparam_of((struct ox_range){-ends[i], ends[j]}, OX_UINT8);
            struct ox_range r = ox_qparam_range(p);
            ck_assert(p.scale >= FLT_MIN && isfinite(p.scale));
            ck_assert(isfinite(r.min) && isfinite(r.max));
        }
    struct ox_qparam p = ox_qparam_of((struct ox_range){0, 0}, OX_INT8);
    ck_assert(p.scale == 1 && p.zero == 0);
}
END_TEST

START_TEST(fake_quantizing_is_quantize_then_dequantize) {
    float in[] = {0,   -0.0f, 0.5f,     1.5f,      2.5f, -0.5f, -1.5f,
                  300, -300,  INFINITY, -INFINITY, NAN,  1e-40f};
    enum { N = sizeof in / sizeof in[0] };
    /* scale 1: halves go to even */
    static const float expected[N] = {0, 0, 0, 2, 2, 0, -2, 155, -100, 155, -100, 0, 0};
    struct ox_qparam p = {OX_UINT8, 1, 100};
    float out[N];
    uint8_t q[N];
    ox_fake_quant(ctx, out, in, N, p);
    ox_quantize(q, in, N, p);
    for (size_t i = 0; i < N; i++) {
        ck_assert_msg(out[i] == expected[i], "%zu: %g", i, out[i]);
        ck_assert(((float)q[i] - 100) == expected[i]);
    }
    p = (struct ox_qparam){OX_INT8, 0.25f, -20};
    int8_t s[N];
    ox_fake_quant(ctx, out, in, N, p);
    ox_quantize(s, in, N, p);
    for (size_t i = 0; i < N; i++)
        ck_assert(((float)s[i] + 20) * 0.25f == out[i]);
}
END_TEST

int main(void) {
    Suite *s = suite_create("quant_param");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, parameters_cover_the_range);
    tcase_add_test(t, one_sided_ranges_put_zero_at_the_end);
    tcase_add_test(t, no_range_makes_an_illegal_scale);
    tcase_add_test(t, fake_quantizing_is_quantize_then_dequantize);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
