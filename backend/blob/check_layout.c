/* backend/blob/check_layout.c - steps that change the form of a tensor and not its values. */
#include "backend/blob/step_check.h"

ox_status ox_step_check_transpose(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_transpose_params *p = step->params;
    unsigned seen = 0;
    if (p->rank < 1 || p->rank > OX_STEP_RANK_MAX || p->zero)
        return ox_bad_step(ctx, "transpose of rank %u", p->rank);
    for (unsigned i = 0; i < p->rank; i++) {
        if (p->perm[i] >= p->rank || (seen >> p->perm[i] & 1))
            return ox_bad_step(ctx, "transpose with axis %u", p->perm[i]);
        seen |= 1u << p->perm[i];
    }
    return OX_OK;
}

ox_status ox_step_check_shift(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_shift_params *p = step->params;
    if (p->to_signed > 1 || p->zero)
        return ox_bad_step(ctx, "shift with direction %u", p->to_signed);
    return OX_OK;
}
