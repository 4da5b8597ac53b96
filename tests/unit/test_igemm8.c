/* tests/unit/test_igemm8.c - int8 products with constant weights against a plain loop over the
 * definition, on random shapes: the portable kernel, and the processor's own where it has one; cut
 * for one thread and for several. int8 results must be exactly those, float ones to the last bit
 * but one. */
#include "backend/runtime/igemm8.h"

#include <check.h>
#include <math.h>
#include <onnxopt/base.h>
#include <stdio.h>
#include <stdlib.h>

enum { CASES = 600 };

static uint64_t state;

static int between(int low, int high) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return low + (int)((state >> 20) % (uint64_t)(high - low + 1));
}

struct sample {
    struct oxr_igemm8_task t;
    int n, h, w, oh, ow;
    int8_t *in, *weights;
    float *scales, *shift;
    int32_t *bias;
};

static void *make(size_t n, size_t size) {
    void *p = aligned_alloc(64, (n * size + OXR_SLACK + 63) / 64 * 64);
    if (!p) abort();
    return p;
}

static int extent(int in, uint32_t before, uint32_t after, uint32_t k, uint32_t d, uint32_t s) {
    return (in + (int)before + (int)after - (int)(d * (k - 1) + 1)) < 0
               ? 0
               : (in + (int)before + (int)after - (int)(d * (k - 1) + 1)) / (int)s + 1;
}

static void choose_window(struct sample *c) {
    struct ox_step_window *w = &c->t.window;
    *w = (struct ox_step_window){{1, 1}, {1, 1}, {1, 1}, 0, 0, 0, 0};
    if (between(0, 2) == 0) return;
    for (int i = 0; i < 2; i++) {
        w->kernel[i] = (uint32_t)between(1, 5);
        w->stride[i] = (uint32_t)between(1, 3);
        w->dilation[i] = (uint32_t)between(1, 2);
    }
    w->top = (uint32_t)between(0, 2);
    w->right = (uint32_t)between(0, 3);
    w->bottom = (uint32_t)between(0, 2);
    w->left = (uint32_t)between(0, 2);
}

static void choose(struct sample *c) {
    struct oxr_igemm8_task *t = &c->t;
    do {
        *c = (struct sample){.n = between(1, 2), .h = between(1, 11), .w = between(1, 14)};
        choose_window(c);
        c->oh = extent(c->h, t->window.top, t->window.bottom, t->window.kernel[0],
                       t->window.dilation[0], t->window.stride[0]);
        c->ow = extent(c->w, t->window.left, t->window.right, t->window.kernel[1],
                       t->window.dilation[1], t->window.stride[1]);
    } while (c->oh < 1 || c->ow < 1);
    t->groups = between(0, 3) ? 1 : (size_t)between(2, 12);
    t->ci = (size_t)between(1, between(0, 2) ? 20 : 200);
    t->co = (size_t)between(1, between(0, 2) ? 20 : 100);
    t->in = (struct ox_step_quant){0.02f, between(-128, 127)};
    t->out = (struct ox_step_quant){(float)between(1, 200) / 16, between(-128, 127)};
    t->low = between(-128, 0);
    t->high = between(1, 127);
    t->real = between(0, 2) == 0;
    t->floor = between(0, 1) ? 0 : -INFINITY;
    t->ceiling = between(0, 1) ? 60 : INFINITY;
}

static void fill(struct sample *c) {
    struct oxr_igemm8_task *t = &c->t;
    const size_t in = (size_t)(c->n * c->h * c->w) * t->groups * t->ci, out = t->groups * t->co,
                 w = out * t->ci * t->window.kernel[0] * t->window.kernel[1];
    c->in = make(in, 1);
    c->weights = make(w, 1);
    c->scales = make(out, sizeof(float));
    c->shift = make(out, sizeof(float));
    c->bias = make(out, sizeof(int32_t));
    for (size_t i = 0; i < in; i++)
        c->in[i] = (int8_t)between(-128, 127);
    for (size_t i = 0; i < w; i++)
        c->weights[i] = (int8_t)between(-128, 127);
    for (size_t i = 0; i < out; i++) {
        c->scales[i] = (float)between(1, 999) / 4096;
        c->shift[i] = (float)between(-999, 999) / 64;
        c->bias[i] = between(-9999, 9999);
    }
    t->weights = c->weights;
    t->scales = c->scales;
    t->bias = between(0, 2) ? c->bias : NULL;
    t->shift = between(0, 2) ? c->shift : NULL;
}

static int64_t sum_at(const struct sample *c, int b, int y, int x, size_t o) {
    const struct oxr_igemm8_task *t = &c->t;
    const struct ox_step_window *w = &t->window;
    const size_t group = o / t->co;
    int64_t sum = t->bias ? t->bias[o] : 0;
    for (uint32_t i = 0; i < w->kernel[0]; i++)
        for (uint32_t j = 0; j < w->kernel[1]; j++) {
            const int iy = y * (int)w->stride[0] + (int)(i * w->dilation[0]) - (int)w->top,
                      ix = x * (int)w->stride[1] + (int)(j * w->dilation[1]) - (int)w->left;
            if (iy < 0 || iy >= c->h || ix < 0 || ix >= c->w) continue;
            const int8_t *in =
                c->in + (size_t)((b * c->h + iy) * c->w + ix) * t->groups * t->ci + group * t->ci;
            const int8_t *f = c->weights + ((o * w->kernel[0] + i) * w->kernel[1] + j) * t->ci;
            for (size_t k = 0; k < t->ci; k++)
                sum += (in[k] - t->in.zero) * f[k];
        }
    return sum;
}

static bool right(const struct sample *c, const void *out, size_t at, int64_t sum, size_t o) {
    const struct oxr_igemm8_task *t = &c->t;
    if (t->real) {
        double want = (double)sum * (double)(t->in.scale * t->scales[o]) +
                      (t->shift ? (double)t->shift[o] : 0);
        want = fmin(fmax(want, (double)t->floor), (double)t->ceiling);
        return fabs((double)((const float *)out)[at] - want) <=
               2e-7 * (fabs(want) + fabs((double)sum * (double)(t->in.scale * t->scales[o])));
    }
    const float v =
        nearbyintf((float)sum * (t->in.scale * t->scales[o] / t->out.scale)) + (float)t->out.zero;
    const float low = (float)t->low, high = (float)t->high;
    return ((const int8_t *)out)[at] == (int8_t)(v < low ? low : v > high ? high : v);
}

static bool agrees(const struct sample *c, const void *out) {
    const size_t outputs = c->t.groups * c->t.co;
    for (int b = 0; b < c->n; b++)
        for (int y = 0; y < c->oh; y++)
            for (int x = 0; x < c->ow; x++)
                for (size_t o = 0; o < outputs; o++)
                    if (!right(c, out, (size_t)((b * c->oh + y) * c->ow + x) * outputs + o,
                               sum_at(c, b, y, x, o), o))
                        return false;
    return true;
}

/* One kernel, cut for `threads`; bytes behind the result must stay. */
static bool computes(const struct sample *c, ox_ctx *ctx, const struct oxr_igemm8_kernel *kernel,
                     size_t threads) {
    const size_t count = (size_t)(c->n * c->oh * c->ow) * c->t.groups * c->t.co,
                 size = count * (c->t.real ? sizeof(float) : 1);
    unsigned char *out = make(size + 8, 1);
    struct oxr_igemm8 g;
    size_t pieces, workspace;
    memset(out, 0x5a, size + 8);
    ck_assert_int_eq(oxr_igemm8_pack(&g, ctx, kernel, &c->t), OX_OK);
    struct oxr_igemm8_job job = {.g = &g,
                                 .height = (size_t)c->h,
                                 .width = (size_t)c->w,
                                 .out_height = (size_t)c->oh,
                                 .out_width = (size_t)c->ow,
                                 .rows = (size_t)(c->n * c->oh * c->ow),
                                 .in = c->in,
                                 .out = out};
    ck_assert(oxr_igemm8_cut(&job, threads, &pieces, &workspace));
    job.scratch = make(workspace, 1);
    for (size_t i = 0; i < pieces; i++)
        oxr_igemm8_piece(&job, i % threads, i);
    bool good = agrees(c, out);
    for (size_t i = 0; i < 8; i++)
        good = good && out[size + i] == 0x5a;
    free(job.scratch);
    free(out);
    oxr_igemm8_release(&g, ctx);
    return good;
}

static void run(const struct oxr_igemm8_kernel *kernel, uint64_t seed) {
    ox_ctx *ctx;
    struct sample c;
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
    state = seed;
    for (int i = 0; i < CASES; i++) {
        choose(&c);
        fill(&c);
        const struct ox_step_window *w = &c.t.window;
        ck_assert_msg(computes(&c, ctx, kernel, (size_t)between(1, 3)),
                      "case %d: n%d %dx%d kernel %ux%u stride %ux%u dilation %ux%u, %zu groups of "
                      "%zu to %zu, %s",
                      i, c.n, c.h, c.w, w->kernel[0], w->kernel[1], w->stride[0], w->stride[1],
                      w->dilation[0], w->dilation[1], c.t.groups, c.t.ci, c.t.co,
                      c.t.real ? "float" : "int8");
        free(c.in);
        free(c.weights);
        free(c.scales);
        free(c.shift);
        free(c.bias);
    }
    ox_ctx_free(ctx);
}

START_TEST(portable) {
    run(oxr_igemm8_portable(), 88172645463325252u);
}
END_TEST

START_TEST(of_this_processor) {
    if (oxr_igemm8_best()) run(oxr_igemm8_best(), 1442695040888963407u);
}
END_TEST

int main(void) {
    Suite *s = suite_create("igemm8");
    TCase *t = tcase_create("products");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, portable);
    tcase_add_test(t, of_this_processor);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
