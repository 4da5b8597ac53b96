/* backend/runtime/gemm32_shared.c - see gemm32_shared.h. */
#include "backend/runtime/gemm32_shared.h"

enum { LAYOUT = 0x67320100 }; /* of this version of gemm32.c; the instruction set is added */

struct source {
    enum ox_isa isa;
    size_t rows, columns;
    const float *b;
};

static void pack(void *to, void *arg)
{
    const struct source *s = arg;
    oxr_gemm32_pack(s->isa, to, s->rows, s->columns, s->b, 1, s->rows);
}

ox_status oxr_gemm32_shared(const float **packed, const struct oxr_env *env, size_t step, enum ox_isa isa, size_t rows, size_t columns, const float *b)
{
    struct source source = {isa, rows, columns, b};
    const void *block = NULL;
    size_t size;
    if (ox_mul_size(&size, oxr_gemm32_size(isa, rows, columns), sizeof(float))) return ox_fail(env->ctx, OX_NOMEM, "no-memory", NULL, "packed weights");
    OX_TRY(oxr_shared_pack(&block, env, &(struct oxr_shared_key){step, 0, LAYOUT + (uint32_t)isa}, size, pack, &source));
    *packed = block;
    return OX_OK;
}
