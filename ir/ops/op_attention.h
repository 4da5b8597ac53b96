/* ir/ops/op_attention.h - parameters of attention and of what stands beside it in models of
 * language. */
#ifndef OX_IR_OPS_OP_ATTENTION_H
#define OX_IR_OPS_OP_ATTENTION_H

#include "ir/ops/attention.h"
#include "ir/ops/op.h"

struct ox_attention_params {
    bool causal, has_scale;
    float scale, softcap;
    int64_t heads, kv_heads; /* 0: the inputs' own dims tell */
    int64_t left, right;     /* -1: no bound */
    ox_dtype softmax;        /* precision of the softmax; OX_UNDEFINED: of the data */
    enum ox_attention_stage stage;
    bool pads_mask; /* a mask shorter than the keys hides the rest, even if it is of length 1 (from
                       opset 24 on) */
};

struct ox_rotary_params {
    bool interleaved;
    int64_t heads, rotated; /* 0: the input's own dims tell */
};

struct ox_tensor_scatter_params {
    int64_t axis; /* as written */
    bool circular;
};

struct ox_causal_conv_params {
    bool silu;
};

struct ox_linear_attention_params {
    int64_t heads, kv_heads;
    float scale; /* 0: 1 / sqrt(size of a key) */
    bool gated, delta;
};

#endif
