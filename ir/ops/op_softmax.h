/* ir/ops/op_softmax.h - parameters of Softmax, LogSoftmax and Hardmax. */
#ifndef OX_IR_OPS_OP_SOFTMAX_H
#define OX_IR_OPS_OP_SOFTMAX_H

#include "ir/ops/op.h"

struct ox_softmax_params {
    int64_t axis; /* may be negative */
    bool flatten; /* before opset 13: dims from axis on are taken as one */
};

#endif
