/* tests/unit/test_vmath.c - the float functions of vmath.h against the C library's double ones. */
#include "ir/ops/vmath.h"
#include <check.h>

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}
static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

struct function {
    const char *name;
    float (*ours)(float);
    double (*theirs)(double);
    float low, high;   /* domain */
    double ulps, tiny; /* bounds for normal and subnormal results */
};
static const struct function functions[] = {
    {"exp", ox_vexp, exp, -INFINITY, INFINITY, 1.1, 1.5},
    {"expm1", ox_vexpm1_neg, expm1, -INFINITY, 0, 1.6, 0.5},
    {"log", ox_vlog, log, -INFINITY, INFINITY, 1.0, 0.5},
    {"log1p", ox_vlog1p_unit, log1p, 0, 1, 2.0, 0.5},
    {"sigmoid", ox_vsigmoid, sigmoid, -INFINITY, INFINITY, 2.5, 1.5},
    {"tanh", ox_vtanh, tanh, -INFINITY, INFINITY, 1.6, 0.5},
    {"erf", ox_verf, erf, -INFINITY, INFINITY, 1.5, 1.0},
    {"softplus", ox_vsoftplus, softplus, -INFINITY, INFINITY, 2.5, 1.5},
};

/* Distance in units of the last place of the exact result. */
static double error_in_ulps(float got, double want) {
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (isinf((float)want)) return got == (float)want ? 0 : INFINITY;
    if (isnan(got) || isinf(got)) return INFINITY;
    int e;
    frexp(want, &e);
    if (e < -125) e = -125;
    return fabs((double)got - want) / ldexp(1, e - 24);
}

/* Every 4,099th of all floats: each exponent many times, and all special values once. */
START_TEST(errors_stay_within_the_stated_bounds) {
    const struct function *f = &functions[_i];
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 4099) {
        float x = ox_float_of((uint32_t)bits);
        if (isnan(x) || x < f->low || x > f->high) continue;
        double want = f->theirs((double)x), error = error_in_ulps(f->ours(x), want);
        double bound = fabs(want) < 0x1p-126 ? f->tiny : f->ulps;
        if (!(error <= bound)) /* a check a float would take longer than the functions */
            ck_abort_msg("%s(%a) is %a, expected %a: %g ulp", f->name, (double)x,
                         (double)f->ours(x), want, error);
    }
}
END_TEST

START_TEST(special_values_are_exact) {
    const struct function *f = &functions[_i];
    const float values[] = {0.0f, -0.0f, INFINITY, -INFINITY, 0x1p-149f, -0x1p-149f, 1.0f, -1.0f};
    ck_assert(isnan(f->ours(NAN)));
    ck_assert(isnan(f->ours(-NAN)));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        float x = values[i];
        if (x < f->low || x > f->high || (f->low == 0 && signbit(x))) continue;
        double want = f->theirs((double)x), error = error_in_ulps(f->ours(x), want);
        ck_assert_msg(error <= f->ulps, "%s(%a) is %a, expected %a", f->name, (double)x,
                      (double)f->ours(x), want);
        /* Odd functions keep the sign of zero. */
        if (want == 0 && (double)x == want)
            ck_assert_int_eq(signbit(f->ours(x)) != 0, signbit(want) != 0);
    }
}
END_TEST

START_TEST(phi_stays_within_its_bounds) {
    double absolute = 0, relative = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 4099) {
        float x = ox_float_of((uint32_t)bits);
        if (isnan(x)) continue;
        double want = 0.5 * erfc(-(double)x / sqrt(2)), error = fabs((double)ox_vphi(x) - want);
        if (error > absolute) absolute = error;
        if (x > -5.6f && error / want > relative) relative = error / want;
    }
    ck_assert_double_le(absolute, 1e-7);
    ck_assert_double_le(relative, 5e-6);
    ck_assert(isnan(ox_vphi(NAN)));
    ck_assert(ox_vphi(-INFINITY) == 0.0f);
    ck_assert(ox_vphi(INFINITY) == 1.0f);
}
END_TEST

/* Saturation at both ends, where a reduction of the argument could go astray. */
START_TEST(far_arguments_saturate) {
    ck_assert(ox_vexp(88.8f) == INFINITY);
    ck_assert(ox_vexp(88.7f) < INFINITY);
    ck_assert(ox_vexp(-104.1f) == 0.0f);
    ck_assert(ox_vexp(-103.9f) == 0x1p-149f);
    ck_assert(ox_vtanh(1e30f) == 1.0f);
    ck_assert(ox_verf(-1e30f) == -1.0f);
    ck_assert(ox_vsigmoid(1e30f) == 1.0f);
    ck_assert(ox_vsigmoid(-1e30f) == 0.0f);
    ck_assert(ox_vsoftplus(-1e30f) == 0.0f);
    ck_assert(ox_vsoftplus(1e30f) == 1e30f);
    ck_assert(ox_vexpm1_neg(-1e30f) == -1.0f);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("vmath");
    TCase *tests = tcase_create("functions");
    int n = (int)(sizeof functions / sizeof *functions);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, errors_stay_within_the_stated_bounds, 0, n);
    tcase_add_loop_test(tests, special_values_are_exact, 0, n);
    tcase_add_test(tests, phi_stays_within_its_bounds);
    tcase_add_test(tests, far_arguments_saturate);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
