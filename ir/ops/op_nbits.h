/* ir/ops/op_nbits.h - parameters of the operators on weights of 2, 4 and 8 bits with a scale for
 * each block. */
#ifndef OX_IR_OPS_OP_NBITS_H
#define OX_IR_OPS_OP_NBITS_H

#include "ir/ops/recipe.h"

struct ox_matmul_nbits_params {
    int64_t k, n, block; /* all >= 1 */
    int bits;            /* 2, 4 or 8 */
};

struct ox_matmul_bnb4_params {
    int64_t k, n, block, count; /* count: k * n */
    const float *values;        /* of the 16 codes */
    bool trans;                 /* the matrix is [n,k] and the data has rows of k; else rows of n */
};

struct ox_gather_blocks_params {
    int64_t gather_axis, quantize_axis, block;
    int bits; /* of the codes in uint8 data */
};
extern const struct ox_recipe_kind ox_gather_blocks_recipe;

#endif
