/* backend/runtime/gemm32.h - products of 32-bit floats with a packed right side:
 *
 *   C(i,j) = clamp(bias(j) + sum over d of A(i,d) * B(d,j) + add(i,j))
 *
 * A is read where it lies. Its rows may lie anywhere, and each may consist of `taps` pieces of k
 * elements that are tap_stride apart: so a convolution is such a product, and nothing is copied for
 * it. B [taps * k, n] has been packed before, which depends on its dims and the instruction set
 * alone.
 *
 * Each element is one chain of multiply-adds in ascending order of d, begun with the bias; `add`
 * comes at the end of it (of its first part, where it is long). So results depend neither on
 * threads, nor on how rows and columns are cut, and sets with a fused multiply-add give the same
 * bits as each other.
 *
 * Nothing here allocates, fails or checks: extents are the caller's business. */
#ifndef OX_BACKEND_RUNTIME_GEMM32_H
#define OX_BACKEND_RUNTIME_GEMM32_H

#include "backend/runtime/act32.h"
#include "ir/ops/kernel_isa.h"

#include <stdbool.h>
#include <stddef.h>

struct pthreadpool;

/* Floats of a packed B of this many rows (taps * k) and columns, and packing it from b[row *
 * row_stride + column * column_stride]. 64-byte aligned places are faster. `isa` is what
 * ox_isa_pick gave. */
size_t oxr_gemm32_size(enum ox_isa isa, size_t rows, size_t columns);
void oxr_gemm32_pack(enum ox_isa isa, float *packed, size_t rows, size_t columns, const float *b,
                     size_t row_stride, size_t column_stride);

/* What A is multiplied by, and what becomes of the sums. */
struct oxr_gemm32 {
    enum ox_isa isa; /* that B was packed for */
    size_t taps, k, n;
    const float *b;              /* packed */
    const float *bias;           /* n, or NULL */
    float low, high;             /* -INFINITY, INFINITY: none */
    const struct oxr_act32 *act; /* instead of them, or NULL */
    bool near; /* B was used just now and is in the second-level cache: nothing is fetched ahead */
};

/* Strides are in floats. */
struct oxr_gemm32_rows {
    const float *a;           /* row i at a + i * a_stride, */
    const float *const *each; /* or, unless NULL, at each[i] */
    size_t a_stride, tap_stride;
    float *c;
    size_t c_stride;
    const float *add; /* as c, or NULL; may be c itself */
    size_t add_stride;
    size_t m;
};

/* By the calling thread. */
void oxr_gemm32_run(const struct oxr_gemm32 *g, const struct oxr_gemm32_rows *r);
/* Shared out to the threads of a pool (NULL: the calling thread alone); not from within work that
 * is shared out. */
void oxr_gemm32_run_all(const struct oxr_gemm32 *g, const struct oxr_gemm32_rows *r,
                        struct pthreadpool *pool);

#endif
