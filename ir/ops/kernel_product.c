/* ir/ops/kernel_product.c - matrix products of any element type; see kernel_product.h. */
#include "ir/ops/kernel_product.h"

#include "ir/ops/kernel_gemm.h"
#include "ir/ops/simd.h"

/* Row i of one item. Integers are taken as unsigned of their width: the low bits of a product do
 * not depend on the sign, and overflow is defined. uint16_t operands would be promoted to int,
 * hence the wide type W. */
#define ROW_FN(name, T, W)                                                                         \
    OX_CLONES static void name(const struct ox_product *p, size_t item, size_t i) {                \
        T *c = (T *)p->c + (p->c_at ? p->c_at[item] : 0) + i * p->c_rs;                            \
        for (size_t j = 0; !p->add && j < p->n; j++)                                               \
            c[j] = 0;                                                                              \
        if (p->k == 0) return; /* then A and B may be NULL */                                      \
        const T *a = (const T *)p->a + (p->a_at ? p->a_at[item] : 0) + i * p->a_rs;                \
        const T *b = (const T *)p->b + (p->b_at ? p->b_at[item] : 0);                              \
        for (size_t k = 0; k < p->k; k++) {                                                        \
            W x = (W)a[k * p->a_cs];                                                               \
            const T *row = b + k * p->b_rs;                                                        \
            if (p->b_cs == 1)                                                                      \
                for (size_t j = 0; j < p->n; j++)                                                  \
                    c[j] = (T)((W)c[j] + x * (W)row[j]);                                           \
            else                                                                                   \
                for (size_t j = 0; j < p->n; j++)                                                  \
                    c[j] = (T)((W)c[j] + x * (W)row[j * p->b_cs]);                                 \
        }                                                                                          \
    }
ROW_FN(row_f64, double, double)
ROW_FN(row_u8, uint8_t, uint32_t)
ROW_FN(row_u16, uint16_t, uint32_t)
ROW_FN(row_u32, uint32_t, uint32_t)
ROW_FN(row_u64, uint64_t, uint64_t)
#undef ROW_FN

static void rows(void *arg, size_t begin, size_t end) {
    const struct ox_product *p = arg;
    for (size_t r = begin; r < end; r++) {
        size_t item = r / p->m, i = r % p->m;
        if (p->dtype == OX_DOUBLE)
            row_f64(p, item, i);
        else if (ox_dtype_bits(p->dtype) == 8)
            row_u8(p, item, i);
        else if (ox_dtype_bits(p->dtype) == 16)
            row_u16(p, item, i);
        else if (ox_dtype_bits(p->dtype) == 32)
            row_u32(p, item, i);
        else
            row_u64(p, item, i);
    }
}

ox_status ox_product(ox_ctx *ctx, const struct ox_product *p) {
    if (p->m == 0 || p->n == 0 || p->batch == 0) return OX_OK;
    if (p->dtype == OX_FLOAT) {
        struct ox_gemm g = {
            .m = p->m,
            .n = p->n,
            .k = p->k,
            .a = p->a,
            .a_rs = p->a_rs,
            .a_cs = p->a_cs,
            .b = p->b,
            .b_rs = p->b_rs,
            .b_cs = p->b_cs,
            .c = p->c,
            .c_rs = p->c_rs,
            .add = p->add,
            .batch = p->batch,
            .a_at = p->a_at,
            .b_at = p->b_at,
            .c_at = p->c_at,
        };
        return ox_gemm(ctx, &g);
    }
    struct ox_product copy = *p;
    size_t grain = 1 + 50000 / (p->n * (p->k + 1));
    ox_parallel(ctx, p->batch * p->m, grain, rows, &copy);
    return OX_OK;
}
