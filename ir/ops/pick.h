/* ir/ops/pick.h - elements of any type by number: for operators that compute where to read and then
 * only move. */
#ifndef OX_IR_OPS_PICK_H
#define OX_IR_OPS_PICK_H

#include "ir/ops/op.h"

/* The numbers 0, 1, 2, ... in the shape of `like`, as 64-bit integers or 64-bit floats (exact up to
 * 2^53 elements). `first` is added. */
OX_MUST_USE ox_status ox_numbered(ox_tensor **out, ox_ctx *ctx, const ox_tensor *like,
                                  ox_dtype dtype, int first);
/* Element i of *out is element at[i] of x; -1 stands for zero (the empty string, false). `at`:
 * int64, each below x's count. */
OX_MUST_USE ox_status ox_pick(ox_tensor **out, ox_ctx *ctx, const ox_tensor *x,
                              const ox_tensor *at);

/* A type that the operator may have, in a mode that does arithmetic for which the type has none:
 * refused, not missing. */
#define ox_no_arithmetic(call, ...)                                                                \
    ox_fail((call)->ctx, OX_UNSUPPORTED, "no-arithmetic", NULL, __VA_ARGS__)

#endif
