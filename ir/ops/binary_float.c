/* ir/ops/binary_float.c - kernels of the binary family for float and double. */
#include "ir/ops/binary_priv.h"
#include "ir/ops/convert.h"
#include "ir/ops/simd.h"
#include <math.h>

/* x and y are the operands, p the parameters, `value` the result of type R. Three bodies, so that
 * each is vectorized without a gather. Loops may run in place, so operands and result are not
 * restrict. */
#define LOOP(fn, T, R, value)                                                                      \
    OX_CLONES void fn(void *out, const void *const *in, unsigned one, size_t n, const void *arg) { \
        const T *xs = in[0], *ys = in[1];                                                          \
        R *zs = out;                                                                               \
        (void)arg;                                                                                 \
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
#define LOOPS(name, value32, value64)                                                              \
    LOOP(ox_bi_##name##_f32, float, float, value32)                                                \
    LOOP(ox_bi_##name##_f64, double, double, value64)
#define BOOL_LOOPS(name, value)                                                                    \
    LOOP(ox_bi_##name##_f32, float, uint8_t, value)                                                \
    LOOP(ox_bi_##name##_f64, double, uint8_t, value)

LOOPS(add, x + y, x + y)
LOOPS(sub, x - y, x - y)
LOOPS(mul, x *y, x *y)
LOOPS(div, x / y, x / y)
/* A NaN on either side is the result. */
LOOPS(max, x != x || x > y ? x : y, x != x || x > y ? x : y)
LOOPS(min, x != x || x < y ? x : y, x != x || x < y ? x : y)
LOOPS(mod, fmodf(x, y), fmod(x, y))
LOOPS(prelu, x < 0 ? x * y : x, x < 0 ? x * y : x)
BOOL_LOOPS(equal, x == y)
BOOL_LOOPS(greater, x > y)
BOOL_LOOPS(greaterorequal, x >= y)
BOOL_LOOPS(less, x < y)
BOOL_LOOPS(lessorequal, x <= y)
LOOP(ox_bi_pow_f64, double, double, pow(x, y))
static LOOP(pow_any, float, float, powf(x, y))

    enum power {
        POWER_ANY,
        POWER_SQUARE,
        POWER_CUBE,
        POWER_ROOT
    };

static enum power power_of(unsigned one, float y) {
    if (one != 2) return POWER_ANY;
    return y == 2.0f ? POWER_SQUARE : y == 3.0f ? POWER_CUBE : y == 0.5f ? POWER_ROOT : POWER_ANY;
}

/* Squares and roots are what models use powers for. */
OX_CLONES static void small_power(float *out, const float *xs, size_t n, enum power power) {
    if (power == POWER_SQUARE) {
        for (size_t i = 0; i < n; i++)
            out[i] = xs[i] * xs[i];
    } else if (power == POWER_CUBE) {
        for (size_t i = 0; i < n; i++) {
            double x = xs[i];
            out[i] = (float)(x * x * x);
        }
    } else {
        for (size_t i = 0; i < n; i++)
            out[i] = xs[i] == -INFINITY ? INFINITY : sqrtf(xs[i]) + 0.0f;
    }
}

void ox_bi_pow_f32(void *out, const void *const *in, unsigned one, size_t n, const void *arg) {
    enum power power = power_of(one, *(const float *)in[1]);
    if (power == POWER_ANY)
        pow_any(out, in, one, n, arg);
    else
        small_power(out, in[0], n, power);
}

/* ---- narrow floats --------------------------------------------------------------------------- */

enum { CHUNK = 256 };

void ox_bi_narrow_loop(void *out, const void *const *in, unsigned one, size_t n, const void *arg) {
    const struct ox_bi_narrow *narrow = arg;
    const uint16_t *xs = in[0], *ys = in[1];
    float x[CHUNK], y[CHUNK], z[CHUNK];
    const void *operands[] = {x, y};
    for (size_t done = 0; done < n; done += CHUNK) {
        size_t count = n - done < CHUNK ? n - done : CHUNK;
        ox_load_floats(x, narrow->dtype, one & 1 ? xs : xs + done, one & 1 ? 1 : count);
        ox_load_floats(y, narrow->dtype, one & 2 ? ys : ys + done, one & 2 ? 1 : count);
        if (narrow->result == OX_BOOL) {
            narrow->f32((uint8_t *)out + done, operands, one, count, narrow->params);
        } else {
            narrow->f32(z, operands, one, count, narrow->params);
            ox_store_floats((uint16_t *)out + done, narrow->result, z, count);
        }
    }
}
