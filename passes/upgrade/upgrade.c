/* passes/upgrade/upgrade.c - brings a model of opset 7 to 12 to opset 13, and of an IR version
 * below 7 to version 7: scales per channel, and with them quantization, begin there.
 *
 * All nodes are looked at before any is changed: a model that cannot be brought there as a whole
 * stays as it is, and a warning says why. Newer models are left alone. Functions go the same way,
 * each from the opset that it imports; newer ones stay. */
#include "passes/graph_list.h"
#include "passes/upgrade/upgrade_rules.h"

enum { NODES, OPSETS };
enum { IR_OF_OPSET_13 = 7 };

/* Of the standard's domain; the model's own, or a function's, which may be another. NULL: it
 * imports none. */
static struct ox_opset *standard_opset(struct ox_opset *opsets, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!ox_domain_norm(opsets[i].domain)) return &opsets[i];
    return NULL;
}

static bool is_old(int64_t opset) {
    return opset != 0 && opset < OX_UPGRADE_TO;
}

/* The oldest opset that is in use somewhere; 0: none. */
static int64_t oldest(const struct ox_model *m) {
    const struct ox_opset *own = standard_opset(m->opsets, m->n_opsets);
    int64_t version = own ? own->version : 0;
    for (size_t i = 0; i < m->n_functions; i++) {
        const struct ox_opset *o =
            standard_opset(m->functions[i]->opsets, m->functions[i]->n_opsets);
        if (o && (version == 0 || o->version < version)) version = o->version;
    }
    return version;
}

static bool can_upgrade(const struct ox_pass_run *run, const struct ox_graph_list *graphs,
                        int64_t opset) {
    const struct ox_model *m = run->model;
    const struct ox_place place = {.file = m->file ? m->file->text : NULL};
    if (opset < OX_UPGRADE_FROM) {
        ox_report(run->ctx, OX_WARNING, "not-upgraded", &place,
                  "the model stays at opset %lld: models older than opset 7 are not upgraded",
                  (long long)opset);
        return false;
    }
    for (size_t i = 0; i < graphs->n; i++)
        for (const struct ox_node *n = ox_graph_begin(graphs->at[i]); n; n = ox_node_next(n)) {
            int64_t own = ox_node_opset(n);
            const char *why = is_old(own) ? ox_upgrade_obstacle(n, own) : NULL;
            struct ox_place at;
            if (!why) continue;
            ox_node_place(&at, n);
            ox_report(run->ctx, OX_WARNING, "not-upgraded", &at,
                      "the model stays at opset %lld: %s", (long long)opset, why);
            return false;
        }
    return true;
}

static ox_status upgrade_graph(struct ox_pass_run *run, struct ox_graph *graph) {
    for (struct ox_node *n = ox_graph_begin(graph), *next; n; n = next) {
        bool changed = false;
        int64_t opset = ox_node_opset(n);
        next = ox_node_next(n);
        if (is_old(opset)) OX_TRY(ox_upgrade_node(&changed, n, opset));
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
    struct ox_model *m = run->model;
    if (!can_upgrade(run, graphs, opset)) return OX_OK;
    for (size_t i = 0; i < graphs->n; i++)
        OX_TRY(upgrade_graph(run, graphs->at[i]));
    for (size_t i = 0; i <= m->n_functions; i++) {
        struct ox_opset *own =
            i ? standard_opset(m->functions[i - 1]->opsets, m->functions[i - 1]->n_opsets)
              : standard_opset(m->opsets, m->n_opsets);
        if (own && is_old(own->version)) own->version = OX_UPGRADE_TO;
    }
    OX_TRY(raise_ir_version(run->model));
    ox_rewrite_done(run, OPSETS);
    return OX_OK;
}

ox_status ox_pass_upgrade(struct ox_pass_run *run) {
    int64_t opset = oldest(run->model);
    struct ox_graph_list graphs;
    if (!is_old(opset) || !ox_rewrite_allowed(run)) return OX_OK;
    OX_TRY(ox_graph_list_init(&graphs, run->model));
    ox_status s = upgrade(run, &graphs, opset);
    ox_graph_list_fini(&graphs);
    return s;
}
