/* tests/unit/test_calib_histogram.c - streaming histograms and the ranges calibrators read from
 * them. */
#include "passes/quantize/histogram.h"
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

static ox_ctx *ctx;
static float *data;
enum { N = 200000 };

/* A small generator with a fixed sequence; normal() by the sum of twelve uniforms. */
static uint64_t state;
static double uniform(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}
static double normal(void) {
    double s = -6;
    for (int i = 0; i < 12; i++)
        s += uniform();
    return s;
}

static void setup(void) {
    struct ox_ctx_options o = {.size = sizeof o, .threads = 2};
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
    ck_assert_int_eq(ox_alloc(ctx, &data, N, sizeof *data), OX_OK);
    state = 1;
}

static void teardown(void) {
    ox_free(ctx, data);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

static struct ox_hist of(const float *values, size_t n) {
    struct ox_hist h = {0};
    ck_assert_int_eq(ox_hist_add(ctx, &h, values, n), OX_OK);
    return h;
}

static struct ox_range range(const struct ox_hist *h, ox_calibrator calibrator) {
    struct ox_range r;
    struct ox_calibrate_options o = {.calibrator = calibrator, .levels = 256, .percentile = 99.9};
    ck_assert_int_eq(ox_hist_range(&r, ctx, h, &o), OX_OK);
    return r;
}

static void assert_same(const struct ox_hist *a, const struct ox_hist *b) {
    ck_assert_int_eq(a->exponent, b->exponent);
    ck_assert_int_eq(a->base, b->base);
    ck_assert_uint_eq(a->count, b->count);
    ck_assert_uint_eq(a->zeros, b->zeros);
    ck_assert_uint_eq(a->nonfinite, b->nonfinite);
    ck_assert(a->min == b->min && a->max == b->max);
    ck_assert_int_eq(memcmp(a->bins, b->bins, OX_HIST_BINS * sizeof *a->bins), 0);
}

START_TEST(counts_every_value_once) {
    for (size_t i = 0; i < N; i++)
        data[i] = (float)normal();
    data[5] = 0;
    data[6] = -0.0f;
    data[7] = NAN;
    data[8] = INFINITY;
    data[9] = -INFINITY;
    data[10] = 1e-42f; /* subnormal */
    struct ox_hist h = of(data, N);
    uint64_t sum = 0;
    for (size_t i = 0; i < OX_HIST_BINS; i++)
        sum += h.bins[i];
    ck_assert_uint_eq(sum, h.count);
    ck_assert_uint_eq(h.zeros, 2);
    ck_assert_uint_eq(h.nonfinite, 3);
    ck_assert_uint_eq(h.count, N - 5);
    double inside = 0; /* each bin holds what lies in its bounds */
    for (size_t i = 0; i < N; i++)
        inside += isfinite(data[i]) && data[i] >= 1 && data[i] < 1.25;
    uint64_t binned = 0;
    for (int64_t i = 0; i < OX_HIST_BINS; i++) {
        double edge = ldexp((double)(h.base + i), h.exponent);
        if (edge >= 1 && edge < 1.25) binned += h.bins[i];
    }
    ck_assert_double_eq(inside, (double)binned);
    ox_hist_fini(ctx, &h);
}
END_TEST

START_TEST(state_does_not_depend_on_order_or_grouping) {
    for (size_t i = 0; i < N; i++)
        data[i] = (float)(normal() * pow(10, 6 * uniform() - 3));
    struct ox_hist whole = of(data, N), parts = {0}, backwards = {0}, merged = {0};
    size_t cuts[] = {0, 1, 10, 3000, 3001, 100000, N};
    for (size_t c = 0; c + 1 < sizeof cuts / sizeof cuts[0]; c++)
        ck_assert_int_eq(ox_hist_add(ctx, &parts, data + cuts[c], cuts[c + 1] - cuts[c]), OX_OK);
    for (size_t c = sizeof cuts / sizeof cuts[0] - 1; c > 0; c--) {
        struct ox_hist one = of(data + cuts[c - 1], cuts[c] - cuts[c - 1]);
        ck_assert_int_eq(ox_hist_add(ctx, &backwards, data + cuts[c - 1], cuts[c] - cuts[c - 1]),
                         OX_OK);
        ck_assert_int_eq(ox_hist_merge(ctx, &merged, &one), OX_OK);
        ox_hist_fini(ctx, &one);
    }
    assert_same(&whole, &parts);
    assert_same(&whole, &backwards);
    assert_same(&whole, &merged);
    ox_hist_fini(ctx, &whole);
    ox_hist_fini(ctx, &parts);
    ox_hist_fini(ctx, &backwards);
    ox_hist_fini(ctx, &merged);
}
END_TEST

START_TEST(extremes_fit) {
    static const float cases[][2] = {{-FLT_MAX, FLT_MAX},
                                     {1e-45f, 1e-45f},
                                     {-1e-45f, FLT_MAX},
                                     {FLT_MIN, 1},
                                     {-3, -2},
                                     {7, 7},
                                     {0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ox_hist h = of(cases[i], 2), again = {0};
        ck_assert_int_eq(ox_hist_add(ctx, &again, &cases[i][1], 1), OX_OK);
        ck_assert_int_eq(ox_hist_add(ctx, &again, &cases[i][0], 1), OX_OK);
        if (h.count) assert_same(&h, &again);
        for (int c = OX_CALIB_MINMAX; c <= OX_CALIB_MSE; c++) {
            struct ox_range r = range(&h, (ox_calibrator)c);
            ck_assert_msg(r.min <= 0 && r.max >= 0 && isfinite(r.min) && isfinite(r.max),
                          "case %zu calibrator %d: %g %g", i, c, r.min, r.max);
            ck_assert(r.min >= fminf(h.min, 0) && r.max <= fmaxf(h.max, 0));
        }
        ox_hist_fini(ctx, &h);
        ox_hist_fini(ctx, &again);
    }
}
END_TEST

START_TEST(nothing_seen_is_the_empty_range) {
    float odd[] = {NAN, INFINITY, -INFINITY};
    struct ox_hist none = {0}, bad = of(odd, 3);
    for (int c = OX_CALIB_MINMAX; c <= OX_CALIB_MSE; c++) {
        struct ox_range a = range(&none, (ox_calibrator)c), b = range(&bad, (ox_calibrator)c);
        ck_assert(a.min == 0 && a.max == 0 && b.min == 0 && b.max == 0);
    }
    ck_assert_uint_eq(bad.nonfinite, 3);
    ox_hist_fini(ctx, &bad);
}
END_TEST

START_TEST(minmax_is_exact) {
    for (size_t i = 0; i < N; i++)
        data[i] = (float)(uniform() * 3 + 1);
    data[77] = 4.5f;
    struct ox_hist h = of(data, N);
    struct ox_range r = range(&h, OX_CALIB_MINMAX);
    ck_assert(r.min == 0 && r.max == 4.5f);
    ox_hist_fini(ctx, &h);
}
END_TEST

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

START_TEST(percentile_cuts_the_given_mass) {
    for (size_t i = 0; i < N; i++)
        data[i] = (float)normal();
    struct ox_hist h = of(data, N);
    struct ox_range r = range(&h, OX_CALIB_PERCENTILE);
    qsort(data, N, sizeof *data, ascending);
    float bin = ldexpf(1, h.exponent);
    ck_assert_float_le(fabsf(r.min - data[N / 2000]), bin);
    ck_assert_float_le(fabsf(r.max - data[N - N / 2000]), bin);
    ox_hist_fini(ctx, &h);
}
END_TEST

/* Square error of quantizing the data itself. */
static double true_error(struct ox_range r, int levels) {
    double step = ((double)r.max - r.min) / (levels - 1), sum = 0, zero = rint(-r.min / step);
    for (size_t i = 0; i < N; i++) {
        double q = rint(data[i] / step) + zero;
        q = (fmin(fmax(q, 0), levels - 1) - zero) * step;
        sum += (q - data[i]) * (q - data[i]);
    }
    return sum / N;
}

START_TEST(error_estimate_is_that_of_quantizing) {
    for (size_t i = 0; i < N; i++)
        data[i] = (float)normal();
    for (size_t i = 0; i < N; i += 3)
        data[i] = 0;
    struct ox_hist h = of(data, N);
    struct ox_range tries[] = {
        range(&h, OX_CALIB_MINMAX), range(&h, OX_CALIB_MSE), {-1, 2}, {-0.5f, 0}};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        double truth = true_error(tries[i], 256), estimate = ox_hist_error(&h, tries[i], 256);
        /* zeros cost nothing, so only two thirds of a step's noise are there; the estimate knows */
        ck_assert_msg(fabs(estimate - truth) < 0.03 * truth, "%zu: %g is %g", i, estimate, truth);
    }
    double power = 0;
    for (size_t i = 0; i < N; i++)
        power += (double)data[i] * data[i] / N;
    ck_assert_double_eq_tol(ox_hist_power(&h), power, 1e-3 * power);
    ox_hist_fini(ctx, &h);
}
END_TEST

START_TEST(mse_beats_every_other_pair_of_bounds) {
    for (size_t i = 0; i < N; i++)
        data[i] = (float)(normal() + (i % 1000 == 0 ? 12 * normal() : 0));
    struct ox_hist h = of(data, N);
    struct ox_range all = range(&h, OX_CALIB_MINMAX), best = range(&h, OX_CALIB_MSE);
    double error = true_error(best, 256);
    ck_assert_double_lt(error, true_error(all, 256));
    for (int i = 1; i <= 20; i++)
        for (int j = 1; j <= 20; j++) {
            struct ox_range other = {all.min * (float)i / 20, all.max * (float)j / 20};
            ck_assert_double_le(error, 1.02 * true_error(other, 256));
        }
    ox_hist_fini(ctx, &h);
}
END_TEST

START_TEST(entropy_cuts_a_long_thin_tail_and_keeps_a_box) {
    for (size_t i = 0; i < N; i++)
        data[i] = (float)(2 * uniform() - 1);
    struct ox_hist box = of(data, N);
    struct ox_range r = range(&box, OX_CALIB_ENTROPY);
    ck_assert(r.max > 0.95f && r.min < -0.95f);
    data[3] = 40;
    struct ox_hist tail = of(data, N);
    r = range(&tail, OX_CALIB_ENTROPY);
    ck_assert_msg(r.max < 10 && r.max >= 0.95f && r.min <= -0.95f, "%g %g", r.min, r.max);
    ox_hist_fini(ctx, &box);
    ox_hist_fini(ctx, &tail);
}
END_TEST

START_TEST(symmetric_ranges_are_symmetric) {
    for (size_t i = 0; i < N; i++)
        data[i] = (float)fabs(normal());
    struct ox_hist h = of(data, N);
    for (int c = OX_CALIB_MINMAX; c <= OX_CALIB_MSE; c++) {
        struct ox_range r;
        struct ox_calibrate_options o = {
            .calibrator = (ox_calibrator)c, .levels = 255, .percentile = 99, .symmetric = true};
        ck_assert_int_eq(ox_hist_range(&r, ctx, &h, &o), OX_OK);
        ck_assert(r.min == -r.max && r.max > 2);
    }
    ox_hist_fini(ctx, &h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("calib_histogram");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, counts_every_value_once);
    tcase_add_test(t, state_does_not_depend_on_order_or_grouping);
    tcase_add_test(t, extremes_fit);
    tcase_add_test(t, nothing_seen_is_the_empty_range);
    tcase_add_test(t, minmax_is_exact);
    tcase_add_test(t, percentile_cuts_the_given_mass);
    tcase_add_test(t, error_estimate_is_that_of_quantizing);
    tcase_add_test(t, mse_beats_every_other_pair_of_bounds);
    tcase_add_test(t, entropy_cuts_a_long_thin_tail_and_keeps_a_box);
    tcase_add_test(t, symmetric_ranges_are_symmetric);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
