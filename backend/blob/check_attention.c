/* backend/blob/check_attention.c - proving attention steps. */
#include "backend/blob/step_check.h"

#include <math.h>

ox_status ox_step_check_attention(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_attention_params *p = step->params;
    for (size_t i = 0; i < 3; i++)
        if (!step->present[i]) return ox_bad_step(ctx, "attention lacks operand %zu", i);
    if (p->rows_first >= 2 * OX_STEP_ATTENTION_RESULT || !isfinite(p->scale))
        return ox_bad_step(ctx, "attention of layout %u, scale %g", p->rows_first,
                           (double)p->scale);
    return OX_OK;
}
