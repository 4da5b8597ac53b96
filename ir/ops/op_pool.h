/* ir/ops/op_pool.h - parameters of pools. */
#ifndef OX_IR_OPS_OP_POOL_H
#define OX_IR_OPS_OP_POOL_H

#include "ir/ops/op_window.h"

enum ox_pool_kind { OX_POOL_MAX, OX_POOL_AVERAGE, OX_POOL_LP, OX_POOL_KINDS };
extern const enum ox_pool_kind ox_pool_kinds[OX_POOL_KINDS]; /* what rows name as their family */

struct ox_pool_params {
    struct ox_window window; /* the kernel is always known */
    bool count_include_pad;  /* AveragePool: padding counts as zeros */
    bool column_major;       /* MaxPool: indices number the first spatial dim fastest */
    float p;                 /* LpPool */
};

struct ox_global_pool_params {
    float p;
};

#endif
