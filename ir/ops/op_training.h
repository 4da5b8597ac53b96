/* ir/ops/op_training.h - parameters of the optimizers of ai.onnx.preview.training. */
#ifndef OX_IR_OPS_OP_TRAINING_H
#define OX_IR_OPS_OP_TRAINING_H

#include "ir/ops/op.h"

enum ox_step_kind { OX_STEP_ADAGRAD, OX_STEP_ADAM, OX_STEP_MOMENTUM, OX_STEP_KINDS };
extern const enum ox_step_kind ox_step_kinds[OX_STEP_KINDS]; /* what rows name as their family */

struct ox_training_params {
    float alpha, beta, epsilon, decay;
    float norm, norm_post; /* regularization: before the step, after it */
    bool nesterov;
};

/* Gradient: its attributes name values of the graph; the pass `gradient` reads them there. */
struct ox_gradient_params {
    size_t n_xs; /* of the inputs, the first so many are differentiated by */
};

#endif
