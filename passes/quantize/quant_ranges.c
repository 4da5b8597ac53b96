/* passes/quantize/quant_ranges.c - see quant_ranges.h. */
#include "passes/quantize/quant_ranges.h"

#include "passes/quantize/quant_stats.h"
#include <math.h>

enum { SAMPLES_MAX = 4, CANDIDATES = 4 };

#define NOISE_CAP 4.0   /* of one output, as a part of its signal: beyond it is equally useless */
#define SAME_RANGE 0.02 /* ranges this near to each other are not tried both */
#define USELESS 0.05    /* noise to signal of the outputs that says little about a single range */
#define LEAST_GAIN 0.05 /* of the noise: less may be chance of the few samples */

/* The first is what stays where nothing is better. */
static const ox_calibrator candidates[CANDIDATES] = {OX_CALIB_MSE, OX_CALIB_PERCENTILE,
                                                     OX_CALIB_MINMAX, OX_CALIB_ENTROPY};

struct chooser {
    struct ox_qsim *sim;
    struct ox_qplan *plan;
    const struct ox_dataset *data;
    size_t samples, use;
    struct ox_range *ranges; /* by group, CANDIDATES each */
    uint32_t *groups;        /* that are quantized, in order of values */
    size_t n_groups;
    ox_tensor **inputs;
    double *noise, *signal, *all_signal; /* by leaf */
    double *sums;                        /* by trial and leaf */
    bool *values, *weights;              /* masks; weights: none */
};

/* ---- candidates --------------------------------------------------------------------------------
 */

static ox_status find_ranges(struct chooser *c) {
    struct ox_qplan *plan = c->plan;
    OX_TRY(ox_alloc(plan->ctx, &c->ranges, plan->n_values * CANDIDATES, sizeof *c->ranges));
    OX_TRY(ox_alloc(plan->ctx, &c->groups, plan->n_values, sizeof *c->groups));
    for (uint32_t i = 0; i < plan->n_values; i++) {
        const struct ox_qvalue *v = &plan->values[i];
        bool used = false;
        if (v->group != i || !v->data || !v->seen) continue;
        for (uint32_t k = i; k != OX_QGROUP_END; k = plan->values[k].next)
            used = used || plan->values[k].made || plan->values[k].read;
        for (size_t t = 0; t < CANDIDATES; t++)
            OX_TRY(ox_qstats_range(&c->ranges[i * CANDIDATES + t], plan, i, candidates[t]));
        ox_qstats_set(plan, i, c->ranges[i * CANDIDATES], candidates[0]);
        if (used) c->groups[c->n_groups++] = i;
    }
    return OX_OK;
}

static void set(struct chooser *c, uint32_t group, size_t candidate) {
    ox_qstats_set(c->plan, group, c->ranges[group * CANDIDATES + candidate], candidates[candidate]);
}

static bool near(struct ox_range a, struct ox_range b) {
    double span = (double)b.max - b.min;
    return fabs((double)a.min - b.min) <= SAME_RANGE * span &&
           fabs((double)a.max - b.max) <= SAME_RANGE * span;
}

/* Is it worth trying, given the ones before it? */
static bool distinct(const struct chooser *c, uint32_t group, size_t candidate) {
    const struct ox_range *r = &c->ranges[group * CANDIDATES];
    for (size_t t = 0; t < candidate; t++)
        if (near(r[candidate], r[t])) return false;
    return true;
}

/* ---- measuring ---------------------------------------------------------------------------------
 */

static ox_status load(struct chooser *c, size_t k) {
    ox_status s = c->data->sample(c->data->self, k * c->samples / c->use, c->inputs, NULL);
    if (s == OX_OK)
        s = ox_qsim_float(c->sim, (const ox_tensor *const *)c->inputs, true, NULL, NULL);
    for (size_t i = 0; i < c->data->n_inputs; i++) {
        ox_tensor_unref(c->inputs[i]);
        c->inputs[i] = NULL;
    }
    if (s != OX_OK) return s;
    ox_qsim_signal(c->sim, c->signal);
    for (size_t l = 0; l < c->plan->n_leaves; l++)
        c->all_signal[l] += c->signal[l];
    return OX_OK;
}

static ox_status add_trial(struct chooser *c, size_t trial, const struct ox_qmask *mask) {
    OX_TRY(ox_qsim_quant(c->sim, mask, c->noise, NULL, NULL));
    for (size_t l = 0; l < c->plan->n_leaves; l++)
        c->sums[trial * c->plan->n_leaves + l] += c->noise[l];
    return OX_OK;
}

static double ratio(const struct chooser *c, size_t trial) {
    double sum = 0, n = 0;
    for (size_t l = 0; l < c->plan->n_leaves; l++) {
        if (!(c->all_signal[l] > 0)) continue;
        double r = c->sums[trial * c->plan->n_leaves + l] / c->all_signal[l];
        sum += r < NOISE_CAP ? r : NOISE_CAP; /* NaN as well */
        n++;
    }
    return n ? sum / n : 0;
}

static size_t best_of(const struct chooser *c, size_t first) {
    size_t best = 0;
    double least = ratio(c, first) * (1 - LEAST_GAIN);
    for (size_t t = 1; t < CANDIDATES; t++) {
        double r = ratio(c, first + t);
        if (r < least) {
            least = r;
            best = t;
        }
    }
    return best;
}

/* ---- all by one, then each alone ---------------------------------------------------------------
 */

static ox_status reset(struct chooser *c, size_t trials) {
    ox_free(c->plan->ctx, c->sums);
    c->sums = NULL;
    memset(c->all_signal, 0, c->plan->n_leaves * sizeof *c->all_signal);
    return ox_alloc(c->plan->ctx, &c->sums, trials * c->plan->n_leaves, sizeof *c->sums);
}

static void set_all(struct chooser *c, size_t candidate) {
    for (size_t i = 0; i < c->n_groups; i++)
        set(c, c->groups[i], candidate);
}

static ox_status choose_one(struct chooser *c) {
    OX_TRY(reset(c, CANDIDATES));
    for (size_t k = 0; k < c->use; k++) {
        OX_TRY(load(c, k));
        for (size_t t = 0; t < CANDIDATES; t++) {
            set_all(c, t);
            OX_TRY(add_trial(c, t, &(struct ox_qmask){.weights = c->weights}));
        }
    }
    set_all(c, ratio(c, 0) > USELESS ? 0 : best_of(c, 0));
    return OX_OK;
}

static void mask_group(struct chooser *c, uint32_t group, bool on) {
    for (uint32_t i = group; i != OX_QGROUP_END; i = c->plan->values[i].next)
        c->values[i] = on;
}

/* Costs of trying each group alone: what lies behind it, by its depth in the list. */
static double cost_of_each(const struct chooser *c) {
    double runs = 1;
    for (size_t i = 0; i < c->n_groups; i++) {
        double part = (double)(c->n_groups - i) / (double)c->n_groups;
        for (size_t t = 0; t < CANDIDATES; t++)
            if (distinct(c, c->groups[i], t)) runs += part;
    }
    return runs * c->sim->work;
}

static ox_status choose_each(struct chooser *c) {
    OX_TRY(reset(c, c->n_groups * CANDIDATES));
    struct ox_qmask mask = {c->values, c->weights};
    for (size_t k = 0; k < c->use; k++) {
        OX_TRY(load(c, k));
        for (size_t i = 0; i < c->n_groups; i++) {
            mask_group(c, c->groups[i], true);
            for (size_t t = 0; t < CANDIDATES; t++) {
                if (!distinct(c, c->groups[i], t)) continue;
                set(c, c->groups[i], t);
                OX_TRY(add_trial(c, i * CANDIDATES + t, &mask));
            }
            mask_group(c, c->groups[i], false);
        }
        if (!ox_progress(c->plan->ctx, "ranges", k + 1, c->use)) return OX_CANCELLED;
    }
    for (size_t i = 0; i < c->n_groups; i++) {
        for (size_t t = 1; t < CANDIDATES; t++) /* what was not tried is no better */
            if (!distinct(c, c->groups[i], t))
                for (size_t l = 0; l < c->plan->n_leaves; l++)
                    c->sums[(i * CANDIDATES + t) * c->plan->n_leaves + l] = INFINITY;
        set(c, c->groups[i], best_of(c, i * CANDIDATES));
    }
    return OX_OK;
}

static ox_status choose(struct chooser *c, double work) {
    struct ox_qplan *plan = c->plan;
    OX_TRY(find_ranges(c));
    if (c->n_groups == 0 || plan->n_leaves == 0 || c->samples == 0) return OX_OK;
    OX_TRY(ox_alloc(plan->ctx, &c->inputs, c->data->n_inputs + plan->graph->n_inputs,
                    sizeof(ox_tensor *)));
    OX_TRY(ox_alloc(plan->ctx, &c->noise, plan->n_leaves, sizeof *c->noise));
    OX_TRY(ox_alloc(plan->ctx, &c->signal, plan->n_leaves, sizeof *c->signal));
    OX_TRY(ox_alloc(plan->ctx, &c->all_signal, plan->n_leaves, sizeof *c->all_signal));
    OX_TRY(ox_alloc(plan->ctx, &c->values, plan->n_values, sizeof *c->values));
    OX_TRY(ox_alloc(plan->ctx, &c->weights, plan->n_nodes, sizeof *c->weights));
    c->use = c->samples < SAMPLES_MAX ? c->samples : SAMPLES_MAX;
    OX_TRY(choose_one(c));
    double fits = floor((work / c->sim->work - (double)c->use * (CANDIDATES + 1)) * c->sim->work /
                        cost_of_each(c));
    if (!(fits >= 1)) return OX_OK;
    if (fits < (double)c->use) c->use = (size_t)fits;
    return choose_each(c);
}

ox_status ox_qranges_choose(struct ox_qsim *sim, const struct ox_dataset *data, size_t samples,
                            double work) {
    struct chooser c = {.sim = sim, .plan = sim->plan, .data = data, .samples = samples};
    ox_status s = choose(&c, work);
    ox_ctx *ctx = sim->plan->ctx;
    ox_free(ctx, c.ranges);
    ox_free(ctx, c.groups);
    ox_free(ctx, c.inputs);
    ox_free(ctx, c.noise);
    ox_free(ctx, c.signal);
    ox_free(ctx, c.all_signal);
    ox_free(ctx, c.sums);
    ox_free(ctx, c.values);
    ox_free(ctx, c.weights);
    return s;
}
