/* tests/unit/test_xnnpack_conv.c - XNNPACK's convolutions (ordinary, grouped, depthwise and
   transposed; float and int8 with a scale per channel) against a plain loop over the definition, on
   random shapes, at every level of instructions. int8 must be the integer nearest to the exact
   result, give or take the rounding of the scale to float. */
#include "xnn_harness.h"
#include <check.h>
#include <math.h>
#include <stdlib.h>

enum kind { CONV, DEPTHWISE, TRANSPOSED };

struct shape {
    enum kind kind;
    int n, h, w, kh, kw, stride, dilation, pad, groups, ci, co; /* ci, co: in one group */
    int oh, ow;
};

/* A shape with at least one output pixel, or false. Some have more than 64 channels and a number
   of pixels that is 1 above a multiple of 16: tiles have remainders of their own. */
static bool choose(struct xt *t, struct shape *s, enum kind kind) {
    *s = (struct shape){.kind = kind, .n = xt_int(t, 1, 2), .h = xt_int(t, 1, 12)};
    s->w = xt_int(t, 1, 12);
    s->kh = xt_int(t, 1, 5);
    s->kw = xt_int(t, 1, 5);
    s->stride = xt_int(t, 1, 2);
    s->dilation = xt_int(t, 1, 2);
    s->pad = xt_int(t, 0, 2);
    s->groups = 1;
    s->ci = xt_int(t, 1, xt_int(t, 0, 2) ? 9 : 90);
    s->co = xt_int(t, 1, xt_int(t, 0, 2) ? 20 : 130);
    if (kind == DEPTHWISE) {
        s->groups = xt_int(t, 1, 90);
        s->ci = 1;
        s->co = xt_int(t, 0, 3) ? 1 : 2;
        if (!xt_int(t, 0, 9)) s->kh = s->kw = 7;
    } else if (!xt_int(t, 0, 3)) {
        s->groups = xt_int(t, 2, 4);
    }
    if (kind == CONV && !xt_int(t, 0, 3)) { /* pixel by pixel: a matrix product */
        s->kh = s->kw = s->dilation = 1;
        s->pad = 0;
    } else if (kind == CONV && !xt_int(t, 0, 3)) {
        s->h = s->w = 7;
        s->kh = s->kw = 3;
        s->pad = s->stride = s->dilation = s->n = 1;
        s->ci = xt_int(t, 60, 140);
    }
    int eh = s->dilation * (s->kh - 1) + 1, ew = s->dilation * (s->kw - 1) + 1;
    if (kind == TRANSPOSED) {
        s->oh = s->stride * (s->h - 1) + eh - 2 * s->pad;
        s->ow = s->stride * (s->w - 1) + ew - 2 * s->pad;
    } else {
        if (s->h + 2 * s->pad < eh || s->w + 2 * s->pad < ew) return false;
        s->oh = (s->h + 2 * s->pad - eh) / s->stride + 1;
        s->ow = (s->w + 2 * s->pad - ew) / s->stride + 1;
    }
    return s->oh >= 1 && s->ow >= 1;
}

static void describe(struct xt *t, const struct shape *s, const char *type) {
    static const char *const kinds[] = {"conv", "depthwise", "transposed"};
    xt_describe(t, "%s %s n%d %dx%d k%dx%d s%d d%d p%d g%d %d->%d", type, kinds[s->kind], s->n,
                s->h, s->w, s->kh, s->kw, s->stride, s->dilation, s->pad, s->groups, s->ci, s->co);
}

/* The input row (or column) that tap k of output o meets; -1: none. */
static int meet(const struct shape *s, int o, int k, int size) {
    int i = o + s->pad - k * s->dilation;
    if (s->kind == TRANSPOSED) {
        if (i < 0 || i % s->stride) return -1;
        i /= s->stride;
    } else {
        i = o * s->stride - s->pad + k * s->dilation;
    }
    return i >= 0 && i < size ? i : -1;
}

/* Index of a filter's value: 1HWO for depthwise, else OHWI. */
static size_t tap(const struct shape *s, int o, int i, int j, int c) {
    if (s->kind == DEPTHWISE) return (size_t)((i * s->kw + j) * s->groups * s->co + o);
    return (size_t)(((o * s->kh + i) * s->kw + j) * s->ci + c);
}

/* Sum of (x - zero) * w of one output value; the filter as float or int8. */
static double exact(const struct shape *s, const float *xf, const int8_t *xq, const float *wf,
                    const int8_t *wq, int zero, int b, int y, int x, int o) {
    double sum = 0;
    int group = o / s->co, channels = s->groups * s->ci;
    for (int i = 0; i < s->kh; i++) {
        int iy = meet(s, y, i, s->h);
        for (int j = 0; iy >= 0 && j < s->kw; j++) {
            int ix = meet(s, x, j, s->w);
            if (ix < 0) continue;
            size_t at = ((size_t)(b * s->h + iy) * (size_t)s->w + (size_t)ix) * (size_t)channels +
                        (size_t)(group * s->ci);
            for (int c = 0; c < s->ci; c++) {
                size_t k = tap(s, o, i, j, c);
                sum += xf ? (double)xf[at + (size_t)c] * (double)wf[k]
                          : (double)((xq[at + (size_t)c] - zero) * wq[k]);
            }
        }
    }
    return sum;
}

static size_t inputs(const struct shape *s) {
    return (size_t)(s->n * s->h * s->w * s->groups * s->ci);
}
static size_t outputs(const struct shape *s) {
    return (size_t)(s->n * s->oh * s->ow * s->groups * s->co);
}
static size_t weights(const struct shape *s) {
    return (size_t)(s->groups * s->co * s->kh * s->kw * s->ci);
}

#define GEOMETRY(s)                                                                                \
    (uint32_t)(s)->pad, (uint32_t)(s)->pad, (uint32_t)(s)->pad, (uint32_t)(s)->pad,                \
        (uint32_t)(s)->kh, (uint32_t)(s)->kw, (uint32_t)(s)->stride, (uint32_t)(s)->stride,        \
        (uint32_t)(s)->dilation, (uint32_t)(s)->dilation, (uint32_t)(s)->groups, (size_t)(s)->ci,  \
        (size_t)(s)->co, (size_t)((s)->groups * (s)->ci), (size_t)((s)->groups * (s)->co)

static void *workspace(size_t size, size_t alignment) {
    (void)alignment;
    return xt_alloc(size, 1);
}

static void run_f32(struct xt *t, const struct shape *s, const float *x, const float *w,
                    const float *bias, float low, float high, float *y) {
    xnn_operator_t op = NULL;
    void *space = NULL;
    size_t size = 0, align = 0, oh = 0, ow = 0;
    pthreadpool_t pool = xt_pool(t);
    if (s->kind == TRANSPOSED) {
        XT_OK(xnn_create_deconvolution2d_nhwc_f32(GEOMETRY(s), w, bias, low, high, 0, NULL, NULL,
                                                  &op));
        XT_OK(xnn_reshape_deconvolution2d_nhwc_f32(op, (size_t)s->n, (size_t)s->h, (size_t)s->w, 0,
                                                   0, &oh, &ow, pool));
        XT_OK(xnn_setup_deconvolution2d_nhwc_f32(op, x, y));
    } else {
        uint32_t flags = s->kind == DEPTHWISE ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0;
        XT_OK(xnn_create_convolution2d_nhwc_f32(GEOMETRY(s), w, bias, low, high, flags, NULL, NULL,
                                                &op));
        XT_OK(xnn_reshape_convolution2d_nhwc_f32(op, (size_t)s->n, (size_t)s->h, (size_t)s->w,
                                                 &size, &align, &oh, &ow, pool));
        space = workspace(size, align);
        XT_OK(xnn_setup_convolution2d_nhwc_f32(op, space, x, y));
    }
    if (oh != (size_t)s->oh || ow != (size_t)s->ow) xt_broken(t, "output size", 0);
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    free(space);
}

static void one_f32(struct xt *t, const struct shape *s) {
    size_t nx = inputs(s), ny = outputs(s), nw = weights(s), no = (size_t)(s->groups * s->co);
    float *x = xt_alloc(nx, 4), *w = xt_alloc(nw, 4), *bias = xt_alloc(no, 4), *y = xt_alloc(ny, 4);
    xt_floats(t, x, nx);
    xt_floats(t, w, nw);
    xt_floats(t, bias, no);
    float low = xt_int(t, 0, 2) ? -INFINITY : -0.5f, high = xt_int(t, 0, 2) ? INFINITY : 0.75f;
    describe(t, s, "f32");
    run_f32(t, s, x, w, bias, low, high, y);
    double worst = 0;
    for (size_t i = 0; i < ny; i++) {
        int o = (int)(i % no), p = (int)(i / no);
        double want =
            exact(s, x, NULL, w, NULL, 0, p / (s->oh * s->ow), p / s->ow % s->oh, p % s->ow, o);
        want = fmin(fmax(want + (double)bias[o], (double)low), (double)high);
        double off = fabs(want - (double)y[i]);
        if (!(off <= worst)) worst = off;
    }
    /* Sums of up to 3,500 products of at most 1: 2^-24 of each partial sum, mostly cancelling. */
    xt_judge(t, worst, 2e-5 + 1e-7 * (double)(s->kh * s->kw * s->ci));
    free(x);
    free(w);
    free(bias);
    free(y);
}

struct int8_data {
    int8_t *x, *w, *y;
    int32_t *bias;
    float *scale;
    float in_scale, out_scale;
    int in_zero, out_zero, low, high;
};

static void run_s8(struct xt *t, const struct shape *s, const struct int8_data *d) {
    xnn_operator_t op = NULL;
    void *space = NULL;
    size_t size = 0, align = 0, oh = 0, ow = 0;
    pthreadpool_t pool = xt_pool(t);
    if (s->kind == TRANSPOSED) {
        XT_OK(xnn_create_deconvolution2d_nhwc_qs8_qc8w(GEOMETRY(s), (int8_t)d->in_zero, d->in_scale,
                                                       d->scale, d->w, d->bias, (int8_t)d->out_zero,
                                                       d->out_scale, (int8_t)d->low,
                                                       (int8_t)d->high, 0, NULL, NULL, &op));
        XT_OK(xnn_reshape_deconvolution2d_nhwc_qs8_qc8w(op, (size_t)s->n, (size_t)s->h,
                                                        (size_t)s->w, 0, 0, &oh, &ow, pool));
        XT_OK(xnn_setup_deconvolution2d_nhwc_qs8_qc8w(op, d->x, d->y));
    } else {
        uint32_t flags = s->kind == DEPTHWISE ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0;
        XT_OK(xnn_create_convolution2d_nhwc_qs8_qc8w(GEOMETRY(s), (int8_t)d->in_zero, d->in_scale,
                                                     d->scale, d->w, d->bias, (int8_t)d->out_zero,
                                                     d->out_scale, (int8_t)d->low, (int8_t)d->high,
                                                     flags, NULL, NULL, &op));
        XT_OK(xnn_reshape_convolution2d_nhwc_qs8_qc8w(op, (size_t)s->n, (size_t)s->h, (size_t)s->w,
                                                      &size, &align, &oh, &ow, pool));
        space = workspace(size, align);
        XT_OK(xnn_setup_convolution2d_nhwc_qs8_qc8w(op, space, d->x, d->y));
    }
    if (oh != (size_t)s->oh || ow != (size_t)s->ow) xt_broken(t, "output size", 0);
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    free(space);
}

static void one_s8(struct xt *t, const struct shape *s) {
    size_t nx = inputs(s), ny = outputs(s), nw = weights(s), no = (size_t)(s->groups * s->co);
    struct int8_data d = {.x = xt_alloc(nx, 1), .w = xt_alloc(nw, 1), .y = xt_alloc(ny, 1)};
    d.bias = xt_alloc(no, 4);
    d.scale = xt_alloc(no, 4);
    xt_bytes(t, d.x, nx, -128, 127);
    xt_bytes(t, d.w, nw, -127, 127);
    for (size_t i = 0; i < no; i++) {
        d.bias[i] = xt_int(t, -3000, 3000);
        d.scale[i] = 0.001f + 0.0001f * (float)(i % 11);
    }
    d.in_scale = 0.02f;
    d.out_scale = 0.002f * (float)(s->kh * s->kw * s->ci) + 0.02f;
    d.in_zero = xt_int(t, -128, 127);
    d.out_zero = xt_int(t, -128, 127);
    d.low = xt_int(t, 0, 2) ? -128 : -60;
    d.high = xt_int(t, 0, 2) ? 127 : 70;
    describe(t, s, "s8");
    run_s8(t, s, &d);
    double worst = 0;
    for (size_t i = 0; i < ny; i++) {
        int o = (int)(i % no), p = (int)(i / no);
        double want = exact(s, NULL, d.x, NULL, d.w, d.in_zero, p / (s->oh * s->ow),
                            p / s->ow % s->oh, p % s->ow, o);
        want = (want + d.bias[o]) * ((double)d.in_scale * (double)d.scale[o] / (double)d.out_scale);
        want = fmin(fmax(want + d.out_zero, d.low), d.high);
        double off = xt_off(d.y[i], want);
        if (!(off <= worst)) worst = off;
    }
    xt_judge(t, worst, 1e-4);
    free(d.x);
    free(d.w);
    free(d.y);
    free(d.bias);
    free(d.scale);
}

static void all(struct xt *t) {
    for (int kind = CONV; kind <= TRANSPOSED; kind++)
        for (int i = 0; i < 50; i++) {
            struct shape s;
            if (!choose(t, &s, (enum kind)kind)) continue;
            one_f32(t, &s);
            one_s8(t, &s);
        }
}

START_TEST(convolutions_are_right_at_every_level) {
    int levels, failed = xt_at_levels(all, &levels);
    ck_assert_int_gt(levels, 0);
    ck_assert_int_eq(failed, 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("xnnpack_conv");
    TCase *c = tcase_create("levels");
    tcase_set_timeout(c, 150);
    tcase_add_test(c, convolutions_are_right_at_every_level);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
