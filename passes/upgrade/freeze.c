/* passes/upgrade/freeze.c - inputs that have a default become initializers: weights that some
 * exporters list among the inputs could be overridden, and so nothing may be computed from them
 * beforehand. */
#include "passes/pass.h"

enum { INPUTS };

ox_status ox_pass_freeze(struct ox_pass_run *run) {
    struct ox_graph *g = run->model->graph;
    for (size_t i = g->n_inputs; i-- > 0;) {
        if (!g->inputs[i]->init || !ox_rewrite_allowed(run)) continue;
        OX_TRY(ox_graph_fix_input(g->inputs[i]));
        ox_rewrite_done(run, INPUTS);
    }
    /* Earlier versions demand that initializers are listed. */
    if (run->rewrites && run->model->ir_version < 4) run->model->ir_version = 4;
    return OX_OK;
}
