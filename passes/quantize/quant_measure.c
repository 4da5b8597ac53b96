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

static ox_status begin(struct ox_qmeasure *m, struct ox_qplan *plan,
                       const struct ox_dataset *data) {
    *m = (struct ox_qmeasure){
        .plan = plan, .data = data, .n_outputs = plan->graph->ret->n_in, .worst_output_db = NAN};
    size_t n = plan->n_values + m->n_outputs;
    OX_TRY(ox_alloc(plan->ctx, &m->noise, n, sizeof *m->noise));
    OX_TRY(ox_alloc(plan->ctx, &m->signal, n, sizeof *m->signal));
    return ox_alloc(plan->ctx, &m->measured, n, sizeof *m->measured);
}

static ox_status run_float(struct ox_qmeasure *m, struct ox_qsim *sim, size_t k, size_t index) {
    ox_tensor **inputs;
    m->index[k] = index;
    m->n_samples = k + 1;
    OX_TRY(get_inputs(&inputs, m, k));
    ox_status s = ox_qsim_float(sim, (const ox_tensor *const *)inputs, true, NULL, NULL);
    free_inputs(inputs, m);
    return s;
}

ox_status ox_qmeasure_float(struct ox_qmeasure *m, struct ox_qsim *sim,
                            const struct ox_dataset *data, size_t samples) {
    size_t n = samples < OX_QMEASURE_SAMPLES ? samples : OX_QMEASURE_SAMPLES;
    OX_TRY(begin(m, sim->plan, data));
    for (size_t k = 0; k < n; k++) {
        OX_TRY(run_float(m, sim, k, k * samples / n));
        OX_TRY(keep_sample(m, sim, k));
    }
    return OX_OK;
}

/* ---- simulating --------------------------------------------------------------------------------
 */

struct simulated {
    struct ox_qmeasure *m;
    const struct ox_qsim *sim;
};

static void add_error(struct ox_qmeasure *m, size_t slot, const ox_tensor *x, const ox_tensor *q,
                      const struct ox_qvalue *rounds) {
    if (!x || !q || x->dtype != OX_FLOAT || q->dtype != OX_FLOAT || x->count != q->count) return;
    const float *a = x->data, *b = q->data;
    size_t stride = x->count ? stride_of(x->count) : 1;
    m->measured[slot] = m->measured[slot] || x->count;
    for (size_t i = 0; i < x->count; i += stride) {
        float r = b[i];
        if (rounds) ox_fake_quant(m->plan->ctx, &r, &b[i], 1, rounds->param);
        double d = (double)r - a[i];
        m->noise[slot] += d * d;
        m->signal[slot] += (double)a[i] * a[i];
    }
}

static ox_status see(void *user, const struct ox_value *v, const ox_tensor *t) {
    struct simulated *u = user;
    const struct ox_qplan *plan = u->m->plan;
    const struct ox_qvalue *q = &plan->values[v->id];
    const ox_tensor *x = u->sim->ref[v->id];
    if (q->made || q->read) add_error(u->m, v->id, x, t, q->read ? q : NULL);
    for (size_t i = 0; i < u->m->n_outputs; i++)
        if (plan->graph->ret->in[i].value == v) add_error(u->m, plan->n_values + i, x, t, NULL);
    return OX_OK;
}

static void worst_output(struct ox_qmeasure *m) {
    for (size_t i = 0; i < m->n_outputs; i++) {
        size_t slot = m->plan->n_values + i;
        if (!m->measured[slot]) continue;
        double db = ox_decibels(m->signal[slot], m->noise[slot]);
        if (!(db >= m->worst_output_db)) m->worst_output_db = db;
    }
}

ox_status ox_qmeasure_simulated(struct ox_qmeasure *m, struct ox_qsim *sim,
                                const struct ox_dataset *data, size_t samples) {
    struct ox_qplan *plan = sim->plan;
    size_t n = samples < OX_QMEASURE_SAMPLES ? samples : OX_QMEASURE_SAMPLES;
    struct simulated u = {m, sim};
    double *leaves;
    OX_TRY(begin(m, plan, data));
    OX_TRY(ox_alloc(plan->ctx, &leaves, plan->n_leaves + 1, sizeof *leaves));
    ox_status s = OX_OK;
    for (size_t k = 0; k < n && s == OX_OK; k++) {
        s = run_float(m, sim, k, k * samples / n);
        for (size_t i = 0; i < plan->graph->n_inputs && s == OX_OK; i++) {
            const struct ox_value *v = plan->graph->inputs[i];
            if (sim->ref[v->id]) s = see(&u, v, sim->ref[v->id]);
        }
        if (s == OX_OK) s = ox_qsim_quant(sim, &(struct ox_qmask){0}, leaves, see, &u);
    }
    ox_free(plan->ctx, leaves);
    if (s == OX_OK) worst_output(m);
    return s;
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
    m->measured[slot] = true;
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

double ox_qmeasure_db(const struct ox_qmeasure *m, uint32_t value) {
    if (isnan(m->worst_output_db) || !m->measured[value]) return NAN;
    return ox_decibels(m->signal[value], m->noise[value]);
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
    worst_output(m);
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
    ox_free(ctx, m->measured);
    *m = (struct ox_qmeasure){0};
}
