/* tests/unit/test_math32.c - the fast loops against the C library in 64 bits, at every instruction
 * set: errors, special values, odd lengths, in place. */
#include "backend/runtime/math32.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 200003 };

static double true_erf(double x) {
    return erf(x);
}
static double true_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}
static double true_swish(double x) {
    return x * true_sigmoid((double)1.702f * x);
}
static double true_gelu(double x) {
    return x * 0.5 * erfc(-x * 0.70710678118654752);
}
static double true_gelu_tanh(double x) {
    return x * true_sigmoid(2 * 0.79788456080286536 * (x + 0.044715 * x * x * x));
}

static const struct {
    const char *name;
    enum ox_unary_op op;
    struct ox_unary_params p;
    double (*truth)(double x);
    double low, high, ulps;
    bool of_x; /* the error is measured in units of x where that is larger */
} cases[] = {
    {"exp", OX_UN_Exp, {0, 0, 0}, exp, -86, 88, 2, false},
    {"sigmoid", OX_UN_Sigmoid, {0, 0, 0}, true_sigmoid, -86, 100, 4, false},
    {"sigmoid near 0", OX_UN_Sigmoid, {0, 0, 0}, true_sigmoid, -4, 4, 4, false},
    {"swish", OX_UN_Swish, {1.702f, 0, 0}, true_swish, -40, 40, 5, true},
    {"tanh", OX_UN_Tanh, {0, 0, 0}, tanh, -12, 12, 4, false},
    {"tanh near 0", OX_UN_Tanh, {0, 0, 0}, tanh, -0.01, 0.01, 4, false},
    {"erf", OX_UN_Erf, {0, 0, 0}, true_erf, -5, 5, 4, false},
    {"gelu", OX_UN_Gelu, {0, 0, 0}, true_gelu, -8, 8, 4, true},
    {"gelu by tanh", OX_UN_Gelu, {0, 0, 1}, true_gelu_tanh, -8, 8, 4, true},
};

static double unit(double x) {
    int e;
    frexp(x, &e);
    return ldexp(1, (e < -125 ? -125 : e) - 24);
}

START_TEST(loops_are_near_the_truth) {
    const size_t n_cases = sizeof cases / sizeof *cases, which = (size_t)_i % n_cases;
    const enum ox_isa isa = (enum ox_isa)(OX_ISA_AVX2 + (size_t)_i / n_cases);
    const ox_loop_fn loop = oxr_math32_loop(isa, cases[which].op);
    if (ox_isa_pick(isa) != isa) return;
    ck_assert(loop != NULL);
    float *x = malloc(COUNT * sizeof *x), *y = malloc(COUNT * sizeof *y);
    const void *in[] = {x};
    double worst = 0, at = 0;
    ck_assert(x && y);
    for (size_t i = 0; i < COUNT; i++)
        x[i] = (float)(cases[which].low +
                       (cases[which].high - cases[which].low) * (double)i / (COUNT - 1));
    loop(y, in, 0, COUNT, &cases[which].p);
    for (size_t i = 0; i < COUNT; i++) {
        const double want = cases[which].truth((double)x[i]),
                     measure =
                         cases[which].of_x && fabs((double)x[i]) > fabs(want) ? (double)x[i] : want;
        const double off = fabs(want - (double)y[i]) / unit(measure);
        if (!(off <= worst)) {
            worst = off;
            at = (double)x[i];
        }
    }
    ck_assert_msg(worst <= cases[which].ulps, "%s: %g units off at %g", cases[which].name, worst,
                  at);
    for (size_t n = 0; n < 40; n++) { /* the same in place and in any length, and nothing beyond */
        float z[48];
        const void *same[] = {z};
        memcpy(z, x + 70000, sizeof z);
        loop(z, same, 0, n, &cases[which].p);
        for (size_t i = 0; i < 48; i++)
            ck_assert(z[i] == (i < n ? y[70000 + i] : x[70000 + i]));
    }
    free(x);
    free(y);
}
END_TEST

START_TEST(special_values) {
    static const float values[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-40f, 3e38f, -3e38f};
    for (enum ox_isa isa = OX_ISA_AVX2; isa <= OX_ISA_AVX512; isa++) {
        if (ox_isa_pick(isa) != isa) continue;
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            float got[8];
            const void *in[] = {values};
            oxr_math32_loop(isa, cases[c].op)(got, in, 0, 8, &cases[c].p);
            for (size_t i = 0; i < 8; i++) {
                const double want = cases[c].truth((double)values[i]), mine = (double)got[i];
                if (isinf(values[i]) && values[i] < 0 && cases[c].of_x)
                    continue; /* 0 times infinity: the formula's business */
                if (isnan(want))
                    ck_assert_msg(isnan(mine), "%s(%g) = %g", cases[c].name, (double)values[i],
                                  mine);
                else
                    ck_assert_msg(mine == (double)(float)want || fabs(mine - want) <= 1e-37 ||
                                      fabs(mine - want) <= 4 * unit(want),
                                  "%s(%g) = %g", cases[c].name, (double)values[i], mine);
            }
        }
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("math32");
    TCase *c = tcase_create("all");
    tcase_add_loop_test(c, loops_are_near_the_truth, 0, 2 * (int)(sizeof cases / sizeof *cases));
    tcase_add_test(c, special_values);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
