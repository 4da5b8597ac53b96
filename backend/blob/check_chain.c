/* backend/blob/check_chain.c - proving steps that compute several elementwise operators together.
 */
#include "backend/blob/step_check.h"

#include <math.h>

/* Operands of operator `op`, 0: there is none. */
static int arity(unsigned op) {
    switch (op) {
#define X(number, name) case number:
        OX_STEP_CHAIN_UNARY(X)
        return 1;
        OX_STEP_CHAIN_BINARY(X)
        OX_STEP_CHAIN_VARIADIC(X)
        return 2;
#undef X
    default:
        return 0;
    }
}

static bool is_operand(const struct ox_step *step, const struct ox_step_chain_params *p,
                       uint32_t before, unsigned operand) {
    if (operand < OX_STEP_CHAIN_NUMBER) return operand < step->n_in;
    if (operand < OX_STEP_CHAIN_RESULT) return operand - OX_STEP_CHAIN_NUMBER < p->n_numbers;
    return operand - OX_STEP_CHAIN_RESULT < before;
}

ox_status ox_step_check_chain(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_chain_params *p = step->params;
    if (p->n_ops < 1 || p->n_ops > OX_STEP_CHAIN_OPS || p->n_numbers > OX_STEP_CHAIN_NUMBERS)
        return ox_bad_step(ctx, "chain of %u operators", p->n_ops);
    for (size_t i = 0; i < step->n_in; i++)
        if (!step->present[i]) return ox_bad_step(ctx, "chain lacks operand %zu", i);
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const struct ox_step_chain_op *o = &p->ops[i];
        const int n = arity(o->op);
        if (n == 0 || o->mode > 1)
            return ox_bad_step(ctx, "operator %u of mode %u in a chain", o->op, o->mode);
        if (!is_operand(step, p, i, o->a) || (n == 2 && !is_operand(step, p, i, o->b)) ||
            (n == 1 && o->b != 0))
            return ox_bad_step(ctx, "operands %u and %u of operator %u of a chain", o->a, o->b, i);
        if (!isfinite(o->alpha) || !isfinite(o->beta))
            return ox_bad_step(ctx, "attribute of operator %u of a chain", i);
    }
    return OX_OK;
}
