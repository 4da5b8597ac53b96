/* backend/runtime/dots32.h - products of 32-bit floats whose operands both have their inner
 * elements in a row:
 *
 *   C(i,j) = sum over d of A(i,d) * B(j,d)
 *
 * Both are read where they lie, once, in order: what a few rows times large weights stored by
 * outputs want, where copying the weights into another order would take longer than the product.
 * Each element is summed in an order that k and the instruction set alone decide. */
#ifndef OX_BACKEND_RUNTIME_DOTS32_H
#define OX_BACKEND_RUNTIME_DOTS32_H

#include "ir/ops/kernel_isa.h"

#include <stddef.h>

/* Strides are in floats. */
struct oxr_dots32 {
    enum ox_isa isa; /* what ox_isa_pick gave */
    size_t m, k;
    const float *a, *b;
    float *c;
    size_t a_stride, b_stride, c_stride;
};

/* Columns [begin, end) of C. */
void oxr_dots32(const struct oxr_dots32 *d, size_t begin, size_t end);

#endif
