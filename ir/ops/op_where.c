/* ir/ops/op_where.c - Where: elements of one tensor or the other. */
#include "ir/ops/op_priv.h"
#include "ir/ops/simd.h"

/* Elements are only moved, so their size is all that counts. */
#define LOOP(fn, T)                                                                                \
    OX_CLONES static void fn(void *out, const void *const *in, unsigned one, size_t n,             \
                             const void *arg) {                                                    \
        const uint8_t *choose = in[0];                                                             \
        const T *xs = in[1], *ys = in[2];                                                          \
        T *zs = out;                                                                               \
        (void)arg;                                                                                 \
        if (one & 1) {                                                                             \
            const T *from = choose[0] ? xs : ys;                                                   \
            size_t step = one & (choose[0] ? 2u : 4u) ? 0 : 1;                                     \
            for (size_t i = 0; i < n; i++)                                                         \
                zs[i] = from[i * step];                                                            \
        } else if (one == 2) {                                                                     \
            T x = xs[0];                                                                           \
            for (size_t i = 0; i < n; i++)                                                         \
                zs[i] = choose[i] ? x : ys[i];                                                     \
        } else if (one == 4) {                                                                     \
            T y = ys[0];                                                                           \
            for (size_t i = 0; i < n; i++)                                                         \
                zs[i] = choose[i] ? xs[i] : y;                                                     \
        } else if (one == 6) {                                                                     \
            T x = xs[0], y = ys[0];                                                                \
            for (size_t i = 0; i < n; i++)                                                         \
                zs[i] = choose[i] ? x : y;                                                         \
        } else {                                                                                   \
            for (size_t i = 0; i < n; i++)                                                         \
                zs[i] = choose[i] ? xs[i] : ys[i];                                                 \
        }                                                                                          \
    }
struct pair {
    uint64_t low, high;
};
LOOP(where_1, uint8_t)
LOOP(where_2, uint16_t)
LOOP(where_4, uint32_t)
LOOP(where_8, uint64_t)
LOOP(where_16, struct pair)

static ox_loop_fn loop_of(size_t size) {
    return size == 1   ? where_1
           : size == 2 ? where_2
           : size == 4 ? where_4
           : size == 8 ? where_8
                       : where_16;
}

/* All that are whole bytes. */
#define WHERE_TYPES                                                                                \
    (OX_ANY_TYPE & ~(OX_BIT(OX_UINT4) | OX_BIT(OX_INT4) | OX_BIT(OX_FLOAT4E2M1) |                  \
                     OX_BIT(OX_UINT2) | OX_BIT(OX_INT2)))

static ox_status check_types(const struct ox_call *call, ox_dtype c, ox_dtype x, ox_dtype y) {
    OX_TRY(ox_expect_dtype(call, 0, c, OX_BIT(OX_BOOL)));
    OX_TRY(ox_expect_dtype(call, 1, x, WHERE_TYPES));
    OX_TRY(ox_expect_dtype(call, 2, y, WHERE_TYPES));
    return ox_expect_same_dtype(call, 1, x, 2, y);
}

/* ---- infer ----------------------------------------------------------------------------------- */

/* Element i of the condition: 1, 0, or -1 where it is not known. */
static int condition_at(const struct ox_call *call, const struct ox_infer *io, size_t i) {
    const ox_tensor *c = call->consts ? call->consts[0] : NULL;
    if (c) return ((const uint8_t *)c->data)[c->count == 1 ? 0 : i] != 0;
    const struct ox_partial *value = io->in_values[0];
    ox_dim d = value->elems[value->count == 1 ? 0 : i];
    return ox_dim_is_const(d) ? d.k != 0 : ox_dim_ge(d, 1) ? 1 : -1;
}

static ox_status infer_value(const struct ox_call *call, struct ox_infer *io) {
    const ox_tensor *c = call->consts ? call->consts[0] : NULL;
    const struct ox_partial *v = io->in_values ? io->in_values[0] : NULL;
    const struct ox_partial *x = io->in_values ? io->in_values[1] : NULL;
    const struct ox_partial *y = io->in_values ? io->in_values[2] : NULL;
    if (!x || !y || (!c && !v)) return OX_OK;
    size_t count_c = c ? c->count : v->count, count = 1;
    int rank_c = c ? c->rank : v->rank;
    if (count_c != 1) count = count_c;
    if (x->count != 1) count = x->count;
    if (y->count != 1) count = y->count;
    if (count > OX_PARTIAL_MAX || rank_c > 1) return OX_OK;
    if ((count_c != 1 && count_c != count) || (x->count != 1 && x->count != count)) return OX_OK;
    ox_dim elems[OX_PARTIAL_MAX];
    for (size_t i = 0; i < count; i++) {
        ox_dim a = x->elems[x->count == 1 ? 0 : i], b = y->elems[y->count == 1 ? 0 : i];
        int choose = condition_at(call, io, i);
        if (choose < 0 && !ox_dim_same(a, b)) OX_TRY(ox_dim_unknown_int(&a, io->dims));
        elems[i] = choose == 0 ? b : a;
    }
    int rank = rank_c > x->rank ? rank_c : x->rank;
    return ox_infer_value(io, 0, rank > y->rank ? rank : y->rank, count, elems);
}

ox_status ox_infer_where(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    ox_dtype x = ox_in_dtype(io, 1), y = ox_in_dtype(io, 2), dtype = x != OX_UNDEFINED ? x : y;
    OX_TRY(check_types(call, ox_in_dtype(io, 0), x, y));
    int rank = 0;
    ox_dim dims[OX_MAX_RANK];
    for (size_t i = 0; i < 3; i++) {
        if (ox_in_rank(io, i) < 0) return ox_infer_tensor(io, 0, dtype, -1, NULL);
        OX_TRY(ox_infer_broadcast(call, io, &rank, dims, io->in[i]->rank, io->in[i]->dims));
    }
    OX_TRY(infer_value(call, io));
    return ox_infer_tensor(io, 0, dtype, rank, dims);
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* Chooses among borrowed strings, then makes a tensor with copies of them. */
static ox_status where_strings(ox_tensor **out, ox_ctx *ctx, const struct ox_loop_operand *operands,
                               int rank, const int64_t *dims) {
    size_t count, bytes;
    struct ox_str *chosen;
    if (ox_shape_size(&count, &bytes, OX_STRING, rank, dims))
        return ox_fail(ctx, OX_INVALID, "shape-mismatch", NULL, "the result's shape overflows");
    OX_TRY(ox_alloc(ctx, &chosen, count, sizeof *chosen));
    ox_run_loop(ctx, where_16, NULL, 1, chosen, sizeof *chosen, rank, dims, 3, operands);
    ox_status status = ox_tensor_strings(out, ctx, rank, dims, chosen);
    ox_free(ctx, chosen);
    return status;
}

ox_status ox_eval_where(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out) {
    (void)params;
    OX_TRY(check_types(call, in[0]->dtype, in[1]->dtype, in[2]->dtype));
    int rank = 0;
    int64_t dims[OX_MAX_RANK];
    struct ox_loop_operand operands[3];
    for (size_t i = 0; i < 3; i++) {
        OX_TRY(ox_broadcast(call, &rank, dims, in[i]->rank, in[i]->dims));
        operands[i] = ox_loop_operand(in[i]);
    }
    size_t size = (size_t)ox_dtype_bits(in[1]->dtype) / 8;
    if (in[1]->dtype == OX_STRING) return where_strings(&out[0], call->ctx, operands, rank, dims);
    void *data;
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, in[1]->dtype, rank, dims));
    ox_run_loop(call->ctx, loop_of(size), NULL, 1, data, size, rank, dims, 3, operands);
    return OX_OK;
}
