/* ir/graph/exec.c - the reference executor: runs the nodes of a graph in order, one at a time, and
 * lets go of each tensor after its last use. Parallelism is inside the kernels.
 *
 * A tensor lives in env[] under its value's id from its definition until as many uses have passed
 * as its own graph has: operands of nodes there, and one for each node there whose subgraphs read
 * it. */
#include "ir/graph/exec.h"
#include "ir/ops/control.h"

#include <stdlib.h>

/* A node with subgraphs keeps a value of its own graph alive that they read. */
struct ox_capture {
    uint32_t node;
    struct ox_value *value;
};

struct ox_exec {
    ox_ctx *ctx;
    struct ox_model *model;
    size_t n_values;
    ox_tensor **
        aligned; /* by value id: constants whose bytes in the file are not aligned for their type */
    ox_tensor **env; /* by value id: tensors computed and still needed */
    uint32_t *uses;  /* by value id: operands in its own graph, and captures */
    uint32_t *left;  /* by value id: of these, still to come */
    void **prepared; /* by node id: what the row has made of it once and for all, mostly NULL */
    uint32_t n_nodes;
    struct ox_capture *captures; /* sorted by node, then value */
    size_t n_captures, cap_captures;
    struct ox_call_scratch scratch;
    const ox_tensor **in; /* operands of the plain node at hand */
    ox_tensor **out;
    size_t widest;
    uint64_t bodies; /* times that a subgraph has been entered in this run */
    ox_observe_fn observe;
    void *user;
};

static void exec_free(void *self) {
    struct ox_exec *e = self;
    if (!e) return;
    for (size_t i = 0; i < e->n_values; i++) {
        if (e->aligned) ox_tensor_unref(e->aligned[i]);
        if (e->env) ox_tensor_unref(e->env[i]);
    }
    for (uint32_t i = 0; e->prepared && i < e->n_nodes; i++)
        if (e->prepared[i]) ox_op_forget(e->model->nodes[i]->op, e->prepared[i], e->ctx);
    ox_call_scratch_fini(&e->scratch);
    ox_free(e->ctx, e->prepared);
    ox_free(e->ctx, e->aligned);
    ox_free(e->ctx, e->env);
    ox_free(e->ctx, e->uses);
    ox_free(e->ctx, e->left);
    ox_free(e->ctx, e->captures);
    ox_free(e->ctx, e->in);
    ox_free(e->ctx, e->out);
    ox_free(e->ctx, e);
}

/* ---- planning -------------------------------------------------------------------------------- */

static ox_status not_runnable(struct ox_exec *e, const struct ox_node *n) {
    struct ox_place place;
    ox_node_place(&place, n);
    return ox_fail(e->ctx, OX_UNSUPPORTED, "cannot-run", &place,
                   "operator %s%s%s cannot be executed", ox_name_text(n->domain),
                   n->domain ? "::" : "", ox_name_text(n->type));
}

/* Constants that the kernels can use as they lie are used in place; the few others are copied,
 * sparse ones expanded, once. */
static ox_status align_constant(struct ox_exec *e, const struct ox_value *v) {
    ox_tensor *t = ox_value_const(v);
    if (v && v->sparse && !e->aligned[v->id])
        return ox_sparse_expand(&e->aligned[v->id], e->ctx, v->sparse);
    if (!t || e->aligned[v->id]) return OX_OK;
    return ox_tensor_aligned(&e->aligned[v->id], e->ctx, t);
}

static ox_status prepare_node(struct ox_exec *e, const struct ox_node *n) {
    struct ox_call call;
    struct ox_place place;
    if (!n->op || !n->op->prepare) return OX_OK;
    ox_node_place(&place, n);
    const struct ox_place *former = ox_place_set(e->ctx, &place);
    ox_status s = ox_node_call(&call, &e->scratch, n);
    if (s == OX_OK) s = ox_op_prepare(&e->prepared[n->id], &call);
    ox_place_set(e->ctx, former);
    return s;
}

static ox_status plan_use(struct ox_exec *e, const struct ox_use *use) {
    struct ox_value *v = use->value;
    const struct ox_node *holder = use->user;
    if (holder->graph == v->graph) {
        e->uses[v->id]++;
        return OX_OK;
    }
    while (holder->graph != v->graph)
        holder = holder->graph->owner;
    OX_TRY(OX_GROW(e->ctx, e->captures, e->n_captures, e->cap_captures));
    e->captures[e->n_captures++] = (struct ox_capture){holder->id, v};
    return OX_OK;
}

static ox_status plan_graph(void *arg, struct ox_graph *graph) {
    struct ox_exec *e = arg;
    for (struct ox_node *n = graph->first; n; n = n->next) {
        if (n->callee)
            OX_TRY(plan_graph(e, n->instance->graph));
        else if (n != graph->ret && (!n->op || (!n->op->eval && !(n->op->traits & OX_CONTROL))))
            return not_runnable(e, n);
        if (n->n_in > e->widest) e->widest = n->n_in;
        if (n->n_out > e->widest) e->widest = n->n_out;
        for (size_t i = 0; i < n->n_in; i++) {
            if (!n->in[i].value) continue;
            OX_TRY(align_constant(e, n->in[i].value));
            OX_TRY(plan_use(e, &n->in[i]));
        }
        OX_TRY(prepare_node(e, n));
        OX_TRY(ox_node_each_graph(n, plan_graph, e)); /* as deep as limits.max_subgraph_depth */
        if (n == graph->ret) break;
    }
    return OX_OK;
}

static int by_node(const void *a, const void *b) {
    const struct ox_capture *x = a, *y = b;
    if (x->node != y->node) return x->node < y->node ? -1 : 1;
    return x->value->id < y->value->id ? -1 : x->value->id > y->value->id;
}

/* Each value once for each node that holds subgraphs reading it. */
static void unite_captures(struct ox_exec *e) {
    size_t kept = 0;
    if (e->n_captures) qsort(e->captures, e->n_captures, sizeof *e->captures, by_node);
    for (size_t i = 0; i < e->n_captures; i++) {
        if (kept && by_node(&e->captures[kept - 1], &e->captures[i]) == 0) continue;
        e->captures[kept++] = e->captures[i];
        e->uses[e->captures[i].value->id]++;
    }
    e->n_captures = kept;
}

static ox_status plan(struct ox_exec *e) {
    e->widest = 1;
    OX_TRY(plan_graph(e, e->model->graph));
    unite_captures(e);
    OX_TRY(ox_alloc(e->ctx, &e->in, e->widest, sizeof(ox_tensor *)));
    return ox_alloc(e->ctx, &e->out, e->widest, sizeof(ox_tensor *));
}

/* ---- running --------------------------------------------------------------------------------- */

static const ox_tensor *lookup(const struct ox_exec *e, const struct ox_value *v) {
    if (!v) return NULL;
    if (e->env[v->id]) return e->env[v->id];
    if (e->aligned[v->id]) return e->aligned[v->id];
    return v->init ? v->init : ox_value_const(v);
}

/* Takes over the count. */
static void define(struct ox_exec *e, const struct ox_value *v, ox_tensor *t) {
    ox_tensor_unref(e->env[v->id]);
    e->env[v->id] = NULL;
    e->left[v->id] = e->uses[v->id];
    if (e->left[v->id] > 0)
        e->env[v->id] = t;
    else
        ox_tensor_unref(t);
}

static void used(struct ox_exec *e, const struct ox_value *v) {
    if (!e->env[v->id] || --e->left[v->id] > 0) return;
    ox_tensor_unref(e->env[v->id]);
    e->env[v->id] = NULL;
}

static void release_operands(struct ox_exec *e, const struct ox_node *n) {
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i].value && n->in[i].value->graph == n->graph) used(e, n->in[i].value);
    if (!n->op || !(n->op->traits & OX_CONTROL)) return;
    size_t low = 0, high = e->n_captures; /* first capture of the node, by bisection */
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (e->captures[mid].node < n->id)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < e->n_captures && e->captures[low].node == n->id; low++)
        used(e, e->captures[low].value);
}

/* pass: which time a body runs; random numbers are others each time. */
static ox_status eval_at(const struct ox_node *node, struct ox_call_scratch *scratch,
                         const void *prepared, uint64_t pass, const ox_tensor *const *in,
                         ox_tensor **out) {
    struct ox_call call;
    OX_TRY(ox_node_call(&call, scratch, node));
    call.stream += pass;
    call.prepared = prepared;
    return ox_op_eval(&call, in, out);
}

static ox_status run_plain(struct ox_exec *e, const struct ox_node *n, ox_tensor **out) {
    for (size_t i = 0; i < n->n_in; i++)
        e->in[i] = lookup(e, n->in[i].value);
    return eval_at(n, &e->scratch, e->prepared[n->id], n->graph == e->model->graph ? 0 : e->bodies,
                   e->in, out);
}

/* Takes over the counts in out. */
static ox_status store_outputs(struct ox_exec *e, const struct ox_node *n, ox_tensor **out) {
    ox_status s = OX_OK;
    for (size_t i = 0; i < n->n_out; i++) {
        struct ox_value *v = n->out[i];
        if (v && out[i] && e->observe && s == OX_OK) s = e->observe(e->user, v, out[i]);
        if (v)
            define(e, v, out[i]);
        else
            ox_tensor_unref(out[i]);
        out[i] = NULL;
    }
    return s;
}

/* ---- subgraphs ------------------------------------------------------------------------------- */

static ox_status run_graph(struct ox_exec *e, const struct ox_graph *graph, ox_tensor **in,
                           ox_tensor **out);

static size_t body_inputs(void *self, const struct ox_graph *body) {
    (void)self;
    return body->n_inputs;
}

static size_t body_outputs(void *self, const struct ox_graph *body) {
    (void)self;
    return body->ret->n_in;
}

static void body_out_type(struct ox_body_out *type, void *self, const struct ox_graph *body,
                          size_t index) {
    const struct ox_type *t = body->ret->in[index].value->type;
    (void)self;
    *type = (struct ox_body_out){.dtype = OX_UNDEFINED, .rank = -1};
    if (t->kind != OX_TYPE_TENSOR) return;
    type->dtype = t->dtype;
    if (t->rank <= OX_MAX_RANK) type->rank = t->rank;
    for (int i = 0; i < type->rank; i++)
        type->dims[i] = ox_dim_is_const(t->dims[i]) ? t->dims[i].k : -1;
}

static ox_status body_run(void *self, const struct ox_graph *body, ox_tensor **in,
                          ox_tensor **out) {
    return run_graph(self, body, in, out);
}

static ox_status control(struct ox_exec *e, const struct ox_node *n, const ox_tensor **in,
                         ox_tensor **out) {
    const struct ox_bodies bodies = {e, body_inputs, body_outputs, body_out_type, body_run};
    struct ox_call call;
    for (size_t i = 0; i < n->n_in; i++)
        in[i] = lookup(e, n->in[i].value);
    OX_TRY(ox_node_call(&call, &e->scratch, n));
    OX_TRY(ox_control_run(&call, &bodies, in, out));
    return store_outputs(e, n, out);
}

static ox_status run_control(struct ox_exec *e, const struct ox_node *n) {
    const ox_tensor **in;
    ox_tensor **out;
    OX_TRY(ox_alloc(e->ctx, &in, n->n_in, sizeof *in));
    ox_status s = ox_alloc(e->ctx, &out, n->n_out, sizeof(ox_tensor *));
    if (s == OX_OK) {
        s = control(e, n, in, out);
        for (size_t i = 0; i < n->n_out; i++)
            ox_tensor_unref(out[i]);
        ox_free(e->ctx, out);
    }
    ox_free(e->ctx, in);
    return s;
}

/* What happens inside a function is not observed: its values are nobody's but the executor's. */
static ox_status run_call(struct ox_exec *e, const struct ox_node *n) {
    const struct ox_graph *body = n->instance->graph;
    size_t n_in = body->n_inputs, n_out = body->ret->n_in;
    ox_observe_fn observe = e->observe;
    ox_tensor **all;
    OX_TRY(ox_alloc(e->ctx, &all, n_in + n_out, sizeof(ox_tensor *)));
    for (size_t i = 0; i < n_in; i++)
        all[i] = ox_tensor_ref(lookup(e, ox_node_in(n, i)));
    e->observe = NULL;
    ox_status s = run_graph(e, body, all, all + n_in);
    e->observe = observe;
    if (s == OX_OK) s = store_outputs(e, n, all + n_in);
    for (size_t i = 0; i < n_in + n_out; i++)
        ox_tensor_unref(all[i]);
    ox_free(e->ctx, all);
    return s;
}

static ox_status run_node(struct ox_exec *e, const struct ox_node *n) {
    struct ox_place place;
    ox_node_place(&place, n);
    const struct ox_place *former = ox_place_set(e->ctx, &place);
    ox_status s;
    if (n->callee) {
        s = run_call(e, n);
    } else if (n->op->traits & OX_CONTROL) {
        s = run_control(e, n);
    } else {
        s = run_plain(e, n, e->out);
        if (s == OX_OK) s = store_outputs(e, n, e->out);
    }
    ox_place_set(e->ctx, former);
    if (s == OX_OK) release_operands(e, n);
    return s;
}

static ox_status take_output(ox_tensor **out, struct ox_exec *e, const struct ox_graph *g,
                             size_t i) {
    *out = ox_tensor_ref(lookup(e, g->ret->in[i].value));
    if (*out || !g->ret->in[i].value)
        return OX_OK; /* a call may not want all outputs of a function */
    return ox_fail(e->ctx, OX_INVALID, "no-output", NULL, "output '%s' of graph '%s' has no value",
                   ox_name_text(g->outputs[i].name), ox_name_text(g->name));
}

/* Runs a graph once. in: n_inputs tensors whose counts are taken over (also on failure); out: one
 * per output of the graph, counted for the caller, NULL on failure. */
static ox_status run_graph(struct ox_exec *e, const struct ox_graph *graph, ox_tensor **in,
                           ox_tensor **out) {
    ox_status s = OX_OK;
    size_t n_out = graph->ret->n_in;
    memset(out, 0, n_out * sizeof *out);
    if (graph != e->model->graph) e->bodies++;
    for (size_t i = 0; i < graph->n_inputs; i++) {
        if (e->observe && in[i] && s == OX_OK) s = e->observe(e->user, graph->inputs[i], in[i]);
        if (in[i]) define(e, graph->inputs[i], in[i]);
        in[i] = NULL;
    }
    for (struct ox_node *n = ox_graph_begin(graph); n && s == OX_OK; n = ox_node_next(n))
        s = run_node(e, n);
    for (size_t i = 0; i < n_out && s == OX_OK; i++)
        s = take_output(&out[i], e, graph, i);
    if (s == OX_OK) {
        release_operands(e, graph->ret);
        return OX_OK;
    }
    for (size_t i = 0; i < n_out; i++) {
        ox_tensor_unref(out[i]);
        out[i] = NULL;
    }
    return s;
}

static ox_status bind_inputs(struct ox_exec *e, const ox_tensor *const *in, ox_tensor **bound) {
    const struct ox_graph *g = e->model->graph;
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (in[i])
            OX_TRY(ox_tensor_aligned(&bound[i], e->ctx, in[i]));
        else if (!lookup(e, g->inputs[i]))
            return ox_fail(e->ctx, OX_INVALID, "no-input", NULL,
                           "input '%s' is not given and has no default",
                           ox_name_text(g->inputs[i]->name));
    }
    return OX_OK;
}

static ox_status exec_run(void *self, const ox_tensor *const *in, ox_tensor **out,
                          ox_observe_fn observe, void *user) {
    struct ox_exec *e = self;
    const struct ox_graph *g = e->model->graph;
    ox_tensor **bound;
    memset(out, 0, g->ret->n_in * sizeof *out);
    OX_TRY(ox_alloc(e->ctx, &bound, g->n_inputs, sizeof(ox_tensor *)));
    e->observe = observe;
    e->user = user;
    e->bodies = 0;
    ox_status s = bind_inputs(e, in, bound);
    if (s == OX_OK) s = run_graph(e, g, bound, out);
    for (size_t i = 0; i < g->n_inputs; i++)
        ox_tensor_unref(bound[i]);
    ox_free(e->ctx, bound);
    for (size_t i = 0; i < e->n_values; i++) {
        ox_tensor_unref(e->env[i]);
        e->env[i] = NULL;
    }
    return s;
}

ox_status ox_exec_new(struct ox_runner *out, struct ox_model *model) {
    struct ox_exec *e;
    ox_ctx *ctx = model->ctx;
    OX_TRY(ox_model_expand(model));
    OX_TRY(ox_alloc(ctx, &e, 1, sizeof *e));
    e->ctx = e->scratch.ctx = ctx;
    e->model = model;
    e->n_values = model->n_values;
    e->n_nodes = model->n_nodes;
    ox_status s = ox_alloc(ctx, &e->aligned, e->n_values, sizeof(ox_tensor *));
    if (s == OX_OK) s = ox_alloc(ctx, &e->prepared, e->n_nodes, sizeof(void *));
    if (s == OX_OK) s = ox_alloc(ctx, &e->env, e->n_values, sizeof(ox_tensor *));
    if (s == OX_OK) s = ox_alloc(ctx, &e->uses, e->n_values, sizeof *e->uses);
    if (s == OX_OK) s = ox_alloc(ctx, &e->left, e->n_values, sizeof *e->left);
    if (s == OX_OK) s = plan(e);
    if (s != OX_OK) {
        exec_free(e);
        return s;
    }
    *out = (struct ox_runner){.self = e, .run = exec_run, .free = exec_free};
    return OX_OK;
}

ox_status ox_exec_node(const struct ox_node *node, const ox_tensor *const *in, ox_tensor **out) {
    struct ox_call_scratch scratch = {.ctx = node->graph->model->ctx};
    struct ox_place place;
    if (!node->op || !node->op->eval) return OX_UNSUPPORTED;
    ox_node_place(&place, node);
    const struct ox_place *former = ox_place_set(scratch.ctx, &place);
    ox_status s = eval_at(node, &scratch, NULL, 0, in, out);
    ox_place_set(scratch.ctx, former);
    ox_call_scratch_fini(&scratch);
    return s;
}
