/* passes/simplify/inline.c - calls of model-local functions become the nodes of their bodies, and
 * functions that nobody calls go.
 *
 * A body may be written for other opsets than the model. It is taken over where each of its
 * operators has had its newest definition in both, so that it means the same; other calls stay. */
#include "ir/base/ptr_map.h"
#include "passes/pass.h"

enum { CALLS, FUNCTIONS_DROPPED };

struct check {
    const struct ox_model *model;
    const struct ox_node *obstacle; /* first node that would not mean the same */
    size_t nodes;
};

static bool means_the_same(const struct ox_node *n, const struct ox_model *model) {
    int64_t here = ox_node_opset(n), there = ox_model_opset(model, n->domain);
    if (n->callee || there == here || there == 0)
        return true; /* 0: the model will import what the function does */
    return n->op && n->op->newest <= here && n->op->newest <= there;
}

static ox_status check_graph(void *arg, struct ox_graph *graph) {
    struct check *c = arg;
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n)) {
        c->nodes++;
        if (!c->obstacle && !means_the_same(n, c->model)) c->obstacle = n;
        OX_TRY(ox_node_each_graph(n, check_graph, c));
    }
    return OX_OK;
}

static ox_status import_opsets(struct ox_model *model, const struct ox_function *f) {
    for (size_t i = 0; i < f->n_opsets; i++)
        if (ox_model_opset(model, f->opsets[i].domain) == 0)
            OX_TRY(ox_model_set_opset(model, f->opsets[i].domain, f->opsets[i].version));
    return OX_OK;
}

/* *done: the call is gone. */
static ox_status try_call(bool *done, struct ox_pass_run *run, struct ox_node *call,
                          int64_t max_nodes) {
    struct ox_function *f = call->callee;
    struct check c = {.model = run->model};
    *done = false;
    OX_TRY(check_graph(&c, f->body));
    if (max_nodes > 0 && c.nodes > (uint64_t)max_nodes) return OX_OK;
    if (c.obstacle) {
        ox_rewrite_missed(run, call, "function %s uses %s of another opset than the model does",
                          ox_name_text(f->name), ox_name_text(c.obstacle->type));
        return OX_OK;
    }
    if (!ox_rewrite_allowed(run)) return OX_OK;
    OX_TRY(import_opsets(run->model, f));
    OX_TRY(ox_call_inline(call));
    ox_rewrite_done(run, CALLS);
    *done = true;
    return OX_OK;
}

/* What a call becomes may hold calls: the walk goes on with its first node. Bodies of subgraphs
 * come with their nodes. */
static ox_status inline_graph(void *arg, struct ox_graph *graph);

struct sweep {
    struct ox_pass_run *run;
    int64_t max_nodes;
};

static ox_status inline_graph(void *arg, struct ox_graph *graph) {
    struct sweep *s = arg;
    struct ox_node *n = ox_graph_begin(graph), *before = NULL;
    while (n) {
        bool done = false;
        if (n->callee && (n->graph->function == NULL || !ox_node_is_template(n)))
            OX_TRY(try_call(&done, s->run, n, s->max_nodes));
        if (done) {
            n = before ? ox_node_next(before) : ox_graph_begin(graph);
            continue;
        }
        OX_TRY(ox_node_each_graph(n, inline_graph, s)); /* as deep as limits.max_subgraph_depth */
        before = n;
        n = ox_node_next(n);
    }
    return OX_OK;
}

/* ---- functions without calls ----------------------------------------------------------------- */

struct reach {
    struct ox_model *model;
    struct ox_ptr_map index; /* function -> index + 1 */
    bool *seen;              /* by function */
    uint32_t *queue;
    size_t n;
};

static ox_status reach_graph(void *arg, struct ox_graph *graph) {
    struct reach *r = arg;
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n)) {
        uint32_t f = n->callee ? ox_ptr_map_get(&r->index, n->callee) : 0;
        if (f && !r->seen[f - 1]) {
            r->seen[f - 1] = true;
            r->queue[r->n++] = f - 1;
        }
        OX_TRY(ox_node_each_graph(n, reach_graph, r));
    }
    return OX_OK;
}

/* Functions that are reached from the main graph and from those that are seen already. */
static ox_status reach(struct reach *r) {
    OX_TRY(reach_graph(r, r->model->graph));
    for (size_t i = 0; i < r->n; i++)
        OX_TRY(reach_graph(r, r->model->functions[r->queue[i]]->body));
    return OX_OK;
}

static ox_status reach_new(struct reach *r, struct ox_model *model) {
    *r = (struct reach){.model = model};
    ox_ptr_map_init(&r->index, model->ctx);
    OX_TRY(ox_alloc(model->ctx, &r->seen, model->n_functions, sizeof *r->seen));
    OX_TRY(ox_alloc(model->ctx, &r->queue, model->n_functions, sizeof *r->queue));
    for (size_t i = 0; i < model->n_functions; i++)
        OX_TRY(ox_ptr_map_set(&r->index, model->functions[i], (uint32_t)i + 1));
    return OX_OK;
}

static void reach_fini(struct reach *r) {
    ox_ptr_map_fini(&r->index);
    ox_free(r->model->ctx, r->seen);
    ox_free(r->model->ctx, r->queue);
}

/* What was reached and is not any more goes. A function that nobody called before the pass stays,
 * and what it calls: somebody may have put it there on purpose. */
static ox_status drop_functions(struct ox_pass_run *run, const bool *before) {
    struct ox_model *m = run->model;
    struct reach r;
    ox_status s = reach_new(&r, m);
    for (size_t i = 0; i < m->n_functions && s == OX_OK; i++) {
        if (before[i]) continue;
        r.seen[i] = true;
        r.queue[r.n++] = (uint32_t)i;
    }
    if (s == OX_OK) s = reach(&r);
    size_t kept = 0;
    for (size_t i = 0; i < m->n_functions && s == OX_OK; i++) {
        struct ox_function *f = m->functions[i];
        if (r.seen[i] || !ox_rewrite_allowed(run)) {
            m->functions[kept++] = f;
            continue;
        }
        for (size_t k = 0; k < f->n_defaults; k++)
            ox_attr_release(&f->defaults[k]);
        ox_rewrite_done(run, FUNCTIONS_DROPPED);
    }
    if (s == OX_OK) m->n_functions = kept;
    reach_fini(&r);
    return s;
}

ox_status ox_pass_inline(struct ox_pass_run *run) {
    struct ox_model *m = run->model;
    struct sweep sweep = {.run = run};
    struct reach before;
    struct ox_expansion size;
    OX_TRY(ox_pass_arg_int(&sweep.max_nodes, run, "max_nodes", 0, 0, INT64_MAX));
    if (m->n_functions == 0) return OX_OK;
    OX_TRY(ox_model_expanded(&size, m));
    if (!size.fits) {
        ox_report(run->ctx, OX_NOTE, "too-large", NULL,
                  "functions stay: with all of them expanded the model would be too large");
        return OX_OK;
    }
    ox_status s = reach_new(&before, m);
    if (s == OX_OK) s = reach(&before);
    if (s == OX_OK) s = inline_graph(&sweep, m->graph);
    if (s == OX_OK) s = drop_functions(run, before.seen);
    reach_fini(&before);
    return s;
}
