/* ir/ops/kernel_dot.h - exact products of matrices of small integers. */
#ifndef OX_IR_OPS_KERNEL_DOT_H
#define OX_IR_OPS_KERNEL_DOT_H

#include "ir/base/context.h"

/* c[i * c_rs + j] = sum over k of a[i * k + ..] * b[j * k + ..]: both operands have their k
 * elements in a row. Elements are differences of bytes, |x| <= 255. Sums are exact modulo 2^32. */
struct ox_dot {
    size_t m, n, k;
    const int16_t *a, *b;
    int32_t *c;
    size_t c_rs;
};
void ox_dot(ox_ctx *ctx, const struct ox_dot *dot);

#endif
