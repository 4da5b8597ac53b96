/* ir/ops/op_reduce.h - parameters of the Reduce operators, and the table by which their functions
 * tell them apart. */
#ifndef OX_IR_OPS_OP_REDUCE_H
#define OX_IR_OPS_OP_REDUCE_H

#include "ir/ops/op_args.h"

struct ox_reduce_params {
    struct ox_ints axes; /* as written; see ox_reduce_axes */
    bool keepdims;
    bool noop; /* no axes means none, instead of all */
};

/* clang-format off */
#define OX_REDUCE_LIST(X) X(L1) X(L2) X(LogSum) X(LogSumExp) X(Max) X(Mean) X(Min) X(Prod) X(Sum) X(SumSquare)
/* clang-format on */
enum ox_reduce_op {
#define X(name) OX_RED_##name,
    OX_REDUCE_LIST(X)
#undef X
        OX_REDUCE_COUNT
};
struct ox_reduce_kind {
    enum ox_reduce_op op;
    uint32_t types;  /* element types it takes: bit d is dtype d */
    int input_since; /* opset in which axes became an input */
};
extern const struct ox_reduce_kind ox_reduce_kinds[OX_REDUCE_COUNT];

/* Which of `rank` dims go. axes.known must hold (or axes not be given). */
OX_MUST_USE ox_status ox_reduce_axes(bool *reduced, const struct ox_call *call,
                                     const struct ox_reduce_params *params, int rank);

#endif
