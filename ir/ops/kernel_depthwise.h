/* ir/ops/kernel_depthwise.h - convolution of each channel with its own kernel, 2-d, 32-bit floats.
 */
#ifndef OX_IR_OPS_KERNEL_DEPTHWISE_H
#define OX_IR_OPS_KERNEL_DEPTHWISE_H

#include "ir/base/context.h"
#include "ir/ops/kernel_isa.h"

/* Output plane p comes from input plane p / planes_per_in; its kernel is w[p % kernels], its bias
 * bias[p % kernels]. */
struct ox_depthwise {
    const float *x, *w, *bias; /* bias may be NULL */
    float *y;
    size_t planes, planes_per_in, kernels;
    size_t in_h, in_w, out_h, out_w, k_h, k_w;
    size_t stride_h, stride_w, dilation_h, dilation_w;
    size_t pad_h, pad_w; /* in front */
    enum ox_isa isa;     /* best allowed */
};

/* False: the padded plane would be too large to be worth it (then nothing was done). *status is
 * OX_OK or OX_NOMEM. Each output is one chain of multiply-adds over the kernel's rows and columns,
 * from the bias on. */
bool ox_depthwise(ox_status *status, ox_ctx *ctx, const struct ox_depthwise *d);

#endif
