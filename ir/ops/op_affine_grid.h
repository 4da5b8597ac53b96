/* ir/ops/op_affine_grid.h - parameters of AffineGrid. */
#ifndef OX_IR_OPS_OP_AFFINE_GRID_H
#define OX_IR_OPS_OP_AFFINE_GRID_H

#include <stdbool.h>

struct ox_affine_grid_params {
    bool align; /* the corners' centres are -1 and 1, instead of their edges */
};

#endif
