/* ir/ops/binary_priv.h - the kernels of the binary family: loops over n elements of two operands,
 * with struct ox_binary_params as `arg`. */
#ifndef OX_IR_OPS_BINARY_PRIV_H
#define OX_IR_OPS_BINARY_PRIV_H

#include "ir/ops/elementwise.h"

/* Have kernels for float and double. */
/* clang-format off */
#define OX_BINARY_FLOAT_KERNELS(X) \
    X(add) X(div) X(equal) X(greater) X(greaterorequal) X(less) X(lessorequal) X(max) X(min) \
    X(mod) X(mul) X(pow) X(prelu) X(sub)
/* clang-format on */
/* Have a table of kernels for the integer types (by ox_int_index, NULL where there is none). */
/* clang-format off */
#define OX_BINARY_INT_KERNELS(X) \
    X(add) X(and) X(div) X(equal) X(greater) X(greaterorequal) X(less) X(lessorequal) X(max) \
    X(min) X(mod) X(mul) X(or) X(pow) X(prelu) X(shift) X(sub) X(xor)
/* clang-format on */

#define X(name)                                                                                    \
    void ox_bi_##name##_f32(void *out, const void *const *in, unsigned one, size_t n,              \
                            const void *arg);                                                      \
    void ox_bi_##name##_f64(void *out, const void *const *in, unsigned one, size_t n,              \
                            const void *arg);
OX_BINARY_FLOAT_KERNELS(X)
#undef X
#define X(name) extern const ox_loop_fn ox_bi_##name##_ints[8];
OX_BINARY_INT_KERNELS(X)
#undef X
void ox_bi_equal_str(void *out, const void *const *in, unsigned one, size_t n, const void *arg);

/* Runs a kernel of the family over operands of any float type: those of 16 bits are widened, and
 * the result narrowed to `result` (OX_BOOL: the kernel stores bytes). */
struct ox_bi_narrow {
    ox_loop_fn f32;
    const void *params;
    ox_dtype dtype, result;
};
void ox_bi_narrow_loop(void *out, const void *const *in, unsigned one, size_t n, const void *arg);

#endif
