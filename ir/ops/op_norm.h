/* ir/ops/op_norm.h - parameters of normalizations. */
#ifndef OX_IR_OPS_OP_NORM_H
#define OX_IR_OPS_OP_NORM_H

#include "ir/ops/op.h"

struct ox_batch_norm_params {
    float epsilon, momentum;
    bool training; /* statistics of the batch are computed and used */
    bool spatial;  /* one scale a channel; else (before opset 9) one an element of a sample */
    /* The outputs behind Y are running mean and variance and, before opset 14, their copies
     * "saved". */
};

struct ox_group_norm_params {
    float epsilon;
    int64_t groups;   /* >= 1; 0: as many as channels (InstanceNormalization) */
    bool per_channel; /* scale and bias are one a channel, else one a group (opset 18 to 20) */
};

struct ox_layer_norm_params {
    float epsilon;
    int64_t axis;   /* first normalized dim, may be negative */
    ox_dtype stash; /* element type of the outputs Mean and InvStdDev: float or bfloat16 */
};

struct ox_rms_norm_params {
    float epsilon;
    int64_t axis; /* first normalized dim, may be negative */
};

struct ox_lrn_params {
    float alpha, beta, bias;
    int64_t size; /* >= 1 */
};

struct ox_lp_norm_params {
    int64_t axis;
    int p; /* 1 or 2 */
};

struct ox_mean_variance_norm_params {
    const int64_t *axes; /* borrowed; NULL: 0, 2, 3 */
    size_t n_axes;
};

#endif
