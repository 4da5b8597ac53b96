/* backend/runtime/gemm32_shared.c - see gemm32_shared.h. */
#include "backend/runtime/gemm32_shared.h"

enum { LAYOUT = 0x67320100 }; /* of this version of gemm32.c; the instruction set is added */

static void pack(void *to, void *arg) {
    const struct oxr_gemm32_part *p = arg;
    oxr_gemm32_pack(p->isa, to, p->rows, p->columns, p->b, 1, p->rows);
}

ox_status oxr_gemm32_shared_part(const float **packed, const struct oxr_env *env,
                                 const struct oxr_gemm32_part *part) {
    const struct oxr_shared_key key = {part->step, part->part, LAYOUT + (uint32_t)part->isa};
    struct oxr_gemm32_part copy = *part;
    const void *block = NULL;
    size_t size;
    if (ox_mul_size(&size, oxr_gemm32_size(part->isa, part->rows, part->columns), sizeof(float)))
        return ox_fail(env->ctx, OX_NOMEM, "no-memory", NULL, "packed weights");
    OX_TRY(oxr_shared_pack(&block, env, &key, size, pack, &copy));
    *packed = block;
    return OX_OK;
}

ox_status oxr_gemm32_shared(const float **packed, const struct oxr_env *env, size_t step,
                            enum ox_isa isa, size_t rows, size_t columns, const float *b) {
    return oxr_gemm32_shared_part(packed, env,
                                  &(struct oxr_gemm32_part){step, 0, isa, rows, columns, b});
}
