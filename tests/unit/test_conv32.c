/* tests/unit/test_conv32.c - every way in which float convolutions are computed against the
   definition in double precision, on random shapes, at every level of instructions: with bias and
   without, with something added (the result itself, too), clamped or not, by one thread and by two.
 */
#include "backend/runtime/conv32.h"
#include "backend/runtime/shared.h"
#include "xnn_harness.h"
#include <check.h>
#include <math.h>
#include <stdlib.h>

static const struct oxr_conv32_way *const ways[] = {&oxr_conv32_winograd, &oxr_conv32_depthrow,
                                                    &oxr_conv32_depthwise, &oxr_conv32_gemm,
                                                    &oxr_conv32_xnn};
static const char *const names[] = {"winograd", "depthrow", "depthwise", "gemm", "xnn"};

struct problem {
    struct ox_step_conv_params p;
    struct oxr_conv_shape s;
    size_t channels, outputs;
    float *x, *w, *bias, *add, *out;
};

/* False: the window does not fit. */
static bool choose(struct xt *t, struct problem *c) {
    struct ox_step_window *w = &c->p.window;
    static const uint32_t sizes[] = {1, 3, 5, 7};
    const bool depthwise = xt_int(t, 0, 1);
    *c = (struct problem){.channels = (size_t)xt_int(t, 1, 70),
                          .outputs = (size_t)xt_int(t, 1, 70),
                          .s = {.images = (size_t)xt_int(t, 1, 2)}};
    c->s.height = (size_t)xt_int(t, 1, 20);
    c->s.width = (size_t)xt_int(t, 1, 40);
    w->kernel[0] = depthwise ? (uint32_t)xt_int(t, 1, 7) : 3;
    w->kernel[1] = depthwise ? sizes[xt_int(t, 0, 3)] : 3;
    w->stride[0] = depthwise || !xt_int(t, 0, 3) ? (uint32_t)xt_int(t, 1, 2) : 1;
    w->stride[1] = depthwise || !xt_int(t, 0, 3) ? (uint32_t)xt_int(t, 1, 2) : 1;
    w->dilation[0] = w->dilation[1] = xt_int(t, 0, 9) ? 1 : 2;
    w->top = (uint32_t)xt_int(t, 0, 3);
    w->right = (uint32_t)xt_int(t, 0, 3);
    w->bottom = (uint32_t)xt_int(t, 0, 3);
    w->left = (uint32_t)xt_int(t, 0, 3);
    if (depthwise) c->outputs = c->channels;
    c->p.depthwise = depthwise;
    c->p.groups = depthwise ? (uint32_t)c->channels : 1;
    c->p.low = xt_int(t, 0, 1) ? -INFINITY : -0.5f;
    c->p.high = xt_int(t, 0, 1) ? INFINITY : 0.75f;
    const size_t eh = w->dilation[0] * (w->kernel[0] - 1) + 1;
    const size_t ew = w->dilation[1] * (w->kernel[1] - 1) + 1;
    const size_t h = c->s.height + w->top + w->bottom, v = c->s.width + w->left + w->right;
    if (h < eh || v < ew) return false;
    c->s.out_height = (h - eh) / w->stride[0] + 1;
    c->s.out_width = (v - ew) / w->stride[1] + 1;
    return true;
}

/* One output, and in *norm the root of the sum of the squares of what it is the sum of. */
static double exact(double *norm, const struct problem *c, size_t i) {
    const struct ox_step_window *w = &c->p.window;
    const size_t o = i % c->outputs, at = i / c->outputs, taps = w->kernel[0] * w->kernel[1];
    const size_t ox = at % c->s.out_width, oy = at / c->s.out_width % c->s.out_height;
    const size_t image = at / c->s.out_width / c->s.out_height;
    double sum = 0, squares = 1;
    for (size_t tap = 0; tap < taps; tap++) {
        const int64_t y =
            (int64_t)(oy * w->stride[0] + tap / w->kernel[1] * w->dilation[0]) - w->top;
        const int64_t x =
            (int64_t)(ox * w->stride[1] + tap % w->kernel[1] * w->dilation[1]) - w->left;
        if (y < 0 || y >= (int64_t)c->s.height || x < 0 || x >= (int64_t)c->s.width) continue;
        const float *from =
            c->x + ((image * c->s.height + (size_t)y) * c->s.width + (size_t)x) * c->channels;
        for (size_t k = 0; k < (c->p.depthwise ? 1 : c->channels); k++) {
            double a = (double)(c->p.depthwise ? from[o] : from[k]);
            double b = (double)(c->p.depthwise ? c->w[tap * c->channels + o]
                                               : c->w[(o * taps + tap) * c->channels + k]);
            sum += a * b;
            squares += a * b * a * b;
        }
    }
    *norm = sqrt(squares);
    return sum;
}

static void try_way(struct xt *t, const struct problem *c, size_t way, ox_ctx *ctx) {
    const size_t n = c->s.images * c->s.out_height * c->s.out_width * c->outputs;
    const bool biased = xt_int(t, 0, 1), adds = xt_int(t, 0, 1), onto = adds && xt_int(t, 0, 1);
    const struct oxr_conv32 what = {.p = &c->p,
                                    .channels = c->channels,
                                    .outputs = c->outputs,
                                    .filter = c->w,
                                    .bias = biased ? c->bias : NULL,
                                    .adds = adds};
    struct ox_blob blob = {.n_steps = 1};
    struct oxr_env env = {.ctx = ctx, .pool = xt_pool(t)};
    void *state = NULL, *workspace;
    size_t size = 0;
    double worst = 0;
    if (!ways[way]->suits(&what)) return;
    if (oxr_shared_open(&env.shared, ctx, &blob) != OX_OK ||
        ways[way]->create(&state, &env, &what) != OX_OK ||
        ways[way]->reshape(state, &env, &c->s, &size) != OX_OK)
        abort();
    workspace = xt_alloc(size, 1);
    memset(workspace, 0xff, size);
    for (size_t i = 0; i < n; i++)
        c->out[i] = onto ? c->add[i] : NAN;
    if (ways[way]->run(state, &env, c->x,
                       onto   ? c->out
                       : adds ? c->add
                              : NULL,
                       c->out, workspace) != OX_OK)
        abort();
    for (size_t i = 0; i < n; i++) {
        double norm, want = exact(&norm, c, i) + (biased ? (double)c->bias[i % c->outputs] : 0) +
                            (adds ? (double)c->add[i] : 0);
        want = fmin(fmax(want, (double)c->p.low), (double)c->p.high);
        /* Tiles share their error: padding makes an output's own products few, not its error small.
         */
        if (ways[way] == &oxr_conv32_winograd) norm = fmax(norm, sqrt((double)c->channels));
        const double off = fabs((double)c->out[i] - want) / norm;
        if (!(off <= worst)) worst = off;
    }
    const struct ox_step_window *w = &c->p.window;
    xt_describe(t, "%s%s n%zu %zux%zu k%ux%u s%ux%u d%u pads %u %u %u %u %zu->%zu", names[way],
                c->p.depthwise ? " depthwise" : "", c->s.images, c->s.height, c->s.width,
                w->kernel[0], w->kernel[1], w->stride[0], w->stride[1], w->dilation[0], w->top,
                w->right, w->bottom, w->left, c->channels, c->outputs);
    xt_judge(t, worst, 1e-5);
    ways[way]->destroy(state, &env);
    oxr_shared_close(env.shared, ctx);
    free(workspace);
}

static void body(struct xt *t) {
    ox_ctx *ctx;
    if (ox_ctx_new(&ctx, &(struct ox_ctx_options){.size = sizeof(struct ox_ctx_options),
                                                  .threads = 1}) != OX_OK)
        abort();
    for (int i = 0; i < 100; i++) {
        struct problem c;
        if (!choose(t, &c)) continue;
        const size_t n = c.s.images * c.s.out_height * c.s.out_width * c.outputs;
        const size_t taps = c.p.window.kernel[0] * c.p.window.kernel[1];
        const size_t nx = c.s.images * c.s.height * c.s.width * c.channels;
        const size_t nw = taps * c.outputs * (c.p.depthwise ? 1 : c.channels);
        xt_floats(t, c.x = xt_alloc(nx, 4), nx);
        xt_floats(t, c.w = xt_alloc(nw, 4), nw);
        xt_floats(t, c.bias = xt_alloc(c.outputs, 4), c.outputs);
        xt_floats(t, c.add = xt_alloc(n, 4), n);
        c.out = xt_alloc(n, 4);
        for (size_t way = 0; way < sizeof ways / sizeof *ways; way++)
            try_way(t, &c, way, ctx);
        free(c.x);
        free(c.w);
        free(c.bias);
        free(c.add);
        free(c.out);
    }
    if (ox_ctx_memory(ctx) != 0) abort();
    ox_ctx_free(ctx);
}

START_TEST(all_ways_compute_the_same) {
    int levels, failed = xt_at_levels(body, &levels);
    ck_assert_int_eq(failed, 0);
    ck_assert_int_ge(levels, 1);
}
END_TEST

int main(void) {
    Suite *s = suite_create("conv32");
    TCase *c = tcase_create("conv32");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, all_ways_compute_the_same);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
