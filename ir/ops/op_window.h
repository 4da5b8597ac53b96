/* ir/ops/op_window.h - the sliding window that convolutions and pools share: kernel, strides,
 * dilations, padding, and the arithmetic of output dims. */
#ifndef OX_IR_OPS_OP_WINDOW_H
#define OX_IR_OPS_OP_WINDOW_H

#include "ir/ops/op.h"

#define OX_WINDOW_MAX 16 /* most spatial dims */

enum ox_auto_pad { OX_PAD_NOTSET, OX_PAD_SAME_UPPER, OX_PAD_SAME_LOWER, OX_PAD_VALID };

/* Spatial dims only: dim 0 here is dim 2 of the data. Arrays are filled to the end with defaults,
 * so that they hold for whatever rank the data turns out to have. */
struct ox_window {
    int rank;        /* spatial dims; -1: neither an attribute nor a constant weight tells */
    bool has_kernel; /* kernel[] is known */
    bool ceil_mode;
    int auto_pad; /* enum ox_auto_pad; pads count with OX_PAD_NOTSET only and are 0 otherwise */
    int64_t kernel[OX_WINDOW_MAX], strides[OX_WINDOW_MAX], dilations[OX_WINDOW_MAX]; /* all >= 1 */
    int64_t begin[OX_WINDOW_MAX], end[OX_WINDOW_MAX]; /* pads, >= 0 */
};

/* Reads kernel_shape, strides, dilations, pads, auto_pad and ceil_mode; OX_INVALID where counts
 * differ, a value is out of range or the dilated kernel overflows. */
OX_MUST_USE ox_status ox_window_decode(struct ox_window *w, const struct ox_call *call);
/* The rank of the data is known (spatial dims): sets w->rank or compares. */
OX_MUST_USE ox_status ox_window_rank(struct ox_window *w, const struct ox_call *call, int rank);
/* The kernel's dims are known from a weight: sets w->kernel or compares. */
OX_MUST_USE ox_status ox_window_kernel(struct ox_window *w, const struct ox_call *call, int rank,
                                       const int64_t *kernel);
/* Spatial output dims from spatial input dims; w->rank and the kernel must be known. */
OX_MUST_USE ox_status ox_window_infer(const struct ox_window *w, const struct ox_call *call,
                                      struct ox_infer *io, const ox_dim *in, ox_dim *out);
/* The same in numbers; begin gets the padding in front, also where auto_pad decides it. Guarantees
 * that out * stride + dilation * kernel and in + padding stay far from overflow. */
OX_MUST_USE ox_status ox_window_resolve(const struct ox_window *w, const struct ox_call *call,
                                        const int64_t *in, int64_t *out, int64_t *begin);

/* Stores the type of output 0 after a look at its size: OX_INVALID for dims that no memory can
 * hold. */
OX_MUST_USE ox_status ox_window_output(const struct ox_call *call, struct ox_infer *io,
                                       ox_dtype dtype, int rank, const ox_dim *dims);

/* Positions of a window: taps t with 0 <= at + t * dilation < dim, as [*first, *last) within [0,
 * kernel). */
static inline void ox_window_clip(int64_t at, int64_t dilation, int64_t kernel, int64_t dim,
                                  int64_t *first, int64_t *last) {
    int64_t lo = at < 0 ? (-at + dilation - 1) / dilation : 0;
    int64_t hi = at < dim ? (dim - at + dilation - 1) / dilation : 0;
    *last = hi < kernel ? hi : kernel;
    *first = lo < *last ? lo : *last;
}

#endif
