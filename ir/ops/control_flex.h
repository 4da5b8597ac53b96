/* ir/ops/control_flex.h - FlexAttention: attention with subgraphs that may change scores and
 * probabilities. */
#ifndef OX_IR_OPS_CONTROL_FLEX_H
#define OX_IR_OPS_CONTROL_FLEX_H

#include "ir/ops/control.h"
#include "ir/ops/op_control.h"

OX_MUST_USE ox_status ox_decode_flex(const struct ox_call *call, struct ox_control_params *p);
/* Element type of scores and probabilities, given that of the data. */
OX_MUST_USE ox_status ox_flex_dtype(ox_dtype *out, const struct ox_call *call, ox_dtype data);
OX_MUST_USE ox_status ox_flex_run(const struct ox_call *call, const struct ox_bodies *bodies,
                                  const ox_tensor *const *in, ox_tensor **out);

#endif
