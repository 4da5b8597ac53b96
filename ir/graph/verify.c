/* ir/graph/verify.c - the invariants of graph.h, arity and attributes, checked after reading and
 * after every pass.
 *
 * All problems are reported, up to 20, before it fails. */
#include "ir/graph/graph.h"

#include "ir/ops/op_control.h"
#include <stdalign.h>

enum { PROBLEMS_MAX = 20 };

struct verifier {
    struct ox_model *model;
    struct ox_call_scratch scratch;
    size_t problems;
};

#define PROBLEM(v, node, id, ...)                                                                  \
    do {                                                                                           \
        struct ox_place problem_place;                                                             \
        ox_node_place(&problem_place, (node));                                                     \
        (void)ox_fail((v)->model->ctx, OX_INVALID, (id), &problem_place, __VA_ARGS__);             \
        (v)->problems++;                                                                           \
    } while (0)

static const char *label(const struct ox_value *value) {
    return value->name ? value->name->text : "(unnamed)";
}

static void check_edges(struct verifier *v, struct ox_node *n) {
    for (size_t i = 0; i < n->n_in; i++) {
        struct ox_use *u = &n->in[i];
        if (!u->value) continue;
        if (u->user != n || !u->link || *u->link != u)
            PROBLEM(v, n, "broken-edge", "operand %zu is not where its value's use list says", i);
        else if (u->value->graph->model != v->model)
            PROBLEM(v, n, "foreign-value", "operand %zu '%s' belongs to another model", i,
                    label(u->value));
        else if (!ox_value_visible(u->value, n))
            PROBLEM(v, n, "not-dominated", "operand %zu '%s' is not defined before the node", i,
                    label(u->value));
    }
    for (size_t i = 0; i < n->n_out; i++)
        if (n->out[i] && (n->out[i]->def != n || n->out[i]->def_index != i))
            PROBLEM(v, n, "broken-output", "output %zu does not name the node as its definition",
                    i);
}

/* Subgraphs of a control-flow node must take and give what the node's own operands ask for. */
static void check_bodies(struct verifier *v, struct ox_node *n, const struct ox_control_params *p) {
    for (size_t i = 0; i < p->n_graphs; i++) {
        const struct ox_attr *a = ox_node_attr(n, p->graphs[i].attr);
        const struct ox_graph *g = a && a->type == OX_ATTR_GRAPH ? a->v.g : NULL;
        if (!g) {
            PROBLEM(v, n, "wrong-attribute", "attribute '%s' must be a graph", p->graphs[i].attr);
            continue;
        }
        if (g->n_inputs != p->graphs[i].n_in)
            PROBLEM(v, n, "subgraph-arity", "graph '%s' has %zu inputs where %zu are given",
                    p->graphs[i].attr, g->n_inputs, p->graphs[i].n_in);
        if (g->ret->n_in != p->graphs[i].n_out)
            PROBLEM(v, n, "subgraph-arity", "graph '%s' has %u outputs where %zu are wanted",
                    p->graphs[i].attr, g->ret->n_in, p->graphs[i].n_out);
    }
}

static ox_status check_control(struct verifier *v, struct ox_node *n, const struct ox_call *call) {
    alignas(64) unsigned char params[OX_PARAMS_MAX] = {0};
    OX_TRY(n->op->decode(call, params));
    check_bodies(v, n, (void *)params);
    return OX_OK;
}

static ox_status check_operator(struct verifier *v, struct ox_node *n) {
    struct ox_call call;
    struct ox_place place;
    if (ox_node_opset(n) == 0) {
        PROBLEM(v, n, "no-opset", "the model imports no opset for domain '%s'",
                ox_name_text(n->domain));
        return OX_OK;
    }
    if (ox_node_is_template(n)) return OX_OK;
    OX_TRY(ox_node_call(&call, &v->scratch, n));
    ox_node_place(&place, n);
    const struct ox_place *former = ox_place_set(v->model->ctx, &place);
    ox_status s = ox_op_check(&call);
    if (s == OX_OK && n->op->traits & OX_CONTROL) s = check_control(v, n, &call);
    ox_place_set(v->model->ctx, former);
    if (s == OX_NOMEM) return s;
    if (s != OX_OK) v->problems++;
    return OX_OK;
}

static ox_status check_owner(void *arg, struct ox_graph *graph) {
    struct ox_node *n = arg;
    return graph->owner == n && graph->depth == n->graph->depth + 1 ? OX_OK : OX_INVALID;
}

static ox_status check_graph(void *arg, struct ox_graph *graph) {
    struct verifier *v = arg;
    uint64_t order = 0;
    size_t count = 0;
    for (struct ox_node *n = graph->first; n; n = n->next) {
        if (v->problems >= PROBLEMS_MAX) break;
        if (n->graph != graph || (n->next && n->next->prev != n) || n->order <= order)
            PROBLEM(v, n, "broken-list", "the list of nodes is broken here");
        order = n->order;
        check_edges(v, n);
        if (ox_node_each_graph(n, check_owner, n) != OX_OK)
            PROBLEM(v, n, "broken-subgraph", "a subgraph does not name its node");
        if (n == graph->ret) break;
        count++;
        if (n->op) OX_TRY(check_operator(v, n));
    }
    if (v->problems < PROBLEMS_MAX && count != graph->n_nodes)
        PROBLEM(v, graph->ret, "broken-list", "the graph counts %zu nodes and has %zu",
                graph->n_nodes, count);
    for (size_t i = 0; i < graph->ret->n_in && v->problems < PROBLEMS_MAX; i++)
        if (!graph->ret->in[i].value)
            PROBLEM(v, graph->ret, "no-output", "graph output '%s' is never produced",
                    ox_name_text(graph->outputs[i].name));
    return OX_OK;
}

ox_status ox_model_verify(struct ox_model *model) {
    struct verifier v = {.model = model, .scratch.ctx = model->ctx};
    int64_t opset = ox_model_opset(model, NULL);
    if (opset > OX_OPSET_MAX)
        return ox_fail(model->ctx, OX_UNSUPPORTED, "opset-too-new",
                       &(struct ox_place){.file = model->file ? model->file->text : NULL},
                       "the model imports opset %lld; opsets up to %d are known", (long long)opset,
                       OX_OPSET_MAX);
    ox_status s = ox_model_each_graph(model, check_graph, &v);
    ox_call_scratch_fini(&v.scratch);
    struct ox_expansion size = {.recursive = false};
    if (s == OX_OK && model->n_functions) s = ox_model_expanded(&size, model);
    if (s == OX_OK && size.recursive)
        s = ox_fail(model->ctx, OX_INVALID, "recursive-function",
                    &(struct ox_place){.file = model->file ? model->file->text : NULL},
                    "a function of the model calls itself, directly or through others");
    if (s != OX_OK) return s;
    return v.problems ? OX_INVALID : OX_OK;
}
