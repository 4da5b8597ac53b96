/* ir/ops/params.h - the parameter structs of all families: what decode makes of a node's
 * attributes. Passes read them too. One header per family; keep the list sorted. */
#ifndef OX_IR_OPS_PARAMS_H
#define OX_IR_OPS_PARAMS_H

#include "ir/ops/op.h"

#include "ir/ops/elementwise.h"
#include "ir/ops/op_affine_grid.h"
#include "ir/ops/op_attention.h"
#include "ir/ops/op_control.h"
#include "ir/ops/op_conv.h"
#include "ir/ops/op_fused.h"
#include "ir/ops/op_heads.h"
#include "ir/ops/op_index.h"
#include "ir/ops/op_integer.h"
#include "ir/ops/op_loss.h"
#include "ir/ops/op_matmul.h"
#include "ir/ops/op_ml.h"
#include "ir/ops/op_moe.h"
#include "ir/ops/op_move.h"
#include "ir/ops/op_nbits.h"
#include "ir/ops/op_norm.h"
#include "ir/ops/op_pool.h"
#include "ir/ops/op_quantize.h"
#include "ir/ops/op_recurrent.h"
#include "ir/ops/op_random.h"
#include "ir/ops/op_reduce.h"
#include "ir/ops/op_resize.h"
#include "ir/ops/op_sample.h"
#include "ir/ops/op_select.h"
#include "ir/ops/op_sequence.h"
#include "ir/ops/op_shape.h"
#include "ir/ops/op_signal.h"
#include "ir/ops/op_softmax.h"
#include "ir/ops/op_training.h"
#include "ir/ops/op_vision.h"
#include "ir/ops/op_text.h"

/* Decoders whose structs other decoders fill too: the table sizes them by the decoder's name. */
#define ox_category_mapper_params ox_encode_params
#define ox_label_encoder_params ox_encode_params
#define ox_linear_classifier_params ox_linear_params
#define ox_linear_regressor_params ox_linear_params
#define ox_svm_classifier_params ox_svm_params
#define ox_svm_regressor_params ox_svm_params
#define ox_tree_classifier_params ox_tree_params
#define ox_tree_ensemble_params ox_tree_params
#define ox_tree_regressor_params ox_tree_params

/* Of operators that have no parameters. */
struct ox_none_params {
    char unused;
};

#endif
