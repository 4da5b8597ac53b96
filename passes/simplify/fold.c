/* passes/simplify/fold.c - computes now what depends on constants only.
 *
 * Two ways: a pure node whose operands are all constant is run by its own kernel; and an integer
 * vector that inference knows in full (the dims of a static shape, and what is computed from them)
 * becomes a constant even where its operands are not.
 *
 * Folding has a budget in file bytes: a result is kept only if the file does not grow by more than
 * what is left of it. Bounds on memory and work keep a hostile model from making us compute
 * (NODE_BYTES, NODE_WORK). */
#include "passes/graph_list.h"
#include "passes/pass.h"

enum { NODES_FOLDED, VALUES_KNOWN };

#define NODE_BYTES                                                                                 \
    ((uint64_t)64 << 20) /* of results of one node, unless its operands are as large */
#define NODE_WORK 20e9   /* products of element counts in one node */
#define NODE_COST 64     /* bytes that a node takes in a file, roughly */

struct folder {
    struct ox_pass_run *run;
    const ox_tensor **in;
    ox_tensor **out;
    size_t cap;
};

static ox_status room(struct folder *f, size_t need) {
    if (need <= f->cap) return OX_OK;
    ox_free(f->run->ctx, f->in);
    ox_free(f->run->ctx, f->out);
    f->in = NULL;
    f->out = NULL;
    f->cap = 0;
    OX_TRY(ox_alloc(f->run->ctx, &f->in, need, sizeof *f->in));
    OX_TRY(ox_alloc(f->run->ctx, &f->out, need, sizeof *f->out));
    f->cap = need;
    return OX_OK;
}

/* All operands constant? Then they are in f->in. */
static bool constant_operands(struct folder *f, const struct ox_node *n) {
    for (size_t i = 0; i < n->n_in; i++) {
        struct ox_value *v = n->in[i].value;
        f->in[i] = ox_value_const(v);
        if (v && !f->in[i]) return false;
    }
    return true;
}

/* Bytes of the operands that go with the node; of all operands in *all; a bound on the work in
 * *work. */
static uint64_t operand_bytes(const struct folder *f, const struct ox_node *n, uint64_t *all,
                              double *work) {
    uint64_t freed = 0;
    *all = 0;
    *work = 1;
    for (size_t i = 0; i < n->n_in; i++) {
        if (!f->in[i]) continue;
        *all += f->in[i]->size;
        *work *= (double)(f->in[i]->count ? f->in[i]->count : 1);
        if (n->in[i].value->n_uses == 1) freed += f->in[i]->size;
    }
    if (!(n->op->traits & OX_HAS_WEIGHTS)) *work = 0;
    return freed;
}

/* Bytes of the results as far as their types tell; false: unknown. */
static bool result_bytes(const struct ox_node *n, uint64_t *bytes) {
    *bytes = 0;
    for (size_t i = 0; i < n->n_out; i++) {
        if (!n->out[i]) continue;
        const struct ox_type *t = n->out[i]->type;
        int64_t count = ox_type_count(t);
        if (count < 0) return false;
        *bytes += (uint64_t)count * (uint64_t)ox_dtype_bits(t->dtype) / 8;
    }
    return true;
}

static bool worth_trying(struct folder *f, const struct ox_node *n, uint64_t *freed,
                         uint64_t *limit) {
    uint64_t all, bytes;
    double work;
    *freed = operand_bytes(f, n, &all, &work);
    *limit = all > NODE_BYTES ? all : NODE_BYTES;
    if (work > NODE_WORK) {
        ox_rewrite_missed(f->run, n, "computing it may take %.3g operations", work);
        return false;
    }
    if (!result_bytes(n, &bytes)) return true;
    if (bytes > *limit || (int64_t)(bytes - *freed) - NODE_COST > *f->run->growth_left) {
        ox_rewrite_missed(f->run, n, "the result has %llu bytes and the budget for growth is %lld",
                          (unsigned long long)bytes, (long long)*f->run->growth_left);
        return false;
    }
    return true;
}

/* Puts the results in the place of the node's outputs. Takes over the counts in f->out. */
static ox_status settle(struct folder *f, struct ox_node *n) {
    ox_status s = OX_OK;
    for (size_t i = 0; i < n->n_out; i++) {
        struct ox_value *v;
        if (!f->out[i]) continue;
        if (s == OX_OK && n->out[i] && n->out[i]->n_uses > 0) {
            s = ox_graph_add_init(&v, n->graph, n->out[i]->name, f->out[i]);
            if (s == OX_OK) {
                ox_value_replace(n->out[i], v);
                f->out[i] = NULL;
            }
        }
        ox_tensor_unref(f->out[i]);
        f->out[i] = NULL;
    }
    if (s != OX_OK) return s;
    /* Operands that only this node read are let go at once: their memory may be large. */
    for (size_t i = 0; i < n->n_in; i++) {
        struct ox_value *v = n->in[i].value;
        if (!v) continue;
        ox_use_set(&n->in[i], NULL);
        if (v->n_uses == 0 && !v->def && !v->is_input) ox_value_remove_init(v);
    }
    ox_node_remove(n);
    ox_rewrite_done(f->run, NODES_FOLDED);
    return OX_OK;
}

static ox_status fold_node(struct folder *f, struct ox_node *n) {
    uint64_t freed, limit, bytes = 0;
    if (!n->op->eval || n->op->traits & (OX_UNPACKS | OX_LISTS))
        return OX_OK; /* a list is no initializer */
    OX_TRY(room(f, n->n_in > n->n_out ? n->n_in : n->n_out));
    if (!constant_operands(f, n) || !worth_trying(f, n, &freed, &limit)) return OX_OK;
    ox_ctx *ctx = f->run->ctx;
    size_t former = ox_ctx_limit_tensor(ctx, limit), refusals = ox_ctx_refusals(ctx);
    ox_mute(ctx, true);
    ox_status s = ox_exec_node(n, f->in, f->out);
    ox_mute(ctx, false);
    (void)ox_ctx_limit_tensor(ctx, former);
    if (s != OX_OK) {
        /* What cannot be computed now fails, or not, when the model runs. */
        ox_rewrite_missed(f->run, n, "it cannot be computed: %s", ox_status_text(s));
        if (ox_ctx_refusals(ctx) == refusals) return OX_OK;
        return ox_fail(ctx, OX_NOMEM, "out-of-memory", NULL, "no memory to fold a node");
    }
    for (size_t i = 0; i < n->n_out; i++)
        if (f->out[i]) bytes += f->out[i]->size;
    int64_t growth = (int64_t)bytes - (int64_t)freed - NODE_COST;
    if (growth > *f->run->growth_left) {
        ox_rewrite_missed(f->run, n, "the file would grow by %lld bytes", (long long)growth);
        for (size_t i = 0; i < n->n_out; i++) {
            ox_tensor_unref(f->out[i]);
            f->out[i] = NULL;
        }
        return OX_OK;
    }
    if (growth > 0) *f->run->growth_left -= growth;
    return settle(f, n);
}

/* ---- values that inference knows ---------------------------------------------------------------
 */

static ox_status known_tensor(ox_tensor **out, ox_ctx *ctx, const struct ox_value *v,
                              const struct ox_partial *p) {
    void *data;
    int64_t dims[1] = {(int64_t)p->count};
    *out = NULL;
    if (v->type->dtype != OX_INT64 && v->type->dtype != OX_INT32) return OX_OK;
    for (size_t i = 0; i < p->count; i++)
        if (!ox_dim_is_const(p->elems[i]) ||
            (v->type->dtype == OX_INT32 && p->elems[i].k != (int32_t)p->elems[i].k))
            return OX_OK;
    OX_TRY(ox_tensor_new(out, &data, ctx, v->type->dtype, p->rank, dims));
    for (size_t i = 0; i < p->count; i++) {
        if (v->type->dtype == OX_INT64)
            ((int64_t *)data)[i] = p->elems[i].k;
        else
            ((int32_t *)data)[i] = (int32_t)p->elems[i].k;
    }
    return OX_OK;
}

static ox_status settle_known(struct folder *f, const struct ox_shapes *shapes, struct ox_node *n) {
    for (size_t i = 0; i < n->n_out; i++) {
        struct ox_value *v = n->out[i], *c;
        const struct ox_partial *p = v && v->n_uses > 0 && v->type->kind == OX_TYPE_TENSOR
                                         ? ox_shapes_value(shapes, v)
                                         : NULL;
        ox_tensor *t;
        if (!p || !ox_rewrite_allowed(f->run)) continue;
        OX_TRY(known_tensor(&t, f->run->ctx, v, p));
        if (!t) continue;
        ox_status s = ox_graph_add_init(&c, n->graph, v->name, t);
        if (s != OX_OK) {
            ox_tensor_unref(t);
            return s;
        }
        ox_value_replace(v, c);
        ox_rewrite_done(f->run, VALUES_KNOWN);
    }
    return OX_OK;
}

static ox_status fold_graph(struct folder *f, const struct ox_shapes *shapes, struct ox_graph *g) {
    for (struct ox_node *n = ox_graph_begin(g), *next; n && ox_rewrite_allowed(f->run); n = next) {
        next = ox_node_next(n);
        if (!n->op || ox_node_is(n, "Constant") || !ox_node_pure(n)) continue;
        OX_TRY(settle_known(f, shapes, n));
        OX_TRY(fold_node(f, n));
    }
    return OX_OK;
}

ox_status ox_pass_fold(struct ox_pass_run *run) {
    struct folder f = {.run = run};
    struct ox_graph_list graphs;
    const struct ox_shapes *shapes;
    OX_TRY(ox_pass_shapes_now(&shapes, run));
    ox_status s = ox_graph_list_init(&graphs, run->model);
    for (size_t i = 0; i < graphs.n && s == OX_OK; i++)
        s = fold_graph(&f, shapes, graphs.at[i]);
    ox_graph_list_fini(&graphs);
    ox_free(run->ctx, f.in);
    ox_free(run->ctx, f.out);
    return s;
}
