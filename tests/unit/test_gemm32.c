/* tests/unit/test_gemm32.c - backend/runtime/gemm32.h against plain sums, at each instruction set:
   rows anywhere, taps, cut depths and columns, bias, addition in place, clamps; and that nothing
   but the result's elements is written. */
#include "backend/runtime/gemm32.h"
#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if OX_XNNPACK
#include <pthreadpool.h>
#endif

static uint64_t state = 88172645463325252u;

static size_t pick(size_t low, size_t high) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return low + (size_t)((state >> 20) % (high - low + 1));
}

static float *numbers(size_t n) {
    float *p = malloc((n + 1) * sizeof *p);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (float)pick(0, 2048) / 1024 - 1;
    return p;
}

enum { GAP = 3, MARK = 12345 };

struct product {
    size_t m, n, taps, k, tap_stride, a_stride, c_stride;
    float *a, *b, *bias, *add, *c;
    const float **each;
    float low, high;
    bool by_columns, scattered, in_place, near;
};

static struct product choose(size_t most) {
    struct product p = {.m = pick(0, 3) ? pick(1, pick(0, 1) ? 40 : 7) : 1,
                        .n = pick(1, pick(0, 1)   ? 100
                                     : pick(0, 1) ? 20
                                                  : 300),
                        .taps = pick(0, 1) ? 1 : pick(1, 5)};
    p.k = pick(1, pick(0, 2) ? 40 : most);
    p.tap_stride = p.k + pick(0, 3);
    p.a_stride = p.taps * p.tap_stride + pick(0, 2);
    p.c_stride = p.n + pick(0, 1) * GAP;
    p.a = numbers(p.m * p.a_stride);
    p.b = numbers(p.taps * p.k * p.n);
    p.bias = pick(0, 1) ? numbers(p.n) : NULL;
    p.add = pick(0, 1) ? numbers(p.m * p.c_stride) : NULL;
    p.in_place = p.add && pick(0, 1);
    p.by_columns = pick(0, 1);
    p.scattered = pick(0, 1);
    p.near = pick(0, 1);
    p.low = pick(0, 1) ? -INFINITY : -0.5f;
    p.high = pick(0, 1) ? INFINITY : 2;
    p.c = numbers(p.m * p.c_stride);
    for (size_t i = 0; i < p.m * p.c_stride; i++)
        p.c[i] = MARK;
    if (p.in_place) memcpy(p.c, p.add, p.m * p.c_stride * sizeof *p.c);
    p.each = malloc(p.m * sizeof *p.each);
    ck_assert_ptr_nonnull(p.each);
    for (size_t i = 0; i < p.m; i++)
        p.each[i] = p.a + i * p.a_stride;
    return p;
}

static void discard(struct product *p) {
    free(p->a);
    free(p->b);
    free(p->bias);
    free(p->add);
    free(p->c);
    free(p->each);
}

static double want(const struct product *p, size_t i, size_t j) {
    double sum = p->bias ? (double)p->bias[j] : 0;
    for (size_t t = 0; t < p->taps; t++)
        for (size_t k = 0; k < p->k; k++) {
            const size_t d = t * p->k + k;
            sum += (double)p->a[i * p->a_stride + t * p->tap_stride + k] *
                   (double)p->b[p->by_columns ? j * p->taps * p->k + d : d * p->n + j];
        }
    if (p->add) sum += (double)p->add[i * p->c_stride + j];
    return fmin(fmax(sum, (double)p->low), (double)p->high);
}

static void compute(struct product *p, enum ox_isa isa, struct pthreadpool *pool) {
    const size_t depth = p->taps * p->k, size = oxr_gemm32_size(isa, depth, p->n);
    float *packed = malloc(size * sizeof *packed);
    ck_assert_ptr_nonnull(packed);
    oxr_gemm32_pack(isa, packed, depth, p->n, p->b, p->by_columns ? 1 : p->n,
                    p->by_columns ? depth : 1);
    const struct oxr_gemm32 g = {isa,     p->taps, p->k,    p->n, packed,
                                 p->bias, p->low,  p->high, NULL, p->near};
    const struct oxr_gemm32_rows r = {.a = p->scattered ? NULL : p->a,
                                      .each = p->scattered ? p->each : NULL,
                                      .a_stride = p->a_stride,
                                      .tap_stride = p->tap_stride,
                                      .c = p->c,
                                      .c_stride = p->c_stride,
                                      .add = p->in_place ? p->c : p->add,
                                      .add_stride = p->c_stride,
                                      .m = p->m};
    if (pool)
        oxr_gemm32_run_all(&g, &r, pool);
    else
        oxr_gemm32_run(&g, &r);
    free(packed);
}

static void compare(const struct product *p) {
    for (size_t i = 0; i < p->m; i++) {
        for (size_t j = 0; j < p->n; j++) {
            const double expected = want(p, i, j), tolerance = 1e-6 * (double)(p->taps * p->k + 8);
            ck_assert_msg(fabs((double)p->c[i * p->c_stride + j] - expected) <= tolerance,
                          "%zu x %zu*%zu x %zu: (%zu,%zu) is %g, not %g", p->m, p->taps, p->k, p->n,
                          i, j, (double)p->c[i * p->c_stride + j], expected);
        }
        for (size_t j = p->n; j < p->c_stride; j++)
            ck_assert(p->c[i * p->c_stride + j] ==
                      (p->in_place ? p->add[i * p->c_stride + j] : (float)MARK));
    }
}

static void at_level(enum ox_isa isa) {
    if (ox_isa_pick(isa) != isa) return;
    for (int i = 0; i < 300; i++) {
        struct product p = choose(i % 30 ? 200 : 3000);
        compute(&p, isa, NULL);
        compare(&p);
        discard(&p);
    }
}

START_TEST(plain) {
    at_level(OX_ISA_PLAIN);
}
END_TEST

START_TEST(avx2) {
    at_level(OX_ISA_AVX2);
}
END_TEST

START_TEST(avx512) {
    at_level(OX_ISA_AVX512);
}
END_TEST

/* Blocks of columns, and several of depth. */
START_TEST(large) {
    struct product p = {.m = 17,
                        .n = 1500,
                        .taps = 3,
                        .k = 700,
                        .tap_stride = 700,
                        .a_stride = 2100,
                        .c_stride = 1500,
                        .low = -INFINITY,
                        .high = INFINITY};
    p.a = numbers(p.m * p.a_stride);
    p.b = numbers(p.taps * p.k * p.n);
    p.bias = numbers(p.n);
    p.add = numbers(p.m * p.n);
    p.c = numbers(p.m * p.n);
    compute(&p, ox_isa_pick(OX_ISA_BEST), NULL);
    compare(&p);
    discard(&p);
}
END_TEST

#if OX_XNNPACK
START_TEST(threads) {
    pthreadpool_t pool = pthreadpool_create(3);
    ck_assert_ptr_nonnull(pool);
    for (int i = 0; i < 60; i++) {
        struct product p = choose(i % 10 ? 100 : 3000);
        if (p.in_place) memcpy(p.c, p.add, p.m * p.c_stride * sizeof *p.c);
        compute(&p, ox_isa_pick(OX_ISA_BEST), NULL);
        float *alone = p.c;
        p.c = numbers(p.m * p.c_stride);
        for (size_t j = 0; j < p.m * p.c_stride; j++)
            p.c[j] = p.in_place ? p.add[j] : MARK;
        compute(&p, ox_isa_pick(OX_ISA_BEST), pool);
        ck_assert_mem_eq(alone, p.c, p.m * p.c_stride * sizeof *p.c);
        free(alone);
        discard(&p);
    }
    pthreadpool_destroy(pool);
}
END_TEST
#endif

int main(void) {
    Suite *s = suite_create("gemm32");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, plain);
    tcase_add_test(t, avx2);
    tcase_add_test(t, avx512);
    tcase_add_test(t, large);
#if OX_XNNPACK
    tcase_add_test(t, threads);
#endif
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
