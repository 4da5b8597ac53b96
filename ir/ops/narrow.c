/* ir/ops/narrow.c - floats of 16 bits and less, in bulk. float16 and bfloat16 are vectorized here;
 * the formats of 8 and 4 bits are described by a table and go element by element. */
#include "ir/ops/convert.h"
#include "ir/ops/simd.h"
#include "ir/ops/vmath.h"

/* ---- 16 bits --------------------------------------------------------------------------------- */

/* The same arithmetic as ox_half_to_float, without branches. */
static inline float widen_half(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = (uint32_t)(h & 0x7fffu) << 13;
    /* Moves the exponent's bias by 112; a subnormal becomes right by the multiplication's rounding.
     */
    float scaled = ox_float_of(rest) * 0x1p112f;
    uint32_t special = ox_bits_of(scaled) | 0x7f800000u; /* infinity or NaN: exponent all ones */
    return ox_float_of(sign | (rest >= 0x0f800000u ? special : ox_bits_of(scaled)));
}

static inline uint16_t narrow_half(float f) {
    uint32_t u = ox_bits_of(f), sign = u >> 16 & 0x8000u;
    u &= 0x7fffffffu;
    uint32_t small = ox_bits_of(ox_float_of(u) + 0.5f) - 0x3f000000u;
    uint32_t normal = (u + 0xc8000fffu + (u >> 13 & 1)) >> 13;
    uint32_t nan = 0x7e00u | (u >> 13 & 0x3ffu);
    uint32_t out = u < 0x38800000u ? small : normal;
    out = u >= 0x477ff000u ? 0x7c00u : out;
    return (uint16_t)(sign | (u > 0x7f800000u ? nan : out));
}

OX_CLONES static void load_half(float *to, const uint16_t *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = widen_half(from[i]);
}

OX_CLONES static void store_half(uint16_t *to, const float *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = narrow_half(from[i]);
}

OX_CLONES static void load_bfloat16(float *to, const uint16_t *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = ox_float_of((uint32_t)from[i] << 16);
}

OX_CLONES static void store_bfloat16(uint16_t *to, const float *from, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t u = ox_bits_of(from[i]);
        uint32_t rounded = (u + 0x7fffu + (u >> 16 & 1)) >> 16, nan = u >> 16 | 0x40u;
        to[i] = (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
    }
}

/* ---- 8 and 4 bits ---------------------------------------------------------------------------- */

/* Sign, exponent, mantissa. `finite`: there is no infinity; `zero_is_nan`: the code of -0 is the
 * only NaN. */
struct format {
    int mantissa, bias;
    uint8_t max;  /* code of the largest finite number */
    uint8_t nan;  /* code of a NaN; 0: there is none */
    uint8_t inf;  /* code of infinity; 0: there is none */
    uint8_t sign; /* bit of the sign */
};

static const struct format *format_of(ox_dtype dtype) {
    static const struct format formats[] = {
        {3, 7, 0x7e, 0x7f, 0, 0x80},     /* E4M3FN */
        {3, 8, 0x7f, 0x80, 0, 0x80},     /* E4M3FNUZ */
        {2, 15, 0x7b, 0x7f, 0x7c, 0x80}, /* E5M2 */
        {2, 16, 0x7f, 0x80, 0, 0x80},    /* E5M2FNUZ */
        {1, 1, 0x7, 0, 0, 0x8},          /* FLOAT4E2M1 */
    };
    switch (dtype) {
    case OX_FLOAT8E4M3FN:
        return &formats[0];
    case OX_FLOAT8E4M3FNUZ:
        return &formats[1];
    case OX_FLOAT8E5M2:
        return &formats[2];
    case OX_FLOAT8E5M2FNUZ:
        return &formats[3];
    case OX_FLOAT4E2M1:
        return &formats[4];
    default:
        return NULL;
    }
}

static bool is_nan_code(const struct format *f, uint8_t code) {
    if (f->nan == f->sign) return code == f->nan; /* FNUZ */
    return f->nan != 0 && (code & ~f->sign) > (f->inf ? f->inf : f->max);
}

float ox_narrow_to_float(ox_dtype dtype, uint8_t code) {
    if (dtype == OX_FLOAT8E8M0)
        return code == 255 ? NAN : code == 0 ? 0x1p-127f : ox_pow2((int32_t)code - 127);
    const struct format *f = format_of(dtype);
    if (is_nan_code(f, code)) return NAN;
    float sign = code & f->sign ? -1.0f : 1.0f;
    int magnitude = code & (f->sign - 1), exponent = magnitude >> f->mantissa;
    if (f->inf && magnitude == f->inf) return sign * INFINITY;
    int fraction = magnitude & ((1 << f->mantissa) - 1);
    if (exponent == 0) return sign * (float)fraction * ox_pow2(1 - f->bias - f->mantissa);
    return sign * (float)(fraction + (1 << f->mantissa)) *
           ox_pow2(exponent - f->bias - f->mantissa);
}

/* Powers of two only. */
uint8_t ox_float_to_e8m0(float f, bool saturate, enum ox_e8m0_round round) {
    if (f != f || f < 0) return 255;
    if (f > 0x1p127f) {
        bool near = round == OX_E8M0_DOWN || (round == OX_E8M0_NEAREST && f < 0x1.8p127f);
        return saturate || (near && f < INFINITY) ? 254 : 255;
    }
    if (f < 0x1p-127f) return saturate ? 0 : 255;
    int e;
    float m = frexpf(f, &e); /* f = m * 2^e with m in [0.5, 1) */
    bool down = m == 0.5f || round == OX_E8M0_DOWN || (round == OX_E8M0_NEAREST && m < 0.75f);
    return (uint8_t)(down ? e + 126 : e + 127);
}

uint8_t ox_float_to_narrow(ox_dtype dtype, float f, bool saturate) {
    if (dtype == OX_FLOAT8E8M0) return ox_float_to_e8m0(f, saturate, OX_E8M0_UP);
    const struct format *fmt = format_of(dtype);
    bool unsigned_zero = fmt->nan == fmt->sign;
    uint8_t sign = ox_bits_of(f) >> 31 ? fmt->sign : 0;
    float a = fabsf(f);
    if (a != a && fmt->nan == 0) return fmt->sign; /* no NaN: -0, as the official results are */
    if (a != a) return unsigned_zero ? fmt->nan : (uint8_t)(sign | fmt->nan);
    uint8_t beyond = saturate ? fmt->max : fmt->inf ? fmt->inf : fmt->nan ? fmt->nan : fmt->max;
    int exponent = 1 - fmt->bias; /* of the subnormals and zero */
    if (a >= ox_pow2(exponent) && a < INFINITY) {
        frexpf(a, &exponent);
        exponent--; /* a = 1.m * 2^exponent */
    }
    /* a in units of the last mantissa bit there; adding it to the exponent's field carries into it.
     */
    float units = rintf(ldexpf(a, fmt->mantissa - exponent));
    int code = 0xff;
    if (a < 0x1p30f) code = ((exponent + fmt->bias - 1) << fmt->mantissa) + (int)units;
    if (code > fmt->max)
        return unsigned_zero && beyond == fmt->nan ? fmt->nan : (uint8_t)(sign | beyond);
    if (code == 0 && unsigned_zero) return 0;
    return (uint8_t)(sign | code);
}

/* ---- by type --------------------------------------------------------------------------------- */

void ox_load_floats(float *to, ox_dtype dtype, const void *from, size_t n) {
    const uint8_t *codes = from;
    switch (dtype) {
    case OX_FLOAT:
        memcpy(to, from, n * sizeof *to);
        break;
    case OX_FLOAT16:
        load_half(to, from, n);
        break;
    case OX_BFLOAT16:
        load_bfloat16(to, from, n);
        break;
    case OX_DOUBLE:
        for (size_t i = 0; i < n; i++)
            to[i] = (float)((const double *)from)[i];
        break;
    default:
        for (size_t i = 0; i < n; i++)
            to[i] = ox_narrow_to_float(dtype, codes[i]);
        break;
    }
}

void ox_store_floats(void *to, ox_dtype dtype, const float *from, size_t n) {
    uint8_t *codes = to;
    switch (dtype) {
    case OX_FLOAT:
        memcpy(to, from, n * sizeof *from);
        break;
    case OX_FLOAT16:
        store_half(to, from, n);
        break;
    case OX_BFLOAT16:
        store_bfloat16(to, from, n);
        break;
    case OX_DOUBLE:
        for (size_t i = 0; i < n; i++)
            ((double *)to)[i] = from[i];
        break;
    default:
        for (size_t i = 0; i < n; i++)
            codes[i] = ox_float_to_narrow(dtype, from[i], true);
        break;
    }
}
