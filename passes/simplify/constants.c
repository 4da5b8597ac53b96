/* passes/simplify/constants.c - Constant nodes become initializers, so that every constant has one
 * form.
 *
 * The tensor is shared, not copied. Constants given as plain attributes (value_float, value_ints,
 * ...) are evaluated by their row. Sparse constants, and those whose value is an attribute of the
 * enclosing function, stay. */
#include "passes/graph_list.h"
#include "passes/pass.h"

static ox_status constant_of(ox_tensor **out, const struct ox_node *node) {
    *out = NULL;
    if (node->n_attrs != 1 || node->attrs[0].ref || node->attrs[0].type == OX_ATTR_SPARSE_TENSOR)
        return OX_OK;
    if (node->attrs[0].type == OX_ATTR_TENSOR) {
        *out = ox_tensor_ref(node->attrs[0].v.t);
        return OX_OK;
    }
    return ox_exec_node(node, NULL, out);
}

static ox_status lift(struct ox_pass_run *run, struct ox_graph *graph) {
    for (struct ox_node *n = ox_graph_begin(graph), *next; n; n = next) {
        next = ox_node_next(n);
        if (!n->op || !ox_node_is(n, "Constant") || n->n_out != 1 || !n->out[0] ||
            !ox_rewrite_allowed(run))
            continue;
        ox_tensor *t;
        struct ox_value *v;
        OX_TRY(constant_of(&t, n));
        if (!t) continue;
        ox_status s = ox_graph_add_init(&v, graph, n->out[0]->name, t);
        if (s != OX_OK) {
            ox_tensor_unref(t);
            return s;
        }
        ox_value_replace(n->out[0], v);
        ox_node_remove(n);
        ox_rewrite_done(run, 0);
    }
    return OX_OK;
}

ox_status ox_pass_constants(struct ox_pass_run *run) {
    struct ox_graph_list graphs;
    const struct ox_op *op = ox_op_find("", "Constant");
    if (op && run->model->n_by_op[op - ox_op_at(0)] == 0) return OX_OK;
    OX_TRY(ox_graph_list_init(&graphs, run->model));
    ox_status s = OX_OK;
    for (size_t i = 0; i < graphs.n && s == OX_OK; i++)
        s = lift(run, graphs.at[i]);
    ox_graph_list_fini(&graphs);
    return s;
}
