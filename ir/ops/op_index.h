/* ir/ops/op_index.h - parameters of the operators that read or write where indices say. */
#ifndef OX_IR_OPS_OP_INDEX_H
#define OX_IR_OPS_OP_INDEX_H

#include "ir/ops/op_args.h"

struct ox_gather_params {
    int64_t axis; /* as written */
};
struct ox_gather_elements_params {
    int64_t axis; /* as written */
};
struct ox_gather_nd_params {
    int64_t batch_dims;
};

enum ox_scatter_reduction {
    OX_SCATTER_NONE,
    OX_SCATTER_ADD,
    OX_SCATTER_MUL,
    OX_SCATTER_MAX,
    OX_SCATTER_MIN
};

struct ox_scatter_elements_params {
    int64_t axis; /* as written */
    enum ox_scatter_reduction reduction;
};
struct ox_scatter_nd_params {
    enum ox_scatter_reduction reduction;
};

#endif
