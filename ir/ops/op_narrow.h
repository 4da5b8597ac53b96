/* ir/ops/op_narrow.h - running kernels for 32-bit floats on 16-bit floats. */
#ifndef OX_IR_OPS_OP_NARROW_H
#define OX_IR_OPS_OP_NARROW_H

#include "ir/ops/op.h"

static inline bool ox_is_narrow(ox_dtype dtype) {
    return dtype == OX_FLOAT16 || dtype == OX_BFLOAT16;
}

/* Where the elements are; for an empty tensor some address that is not NULL, so that pointers may
 * be computed from it. */
static inline const void *ox_elements(const ox_tensor *tensor) {
    static const double none = 0;
    return tensor->data ? tensor->data : &none;
}

/* A tensor of `dtype` (float, float16, bfloat16) with the values of one of these types; the same
 * one, counted once more, where nothing changes. */
OX_MUST_USE ox_status ox_tensor_to(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor,
                                   ox_dtype dtype);

#define OX_WIDE_MAX_IN 16 /* most inputs */
/* Calls eval with all 16-bit float inputs widened, and rounds those outputs whose bit is set in
 * `narrow` to in[0]'s type. */
OX_MUST_USE ox_status ox_eval_wide(ox_eval_fn eval, const struct ox_call *call, const void *params,
                                   const ox_tensor *const *in, ox_tensor **out, unsigned narrow);

#endif
