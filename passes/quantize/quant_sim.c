/* passes/quantize/quant_sim.c - see quant_sim.h. */
#include "passes/quantize/quant_sim.h"

#include <math.h>

ox_status ox_qsim_init(struct ox_qsim *sim, struct ox_qplan *plan) {
    ox_ctx *ctx = plan->ctx;
    *sim = (struct ox_qsim){.plan = plan, .scratch.ctx = ctx, .cap = 1};
    for (struct ox_node *n = ox_graph_begin(plan->graph); n; n = ox_node_next(n)) {
        if (n->n_in > sim->cap) sim->cap = n->n_in;
        if (n->n_out > sim->cap) sim->cap = n->n_out;
    }
    sim->cap += 1; /* a bias that the node does not have */
    ox_status s = ox_alloc(ctx, &sim->ref, plan->n_values, sizeof(ox_tensor *));
    if (s == OX_OK) s = ox_alloc(ctx, &sim->now, plan->n_values, sizeof(ox_tensor *));
    if (s == OX_OK) s = ox_alloc(ctx, &sim->edge, plan->n_values, sizeof(ox_tensor *));
    if (s == OX_OK) s = ox_alloc(ctx, &sim->left, plan->n_values, sizeof *sim->left);
    if (s == OX_OK) s = ox_alloc(ctx, &sim->in, sim->cap, sizeof(ox_tensor *));
    if (s == OX_OK) s = ox_alloc(ctx, &sim->out, sim->cap, sizeof(ox_tensor *));
    if (s != OX_OK) ox_qsim_fini(sim);
    return s;
}

static void drop(ox_tensor **tensor) {
    ox_tensor_unref(*tensor);
    *tensor = NULL;
}

static void drop_all(ox_tensor **tensors, size_t n) {
    for (size_t i = 0; tensors && i < n; i++)
        drop(&tensors[i]);
}

void ox_qsim_fini(struct ox_qsim *sim) {
    if (!sim->plan) return;
    ox_ctx *ctx = sim->plan->ctx;
    drop_all(sim->ref, sim->plan->n_values);
    drop_all(sim->now, sim->plan->n_values);
    drop_all(sim->edge, sim->plan->n_values);
    ox_call_scratch_fini(&sim->scratch);
    ox_free(ctx, sim->ref);
    ox_free(ctx, sim->now);
    ox_free(ctx, sim->edge);
    ox_free(ctx, sim->left);
    ox_free(ctx, sim->in);
    ox_free(ctx, sim->out);
    *sim = (struct ox_qsim){0};
}

/* ---- one node ----------------------------------------------------------------------------------
 */

static ox_status eval(struct ox_qsim *sim, const struct ox_node *n) {
    struct ox_call call;
    struct ox_place place;
    OX_TRY(ox_node_call(&call, &sim->scratch, n));
    ox_node_place(&place, n);
    const struct ox_place *former = ox_place_set(sim->plan->ctx, &place);
    ox_status s = ox_op_eval(&call, sim->in, sim->out);
    ox_place_set(sim->plan->ctx, former);
    if (s == OX_OK && sim->match && n->n_out && n->out[0])
        s = ox_qmatch_apply(sim->match, n->out[0], &sim->out[0]);
    if (s != OX_OK) drop_all(sim->out, n->n_out);
    return s;
}

static void count_readers(struct ox_qsim *sim) {
    for (size_t i = 0; i < sim->plan->n_values; i++)
        sim->left[i] = (uint32_t)sim->plan->model->values[i]->n_uses;
}

/* Constants as the kernels need them are used in place; others are copied once, and kept as if they
 * were computed. */
static ox_status operand(struct ox_qsim *sim, const ox_tensor **out, const struct ox_value *v) {
    *out = NULL;
    if (!v) return OX_OK;
    ox_tensor *t = ox_value_const(v);
    if (t && !sim->ref[v->id]) OX_TRY(ox_tensor_aligned(&sim->ref[v->id], sim->plan->ctx, t));
    *out = sim->now[v->id] ? sim->now[v->id] : sim->ref[v->id];
    return OX_OK;
}

static bool constant(const struct ox_value *v) {
    return ox_value_const(v) != NULL;
}

static void release_operands(struct ox_qsim *sim, const struct ox_node *n, bool keep) {
    for (size_t i = 0; i < n->n_in; i++) {
        const struct ox_value *v = n->in[i].value;
        if (!v || --sim->left[v->id] > 0) continue;
        drop(&sim->now[v->id]);
        drop(&sim->edge[v->id]);
        if (!keep && !constant(v)) drop(&sim->ref[v->id]);
    }
}

/* ---- float -------------------------------------------------------------------------------------
 */

static double work_of(const struct ox_node *n, const ox_tensor *const *in, ox_tensor *const *out) {
    double work = 0;
    for (size_t i = 0; i < n->n_out; i++)
        work += out[i] ? (double)out[i]->count : 0;
    const ox_tensor *w = n->op->traits & OX_HAS_WEIGHTS ? in[1] : NULL, *y = out[0];
    if (!w || w->rank < 2 || !y || y->rank < 1 || y->count == 0) return work;
    if (ox_qrole_channel_axis(n) == 1) return work * (double)w->count / (double)w->dims[0];
    /* A product [.., M, K] x [.., K, N], or a weight [N, K]: K for each output. */
    return work * (double)(w->dims[w->rank - 1] * w->dims[w->rank - 2]) /
           (double)y->dims[y->rank - 1];
}

/* An operator whose kernel turns out not to do this case is like one that has none. */
static ox_status eval_if_possible(struct ox_qsim *sim, struct ox_qnode *q) {
    ox_mute(sim->plan->ctx, true);
    ox_status s = eval(sim, q->node);
    ox_mute(sim->plan->ctx, false);
    if (s == OX_OK) return OX_OK;
    if (s == OX_UNSUPPORTED) {
        q->runs = false;
        return OX_OK;
    }
    return s == OX_NOMEM || s == OX_CANCELLED ? s : eval(sim, q->node); /* again, to have it said */
}

static bool operands_there(struct ox_qsim *sim, const struct ox_node *n) {
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i].value && !sim->in[i]) return false;
    return true;
}

static ox_status float_node(struct ox_qsim *sim, struct ox_qnode *q, bool keep,
                            ox_qsim_observe observe, void *user) {
    struct ox_node *n = q->node;
    for (size_t i = 0; i < n->n_in; i++)
        OX_TRY(operand(sim, &sim->in[i], n->in[i].value));
    q->runs = q->runs && operands_there(sim, n);
    if (q->runs) OX_TRY(eval_if_possible(sim, q));
    if (q->runs) sim->work += work_of(n, sim->in, sim->out);
    ox_status s = OX_OK;
    for (size_t i = 0; i < n->n_out && q->runs; i++) {
        struct ox_value *v = n->out[i];
        if (v && sim->out[i]) sim->bytes += sim->out[i]->size;
        if (v && observe && s == OX_OK) s = observe(user, v, sim->out[i]);
        if (v && (keep || sim->left[v->id] > 0))
            sim->ref[v->id] = sim->out[i];
        else
            ox_tensor_unref(sim->out[i]);
        sim->out[i] = NULL;
    }
    release_operands(sim, n, keep);
    return s;
}

ox_status ox_qsim_float(struct ox_qsim *sim, const ox_tensor *const *inputs, bool keep,
                        ox_qsim_observe observe, void *user) {
    struct ox_graph *g = sim->plan->graph;
    for (size_t i = 0; i < sim->plan->n_values; i++)
        if (!constant(sim->plan->model->values[i])) drop(&sim->ref[i]);
    sim->bytes = 0;
    sim->work = 0;
    count_readers(sim);
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct ox_value *v = g->inputs[i];
        const ox_tensor *t = inputs[i] ? inputs[i] : v->init;
        if (constant(v)) continue;
        if (!t)
            return ox_fail(sim->plan->ctx, OX_INVALID, "no-input", NULL,
                           "input '%s' is not given and has no default", ox_name_text(v->name));
        OX_TRY(ox_tensor_aligned(&sim->ref[v->id], sim->plan->ctx, t));
        if (observe) OX_TRY(observe(user, v, sim->ref[v->id]));
    }
    for (struct ox_node *n = ox_graph_begin(g); n; n = ox_node_next(n))
        OX_TRY(float_node(sim, &sim->plan->nodes[n->id], keep, observe, user));
    return OX_OK;
}

/* ---- quantized ---------------------------------------------------------------------------------
 */

static bool acts(const bool *mask, uint32_t id) {
    return !mask || mask[id];
}

static ox_status rounded(ox_tensor **out, struct ox_qsim *sim, const ox_tensor *t,
                         const struct ox_qvalue *v) {
    void *data;
    OX_TRY(ox_tensor_new(out, &data, sim->plan->ctx, OX_FLOAT, t->rank, t->dims));
    ox_fake_quant(sim->plan->ctx, data, t->data, t->count, v->param);
    return OX_OK;
}

/* The weight, or bias, as quantization leaves it, in sim->in[1] and [2]; *weight and *bias are to
 * be freed after the node ran. */
static ox_status quantized_weight(struct ox_qsim *sim, const struct ox_qnode *q, ox_tensor **weight,
                                  ox_tensor **bias) {
    void *data;
    const ox_tensor *w = sim->in[1];
    OX_TRY(ox_tensor_new(weight, &data, sim->plan->ctx, OX_FLOAT, w->rank, w->dims));
    ox_qweight_apply(sim->plan->ctx, &q->weight, w->data, NULL, data);
    sim->in[1] = *weight;
    if (!q->bias) return OX_OK;
    const ox_tensor *b = sim->in[2];
    OX_TRY(ox_tensor_copy(bias, sim->plan->ctx, OX_FLOAT, b->rank, b->dims, q->bias, b->size));
    sim->in[2] = *bias;
    return OX_OK;
}

/* Fills sim->in; *differs: something is not as in the float run. */
static ox_status quant_operands(struct ox_qsim *sim, const struct ox_qnode *q,
                                const struct ox_qmask *mask, bool *differs) {
    const struct ox_node *n = q->node;
    for (size_t i = 0; i < n->n_in; i++) {
        const struct ox_value *v = n->in[i].value;
        OX_TRY(operand(sim, &sim->in[i], v));
        if (!v) continue;
        const struct ox_qvalue *qv = &sim->plan->values[v->id];
        bool rounds = q->on && qv->read && ox_qrole_data(q->role, i) && acts(mask->values, v->id);
        *differs = *differs || sim->now[v->id] || rounds;
        if (!rounds) continue;
        if (!sim->edge[v->id]) OX_TRY(rounded(&sim->edge[v->id], sim, sim->in[i], qv));
        sim->in[i] = sim->edge[v->id];
    }
    return OX_OK;
}

static ox_status store_outputs(struct ox_qsim *sim, const struct ox_qnode *q,
                               const struct ox_qmask *mask, ox_qsim_observe observe, void *user) {
    const struct ox_node *n = q->node;
    ox_status s = OX_OK;
    for (size_t i = 0; i < n->n_out; i++) {
        struct ox_value *v = n->out[i];
        if (v && s == OX_OK && sim->plan->values[v->id].made && acts(mask->values, v->id)) {
            ox_tensor *t = NULL;
            s = rounded(&t, sim, sim->out[i], &sim->plan->values[v->id]);
            if (s == OX_OK) {
                drop(&sim->out[i]);
                sim->out[i] = t;
            }
        }
        if (v && observe && s == OX_OK) s = observe(user, v, sim->out[i]);
        if (v && s == OX_OK) {
            sim->now[v->id] = sim->out[i];
            sim->out[i] = NULL;
        }
        drop(&sim->out[i]);
    }
    return s;
}

static ox_status quant_node(struct ox_qsim *sim, const struct ox_qnode *q,
                            const struct ox_qmask *mask, ox_qsim_observe observe, void *user) {
    const struct ox_node *n = q->node;
    ox_tensor *weight = NULL, *bias = NULL;
    bool rounds_weight =
             q->on && q->role == OX_QROLE_WEIGHT && q->weight.scale && acts(mask->weights, n->id),
         differs = rounds_weight;
    for (size_t i = 0; i < n->n_out && !differs;
         i++) /* the first rounding may be that of an output */
        differs =
            n->out[i] && sim->plan->values[n->out[i]->id].made && acts(mask->values, n->out[i]->id);
    OX_TRY(quant_operands(sim, q, mask, &differs));
    if (!differs) {
        release_operands(sim, n, true);
        return OX_OK;
    }
    ox_status s = rounds_weight ? quantized_weight(sim, q, &weight, &bias) : OX_OK;
    if (s == OX_OK) s = eval(sim, n);
    if (s == OX_OK) s = store_outputs(sim, q, mask, observe, user);
    ox_tensor_unref(weight);
    ox_tensor_unref(bias);
    release_operands(sim, n, true);
    return s;
}

static double leaf_error(const struct ox_qsim *sim, const struct ox_value *leaf) {
    const ox_tensor *a = sim->now[leaf->id], *b = sim->ref[leaf->id];
    if (!a || !b || a->count != b->count || a->dtype != OX_FLOAT) return 0;
    return ox_square_distance(a->data, b->data, a->count);
}

ox_status ox_qsim_quant(struct ox_qsim *sim, const struct ox_qmask *mask, double *noise,
                        ox_qsim_observe observe, void *user) {
    struct ox_qplan *plan = sim->plan;
    ox_status s = OX_OK;
    count_readers(sim);
    for (size_t l = 0; l < plan->n_leaves; l++)
        sim->left[plan->leaves[l]->id]++; /* kept until they are compared */
    for (struct ox_node *n = ox_graph_begin(plan->graph); n && s == OX_OK; n = ox_node_next(n))
        if (plan->nodes[n->id].runs) s = quant_node(sim, &plan->nodes[n->id], mask, observe, user);
    for (size_t l = 0; l < plan->n_leaves && s == OX_OK; l++)
        noise[l] = leaf_error(sim, plan->leaves[l]);
    drop_all(sim->now, plan->n_values);
    drop_all(sim->edge, plan->n_values);
    return s;
}

double ox_decibels(double signal, double noise) {
    if (!(signal > 0)) return noise > 0 ? -200 : signal == 0 && noise == 0 ? 200 : NAN;
    double db = noise > 0 ? 10 * log10(signal / noise) : 200;
    return db > 200 ? 200 : db;
}

double ox_square_distance(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t begin = 0; begin < n; begin += 64) {
        size_t end = begin + 64 < n ? begin + 64 : n;
        double part = 0;
        for (size_t i = begin; i < end; i++) {
            double d = (double)a[i] - b[i];
            part += d * d;
        }
        sum += part;
    }
    return sum;
}

void ox_qsim_signal(const struct ox_qsim *sim, double *signal) {
    for (size_t l = 0; l < sim->plan->n_leaves; l++) {
        const ox_tensor *t = sim->ref[sim->plan->leaves[l]->id];
        signal[l] = 0;
        if (!t || t->dtype != OX_FLOAT || t->count == 0) continue;
        const float *x = t->data;
        double mean = 0;
        for (size_t i = 0; i < t->count; i++)
            mean += x[i];
        mean /= (double)t->count;
        for (size_t i = 0; i < t->count; i++)
            signal[l] += (x[i] - mean) * (x[i] - mean);
    }
}
