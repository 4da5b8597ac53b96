/* ir/ops/offsets.h - index tensors to element offsets, for GatherElements, GatherND and their
 * inverses. Every index is checked here. */
#ifndef OX_IR_OPS_OFFSETS_H
#define OX_IR_OPS_OFFSETS_H

#include "ir/ops/op.h"

/* For each element of `at` the offset in data of the element that has the same place, but for
 * the index along the axis. Ranks must be equal and other dims not larger than data's. From
 * ox_alloc. */
OX_MUST_USE ox_status ox_element_offsets(int64_t **out, const struct ox_call *call,
                                         const ox_tensor *data, const ox_tensor *at, int axis);
/* For each k-tuple along the last dim of `at` (rank at least 1, last dim k) the offset, in rows,
 * within data's dims first ... first + k - 1. From ox_alloc. */
OX_MUST_USE ox_status ox_tuple_offsets(int64_t **out, const struct ox_call *call,
                                       const ox_tensor *data, const ox_tensor *at, int first,
                                       int k);

#endif
