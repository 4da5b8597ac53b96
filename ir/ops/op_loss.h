/* ir/ops/op_loss.h - parameters of NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss. */
#ifndef OX_IR_OPS_OP_LOSS_H
#define OX_IR_OPS_OP_LOSS_H

#include "ir/ops/op.h"

enum ox_loss_reduction { OX_LOSS_MEAN, OX_LOSS_SUM, OX_LOSS_NONE };

struct ox_loss_params {
    enum ox_loss_reduction reduction;
    bool ignores;
    int64_t ignored; /* class of labels that do not count */
};

#endif
