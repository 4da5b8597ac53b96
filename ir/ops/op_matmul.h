/* ir/ops/op_matmul.h - parameters of matrix products. */
#ifndef OX_IR_OPS_OP_MATMUL_H
#define OX_IR_OPS_OP_MATMUL_H

#include "ir/ops/op.h"

struct ox_gemm_params {
    float alpha, beta;
    bool trans_a, trans_b;
};

/* The product of two tensors by the rules of MatMul: matrices are multiplied, leading dims are
 * broadcast. */
struct ox_matmul_shape {
    int batch_rank;
    int64_t batch[OX_MAX_RANK]; /* leading dims */
    int64_t m, n, k;
    int rank;
    int64_t dims[OX_MAX_RANK + 2]; /* of the result */
    size_t items;                  /* matrices in it; 0 where it is empty */
};
/* OX_INVALID where the shapes cannot be multiplied. */
OX_MUST_USE ox_status ox_matmul_shape(struct ox_matmul_shape *s, const struct ox_call *call,
                                      const ox_tensor *a, const ox_tensor *b);
/* Elements before the matrix (of `matrix` elements) of operand t that item `item` of the result
 * needs. */
size_t ox_matmul_at(const struct ox_matmul_shape *s, const ox_tensor *t, size_t item,
                    size_t matrix);

#define OX_EINSUM_MAX_IN 16  /* operands */
#define OX_EINSUM_LABELS 116 /* 52 letters and the dims of an ellipsis */

struct ox_einsum_params {
    struct ox_str equation; /* borrowed from the attribute; its form has been checked */
};

#endif
