/* ir/ops/op_attention.c - Attention: three or four dims, past and present keys and values, masks.
 *
 * Source: ONNX operator specification, Attention (opsets 23 to 25). What it means is in
 * attention.h; here tensors are brought into the engine's form. 16-bit floats are computed in
 * float. */
#include "ir/ops/convert.h"
#include "ir/ops/op_args.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"
#include <math.h>

enum { Q, K, V, MASK, PAST_K, PAST_V, LENGTHS }; /* inputs */
enum { Y, PRESENT_K, PRESENT_V, SCORES };        /* outputs */

static bool wanted(const struct ox_call *call, size_t i) {
    return i < call->n_out && (!call->wanted || call->wanted[i]);
}

/* ---- decode ---------------------------------------------------------------------------------- */

static ox_status decode_heads(struct ox_attention_params *p, const struct ox_call *call) {
    OX_TRY(ox_attr_int(&p->heads, call, "q_num_heads", 0));
    OX_TRY(ox_attr_int(&p->kv_heads, call, "kv_num_heads", 0));
    if (p->heads < 0 || p->kv_heads < 0 || (p->heads == 0) != (p->kv_heads == 0))
        return ox_bad_attr(call, "q_num_heads is %lld, kv_num_heads %lld", (long long)p->heads,
                           (long long)p->kv_heads);
    if (p->kv_heads > 0 && p->heads % p->kv_heads != 0)
        return ox_bad_attr(call, "%lld heads cannot share %lld heads of keys", (long long)p->heads,
                           (long long)p->kv_heads);
    return OX_OK;
}

static ox_status decode_window(struct ox_attention_params *p, const struct ox_call *call) {
    p->left = p->right = -1;
    if (call->opset < 25) return OX_OK;
    OX_TRY(ox_attr_int(&p->left, call, "left_window_size", -1));
    OX_TRY(ox_attr_int(&p->right, call, "right_window_size", -1));
    if (p->left >= -1 && p->right >= -1) return OX_OK;
    return ox_bad_attr(call, "window of %lld to the left and %lld to the right", (long long)p->left,
                       (long long)p->right);
}

static ox_status check_caches(const struct ox_call *call) {
    bool past = ox_has_input(call, PAST_K);
    if (past != ox_has_input(call, PAST_V))
        return ox_bad_shape(call, "past_key and past_value go together, one of them is absent");
    if (ox_has_input(call, LENGTHS) && past)
        return ox_bad_shape(call, "nonpad_kv_seqlen and past_key exclude each other");
    return OX_OK;
}

ox_status ox_decode_attention(const struct ox_call *call, void *params) {
    struct ox_attention_params *p = params;
    int64_t causal, precision, mode;
    OX_TRY(ox_attr_int(&causal, call, "is_causal", 0));
    p->causal = causal != 0;
    p->has_scale = ox_attr_find(call, "scale") != NULL;
    OX_TRY(ox_attr_float(&p->scale, call, "scale", 1));
    OX_TRY(ox_attr_float(&p->softcap, call, "softcap", 0));
    OX_TRY(ox_attr_int(&precision, call, "softmax_precision", OX_UNDEFINED));
    if (precision != OX_UNDEFINED &&
        (!ox_dtype_valid(precision) || !(OX_FLOATS & OX_BIT(precision))))
        return ox_bad_attr(call, "softmax_precision is %lld, expected 1, 10, 11 or 16",
                           (long long)precision);
    p->softmax = (ox_dtype)precision;
    OX_TRY(ox_attr_int(&mode, call, "qk_matmul_output_mode", 0));
    if (mode < OX_ATTENTION_RAW || mode > OX_ATTENTION_PROBS)
        return ox_bad_attr(call, "qk_matmul_output_mode is %lld, expected 0 to 3", (long long)mode);
    p->stage = (enum ox_attention_stage)mode;
    p->pads_mask = call->opset >= 24;
    OX_TRY(decode_heads(p, call));
    OX_TRY(decode_window(p, call));
    return check_caches(call);
}

/* ---- infer ----------------------------------------------------------------------------------- */

/* One of Q, K, V as [batch, heads, length, size]; false: nothing is known. */
static ox_status infer_four(bool *known, ox_dim *four, const struct ox_call *call,
                            struct ox_infer *io, size_t i, int64_t heads) {
    int rank = ox_in_rank(io, i);
    *known = rank >= 0;
    if (rank < 0) return OX_OK;
    OX_TRY(ox_expect_rank(call, i, rank, 3, 4));
    const ox_dim *dims = io->in[i]->dims;
    if (rank == 4) {
        memcpy(four, dims, 4 * sizeof *four);
        return OX_OK;
    }
    if (heads == 0)
        return ox_bad_attr(call,
                           "input %zu has three dims: q_num_heads and kv_num_heads are needed", i);
    if (ox_dim_is_const(dims[2]) && dims[2].k % heads != 0)
        return ox_bad_shape(call, "input %zu: %lld elements cannot be split into %lld heads", i,
                            (long long)dims[2].k, (long long)heads);
    four[0] = dims[0];
    four[1] = ox_dim_const(heads);
    four[2] = dims[1];
    return ox_dim_floordiv(&four[3], io->dims, dims[2], ox_dim_const(heads));
}

static ox_status infer_y(struct ox_infer *io, const ox_dim *q, const ox_dim *v) {
    ox_dtype dtype = ox_in_dtype(io, Q);
    ox_dim dims[4] = {q[0], q[1], q[2], v[3]};
    if (ox_in_rank(io, Q) == 4) return ox_infer_tensor(io, Y, dtype, 4, dims);
    dims[1] = q[2];
    OX_TRY(ox_dim_mul(&dims[2], io->dims, q[1], v[3]));
    return ox_infer_tensor(io, Y, dtype, 3, dims);
}

/* Length of the keys, those of the past included; unknown where the past is. */
static ox_status infer_total(ox_dim *total, const struct ox_call *call, struct ox_infer *io,
                             ox_dim length) {
    *total = length;
    if (!ox_has_input(call, PAST_K)) return OX_OK;
    if (ox_in_rank(io, PAST_K) < 0) return ox_dim_unknown(total, io->dims);
    OX_TRY(ox_expect_rank(call, PAST_K, ox_in_rank(io, PAST_K), 4, 4));
    return ox_dim_add(total, io->dims, io->in[PAST_K]->dims[2], length);
}

ox_status ox_infer_attention(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_attention_params *p = params;
    ox_dim q[4], k[4], v[4], total;
    bool q_known, k_known, v_known;
    for (size_t i = Q; i <= V; i++)
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), OX_FLOATS));
    OX_TRY(infer_four(&q_known, q, call, io, Q, p->heads));
    OX_TRY(infer_four(&k_known, k, call, io, K, p->kv_heads));
    OX_TRY(infer_four(&v_known, v, call, io, V, p->kv_heads));
    if (q_known && v_known)
        OX_TRY(infer_y(io, q, v));
    else
        OX_TRY(ox_infer_rank(io, Y, ox_in_dtype(io, Q), ox_in_rank(io, Q)));
    if (!k_known) return OX_OK;
    OX_TRY(infer_total(&total, call, io, k[2]));
    k[2] = total;
    if (call->n_out > PRESENT_K) OX_TRY(ox_infer_tensor(io, PRESENT_K, ox_in_dtype(io, K), 4, k));
    if (v_known) v[2] = total;
    if (call->n_out > PRESENT_V && v_known)
        OX_TRY(ox_infer_tensor(io, PRESENT_V, ox_in_dtype(io, V), 4, v));
    if (call->n_out <= SCORES || !q_known) return OX_OK;
    q[3] = total;
    return ox_infer_tensor(io, SCORES, ox_in_dtype(io, Q), 4, q);
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* An operand as [batch, heads, length, size], wherever its elements lie. */
struct operand {
    size_t batch, heads, length, size;
    struct ox_attention_at at;
};

static ox_status see(struct operand *o, const struct ox_call *call, const ox_tensor *t, size_t i,
                     int64_t heads) {
    const int64_t *d = t->dims;
    if (t->rank == 4) {
        size_t n = (size_t)d[2] * (size_t)d[3];
        *o = (struct operand){(size_t)d[0],
                              (size_t)d[1],
                              (size_t)d[2],
                              (size_t)d[3],
                              {(size_t)d[1] * n, n, (size_t)d[3]}};
        return OX_OK;
    }
    if (t->rank != 3)
        return ox_bad_shape(call, "input %zu has rank %d, expected 3 or 4", i, t->rank);
    if (heads == 0)
        return ox_bad_attr(call,
                           "input %zu has three dims: q_num_heads and kv_num_heads are needed", i);
    if (d[2] % heads != 0)
        return ox_bad_shape(call, "input %zu: %lld elements cannot be split into %lld heads", i,
                            (long long)d[2], (long long)heads);
    size_t size = (size_t)(d[2] / heads);
    *o = (struct operand){(size_t)d[0],
                          (size_t)heads,
                          (size_t)d[1],
                          size,
                          {(size_t)d[1] * (size_t)d[2], size, (size_t)d[2]}};
    return OX_OK;
}

struct attention {
    struct operand q, k, v;
    struct ox_attention engine;
    ox_tensor *tensors[16]; /* made on the way, to be dropped */
    size_t n_tensors;
    int64_t *offsets;
};

/* Past and new rows one behind the other, as [batch, heads, past + length, size]; elements are
 * `bytes` wide. */
static ox_status join(ox_tensor **out, const struct ox_call *call, const ox_tensor *past,
                      const ox_tensor *t, const struct operand *o) {
    size_t bytes = (size_t)ox_dtype_bits(t->dtype) / 8, old = past ? (size_t)past->dims[2] : 0;
    int64_t dims[4] = {(int64_t)o->batch, (int64_t)o->heads, 0, (int64_t)o->size};
    void *data;
    if (ox_add_i64(&dims[2], (int64_t)old, (int64_t)o->length))
        return ox_bad_shape(call, "too many keys");
    OX_TRY(ox_tensor_new_raw(out, &data, call->ctx, t->dtype, 4, dims));
    if ((*out)->count == 0) return OX_OK;
    char *to = data;
    for (size_t b = 0; b < o->batch; b++)
        for (size_t h = 0; h < o->heads; h++) {
            size_t n = old * o->size * bytes;
            if (n) memcpy(to, (const char *)past->data + (b * o->heads + h) * n, n);
            to += n;
            const char *from = (const char *)t->data + (b * o->at.batch + h * o->at.head) * bytes;
            for (size_t i = 0; i < o->length; i++, to += o->size * bytes)
                memcpy(to, from + i * o->at.row * bytes, o->size * bytes);
        }
    return OX_OK;
}

/* Counts the tensor for the whole call. */
static const ox_tensor *keep(struct attention *a, ox_tensor *t) {
    a->tensors[a->n_tensors++] = t;
    return t;
}

static ox_status check_past(const struct ox_call *call, size_t i, const ox_tensor *past,
                            const ox_tensor *t, const struct operand *o) {
    OX_TRY(ox_expect_same_dtype(call, i, past->dtype, i == PAST_K ? K : V, t->dtype));
    if (past->rank == 4 && (size_t)past->dims[0] == o->batch && (size_t)past->dims[1] == o->heads &&
        (size_t)past->dims[3] == o->size)
        return OX_OK;
    return ox_bad_shape(call, "input %zu is %s, expected [%zu,%zu,*,%zu]", i,
                        ox_dims_text(past->rank, past->dims).text, o->batch, o->heads, o->size);
}

/* Keys or values with those of the past in front, in the type that is computed with; the present
 * output too. */
static ox_status bring(const void **data, struct operand *o, struct attention *a,
                       const struct ox_call *call, const ox_tensor *const *in, ox_tensor **out,
                       size_t i) {
    size_t past_at = i == K ? PAST_K : PAST_V, present_at = i == K ? PRESENT_K : PRESENT_V;
    const ox_tensor *t = in[i], *past = ox_has_input(call, past_at) ? in[past_at] : NULL;
    ox_tensor *made;
    if (past) OX_TRY(check_past(call, past_at, past, t, o));
    if (past || (wanted(call, present_at) && t->rank == 3)) {
        OX_TRY(join(&made, call, past, t, o));
        t = keep(a, made);
        OX_TRY(see(o, call, t, i, 0));
    }
    if (wanted(call, present_at)) out[present_at] = ox_tensor_ref(t);
    OX_TRY(ox_tensor_cast(&made, call->ctx, t, a->engine.dtype, true));
    *data = ox_elements(keep(a, made));
    return OX_OK;
}

/* The mask's dims are broadcast to [batch, heads, queries, keys]. */
static ox_status place_mask(struct ox_attention_mask_at *at, const struct ox_call *call,
                            const ox_tensor *mask, const struct attention *a, bool pads) {
    const struct ox_attention *e = &a->engine;
    size_t want[4] = {e->batch, e->heads, e->q_len, e->kv_len}, step[4], stride = 1;
    int skip = 4 - mask->rank;
    bool fits = mask->rank >= 1 && mask->rank <= 4;
    for (int d = 3; fits && d >= 0; d--) {
        size_t n = d < skip ? 1 : (size_t)mask->dims[d - skip];
        bool shorter = d == 3 && n < want[d] && (n != 1 || pads);
        step[d] = n == 1 && !shorter ? 0 : stride;
        if (n != 1 && n != want[d] && !shorter) fits = false;
        stride *= n;
    }
    if (!fits)
        return ox_bad_shape(call, "the mask %s cannot be broadcast to [%zu,%zu,%zu,%zu]",
                            ox_dims_text(mask->rank, mask->dims).text, want[0], want[1], want[2],
                            want[3]);
    size_t n = (size_t)mask->dims[mask->rank - 1];
    *at = (struct ox_attention_mask_at){step[0], step[1], step[2], step[3],
                                        step[3] == 0 ? e->kv_len : n};
    return OX_OK;
}

static ox_status set_mask(struct attention *a, const struct ox_call *call, const ox_tensor *mask,
                          bool pads) {
    struct ox_attention *e = &a->engine;
    ox_tensor *made;
    OX_TRY(ox_expect_dtype(call, MASK, mask->dtype, OX_NUMBERS | OX_BIT(OX_BOOL)));
    if (mask->dtype == OX_BOOL) {
        OX_TRY(place_mask(&e->allowed_at, call, mask, a, pads));
        e->allowed = ox_elements(mask);
        return OX_OK;
    }
    OX_TRY(place_mask(&e->bias_at, call, mask, a, pads));
    OX_TRY(ox_tensor_cast(&made, call->ctx, mask, e->dtype, true));
    e->bias = ox_elements(keep(a, made));
    return OX_OK;
}

/* Where queries stand: behind the past, or at the end of the keys that are there. */
static ox_status set_lengths(struct attention *a, const struct ox_call *call,
                             const ox_tensor *lengths) {
    struct ox_attention *e = &a->engine;
    if (lengths->dtype != OX_INT64 || lengths->rank != 1 || lengths->count != e->batch)
        return ox_bad_shape(call, "nonpad_kv_seqlen is %s, expected %zu int64",
                            ox_dims_text(lengths->rank, lengths->dims).text, e->batch);
    e->lengths = ox_elements(lengths);
    OX_TRY(ox_alloc(call->ctx, &a->offsets, e->batch, sizeof *a->offsets));
    for (size_t b = 0; b < e->batch; b++) {
        if (e->lengths[b] < 0 || (uint64_t)e->lengths[b] > e->kv_len)
            return ox_bad_shape(call, "nonpad_kv_seqlen is %lld at %zu, there are %zu keys",
                                (long long)e->lengths[b], b, e->kv_len);
        a->offsets[b] = e->lengths[b] - (int64_t)e->q_len;
    }
    e->offsets = a->offsets;
    return OX_OK;
}

static ox_status check_operands(const struct attention *a, const struct ox_call *call) {
    const struct operand *q = &a->q, *k = &a->k, *v = &a->v;
    if (q->batch != k->batch || q->batch != v->batch || k->length != v->length ||
        q->size != k->size)
        return ox_bad_shape(call,
                            "queries [%zu,%zu,%zu,%zu], keys [%zu,%zu,%zu,%zu] and values "
                            "[%zu,%zu,%zu,%zu] do not fit each other",
                            q->batch, q->heads, q->length, q->size, k->batch, k->heads, k->length,
                            k->size, v->batch, v->heads, v->length, v->size);
    bool shared = k->heads == 0 ? q->heads == 0 : q->heads % k->heads == 0;
    if (k->heads != v->heads || !shared)
        return ox_bad_shape(call, "%zu heads of queries, %zu of keys, %zu of values", q->heads,
                            k->heads, v->heads);
    return OX_OK;
}

/* Y and the scores, in the type that is computed with. */
static ox_status make_outputs(struct attention *a, const struct ox_call *call, const ox_tensor *q,
                              ox_tensor **out) {
    struct ox_attention *e = &a->engine;
    int64_t dims[4] = {(int64_t)e->batch, (int64_t)e->heads, (int64_t)e->q_len, (int64_t)e->v_size};
    if (q->rank == 4) {
        OX_TRY(ox_tensor_new_raw(&out[Y], &e->y, call->ctx, e->dtype, 4, dims));
        e->y_at = (struct ox_attention_at){e->heads * e->q_len * e->v_size, e->q_len * e->v_size,
                                           e->v_size};
    } else {
        dims[1] = (int64_t)e->q_len;
        if (ox_mul_i64(&dims[2], (int64_t)e->heads, (int64_t)e->v_size))
            return ox_bad_shape(call, "the output is too large");
        OX_TRY(ox_tensor_new_raw(&out[Y], &e->y, call->ctx, e->dtype, 3, dims));
        e->y_at = (struct ox_attention_at){e->q_len * (size_t)dims[2], e->v_size, (size_t)dims[2]};
    }
    if (!wanted(call, SCORES)) return OX_OK;
    int64_t scores[4] = {(int64_t)e->batch, (int64_t)e->heads, (int64_t)e->q_len,
                         (int64_t)e->kv_len};
    return ox_tensor_new_raw(&out[SCORES], &e->scores, call->ctx, e->dtype, 4, scores);
}

static ox_status narrow(ox_tensor **t, ox_ctx *ctx, ox_dtype dtype) {
    ox_tensor *made;
    if (!*t || (*t)->dtype == dtype) return OX_OK;
    OX_TRY(ox_tensor_cast(&made, ctx, *t, dtype, true));
    ox_tensor_unref(*t);
    *t = made;
    return OX_OK;
}

static ox_status run(struct attention *a, const struct ox_call *call,
                     const struct ox_attention_params *p, const ox_tensor *const *in,
                     ox_tensor **out) {
    struct ox_attention *e = &a->engine;
    ox_tensor *made;
    bool wide = in[Q]->dtype == OX_DOUBLE || in[V]->dtype == OX_DOUBLE || p->softmax == OX_DOUBLE;
    for (size_t i = Q; i <= V; i++)
        OX_TRY(ox_expect_dtype(call, i, in[i]->dtype, OX_FLOATS));
    OX_TRY(ox_expect_same_dtype(call, Q, in[Q]->dtype, K, in[K]->dtype));
    OX_TRY(see(&a->q, call, in[Q], Q, p->heads));
    OX_TRY(see(&a->k, call, in[K], K, p->kv_heads));
    OX_TRY(see(&a->v, call, in[V], V, p->kv_heads));
    OX_TRY(check_operands(a, call));
    *e = (struct ox_attention){.dtype = wide ? OX_DOUBLE : OX_FLOAT,
                               .causal = p->causal,
                               .left = p->left,
                               .right = p->right,
                               .softcap = (double)p->softcap,
                               .softmax_dtype = p->softmax,
                               .stage = p->stage};
    e->scale = p->has_scale ? (double)p->scale : 1 / sqrt((double)a->q.size);
    e->offset = ox_has_input(call, PAST_K) && in[PAST_K]->rank == 4 ? in[PAST_K]->dims[2] : 0;
    OX_TRY(ox_tensor_cast(&made, call->ctx, in[Q], e->dtype, true));
    e->q = ox_elements(keep(a, made));
    OX_TRY(bring(&e->k, &a->k, a, call, in, out, K));
    OX_TRY(bring(&e->v, &a->v, a, call, in, out, V));
    if (a->k.length != a->v.length)
        return ox_bad_shape(call, "%zu keys, %zu values", a->k.length, a->v.length);
    e->batch = a->q.batch;
    e->heads = a->q.heads;
    e->kv_heads = a->k.heads;
    e->q_len = a->q.length;
    e->kv_len = a->k.length;
    e->qk_size = a->q.size;
    e->v_size = a->v.size;
    e->q_at = a->q.at;
    e->k_at = a->k.at;
    e->v_at = a->v.at;
    if (ox_has_input(call, MASK)) OX_TRY(set_mask(a, call, in[MASK], p->pads_mask));
    if (ox_has_input(call, LENGTHS)) OX_TRY(set_lengths(a, call, in[LENGTHS]));
    OX_TRY(make_outputs(a, call, in[Q], out));
    OX_TRY(ox_attention(call->ctx, e));
    OX_TRY(narrow(&out[Y], call->ctx, in[Q]->dtype));
    return wanted(call, SCORES) ? narrow(&out[SCORES], call->ctx, in[Q]->dtype) : OX_OK;
}

ox_status ox_eval_attention(const struct ox_call *call, const void *params,
                            const ox_tensor *const *in, ox_tensor **out) {
    struct attention a = {.n_tensors = 0};
    ox_status s = run(&a, call, params, in, out);
    for (size_t i = 0; i < a.n_tensors; i++)
        ox_tensor_unref(a.tensors[i]);
    ox_free(call->ctx, a.offsets);
    return s;
}
