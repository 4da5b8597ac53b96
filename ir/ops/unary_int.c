/* ir/ops/unary_int.c - kernels of the unary family for the eight integer types (and bool as uint8).
 * Overflow wraps, as in two's complement arithmetic. */
#include "ir/ops/simd.h"
#include "ir/ops/unary_priv.h"
#include <math.h>

#define LOOP(fn, T, value)                                                                         \
    OX_CLONES static void fn(void *out, const void *const *in, unsigned one, size_t n,             \
                             const void *arg) {                                                    \
        const T *xs = in[0];                                                                       \
        T *ys = out;                                                                               \
        const struct ox_unary_params *p = arg;                                                     \
        (void)one;                                                                                 \
        (void)p;                                                                                   \
        for (size_t i = 0; i < n; i++) {                                                           \
            T x = xs[i];                                                                           \
            ys[i] = (T)(value);                                                                    \
        }                                                                                          \
    }
#define SIGNED_LOOPS(name, value)                                                                  \
    LOOP(un_##name##_i8, int8_t, value)                                                            \
    LOOP(un_##name##_i16, int16_t, value)                                                          \
    LOOP(un_##name##_i32, int32_t, value)                                                          \
    LOOP(un_##name##_i64, int64_t, value)
#define UNSIGNED_LOOPS(name, value)                                                                \
    LOOP(un_##name##_u8, uint8_t, value)                                                           \
    LOOP(un_##name##_u16, uint16_t, value)                                                         \
    LOOP(un_##name##_u32, uint32_t, value)                                                         \
    LOOP(un_##name##_u64, uint64_t, value)
#define SIGNED(name) un_##name##_i8, un_##name##_i16, un_##name##_i32, un_##name##_i64
#define UNSIGNED(name) un_##name##_u8, un_##name##_u16, un_##name##_u32, un_##name##_u64

UNSIGNED_LOOPS(same, x)

SIGNED_LOOPS(abs, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
const ox_loop_fn ox_un_abs_ints[8] = {SIGNED(abs), UNSIGNED(same)};

UNSIGNED_LOOPS(invert, ~(uint64_t)x)
const ox_loop_fn ox_un_invert_ints[8] = {UNSIGNED(invert), UNSIGNED(invert)};

SIGNED_LOOPS(neg, 0 - (uint64_t)x)
const ox_loop_fn ox_un_neg_ints[8] = {SIGNED(neg)};

LOOP(un_not_u8, uint8_t, x == 0)
const ox_loop_fn ox_un_not_ints[8] = {[4] = un_not_u8};

SIGNED_LOOPS(relu, x < 0 ? 0 : x)
const ox_loop_fn ox_un_relu_ints[8] = {SIGNED(relu), UNSIGNED(same)};

SIGNED_LOOPS(sign, (x > 0) - (x < 0))
UNSIGNED_LOOPS(sign, x > 0)
const ox_loop_fn ox_un_sign_ints[8] = {SIGNED(sign), UNSIGNED(sign)};

/* Shrink and Erf on integers are of no use, but the standard has them: by way of double, toward
 * zero. */
static double shrunk(double x, const struct ox_unary_params *p) {
    double alpha = p->alpha, beta = p->beta;
    return x < -alpha ? x + beta : x > alpha ? x - beta : 0;
}

static int64_t to_signed(double x) {
    return x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : x != x ? 0 : (int64_t)x;
}

static uint64_t to_unsigned(double x) {
    return x >= 0x1p64 ? UINT64_MAX : x > 0 ? (uint64_t)x : (uint64_t)to_signed(x);
}

#undef OX_CLONES
#define OX_CLONES
SIGNED_LOOPS(shrink, to_signed(shrunk((double)x, p)))
UNSIGNED_LOOPS(shrink, to_unsigned(shrunk((double)x, p)))
const ox_loop_fn ox_un_shrink_ints[8] = {SIGNED(shrink), UNSIGNED(shrink)};

SIGNED_LOOPS(erf, to_signed(erf((double)x)))
UNSIGNED_LOOPS(erf, to_unsigned(erf((double)x)))
const ox_loop_fn ox_un_erf_ints[8] = {SIGNED(erf), UNSIGNED(erf)};
