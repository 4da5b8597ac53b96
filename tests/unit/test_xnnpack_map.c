/* tests/unit/test_xnnpack_map.c - XNNPACK's elementwise, pooling, resizing and transposing
   operators against the definitions, at every level of instructions. */
#include "xnn_harness.h"
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double worse(double worst, double off) {
    return off <= worst ? worst : off;
}

/* -------------------------------------------------------------------------------- elementwise */
static double binary(enum xnn_binary_operator f, double a, double b) {
    switch (f) {
    case xnn_binary_add:
        return a + b;
    case xnn_binary_subtract:
        return a - b;
    case xnn_binary_multiply:
        return a * b;
    case xnn_binary_divide:
        return a / b;
    case xnn_binary_maximum:
        return fmax(a, b);
    default:
        return fmin(a, b);
    }
}

/* Shapes of rank 1 to 4 that broadcast against each other, and offsets for element i of the result.
 */
struct broadcast {
    size_t rank, a[4], b[4], y[4], total;
};
static struct broadcast broadcast(struct xt *t) {
    struct broadcast s = {.rank = (size_t)xt_int(t, 1, 4), .total = 1};
    for (size_t i = 0; i < s.rank; i++) {
        s.y[i] = (size_t)xt_int(t, 1, i + 1 == s.rank ? 40 : 5);
        s.a[i] = xt_int(t, 0, 3) ? s.y[i] : 1;
        s.b[i] = xt_int(t, 0, 3) ? s.y[i] : 1;
        s.y[i] = s.a[i] > s.b[i] ? s.a[i] : s.b[i];
        s.total *= s.y[i];
    }
    return s;
}
static size_t offset(const struct broadcast *s, const size_t *dims, size_t i) {
    size_t at = 0, unit = 1;
    for (size_t d = s->rank; d-- > 0;) {
        if (dims[d] > 1) at += i % s->y[d] * unit;
        i /= s->y[d];
        unit *= dims[d];
    }
    return at;
}

static void binary_f32(struct xt *t) {
    static const enum xnn_binary_operator all[] = {xnn_binary_add,      xnn_binary_subtract,
                                                   xnn_binary_multiply, xnn_binary_divide,
                                                   xnn_binary_maximum,  xnn_binary_minimum};
    enum xnn_binary_operator f = all[xt_int(t, 0, 5)];
    struct broadcast s = broadcast(t);
    float *a = xt_alloc(s.total, 4), *b = xt_alloc(s.total, 4), *y = xt_alloc(s.total, 4);
    xt_floats(t, a, s.total);
    xt_floats(t, b, s.total);
    for (size_t i = 0; i < s.total; i++)
        if (b[i] == 0) b[i] = 1;
    xt_describe(t, "binary %d f32 rank %zu", (int)f, s.rank);
    pthreadpool_t pool = xt_pool(t);
    xnn_operator_t op = NULL;
    XT_OK(xnn_create_binary_elementwise_nd(f, xnn_datatype_fp32, NULL, NULL, NULL, 0, &op));
    XT_OK(xnn_reshape_binary_elementwise_nd(op, s.rank, s.a, s.rank, s.b, pool));
    XT_OK(xnn_setup_binary_elementwise_nd(op, a, b, y));
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    double worst = 0;
    for (size_t i = 0; i < s.total; i++) {
        double want = binary(f, (double)a[offset(&s, s.a, i)], (double)b[offset(&s, s.b, i)]);
        worst = worse(worst, fabs(want - (double)y[i]) / fmax(1, fabs(want)));
    }
    xt_judge(t, worst, 1e-6);
    free(a);
    free(b);
    free(y);
}

static void binary_s8(struct xt *t) {
    static const enum xnn_binary_operator all[] = {xnn_binary_add, xnn_binary_subtract,
                                                   xnn_binary_multiply};
    enum xnn_binary_operator f = all[xt_int(t, 0, 2)];
    struct broadcast s = broadcast(t);
    int8_t *a = xt_alloc(s.total, 1), *b = xt_alloc(s.total, 1), *y = xt_alloc(s.total, 1);
    xt_bytes(t, a, s.total, -128, 127);
    xt_bytes(t, b, s.total, -128, 127);
    struct xnn_quantization_params qa = {xt_int(t, -30, 30),
                                         0.01f + 0.001f * (float)xt_int(t, 0, 40)};
    struct xnn_quantization_params qb = {xt_int(t, -30, 30),
                                         0.01f + 0.001f * (float)xt_int(t, 0, 40)};
    struct xnn_quantization_params qy = {xt_int(t, -30, 30),
                                         0.01f + 0.001f * (float)xt_int(t, 0, 60)};
    xt_describe(t, "binary %d s8 rank %zu scales %g %g %g", (int)f, s.rank, (double)qa.scale,
                (double)qb.scale, (double)qy.scale);
    pthreadpool_t pool = xt_pool(t);
    xnn_operator_t op = NULL;
    XT_OK(xnn_create_binary_elementwise_nd(f, xnn_datatype_qint8, &qa, &qb, &qy, 0, &op));
    XT_OK(xnn_reshape_binary_elementwise_nd(op, s.rank, s.a, s.rank, s.b, pool));
    XT_OK(xnn_setup_binary_elementwise_nd(op, a, b, y));
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    double worst = 0;
    for (size_t i = 0; i < s.total; i++) {
        double va = (double)qa.scale * (a[offset(&s, s.a, i)] - qa.zero_point);
        double vb = (double)qb.scale * (b[offset(&s, s.b, i)] - qb.zero_point);
        double want = binary(f, va, vb) / (double)qy.scale + qy.zero_point;
        worst = worse(worst, xt_off(y[i], fmin(fmax(want, -128), 127)));
    }
    xt_judge(t, worst, 1e-3); /* the factors of a sum are fixed-point numbers */
    free(a);
    free(b);
    free(y);
}

static double unary(enum xnn_unary_operator f, double x) {
    switch (f) {
    case xnn_unary_clamp:
        return fmin(fmax(x, -0.5), 0.75);
    case xnn_unary_abs:
        return fabs(x);
    case xnn_unary_bankers_rounding:
        return rint(x);
    case xnn_unary_ceiling:
        return ceil(x);
    case xnn_unary_floor:
        return floor(x);
    case xnn_unary_elu:
        return x < 0 ? 0.7 * expm1(x) : x;
    case xnn_unary_gelu:
        return x * 0.5 * (1 + erf(x / sqrt(2.0)));
    case xnn_unary_hardswish:
        return x * fmin(fmax(x + 3, 0), 6) / 6;
    case xnn_unary_leaky_relu:
        return x < 0 ? 0.1 * x : x;
    case xnn_unary_log:
        return log(x);
    case xnn_unary_negate:
        return -x;
    case xnn_unary_sigmoid:
        return 1 / (1 + exp(-x));
    case xnn_unary_square:
        return x * x;
    case xnn_unary_square_root:
        return sqrt(x);
    case xnn_unary_reciprocal_square_root:
        return 1 / sqrt(x);
    default:
        return tanh(x);
    }
}
static const enum xnn_unary_operator unaries[] = {
    xnn_unary_clamp,      xnn_unary_abs,         xnn_unary_bankers_rounding,
    xnn_unary_ceiling,    xnn_unary_floor,       xnn_unary_elu,
    xnn_unary_gelu,       xnn_unary_hardswish,   xnn_unary_log,
    xnn_unary_leaky_relu, xnn_unary_negate,      xnn_unary_sigmoid,
    xnn_unary_square,     xnn_unary_square_root, xnn_unary_reciprocal_square_root,
    xnn_unary_tanh};

static union xnn_unary_params unary_params(enum xnn_unary_operator f) {
    union xnn_unary_params p;
    memset(&p, 0, sizeof p);
    if (f == xnn_unary_clamp) {
        p.clamp.min = -0.5f;
        p.clamp.max = 0.75f;
    } else if (f == xnn_unary_elu) {
        p.elu.alpha = 0.7f;
    } else if (f == xnn_unary_leaky_relu) {
        p.leaky_relu.negative_slope = 0.1f;
    }
    return p;
}

static void unary_f32(struct xt *t, enum xnn_unary_operator f) {
    size_t n = (size_t)xt_int(t, 1, 300);
    bool positive =
        f == xnn_unary_log || f == xnn_unary_square_root || f == xnn_unary_reciprocal_square_root;
    float *x = xt_alloc(n, 4), *y = xt_alloc(n, 4);
    for (size_t i = 0; i < n; i++)
        x[i] = positive ? 1.5f + xt_float(t) : 8 * xt_float(t);
    xt_describe(t, "unary %d f32 of %zu", (int)f, n);
    union xnn_unary_params p = unary_params(f);
    pthreadpool_t pool = xt_pool(t);
    XT_OK(xnn_run_unary_elementwise_nc(f, xnn_datatype_fp32, xnn_datatype_fp32, &p, NULL, NULL, 0,
                                       n, 1, 1, 1, pool, x, y));
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double want = unary(f, (double)x[i]);
        worst = worse(worst, fabs(want - (double)y[i]) / fmax(1, fabs(want)));
    }
    xt_judge(t, worst, 2e-6);
    free(x);
    free(y);
}

static void convert(struct xt *t) {
    size_t n = (size_t)xt_int(t, 1, 300);
    float *x = xt_alloc(n, 4), *back = xt_alloc(n, 4);
    int8_t *q = xt_alloc(n, 1), *r = xt_alloc(n, 1);
    for (size_t i = 0; i < n; i++)
        x[i] = 4 * xt_float(t);
    struct xnn_quantization_params a = {xt_int(t, -90, 90), 0.023f},
                                   b = {xt_int(t, -90, 90), 0.0311f};
    union xnn_unary_params p;
    memset(&p, 0, sizeof p);
    xt_describe(t, "convert %zu", n);
    pthreadpool_t pool = xt_pool(t);
    XT_OK(xnn_run_unary_elementwise_nc(xnn_unary_convert, xnn_datatype_fp32, xnn_datatype_qint8, &p,
                                       NULL, &a, 0, n, 1, 1, 1, pool, x, q));
    XT_OK(xnn_run_unary_elementwise_nc(xnn_unary_convert, xnn_datatype_qint8, xnn_datatype_fp32, &p,
                                       &a, NULL, 0, n, 1, 1, 1, pool, q, back));
    XT_OK(xnn_run_unary_elementwise_nc(xnn_unary_convert, xnn_datatype_qint8, xnn_datatype_qint8,
                                       &p, &a, &b, 0, n, 1, 1, 1, pool, q, r));
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double want = fmin(fmax((double)x[i] / (double)a.scale + a.zero_point, -128), 127);
        worst = worse(worst, xt_off(q[i], want));
        double real = (double)a.scale * (q[i] - a.zero_point);
        worst = worse(worst, fabs(real - (double)back[i]));
        want = fmin(fmax(real / (double)b.scale + b.zero_point, -128), 127);
        /* int8 to int8 multiplies by a factor of 8 bits behind the point. */
        double off = xt_off(r[i], want);
        worst = worse(worst, off < 0.26 ? 0 : off);
    }
    xt_judge(t, worst, 1e-4);
    free(x);
    free(back);
    free(q);
    free(r);
}

static void softmax(struct xt *t) {
    size_t rows = (size_t)xt_int(t, 1, 9), n = (size_t)xt_int(t, 1, 300);
    float *x = xt_alloc(rows * n, 4), *y = xt_alloc(rows * n, 4);
    for (size_t i = 0; i < rows * n; i++)
        x[i] = 20 * xt_float(t);
    xt_describe(t, "softmax %zux%zu", rows, n);
    pthreadpool_t pool = xt_pool(t);
    xnn_operator_t op = NULL;
    XT_OK(xnn_create_softmax_nc_f32(0, &op));
    XT_OK(xnn_reshape_softmax_nc_f32(op, n, n, n, rows, pool));
    XT_OK(xnn_setup_softmax_nc_f32(op, x, y));
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    double worst = 0;
    for (size_t i = 0; i < rows; i++) {
        double sum = 0;
        for (size_t j = 0; j < n; j++)
            sum += exp((double)x[i * n + j]);
        for (size_t j = 0; j < n; j++)
            worst = worse(worst, fabs(exp((double)x[i * n + j]) / sum - (double)y[i * n + j]));
    }
    xt_judge(t, worst, 1e-6);
    free(x);
    free(y);
}

/* ------------------------------------------------------------------------------------ windows */
struct window {
    int n, h, w, c, kh, kw, stride, pad, oh, ow;
};
static struct window window(struct xt *t) {
    struct window s = {xt_int(t, 1, 2),
                       xt_int(t, 5, 14),
                       xt_int(t, 5, 14),
                       xt_int(t, 1, 80),
                       xt_int(t, 2, 4),
                       xt_int(t, 2, 4),
                       xt_int(t, 1, 2),
                       xt_int(t, 0, 1),
                       0,
                       0};
    s.oh = (s.h + 2 * s.pad - s.kh) / s.stride + 1;
    s.ow = (s.w + 2 * s.pad - s.kw) / s.stride + 1;
    return s;
}
#define WINDOW(s)                                                                                  \
    (uint32_t)(s).pad, (uint32_t)(s).pad, (uint32_t)(s).pad, (uint32_t)(s).pad, (uint32_t)(s).kh,  \
        (uint32_t)(s).kw, (uint32_t)(s).stride, (uint32_t)(s).stride
#define INPUT(s)                                                                                   \
    (size_t)(s).n, (size_t)(s).h, (size_t)(s).w, (size_t)(s).c, (size_t)(s).c, (size_t)(s).c

static double pooled(const struct window *s, const float *x, const int8_t *q, size_t i,
                     bool largest) {
    int c = (int)(i % (size_t)s->c), p = (int)(i / (size_t)s->c);
    int ox = p % s->ow, oy = p / s->ow % s->oh, b = p / s->ow / s->oh, count = 0;
    double sum = 0, max = -INFINITY;
    for (int ky = 0; ky < s->kh; ky++)
        for (int kx = 0; kx < s->kw; kx++) {
            int iy = oy * s->stride - s->pad + ky, ix = ox * s->stride - s->pad + kx;
            if (iy < 0 || ix < 0 || iy >= s->h || ix >= s->w) continue;
            size_t at = (size_t)(((b * s->h + iy) * s->w + ix) * s->c + c);
            double v = x ? (double)x[at] : q[at];
            sum += v;
            max = fmax(max, v);
            count++;
        }
    return largest ? max : sum / count;
}

static void pooling(struct xt *t) {
    struct window s = window(t);
    size_t nx = (size_t)(s.n * s.h * s.w * s.c), ny = (size_t)(s.n * s.oh * s.ow * s.c);
    float *x = xt_alloc(nx, 4), *y = xt_alloc(ny, 4);
    int8_t *q = xt_alloc(nx, 1), *r = xt_alloc(ny, 1);
    xt_floats(t, x, nx);
    xt_bytes(t, q, nx, -128, 127);
    xt_describe(t, "pooling %dx%dx%d k%dx%d s%d p%d", s.h, s.w, s.c, s.kh, s.kw, s.stride, s.pad);
    pthreadpool_t pool = xt_pool(t);
    xnn_operator_t op = NULL;
    size_t oh, ow, size = 0, align = 0;
    double worst = 0;
    XT_OK(xnn_create_max_pooling2d_nhwc_f32(WINDOW(s), 1, 1, -INFINITY, INFINITY, 0, &op));
    XT_OK(xnn_reshape_max_pooling2d_nhwc_f32(op, INPUT(s), &oh, &ow, pool));
    XT_OK(xnn_setup_max_pooling2d_nhwc_f32(op, x, y));
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    for (size_t i = 0; i < ny; i++)
        worst = worse(worst, fabs(pooled(&s, x, NULL, i, true) - (double)y[i]));
    XT_OK(xnn_create_max_pooling2d_nhwc_s8(WINDOW(s), 1, 1, -128, 127, 0, &op));
    XT_OK(xnn_reshape_max_pooling2d_nhwc_s8(op, INPUT(s), &oh, &ow, pool));
    XT_OK(xnn_setup_max_pooling2d_nhwc_s8(op, q, r));
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    for (size_t i = 0; i < ny; i++)
        worst = worse(worst, fabs(pooled(&s, NULL, q, i, true) - r[i]));
    XT_OK(xnn_create_average_pooling2d_nhwc_f32(WINDOW(s), -INFINITY, INFINITY, 0, &op));
    XT_OK(xnn_reshape_average_pooling2d_nhwc_f32(op, INPUT(s), &size, &align, &oh, &ow, pool));
    void *space = xt_alloc(size, 1);
    XT_OK(xnn_setup_average_pooling2d_nhwc_f32(op, space, x, y));
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    for (size_t i = 0; i < ny; i++)
        worst = worse(worst, fabs(pooled(&s, x, NULL, i, false) - (double)y[i]));
    if (oh != (size_t)s.oh || ow != (size_t)s.ow) worst = INFINITY;
    xt_judge(t, worst, 1e-6);
    free(space);
    free(x);
    free(y);
    free(q);
    free(r);
}

static void resize(struct xt *t) {
    int h = xt_int(t, 2, 9), w = xt_int(t, 2, 9), oh = xt_int(t, 2, 20), ow = xt_int(t, 2, 20);
    int c = xt_int(t, 1, 40), mode = xt_int(t, 0, 2);
    static const uint32_t flags[] = {0, XNN_FLAG_ALIGN_CORNERS, XNN_FLAG_TENSORFLOW_LEGACY_MODE};
    size_t nx = (size_t)(h * w * c), ny = (size_t)(oh * ow * c);
    float *x = xt_alloc(nx, 4), *y = xt_alloc(ny, 4);
    xt_floats(t, x, nx);
    xt_describe(t, "resize %dx%d to %dx%d c%d mode %d", h, w, oh, ow, c, mode);
    pthreadpool_t pool = xt_pool(t);
    xnn_operator_t op = NULL;
    size_t size = 0, align = 0, sc = (size_t)c;
    XT_OK(xnn_create_resize_bilinear2d_nhwc_f32((size_t)oh, (size_t)ow, flags[mode], &op));
    XT_OK(xnn_reshape_resize_bilinear2d_nhwc_f32(op, 1, (size_t)h, (size_t)w, sc, sc, sc, &size,
                                                 &align, pool));
    void *space = xt_alloc(size, 1);
    XT_OK(xnn_setup_resize_bilinear2d_nhwc_f32(op, space, x, y));
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    double worst = 0;
    for (size_t i = 0; i < ny; i++) {
        int p[2] = {(int)(i / sc) / ow, (int)(i / sc) % ow}, in[2] = {h, w}, out[2] = {oh, ow},
            low[2], high[2];
        double part[2];
        for (int d = 0; d < 2; d++) {
            double at = mode == 0   ? (p[d] + 0.5) * in[d] / out[d] - 0.5
                        : mode == 1 ? (double)p[d] * (in[d] - 1) / (out[d] - 1)
                                    : (double)p[d] * in[d] / out[d];
            at = fmin(fmax(at, 0), in[d] - 1);
            low[d] = (int)at;
            high[d] = low[d] + 1 < in[d] ? low[d] + 1 : low[d];
            part[d] = at - low[d];
        }
        size_t ch = i % sc;
        double v[2];
        for (int d = 0; d < 2; d++) {
            size_t row = (size_t)((d ? high[0] : low[0]) * w);
            v[d] = (double)x[(row + (size_t)low[1]) * sc + ch] * (1 - part[1]) +
                   (double)x[(row + (size_t)high[1]) * sc + ch] * part[1];
        }
        worst = worse(worst, fabs(v[0] * (1 - part[0]) + v[1] * part[0] - (double)y[i]));
    }
    xt_judge(t, worst, 2e-6);
    free(space);
    free(x);
    free(y);
}

static void transpose(struct xt *t) {
    size_t rank = (size_t)xt_int(t, 2, 5), dims[5], perm[5], total = 1,
           size = xt_int(t, 0, 1) ? 4 : 1;
    for (size_t i = 0; i < rank; i++) {
        dims[i] = (size_t)xt_int(t, 1, 9);
        perm[i] = i;
        total *= dims[i];
    }
    for (size_t i = rank; i-- > 1;) {
        size_t j = (size_t)xt_int(t, 0, (int)i), swap = perm[i];
        perm[i] = perm[j];
        perm[j] = swap;
    }
    uint8_t *x = xt_alloc(total, size), *y = xt_alloc(total, size);
    xt_bytes(t, (int8_t *)x, total * size, -128, 127);
    xt_describe(t, "transpose of rank %zu, %zu bytes", rank, size);
    pthreadpool_t pool = xt_pool(t);
    if (size == 4)
        XT_OK(xnn_run_transpose_nd_x32(x, y, rank, dims, perm, 0, pool));
    else
        XT_OK(xnn_run_transpose_nd_x8(x, y, rank, dims, perm, 0, pool));
    bool same = true;
    for (size_t i = 0; i < total; i++) {
        size_t rest = i, index[5] = {0}, from = 0;
        for (size_t d = rank; d-- > 0;) {
            index[perm[d]] = rest % dims[perm[d]];
            rest /= dims[perm[d]];
        }
        for (size_t d = 0; d < rank; d++)
            from = from * dims[d] + index[d];
        same = same && memcmp(y + i * size, x + from * size, size) == 0;
    }
    xt_judge(t, same ? 0 : 1, 0);
    free(x);
    free(y);
}

static void all(struct xt *t) {
    for (int i = 0; i < 40; i++) {
        binary_f32(t);
        binary_s8(t);
        for (size_t f = 0; i % 10 == 0 && f < sizeof unaries / sizeof unaries[0]; f++)
            unary_f32(t, unaries[f]);
        convert(t);
        softmax(t);
        pooling(t);
        resize(t);
        transpose(t);
    }
}

START_TEST(other_operators_are_right_at_every_level) {
    int levels, failed = xt_at_levels(all, &levels);
    ck_assert_int_gt(levels, 0);
    ck_assert_int_eq(failed, 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("xnnpack_map");
    TCase *c = tcase_create("levels");
    tcase_set_timeout(c, 150);
    tcase_add_test(c, other_operators_are_right_at_every_level);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
