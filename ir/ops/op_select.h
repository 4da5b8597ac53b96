/* ir/ops/op_select.h - parameters of the operators that choose, mark, order and scan elements. */
#ifndef OX_IR_OPS_OP_SELECT_H
#define OX_IR_OPS_OP_SELECT_H

#include "ir/ops/op_args.h"

struct ox_one_hot_params {
    int64_t axis; /* as written: in [-rank - 1, rank] */
    bool wraps;   /* negative indices count from the back */
};
struct ox_compress_params {
    bool has_axis;
    int64_t axis; /* as written */
};
struct ox_unique_params {
    bool has_axis, sorted;
    int64_t axis; /* as written */
};
struct ox_trilu_params {
    bool upper;
};
struct ox_reverse_sequence_params {
    int batch_axis, time_axis; /* one is 0, the other 1 */
};
struct ox_top_k_params {
    int64_t axis; /* as written */
    int64_t k;    /* attribute before opset 10, then constant input 1; -1: not known yet */
    bool largest;
};
struct ox_arg_params {
    int64_t axis; /* as written */
    bool keepdims, last;
};
extern const bool ox_arg_finds_least[2]; /* what tells ArgMax [0] and ArgMin [1] apart */

extern const bool ox_cum_multiplies[2]; /* what tells CumSum [0] and CumProd [1] apart */

struct ox_cum_sum_params {
    bool exclusive, reverse;
};

#endif
