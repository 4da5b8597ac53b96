/* passes/quantize/quant_watch.c - see quant_watch.h. */
#include "passes/quantize/quant_watch.h"

#include <stdio.h>

static ox_status list_values(struct ox_qwatch *w, bool (*wanted)(const struct ox_qplan *plan,
                                                                 const struct ox_value *value)) {
    struct ox_model *m = w->plan->model;
    OX_TRY(ox_alloc(w->plan->ctx, &w->values, w->plan->n_values, sizeof(struct ox_value *)));
    for (size_t i = 0; i < w->plan->n_values; i++)
        if (m->values[i] && m->values[i]->def && wanted(w->plan, m->values[i]))
            w->values[w->n++] = m->values[i];
    return ox_alloc(w->plan->ctx, &w->out, w->n_own + w->n, sizeof *w->out);
}

static ox_status add_outputs(struct ox_qwatch *w) {
    struct ox_graph *g = w->plan->graph;
    for (size_t i = 0; i < w->n; i++) {
        char text[32];
        ox_name name;
        size_t len = (size_t)snprintf(text, sizeof text, "watched:%zu", i);
        OX_TRY(ox_model_name(&name, g->model, text, len));
        OX_TRY(ox_graph_add_output(g, w->values[i], name, w->values[i]->type));
    }
    return OX_OK;
}

static void remove_outputs(struct ox_qwatch *w) {
    struct ox_node *ret = w->plan->graph->ret;
    for (size_t i = w->n_own; i < ret->n_in; i++)
        ox_use_set(&ret->in[i], NULL);
    ox_node_trim_inputs(ret);
}

ox_status
ox_qwatch_init(struct ox_qwatch *w, struct ox_qplan *plan, const struct ox_model_runner *runner,
               bool (*wanted)(const struct ox_qplan *plan, const struct ox_value *value)) {
    *w = (struct ox_qwatch){.runner = runner, .plan = plan, .n_own = plan->graph->ret->n_in};
    ox_status s = list_values(w, wanted);
    if (s == OX_OK) s = add_outputs(w);
    ox_mute(plan->ctx, true);
    if (s == OX_OK) s = runner->open(&w->opened, runner->user, plan->model);
    ox_mute(plan->ctx, false);
    remove_outputs(w);
    if (s == OX_OK) return OX_OK;
    w->opened = NULL;
    if (s == OX_NOMEM || s == OX_CANCELLED) return s;
    ox_report(plan->ctx, OX_NOTE, "runner-refuses", NULL,
              "the engine for calibration does not run this model: the reference executor does");
    return OX_OK;
}

void ox_qwatch_fini(struct ox_qwatch *w) {
    if (!w->plan) return;
    if (w->opened) w->runner->close(w->opened);
    ox_free(w->plan->ctx, w->values);
    ox_free(w->plan->ctx, w->out);
    *w = (struct ox_qwatch){0};
}

static ox_status show_inputs(struct ox_qwatch *w, const ox_tensor *const *inputs,
                             ox_qsim_observe observe, void *user) {
    const struct ox_graph *g = w->plan->graph;
    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct ox_value *v = g->inputs[i];
        const ox_tensor *t = inputs[i] ? inputs[i] : v->init;
        ox_tensor *aligned = NULL;
        if (!t || ox_value_const(v)) continue;
        OX_TRY(ox_tensor_aligned(&aligned, w->plan->ctx, t));
        ox_status s = observe(user, v, aligned);
        ox_tensor_unref(aligned);
        OX_TRY(s);
    }
    return OX_OK;
}

ox_status ox_qwatch_run(struct ox_qwatch *w, const ox_tensor *const *inputs,
                        ox_qsim_observe observe, void *user) {
    OX_TRY(show_inputs(w, inputs, observe, user));
    ox_status s = w->runner->run(w->opened, inputs, w->out);
    for (size_t i = 0; i < w->n && s == OX_OK; i++)
        if (w->out[w->n_own + i]) s = observe(user, w->values[i], w->out[w->n_own + i]);
    return s;
}
