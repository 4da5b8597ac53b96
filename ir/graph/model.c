/* ir/graph/model.c - making and freeing models; registries of nodes and values; opset imports. */
#include "ir/graph/graph.h"

#include <onnxopt/model.h>

ox_status ox_model_new(struct ox_model **out, ox_ctx *ctx) {
    struct ox_model *m;
    OX_TRY(ox_alloc(ctx, &m, 1, sizeof *m));
    m->ctx = ctx;
    ox_arena_init(&m->arena, ctx);
    ox_names_init(&m->names, ctx);
    ox_dims_init(&m->dims, ctx);
    ox_status s = ox_alloc(ctx, &m->n_by_op, ox_op_count(), sizeof *m->n_by_op);
    if (s == OX_OK) s = ox_graph_new(&m->graph, m, NULL);
    if (s != OX_OK) {
        ox_model_free(m);
        return s;
    }
    *out = m;
    return OX_OK;
}

static void sparse_release(struct ox_sparse *sparse) {
    if (!sparse) return;
    ox_tensor_unref(sparse->values);
    ox_tensor_unref(sparse->indices);
    sparse->values = sparse->indices = NULL;
}

void ox_attr_release(struct ox_attr *attr) {
    switch (attr->type) {
    case OX_ATTR_TENSOR:
        ox_tensor_unref(attr->v.t);
        attr->v.t = NULL;
        break;
    case OX_ATTR_TENSORS:
        for (size_t i = 0; attr->v.tensors && i < attr->count; i++)
            ox_tensor_unref(attr->v.tensors[i]);
        attr->v.tensors = NULL;
        break;
    case OX_ATTR_SPARSE_TENSOR:
    case OX_ATTR_SPARSE_TENSORS:
        for (size_t i = 0; attr->v.sparse && i < attr->count; i++)
            sparse_release(attr->v.sparse[i]);
        attr->v.sparse = NULL;
        break;
    default:
        break;
    }
}

void ox_model_free(struct ox_model *model) {
    if (!model) return;
    ox_ctx *ctx = model->ctx;
    for (uint32_t i = 0; i < model->n_nodes; i++)
        for (size_t j = 0; j < model->nodes[i]->n_attrs; j++)
            ox_attr_release(&model->nodes[i]->attrs[j]);
    for (uint32_t i = 0; i < model->n_values; i++) {
        ox_tensor_unref(model->values[i]->init);
        sparse_release(model->values[i]->sparse);
    }
    for (size_t i = 0; i < model->n_functions; i++)
        for (size_t j = 0; model->functions[i] && j < model->functions[i]->n_defaults; j++)
            ox_attr_release(&model->functions[i]->defaults[j]);
    ox_free(ctx, model->nodes);
    ox_free(ctx, model->n_by_op);
    ox_free(ctx, model->values);
    ox_dims_fini(&model->dims);
    ox_names_fini(&model->names);
    ox_arena_fini(&model->arena);
    ox_free(ctx, model);
}

ox_ctx *ox_model_ctx(const struct ox_model *model) {
    return model->ctx;
}

ox_status ox_model_name(ox_name *out, struct ox_model *model, const char *text, size_t len) {
    return ox_name_get(out, &model->names, text, len);
}

ox_name ox_domain_norm(ox_name domain) {
    if (!domain || domain->len == 0 || ox_name_is(domain, "ai.onnx")) return NULL;
    return domain;
}

static int64_t find_opset(const struct ox_opset *opsets, size_t n, ox_name domain) {
    for (size_t i = 0; i < n; i++)
        if (ox_domain_norm(opsets[i].domain) == domain) return opsets[i].version;
    return 0;
}

int64_t ox_model_opset(const struct ox_model *model, ox_name domain) {
    return find_opset(model->opsets, model->n_opsets, ox_domain_norm(domain));
}

/* The function whose body, at any depth, holds the graph; NULL in the main graph. */
static const struct ox_function *function_of(const struct ox_graph *graph) {
    while (!graph->function && graph->owner)
        graph = graph->owner->graph;
    return graph->function;
}

int64_t ox_node_opset(const struct ox_node *node) {
    const struct ox_function *f = function_of(node->graph);
    int64_t version = f ? find_opset(f->opsets, f->n_opsets, ox_domain_norm(node->domain)) : 0;
    if (!version) version = ox_model_opset(node->graph->model, node->domain);
    /* What has one definition only needs no import to be understood; models of ONNX Runtime leave
     * it out. */
    const struct ox_op *op = node->op;
    if (!version && op && op->domain[0] && op->since == op->newest) version = op->newest;
    return version;
}

ox_status ox_model_set_opset(struct ox_model *model, ox_name domain, int64_t version) {
    domain = ox_domain_norm(domain);
    for (size_t i = 0; i < model->n_opsets; i++)
        if (ox_domain_norm(model->opsets[i].domain) == domain) {
            model->opsets[i].version = version;
            return OX_OK;
        }
    struct ox_opset *list;
    OX_TRY(ox_arena_alloc(&model->arena, &list, model->n_opsets + 1, sizeof *list));
    if (model->n_opsets) memcpy(list, model->opsets, model->n_opsets * sizeof *list);
    list[model->n_opsets++] = (struct ox_opset){.domain = domain, .version = version};
    model->opsets = list;
    return OX_OK;
}

/* ---- walking graphs -------------------------------------------------------------------------- */

ox_status ox_node_each_graph(const struct ox_node *node,
                             ox_status (*fn)(void *arg, struct ox_graph *graph), void *arg) {
    for (size_t i = 0; i < node->n_attrs; i++) {
        const struct ox_attr *a = &node->attrs[i];
        if (a->ref) continue;
        if (a->type == OX_ATTR_GRAPH && a->v.g) OX_TRY(fn(arg, a->v.g));
        if (a->type == OX_ATTR_GRAPHS)
            for (size_t j = 0; j < a->count; j++)
                OX_TRY(fn(arg, a->v.graphs[j]));
    }
    return OX_OK;
}

struct walk {
    ox_ctx *ctx;
    struct ox_graph **queue;
    size_t n, cap;
};

static ox_status enqueue(void *arg, struct ox_graph *graph) {
    struct walk *w = arg;
    OX_TRY(OX_GROW(w->ctx, w->queue, w->n, w->cap));
    w->queue[w->n++] = graph;
    return OX_OK;
}

/* Outer graphs come before inner ones because the queue is first in, first out. */
static ox_status walk_all(struct walk *w, ox_status (*fn)(void *arg, struct ox_graph *graph),
                          void *arg) {
    for (size_t i = 0; i < w->n; i++) {
        struct ox_graph *g = w->queue[i];
        if (g->depth > ox_ctx_limits(w->ctx)->max_subgraph_depth)
            return ox_fail(w->ctx, OX_INVALID, "too-deep", NULL,
                           "subgraphs are nested deeper than %d (limit max_subgraph_depth)",
                           ox_ctx_limits(w->ctx)->max_subgraph_depth);
        OX_TRY(fn(arg, g));
        if (g->model->n_subgraphs == 0) continue;
        for (struct ox_node *n = ox_graph_begin(g); n; n = ox_node_next(n))
            if (n->n_attrs) OX_TRY(ox_node_each_graph(n, enqueue, w));
    }
    return OX_OK;
}

ox_status ox_model_each_graph(struct ox_model *model,
                              ox_status (*fn)(void *arg, struct ox_graph *graph), void *arg) {
    struct walk w = {.ctx = model->ctx};
    ox_status s = enqueue(&w, model->graph);
    for (size_t i = 0; i < model->n_functions && s == OX_OK; i++)
        s = enqueue(&w, model->functions[i]->body);
    if (s == OX_OK) s = walk_all(&w, fn, arg);
    ox_free(model->ctx, w.queue);
    return s;
}
