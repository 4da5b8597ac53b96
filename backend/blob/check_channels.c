/* backend/blob/check_channels.c - proving steps that pick channels. */
#include "backend/blob/step_check.h"

ox_status ox_step_check_channels(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_channels_params *p = step->params;
    const ox_tensor *t = step->consts[1];
    if (p->zero != 0) return ox_bad_step(ctx, "unknown field");
    if (!step->present[0] || !t || t->dtype != OX_INT32 || t->rank != 1 || t->count == 0)
        return ox_bad_step(ctx, "channels without their numbers");
    for (size_t i = 0; i < t->count; i++)
        if (((const int32_t *)t->data)[i] < 0)
            return ox_bad_step(ctx, "channel %d", ((const int32_t *)t->data)[i]);
    return OX_OK;
}
