/* ir/ops/op_moe.h - parameters of mixtures of experts, and of RelativePositionBias. */
#ifndef OX_IR_OPS_OP_MOE_H
#define OX_IR_OPS_OP_MOE_H

#include "ir/ops/op.h"

enum ox_moe_activation { OX_MOE_RELU, OX_MOE_GELU, OX_MOE_SILU, OX_MOE_SWIGLU, OX_MOE_IDENTITY };

struct ox_moe_params {
    enum ox_moe_activation activation;
    float alpha, beta, limit; /* of SwiGLU; limit: INFINITY where none is given */
    int fusion;     /* SwiGLU: 0 gate and value are products of their own, 1 by turns in one, 2 one
                       behind the other in one */
    int64_t k;      /* experts a token */
    bool normalize; /* their shares sum to 1 */
    int bits;       /* of a code; 0: weights are floats */
    int64_t block;  /* codes that share a scale; 0: a row */
};
extern const bool ox_moe_quantized[2]; /* families of MoE and QMoE */

struct ox_position_bias_params {
    bool both_ways;
    int64_t max_distance;
};

#endif
