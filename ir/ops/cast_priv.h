/* ir/ops/cast_priv.h - the string half of ox_tensor_cast. */
#ifndef OX_IR_OPS_CAST_PRIV_H
#define OX_IR_OPS_CAST_PRIV_H

#include "ir/ops/convert.h"

OX_MUST_USE ox_status ox_cast_to_strings(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor);
OX_MUST_USE ox_status ox_cast_from_strings(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor,
                                           ox_dtype dtype, const struct ox_cast_rules *rules);

#endif
