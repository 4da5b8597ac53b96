/* backend/runtime/step_table.c - the kernels of native steps by kind. */
#include "backend/runtime/step.h"

static const struct {
    unsigned kind;
    const struct oxr_kernel *kernel;
} kernels[] = {
#define STEP(number, NAME, name, min_in, max_in, min_out, max_out) {number, &oxr_kernel_##name},
#if !OX_XNNPACK
#define XNN_STEP(...)
#endif
#include "backend/blob/steps.def"
#undef STEP
};

const struct oxr_kernel *oxr_kernel_find(unsigned kind) {
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (kernels[i].kind == kind) return kernels[i].kernel;
    return NULL;
}
