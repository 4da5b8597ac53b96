/* backend/runtime/math32.h - exponentials and what is made of them, vector by vector: loops for
 * elementwise operators that are faster than those of ir/ops on processors with fused multiply-add.
 * At most 4 units in the last place from the truth (Gelu: of the larger of |x| and the result);
 * denormal results may be zero, or the smallest normal number may stand for them. */
#ifndef OX_BACKEND_RUNTIME_MATH32_H
#define OX_BACKEND_RUNTIME_MATH32_H

#include "ir/ops/elementwise.h"
#include "ir/ops/kernel_isa.h"

/* The loop of an operator at a set of instructions (as ox_isa_pick gave it), or NULL: the
 * operator's own is as good. It may run in place, and takes struct ox_unary_params. */
ox_loop_fn oxr_math32_loop(enum ox_isa isa, enum ox_unary_op op);

#endif
