/* ir/base/half.c - IEEE 754 binary16 and bfloat16 to and from binary32, round to nearest, ties to
 * even. */
#include "ir/base/bytes.h"

static uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static float float_of(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}

float ox_half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = h >> 10 & 31, m = h & 1023;
    if (e == 31) return float_of(sign | 0x7f800000u | m << 13);
    if (e != 0) return float_of(sign | (e + 112) << 23 | m << 13);
    /* Zero or subnormal: m * 2^-24, exact in binary32. */
    return float_of(bits_of((float)m * 0x1p-24f) | sign);
}

uint16_t ox_float_to_half(float f) {
    uint32_t u = bits_of(f), sign = u >> 16 & 0x8000u;
    u &= 0x7fffffffu;
    if (u > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (u >> 13 & 0x3ffu));
    if (u >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds to 65536 or more */
    if (u < 0x38800000u) {
        /* Below 2^-14: adding 0.5 aligns the last bit kept with binary32's last bit, so the
         * addition rounds. */
        return (uint16_t)(sign | (bits_of(float_of(u) + 0.5f) - bits_of(0.5f)));
    }
    u += 0xc8000fffu +
         (u >> 13 & 1); /* exponent bias 127 -> 15, and half an ulp minus a tie-breaker */
    return (uint16_t)(sign | u >> 13);
}

uint16_t ox_float_to_bfloat16(float f) {
    uint32_t u = bits_of(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}
