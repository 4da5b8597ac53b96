/* ir/ops/unary_float.c - kernels of the unary family for float and double.
 *
 * Float loops are vectorized and use the functions of vmath.h; double loops use the C library: they
 * are for the rare double model and for comparison, not for speed. */
#include "ir/ops/simd.h"
#include "ir/ops/unary_priv.h"
#include "ir/ops/vmath.h"

/* x is the element, p the parameters, `value` the result of type R. */
#define LOOP(fn, T, R, value)                                                                      \
    OX_CLONES void fn(void *out, const void *const *in, unsigned one, size_t n, const void *arg) { \
        const T *xs = in[0];                                                                       \
        R *ys = out;                                                                               \
        const struct ox_unary_params params = *(const struct ox_unary_params *)arg, *p = &params;  \
        (void)one;                                                                                 \
        (void)p;                                                                                   \
        for (size_t i = 0; i < n; i++) {                                                           \
            T x = xs[i];                                                                           \
            ys[i] = (R)(value);                                                                    \
        }                                                                                          \
    }
#define LOOPS(name, value32, value64)                                                              \
    LOOP(ox_un_##name##_f32, float, float, value32)                                                \
    LOOP(ox_un_##name##_f64, double, double, value64)
#define BOOL_LOOPS(name, value)                                                                    \
    LOOP(ox_un_##name##_f32, float, uint8_t, value)                                                \
    LOOP(ox_un_##name##_f64, double, uint8_t, value)

/* ---- functions that are more than an expression ---------------------------------------------- */

static inline float clamp01(float x) {
    x = x < 0.0f ? 0.0f : x;
    return x > 1.0f ? 1.0f : x;
}

static inline double clamp01_64(double x) {
    x = x < 0.0 ? 0.0 : x;
    return x > 1.0 ? 1.0 : x;
}

/* x <= 0 part of the exponential units: scale * (exp(x * inverse) - 1). */
static inline float elu(float x, float alpha) {
    float negative = alpha * ox_vexpm1_neg(x > 0.0f ? 0.0f : x);
    return x > 0.0f ? x : negative;
}

static inline double elu64(double x, double alpha) {
    return x > 0.0 ? x : alpha * expm1(x);
}

static inline float celu(float x, float alpha) {
    float scaled = x / alpha;
    float negative = alpha * ox_vexpm1_neg(scaled > 0.0f ? 0.0f : scaled);
    return x > 0.0f ? x : negative;
}

/* tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2) with e = exp(x); from 20 on it is 1. */
static inline float mish(float x) {
    float e = ox_vexp(x > 20.0f ? 20.0f : x);
    float m = e * (e + 2.0f);
    return x * (m / (m + 2.0f));
}

static inline double mish64(double x) {
    double e = exp(x > 40.0 ? 40.0 : x), m = e * (e + 2.0);
    return x * (m / (m + 2.0));
}

static inline float gelu_tanh(float x) {
    float inner = 0x1.988454p-1f * (x + 0.044715f * x * x * x); /* sqrt(2 / pi) */
    return 0.5f * x * (1.0f + ox_vtanh(inner));
}

static inline double gelu64(double x, int tanh_form) {
    if (tanh_form) return 0.5 * x * (1.0 + tanh(0x1.9884533d43651p-1 * (x + 0.044715 * x * x * x)));
    return 0.5 * x * (1.0 + erf(x * 0x1.6a09e667f3bcdp-1));
}

/* x * clamp(x / 6 + 1 / 2) in the form that does not cancel near -3. */
static inline float hardswish(float x) {
    float gate = x + 3.0f;
    gate = gate < 0.0f ? 0.0f : gate;
    return x * ((gate > 6.0f ? 6.0f : gate) * (1.0f / 6.0f));
}

static inline double hardswish64(double x) {
    double gate = x + 3.0;
    gate = gate < 0.0 ? 0.0 : gate;
    return x * ((gate > 6.0 ? 6.0 : gate) * (1.0 / 6.0));
}

static inline double sigmoid64(double x) {
    double z = exp(-fabs(x));
    return (x < 0.0 ? z : 1.0) / (1.0 + z);
}

static inline double softplus64(double x) {
    return (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x)));
}

/* mode: bit 0 asks for negative, bit 1 for positive infinity. */
static inline int is_infinite(double x, int mode) {
    return ((mode & 1) && x == -INFINITY) | ((mode & 2) && x == INFINITY);
}

/* ---- the loops ------------------------------------------------------------------------------- */

LOOPS(abs, fabsf(x), fabs(x))
LOOPS(acos, acosf(x), acos(x))
LOOPS(acosh, acoshf(x), acosh(x))
LOOPS(asin, asinf(x), asin(x))
LOOPS(asinh, asinhf(x), asinh(x))
LOOPS(atan, atanf(x), atan(x))
LOOPS(atanh, atanhf(x), atanh(x))
LOOPS(ceil, ceilf(x), ceil(x))
LOOPS(celu, celu(x, p->alpha), x > 0 ? x : p->alpha * expm1(x / p->alpha))
LOOPS(cos, cosf(x), cos(x))
LOOPS(cosh, coshf(x), cosh(x))
LOOPS(elu, elu(x, p->alpha), elu64(x, p->alpha))
LOOPS(erf, ox_verf(x), erf(x))
LOOPS(exp, ox_vexp(x), exp(x))
LOOPS(floor, floorf(x), floor(x))
LOOP(ox_un_gelu_f64, double, double, gelu64(x, p->mode))
static LOOP(gelu_exact, float, float, x *ox_vphi(x)) static LOOP(gelu_by_tanh, float, float,
                                                                 gelu_tanh(x))
    LOOPS(hardsigmoid, clamp01(p->alpha *x + p->beta), clamp01_64(p->alpha *x + p->beta))
        LOOPS(hardswish, hardswish(x), hardswish64(x)) LOOPS(leakyrelu, x < 0 ? p->alpha * x : x,
                                                             x < 0 ? p->alpha * x : x)
            LOOPS(log, ox_vlog(x), log(x)) LOOPS(mish, mish(x), mish64(x)) LOOPS(neg, -x, -x)
                LOOPS(reciprocal, 1.0f / x, 1.0 / x) LOOPS(relu, x < 0 ? 0 : x, x < 0 ? 0 : x)
                    LOOPS(round, rintf(x), rint(x)) LOOPS(selu, p->beta *elu(x, p->alpha),
                                                          p->beta *elu64(x, p->alpha))
                        LOOPS(shrink, x<-p->alpha ? x + p->beta : x> p->alpha ? x - p->beta : 0,
                              x<-p->alpha ? x + p->beta : x> p->alpha ? x - p->beta : 0)
                            LOOPS(sigmoid, ox_vsigmoid(x), sigmoid64(x)) LOOPS(sign,
                                                                               x > 0   ? 1
                                                                               : x < 0 ? -1
                                                                                       : x,
                                                                               x > 0   ? 1
                                                                               : x < 0 ? -1
                                                                                       : x)
                                LOOPS(sin, sinf(x), sin(x)) LOOPS(sinh, sinhf(x), sinh(x))
                                    LOOPS(softplus, ox_vsoftplus(x), softplus64(x))
                                        LOOPS(softsign, x / (1.0f + fabsf(x)),
                                              x / (1.0 + fabs(x))) LOOPS(sqrt, sqrtf(x), sqrt(x))
                                            LOOPS(swish, x *ox_vsigmoid(p->alpha *x),
                                                  x *sigmoid64((double)p->alpha *x))
                                                LOOPS(tan, tanf(x), tan(x)) LOOPS(tanh, ox_vtanh(x),
                                                                                  tanh(x))
                                                    LOOPS(thresholdedrelu, x > p->alpha ? x : 0,
                                                          x > p->alpha ? x : 0)
                                                        BOOL_LOOPS(isinf, is_infinite(x, p->mode))
                                                            BOOL_LOOPS(isnan, x != x)

    /* A choice inside the loop would keep it from being vectorized. */
    void ox_un_gelu_f32(void *out, const void *const *in, unsigned one, size_t n, const void *arg) {
    const struct ox_unary_params *p = arg;
    (p->mode ? gelu_by_tanh : gelu_exact)(out, in, one, n, arg);
}
