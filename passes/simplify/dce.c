/* passes/simplify/dce.c - dead code: nodes without a used output and without an effect, weights
 * that nothing reads, optional outputs that nothing reads.
 *
 * Graphs are walked inner ones first and nodes last ones first, so one walk finds all there is. */
#include "passes/graph_list.h"
#include "passes/pass.h"

enum { NODES_REMOVED, WEIGHTS_REMOVED, OUTPUTS_DROPPED };

static bool unused(const struct ox_node *node) {
    for (size_t i = 0; i < node->n_out; i++)
        if (node->out[i] && node->out[i]->n_uses > 0) return false;
    return true;
}

/* Outputs beyond the required ones that nobody reads are not asked for any more. */
static void drop_outputs(struct ox_pass_run *run, struct ox_node *node) {
    if (!node->op || node->op->traits & OX_CONTROL || node->op->max_out < 0) return;
    for (size_t i = (size_t)node->op->min_out; i < node->n_out; i++) {
        if (!node->out[i] || node->out[i]->n_uses > 0 || !ox_rewrite_allowed(run)) continue;
        node->out[i] = NULL;
        ox_rewrite_done(run, OUTPUTS_DROPPED);
    }
    while (node->n_out > (size_t)node->op->min_out && !node->out[node->n_out - 1])
        node->n_out--;
}

static void clean_nodes(struct ox_pass_run *run, struct ox_graph *graph) {
    for (struct ox_node *n = graph->ret->prev, *prev; n; n = prev) {
        prev = n->prev;
        if (!ox_rewrite_allowed(run)) return;
        if (unused(n) && ox_node_removable(n)) {
            ox_node_remove(n);
            ox_rewrite_done(run, NODES_REMOVED);
        } else {
            drop_outputs(run, n);
        }
    }
}

static void clean_weights(struct ox_pass_run *run, struct ox_graph *graph) {
    for (size_t i = 0; i < graph->n_inits; i++) {
        struct ox_value *v = graph->inits[i];
        if (!v || v->n_uses > 0 || !ox_rewrite_allowed(run)) continue;
        if (v->init) ox_rewrite_grew(run, -(int64_t)v->init->size);
        ox_value_remove_init(v);
        ox_rewrite_done(run, WEIGHTS_REMOVED);
    }
}

/* IR < 4 lists weights among the inputs; an unused one is no input that a caller could know. */
static void clean_listed_weights(struct ox_pass_run *run, struct ox_graph *graph) {
    if (graph->model->ir_version >= 4 || graph->owner || graph->function) return;
    size_t kept = 0;
    for (size_t i = 0; i < graph->n_inputs; i++) {
        struct ox_value *v = graph->inputs[i];
        if (v->init && v->n_uses == 0 && ox_rewrite_allowed(run)) {
            ox_value_remove_init(v);
            ox_rewrite_done(run, WEIGHTS_REMOVED);
        } else {
            v->def_index = kept;
            graph->inputs[kept++] = v;
        }
    }
    graph->n_inputs = kept;
}

ox_status ox_pass_dce(struct ox_pass_run *run) {
    struct ox_graph_list graphs;
    OX_TRY(ox_graph_list_init(&graphs, run->model));
    for (size_t i = graphs.n; i-- > 0;)
        clean_nodes(run, graphs.at[i]);
    for (size_t i = graphs.n; i-- > 0;) {
        clean_weights(run, graphs.at[i]);
        clean_listed_weights(run, graphs.at[i]);
    }
    ox_graph_list_fini(&graphs);
    return OX_OK;
}
