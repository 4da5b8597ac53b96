/* ir/ops/binary_int.c - kernels of the binary family for the eight integer types, bool (as uint8)
 * and strings. Overflow wraps; nothing that an input can hold traps. */
#include "ir/ops/binary_priv.h"
#include "ir/ops/simd.h"

#define LOOP(fn, T, R, value)                                                                      \
    OX_CLONES static void fn(void *out, const void *const *in, unsigned one, size_t n,             \
                             const void *arg) {                                                    \
        const T *xs = in[0], *ys = in[1];                                                          \
        R *zs = out;                                                                               \
        const struct ox_binary_params *p = arg;                                                    \
        (void)p;                                                                                   \
        if (one == 1) {                                                                            \
            T x = xs[0];                                                                           \
            for (size_t i = 0; i < n; i++) {                                                       \
                T y = ys[i];                                                                       \
                zs[i] = (R)(value);                                                                \
            }                                                                                      \
        } else if (one == 2) {                                                                     \
            T y = ys[0];                                                                           \
            for (size_t i = 0; i < n; i++) {                                                       \
                T x = xs[i];                                                                       \
                zs[i] = (R)(value);                                                                \
            }                                                                                      \
        } else {                                                                                   \
            for (size_t i = 0; i < n; i++) {                                                       \
                T x = xs[i], y = ys[i];                                                            \
                zs[i] = (R)(value);                                                                \
            }                                                                                      \
        }                                                                                          \
    }

/* Where signed and unsigned give the same bits. */
#define WRAPPING(name, value)                                                                      \
    LOOP(bi_##name##_1, uint8_t, uint8_t, value)                                                   \
    LOOP(bi_##name##_2, uint16_t, uint16_t, value)                                                 \
    LOOP(bi_##name##_4, uint32_t, uint32_t, value)                                                 \
    LOOP(bi_##name##_8, uint64_t, uint64_t, value)                                                 \
    const ox_loop_fn ox_bi_##name##_ints[8] = {bi_##name##_1, bi_##name##_2, bi_##name##_4,        \
                                               bi_##name##_8, bi_##name##_1, bi_##name##_2,        \
                                               bi_##name##_4, bi_##name##_8};

#define SIGNED_LOOPS(name, R8, R16, R32, R64, value)                                               \
    LOOP(bi_##name##_i8, int8_t, R8, value)                                                        \
    LOOP(bi_##name##_i16, int16_t, R16, value)                                                     \
    LOOP(bi_##name##_i32, int32_t, R32, value)                                                     \
    LOOP(bi_##name##_i64, int64_t, R64, value)
#define UNSIGNED_LOOPS(name, R8, R16, R32, R64, value)                                             \
    LOOP(bi_##name##_u8, uint8_t, R8, value)                                                       \
    LOOP(bi_##name##_u16, uint16_t, R16, value)                                                    \
    LOOP(bi_##name##_u32, uint32_t, R32, value)                                                    \
    LOOP(bi_##name##_u64, uint64_t, R64, value)
#define TABLE(name)                                                                                \
    const ox_loop_fn ox_bi_##name##_ints[8] = {bi_##name##_i8,  bi_##name##_i16, bi_##name##_i32,  \
                                               bi_##name##_i64, bi_##name##_u8,  bi_##name##_u16,  \
                                               bi_##name##_u32, bi_##name##_u64};
#define INTS(name, svalue, uvalue)                                                                 \
    SIGNED_LOOPS(name, int8_t, int16_t, int32_t, int64_t, svalue)                                  \
    UNSIGNED_LOOPS(name, uint8_t, uint16_t, uint32_t, uint64_t, uvalue)                            \
    TABLE(name)
#define COMPARISON(name, value)                                                                    \
    SIGNED_LOOPS(name, uint8_t, uint8_t, uint8_t, uint8_t, value)                                  \
    UNSIGNED_LOOPS(name, uint8_t, uint8_t, uint8_t, uint8_t, value)                                \
    TABLE(name)

WRAPPING(add, (uint64_t)x + y)
WRAPPING(sub, (uint64_t)x - y)
WRAPPING(mul, (uint64_t)x *y)
WRAPPING(and, x &y)
WRAPPING(or, x | y)
WRAPPING(xor, x ^ y)

/* Division is toward zero. By zero it gives 0, and the smallest number by -1 gives itself. */
INTS(div, y == 0 ? 0 : y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y, y == 0 ? 0 : x / y)
INTS(max, x > y ? x : y, x > y ? x : y)
INTS(min, x < y ? x : y, x < y ? x : y)
COMPARISON(equal, x == y)
COMPARISON(greater, x > y)
COMPARISON(greaterorequal, x >= y)
COMPARISON(less, x < y)
COMPARISON(lessorequal, x <= y)

/* mode 1 (fmod): the sign is the dividend's; mode 0: the divisor's. By zero it is 0. */
static inline int64_t modulo(int64_t x, int64_t y, int mode) {
    if (y == 0 || y == -1) return 0;
    int64_t r = x % y;
    return mode == 0 && r != 0 && (r < 0) != (y < 0) ? r + y : r;
}
INTS(mod, modulo(x, y, p->mode), y == 0 ? 0 : x % y)

/* mode 1: right. Shifting all bits out, which C leaves undefined, gives 0. */
static inline uint64_t shift(uint64_t x, uint64_t y, int mode) {
    return y >= 64 ? 0 : mode ? x >> y : x << y;
}
UNSIGNED_LOOPS(shift, uint8_t, uint16_t, uint32_t, uint64_t, shift(x, y, p->mode))
const ox_loop_fn ox_bi_shift_ints[8] = {
    [4] = bi_shift_u8, bi_shift_u16, bi_shift_u32, bi_shift_u64};

/* y is the exponent. A negative one gives the reciprocal toward zero, and of 0 gives 0. */
static inline int64_t power(int64_t x, int64_t y) {
    if (y < 0) return x == 1 ? 1 : x == -1 ? (y % 2 ? -1 : 1) : 0;
    uint64_t result = 1, base = (uint64_t)x;
    for (; y > 0; y >>= 1, base *= base)
        if (y & 1) result *= base;
    return (int64_t)result;
}
LOOP(bi_pow_i64, int64_t, int64_t, power(x, y))
const ox_loop_fn ox_bi_pow_ints[8] = {[3] = bi_pow_i64};

LOOP(bi_prelu_i32, int32_t, int32_t, x < 0 ? (uint64_t)x * (uint64_t)y : (uint64_t)x)
LOOP(bi_prelu_i64, int64_t, int64_t, x < 0 ? (uint64_t)x * (uint64_t)y : (uint64_t)x)
LOOP(bi_prelu_u32, uint32_t, uint32_t, ((void)y, x))
LOOP(bi_prelu_u64, uint64_t, uint64_t, ((void)y, x))
const ox_loop_fn ox_bi_prelu_ints[8] = {
    [2] = bi_prelu_i32, [3] = bi_prelu_i64, [6] = bi_prelu_u32, [7] = bi_prelu_u64};

void ox_bi_equal_str(void *out, const void *const *in, unsigned one, size_t n, const void *arg) {
    const struct ox_str *xs = in[0], *ys = in[1];
    uint8_t *zs = out;
    (void)arg;
    for (size_t i = 0; i < n; i++) {
        struct ox_str x = xs[one & 1 ? 0 : i], y = ys[one & 2 ? 0 : i];
        zs[i] = x.len == y.len && (x.len == 0 || memcmp(x.ptr, y.ptr, x.len) == 0);
    }
}
