/* passes/quantize/quantize.c - the pass: static int8 quantization, explicit as QuantizeLinear and
 * DequantizeLinear.
 *
 * Calibrate in float, choose ranges and scales, try the plan out in simulation, leave in float what
 * hurts most, correct biases, insert, and measure the result. */
#include "passes/pass.h"
#include "passes/quantize/guess_input.h"
#include "passes/quantize/quant_bias.h"
#include "passes/quantize/quant_insert.h"
#include "passes/quantize/quant_measure.h"
#include "passes/quantize/quant_ranges.h"
#include "passes/quantize/quant_search.h"
#include "passes/quantize/quant_stats.h"
#include "passes/quantize/synthetic.h"

#include <math.h>

enum { PAIRS, WEIGHTS, BIASES, CLAMPS, FLOAT_NODES };
enum { AUTO, NO, YES };
enum { SYNTHETIC_SAMPLES = 16, MATCH_SAMPLES = 8, OPSET_MIN = 13 };
#define RANGES_SHARE 0.5 /* of the work of the search, for choosing calibrators */
#define TAIL_SHARE 0.05
#define HEAD_SHARE 0.15
/* Outputs worse than this are no use (a detector at 3 dB finds half of what it should): then more
 * may stay in float. */
#define RESCUE_DB 20
#define RESCUE_SHARE 0.4

static const char *const calibrators[] = {"minmax", "percentile", "entropy", "mse", "auto", NULL};

struct quantizer {
    struct ox_pass_run *run;
    struct ox_qoptions options;
    struct ox_qsearch_options search;
    bool synthetic, bias_correction, no_samples;
    int weights_only; /* AUTO, NO, YES */
    struct ox_dataset data;
    struct ox_qplan *plan;
    struct ox_qsim sim;
    struct ox_qmatch match;
    bool *matched; /* by value id: it follows from activations with noted statistics */
    struct ox_qmeasure measure;
    size_t samples;
};

static ox_status read_options(struct quantizer *z) {
    static const char *const modes[] = {"int8", NULL}, *const types[] = {"uint8", "int8", NULL},
                             *const answers[] = {"auto", "no", "yes", NULL};
    int choice;
    int64_t number;
    OX_TRY(ox_pass_arg_choice(&choice, z->run, "mode", modes, 0));
    OX_TRY(ox_pass_arg_choice(&choice, z->run, "activations", types, 0));
    z->options.activations = choice ? OX_INT8 : OX_UINT8;
    OX_TRY(ox_pass_arg_choice(&z->options.calibrator, z->run, "calibrator", calibrators,
                              OX_CALIB_AUTO));
    OX_TRY(ox_pass_arg_float(&z->options.percentile, z->run, "percentile", 99.99));
    if (!(z->options.percentile > 50 && z->options.percentile <= 100))
        return ox_fail(z->run->ctx, OX_USAGE, "bad-option", NULL,
                       "percentile must be above 50 and at most 100");
    OX_TRY(ox_pass_arg_int(&number, z->run, "per_channel", 1, 0, 1));
    z->options.per_channel = number;
    OX_TRY(ox_pass_arg_int(&number, z->run, "products", 1, 0, 1));
    z->options.products = number;
    OX_TRY(ox_pass_arg_int(&number, z->run, "bias_correction", 1, 0, 1));
    z->bias_correction = number;
    OX_TRY(ox_pass_arg_choice(&z->weights_only, z->run, "weights_only", answers, AUTO));
    z->search.explain = z->run->options->explain;
    OX_TRY(ox_pass_arg_float(&z->search.target_db, z->run, "target_db", 30));
    OX_TRY(ox_pass_arg_float(&z->search.float_share, z->run, "float_share", 0.15));
    OX_TRY(ox_pass_arg_float(&z->search.work, z->run, "search_work", 30e9));
    return OX_OK;
}

/* ---- report ------------------------------------------------------------------------------------
 */

static ox_status report_values(struct quantizer *z) {
    const struct ox_qplan *plan = z->plan;
    for (uint32_t i = 0; i < plan->n_values; i++) {
        const struct ox_qvalue *v = &plan->values[i];
        if (!v->stands_in) continue;
        const struct ox_node *d = plan->model->values[i]->def;
        struct ox_quant_report r = {.tensor = ox_name_text(plan->model->values[i]->name),
                                    .op = d ? ox_name_text(d->type) : "",
                                    .kind = "activation",
                                    .quantized = true,
                                    .source = !z->synthetic                 ? "data"
                                              : z->matched && z->matched[i] ? "batch-norm"
                                                                            : "synthetic",
                                    .calibrator = calibrators[v->calibrator],
                                    .dtype = v->param.dtype,
                                    .n_scales = 1,
                                    .scale = v->param.scale,
                                    .zero_point = v->param.zero,
                                    .range_min = v->range.min,
                                    .range_max = v->range.max,
                                    .sqnr_db = ox_qmeasure_db(&z->measure, i)};
        OX_TRY(ox_outcome_add_quant(z->run->outcome, &r));
    }
    return OX_OK;
}

static ox_status report_stored(struct quantizer *z, const struct ox_qnode *q,
                               const struct ox_qstored *stored, const char *kind, ox_dtype dtype) {
    if (!stored->there) return OX_OK;
    float extent = stored->scale * 127;
    ox_name name = stored->name ? stored->name : q->result->name; /* a bias of ours has none */
    struct ox_quant_report r = {.tensor = ox_name_text(name),
                                .op = ox_name_text(q->node->type),
                                .kind = kind,
                                .quantized = true,
                                .source = "weights",
                                .dtype = dtype,
                                .n_scales = stored->n_scales,
                                .scale = stored->scale,
                                .range_min = dtype == OX_INT8 ? -extent : NAN,
                                .range_max = dtype == OX_INT8 ? extent : NAN,
                                .sqnr_db = stored->db};
    return ox_outcome_add_quant(z->run->outcome, &r);
}

static ox_status report_constants(struct quantizer *z) {
    for (size_t i = 0; i < z->plan->n_nodes; i++) {
        const struct ox_qnode *q = &z->plan->nodes[i];
        if (!q->node) continue;
        OX_TRY(report_stored(z, q, &q->stored_weight, "weight", OX_INT8));
        OX_TRY(report_stored(z, q, &q->stored_bias, "bias", OX_INT32));
    }
    return OX_OK;
}

static ox_status report_float(struct quantizer *z) {
    const struct ox_qplan *plan = z->plan;
    for (size_t i = 0; i < plan->n_nodes; i++) {
        const struct ox_qnode *q = &plan->nodes[i];
        if (!q->node || q->on || !q->reason || !q->result) continue;
        struct ox_quant_report r = {.tensor = ox_name_text(q->result->name),
                                    .op = ox_name_text(q->node->type),
                                    .kind = "activation",
                                    .reason = q->reason,
                                    .sqnr_db = NAN};
        OX_TRY(ox_outcome_add_quant(z->run->outcome, &r));
    }
    return OX_OK;
}

static ox_status report(struct quantizer *z) {
    struct ox_quant_summary summary = {.ran = true,
                                       .samples = z->samples,
                                       .synthetic = z->synthetic,
                                       .calibrator = calibrators[z->options.calibrator],
                                       .output_sqnr_db = z->measure.worst_output_db};
    for (size_t i = 0; i < z->plan->n_nodes; i++) {
        const struct ox_qnode *q = &z->plan->nodes[i];
        if (!q->node || (q->role != OX_QROLE_WEIGHT && q->role != OX_QROLE_PRODUCT)) continue;
        if (q->on)
            summary.ops_quantized++;
        else
            summary.ops_float++;
        if (q->weight_only) summary.ops_weight_only++;
    }
    OX_TRY(report_values(z));
    OX_TRY(report_constants(z));
    OX_TRY(report_float(z));
    return ox_outcome_set_quant_summary(z->run->outcome, &summary);
}

/* ---- work --------------------------------------------------------------------------------------
 */

/* ---- samples in the order of the inputs as they are now: passes may have removed some ----------
 */

struct mapped {
    const struct ox_pass_run *run;
    const struct ox_dataset *inner;
    ox_tensor **given;
};

static ox_status mapped_sample(void *self, size_t index, ox_tensor **inputs, int64_t *label) {
    struct mapped *m = self;
    const struct ox_graph *g = m->run->model->graph;
    OX_TRY(m->inner->sample(m->inner->self, index, m->given, label));
    for (size_t i = 0; i < g->n_inputs; i++) {
        inputs[i] = NULL;
        for (size_t k = 0; k < m->run->n_input_names && k < m->inner->n_inputs; k++)
            if (m->run->input_names[k] == g->inputs[i]->name && m->given[k])
                inputs[i] = ox_tensor_ref(m->given[k]);
    }
    for (size_t k = 0; k < m->inner->n_inputs; k++) {
        ox_tensor_unref(m->given[k]);
        m->given[k] = NULL;
    }
    return OX_OK;
}

static void mapped_free(void *self) {
    struct mapped *m = self;
    ox_free(m->run->ctx, m->given);
    ox_free(m->run->ctx, m);
}

static ox_status open_mapped(struct ox_dataset *out, const struct ox_pass_run *run,
                             const struct ox_dataset *inner) {
    struct mapped *m;
    OX_TRY(ox_alloc(run->ctx, &m, 1, sizeof *m));
    m->run = run;
    m->inner = inner;
    ox_status s = ox_alloc(run->ctx, &m->given, inner->n_inputs + 1, sizeof(ox_tensor *));
    if (s != OX_OK) {
        ox_free(run->ctx, m);
        return s;
    }
    *out = (struct ox_dataset){.self = m,
                               .count = inner->count,
                               .n_inputs = run->model->graph->n_inputs,
                               .sample = mapped_sample,
                               .free = mapped_free};
    return OX_OK;
}

static ox_status open_data(struct quantizer *z) {
    if (z->run->options->calibration)
        return open_mapped(&z->data, z->run, z->run->options->calibration);
    double amplitude;
    z->synthetic = true;
    OX_TRY(ox_guess_amplitude(&amplitude, &z->sim, z->run->norms, z->run->options->seed));
    if (z->run->options->explain)
        ox_report(z->run->ctx, OX_NOTE, "synthetic-input", NULL,
                  "inputs are made up with amplitude %g", amplitude);
    return ox_synthetic_open(&z->data, z->run->model, z->run->options->seed, SYNTHETIC_SAMPLES,
                             amplitude);
}

static void say_counts(struct quantizer *z, const struct ox_qinsert_counts *c) {
    uint64_t *counts = z->run->counts;
    if (!c->pairs && !c->weights) return;
    ox_rewrite_done(z->run, PAIRS);
    counts[PAIRS] += c->pairs - 1;
    counts[WEIGHTS] += c->weights;
    counts[BIASES] += c->biases;
    counts[CLAMPS] += c->clamps;
}

/* Nothing to do: the report says so and the model stays as it is. */
static ox_status nothing(struct ox_pass_run *run, enum ox_severity severity, const char *id,
                         const char *why) {
    ox_report(run->ctx, severity, id, NULL, "not quantized: %s", why);
    struct ox_quant_summary summary = {.ran = true, .calibrator = "none", .output_sqnr_db = NAN};
    return ox_outcome_set_quant_summary(run->outcome, &summary);
}

/* Made-up samples are brought to what BatchNormalization says of the real ones. */
static ox_status match_samples(struct quantizer *z) {
    OX_TRY(ox_qmatch_init(&z->match, z->plan, z->run->norms));
    OX_TRY(ox_qmatch_reach(&z->matched, &z->match, z->plan));
    if (z->match.n == 0) return OX_OK;
    z->sim.match = &z->match;
    return ox_qstats_match(&z->sim, &z->data, MATCH_SAMPLES);
}

/* Made-up samples may not fit what a model computes with them; that is no fault of the model. */
static ox_status calibrate(struct quantizer *z, bool *no_samples) {
    bool quiet = !z->run->options->calibration;
    if (quiet) ox_mute(z->run->ctx, true);
    ox_status s = open_data(z);
    if (s == OX_OK && z->synthetic) s = match_samples(z);
    if (s == OX_OK) s = ox_qstats_collect(&z->sim, &z->data, z->run->options->runner, &z->samples);
    if (quiet) ox_mute(z->run->ctx, false);
    *no_samples = quiet && (s == OX_INVALID || s == OX_UNSUPPORTED);
    return *no_samples ? OX_OK : s;
}

static double cost_of_all(const struct ox_qplan *plan) {
    double all = 0;
    for (size_t i = 0; i < plan->n_nodes; i++)
        all += plan->nodes[i].macs;
    return all;
}

/* Last convolutions give float, as the graph's outputs are, where that is cheap. Without data,
 * first ones read it: the range of the input is not known well. */
static void float_ends(struct quantizer *z) {
    struct ox_qplan *plan = z->plan;
    double all = cost_of_all(plan), tails = 0;
    for (size_t i = 0; i < plan->n_nodes; i++)
        if (plan->nodes[i].tail && plan->nodes[i].role == OX_QROLE_WEIGHT)
            tails += plan->nodes[i].macs;
    for (size_t i = 0; i < plan->n_nodes; i++) {
        struct ox_qnode *q = &plan->nodes[i];
        if (!q->node || q->role != OX_QROLE_WEIGHT) continue;
        if (q->tail && tails <= TAIL_SHARE * all) q->keep_float_out = true;
        if (z->synthetic && q->data->is_input && q->macs <= HEAD_SHARE * all) {
            q->wanted = false;
            q->reason = "it reads an input whose range is not known";
        }
    }
}

/* Without data, and without BatchNormalization, which ties activations to a known scale, nothing
 * tells whether an input is 0..1 or 0..255, and ranges that are wrong by such a factor make the
 * model useless: then only weights are quantized. */
static bool only_weights(const struct quantizer *z) {
    if (z->weights_only != AUTO) return z->weights_only == YES;
    return z->synthetic && !z->run->norms->any;
}

static void leave_activations(struct quantizer *z) {
    struct ox_qplan *plan = z->plan;
    for (size_t i = 0; i < plan->n_nodes; i++) {
        struct ox_qnode *q = &plan->nodes[i];
        if (q->node && q->wanted)
            q->reason =
                z->weights_only == YES
                    ? "only weights were to be quantized"
                    : "no data was given, and nothing in the model tells the scale of its inputs";
        q->wanted = false;
    }
    ox_qplan_settle(plan);
    for (size_t i = 0; i < plan->n_nodes; i++) {
        struct ox_qnode *q = &plan->nodes[i];
        q->weight_only = q->node && q->role == OX_QROLE_WEIGHT && q->weight.scale;
    }
}

/* Ranges, what to leave in float because it hurts, and biases that fit. */
static ox_status choose(struct quantizer *z) {
    struct ox_qsearch_result found;
    if (only_weights(z)) {
        leave_activations(z);
        return OX_OK;
    }
    OX_TRY(ox_qplan_fit_biases(z->plan));
    OX_TRY(ox_qsearch(&found, &z->sim, &z->data, z->samples, &z->search));
    if (found.after_db < RESCUE_DB && z->search.float_share > 0 &&
        z->search.float_share < RESCUE_SHARE) {
        double before_db = found.before_db;
        z->search.float_share = RESCUE_SHARE;
        OX_TRY(ox_qsearch(&found, &z->sim, &z->data, z->samples, &z->search));
        found.before_db = before_db;
    }
    if (z->run->options->explain)
        ox_report(z->run->ctx, OX_NOTE, "quantize-search", NULL,
                  "outputs keep %.1f dB, %.1f dB with %zu nodes in float, %.1f %% of the cost",
                  found.before_db, found.after_db, found.floated, 100 * found.float_share);
    return OX_OK;
}

/* Made-up samples do not tell which large values are rare in real ones: there the whole range is
 * taken. With data, what the outputs say decides. */
static ox_status set_ranges(struct quantizer *z) {
    int asked = z->options.calibrator;
    if (asked != OX_CALIB_AUTO) return ox_qstats_params(z->plan, (ox_calibrator)asked);
    if (z->synthetic) return ox_qstats_params(z->plan, OX_CALIB_MINMAX);
    return ox_qranges_choose(&z->sim, &z->data, z->samples, RANGES_SHARE * z->search.work);
}

/* *why a model without a single operator to quantize has none; NULL: it has one. */
static ox_status nothing_to_quantize(const char **why, const struct ox_model *model) {
    const char *answer = "it has no convolution or matrix product";
    *why = NULL;
    for (const struct ox_node *n = ox_graph_begin(model->graph); n; n = ox_node_next(n)) {
        enum ox_qrole role;
        struct ox_qlayout layout;
        int axis;
        const char *reason = NULL;
        const ox_tensor *w = ox_value_const(ox_node_in(n, 1));
        if (!n->op || n->op->quant != OX_Q_WEIGHT) continue;
        OX_TRY(ox_qrole_of(&role, &layout, &axis, &reason, n));
        if (role != OX_QROLE_FLOAT) return OX_OK;
        answer = !w || w->dtype == OX_FLOAT
                     ? "no convolution or matrix product of it can be in int8"
                 : w->dtype == OX_FLOAT16
                     ? "its weights are float16; only float32 models are quantized"
                     : "its weights are not float32; only float32 models are quantized";
    }
    *why = answer;
    return OX_OK;
}

static ox_status quantize(struct quantizer *z) {
    struct ox_qinsert_counts counts = {0};
    if (z->bias_correction) OX_TRY(ox_qbias_prepare(z->run->model));
    OX_TRY(ox_qplan_new(&z->plan, z->run->model, &z->options));
    OX_TRY(ox_qsim_init(&z->sim, z->plan));
    OX_TRY(calibrate(z, &z->no_samples));
    if (z->no_samples) {
        ox_qbias_tidy(z->run->model);
        return nothing(z->run, OX_WARNING, "no-synthetic-input",
                       "no samples can be made up that its inputs accept; give calibration data");
    }
    ox_qstats_costs(z->plan);
    float_ends(z);
    ox_qplan_settle(z->plan);
    ox_qplan_group(z->plan);
    OX_TRY(set_ranges(z));
    OX_TRY(ox_qstats_weights(z->plan, true));
    if (z->bias_correction) OX_TRY(ox_qbias_correct(z->plan));
    OX_TRY(choose(z));
    /* Matched activations exist in the simulation only: the model itself would be measured on
     * ranges that are not for the samples at hand. */
    if (z->sim.match)
        OX_TRY(ox_qmeasure_simulated(&z->measure, &z->sim, &z->data, z->samples));
    else
        OX_TRY(ox_qmeasure_float(&z->measure, &z->sim, &z->data, z->samples));
    OX_TRY(ox_qplan_insert(z->plan, &counts));
    ox_qbias_tidy(z->run->model);
    if (!z->sim.match) OX_TRY(ox_qmeasure_quantized(&z->measure));
    say_counts(z, &counts);
    return report(z);
}

static bool has_pairs(const struct ox_graph *g) {
    for (const struct ox_node *n = ox_graph_begin(g); n; n = ox_node_next(n))
        if (ox_node_is(n, "QuantizeLinear") || ox_node_is(n, "DynamicQuantizeLinear")) return true;
    return false;
}

ox_status ox_pass_quantize(struct ox_pass_run *run) {
    struct quantizer z = {.run = run};
    OX_TRY(read_options(&z));
    if (!ox_rewrite_allowed(run)) return OX_OK;
    if (has_pairs(run->model->graph))
        return nothing(run, OX_NOTE, "already-quantized",
                       "the model has quantized tensors already; they stay as they are");
    if (ox_model_opset(run->model, NULL) < OPSET_MIN)
        return nothing(
            run, OX_WARNING, "opset-too-old",
            "scales per channel begin with opset 13; the pass 'upgrade' brings a model there");
    const char *why;
    OX_TRY(nothing_to_quantize(&why, run->model));
    if (why) return nothing(run, OX_WARNING, "nothing-to-quantize", why);
    ox_status s = quantize(&z);
    ox_qmeasure_fini(&z.measure);
    ox_qmatch_fini(&z.match);
    ox_free(run->ctx, z.matched);
    ox_qsim_fini(&z.sim);
    ox_qplan_free(z.plan);
    if (z.data.free) z.data.free(z.data.self);
    return s;
}
