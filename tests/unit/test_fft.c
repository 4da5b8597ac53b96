/* tests/unit/test_fft.c - transforms of many lengths against the definition; long ones there and
 * back. */
#include "ir/ops/fft.h"
#include <check.h>
#include <math.h>
#include <stdlib.h>

static ox_ctx *new_ctx(void) {
    struct ox_ctx_options o = {.size = sizeof o};
    ox_ctx *ctx;
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
    return ctx;
}

static void fill(double *x, size_t n) {
    uint32_t seed = 17;
    for (size_t i = 0; i < 2 * n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (double)(seed >> 8) / (1 << 23) - 1;
    }
}

static void compare_with_definition(size_t n) {
    ox_ctx *ctx = new_ctx();
    struct ox_fft f;
    double *x, *y, worst = 0;
    ck_assert_int_eq(ox_alloc(ctx, &x, n, 2 * sizeof *x), OX_OK);
    ck_assert_int_eq(ox_alloc(ctx, &y, n, 2 * sizeof *y), OX_OK);
    ck_assert_int_eq(ox_fft_init(&f, ctx, n), OX_OK);
    fill(x, n);
    memcpy(y, x, 2 * n * sizeof *x);
    ox_fft_run(&f, y);
    for (size_t k = 0; k < n; k++) {
        long double re = 0, im = 0;
        for (size_t j = 0; j < n; j++) {
            long double angle = -2 * acosl(-1) * (long double)(j * k % n) / (long double)n;
            re += (long double)x[2 * j] * cosl(angle) - (long double)x[2 * j + 1] * sinl(angle);
            im += (long double)x[2 * j] * sinl(angle) + (long double)x[2 * j + 1] * cosl(angle);
        }
        worst = fmax(worst, hypot((double)(re - y[2 * k]), (double)(im - y[2 * k + 1])));
    }
    ck_assert_msg(worst < 1e-15 * (double)(n + 10), "%zu points: off by %g", n, worst);
    ox_fft_fini(&f, ctx);
    ox_free(ctx, x);
    ox_free(ctx, y);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

START_TEST(short_ones) {
    compare_with_definition((size_t)_i);
}
END_TEST

START_TEST(longer_ones) {
    static const size_t lengths[] = {97,  125, 143, 169, 221, 243,  256, 343,
                                     360, 500, 509, 512, 514, 1000, 1001};
    compare_with_definition(lengths[_i]);
}
END_TEST

/* Twice gives n times the same, backwards. */
START_TEST(there_and_back) {
    static const size_t lengths[] = {131072, 131071, 100000, 3 * 65537};
    size_t n = lengths[_i];
    ox_ctx *ctx = new_ctx();
    struct ox_fft f;
    double *x, *y, worst = 0;
    ck_assert_int_eq(ox_alloc(ctx, &x, n, 2 * sizeof *x), OX_OK);
    ck_assert_int_eq(ox_alloc(ctx, &y, n, 2 * sizeof *y), OX_OK);
    ck_assert_int_eq(ox_fft_init(&f, ctx, n), OX_OK);
    fill(x, n);
    memcpy(y, x, 2 * n * sizeof *x);
    ox_fft_run(&f, y);
    ox_fft_run(&f, y);
    for (size_t i = 0; i < n; i++)
        for (size_t part = 0; part < 2; part++)
            worst = fmax(worst, fabs(y[2 * ((n - i) % n) + part] / (double)n - x[2 * i + part]));
    ck_assert_msg(worst < 1e-13, "%zu points: off by %g", n, worst);
    ox_fft_fini(&f, ctx);
    ox_free(ctx, x);
    ox_free(ctx, y);
    ox_ctx_free(ctx);
}
END_TEST

/* Sums whose answer is 0 are 0 as far as double precision goes: a constant has one line in its
 * spectrum. */
START_TEST(zeros_stay_zeros) {
    ox_ctx *ctx = new_ctx();
    struct ox_fft f;
    double x[20];
    ck_assert_int_eq(ox_fft_init(&f, ctx, 10), OX_OK);
    for (int i = 0; i < 10; i++)
        x[2 * i] = 45, x[2 * i + 1] = 0;
    ox_fft_run(&f, x);
    ck_assert(x[0] == 450);
    for (int i = 1; i < 20; i++)
        ck_assert(fabs(x[i]) < 1e-13);
    ox_fft_fini(&f, ctx);
    ox_ctx_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("fft");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, short_ones, 1, 70);
    tcase_add_loop_test(tc, longer_ones, 0, 15);
    tcase_add_loop_test(tc, there_and_back, 0, 4);
    tcase_add_test(tc, zeros_stay_zeros);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
