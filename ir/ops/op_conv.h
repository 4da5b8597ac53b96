/* ir/ops/op_conv.h - parameters of convolutions, and the geometry their kernels work by. */
#ifndef OX_IR_OPS_OP_CONV_H
#define OX_IR_OPS_OP_CONV_H

#include "ir/ops/op_window.h"

struct ox_conv_params {
    struct ox_window window;
    int64_t group; /* >= 1 */
};

struct ox_conv_transpose_params {
    struct ox_window window;
    int64_t group;
    int64_t output_padding[OX_WINDOW_MAX];
    bool has_output_shape;
    int64_t output_shape[OX_WINDOW_MAX]; /* spatial dims */
};

/* One spatial dim of ConvTranspose's output and the padding cut off in front, from the input's; `w`
 * is p->window, completed. */
OX_MUST_USE ox_status ox_conv_transpose_dim(const struct ox_conv_transpose_params *p,
                                            const struct ox_window *w, const struct ox_call *call,
                                            int i, int64_t in, int64_t *out, int64_t *begin);

#endif
