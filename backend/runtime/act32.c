/* backend/runtime/act32.c - see act32.h. */
#include "backend/runtime/act32.h"

#include "backend/blob/step_params.h"
#include "backend/runtime/math32.h"

static ox_loop_fn best(enum ox_unary_op op) {
    const ox_loop_fn fast = oxr_math32_loop(ox_isa_pick(OX_ISA_BEST), op);
    return fast ? fast : ox_unary_kinds[op].f32;
}

struct oxr_act32 oxr_act32(unsigned act) {
    struct oxr_act32 a = {.params = {.alpha = 1}};
    switch (act) {
    case OX_STEP_ACT_SIGMOID:
        a.loop = best(OX_UN_Sigmoid);
        break;
    case OX_STEP_ACT_SWISH:
        a.loop = best(OX_UN_Swish);
        break;
    case OX_STEP_ACT_HARDSWISH:
        a.loop = best(OX_UN_HardSwish);
        break;
    default:
        break;
    }
    return a;
}
