/* ir/ops/op_heads_steps.c - steps of the recipes of attentions: the attention itself, on the engine
 * of attention.h, and GroupQueryAttention's cache and positions. op_heads.h is their contract. */
#include "ir/ops/attention.h"
#include "ir/ops/broadcast.h"
#include "ir/ops/op_heads.h"
#include "ir/ops/op_priv.h"
#include <math.h>

static ox_dim dim_of(const struct ox_infer *io, size_t i, int d) {
    return io->in[i]->dims[d];
}

static ox_status check_rank(const struct ox_call *call, const char *what, int rank, int expected) {
    if (rank < 0 || rank == expected) return OX_OK;
    return ox_bad_shape(call, "the %s of %s have %d dims, expected %d", what, call->op->name, rank,
                        expected);
}

/* ---- attend ---------------------------------------------------------------------------------- */

struct attend_params {
    float scale, softcap;
    int64_t causal, window, stage;
};

enum { Q, K, V, BIAS, LENGTHS, OFFSETS, SINKS, N_INPUTS };

static ox_status decode_attend(const struct ox_call *call, void *params) {
    struct attend_params *p = params;
    OX_TRY(ox_attr_float(&p->scale, call, "scale", 0));
    OX_TRY(ox_attr_float(&p->softcap, call, "softcap", 0));
    OX_TRY(ox_attr_int(&p->causal, call, "causal", 0));
    OX_TRY(ox_attr_int(&p->window, call, "window", -1));
    return ox_attr_int(&p->stage, call, "stage", OX_ATTENTION_PROBS);
}

static ox_status infer_attend(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    for (size_t i = Q; i <= V; i++)
        OX_TRY(check_rank(call,
                          i == Q   ? "queries"
                          : i == K ? "keys"
                                   : "values",
                          ox_in_rank(io, i), 4));
    ox_dtype dtype = ox_in_dtype(io, Q);
    bool known = ox_in_rank(io, Q) == 4 && ox_in_rank(io, K) == 4 && ox_in_rank(io, V) == 4;
    if (!known) {
        if (call->n_out > 1) OX_TRY(ox_infer_tensor(io, 1, dtype, -1, NULL));
        return ox_infer_tensor(io, 0, dtype, -1, NULL);
    }
    ox_dim y[3] = {dim_of(io, Q, 0), dim_of(io, Q, 2), {0, NULL}};
    ox_dim scores[4] = {dim_of(io, Q, 0), dim_of(io, Q, 1), dim_of(io, Q, 2), dim_of(io, K, 2)};
    OX_TRY(ox_dim_mul(&y[2], io->dims, dim_of(io, Q, 1), dim_of(io, V, 3)));
    if (call->n_out > 1) OX_TRY(ox_infer_tensor(io, 1, dtype, 4, scores));
    return ox_infer_tensor(io, 0, dtype, 3, y);
}

static ox_status shapes_fit(const struct ox_call *call, const ox_tensor *const *in) {
    const ox_tensor *q = in[Q], *k = in[K], *v = in[V];
    for (int i = Q; i <= V; i++) {
        OX_TRY(check_rank(call, i == Q ? "queries" : i == K ? "keys" : "values", in[i]->rank, 4));
        OX_TRY(ox_expect_dtype(call, (size_t)i, in[i]->dtype, OX_BIT(OX_FLOAT)));
    }
    bool fit = q->dims[0] == k->dims[0] && q->dims[0] == v->dims[0] && k->dims[1] == v->dims[1] &&
               k->dims[2] == v->dims[2] && q->dims[3] == k->dims[3] && k->dims[1] > 0 &&
               q->dims[1] % k->dims[1] == 0;
    if (fit) return OX_OK;
    return ox_bad_shape(call, "queries %s, keys %s and values %s of %s do not fit",
                        ox_dims_text(4, q->dims).text, ox_dims_text(4, k->dims).text,
                        ox_dims_text(4, v->dims).text, call->op->name);
}

/* Strides of a bias that broadcasts to the scores; it may end before the last key. */
static ox_status place_bias(struct ox_attention *a, const struct ox_call *call,
                            const ox_tensor *bias, const int64_t *scores) {
    if (!bias) return OX_OK;
    int64_t dims[4] = {scores[0], scores[1], scores[2], scores[3]};
    int64_t last = bias->rank > 0 ? bias->dims[bias->rank - 1] : 1;
    if (last != 1 && last < dims[3]) dims[3] = last;
    OX_TRY(ox_expect_dtype(call, BIAS, bias->dtype, OX_BIT(OX_FLOAT)));
    if (!ox_broadcasts_to(4, dims, bias->rank, bias->dims))
        return ox_bad_shape(call, "bias or mask %s of %s does not fit scores %s",
                            ox_dims_text(bias->rank, bias->dims).text, call->op->name,
                            ox_dims_text(4, scores).text);
    size_t strides[4] = {0}, stride = 1;
    for (int d = 3, own = bias->rank - 1; own >= 0; d--, own--) {
        strides[d] = bias->dims[own] == 1 ? 0 : stride;
        stride *= (size_t)bias->dims[own];
    }
    a->bias = bias->data;
    a->bias_at = (struct ox_attention_mask_at){strides[0], strides[1], strides[2], strides[3],
                                               (size_t)dims[3]};
    return OX_OK;
}

static ox_status check_vector(const struct ox_call *call, const ox_tensor *t, size_t i,
                              ox_dtype dtype, int64_t n, bool one) {
    if (!t) return OX_OK;
    OX_TRY(ox_expect_dtype(call, i, t->dtype, OX_BIT(dtype)));
    if (t->rank == 1 && (t->dims[0] == n || (one && t->dims[0] == 1))) return OX_OK;
    return ox_bad_shape(call, "%s has a vector of %s, expected %lld elements", call->op->name,
                        ox_dims_text(t->rank, t->dims).text, (long long)n);
}

/* Rows of a tensor [B,H,S,D] without gaps. */
static struct ox_attention_at rows_of(const ox_tensor *t) {
    size_t row = (size_t)t->dims[3], head = row * (size_t)t->dims[2];
    return (struct ox_attention_at){head * (size_t)t->dims[1], head, row};
}

static ox_status eval_attend(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    const struct attend_params *p = params;
    const ox_tensor *all[N_INPUTS] = {NULL};
    for (size_t i = 0; i < call->n_in; i++)
        all[i] = in[i];
    OX_TRY(shapes_fit(call, all));
    const ox_tensor *q = all[Q], *k = all[K], *v = all[V];
    const int64_t scores[4] = {q->dims[0], q->dims[1], q->dims[2], k->dims[2]};
    int64_t y[3] = {q->dims[0], q->dims[2], 0};
    if (ox_mul_i64(&y[2], q->dims[1], v->dims[3]))
        return ox_bad_shape(call, "the result is too large");
    struct ox_attention a = {.dtype = OX_FLOAT,
                             .batch = (size_t)scores[0],
                             .heads = (size_t)scores[1],
                             .kv_heads = (size_t)k->dims[1],
                             .q_len = (size_t)scores[2],
                             .kv_len = (size_t)scores[3],
                             .qk_size = (size_t)q->dims[3],
                             .v_size = (size_t)v->dims[3],
                             .q = q->data,
                             .k = k->data,
                             .v = v->data,
                             .q_at = rows_of(q),
                             .k_at = rows_of(k),
                             .v_at = rows_of(v),
                             .scale =
                                 p->scale != 0 ? (double)p->scale : 1 / sqrt((double)q->dims[3]),
                             .softcap = (double)p->softcap,
                             .causal = p->causal != 0,
                             .left = p->window > 0 ? p->window - 1 : -1,
                             .right = -1,
                             .stage = (enum ox_attention_stage)p->stage};
    a.y_at = (struct ox_attention_at){(size_t)y[1] * (size_t)y[2], a.v_size, (size_t)y[2]};
    OX_TRY(place_bias(&a, call, all[BIAS], scores));
    OX_TRY(check_vector(call, all[LENGTHS], LENGTHS, OX_INT64, scores[0], false));
    OX_TRY(check_vector(call, all[OFFSETS], OFFSETS, OX_INT64, scores[0], true));
    OX_TRY(check_vector(call, all[SINKS], SINKS, OX_FLOAT, scores[1], false));
    if (all[LENGTHS]) a.lengths = all[LENGTHS]->data;
    if (all[SINKS]) a.sinks = all[SINKS]->data;
    if (all[OFFSETS] && all[OFFSETS]->count == 1)
        a.offset = *(const int64_t *)all[OFFSETS]->data;
    else if (all[OFFSETS])
        a.offsets = all[OFFSETS]->data;
    OX_TRY(ox_tensor_new(&out[0], &a.y, call->ctx, OX_FLOAT, 3, y));
    if (call->n_out > 1) OX_TRY(ox_tensor_new(&out[1], &a.scores, call->ctx, OX_FLOAT, 4, scores));
    return out[0]->count == 0 || a.kv_len == 0 ? OX_OK : ox_attention(call->ctx, &a);
}

#define STEP(step, most_in, least_in, most_out)                                                    \
    {                                                                                              \
        .domain = "com.microsoft", .name = "Attention", .since = 1, .newest = 1,                   \
        .min_in = least_in, .max_in = most_in, .min_out = 1, .max_out = most_out,                  \
        .traits = OX_PURE | OX_ANY_OPTIONAL, .params_size = sizeof(struct attend_params),          \
        .decode = decode_##step, .infer = infer_##step, .eval = eval_##step                        \
    }
static const struct ox_op attend_op = STEP(attend, N_INPUTS, 3, 2);

ox_v ox_rc_attend(struct ox_recipe *r, const struct ox_attend_in *in, ox_v *scores) {
    const ox_v values[N_INPUTS] = {in->q,       in->k,       in->v,    in->bias,
                                   in->lengths, in->offsets, in->sinks};
    ox_v out[2] = {OX_NO_V, OX_NO_V};
    ox_rc_run(r, &attend_op, N_INPUTS, values, scores ? 2 : 1, out);
    if (scores) *scores = out[1];
    return out[0];
}

/* ---- append ---------------------------------------------------------------------------------- */

static ox_status decode_none_at_all(const struct ox_call *call, void *params) {
    (void)call;
    (void)params;
    return OX_OK;
}
#define decode_append decode_none_at_all
#define decode_positions decode_none_at_all

/* Inputs: fresh, past, lengths, total. */
static ox_status infer_append(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(check_rank(call, "keys", ox_in_rank(io, 0), 4));
    OX_TRY(check_rank(call, "keys of the past", io->in[1] ? ox_in_rank(io, 1) : -1, 4));
    if (ox_in_rank(io, 0) < 0) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    ox_dim dims[4] = {dim_of(io, 0, 0), dim_of(io, 0, 1), {0, NULL}, dim_of(io, 0, 3)};
    const struct ox_partial *total = io->in_values[3];
    bool has_past = call->present[1],
         known = total && total->count == 1 && (!has_past || ox_in_rank(io, 1) == 4);
    if (known && ox_dim_is_const(total->elems[0]) && total->elems[0].k < 0)
        known = false; /* eval says so */
    if (!known)
        OX_TRY(ox_dim_unknown(&dims[2], io->dims));
    else if (!has_past)
        dims[2] = total->elems[0];
    else
        OX_TRY(ox_dim_max(&dims[2], io->dims, total->elems[0], dim_of(io, 1, 2)));
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), 4, dims);
}

/* Queries that are not the whole sequence come after what there is already: keys before the first
 * query. */
static int64_t keys_before(int64_t length_less_1, int64_t queries, int64_t total) {
    return queries == total ? 0 : length_less_1 + 1 - queries;
}

static ox_status read_lengths(const struct ox_call *call, const ox_tensor *lengths,
                              const ox_tensor *total, int64_t batch, int64_t queries,
                              int64_t *total_out) {
    OX_TRY(ox_expect_dtype(call, 5, lengths->dtype, OX_BIT(OX_INT32)));
    OX_TRY(ox_expect_dtype(call, 6, total->dtype, OX_BIT(OX_INT32)));
    if (total->count != 1 || (int64_t)lengths->count != batch)
        return ox_bad_shape(
            call, "seqlens_k has %zu elements for a batch of %lld, total_sequence_length %zu",
            lengths->count, (long long)batch, total->count);
    *total_out = *(const int32_t *)total->data;
    for (size_t b = 0; b < lengths->count; b++) {
        int64_t length = ((const int32_t *)lengths->data)[b];
        if (length < 0 || length >= *total_out || keys_before(length, queries, *total_out) < 0)
            return ox_fail(
                call->ctx, OX_INVALID, "bad-length", NULL,
                "seqlens_k[%zu] is %lld with %lld queries and a total_sequence_length of %lld", b,
                (long long)length, (long long)queries, (long long)*total_out);
    }
    if (*total_out >= queries) return OX_OK;
    return ox_fail(call->ctx, OX_INVALID, "bad-length", NULL,
                   "total_sequence_length is %lld, less than the %lld queries",
                   (long long)*total_out, (long long)queries);
}

static ox_status eval_append(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    const ox_tensor *fresh = in[0], *past = in[1];
    int64_t total;
    void *data;
    (void)params;
    OX_TRY(check_rank(call, "keys", fresh->rank, 4));
    OX_TRY(ox_expect_dtype(call, 0, fresh->dtype, OX_BIT(OX_FLOAT)));
    OX_TRY(read_lengths(call, in[2], in[3], fresh->dims[0], fresh->dims[2], &total));
    if (past) {
        OX_TRY(check_rank(call, "keys of the past", past->rank, 4));
        OX_TRY(ox_expect_same_dtype(call, 0, fresh->dtype, 3, past->dtype));
        for (int d = 0; d < 4; d++)
            if (d != 2 && past->dims[d] != fresh->dims[d])
                return ox_bad_shape(call, "past %s does not fit new keys %s",
                                    ox_dims_text(4, past->dims).text,
                                    ox_dims_text(4, fresh->dims).text);
    }
    int64_t have = past ? past->dims[2] : 0,
            dims[4] = {fresh->dims[0], fresh->dims[1], have > total ? have : total, fresh->dims[3]};
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, OX_FLOAT, 4, dims));
    size_t row = (size_t)dims[3], n = (size_t)fresh->dims[2], groups = (size_t)dims[1];
    for (size_t i = 0; i < (size_t)dims[0] * groups; i++) {
        int64_t before = keys_before(((const int32_t *)in[2]->data)[i / groups], (int64_t)n, total);
        float *to = (float *)data + i * (size_t)dims[2] * row;
        if (before > have)
            return ox_fail(call->ctx, OX_INVALID, "bad-length", NULL,
                           "%lld keys before the queries, the past has %lld", (long long)before,
                           (long long)have);
        if (before)
            memcpy(to, (const float *)past->data + i * (size_t)have * row,
                   (size_t)before * row * sizeof *to);
        if (fresh->count)
            memcpy(to + (size_t)before * row, (const float *)fresh->data + i * n * row,
                   n * row * sizeof *to);
    }
    return OX_OK;
}

static const struct ox_op append_op = STEP(append, 4, 1, 1);

ox_v ox_rc_append(struct ox_recipe *r, ox_v fresh, ox_v past, ox_v lengths, ox_v total) {
    ox_v out;
    ox_rc_run(r, &append_op, 4, (ox_v[]){fresh, past, lengths, total}, 1, &out);
    return out;
}

/* ---- positions ------------------------------------------------------------------------------- */

/* Inputs: queries [B,H,S,D], lengths, total. */
static ox_status infer_positions(const struct ox_call *call, const void *params,
                                 struct ox_infer *io) {
    (void)call;
    (void)params;
    if (ox_in_rank(io, 0) != 4) {
        OX_TRY(ox_infer_tensor(io, 1, OX_INT64, -1, NULL));
        return ox_infer_tensor(io, 0, OX_INT64, -1, NULL);
    }
    const ox_dim dims[2] = {dim_of(io, 0, 0), dim_of(io, 0, 2)};
    OX_TRY(ox_infer_tensor(io, 1, OX_INT64, 1, dims));
    return ox_infer_tensor(io, 0, OX_INT64, 2, dims);
}

static ox_status eval_positions(const struct ox_call *call, const void *params,
                                const ox_tensor *const *in, ox_tensor **out) {
    int64_t total;
    void *positions, *first;
    (void)params;
    OX_TRY(check_rank(call, "queries", in[0]->rank, 4));
    const int64_t dims[2] = {in[0]->dims[0], in[0]->dims[2]};
    OX_TRY(read_lengths(call, in[1], in[2], dims[0], dims[1], &total));
    OX_TRY(ox_tensor_new(&out[0], &positions, call->ctx, OX_INT64, 2, dims));
    OX_TRY(ox_tensor_new(&out[1], &first, call->ctx, OX_INT64, 1, dims));
    for (int64_t b = 0; b < dims[0]; b++) {
        int64_t length = ((const int32_t *)in[1]->data)[b],
                before = keys_before(length, dims[1], total);
        ((int64_t *)first)[b] = before;
        for (int64_t s = 0; s < dims[1]; s++) /* 1 is what padding behind the end of an item gets */
            ((int64_t *)positions)[b * dims[1] + s] = before + s <= length ? before + s : 1;
    }
    return OX_OK;
}

static const struct ox_op positions_op = STEP(positions, 3, 3, 2);

ox_v ox_rc_positions(struct ox_recipe *r, ox_v q, ox_v lengths, ox_v total, ox_v *first) {
    ox_v out[2];
    ox_rc_run(r, &positions_op, 3, (ox_v[]){q, lengths, total}, 2, out);
    *first = out[1];
    return out[0];
}
