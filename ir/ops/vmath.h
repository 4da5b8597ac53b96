/* ir/ops/vmath.h - exp, log, tanh, erf and relatives for float, written so that a loop over them is
 * vectorized: no calls, no tables, no branches.
 *
 * Error bounds, in units in the last place of the correctly rounded result, hold for all finite
 * inputs and are checked against the C library's double functions by tests/unit/test_vmath.c.
 * Special values are those of C Annex F. Polynomials are minimax fits (Remez exchange) to the
 * stated function and interval. Contraction to FMA is off and nothing is reassociated, so the bits
 * are the same on every machine. */
#ifndef OX_IR_OPS_VMATH_H
#define OX_IR_OPS_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t ox_bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static inline float ox_float_of(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline float ox_with_sign(float magnitude, float sign) {
    return ox_float_of((ox_bits_of(magnitude) & 0x7fffffffu) | (ox_bits_of(sign) & 0x80000000u));
}

/* 2^k for k in [-126, 127]. */
static inline float ox_pow2(int32_t k) {
    return ox_float_of((uint32_t)(k + 127) << 23);
}

/* x = k * ln 2 + r with |r| <= ln(2) / 2; returns exp(r) - 1. ln 2 is split so that k * high is
 * exact. */
static inline float ox_exp_reduced(int32_t *k, float x) {
    const float magic = 0x1.8p23f; /* adding it rounds to an integer, which is in the low bits */
    float t = x * 0x1.715476p+0f + magic;
    float n = t - magic;
    *k = (int32_t)(ox_bits_of(t) - ox_bits_of(magic));
    float r = (x - n * 0x1.63p-1f) + n * 0x1.bd0106p-13f;
    float p = 0x1.6a2448p-10f; /* (exp(r) - 1 - r) / r^2 */
    p = p * r + 0x1.1239d6p-7f;
    p = p * r + 0x1.5558f2p-5f;
    p = p * r + 0x1.555492p-3f;
    p = p * r + 0x1.fffffcp-2f;
    return r + r * r * p;
}

/* exp(x): 1.1 ulp, subnormal results 1.5. */
static inline float ox_vexp(float x) {
    int32_t k;
    x = x > 90.0f ? 90.0f : x;
    x = x < -105.0f ? -105.0f : x;
    float y = 1.0f + ox_exp_reduced(&k, x);
    /* Two steps: 2^k alone may not be a normal number where the result is representable. */
    return y * ox_pow2(k >> 1) * ox_pow2(k - (k >> 1));
}

/* exp(x) - 1 for x <= 0 (other x: not meant): 1.6 ulp. */
static inline float ox_vexpm1_neg(float x) {
    int32_t k;
    float p = ox_exp_reduced(&k, x < -50.0f ? -50.0f : x);
    float s = ox_pow2(k);
    float y = s * p + (s - 1.0f);
    return x == 0.0f ? x : y;
}

/* log(x): 1 ulp. */
static inline float ox_vlog(float x) {
    float scaled = x < 0x1p-126f ? x * 0x1p23f : x;
    uint32_t u =
        ox_bits_of(scaled) - 0x3f3504f3u; /* sqrt(1/2): mantissas in [sqrt(1/2), sqrt(2)) */
    float e = (float)((int32_t)u >> 23) - (x < 0x1p-126f ? 23.0f : 0.0f);
    float f = ox_float_of((u & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
    float z = f * f;
    float p = 0x1.1457acp-4f; /* (log(1 + f) - f + f^2 / 2) / f^3 */
    p = p * f - 0x1.de3c16p-4f;
    p = p * f + 0x1.e6f06ap-4f;
    p = p * f - 0x1.fc2206p-4f;
    p = p * f + 0x1.233766p-3f;
    p = p * f - 0x1.555c4ep-3f;
    p = p * f + 0x1.99a4b6p-3f;
    p = p * f - 0x1.000006p-2f;
    p = p * f + 0x1.555548p-2f;
    float y = f * z * p - e * 0x1.bd0106p-13f - 0.5f * z;
    y = (f + y) + e * 0x1.63p-1f;
    y = x == 0.0f ? -INFINITY : y;
    y = x < 0.0f ? NAN : y;
    return x < INFINITY ? y : x; /* infinity and NaN are themselves */
}

/* log(1 + x) for x in [0, 1] (NaN passes): 2 ulp. What rounding 1 + x lost is put back to first
 * order. */
static inline float ox_vlog1p_unit(float x) {
    float u = 1.0f + x;
    return ox_vlog(u) + (x - (u - 1.0f)) / u;
}

/* 1 / (1 + exp(-x)): 2.5 ulp. */
static inline float ox_vsigmoid(float x) {
    float z = ox_vexp(-fabsf(x)); /* never overflows, so nothing is lost for negative x */
    return (x < 0.0f ? z : 1.0f) / (1.0f + z);
}

/* tanh(x): 1.6 ulp. */
static inline float ox_vtanh(float x) {
    float a = fabsf(x), z = a * a;
    float p = 0x1.18e1e0p-9f; /* (tanh(a) - a) / a^3 in a^2, for a < 0.625 */
    p = p * z - 0x1.0bf4fep-7f;
    p = p * z + 0x1.638b58p-6f;
    p = p * z - 0x1.b9ee90p-5f;
    p = p * z + 0x1.111066p-3f;
    p = p * z - 0x1.555554p-2f;
    float low = a + a * z * p;
    float high = 1.0f - 2.0f / (ox_vexp(a + a) + 1.0f);
    return ox_with_sign(a < 0.625f ? low : high, x);
}

/* erf(a) for a in [0, 1). */
static inline float ox_erf_low(float a) {
    float z = a * a;
    float p = -0x1.438406p-17f; /* erf(a) / a - 1 in a^2 */
    p = p * z + 0x1.d82692p-14f;
    p = p * z - 0x1.bcbe9ap-11f;
    p = p * z + 0x1.5628eep-8f;
    p = p * z - 0x1.b829a8p-6f;
    p = p * z + 0x1.ce2f08p-4f;
    p = p * z - 0x1.812746p-2f;
    p = p * z + 0x1.06eba8p-3f;
    return a + a * p;
}

/* 1 - erf(a) for a in [1, 4]; the value at 4 beyond. */
static inline float ox_erfc_high(float a) {
    float b = a > 4.0f ? 4.0f : a;
    float g = 0x1.b2551ap-20f; /* log(1 - erf(b)) */
    g = g * b - 0x1.7f28f4p-15f;
    g = g * b + 0x1.373282p-11f;
    g = g * b - 0x1.36ec30p-8f;
    g = g * b + 0x1.b02b22p-6f;
    g = g * b - 0x1.c29270p-4f;
    g = g * b - 0x1.43897cp-1f;
    g = g * b - 0x1.2153d0p+0f;
    g = g * b + 0x1.431f64p-12f;
    return ox_vexp(g);
}

/* erf(x): 1.5 ulp. */
static inline float ox_verf(float x) {
    float a = fabsf(x), low = ox_erf_low(a), high = 1.0f - ox_erfc_high(a);
    return ox_with_sign(a < 1.0f ? low : high, x);
}

/* Standard normal distribution function, (1 + erf(x / sqrt(2))) / 2: absolute error 1e-7; relative
 * 5e-6 down to x = -5.6, below which it is 0. */
static inline float ox_vphi(float x) {
    float a = fabsf(x) * 0x1.6a09e6p-1f;
    float low = 0.5f * ox_erf_low(a), tail = 0.5f * ox_erfc_high(a);
    low = 0.5f + ox_with_sign(low, x);
    tail = a > 4.0f ? 0.0f : tail;
    tail = x < 0.0f ? tail : 1.0f - tail;
    return a < 1.0f ? low : tail;
}

/* log(1 + exp(x)): 2.5 ulp. */
static inline float ox_vsoftplus(float x) {
    return (x > 0.0f ? x : 0.0f) + ox_vlog1p_unit(ox_vexp(-fabsf(x)));
}

#endif
