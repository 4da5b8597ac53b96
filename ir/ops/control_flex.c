/* ir/ops/control_flex.c - FlexAttention: Y = prob_mod(softmax(score_mod(scale * Q K^T))) V.
 *
 * Source: ONNX operator specification, ai.onnx.preview, FlexAttention. Subgraphs get all scores at
 * once, so they exist as a whole. Where there is no subgraph the attention engine does it all. */
#include "ir/ops/control_flex.h"

#include "ir/ops/attention.h"
#include "ir/ops/convert.h"
#include "ir/ops/kernel_product.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"
#include <math.h>

enum { Q, K, V };

ox_status ox_flex_dtype(ox_dtype *out, const struct ox_call *call, ox_dtype data) {
    int64_t precision;
    OX_TRY(ox_attr_int(&precision, call, "softmax_precision", OX_UNDEFINED));
    if (precision != OX_UNDEFINED &&
        (!ox_dtype_valid(precision) || !(OX_FLOATS & OX_BIT(precision))))
        return ox_bad_attr(call, "softmax_precision is %lld, expected 1, 10, 11 or 16",
                           (long long)precision);
    *out = precision != OX_UNDEFINED ? (ox_dtype)precision
           : data == OX_DOUBLE       ? OX_DOUBLE
                                     : OX_FLOAT;
    return OX_OK;
}

ox_status ox_decode_flex(const struct ox_call *call, struct ox_control_params *p) {
    static const char *const names[] = {"score_mod", "prob_mod"};
    ox_dtype dtype;
    OX_TRY(ox_flex_dtype(&dtype, call, OX_FLOAT));
    p->n_graphs = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct ox_attr *a = ox_attr_find(call, names[i]);
        if (!a) continue;
        if (a->type != OX_ATTR_GRAPH)
            return ox_bad_attr(call, "attribute '%s' must be a graph", names[i]);
        p->graphs[p->n_graphs].attr = names[i];
        p->graphs[p->n_graphs].n_in = p->graphs[p->n_graphs].n_out = 1;
        p->n_graphs++;
    }
    return OX_OK;
}

ox_status ox_infer_flex_attention(const struct ox_call *call, const void *params,
                                  struct ox_infer *io) {
    ox_dim dims[4];
    bool known = true;
    (void)params;
    for (size_t i = Q; i <= V; i++) {
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), OX_FLOATS));
        OX_TRY(ox_expect_same_dtype(call, Q, ox_in_dtype(io, Q), i, ox_in_dtype(io, i)));
        int rank = ox_in_rank(io, i);
        if (rank >= 0 && rank != 4)
            return ox_bad_shape(call, "input %zu has rank %d, expected 4", i, rank);
        if (rank < 0 && i != K) known = false;
    }
    for (int d = 0; d < 4; d++) {
        if (known)
            dims[d] = io->in[d == 3 ? V : Q]->dims[d];
        else
            OX_TRY(ox_dim_unknown(&dims[d], io->dims));
    }
    return ox_infer_tensor(io, 0, ox_in_dtype(io, Q), 4, dims);
}

struct flex {
    const struct ox_call *call;
    const struct ox_bodies *bodies;
    ox_dtype work, softmax;       /* of what is computed here, and of what the subgraphs see */
    ox_tensor *q, *k, *v, *probs; /* counted; probs: scores at first */
    ox_tensor *y;
};

static ox_status change_type(ox_tensor **t, ox_ctx *ctx, ox_dtype dtype) {
    ox_tensor *made;
    OX_TRY(ox_tensor_cast(&made, ctx, *t, dtype, true));
    ox_tensor_unref(*t);
    *t = made;
    return OX_OK;
}

static ox_status check(const struct ox_call *call, const ox_tensor *const *in) {
    const int64_t *q = in[Q]->dims, *k = in[K]->dims, *v = in[V]->dims;
    for (size_t i = Q; i <= V; i++) {
        OX_TRY(ox_expect_dtype(call, i, in[i]->dtype, OX_FLOATS));
        OX_TRY(ox_expect_same_dtype(call, Q, in[Q]->dtype, i, in[i]->dtype));
        if (in[i]->rank != 4)
            return ox_bad_shape(call, "input %zu has rank %d, expected 4", i, in[i]->rank);
    }
    bool heads = k[1] == v[1] && (k[1] == 0 ? q[1] == 0 : q[1] % k[1] == 0);
    if (heads && q[0] == k[0] && q[0] == v[0] && k[2] == v[2] && q[3] == k[3]) return OX_OK;
    return ox_bad_shape(call, "queries %s, keys %s and values %s do not fit each other",
                        ox_dims_text(4, q).text, ox_dims_text(4, k).text, ox_dims_text(4, v).text);
}

static struct ox_attention_at places(const ox_tensor *t) {
    size_t row = (size_t)t->dims[3], head = (size_t)t->dims[2] * row;
    return (struct ox_attention_at){(size_t)t->dims[1] * head, head, row};
}

/* y, and where subgraphs want them, the scores. */
static ox_status attend(struct flex *f, bool scores) {
    const ox_tensor *q = f->q, *k = f->k, *v = f->v;
    float scale;
    int64_t y[4] = {q->dims[0], q->dims[1], q->dims[2], v->dims[3]},
            s[4] = {q->dims[0], q->dims[1], q->dims[2], k->dims[2]};
    struct ox_attention a = {.dtype = f->work,
                             .batch = (size_t)y[0],
                             .heads = (size_t)y[1],
                             .kv_heads = (size_t)k->dims[1],
                             .q_len = (size_t)y[2],
                             .kv_len = (size_t)s[3],
                             .qk_size = (size_t)q->dims[3],
                             .v_size = (size_t)y[3],
                             .q = ox_elements(q),
                             .k = ox_elements(k),
                             .v = ox_elements(v),
                             .q_at = places(q),
                             .k_at = places(k),
                             .v_at = places(v),
                             .left = -1,
                             .right = -1,
                             .softmax_dtype = f->softmax};
    OX_TRY(ox_attr_float(&scale, f->call, "scale", 0));
    a.scale = ox_attr_find(f->call, "scale") ? (double)scale : 1 / sqrt((double)q->dims[3]);
    OX_TRY(ox_tensor_new_raw(&f->y, &a.y, f->call->ctx, f->work, 4, y));
    a.y_at = places(f->y);
    if (scores) OX_TRY(ox_tensor_new_raw(&f->probs, &a.scores, f->call->ctx, f->work, 4, s));
    return ox_attention(f->call->ctx, &a);
}

/* The subgraph's result in place of the tensor. */
static ox_status modify(struct flex *f, const char *name) {
    const struct ox_attr *a = ox_attr_find(f->call, name);
    ox_tensor *in = f->probs, *out = NULL;
    if (!a) return OX_OK;
    f->probs = NULL;
    const ox_dtype dtype = in->dtype;
    int64_t dims[4];
    memcpy(dims, in->dims, sizeof dims);
    OX_TRY(f->bodies->run(f->bodies->self, a->v.g, &in, &out));
    f->probs = out;
    if (out->dtype == dtype && out->rank == 4 && memcmp(out->dims, dims, sizeof dims) == 0)
        return OX_OK;
    return ox_bad_shape(f->call, "%s made %s%s of %s%s", name, ox_dtype_name(out->dtype),
                        ox_dims_text(out->rank, out->dims).text, ox_dtype_name(dtype),
                        ox_dims_text(4, dims).text);
}

static ox_status softmax(struct flex *f) {
    static const struct ox_softmax_params last = {.axis = -1};
    ox_tensor *made = NULL;
    const ox_tensor *in[1] = {f->probs};
    ox_status s = ox_eval_softmax(f->call, &last, in, &made);
    if (s != OX_OK) return s;
    ox_tensor_unref(f->probs);
    f->probs = made;
    return OX_OK;
}

/* Probabilities times values, into y. */
static ox_status weigh(struct flex *f, void *y) {
    const ox_tensor *p = f->probs, *v = f->v;
    size_t heads = (size_t)p->dims[1], batch = (size_t)p->dims[0] * heads,
           group = heads / (size_t)(v->dims[1] ? v->dims[1] : 1), *at;
    struct ox_product g = {.dtype = f->work,
                           .m = (size_t)p->dims[2],
                           .n = (size_t)v->dims[3],
                           .k = (size_t)p->dims[3],
                           .a = ox_elements(p),
                           .a_rs = (size_t)p->dims[3],
                           .a_cs = 1,
                           .b = ox_elements(v),
                           .b_rs = (size_t)v->dims[3],
                           .b_cs = 1,
                           .c = y,
                           .c_rs = (size_t)v->dims[3],
                           .batch = batch};
    OX_TRY(ox_alloc(f->call->ctx, &at, batch, 3 * sizeof *at));
    g.a_at = at;
    g.b_at = at + batch;
    g.c_at = at + 2 * batch;
    for (size_t i = 0; i < batch; i++) {
        at[i] = i * g.m * g.k;
        at[batch + i] = (i / heads * (size_t)v->dims[1] + i % heads / group) * g.k * g.n;
        at[2 * batch + i] = i * g.m * g.n;
    }
    ox_status s = ox_product(f->call->ctx, &g);
    ox_free(f->call->ctx, at);
    return s;
}

static ox_status run_mods(struct flex *f) {
    ox_ctx *ctx = f->call->ctx;
    void *y;
    OX_TRY(change_type(&f->probs, ctx, f->softmax));
    OX_TRY(modify(f, "score_mod"));
    OX_TRY(softmax(f));
    OX_TRY(modify(f, "prob_mod"));
    OX_TRY(change_type(&f->probs, ctx, f->work));
    int64_t dims[4] = {f->q->dims[0], f->q->dims[1], f->q->dims[2], f->v->dims[3]};
    ox_tensor_unref(f->y);
    f->y = NULL;
    OX_TRY(ox_tensor_new(&f->y, &y, ctx, f->work, 4, dims));
    return f->y->count ? weigh(f, y) : OX_OK;
}

static ox_status run(struct flex *f, const ox_tensor *const *in) {
    ox_ctx *ctx = f->call->ctx;
    bool mods = ox_attr_find(f->call, "score_mod") || ox_attr_find(f->call, "prob_mod");
    OX_TRY(check(f->call, in));
    OX_TRY(ox_flex_dtype(&f->softmax, f->call, in[Q]->dtype));
    f->work = f->softmax == OX_DOUBLE || in[Q]->dtype == OX_DOUBLE ? OX_DOUBLE : OX_FLOAT;
    OX_TRY(ox_tensor_cast(&f->q, ctx, in[Q], f->work, true));
    OX_TRY(ox_tensor_cast(&f->k, ctx, in[K], f->work, true));
    OX_TRY(ox_tensor_cast(&f->v, ctx, in[V], f->work, true));
    OX_TRY(attend(f, mods));
    if (mods) OX_TRY(run_mods(f));
    return change_type(&f->y, ctx, in[V]->dtype);
}

ox_status ox_flex_run(const struct ox_call *call, const struct ox_bodies *bodies,
                      const ox_tensor *const *in, ox_tensor **out) {
    struct flex f = {.call = call, .bodies = bodies};
    ox_status s = run(&f, in);
    if (s == OX_OK)
        out[0] = f.y;
    else
        ox_tensor_unref(f.y);
    ox_tensor_unref(f.q);
    ox_tensor_unref(f.k);
    ox_tensor_unref(f.v);
    ox_tensor_unref(f.probs);
    return s;
}
