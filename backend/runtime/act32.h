/* backend/runtime/act32.h - activations behind float products: loops that run over parts of a
 * result while it is near. */
#ifndef OX_BACKEND_RUNTIME_ACT32_H
#define OX_BACKEND_RUNTIME_ACT32_H

#include "ir/ops/elementwise.h"

struct oxr_act32 {
    ox_loop_fn loop; /* NULL: none */
    struct ox_unary_params params;
};

/* Of a proved record's `act` (backend/blob/step_params.h). */
struct oxr_act32 oxr_act32(unsigned act);

static inline void oxr_act32_run(const struct oxr_act32 *act, float *x, size_t n) {
    const void *const in[] = {x};
    act->loop(x, in, 0, n, &act->params);
}

#endif
