/* ir/ops/op_quantize.h - parameters of QuantizeLinear and its relatives. */
#ifndef OX_IR_OPS_OP_QUANTIZE_H
#define OX_IR_OPS_OP_QUANTIZE_H

#include "ir/ops/op.h"

/* Of QuantizeLinear and DequantizeLinear, in both domains. */
struct ox_quantize_params {
    int64_t axis;       /* as written; counts only where the scale is not a single number */
    int64_t block;      /* 0: no blocks */
    ox_dtype out;       /* attribute output_dtype; OX_UNDEFINED: absent */
    ox_dtype precision; /* QuantizeLinear: what data and scales are rounded to before the division,
                           and quotients after; OX_UNDEFINED: the scale's type since opset 23, float
                           before */
    bool saturate;      /* for float8 */
};

/* How scales lie on a tensor: seen with `dims`, it is what scales seen with `scale_dims` broadcast
 * to. Where the last block of a dim is shorter than the others this is not possible: then `ragged`
 * is the block, dims are [outer, n, inner], and the scales ([outer, blocks, inner]) must be
 * repeated first. */
struct ox_scales {
    int rank;
    int64_t dims[4], scale_dims[4];
    int64_t ragged;
};

#endif
