/* ir/graph/exec.c - the reference executor: runs the nodes of the main graph in order, one at a time, and lets go of each
 * tensor after its last use. Parallelism is inside the kernels. */
#include "ir/graph/exec.h"

struct exec {
    ox_ctx *ctx;
    struct ox_model *model;
    size_t n_values;
    ox_tensor **aligned;     /* by value id: constants whose bytes in the file are not aligned for their type */
    ox_tensor **env;         /* by value id: tensors computed and still needed */
    uint32_t *left;          /* by value id: uses still to come */
    struct ox_call_scratch scratch;
    const ox_tensor **in;    /* operands of the node at hand */
    ox_tensor **out;
    size_t cap;
};

static void exec_free(void *self)
{
    struct exec *e = self;
    if (!e) return;
    for (size_t i = 0; i < e->n_values; i++) {
        if (e->aligned) ox_tensor_unref(e->aligned[i]);
        if (e->env) ox_tensor_unref(e->env[i]);
    }
    ox_call_scratch_fini(&e->scratch);
    ox_free(e->ctx, e->aligned);
    ox_free(e->ctx, e->env);
    ox_free(e->ctx, e->left);
    ox_free(e->ctx, e->in);
    ox_free(e->ctx, e->out);
    ox_free(e->ctx, e);
}

static ox_status not_runnable(struct exec *e, const struct ox_node *n)
{
    struct ox_place place;
    ox_node_place(&place, n);
    return ox_fail(e->ctx, OX_UNSUPPORTED, "cannot-run", &place, "operator %s%s%s cannot be executed%s", ox_name_text(n->domain),
                   n->domain ? "::" : "", ox_name_text(n->type), n->callee ? " (a model-local function: inline it first)" : "");
}

/* Constants of the graph that the kernels can use as they lie are used in place; the few others are copied once. */
static ox_status align_constant(struct exec *e, const struct ox_value *v)
{
    ox_tensor *t = ox_value_const(v);
    if (!t || e->aligned[v->id]) return OX_OK;
    return ox_tensor_aligned(&e->aligned[v->id], e->ctx, t);
}

static ox_status plan(struct exec *e)
{
    size_t widest = 1;
    for (struct ox_node *n = ox_graph_begin(e->model->graph); n; n = ox_node_next(n)) {
        if (!n->op || !n->op->eval) return not_runnable(e, n);
        if (n->n_in > widest) widest = n->n_in;
        if (n->n_out > widest) widest = n->n_out;
        for (size_t i = 0; i < n->n_in; i++) OX_TRY(align_constant(e, n->in[i].value));
    }
    e->cap = widest;
    OX_TRY(ox_alloc(e->ctx, &e->in, widest, sizeof(ox_tensor *)));
    return ox_alloc(e->ctx, &e->out, widest, sizeof(ox_tensor *));
}

static const ox_tensor *lookup(const struct exec *e, const struct ox_value *v)
{
    if (!v) return NULL;
    if (e->env[v->id]) return e->env[v->id];
    if (e->aligned[v->id]) return e->aligned[v->id];
    return v->init ? v->init : ox_value_const(v);
}

static ox_status eval_at(const struct ox_node *node, struct ox_call_scratch *scratch, const ox_tensor *const *in, ox_tensor **out)
{
    struct ox_call call;
    struct ox_place place;
    OX_TRY(ox_node_call(&call, scratch, node));
    ox_node_place(&place, node);
    const struct ox_place *former = ox_place_set(scratch->ctx, &place);
    ox_status s = ox_op_eval(&call, in, out);
    ox_place_set(scratch->ctx, former);
    return s;
}

/* Takes over the counts in e->out. */
static ox_status store_outputs(struct exec *e, const struct ox_node *n, ox_observe_fn observe, void *user)
{
    ox_status s = OX_OK;
    for (size_t i = 0; i < n->n_out; i++) {
        struct ox_value *v = n->out[i];
        if (v && e->out[i] && observe && s == OX_OK) s = observe(user, v, e->out[i]);
        if (v && e->left[v->id] > 0)
            e->env[v->id] = e->out[i];
        else
            ox_tensor_unref(e->out[i]);
        e->out[i] = NULL;
    }
    return s;
}

static void release_inputs(struct exec *e, const struct ox_node *n)
{
    for (size_t i = 0; i < n->n_in; i++) {
        struct ox_value *v = n->in[i].value;
        if (!v || --e->left[v->id] > 0) continue;
        ox_tensor_unref(e->env[v->id]);
        e->env[v->id] = NULL;
    }
}

static ox_status run_node(struct exec *e, const struct ox_node *n, ox_observe_fn observe, void *user)
{
    for (size_t i = 0; i < n->n_in; i++) e->in[i] = lookup(e, n->in[i].value);
    ox_status s = eval_at(n, &e->scratch, e->in, e->out);
    if (s != OX_OK) {
        for (size_t i = 0; i < n->n_out; i++) {
            ox_tensor_unref(e->out[i]);
            e->out[i] = NULL;
        }
        return s;
    }
    s = store_outputs(e, n, observe, user);
    release_inputs(e, n);
    return s;
}

static ox_status run_all(struct exec *e, const ox_tensor *const *in, ox_tensor **out, ox_observe_fn observe, void *user)
{
    struct ox_graph *g = e->model->graph;
    for (size_t i = 0; i < e->n_values; i++) e->left[i] = (uint32_t)e->model->values[i]->n_uses;
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct ox_value *v = g->inputs[i];
        if (in[i]) OX_TRY(ox_tensor_aligned(&e->env[v->id], e->ctx, in[i]));
        const ox_tensor *t = lookup(e, v);
        if (!t)
            return ox_fail(e->ctx, OX_INVALID, "no-input", NULL, "input '%s' is not given and has no default", ox_name_text(v->name));
        if (observe && in[i]) OX_TRY(observe(user, v, t));
    }
    for (struct ox_node *n = ox_graph_begin(g); n; n = ox_node_next(n)) OX_TRY(run_node(e, n, observe, user));
    for (size_t i = 0; i < g->ret->n_in; i++) out[i] = ox_tensor_ref(lookup(e, g->ret->in[i].value));
    return OX_OK;
}

static ox_status exec_run(void *self, const ox_tensor *const *in, ox_tensor **out, ox_observe_fn observe, void *user)
{
    struct exec *e = self;
    memset(out, 0, e->model->graph->ret->n_in * sizeof *out);
    ox_status s = run_all(e, in, out, observe, user);
    for (size_t i = 0; i < e->n_values; i++) {
        ox_tensor_unref(e->env[i]);
        e->env[i] = NULL;
    }
    return s;
}

ox_status ox_exec_new(struct ox_runner *out, struct ox_model *model)
{
    struct exec *e;
    ox_ctx *ctx = model->ctx;
    OX_TRY(ox_alloc(ctx, &e, 1, sizeof *e));
    e->ctx = e->scratch.ctx = ctx;
    e->model = model;
    e->n_values = model->n_values;
    ox_status s = ox_alloc(ctx, &e->aligned, e->n_values, sizeof(ox_tensor *));
    if (s == OX_OK) s = ox_alloc(ctx, &e->env, e->n_values, sizeof(ox_tensor *));
    if (s == OX_OK) s = ox_alloc(ctx, &e->left, e->n_values, sizeof *e->left);
    if (s == OX_OK) s = plan(e);
    if (s != OX_OK) {
        exec_free(e);
        return s;
    }
    *out = (struct ox_runner){.self = e, .run = exec_run, .free = exec_free};
    return OX_OK;
}

ox_status ox_exec_node(const struct ox_node *node, const ox_tensor *const *in, ox_tensor **out)
{
    struct ox_call_scratch scratch = {.ctx = node->graph->model->ctx};
    if (!node->op || !node->op->eval) return OX_UNSUPPORTED;
    ox_status s = eval_at(node, &scratch, in, out);
    ox_call_scratch_fini(&scratch);
    return s;
}
