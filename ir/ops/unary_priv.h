/* ir/ops/unary_priv.h - the kernels of the unary family: loops over n elements, with
 * struct ox_unary_params as `arg`. */
#ifndef OX_IR_OPS_UNARY_PRIV_H
#define OX_IR_OPS_UNARY_PRIV_H

#include "ir/ops/elementwise.h"

/* Have kernels for float and double. */
/* clang-format off */
#define OX_UNARY_FLOAT_KERNELS(X) \
    X(abs) X(acos) X(acosh) X(asin) X(asinh) X(atan) X(atanh) X(ceil) X(celu) X(cos) X(cosh) \
    X(elu) X(erf) X(exp) X(floor) X(gelu) X(hardsigmoid) X(hardswish) X(isinf) X(isnan) \
    X(leakyrelu) X(log) X(mish) X(neg) X(reciprocal) X(relu) X(round) X(selu) X(shrink) \
    X(sigmoid) X(sign) X(sin) X(sinh) X(softplus) X(softsign) X(sqrt) X(swish) X(tan) X(tanh) \
    X(thresholdedrelu)
/* clang-format on */
/* Have a table of kernels for the integer types (by ox_int_index, NULL where there is none). */
#define OX_UNARY_INT_KERNELS(X) X(abs) X(erf) X(invert) X(neg) X(not ) X(relu) X(shrink) X(sign)

#define X(name)                                                                                    \
    void ox_un_##name##_f32(void *out, const void *const *in, unsigned one, size_t n,              \
                            const void *arg);                                                      \
    void ox_un_##name##_f64(void *out, const void *const *in, unsigned one, size_t n,              \
                            const void *arg);
OX_UNARY_FLOAT_KERNELS(X)
#undef X
#define X(name) extern const ox_loop_fn ox_un_##name##_ints[8];
OX_UNARY_INT_KERNELS(X)
#undef X

#endif
