/* ir/ops/conv_cols.h - a convolution's input as the columns of a matrix product, written piece by
 * piece.
 *
 * Row k = channel * taps + tap, column j = output position; the element is the input that this tap
 * sees at this position, or 0 in the padding. The whole matrix never exists. */
#ifndef OX_IR_OPS_CONV_COLS_H
#define OX_IR_OPS_CONV_COLS_H

#include "ir/ops/kernel_gemm.h"
#include "ir/ops/op_window.h"

struct ox_conv_cols {
    const float *x;
    const size_t *x_at; /* first float of each batch item's channels */
    int rank;           /* spatial dims */
    size_t plane;       /* floats of a channel */
    size_t taps;        /* product of kernel */
    int64_t in[OX_WINDOW_MAX], out[OX_WINDOW_MAX], begin[OX_WINDOW_MAX];
    int64_t kernel[OX_WINDOW_MAX], strides[OX_WINDOW_MAX], dilations[OX_WINDOW_MAX];
};

/* An ox_gemm_pack_fn; arg is a struct ox_conv_cols. */
void ox_conv_cols_pack(const void *arg, enum ox_isa isa, float *dst, size_t width, size_t batch,
                       size_t k0, size_t k1, size_t j0, size_t j1);

#endif
