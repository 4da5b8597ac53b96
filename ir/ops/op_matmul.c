/* ir/ops/op_matmul.c - MatMul. */
#include "ir/ops/op_matmul.h"

#include "ir/ops/kernel_product.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"

#define PRODUCT_TYPES                                                                              \
    (OX_FLOATS | OX_BIT(OX_INT32) | OX_BIT(OX_INT64) | OX_BIT(OX_UINT32) | OX_BIT(OX_UINT64))

/* ---- infer ----------------------------------------------------------------------------------- */

ox_status ox_infer_matmul(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    ox_dtype dtype = ox_in_dtype(io, 0), other = ox_in_dtype(io, 1);
    OX_TRY(ox_expect_dtype(call, 0, dtype, PRODUCT_TYPES));
    OX_TRY(ox_expect_dtype(call, 1, other, PRODUCT_TYPES));
    OX_TRY(ox_expect_same_dtype(call, 0, dtype, 1, other));
    if (dtype == OX_UNDEFINED) dtype = other;
    int a_rank = ox_in_rank(io, 0), b_rank = ox_in_rank(io, 1);
    if (a_rank == 0 || b_rank == 0) return ox_bad_shape(call, "an operand of MatMul is a scalar");
    if (a_rank < 0 || b_rank < 0) return ox_infer_tensor(io, 0, dtype, -1, NULL);

    const ox_dim *a = io->in[0]->dims, *b = io->in[1]->dims;
    ox_dim a_k = a[a_rank - 1], b_k = b[b_rank == 1 ? 0 : b_rank - 2];
    if (ox_dim_is_const(a_k) && ox_dim_is_const(b_k) && a_k.k != b_k.k)
        return ox_bad_shape(call, "%s times %s: the inner dims %lld and %lld differ",
                            ox_sym_dims_text(a_rank, a).text, ox_sym_dims_text(b_rank, b).text,
                            (long long)a_k.k, (long long)b_k.k);
    ox_dim out[OX_MAX_RANK + 2];
    int rank = a_rank > 2 ? a_rank - 2 : 0;
    for (int i = 0; i < rank; i++)
        out[i] = a[i];
    OX_TRY(ox_infer_broadcast(call, io, &rank, out, b_rank > 2 ? b_rank - 2 : 0, b));
    if (a_rank > 1) out[rank++] = a[a_rank - 2];
    if (b_rank > 1) out[rank++] = b[b_rank - 1];
    return ox_infer_tensor(io, 0, dtype, rank, out);
}

/* ---- eval ------------------------------------------------------------------------------------ */

ox_status ox_matmul_shape(struct ox_matmul_shape *s, const struct ox_call *call, const ox_tensor *a,
                          const ox_tensor *b) {
    if (a->rank == 0 || b->rank == 0) return ox_bad_shape(call, "an operand of MatMul is a scalar");
    s->m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    s->k = a->dims[a->rank - 1];
    s->n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    if (s->k != b->dims[b->rank == 1 ? 0 : b->rank - 2])
        return ox_bad_shape(call, "%s times %s: the inner dims differ",
                            ox_dims_text(a->rank, a->dims).text,
                            ox_dims_text(b->rank, b->dims).text);
    s->batch_rank = a->rank > 2 ? a->rank - 2 : 0;
    for (int i = 0; i < s->batch_rank; i++)
        s->batch[i] = a->dims[i];
    OX_TRY(ox_broadcast(call, &s->batch_rank, s->batch, b->rank > 2 ? b->rank - 2 : 0, b->dims));
    s->rank = s->batch_rank;
    memcpy(s->dims, s->batch, (size_t)s->rank * sizeof *s->dims);
    if (a->rank > 1) s->dims[s->rank++] = s->m;
    if (b->rank > 1) s->dims[s->rank++] = s->n;
    size_t count, bytes;
    if (ox_shape_size(&count, &bytes, OX_INT64, s->rank, s->dims))
        return ox_bad_shape(call, "the product %s is too large",
                            ox_dims_text(s->rank, s->dims).text);
    s->items = count == 0 ? 0 : count / ((size_t)s->m * (size_t)s->n);
    return OX_OK;
}

size_t ox_matmul_at(const struct ox_matmul_shape *s, const ox_tensor *t, size_t item,
                    size_t matrix) {
    size_t at = 0, stride = matrix;
    for (int d = s->batch_rank - 1, own = t->rank - 3; d >= 0; d--, own--) {
        size_t i = item % (size_t)s->batch[d];
        item /= (size_t)s->batch[d];
        if (own < 0) continue;
        if (t->dims[own] != 1) at += i * stride;
        stride *= (size_t)t->dims[own];
    }
    return at;
}

static size_t batch_count(const ox_tensor *t) {
    size_t count = 1;
    for (int i = 0; i < t->rank - 2; i++)
        count *= (size_t)t->dims[i];
    return count;
}

ox_status ox_eval_matmul(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const ox_tensor *a = in[0], *b = in[1];
    if (ox_is_narrow(a->dtype)) return ox_eval_wide(ox_eval_matmul, call, params, in, out, 1);
    struct ox_matmul_shape s;
    OX_TRY(ox_expect_dtype(call, 0, a->dtype, PRODUCT_TYPES));
    OX_TRY(ox_expect_same_dtype(call, 0, a->dtype, 1, b->dtype));
    OX_TRY(ox_matmul_shape(&s, call, a, b));
    void *c;
    OX_TRY(ox_tensor_new_raw(&out[0], &c, call->ctx, a->dtype, s.rank, s.dims));
    if (out[0]->count == 0) return OX_OK;

    size_t m = (size_t)s.m, n = (size_t)s.n, k = (size_t)s.k, items = s.items;
    struct ox_product p = {
        .dtype = a->dtype,
        .m = m,
        .n = n,
        .k = k,
        .a = a->data,
        .a_rs = k,
        .a_cs = 1,
        .b = b->data,
        .b_rs = n,
        .b_cs = 1,
        .c = c,
        .c_rs = n,
        .batch = 1,
    };
    if (batch_count(b) == 1) { /* one matrix for all rows */
        p.m = m * items;
        return ox_product(call->ctx, &p);
    }
    size_t *at;
    OX_TRY(ox_alloc_raw(call->ctx, &at, items, 3 * sizeof *at));
    for (size_t i = 0; i < items; i++) {
        at[i] = ox_matmul_at(&s, a, i, m * k);
        at[items + i] = ox_matmul_at(&s, b, i, k * n);
        at[2 * items + i] = i * m * n;
    }
    p.batch = items;
    p.a_at = batch_count(a) == 1 ? NULL : at;
    p.b_at = at + items;
    p.c_at = at + 2 * items;
    ox_status status = ox_product(call->ctx, &p);
    ox_free(call->ctx, at);
    return status;
}
