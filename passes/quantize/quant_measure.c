/* passes/quantize/quant_measure.c - see quant_measure.h. */
#include "passes/quantize/quant_measure.h"

#include "ir/graph/exec.h"
#include <math.h>

/* ---- keeping elements of the float run ---------------------------------------------------------
 */

static size_t stride_of(size_t count) {
    return 1 + (count - 1) / OX_QMEASURE_ELEMENTS;
}

static ox_status keep(struct ox_qmeasure *m, size_t sample, size_t slot, const ox_tensor *t) {
    ox_ctx *ctx = m->plan->ctx;
    if (!t || t->dtype != OX_FLOAT || t->count == 0 || m->kept[sample][slot]) return OX_OK;
    size_t stride = stride_of(t->count), n = 1 + (t->count - 1) / stride;
    OX_TRY(ox_alloc(ctx, &m->kept[sample][slot], n, sizeof(float)));
    for (size_t i = 0; i < n; i++)
        memcpy(&m->kept[sample][slot][i], (const char *)t->data + i * stride * sizeof(float),
               sizeof(float));
    m->count[sample][slot] = t->count;
    return OX_OK;
}

static bool slots_alloc(ox_ctx *ctx, struct ox_qmeasure *m, size_t sample) {
    size_t n = m->plan->n_values + m->n_outputs;
    return ox_alloc(ctx, &m->kept[sample], n, sizeof(float *)) == OX_OK &&
           ox_alloc(ctx, &m->count[sample], n, sizeof(size_t)) == OX_OK;
}

static ox_status keep_sample(struct ox_qmeasure *m, struct ox_qsim *sim, size_t sample) {
    const struct ox_qplan *plan = m->plan;
    if (!slots_alloc(plan->ctx, m, sample)) return OX_NOMEM;
    for (size_t i = 0; i < plan->n_values; i++)
        if (plan->values[i].made || plan->values[i].read) OX_TRY(keep(m, sample, i, sim->ref[i]));
    for (size_t i = 0; i < m->n_outputs; i++)
        OX_TRY(keep(m, sample, plan->n_values + i, sim->ref[plan->graph->ret->in[i].value->id]));
    return OX_OK;
}

static ox_status get_inputs(ox_tensor ***out, const struct ox_qmeasure *m, size_t sample) {
    const struct ox_qplan *plan = m->plan;
    size_t n =
        plan->graph->n_inputs > m->data->n_inputs ? plan->graph->n_inputs : m->data->n_inputs;
    OX_TRY(ox_alloc(plan->ctx, out, n, sizeof(ox_tensor *)));
    ox_status s = m->data->sample(m->data->self, m->index[sample], *out, NULL);
    if (s != OX_OK) ox_free(plan->ctx, *out);
    return s;
}

static void free_inputs(ox_tensor **inputs, const struct ox_qmeasure *m) {
    for (size_t i = 0; i < m->data->n_inputs; i++)
        ox_tensor_unref(inputs[i]);
    ox_free(m->plan->ctx, inputs);
}

ox_status ox_qmeasure_float(struct ox_qmeasure *m, struct ox_qsim *sim,
                            const struct ox_dataset *data, size_t samples) {
    struct ox_qplan *plan = sim->plan;
    size_t n = samples < OX_QMEASURE_SAMPLES ? samples : OX_QMEASURE_SAMPLES;
    *m = (struct ox_qmeasure){
        .plan = plan, .data = data, .n_outputs = plan->graph->ret->n_in, .worst_output_db = NAN};
    OX_TRY(ox_alloc(plan->ctx, &m->noise, plan->n_values + m->n_outputs, sizeof *m->noise));
    OX_TRY(ox_alloc(plan->ctx, &m->signal, plan->n_values + m->n_outputs, sizeof *m->signal));
    for (size_t k = 0; k < n; k++) {
        ox_tensor **inputs;
        m->index[k] = k * samples / n;
        m->n_samples = k + 1;
        OX_TRY(get_inputs(&inputs, m, k));
        ox_status s = ox_qsim_float(sim, (const ox_tensor *const *)inputs, true, NULL, NULL);
        free_inputs(inputs, m);
        OX_TRY(s);
        OX_TRY(keep_sample(m, sim, k));
    }
    return OX_OK;
}

/* ---- comparing ---------------------------------------------------------------------------------
 */

struct watch {
    struct ox_qmeasure *m;
    size_t sample;
    const uint32_t
        *origin; /* by id of a value of the quantized model: value it stands for, plus 1 */
    size_t n_origin;
};

static void compare(struct ox_qmeasure *m, size_t sample, size_t slot, const ox_tensor *t) {
    const float *x = m->kept[sample][slot];
    if (!x || t->dtype != OX_FLOAT || t->count != m->count[sample][slot]) return;
    size_t stride = stride_of(t->count), n = 1 + (t->count - 1) / stride;
    for (size_t i = 0; i < n; i++) {
        float q;
        memcpy(&q, (const char *)t->data + i * stride * sizeof(float), sizeof q);
        double d = (double)q - x[i];
        m->noise[slot] += d * d;
        m->signal[slot] += (double)x[i] * x[i];
    }
}

static ox_status observe(void *user, const struct ox_value *v, const ox_tensor *t) {
    struct watch *w = user;
    uint32_t origin = v->id < w->n_origin ? w->origin[v->id] : 0;
    if (origin) compare(w->m, w->sample, origin - 1, t);
    return OX_OK;
}

static ox_status run_sample(struct ox_qmeasure *m, struct ox_runner *runner, struct watch *w,
                            ox_tensor **out) {
    ox_tensor **inputs;
    OX_TRY(get_inputs(&inputs, m, w->sample));
    ox_status s = runner->run(runner->self, (const ox_tensor *const *)inputs, out, observe, w);
    free_inputs(inputs, m);
    for (size_t i = 0; i < m->n_outputs && s == OX_OK; i++)
        compare(m, w->sample, m->plan->n_values + i, out[i]);
    for (size_t i = 0; i < m->n_outputs; i++) {
        ox_tensor_unref(out[i]);
        out[i] = NULL;
    }
    return s;
}

static double decibels(double signal, double noise) {
    if (!(signal > 0)) return noise > 0 ? -200 : signal == 0 && noise == 0 ? 200 : NAN;
    double db = noise > 0 ? 10 * log10(signal / noise) : 200;
    return db > 200 ? 200 : db;
}

double ox_qmeasure_db(const struct ox_qmeasure *m, uint32_t value) {
    if (!m->n_samples || isnan(m->worst_output_db) || !m->kept[0] || !m->kept[0][value]) return NAN;
    return decibels(m->signal[value], m->noise[value]);
}

static ox_status run_all(struct ox_qmeasure *m, struct ox_runner *runner, struct watch *w) {
    ox_tensor **out;
    ox_status s = OX_OK;
    OX_TRY(ox_alloc(m->plan->ctx, &out, m->n_outputs, sizeof(ox_tensor *)));
    for (w->sample = 0; w->sample < m->n_samples && s == OX_OK; w->sample++)
        s = run_sample(m, runner, w, out);
    ox_free(m->plan->ctx, out);
    return s;
}

ox_status ox_qmeasure_quantized(struct ox_qmeasure *m) {
    struct ox_qplan *plan = m->plan;
    struct ox_model *model = plan->model;
    struct ox_runner runner;
    uint32_t *origin;
    for (struct ox_node *n = ox_graph_begin(plan->graph); n; n = ox_node_next(n))
        if (!n->op || !n->op->eval) return OX_OK;
    OX_TRY(ox_alloc(plan->ctx, &origin, model->n_values, sizeof *origin));
    for (uint32_t i = 0; i < plan->n_values; i++)
        if (plan->values[i].stands_in) origin[plan->values[i].stands_in->id] = i + 1;
    struct watch w = {.m = m, .origin = origin, .n_origin = model->n_values};
    ox_status s = ox_exec_new(&runner, model);
    if (s == OX_OK) {
        s = run_all(m, &runner, &w);
        runner.free(runner.self);
    }
    ox_free(plan->ctx, origin);
    if (s == OX_UNSUPPORTED) return OX_OK;
    OX_TRY(s);
    for (size_t i = 0; i < m->n_outputs; i++) {
        size_t slot = plan->n_values + i;
        double db = decibels(m->signal[slot], m->noise[slot]);
        if (m->n_samples && m->kept[0][slot] && !(db >= m->worst_output_db))
            m->worst_output_db = db;
    }
    return OX_OK;
}

void ox_qmeasure_fini(struct ox_qmeasure *m) {
    if (!m->plan) return;
    ox_ctx *ctx = m->plan->ctx;
    for (size_t k = 0; k < OX_QMEASURE_SAMPLES; k++) {
        for (size_t i = 0; m->kept[k] && i < m->plan->n_values + m->n_outputs; i++)
            ox_free(ctx, m->kept[k][i]);
        ox_free(ctx, m->kept[k]);
        ox_free(ctx, m->count[k]);
    }
    ox_free(ctx, m->noise);
    ox_free(ctx, m->signal);
    *m = (struct ox_qmeasure){0};
}
