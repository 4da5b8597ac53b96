/* ir/ops/op_doubles.h - kernels written once, for doubles: for operators that are rare or cheap.
 *
 * Inputs of a float type are converted to doubles before, outputs to the type of input 0
 * afterwards. What is exact or rounded once in doubles is right in every narrower type. */
#ifndef OX_IR_OPS_OP_DOUBLES_H
#define OX_IR_OPS_OP_DOUBLES_H

#include "ir/ops/op.h"

#define OX_DOUBLES_MAX_IN 16 /* most inputs */
/* Calls eval with all float inputs as doubles; outputs whose bit is set in `narrow` become of type
 * `dtype`. */
OX_MUST_USE ox_status ox_eval_doubles(ox_eval_fn eval, const struct ox_call *call,
                                      const void *params, const ox_tensor *const *in,
                                      ox_tensor **out, unsigned narrow, ox_dtype dtype);

/* A new tensor of doubles as output i. */
static inline OX_MUST_USE ox_status ox_new_doubles(double **data, const struct ox_call *call,
                                                   ox_tensor **out, size_t i, int rank,
                                                   const int64_t *dims) {
    void *at;
    OX_TRY(ox_tensor_new(&out[i], &at, call->ctx, OX_DOUBLE, rank, dims));
    *data = at;
    return OX_OK;
}

#endif
