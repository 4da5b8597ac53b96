/* backend/runtime/xnn_common.c - see xnn_common.h. */
#include "backend/runtime/xnn_common.h"

#include <cpuinfo.h>

#ifdef OX_XNNPACK_UNCORRECTED
/* Installed libraries lack our corrections: without these instruction sets (GFNI stands for AMX,
 * too) their results are right. */
bool oxr_xnn_identify(void) {
    if (!cpuinfo_initialize()) return false;
#if CPUINFO_ARCH_X86_64
    extern struct cpuinfo_x86_isa cpuinfo_isa;
    cpuinfo_isa.gfni = cpuinfo_isa.amx_int8 = cpuinfo_isa.avx512fp16 = false;
#endif
    return true;
}
#else
bool oxr_xnn_identify(void) {
    return cpuinfo_initialize();
}
#endif

ox_status oxr_xnn_start(ox_ctx *ctx) {
    if (!oxr_xnn_identify())
        return ox_fail(ctx, OX_UNSUPPORTED, "no-kernel", NULL,
                       "the processor cannot be identified");
    return oxr_xnn_try(ctx, xnn_initialize(NULL), "start");
}

bool oxr_xnn_amx(void) {
    return cpuinfo_initialize() && cpuinfo_has_x86_amx_int8();
}

ox_status oxr_xnn_try(ox_ctx *ctx, enum xnn_status status, const char *what) {
    switch (status) {
    case xnn_status_success:
        return OX_OK;
    case xnn_status_out_of_memory:
        return ox_fail(ctx, OX_NOMEM, "no-memory", NULL, "XNNPACK: %s", what);
    case xnn_status_unsupported_hardware:
        return ox_fail(ctx, OX_UNSUPPORTED, "no-kernel", NULL,
                       "XNNPACK does not know this processor");
    default:
        return ox_fail(ctx, OX_INVALID, "bad-step", NULL, "XNNPACK: %s gave %d", what, (int)status);
    }
}

bool oxr_count(size_t *count, const struct oxr_shape *shape, int from, int to) {
    *count = 1;
    for (int i = from; i < to; i++)
        if (shape->dims[i] < 0 || ox_mul_size(count, *count, (size_t)shape->dims[i])) return false;
    return true;
}

ox_status oxr_like(const struct oxr_env *env, const struct oxr_shape *a, const struct oxr_shape *b,
                   const char *what) {
    if (a->dtype != b->dtype) return oxr_bad_type(env, a, what);
    if (a->rank != b->rank || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) != 0)
        return oxr_bad_shape(env, "%s has other dims", what);
    return OX_OK;
}
