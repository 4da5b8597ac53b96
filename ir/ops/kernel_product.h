/* ir/ops/kernel_product.h - matrix products of any element type. */
#ifndef OX_IR_OPS_KERNEL_PRODUCT_H
#define OX_IR_OPS_KERNEL_PRODUCT_H

#include "ir/base/context.h"

/* For each batch item C(i,j) = sum over k of A(i,k) * B(k,j), where add is set on top of what C
 * holds. Strides and offsets count elements, as in struct ox_gemm. float goes to ox_gemm; double
 * and integers (which wrap around) are computed by plain loops. */
struct ox_product {
    ox_dtype dtype; /* float, double or an integer type of 8 to 64 bits */
    size_t m, n, k;
    const void *a, *b;
    size_t a_rs, a_cs, b_rs, b_cs, c_rs;
    void *c;
    bool add;
    size_t batch;
    const size_t *a_at, *b_at, *c_at; /* NULL: 0 for each item */
};

OX_MUST_USE ox_status ox_product(ox_ctx *ctx, const struct ox_product *p);

#endif
