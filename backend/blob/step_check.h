/* backend/blob/step_check.h - kinds of native steps, and proving their parameter records.
 *
 * Compiler and runtime both use this: the compiler right after a step has been made, the runtime
 * before a blob is run. What is proved here is what can be known without running: fields in range,
 * and in agreement with the constant operands (their types, their dims, their values where a kernel
 * relies on them, such as scales). Shapes and types of computed operands are known when the step
 * runs only; there the kernel's `reshape` checks them. */
#ifndef OX_BACKEND_BLOB_STEP_CHECK_H
#define OX_BACKEND_BLOB_STEP_CHECK_H

#include "backend/blob/step_params.h"
#include "ir/base/bytes.h"

enum {
    OX_STEP_FIRST_NATIVE = 16,
#define STEP(number, NAME, name, min_in, max_in, min_out, max_out) OX_STEP_##NAME = number,
#include "backend/blob/steps.def"
#undef STEP
};

/* A native step as the check function and the kernel see it. Everything is borrowed, and outlives
 * the kernel's state. */
struct ox_step {
    unsigned kind;
    const void *params; /* the kind's record, 8-byte aligned */
    size_t n_in, n_out;
    const bool *present; /* n_in: the operand is there */
    const ox_tensor *const
        *consts;   /* n_in: the operand is this constant; NULL: computed, or absent. Data is 64-byte
                    * aligned, with   at least 64 readable bytes behind it */
    size_t number; /* in its program; 0 where there is none yet */
};

struct ox_step_kind_info {
    unsigned kind;
    const char *name; /* "transpose" */
    size_t params_size;
    int min_in, max_in, min_out, max_out;
    ox_status (*check)(ox_ctx *ctx, const struct ox_step *step);
};

/* NULL: no such kind. */
const struct ox_step_kind_info *ox_step_kind_find(unsigned kind);
/* Counts of operands and the kind's check. A diagnostic and OX_INVALID where the record cannot be.
 */
OX_MUST_USE ox_status ox_step_check(ox_ctx *ctx, const struct ox_step *step);
/* For check functions. */
#define ox_bad_step(ctx, ...) ox_fail((ctx), OX_INVALID, "bad-step", NULL, __VA_ARGS__)

#define STEP(number, NAME, name, min_in, max_in, min_out, max_out)                                 \
    ox_status ox_step_check_##name(ox_ctx *ctx, const struct ox_step *step);
#include "backend/blob/steps.def"
#undef STEP

#endif
