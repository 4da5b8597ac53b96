/* passes/quantize/quant_stats.c - see quant_stats.h. */
#include "passes/quantize/quant_stats.h"

#include "passes/quantize/quant_watch.h"

#include <math.h>

/* What an element costs more in float than in int8, in multiply-accumulates: it is memory that is
 * moved. */
#define ELEMENT_COST 4.0
/* Part of the mean square that stays when the bias takes the mean error: padding, and means that
 * differ from sample to sample. */
#define MEAN_LEFT 0.01

/* ---- channels ----------------------------------------------------------------------------------
 */

struct sums {
    struct ox_qchannels *ch;
    const float *x;
    size_t outer, inner; /* x is [outer][n][inner] */
};

static void sum_channels(void *arg, size_t first, size_t last) {
    const struct sums *s = arg;
    for (size_t c = first; c < last; c++) {
        double sum = 0, squares = 0;
        for (size_t o = 0; o < s->outer; o++) {
            const float *x = s->x + (o * s->ch->n + c) * s->inner;
            for (size_t i = 0; i < s->inner; i++) {
                if (!(fabsf(x[i]) <= FLT_MAX)) continue;
                sum += x[i];
                squares += (double)x[i] * x[i];
            }
        }
        s->ch->sum[c] += sum;
        s->ch->squares[c] += squares;
    }
}

static ox_status add_channels(ox_ctx *ctx, struct ox_qvalue *v, const ox_tensor *t) {
    struct ox_qchannels *ch = &v->channels;
    int axis = ch->axis < 0 ? t->rank - 1 : ch->axis;
    if (axis < 0 || axis >= t->rank || t->count == 0) return OX_OK;
    size_t n = (size_t)t->dims[axis], inner = 1;
    if (ch->n && ch->n != n) return OX_OK;
    for (int i = axis + 1; i < t->rank; i++)
        inner *= (size_t)t->dims[i];
    if (!ch->n) {
        OX_TRY(ox_alloc(ctx, &ch->sum, n, sizeof *ch->sum));
        OX_TRY(ox_alloc(ctx, &ch->squares, n, sizeof *ch->squares));
        ch->n = n;
    }
    struct sums s = {ch, t->data, t->count / n / inner, inner};
    ox_parallel(ctx, n, 1 + 16384 / (s.outer * inner), sum_channels, &s);
    ch->count += (double)(s.outer * inner);
    return OX_OK;
}

/* ---- collecting --------------------------------------------------------------------------------
 */

/* Is there a reader or maker that might be on? */
static bool worth_watching(const struct ox_qplan *plan, const struct ox_value *v) {
    const struct ox_qnode *q = ox_qplan_maker(plan, v);
    if (q && q->wanted) return true;
    for (const struct ox_use *u = v->uses; u; u = u->next) {
        q = ox_qnode_of(plan, u->user);
        if (q && q->wanted && ox_qrole_data(q->role, ox_use_index(u))) return true;
    }
    return false;
}

static ox_status observe(void *user, const struct ox_value *v, const ox_tensor *t) {
    struct ox_qplan *plan = user;
    struct ox_qvalue *q = ox_qvalue_of(plan, v);
    if (!q || !q->data || t->dtype != OX_FLOAT) return OX_OK;
    if (t->count > q->elements) q->elements = t->count;
    q->seen = true;
    if (!worth_watching(plan, v)) return OX_OK;
    OX_TRY(ox_hist_add(plan->ctx, &q->hist, t->data, t->count));
    return q->wants_channels ? add_channels(plan->ctx, q, t) : OX_OK;
}

/* Was it computed, and does somebody want its histogram? */
static bool watched(const struct ox_qplan *plan, const struct ox_value *v) {
    const struct ox_qvalue *q = ox_qvalue_of(plan, v);
    return q && q->data && q->seen && worth_watching(plan, v);
}

static ox_status collect_one(struct ox_qsim *sim, struct ox_qwatch *watch,
                             const struct ox_dataset *data, size_t index, ox_tensor **inputs) {
    const ox_tensor *const *in = (const ox_tensor *const *)inputs;
    OX_TRY(data->sample(data->self, index, inputs, NULL));
    if (watch->opened) return ox_qwatch_run(watch, in, observe, sim->plan);
    return ox_qsim_float(sim, in, false, observe, sim->plan);
}

static ox_status collect(struct ox_qsim *sim, const struct ox_dataset *data,
                         const struct ox_model_runner *runner, struct ox_qwatch *watch,
                         ox_tensor **inputs, size_t n, size_t *used) {
    ox_status s = OX_OK;
    for (*used = 0; *used < data->count && s == OX_OK; ++*used) {
        if (runner && *used == 1) OX_TRY(ox_qwatch_init(watch, sim->plan, runner, watched));
        s = collect_one(sim, watch, data, *used, inputs);
        for (size_t i = 0; i < n; i++) {
            ox_tensor_unref(inputs[i]);
            inputs[i] = NULL;
        }
        if (s == OX_OK && !ox_progress(sim->plan->ctx, "calibrate", *used + 1, data->count))
            s = OX_CANCELLED;
    }
    return s;
}

ox_status ox_qstats_collect(struct ox_qsim *sim, const struct ox_dataset *data,
                            const struct ox_model_runner *runner, size_t *used) {
    struct ox_qplan *plan = sim->plan;
    struct ox_qwatch watch = {0};
    ox_tensor **inputs;
    size_t n = plan->graph->n_inputs > data->n_inputs ? plan->graph->n_inputs : data->n_inputs;
    OX_TRY(ox_alloc(plan->ctx, &inputs, n, sizeof(ox_tensor *)));
    /* Matched activations exist in the simulation only. */
    ox_status s = collect(sim, data, sim->match ? NULL : runner, &watch, inputs, n, used);
    ox_qwatch_fini(&watch);
    ox_free(plan->ctx, inputs);
    return s;
}

static ox_status match_round(struct ox_qsim *sim, const struct ox_dataset *data, size_t samples,
                             ox_tensor **inputs) {
    ox_status s = OX_OK;
    for (size_t k = 0; k < samples && s == OX_OK; k++) {
        s = data->sample(data->self, k, inputs, NULL);
        if (s == OX_OK) s = ox_qsim_float(sim, (const ox_tensor *const *)inputs, false, NULL, NULL);
        for (size_t i = 0; i < data->n_inputs; i++) {
            ox_tensor_unref(inputs[i]);
            inputs[i] = NULL;
        }
    }
    return s;
}

ox_status ox_qstats_match(struct ox_qsim *sim, const struct ox_dataset *data, size_t samples) {
    ox_tensor **inputs;
    size_t n = data->n_inputs + sim->plan->graph->n_inputs;
    if (samples > data->count) samples = data->count;
    OX_TRY(ox_alloc(sim->plan->ctx, &inputs, n, sizeof(ox_tensor *)));
    sim->match->mode = OX_QMATCH_LEARN;
    ox_status s = match_round(sim, data, samples, inputs);
    ox_qmatch_refine(sim->match);
    sim->match->mode = OX_QMATCH_REFINE;
    if (s == OX_OK) s = match_round(sim, data, samples, inputs);
    ox_qmatch_refine(sim->match);
    ox_free(sim->plan->ctx, inputs);
    return s;
}

/* ---- costs -------------------------------------------------------------------------------------
 */

static size_t elements(const struct ox_qplan *plan, const struct ox_value *v) {
    const struct ox_qvalue *q = ox_qvalue_of(plan, v);
    return q ? q->elements : 0;
}

static double macs_of(const struct ox_qplan *plan, const struct ox_qnode *q) {
    const struct ox_node *n = q->node;
    double data = (double)elements(plan, ox_node_in(n, 0)),
           out = (double)elements(plan, ox_node_out(n, 0));
    if (q->role == OX_QROLE_PRODUCT) {
        /* [..., M, K] x [..., K, N]: M K N for each matrix; from M K, K N and M N */
        double other = (double)elements(plan, ox_node_in(n, 1));
        return sqrt(data * other * out);
    }
    const struct ox_qlayout *l = &q->weight.layout;
    const ox_tensor *w = ox_value_const(ox_node_in(n, 1));
    if (!w || !l->channels || !l->outer) return 0;
    if (l->outer == 1) return out * (double)l->inner; /* each output: a channel's weights */
    if (l->inner > 1) return data * (double)(l->channels * l->inner); /* transposed: each input */
    return out * (double)l->outer;
}

void ox_qstats_costs(struct ox_qplan *plan) {
    for (size_t i = 0; i < plan->n_nodes; i++) {
        struct ox_qnode *q = &plan->nodes[i];
        if (!q->node || q->role == OX_QROLE_FLOAT) continue;
        if (q->role == OX_QROLE_WEIGHT || q->role == OX_QROLE_PRODUCT) q->macs = macs_of(plan, q);
        q->cost = q->macs + ELEMENT_COST * (double)(elements(plan, ox_node_in(q->node, 0)) +
                                                    elements(plan, ox_node_out(q->node, 0)));
    }
}

/* ---- parameters --------------------------------------------------------------------------------
 */

static ox_status merged(struct ox_hist *out, const struct ox_qplan *plan, uint32_t group) {
    *out = (struct ox_hist){0};
    for (uint32_t i = group; i != OX_QGROUP_END; i = plan->values[i].next) {
        ox_status s = ox_hist_merge(plan->ctx, out, &plan->values[i].hist);
        if (s != OX_OK) {
            ox_hist_fini(plan->ctx, out);
            return s;
        }
    }
    return OX_OK;
}

ox_status ox_qstats_range(struct ox_range *out, const struct ox_qplan *plan, uint32_t group,
                          ox_calibrator calibrator) {
    struct ox_calibrate_options o = {
        .calibrator = calibrator, .levels = 256, .percentile = plan->options.percentile};
    struct ox_hist all = {0};
    bool one = plan->values[group].next == OX_QGROUP_END;
    if (!one) OX_TRY(merged(&all, plan, group));
    ox_status s = ox_hist_range(out, plan->ctx, one ? &plan->values[group].hist : &all, &o);
    ox_hist_fini(plan->ctx, &all);
    return s;
}

void ox_qstats_set(struct ox_qplan *plan, uint32_t group, struct ox_range range,
                   ox_calibrator calibrator) {
    struct ox_qparam param = ox_qparam_of(range, plan->options.activations);
    for (uint32_t i = group; i != OX_QGROUP_END; i = plan->values[i].next) {
        plan->values[i].param = param;
        plan->values[i].range = range;
        plan->values[i].calibrator = calibrator;
    }
}

ox_status ox_qstats_params(struct ox_qplan *plan, ox_calibrator calibrator) {
    for (uint32_t i = 0; i < plan->n_values; i++) {
        struct ox_range range;
        if (plan->values[i].group != i || !plan->values[i].data || !plan->values[i].seen) continue;
        OX_TRY(ox_qstats_range(&range, plan, i, calibrator));
        ox_qstats_set(plan, i, range, calibrator);
    }
    return OX_OK;
}

/* Mean squares of a node's input channels, when they are known and as many as the layout asks for:
 * around the mean, where a bias takes the mean error. *out from ox_alloc, or NULL. */
static ox_status input_power(double **out, const struct ox_qplan *plan, const struct ox_qnode *q) {
    const struct ox_qlayout *l = &q->weight.layout;
    const struct ox_qchannels *ch = &plan->values[q->data->id].channels;
    *out = NULL;
    if (!l->channels || !l->outer || !l->inner || q->weight.axis < 0 || !(ch->count > 0))
        return OX_OK;
    size_t inputs = ox_qlayout_input(l, l->outer - 1, l->channels - 1, l->inner - 1) + 1;
    if (ch->n != inputs || ch->axis != ox_qrole_channel_axis(q->node)) return OX_OK;
    OX_TRY(ox_alloc(plan->ctx, out, inputs, sizeof **out));
    bool bias = ox_node_in(q->node, 2) != NULL;
    for (size_t i = 0; i < inputs; i++) {
        double square = ch->squares[i] / ch->count, mean = ch->sum[i] / ch->count;
        (*out)[i] = bias ? fmax(square - mean * mean, MEAN_LEFT * square) : square;
    }
    return OX_OK;
}

ox_status ox_qstats_weights(struct ox_qplan *plan, bool search) {
    for (size_t i = 0; i < plan->n_nodes; i++) {
        struct ox_qnode *q = &plan->nodes[i];
        if (!q->node || q->role != OX_QROLE_WEIGHT || !q->wanted) continue;
        struct ox_qlayout layout = q->weight.layout;
        int axis = q->weight.axis;
        double *power;
        ox_tensor *w;
        OX_TRY(input_power(&power, plan, q));
        struct ox_qweight_options o = {.search = search, .power = power};
        ox_status s = ox_tensor_aligned(&w, plan->ctx, ox_value_const(ox_node_in(q->node, 1)));
        if (s == OX_OK) {
            ox_qweight_fini(plan->ctx, &q->weight);
            s = ox_qweight_init(&q->weight, plan->ctx, w->data, layout, axis, &o);
            ox_tensor_unref(w);
        }
        ox_free(plan->ctx, power);
        OX_TRY(s);
    }
    return OX_OK;
}
