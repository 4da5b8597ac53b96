/* ir/ops/axis_steps.h - one step along an axis of a tensor, and putting steps together again: for
 * loops over tensors. */
#ifndef OX_IR_OPS_AXIS_STEPS_H
#define OX_IR_OPS_AXIS_STEPS_H

#include "ir/base/bytes.h"

/* Element `index` along `axis`, which the result lacks. Both are in range. */
OX_MUST_USE ox_status ox_axis_step(ox_tensor **out, ox_ctx *ctx, const ox_tensor *t, int axis,
                                   int64_t index);
/* Stacks `count` > 0 tensors of one type and shape along a new axis; others are OX_INVALID. */
OX_MUST_USE ox_status ox_axis_stack(ox_tensor **out, ox_ctx *ctx, ox_tensor *const *items,
                                    size_t count, int axis);

#endif
