/* ir/ops/op_matmul.h - parameters of matrix products. */
#ifndef OX_IR_OPS_OP_MATMUL_H
#define OX_IR_OPS_OP_MATMUL_H

#include "ir/ops/op.h"

struct ox_gemm_params {
    float alpha, beta;
    bool trans_a, trans_b;
};

#define OX_EINSUM_MAX_IN 16  /* operands */
#define OX_EINSUM_LABELS 116 /* 52 letters and the dims of an ellipsis */

struct ox_einsum_params {
    struct ox_str equation; /* borrowed from the attribute; its form has been checked */
};

#endif
