/* passes/quantize/quant_insert.c - see quant_insert.h. */
#include "passes/quantize/quant_insert.h"

#include "ir/graph/exec.h"
#include "passes/quantize/quant_sim.h"
#include <math.h>

#define BIAS_MAX                                                                                   \
    1073741824.0 /* 2^30: half of an int32, the other half is for the sum of products */

struct inserter {
    struct ox_qplan *plan;
    struct ox_qinsert_counts *counts;
    ox_name q, dq;                   /* "QuantizeLinear", "DequantizeLinear" */
    struct ox_value **scale, **zero; /* by group */
    struct ox_value *
        *weight; /* by id of a float weight: its DequantizeLinear, for nodes that share it */
    struct ox_qnode **weight_of; /* the node it was made for */
};

/* ---- parts -------------------------------------------------------------------------------------
 */

static ox_status name_of(ox_name *out, const struct inserter *in, const struct ox_value *v,
                         const char *suffix) {
    char text[200];
    const char *base = ox_name_text(v->name);
    size_t len = strlen(suffix), room = sizeof text - 1 - len,
           n = strlen(base) < room ? strlen(base) : room;
    memcpy(text, base, n);
    memcpy(text + n, suffix, len);
    return ox_model_name(out, in->plan->model, text, n + len);
}

static ox_status add_init(struct ox_value **out, const struct inserter *in,
                          const struct ox_value *like, const char *suffix, ox_dtype dtype, int rank,
                          const int64_t *dims, const void *data, size_t size) {
    ox_name name;
    ox_tensor *t;
    OX_TRY(name_of(&name, in, like, suffix));
    OX_TRY(ox_tensor_copy(&t, in->plan->ctx, dtype, rank, dims, data, size));
    ox_status s = ox_graph_add_init(out, in->plan->graph, name, t);
    if (s != OX_OK) ox_tensor_unref(t);
    return s;
}

/* A node of three operands, named after the value it stands for. */
static ox_status add_node(struct ox_node **out, const struct inserter *in, struct ox_node *before,
                          ox_name type, struct ox_value *x, struct ox_value *scale,
                          struct ox_value *zero, const struct ox_value *like, const char *suffix) {
    OX_TRY(ox_node_new(out, in->plan->graph, before, NULL, type, zero ? 3 : 2, 1));
    ox_use_set(&(*out)->in[0], x);
    ox_use_set(&(*out)->in[1], scale);
    if (zero) ox_use_set(&(*out)->in[2], zero);
    return name_of(&(*out)->out[0]->name, in, like, suffix);
}

/* ---- activations -------------------------------------------------------------------------------
 */

static ox_status group_params(struct inserter *in, const struct ox_value *v) {
    const struct ox_qvalue *q = &in->plan->values[v->id];
    int8_t zero = (int8_t)(uint8_t)(q->param.zero & 255);
    if (in->scale[q->group]) return OX_OK;
    OX_TRY(add_init(&in->scale[q->group], in, v, "_scale", OX_FLOAT, 0, NULL, &q->param.scale,
                    sizeof(float)));
    return add_init(&in->zero[q->group], in, v, "_zero_point", q->param.dtype, 0, NULL, &zero, 1);
}

/* What a clamp makes of the most extreme numbers: its bounds. */
static ox_status clamp_bounds(float bounds[2], const struct ox_node *clamp) {
    ox_ctx *ctx = clamp->graph->model->ctx;
    const float extremes[2] = {-FLT_MAX, FLT_MAX};
    const ox_tensor *in[8] = {0};
    ox_tensor *out[1] = {0}, *x;
    if (clamp->n_in > 8 || clamp->n_out != 1) return OX_UNSUPPORTED;
    for (size_t i = 1; i < clamp->n_in; i++)
        in[i] = ox_value_const(clamp->in[i].value);
    OX_TRY(ox_tensor_copy(&x, ctx, OX_FLOAT, 1, &(int64_t){2}, extremes, sizeof extremes));
    in[0] = x;
    ox_status s = ox_exec_node(clamp, in, out);
    ox_tensor_unref(x);
    if (s == OX_OK) memcpy(bounds, out[0]->data, 2 * sizeof *bounds);
    ox_tensor_unref(out[0]);
    return s;
}

/* Does rounding to the parameters do what the clamp does? Its bounds must be at or beyond the
 * outermost steps. */
static bool rounding_clamps(const struct ox_node *clamp, struct ox_qparam p) {
    float bounds[2];
    int32_t low = p.dtype == OX_UINT8 ? 0 : -128;
    ox_mute(clamp->graph->model->ctx, true);
    ox_status s = clamp_bounds(bounds, clamp);
    ox_mute(clamp->graph->model->ctx, false);
    if (s != OX_OK) return false;
    return rint((double)bounds[0] / p.scale) + p.zero <= low &&
           rint((double)bounds[1] / p.scale) + p.zero >= low + 255;
}

/* The value to round in place of `v`: what is before clamps that are part of its maker and not
 * needed any more. */
static struct ox_value *before_clamps(struct inserter *in, struct ox_value *v) {
    for (;;) {
        const struct ox_qnode *q = ox_qnode_of(in->plan, v->def);
        if (!q || !q->part_of ||
            !rounding_clamps(q->node, in->plan->values[q->part_of->result->id].param))
            return v;
        v = q->node->in[0].value;
    }
}

static void remove_clamps(struct inserter *in, struct ox_value *v, const struct ox_value *until) {
    while (v != until) {
        struct ox_node *clamp = v->def;
        v = clamp->in[0].value;
        ox_node_remove(clamp);
        in->plan->nodes[clamp->id].node = NULL;
        in->counts->clamps++;
    }
}

static ox_status add_pair(struct inserter *in, struct ox_value *v) {
    const struct ox_qplan *plan = in->plan;
    struct ox_qvalue *q = &plan->values[v->id];
    struct ox_node *before = v->def ? v->def->next : plan->graph->first, *quantize, *dequantize;
    OX_TRY(group_params(in, v));
    struct ox_value *scale = in->scale[q->group], *zero = in->zero[q->group];
    OX_TRY(add_node(&quantize, in, before, in->q, NULL, scale, zero, v, "_quantized"));
    OX_TRY(add_node(&dequantize, in, before, in->dq, quantize->out[0], scale, zero, v,
                    "_dequantized"));
    for (struct ox_use *u = v->uses, *next; u; u = next) {
        const struct ox_qnode *reader = ox_qnode_of(plan, u->user);
        next = u->next;
        if (q->made || (reader && reader->on && ox_qrole_data(reader->role, ox_use_index(u))))
            ox_use_set(u, dequantize->out[0]);
    }
    struct ox_value *source = q->made ? before_clamps(in, v) : v;
    ox_use_set(&quantize->in[0], source);
    if (q->made) remove_clamps(in, v, source);
    q->stands_in = dequantize->out[0];
    in->counts->pairs++;
    return OX_OK;
}

/* ---- weights -----------------------------------------------------------------------------------
 */

static bool shared(const struct inserter *in, const struct ox_qnode *q, const struct ox_value *w) {
    const struct ox_qnode *other = in->weight_of[w->id];
    return other && other->weight.axis == q->weight.axis && other->weight.n == q->weight.n &&
           memcmp(other->weight.scale, q->weight.scale, q->weight.n * sizeof(float)) == 0;
}

static double weight_db(const struct ox_qweight *weight, const float *w, const int8_t *ints,
                        size_t n) {
    const struct ox_qlayout *l = &weight->layout;
    double signal = 0, noise = 0;
    for (size_t i = 0; i < n; i++) {
        size_t channel = weight->axis < 0 ? 0 : i / l->inner % l->channels;
        double d = (double)ints[i] * weight->scale[channel] - w[i];
        signal += (double)w[i] * w[i];
        noise += d * d;
    }
    return ox_decibels(signal, noise);
}

static ox_status quantized_init(struct ox_value **out, struct inserter *in, struct ox_qnode *q,
                                const struct ox_value *w) {
    void *data;
    ox_name name;
    ox_tensor *aligned, *t;
    OX_TRY(ox_tensor_aligned(&aligned, in->plan->ctx, ox_value_const(w)));
    ox_status s = ox_tensor_new(&t, &data, in->plan->ctx, OX_INT8, aligned->rank, aligned->dims);
    if (s == OX_OK) {
        ox_qweight_apply(in->plan->ctx, &q->weight, aligned->data, data, NULL);
        q->stored_weight =
            (struct ox_qstored){.there = true,
                                .name = w->name,
                                .n_scales = q->weight.n,
                                .scale = q->weight.scale[0],
                                .db = weight_db(&q->weight, aligned->data, data, aligned->count)};
        s = name_of(&name, in, w, "_quantized");
        if (s == OX_OK) s = ox_graph_add_init(out, in->plan->graph, name, t);
        if (s != OX_OK) ox_tensor_unref(t);
    }
    ox_tensor_unref(aligned);
    return s;
}

/* Scale and zero point of a constant: vectors with an axis, else scalars. */
static ox_status const_params(struct ox_value **scale, struct ox_value **zero, struct inserter *in,
                              const struct ox_value *w, const float *scales, size_t n, bool vector,
                              ox_dtype zero_dtype) {
    void *zeros;
    int64_t dims[1] = {(int64_t)n};
    size_t size = n * (zero_dtype == OX_INT8 ? 1 : 4);
    OX_TRY(add_init(scale, in, w, "_scale", OX_FLOAT, vector, dims, scales, n * sizeof *scales));
    OX_TRY(ox_alloc(in->plan->ctx, &zeros, size, 1));
    ox_status s = add_init(zero, in, w, "_zero_point", zero_dtype, vector, dims, zeros, size);
    ox_free(in->plan->ctx, zeros);
    return s;
}

static void forget(struct ox_value *constant) {
    if (constant->n_uses == 0 && constant->init && !constant->is_input)
        ox_value_remove_init(constant);
}

static ox_status insert_weight(struct inserter *in, struct ox_qnode *q) {
    struct ox_value *w = q->node->in[1].value, *ints, *scale, *zero;
    struct ox_node *dq;
    bool vector = q->weight.axis >= 0;
    if (!shared(in, q, w)) {
        OX_TRY(quantized_init(&ints, in, q, w));
        OX_TRY(const_params(&scale, &zero, in, w, q->weight.scale, q->weight.n, vector, OX_INT8));
        OX_TRY(add_node(&dq, in, q->node, in->dq, ints, scale, zero, w, "_dequantized"));
        if (vector) OX_TRY(ox_node_set_int(dq, "axis", q->weight.axis));
        in->weight[w->id] = dq->out[0];
        in->weight_of[w->id] = q;
        in->counts->weights++;
    }
    ox_use_set(&q->node->in[1], in->weight[w->id]);
    return OX_OK;
}

/* ---- biases ------------------------------------------------------------------------------------
 */

static float input_scale(const struct ox_qplan *plan, const struct ox_qnode *q) {
    return plan->values[q->data->id].param.scale;
}

/* The bias as it will be: corrected, or the model's. The caller frees it. */
static ox_status copy_bias(float **out, size_t *n, const struct ox_qplan *plan,
                           const struct ox_qnode *q) {
    const ox_tensor *t = ox_value_const(ox_node_in(q->node, 2));
    *n = t->count;
    OX_TRY(ox_alloc(plan->ctx, out, t->count, sizeof **out));
    if (t->count) memcpy(*out, q->bias ? (const void *)q->bias : t->data, t->count * sizeof **out);
    return OX_OK;
}

static bool has_int32_bias(const struct ox_qnode *q) {
    return q->on && q->role == OX_QROLE_WEIGHT && ox_node_in(q->node, 2) &&
           (!q->float_out || ox_qrole_float_out_free(q->node));
}

ox_status ox_qplan_fit_biases(struct ox_qplan *plan) {
    for (size_t i = 0; i < plan->n_nodes; i++) {
        struct ox_qnode *q = &plan->nodes[i];
        float *bias;
        size_t n;
        if (!q->node || !has_int32_bias(q) || q->weight.n == 0) continue;
        OX_TRY(copy_bias(&bias, &n, plan, q));
        double data_scale = input_scale(plan, q);
        for (size_t c = 0; c < n; c++) {
            float *scale = &q->weight.scale[c % q->weight.n];
            double least = fabs(bias[c]) / data_scale / BIAS_MAX;
            if (bias[c] == bias[c] && least > *scale) *scale = ox_scale_legal(least);
        }
        ox_free(plan->ctx, bias);
    }
    return OX_OK;
}

static double bias_db(const float *bias, const int32_t *ints, const float *scales, size_t n,
                      bool vector) {
    double signal = 0, noise = 0;
    for (size_t c = 0; c < n; c++) {
        double d = (double)ints[c] * scales[vector ? c : 0] - bias[c];
        signal += (double)bias[c] * bias[c];
        noise += d * d;
    }
    return ox_decibels(signal, noise);
}

static ox_status insert_int32_bias(struct inserter *in, struct ox_qnode *q, const float *bias,
                                   size_t n) {
    struct ox_value *b = q->node->in[2].value, *ints, *scale, *zero;
    struct ox_node *dq;
    bool vector = q->weight.axis >= 0;
    int64_t dims[1] = {(int64_t)n};
    size_t n_scales = vector ? n : 1;
    float *scales;
    int32_t *q32;
    OX_TRY(ox_alloc(in->plan->ctx, &scales, n_scales + n, sizeof *scales));
    q32 = (int32_t *)(void *)(scales + n_scales);
    for (size_t c = 0; c < n_scales; c++)
        scales[c] =
            ox_scale_legal((double)input_scale(in->plan, q) * q->weight.scale[c % q->weight.n]);
    for (size_t c = 0; c < n; c++) {
        double steps = rint((double)bias[c] / scales[vector ? c : 0]);
        q32[c] = steps == steps ? (int32_t)fmin(fmax(steps, -INT32_MAX), INT32_MAX) : 0;
    }
    q->stored_bias = (struct ox_qstored){.there = true,
                                         .name = b->name,
                                         .n_scales = n_scales,
                                         .scale = n_scales ? scales[0] : 0,
                                         .db = bias_db(bias, q32, scales, n, vector)};
    ox_status s = add_init(&ints, in, b, "_quantized", OX_INT32, 1, dims, q32, n * sizeof *q32);
    if (s == OX_OK) s = const_params(&scale, &zero, in, b, scales, n_scales, vector, OX_INT32);
    if (s == OX_OK) s = add_node(&dq, in, q->node, in->dq, ints, scale, zero, b, "_dequantized");
    if (s == OX_OK && vector) s = ox_node_set_int(dq, "axis", 0);
    if (s == OX_OK) ox_use_set(&q->node->in[2], dq->out[0]);
    ox_free(in->plan->ctx, scales);
    in->counts->biases++;
    return s;
}

static ox_status insert_bias(struct inserter *in, struct ox_qnode *q) {
    struct ox_value *b = ox_node_in(q->node, 2), *fresh;
    float *bias;
    size_t n;
    if (!b || (!has_int32_bias(q) && !q->bias)) return OX_OK;
    OX_TRY(copy_bias(&bias, &n, in->plan, q));
    ox_status s;
    if (has_int32_bias(q)) {
        s = insert_int32_bias(in, q, bias, n);
    } else {
        s = add_init(&fresh, in, b, "_corrected", OX_FLOAT, 1, &(int64_t){(int64_t)n}, bias,
                     n * sizeof *bias);
        if (s == OX_OK) ox_use_set(&q->node->in[2], fresh);
    }
    ox_free(in->plan->ctx, bias);
    forget(b);
    return s;
}

/* ---- all ---------------------------------------------------------------------------------------
 */

static ox_status insert_all(struct inserter *in) {
    struct ox_qplan *plan = in->plan;
    OX_TRY(ox_model_name(&in->q, plan->model, "QuantizeLinear", 14));
    OX_TRY(ox_model_name(&in->dq, plan->model, "DequantizeLinear", 16));
    OX_TRY(ox_alloc(plan->ctx, &in->scale, plan->n_values, sizeof(struct ox_value *)));
    OX_TRY(ox_alloc(plan->ctx, &in->zero, plan->n_values, sizeof(struct ox_value *)));
    OX_TRY(ox_alloc(plan->ctx, &in->weight, plan->n_values, sizeof(struct ox_value *)));
    OX_TRY(ox_alloc(plan->ctx, &in->weight_of, plan->n_values, sizeof(struct ox_qnode *)));
    for (size_t i = 0; i < plan->n_values; i++)
        if (plan->values[i].made || plan->values[i].read)
            OX_TRY(add_pair(in, plan->model->values[i]));
    for (struct ox_node *n = ox_graph_begin(plan->graph); n;
         n = ox_node_next(n)) { /* in order: who shares a weight comes later */
        struct ox_qnode *q = ox_qnode_of(plan, n);
        if (!q || q->role != OX_QROLE_WEIGHT || !(q->on || q->weight_only)) continue;
        OX_TRY(insert_bias(in, q));
        OX_TRY(insert_weight(in, q));
    }
    for (size_t i = 0; i < plan->n_values; i++)
        if (in->weight[i]) forget(plan->model->values[i]);
    return OX_OK;
}

ox_status ox_qplan_insert(struct ox_qplan *plan, struct ox_qinsert_counts *counts) {
    struct inserter in = {.plan = plan, .counts = counts};
    ox_status s = insert_all(&in);
    ox_free(plan->ctx, in.scale);
    ox_free(plan->ctx, in.zero);
    ox_free(plan->ctx, in.weight);
    ox_free(plan->ctx, in.weight_of);
    return s;
}
