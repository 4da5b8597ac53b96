/* passes/quantize/guess_input.c - see guess_input.h. */
#include "passes/quantize/guess_input.h"

#include "passes/quantize/synthetic.h"
#include <math.h>

struct ratios {
    const struct ox_qplan *plan;
    const struct ox_norm_stats *norms;
    double noted; /* deviations of the first activations to those that were noted, geometric mean
                     over channels; 0: not seen yet */
    double ratio; /* of what the first weighted node adds to its biases, to the biases: standard
                     deviations; 0: not seen yet */
};

static double deviation(const float *x, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    double mean = sum / (double)n;
    return sqrt(fmax(0, squares / (double)n - mean * mean));
}

static void compare_noted(struct ratios *f, const struct ox_norm_stat *noted, const ox_tensor *t) {
    double logs = 0;
    size_t count = 0;
    if (t->dtype != OX_FLOAT || t->rank < 3 || t->count == 0 || (uint64_t)t->dims[1] != noted->n)
        return;
    size_t n = t->count / noted->n / (size_t)t->dims[0];
    const float *x = t->data;
    for (size_t c = 0; c < noted->n && n > 1; c++) {
        double dev = deviation(x + c * n, n);
        if (!(dev > 0 && noted->dev[c] > 0)) continue;
        logs += log(dev / noted->dev[c]);
        count++;
    }
    if (count) f->noted = exp(logs / (double)count);
}

static ox_status observe(void *user, const struct ox_value *v, const ox_tensor *t) {
    struct ratios *f = user;
    const struct ox_norm_stat *noted = ox_norm_stats_find(f->norms, v->name);
    if (noted && f->noted <= 0) compare_noted(f, noted, t);
    const struct ox_qnode *q = ox_qnode_of(f->plan, v->def);
    const ox_tensor *b =
        q && q->role == OX_QROLE_WEIGHT ? ox_value_const(ox_node_in(q->node, 2)) : NULL;
    if (f->ratio > 0 || !b || b->dtype != OX_FLOAT || t->dtype != OX_FLOAT || t->rank < 3 ||
        t->count == 0 || b->count != (size_t)t->dims[1])
        return OX_OK;
    size_t n = t->count / b->count / (size_t)t->dims[0];
    const float *x = t->data, *bias = b->data;
    double variance = 0, biases = 0;
    for (size_t c = 0; c < b->count && n; c++, x += n) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++) {
            sum += x[i];
            squares += (double)x[i] * x[i];
        }
        variance += squares / (double)n - sum / (double)n * (sum / (double)n);
        biases += (double)bias[c] * bias[c];
    }
    if (!(variance > 0 && biases > 0) || n < 2) return OX_OK;
    f->ratio = sqrt(variance / biases);
    return OX_OK;
}

/* The ratios at one amplitude; 0 where nothing is known. */
static ox_status first_ratios(struct ratios *out, struct ox_qsim *sim, uint64_t seed,
                              double amplitude) {
    struct ox_dataset data;
    ox_tensor **inputs;
    size_t n = sim->plan->graph->n_inputs;
    OX_TRY(ox_synthetic_open(&data, sim->plan->model, seed, 1, amplitude));
    ox_status s = ox_alloc(sim->plan->ctx, &inputs, n, sizeof(ox_tensor *));
    if (s == OX_OK) {
        s = data.sample(data.self, 0, inputs, NULL);
        if (s == OX_OK)
            s = ox_qsim_float(sim, (const ox_tensor *const *)inputs, false, observe, out);
        for (size_t i = 0; i < n; i++)
            ox_tensor_unref(inputs[i]);
        ox_free(sim->plan->ctx, inputs);
    }
    data.free(data.self);
    return s;
}

ox_status ox_guess_amplitude(double *out, struct ox_qsim *sim, const struct ox_norm_stats *norms,
                             uint64_t seed) {
    struct ratios f = {.plan = sim->plan, .norms = norms};
    OX_TRY(first_ratios(&f, sim, seed, 1));
    /* They grow with the amplitude: what is below 1/8 at 1 is nearer to 1 at 64. */
    double ratio = f.noted > 0 ? f.noted : f.ratio;
    *out = ratio > 0 && ratio < 0.125 ? 64 : 1;
    return OX_OK;
}
