/* passes/upgrade/upgrade.c - brings a model of opset 7 to 12 to opset 13, and of an IR version
 * below 7 to version 7: scales per channel, and with them quantization, begin there.
 *
 * All nodes are looked at before any is changed: a model that cannot be brought there as a whole
 * stays as it is, and a warning says why. Newer models are left alone. */
#include "passes/graph_list.h"
#include "passes/upgrade/upgrade_rules.h"

enum { NODES, OPSETS };
enum { IR_OF_OPSET_13 = 7 };

static bool can_upgrade(const struct ox_pass_run *run, const struct ox_graph_list *graphs,
                        int64_t opset) {
    const struct ox_model *m = run->model;
    const struct ox_place place = {.file = m->file ? m->file->text : NULL};
    if (opset < OX_UPGRADE_FROM || m->n_functions) {
        ox_report(run->ctx, OX_WARNING, "not-upgraded", &place, "the model stays at opset %lld: %s",
                  (long long)opset,
                  m->n_functions ? "it has functions of its own"
                                 : "models older than opset 7 are not upgraded");
        return false;
    }
    for (size_t i = 0; i < graphs->n; i++)
        for (const struct ox_node *n = ox_graph_begin(graphs->at[i]); n; n = ox_node_next(n)) {
            const char *why = ox_upgrade_obstacle(n, opset);
            struct ox_place at;
            if (!why) continue;
            ox_node_place(&at, n);
            ox_report(run->ctx, OX_WARNING, "not-upgraded", &at,
                      "the model stays at opset %lld: %s", (long long)opset, why);
            return false;
        }
    return true;
}

static ox_status upgrade_graph(struct ox_pass_run *run, struct ox_graph *graph, int64_t opset) {
    for (struct ox_node *n = ox_graph_begin(graph), *next; n; n = next) {
        bool changed;
        next = ox_node_next(n);
        OX_TRY(ox_upgrade_node(&changed, n, opset));
        run->counts[NODES] += changed; /* the whole is one rewrite: a model half upgraded is none */
    }
    return OX_OK;
}

/* Before IR version 4 weights were listed among the inputs; from then on an input with a default
 * may be overridden. */
static ox_status raise_ir_version(struct ox_model *m) {
    struct ox_graph *g = m->graph;
    if (m->ir_version >= IR_OF_OPSET_13) return OX_OK;
    if (m->ir_version < 4)
        for (size_t i = g->n_inputs; i-- > 0;)
            if (g->inputs[i]->init) OX_TRY(ox_graph_fix_input(g->inputs[i]));
    m->ir_version = IR_OF_OPSET_13;
    return OX_OK;
}

static ox_status upgrade(struct ox_pass_run *run, const struct ox_graph_list *graphs,
                         int64_t opset) {
    if (!can_upgrade(run, graphs, opset)) return OX_OK;
    for (size_t i = 0; i < graphs->n; i++)
        OX_TRY(upgrade_graph(run, graphs->at[i], opset));
    OX_TRY(ox_model_set_opset(run->model, NULL, OX_UPGRADE_TO));
    OX_TRY(raise_ir_version(run->model));
    ox_rewrite_done(run, OPSETS);
    return OX_OK;
}

ox_status ox_pass_upgrade(struct ox_pass_run *run) {
    int64_t opset = ox_model_opset(run->model, NULL);
    struct ox_graph_list graphs;
    if (opset == 0 || opset >= OX_UPGRADE_TO || !ox_rewrite_allowed(run)) return OX_OK;
    OX_TRY(ox_graph_list_init(&graphs, run->model));
    ox_status s = upgrade(run, &graphs, opset);
    ox_graph_list_fini(&graphs);
    return s;
}
