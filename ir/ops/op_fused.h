/* ir/ops/op_fused.h - parameters of the operators of com.microsoft that join several of the
 * standard. */
#ifndef OX_IR_OPS_OP_FUSED_H
#define OX_IR_OPS_OP_FUSED_H

#include "ir/ops/recipe.h"

/* What FusedConv, FusedGemm and the like apply to their result. */
struct ox_fused_activation {
    int kind; /* index in the list of op_fused.c; 0: none */
    size_t n; /* of params that are given */
    float params[3];
};

struct ox_fused_params {
    struct ox_fused_activation activation;
    float alpha;           /* factor of the product; QuickGelu: of x in the sigmoid */
    bool trans_a, trans_b; /* the last two dims */
    bool batch_a, batch_b; /* the first dim belongs behind the dims between */
};

struct ox_skip_norm_params {
    float epsilon;
    int64_t axis;       /* first normalized dim */
    bool channels_last; /* GroupNorm: of the data */
    bool silu;          /* GroupNorm: y * sigmoid(y) in the end */
};

/* clang-format off */
#define OX_FUSED_LIST(X) \
    X(bias_add) X(bias_gelu) X(bias_softmax) X(bias_split_gelu) X(cdist) X(embed_norm) \
    X(expand_dims) X(fast_gelu) X(fused_conv) X(fused_gemm) X(fused_matmul) X(gelu) \
    X(gemm_fast_gelu) X(group_norm) X(matmul_dynamic) X(matmul_integer16) X(matmul_to_float) \
    X(mul_integer) X(nhwc_conv) X(nhwc_max_pool) X(pad) X(qembed_norm) X(qgemm) X(quick_gelu) \
    X(range) X(rms_norm) X(skip_group_norm) X(skip_norm) X(skip_rms_norm)
/* clang-format on */
enum ox_fused_op {
#define X(name) OX_FUSED_##name,
    OX_FUSED_LIST(X)
#undef X
        OX_FUSED_COUNT
};
extern const struct ox_recipe_kind ox_fused_recipes[OX_FUSED_COUNT];

extern const struct ox_recipe_kind ox_lstm_recipe;
#define ox_quantized_lstm_params ox_recurrent_params /* DynamicQuantizeLSTM */

#endif
