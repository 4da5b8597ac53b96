/* ir/ops/kernel_gemm.h - the matrix product of 32-bit floats that convolutions and products stand
 * on.
 *
 * For each batch item:  C(i,j) = start(i,j) + sum over k of (alpha * A(i,k)) * B(k,j)
 *
 * A and B may have any strides, so transposed operands cost nothing; C's columns are contiguous. B
 * may also be given by a function that writes parts of it when they are needed (a convolution's
 * columns), so that it never exists as a whole.
 *
 * Each element is a sum of blocks: k is cut into as few runs of at most OX_GEMM_BLOCK_K as there
 * can be, all as long as the first but the last. A run is one chain of multiply-adds in ascending
 * order. The first chain begins with the bias; every other one begins with 0, and what C holds is
 * added when it ends. Runs depend on k alone, so results do not depend on the number of threads, on
 * the shape of tiles or on which instruction set with a fused multiply-add runs. */
#ifndef OX_IR_OPS_KERNEL_GEMM_H
#define OX_IR_OPS_KERNEL_GEMM_H

#include "ir/base/context.h"
#include "ir/ops/kernel_isa.h"

enum { OX_GEMM_BLOCK_K = 128 }; /* a strip of B: 128 * 32 floats, 16 KiB */

/* Writes B(k,j) of a batch item for k in [k0,k1), j in [j0,j1) to dst[(k - k0) * width + (j - j0)],
 * and zeros up to `width` columns (j1 - j0 <= width). Called from several threads. `isa` is the set
 * in use. */
typedef void (*ox_gemm_pack_fn)(const void *arg, enum ox_isa isa, float *dst, size_t width,
                                size_t batch, size_t k0, size_t k1, size_t j0, size_t j1);

struct ox_gemm {
    size_t m, n, k;
    const float *a;
    size_t a_rs, a_cs; /* A(i,k) = a[i * a_rs + k * a_cs] */
    const float *b;
    size_t b_rs, b_cs; /* B(k,j) = b[k * b_rs + j * b_cs]; not used with `pack` */
    float *c;
    size_t c_rs; /* C(i,j) = c[i * c_rs + j] */
    float alpha;
    const float *bias; /* start: m numbers, one a row; NULL: 0 */
    bool add;          /* start: what C holds (bias is not used then) */
    /* Batch: offsets in elements, one an item; NULL: the same for all. With a_at NULL, A is packed
     * once. */
    size_t batch;
    const size_t *a_at, *b_at, *c_at, *bias_at;
    ox_gemm_pack_fn pack;
    const void *pack_arg;
    enum ox_isa isa; /* best allowed; OX_ISA_BEST but in tests */
};

/* Zero-initialize *g, set what is needed (alpha and batch are 1 where they are 0). Fails with
 * OX_NOMEM only. */
OX_MUST_USE ox_status ox_gemm(ox_ctx *ctx, const struct ox_gemm *g);

/* dst[k * width + i] = scale * src[i * rs + k] for i < rows, k < count; zeros for rows <= i <
 * width. */
void ox_pack_transposed(float *dst, size_t width, const float *src, size_t rs, size_t rows,
                        size_t count, float scale);

#endif
