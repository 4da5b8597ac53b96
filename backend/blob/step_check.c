/* backend/blob/step_check.c - the table of native kinds, and what is the same for all of them. */
#include "backend/blob/step_check.h"

static const struct ox_step_kind_info kinds[] = {
#define STEP(number, NAME, name, min_in, max_in, min_out, max_out)                                 \
    {number,                                                                                       \
     #name,                                                                                        \
     sizeof(struct ox_step_##name##_params),                                                       \
     min_in,                                                                                       \
     max_in,                                                                                       \
     min_out,                                                                                      \
     max_out,                                                                                      \
     ox_step_check_##name},
#include "backend/blob/steps.def"
#undef STEP
};

const struct ox_step_kind_info *ox_step_kind_find(unsigned kind) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == kind) return &kinds[i];
    return NULL;
}

static bool count_fits(size_t n, int min, int max) {
    return n >= (size_t)min && (max < 0 || n <= (size_t)max);
}

ox_status ox_step_check(ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_kind_info *info = ox_step_kind_find(step->kind);
    if (!info) return ox_bad_step(ctx, "a step of unknown kind %u", step->kind);
    if (!count_fits(step->n_in, info->min_in, info->max_in) ||
        !count_fits(step->n_out, info->min_out, info->max_out))
        return ox_bad_step(ctx, "step %s has %zu operands and %zu results", info->name, step->n_in,
                           step->n_out);
    for (size_t i = 0; i < (size_t)info->min_in; i++)
        if (!step->present[i]) return ox_bad_step(ctx, "step %s lacks operand %zu", info->name, i);
    return info->check(ctx, step);
}
