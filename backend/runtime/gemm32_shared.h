/* backend/runtime/gemm32_shared.h - packed right sides of gemm32.h, shared by the sessions of a
 * program. */
#ifndef OX_BACKEND_RUNTIME_GEMM32_SHARED_H
#define OX_BACKEND_RUNTIME_GEMM32_SHARED_H

#include "backend/runtime/gemm32.h"
#include "backend/runtime/shared.h"

/* The right side of one product of a step: what is packed, of which part. */
struct oxr_gemm32_part {
    size_t step;
    uint32_t part;
    enum ox_isa isa;
    size_t rows, columns;
    const float *b; /* b[column * rows + row] */
};
OX_MUST_USE ox_status oxr_gemm32_shared_part(const float **packed, const struct oxr_env *env,
                                             const struct oxr_gemm32_part *part);

/* What oxr_gemm32_pack makes of weights b[column * rows + row] of step number `step`. */
OX_MUST_USE ox_status oxr_gemm32_shared(const float **packed, const struct oxr_env *env,
                                        size_t step, enum ox_isa isa, size_t rows, size_t columns,
                                        const float *b);

#endif
