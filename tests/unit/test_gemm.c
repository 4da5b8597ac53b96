/* tests/unit/test_gemm.c - the matrix product against plain loops of fused multiply-adds, bit by
 * bit. */
#include "op_harness.h"

#include "ir/ops/kernel_depthwise.h"
#include "ir/ops/kernel_gemm.h"
#include <math.h>
#include <stdlib.h>

static ox_ctx *new_ctx(int threads) {
    struct ox_ctx_options o = {.size = sizeof o, .threads = threads};
    ox_ctx *ctx;
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
    return ctx;
}

static float *numbers(uint64_t *seed, size_t n) {
    float *v = malloc((n + 1) * sizeof *v);
    ck_assert_ptr_nonnull(v);
    for (size_t i = 0; i < n; i++)
        v[i] = oh_unit(seed);
    return v;
}

/* Strides of a matrix that is stored by rows, by columns, or with gaps. */
static void strides(uint64_t *seed, size_t rows, size_t cols, size_t *rs, size_t *cs,
                    size_t *floats) {
    switch (oh_pick(seed, 3)) {
    case 0:
        *rs = cols, *cs = 1;
        break;
    case 1:
        *rs = 1, *cs = rows;
        break;
    default:
        *rs = 2 * cols + 3, *cs = 2;
        break;
    }
    *floats = rows * *rs + cols * *cs + 1;
}

struct problem {
    struct ox_gemm g;
    float *a, *b, *c, *expected, *bias;
    size_t *at; /* b_at, c_at and a_at of the batch */
    size_t c_floats;
};

static void make_problem(struct problem *p, uint64_t *seed, bool large) {
    *p = (struct problem){0};
    struct ox_gemm *g = &p->g;
    g->m = oh_pick(seed, large ? 90 : 33);
    g->n = oh_pick(seed, large ? 1200 : 100);
    g->k = oh_pick(seed, large ? 700 : 40);
    g->batch = 1 + oh_pick(seed, 3);
    g->alpha = oh_pick(seed, 2) ? 0.0f : 0.37f;
    g->add = oh_pick(seed, 3) == 0;
    size_t a_floats, b_floats, batch = g->batch;
    bool shared_a = oh_pick(seed, 2);
    strides(seed, g->m, g->k, &g->a_rs, &g->a_cs, &a_floats);
    strides(seed, g->k, g->n, &g->b_rs, &g->b_cs, &b_floats);
    g->c_rs = g->n + oh_pick(seed, 2);
    p->c_floats = batch * (g->m * g->c_rs + 7);
    g->a = p->a = numbers(seed, batch * a_floats);
    g->b = p->b = numbers(seed, batch * b_floats);
    g->c = p->c = numbers(seed, p->c_floats);
    p->bias = numbers(seed, g->m);
    g->bias = oh_pick(seed, 2) ? p->bias : NULL;
    p->at = malloc(3 * batch * sizeof *p->at);
    ck_assert_ptr_nonnull(p->at);
    for (size_t i = 0; i < batch; i++) {
        p->at[i] = i * b_floats;
        p->at[batch + i] = i * (g->m * g->c_rs + 7);
        p->at[2 * batch + i] = shared_a ? 0 : i * a_floats;
    }
    g->b_at = p->at;
    g->c_at = p->at + batch;
    g->a_at = shared_a ? NULL : p->at + 2 * batch;
}

static void free_problem(struct problem *p) {
    free(p->a);
    free(p->b);
    free(p->c);
    free(p->bias);
    free(p->at);
}

/* One element from `start`, or from what C holds, by the runs that kernel_gemm.h promises. */
static float plain_element(const struct ox_gemm *g, const float *x, const float *y, const float *c,
                           float start) {
    size_t runs = (g->k + OX_GEMM_BLOCK_K - 1) / OX_GEMM_BLOCK_K;
    size_t run = runs ? (g->k + runs - 1) / runs : 0;
    float alpha = g->alpha == 0 ? 1 : g->alpha, held = *c;
    for (size_t k0 = 0; k0 < g->k; k0 += run) {
        bool first = k0 == 0 && !g->add;
        float sum = first ? start : 0;
        for (size_t k = k0; k < g->k && k < k0 + run; k++)
            sum = fmaf(alpha * x[k * g->a_cs], y[k * g->b_rs], sum);
        held = first ? sum : sum + held;
    }
    return g->k || g->add ? held : start;
}

static float *plain_loop(const struct problem *p) {
    const struct ox_gemm *g = &p->g;
    float *c = malloc((p->c_floats + 1) * sizeof *c);
    ck_assert_ptr_nonnull(c);
    memcpy(c, p->c, p->c_floats * sizeof *c);
    for (size_t b = 0; b < g->batch; b++) {
        const float *x = g->a + (g->a_at ? g->a_at[b] : 0), *y = g->b + g->b_at[b];
        for (size_t i = 0; i < g->m; i++) {
            for (size_t j = 0; j < g->n; j++) {
                float *out = c + g->c_at[b] + i * g->c_rs + j;
                *out = plain_element(g, x + i * g->a_rs, y + j * g->b_cs, out,
                                     g->bias ? g->bias[i] : 0);
            }
        }
    }
    return c;
}

/* The plain set multiplies and adds in two steps on most machines; it is only close. */
static void compare(const float *got, const float *expected, size_t n, enum ox_isa isa,
                    bool exact) {
    for (size_t i = 0; i < n; i++)
        if (exact ? memcmp(&got[i], &expected[i], 4) != 0 : !(fabsf(got[i] - expected[i]) < 1e-4f))
            ck_abort_msg("set %d: float %zu is %.9g, expected %.9g", isa, i, (double)got[i],
                         (double)expected[i]);
}

static void run_product(uint64_t *seed, bool large) {
    struct problem p;
    make_problem(&p, seed, large);
    float *expected = plain_loop(&p), *start = malloc((p.c_floats + 1) * sizeof *start);
    ck_assert_ptr_nonnull(start);
    memcpy(start, p.c, p.c_floats * sizeof *start);
    for (int isa = OX_ISA_PLAIN; isa <= OX_ISA_AVX512; isa++) {
        p.g.isa = (enum ox_isa)isa;
        for (int threads = 1; threads <= 3; threads++) {
            ox_ctx *ctx = new_ctx(threads);
            memcpy(p.c, start, p.c_floats * sizeof *start);
            ck_assert_int_eq(ox_gemm(ctx, &p.g), OX_OK);
            compare(p.c, expected, p.c_floats, p.g.isa, ox_isa_pick(p.g.isa) != OX_ISA_PLAIN);
            ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
            ox_ctx_free(ctx);
        }
    }
    free(start);
    free(expected);
    free_problem(&p);
}

START_TEST(products_equal_a_plain_loop) {
    uint64_t seed = 0x9e3779b97f4a7c15u + (uint64_t)_i;
    for (int i = 0; i < 60; i++)
        run_product(&seed, false);
    run_product(&seed, true);
}
END_TEST

START_TEST(a_product_without_inner_dim_is_its_start) {
    float c[6] = {9, 9, 9, 9, 9, 9}, bias[2] = {1, 2}, none = 0;
    struct ox_gemm g = {.alpha = 2, /* so that A is packed */
                        .m = 2,
                        .n = 3,
                        .a = &none,
                        .b = &none,
                        .a_cs = 1,
                        .b_cs = 1,
                        .c = c,
                        .c_rs = 3,
                        .bias = bias};
    ox_ctx *ctx = new_ctx(1);
    ck_assert_int_eq(ox_gemm(ctx, &g), OX_OK);
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(c[i], bias[i / 3]);
    ox_ctx_free(ctx);
}
END_TEST

START_TEST(transposing_pack_pads_with_zeros) {
    uint64_t seed = 5;
    for (size_t rows = 0; rows <= 18; rows++) {
        for (size_t count = 0; count <= 9; count++) {
            float *src = numbers(&seed, 19 * 11), dst[18 * 9 + 18];
            ox_pack_transposed(dst, 18, src, 11, rows, count, 2);
            for (size_t k = 0; k < count; k++)
                for (size_t i = 0; i < 18; i++)
                    ck_assert_float_eq(dst[k * 18 + i], i < rows ? 2 * src[i * 11 + k] : 0);
            free(src);
        }
    }
}
END_TEST

/* Runs out of memory at the first, second, ... allocation. */
static void *failing_alloc(void *user, size_t size) {
    int *left = user;
    return (*left)-- > 0 ? malloc(size) : NULL;
}
static void *failing_resize(void *user, void *p, size_t size) {
    int *left = user;
    return (*left)-- > 0 ? realloc(p, size) : NULL;
}
static void plain_free(void *user, void *p) {
    (void)user;
    free(p);
}

START_TEST(running_out_of_memory_is_reported) {
    float c[4] = {0}, a[4] = {1, 2, 3, 4};
    struct ox_gemm g = {.alpha = 2, /* so that A is packed */
                        .m = 2,
                        .n = 2,
                        .k = 2,
                        .a = a,
                        .a_rs = 2,
                        .a_cs = 1,
                        .b = a,
                        .b_rs = 2,
                        .b_cs = 1,
                        .c = c,
                        .c_rs = 2};
    int failures = 0;
    for (int n = 1;; n++) {
        int left = n;
        struct ox_allocator allocator = {&left, failing_alloc, failing_resize, plain_free};
        struct ox_ctx_options o = {.size = sizeof o, .threads = 1, .allocator = &allocator};
        ox_ctx *ctx;
        if (ox_ctx_new(&ctx, &o) != OX_OK) continue;
        ox_status status = ox_gemm(ctx, &g);
        ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
        ox_ctx_free(ctx);
        if (status == OX_OK) break;
        ck_assert_int_eq(status, OX_NOMEM);
        failures++;
    }
    ck_assert_int_ge(failures, 2);
    ck_assert_float_eq(c[3], 44);
}
END_TEST

/* ---- depthwise ------------------------------------------------------------------------------- */

static void run_depthwise(uint64_t *seed) {
    struct ox_depthwise d = {.planes_per_in = 1 + oh_pick(seed, 2),
                             .in_h = 1 + oh_pick(seed, 12),
                             .in_w = 1 + oh_pick(seed, 40),
                             .k_h = 1 + oh_pick(seed, 4),
                             .k_w = 1 + oh_pick(seed, 4),
                             .stride_h = 1 + oh_pick(seed, 3),
                             .stride_w = 1 + oh_pick(seed, 3),
                             .dilation_h = 1 + oh_pick(seed, 3),
                             .dilation_w = 1 + oh_pick(seed, 3),
                             .pad_h = oh_pick(seed, 5),
                             .pad_w = oh_pick(seed, 5)};
    size_t inputs = 1 + oh_pick(seed, 4), behind = oh_pick(seed, 4);
    d.planes = inputs * d.planes_per_in;
    d.kernels = d.planes;
    size_t span_h = (d.k_h - 1) * d.dilation_h + 1, span_w = (d.k_w - 1) * d.dilation_w + 1;
    if (d.in_h + d.pad_h + behind < span_h || d.in_w + d.pad_w + behind < span_w) return;
    d.out_h = (d.in_h + d.pad_h + behind - span_h) / d.stride_h + 1;
    d.out_w = (d.in_w + d.pad_w + behind - span_w) / d.stride_w + 1;
    float *x = numbers(seed, inputs * d.in_h * d.in_w),
          *w = numbers(seed, d.kernels * d.k_h * d.k_w);
    float *bias = numbers(seed, d.kernels), *y = numbers(seed, d.planes * d.out_h * d.out_w);
    d.x = x, d.w = w, d.y = y, d.bias = oh_pick(seed, 2) ? bias : NULL;
    for (int isa = OX_ISA_PLAIN; isa <= OX_ISA_AVX512; isa++) {
        d.isa = (enum ox_isa)isa;
        ox_ctx *ctx = new_ctx(1 + (int)oh_pick(seed, 3));
        ox_status status;
        ck_assert(ox_depthwise(&status, ctx, &d));
        ck_assert_int_eq(status, OX_OK);
        for (size_t i = 0; i < d.planes * d.out_h * d.out_w; i++) {
            size_t p = i / (d.out_h * d.out_w), oy = i / d.out_w % d.out_h, ox = i % d.out_w;
            float sum = d.bias ? bias[p] : 0;
            for (size_t t = 0; t < d.k_h * d.k_w; t++) {
                size_t r = oy * d.stride_h + t / d.k_w * d.dilation_h,
                       c = ox * d.stride_w + t % d.k_w * d.dilation_w;
                if (r < d.pad_h || r - d.pad_h >= d.in_h || c < d.pad_w || c - d.pad_w >= d.in_w)
                    continue;
                size_t at = (p / d.planes_per_in * d.in_h + r - d.pad_h) * d.in_w + c - d.pad_w;
                sum = fmaf(w[p * d.k_h * d.k_w + t], x[at], sum);
            }
            compare(&y[i], &sum, 1, d.isa, ox_isa_pick(d.isa) != OX_ISA_PLAIN);
        }
        ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
        ox_ctx_free(ctx);
    }
    free(x), free(w), free(bias), free(y);
}

START_TEST(depthwise_equals_a_plain_loop) {
    uint64_t seed = 77;
    for (int i = 0; i < 300; i++)
        run_depthwise(&seed);
}
END_TEST

START_TEST(depthwise_refuses_huge_planes) {
    float x = 1, w = 1, y = 0;
    struct ox_depthwise d = {.planes = 1,
                             .planes_per_in = 1,
                             .kernels = 1,
                             .in_h = 1,
                             .in_w = 1,
                             .out_h = 2,
                             .out_w = 1,
                             .k_h = 1,
                             .k_w = 1,
                             .stride_h = (size_t)1 << 40,
                             .stride_w = 1,
                             .dilation_h = 1,
                             .dilation_w = 1,
                             .x = &x,
                             .w = &w,
                             .y = &y};
    ox_ctx *ctx = new_ctx(1);
    ox_status status;
    ck_assert(!ox_depthwise(&status, ctx, &d));
    d.stride_h = 1;
    d.dilation_w = (size_t)1 << 60;
    d.k_w = 3;
    ck_assert(!ox_depthwise(&status, ctx, &d));
    ox_ctx_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gemm");
    TCase *t = tcase_create("gemm");
    tcase_add_loop_test(t, products_equal_a_plain_loop, 0, 3);
    tcase_add_test(t, a_product_without_inner_dim_is_its_start);
    tcase_add_test(t, transposing_pack_pads_with_zeros);
    tcase_add_test(t, running_out_of_memory_is_reported);
    tcase_add_test(t, depthwise_equals_a_plain_loop);
    tcase_add_test(t, depthwise_refuses_huge_planes);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
