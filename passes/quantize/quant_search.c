/* passes/quantize/quant_search.c - see quant_search.h.
 *
 * The disturbance of the outputs by many roundings is close to the sum of the disturbances by each
 * of them, because they are hardly correlated. So each quantizer (a unit) is simulated alone, on as
 * many samples as the budget allows; where it does not allow all, groups of neighbours are measured
 * and the worst ones are split (a hidden culprit is found in the logarithm of their number). Then
 * nodes go to float, one move after the other, by predicted gain for the cost. The budget counts
 * multiply-accumulates and not seconds, so that the result is the same on every machine. */
#include "passes/quantize/quant_search.h"

#include "passes/quantize/quant_stats.h"
#include <math.h>

enum { SAMPLES_MAX = 8, TOP_UNITS = 24, MOVES_MAX = 400, ROUNDS_MAX = 4 };

#define NOISE_CAP 4.0   /* of one output, as a part of its signal: beyond it is equally useless */
#define LEAST_GAIN 0.01 /* of the noise that is left: smaller moves are not worth it */
#define RUNS_MIN 60.0
#define FREE_COST 1e-4  /* of all cost: what a move is taken to cost at least */
#define SPLIT_PART 0.02 /* of all noise: groups below are not split */

struct unit {
    bool weight; /* of node `id`, else activation `id` */
    uint32_t id;
    double noise; /* noise to signal ratio of the outputs, mean over them */
};

struct segment {
    size_t begin, end; /* of units */
    double noise;
    bool measured;
};

struct search {
    struct ox_qsim *sim;
    struct ox_qplan *plan;
    const struct ox_dataset *data;
    size_t samples, use; /* in the data; used for the search */
    const struct ox_qsearch_options *options;
    struct unit *units;
    size_t n_units, cap_units;
    struct segment *segments;
    size_t n_segments, cap_segments;
    bool *values, *weights;    /* masks */
    double *noise, *signal;    /* by leaf; signal of the sample at hand */
    double *all_signal, *sums; /* by leaf; by segment and leaf */
    ox_tensor **inputs;
    double spent, budget, total_cost;
};

/* ---- units -------------------------------------------------------------------------------------
 */

static ox_status add_unit(struct search *s, bool weight, uint32_t id) {
    OX_TRY(OX_GROW(s->plan->ctx, s->units, s->n_units, s->cap_units));
    s->units[s->n_units++] = (struct unit){.weight = weight, .id = id};
    return OX_OK;
}

static bool same_group(const struct ox_qplan *plan, const struct ox_value *a,
                       const struct ox_value *b) {
    return plan->values[a->id].group == plan->values[b->id].group;
}

/* Is what the node gives already on the grid that its output is rounded to? */
static bool only_moves(const struct ox_qplan *plan, const struct ox_qnode *q) {
    if (q->role == OX_QROLE_MOVE || q->role == OX_QROLE_CLAMP) return true;
    if (q->role != OX_QROLE_UNIFY) return false;
    for (size_t i = 0; i < q->node->n_in; i++)
        if (!same_group(plan, q->node->in[i].value, q->result)) return false;
    return true;
}

static ox_status find_units(struct search *s) {
    struct ox_qplan *plan = s->plan;
    for (size_t i = 0; i < plan->graph->n_inputs; i++)
        if (plan->values[plan->graph->inputs[i]->id].read)
            OX_TRY(add_unit(s, false, plan->graph->inputs[i]->id));
    for (struct ox_node *n = ox_graph_begin(plan->graph); n; n = ox_node_next(n)) {
        const struct ox_qnode *q = &plan->nodes[n->id], *maker = q->part_of ? q->part_of : q;
        if (q->on && q->role == OX_QROLE_WEIGHT) OX_TRY(add_unit(s, true, n->id));
        for (size_t i = 0; i < n->n_out; i++) {
            const struct ox_qvalue *v = n->out[i] ? &plan->values[n->out[i]->id] : NULL;
            if (v && (v->read || (v->made && !only_moves(plan, maker))))
                OX_TRY(add_unit(s, false, n->out[i]->id));
        }
    }
    return OX_OK;
}

static bool active(const struct ox_qplan *plan, const struct unit *u) {
    return u->weight ? plan->nodes[u->id].on || plan->nodes[u->id].weight_only
                     : plan->values[u->id].made || plan->values[u->id].read;
}

/* ---- measuring ---------------------------------------------------------------------------------
 */

static ox_status load(struct search *s, size_t k) {
    struct ox_qplan *plan = s->plan;
    ox_status status = s->data->sample(s->data->self, k * s->samples / s->use, s->inputs, NULL);
    if (status == OX_OK)
        status = ox_qsim_float(s->sim, (const ox_tensor *const *)s->inputs, true, NULL, NULL);
    for (size_t i = 0; i < s->data->n_inputs; i++) {
        ox_tensor_unref(s->inputs[i]);
        s->inputs[i] = NULL;
    }
    if (status != OX_OK) return status;
    ox_qsim_signal(s->sim, s->signal);
    for (size_t l = 0; l < plan->n_leaves; l++)
        s->all_signal[l] += s->signal[l];
    s->spent += s->sim->work;
    return OX_OK;
}

static void mask_segment(struct search *s, const struct segment *g, bool on) {
    for (size_t i = g->begin; i < g->end; i++)
        if (s->units[i].weight)
            s->weights[s->units[i].id] = on;
        else
            s->values[s->units[i].id] = on;
}

/* A run costs what lies behind its first unit; the depth in the list of units stands for that. */
static double run_cost(const struct search *s, size_t begin) {
    return s->sim->work * (double)(s->n_units - begin + 1) / (double)(s->n_units + 1);
}

static ox_status measure_segment(struct search *s, size_t index) {
    size_t n_leaves = s->plan->n_leaves;
    const struct segment *g = &s->segments[index];
    struct ox_qmask mask = {s->values, s->weights};
    mask_segment(s, g, true);
    ox_status status = ox_qsim_quant(s->sim, &mask, s->noise, NULL, NULL);
    mask_segment(s, g, false);
    s->spent += run_cost(s, g->begin);
    for (size_t l = 0; l < n_leaves && status == OX_OK; l++)
        s->sums[index * n_leaves + l] += s->noise[l];
    return status;
}

static double ratio(const struct search *s, const double *noise) {
    double sum = 0;
    size_t n = 0;
    for (size_t l = 0; l < s->plan->n_leaves; l++) {
        if (!(s->all_signal[l] > 0)) continue;
        double r = noise[l] / s->all_signal[l];
        sum += r < NOISE_CAP ? r : NOISE_CAP; /* NaN as well */
        n++;
    }
    return n ? sum / (double)n : 0;
}

/* Measures all segments that have not been. */
static ox_status measure(struct search *s) {
    size_t n_leaves = s->plan->n_leaves;
    OX_TRY(ox_alloc(s->plan->ctx, &s->sums, s->n_segments * n_leaves, sizeof *s->sums));
    memset(s->all_signal, 0, n_leaves * sizeof *s->all_signal);
    ox_status status = OX_OK;
    for (size_t k = 0; k < s->use && status == OX_OK; k++) {
        status = load(s, k);
        for (size_t i = 0; i < s->n_segments && status == OX_OK; i++)
            if (!s->segments[i].measured) status = measure_segment(s, i);
        if (status == OX_OK && !ox_progress(s->plan->ctx, "search", k + 1, s->use))
            status = OX_CANCELLED;
    }
    for (size_t i = 0; i < s->n_segments && status == OX_OK; i++) {
        if (!s->segments[i].measured) s->segments[i].noise = ratio(s, s->sums + i * n_leaves);
        s->segments[i].measured = true;
    }
    ox_free(s->plan->ctx, s->sums);
    s->sums = NULL;
    return status;
}

static ox_status add_segment(struct search *s, size_t begin, size_t end) {
    OX_TRY(OX_GROW(s->plan->ctx, s->segments, s->n_segments, s->cap_segments));
    s->segments[s->n_segments++] = (struct segment){.begin = begin, .end = end};
    return OX_OK;
}

/* Splits, in one round, the groups that are noisy and for which the budget is enough. */
static ox_status split_round(struct search *s, double all, bool *any) {
    size_t n = s->n_segments;
    double planned = s->spent + s->sim->work * (double)s->use;
    *any = false;
    for (;;) {
        size_t worst = n;
        for (size_t i = 0; i < n; i++) {
            const struct segment *g = &s->segments[i];
            if (!g->measured || g->end - g->begin < 2 || g->noise < SPLIT_PART * all) continue;
            if (worst == n || g->noise > s->segments[worst].noise) worst = i;
        }
        if (worst == n) return OX_OK;
        size_t begin = s->segments[worst].begin, end = s->segments[worst].end,
               middle = begin + (end - begin) / 2;
        planned += (double)s->use * (run_cost(s, begin) + run_cost(s, middle));
        if (planned > s->budget) return OX_OK;
        s->segments[worst] = (struct segment){.begin = begin, .end = middle};
        OX_TRY(add_segment(s, middle, end));
        *any = true;
    }
}

/* Noise of every unit: its own, or its part of a group's. */
static ox_status measure_units(struct search *s) {
    double each =
        s->sim->work * (double)s->n_units / 2 + s->sim->work; /* all units on one sample */
    double fits = floor(s->budget / each);
    s->n_segments = 0;
    if (fits >= 1) {
        s->use = fits < SAMPLES_MAX ? (size_t)fits : SAMPLES_MAX;
        if (s->use > s->samples) s->use = s->samples;
        for (size_t i = 0; i < s->n_units; i++)
            OX_TRY(add_segment(s, i, i + 1));
        OX_TRY(measure(s));
    } else {
        s->use = s->samples < 2 ? s->samples : 2;
        OX_TRY(add_segment(s, 0, s->n_units));
        OX_TRY(measure(s));
        double all = s->segments[0].noise;
        for (bool any = true; any;) {
            OX_TRY(split_round(s, all, &any));
            if (any) OX_TRY(measure(s));
        }
    }
    for (size_t i = 0; i < s->n_segments; i++) {
        const struct segment *g = &s->segments[i];
        for (size_t k = g->begin; k < g->end; k++)
            s->units[k].noise = g->noise / (double)(g->end - g->begin);
    }
    return OX_OK;
}

/* Noise of the whole plan as it is settled now. */
static ox_status measure_plan(struct search *s, double *noise) {
    OX_TRY(ox_alloc(s->plan->ctx, &s->sums, s->plan->n_leaves, sizeof *s->sums));
    memset(s->all_signal, 0, s->plan->n_leaves * sizeof *s->all_signal);
    ox_status status = OX_OK;
    for (size_t k = 0; k < s->use && status == OX_OK; k++) {
        status = load(s, k);
        if (status == OX_OK)
            status = ox_qsim_quant(s->sim, &(struct ox_qmask){0}, s->noise, NULL, NULL);
        s->spent += s->sim->work;
        for (size_t l = 0; l < s->plan->n_leaves && status == OX_OK; l++)
            s->sums[l] += s->noise[l];
    }
    *noise = ratio(s, s->sums);
    ox_free(s->plan->ctx, s->sums);
    s->sums = NULL;
    return status;
}

/* ---- moves -------------------------------------------------------------------------------------
 */

static double predicted(const struct search *s) {
    double sum = 0;
    for (size_t i = 0; i < s->n_units; i++)
        if (active(s->plan, &s->units[i])) sum += s->units[i].noise;
    return sum;
}

/* Cost of what was on at first and computes in float now. */
static double float_cost(const struct search *s) {
    double cost = s->total_cost;
    for (size_t i = 0; i < s->plan->n_nodes; i++) {
        const struct ox_qnode *q = &s->plan->nodes[i];
        if (q->node && q->on && !(q->float_out && !ox_qrole_float_out_free(q->node)))
            cost -= q->cost;
    }
    return cost;
}

/* A move: these nodes go to float. */
struct move {
    uint32_t node[MOVES_MAX];
    size_t n;
};

static void add_to_move(struct move *m, const struct ox_qnode *q) {
    if (q && q->on && m->n < MOVES_MAX) m->node[m->n++] = q->node->id;
}

static void set_move(const struct search *s, const struct move *m, bool wanted) {
    for (size_t i = 0; i < m->n; i++)
        s->plan->nodes[m->node[i]].wanted = wanted;
}

/* All that makes and reads a value. */
static void move_around(struct move *m, const struct ox_qplan *plan, const struct ox_value *v) {
    struct ox_qnode *maker = ox_qplan_maker(plan, v);
    *m = (struct move){0};
    add_to_move(m, maker);
    for (const struct ox_use *u = v->uses; u; u = u->next) {
        struct ox_qnode *q = ox_qnode_of(plan, u->user);
        if (q && ox_qrole_data(q->role, ox_use_index(u))) add_to_move(m, q);
    }
}

struct choice {
    struct move move;
    double score, noise, cost;
};

static void consider(struct search *s, struct choice *best, const struct move *m, double noise,
                     double cost) {
    if (m->n == 0) return;
    set_move(s, m, false);
    ox_qplan_settle(s->plan);
    double after = predicted(s), spent = float_cost(s);
    set_move(s, m, true);
    double gain = noise - after, price = (spent - cost) / s->total_cost;
    if (gain < LEAST_GAIN * noise || spent > s->options->float_share * s->total_cost) return;
    double score = gain / (price > FREE_COST ? price : FREE_COST);
    if (score > best->score) *best = (struct choice){*m, score, after, spent};
}

/* The noisiest active units, worst first; returns how many. */
static size_t top_units(struct unit *top, const struct search *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->n_units; i++) { /* insertion into a short sorted list */
        if (!active(s->plan, &s->units[i]) || !(s->units[i].noise > 0)) continue;
        size_t at = n < TOP_UNITS ? n++ : TOP_UNITS;
        for (; at > 0 && top[at - 1].noise < s->units[i].noise; at--)
            if (at < TOP_UNITS) top[at] = top[at - 1];
        if (at < TOP_UNITS) top[at] = s->units[i];
    }
    return n;
}

static void explain(const struct search *s) {
    struct unit top[TOP_UNITS];
    size_t n = top_units(top, s);
    double all = predicted(s);
    for (size_t i = 0; i < n && s->options->explain; i++) {
        const struct ox_node *node =
            top[i].weight ? s->plan->nodes[top[i].id].node : s->plan->model->values[top[i].id]->def;
        const struct ox_value *v = top[i].weight ? node->out[0] : s->plan->model->values[top[i].id];
        ox_report(s->plan->ctx, OX_NOTE, "quantize-unit", NULL,
                  "%s of %s '%s' makes %.1f %% of the noise", top[i].weight ? "weight" : "output",
                  node ? ox_name_text(node->type) : "input", ox_name_text(v->name),
                  100 * top[i].noise / all);
    }
}

/* Moves around the noisiest units. */
static void best_move(struct search *s, struct choice *best, double noise, double cost) {
    struct ox_qplan *plan = s->plan;
    struct unit top[TOP_UNITS];
    size_t n = top_units(top, s);
    *best = (struct choice){0};
    for (size_t i = 0; i < n; i++) {
        struct move m = {0};
        ox_qplan_settle(plan);
        if (top[i].weight) {
            add_to_move(&m, &plan->nodes[top[i].id]);
            consider(s, best, &m, noise, cost);
            continue;
        }
        const struct ox_value *v = plan->model->values[top[i].id];
        move_around(&m, plan, v);
        struct move around = m;
        consider(s, best, &m, noise, cost);
        for (size_t k = 0; k < around.n; k++) {
            struct move one = {.n = 1, .node = {around.node[k]}};
            consider(s, best, &one, noise, cost);
        }
    }
    ox_qplan_settle(plan);
}

static ox_status improve(struct search *s, struct ox_qsearch_result *out, double scale) {
    double target = pow(10, -s->options->target_db / 10) / scale;
    for (;;) {
        struct choice best;
        double noise = predicted(s), cost = float_cost(s);
        if (noise <= target) return OX_OK;
        best_move(s, &best, noise, cost);
        if (!(best.score > 0)) return OX_OK;
        set_move(s, &best.move, false);
        for (size_t i = 0; i < best.move.n; i++)
            s->plan->nodes[best.move.node[i]].reason = "its rounding disturbs the outputs most";
        out->floated += best.move.n;
        ox_qplan_settle(s->plan);
    }
}

/* What is left is not always in proportion to what was predicted (roundings that are correlated
 * stay behind), so the result is measured, and more goes to float while it is not good enough. */
static ox_status improve_until(struct search *s, struct ox_qsearch_result *out, double *noise) {
    double target = pow(10, -s->options->target_db / 10);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        double expected = predicted(s),
               scale = expected > 0 && *noise > expected ? *noise / expected : 1;
        size_t before = out->floated;
        OX_TRY(improve(s, out, scale));
        if (out->floated == before && round > 0) return OX_OK;
        OX_TRY(measure_plan(s, noise));
        if (*noise <= target) return OX_OK;
    }
    return OX_OK;
}

/* ---- all ---------------------------------------------------------------------------------------
 */

static ox_status search_all(struct search *s, struct ox_qsearch_result *out) {
    struct ox_qplan *plan = s->plan;
    double noise;
    OX_TRY(ox_alloc(plan->ctx, &s->values, plan->n_values, sizeof *s->values));
    OX_TRY(ox_alloc(plan->ctx, &s->weights, plan->n_nodes, sizeof *s->weights));
    OX_TRY(ox_alloc(plan->ctx, &s->noise, plan->n_leaves, sizeof *s->noise));
    OX_TRY(ox_alloc(plan->ctx, &s->signal, plan->n_leaves, sizeof *s->signal));
    OX_TRY(ox_alloc(plan->ctx, &s->all_signal, plan->n_leaves, sizeof *s->all_signal));
    OX_TRY(ox_alloc(plan->ctx, &s->inputs, s->data->n_inputs + plan->graph->n_inputs,
                    sizeof(ox_tensor *)));
    OX_TRY(find_units(s));
    if (s->n_units == 0 || plan->n_leaves == 0) return OX_OK;
    s->total_cost = 0;
    for (size_t i = 0; i < plan->n_nodes; i++)
        if (plan->nodes[i].node && plan->nodes[i].on) s->total_cost += plan->nodes[i].cost;
    /* Enough runs to find something in a large model too, within reason. */
    s->budget = fmax(s->options->work, fmin(RUNS_MIN * s->sim->work, 4 * s->options->work));
    OX_TRY(measure_units(s));
    OX_TRY(measure_plan(s, &noise));
    out->before_db = -10 * log10(noise);
    explain(s);
    OX_TRY(improve_until(s, out, &noise));
    out->after_db = -10 * log10(noise);
    out->float_share = float_cost(s) / s->total_cost;
    return OX_OK;
}

ox_status ox_qsearch(struct ox_qsearch_result *out, struct ox_qsim *sim,
                     const struct ox_dataset *data, size_t samples,
                     const struct ox_qsearch_options *options) {
    struct search s = {
        .sim = sim, .plan = sim->plan, .data = data, .samples = samples, .options = options};
    *out = (struct ox_qsearch_result){0};
    if (samples == 0) return OX_OK;
    ox_status status = search_all(&s, out);
    ox_ctx *ctx = sim->plan->ctx;
    ox_free(ctx, s.units);
    ox_free(ctx, s.segments);
    ox_free(ctx, s.values);
    ox_free(ctx, s.weights);
    ox_free(ctx, s.noise);
    ox_free(ctx, s.signal);
    ox_free(ctx, s.all_signal);
    ox_free(ctx, s.sums);
    ox_free(ctx, s.inputs);
    return status;
}
