/* tests/unit/test_dots32.c - dot products of rows against plain sums in 64 bits, at every
 * instruction set, and the same bits however the columns are cut. */
#include "backend/runtime/dots32.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 300 };

static float *numbers(uint64_t *seed, size_t n) {
    float *v = malloc(n * sizeof *v);
    ck_assert_ptr_nonnull(v);
    for (size_t i = 0; i < n; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        v[i] = (float)(int32_t)(*seed >> 32) / 2147483648.0f;
    }
    return v;
}

static void one(enum ox_isa isa, uint64_t *seed, size_t m, size_t n, size_t k) {
    float *a = numbers(seed, m * (k + 3)), *b = numbers(seed, n * (k + 1)),
          *c = numbers(seed, m * (n + 2)), *whole = malloc(m * (n + 2) * sizeof *c);
    struct oxr_dots32 d = {.isa = isa,
                           .m = m,
                           .k = k,
                           .a = a,
                           .b = b,
                           .c = c,
                           .a_stride = k + 3,
                           .b_stride = k + 1,
                           .c_stride = n + 2};
    ck_assert_ptr_nonnull(whole);
    memcpy(whole, c, m * (n + 2) * sizeof *c);
    oxr_dots32(&d, 0, n / 3);
    oxr_dots32(&d, n / 3, n);
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0, magnitude = 0;
            for (size_t x = 0; x < k; x++) {
                const double term = (double)a[i * (k + 3) + x] * (double)b[j * (k + 1) + x];
                sum += term;
                magnitude += fabs(term);
            }
            ck_assert_msg(fabs(sum - (double)c[i * (n + 2) + j]) <= 1e-6 * magnitude + 1e-12,
                          "%zux%zux%zu: %g instead of %g", m, n, k, (double)c[i * (n + 2) + j],
                          sum);
        }
        for (size_t j = n; j < n + 2; j++)
            ck_assert(c[i * (n + 2) + j] == whole[i * (n + 2) + j]);
    }
    d.c = whole;
    oxr_dots32(&d, 0, n);
    ck_assert_mem_eq(whole, c, m * (n + 2) * sizeof *c);
    free(a);
    free(b);
    free(c);
    free(whole);
}

START_TEST(dots_are_sums) {
    const enum ox_isa isa = (enum ox_isa)(OX_ISA_PLAIN + _i);
    uint64_t seed = 99;
    if (ox_isa_pick(isa) != isa) return;
    for (size_t m = 1; m <= 9; m++)
        for (size_t n = 1; n <= 13; n += 3)
            for (size_t k = 1; k <= MOST; k = k * 2 + 1)
                one(isa, &seed, m, n, k);
}
END_TEST

int main(void) {
    Suite *s = suite_create("dots32");
    TCase *c = tcase_create("all");
    tcase_add_loop_test(c, dots_are_sums, 0, OX_ISA_AVX512 - OX_ISA_PLAIN + 1);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
