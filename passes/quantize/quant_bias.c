/* passes/quantize/quant_bias.c - see quant_bias.h.
 *
 * Rounding a channel's weights by d changes its output by the sum of d x, in the mean by the sum of
 * d E[x]. With inputs that are positive behind a rectifier, this is most of the error of small
 * kernels. */
#include "passes/quantize/quant_bias.h"

#include "ir/ops/params.h"
#include <math.h>
#include <stdalign.h>

/* ---- biases where there are none ----------------------------------------------------------------
 */

static bool is_zero(const ox_tensor *t) {
    const unsigned char *bytes = t->data;
    for (size_t i = 0; i < t->size; i++)
        if (bytes[i]) return false;
    return true;
}

static ox_status give_bias(struct ox_node *n, size_t channels) {
    struct ox_value *v;
    ox_tensor *t;
    OX_TRY(
        ox_tensor_new(&t, NULL, n->graph->model->ctx, OX_FLOAT, 1, &(int64_t){(int64_t)channels}));
    ox_status s = ox_graph_add_init(&v, n->graph, NULL, t);
    if (s != OX_OK) {
        ox_tensor_unref(t);
        return s;
    }
    while (n->n_in < 3)
        OX_TRY(ox_node_add_input(n, NULL));
    ox_use_set(&n->in[2], v);
    return OX_OK;
}

ox_status ox_qbias_prepare(struct ox_model *model) {
    for (struct ox_node *n = ox_graph_begin(model->graph); n; n = ox_node_next(n)) {
        enum ox_qrole role;
        struct ox_qlayout layout;
        int axis;
        const char *reason = NULL;
        if (ox_node_in(n, 2) || !n->op || n->op->max_in < 3) continue;
        OX_TRY(ox_qrole_of(&role, &layout, &axis, &reason, n));
        if (role == OX_QROLE_WEIGHT && layout.outer == 1) OX_TRY(give_bias(n, layout.channels));
    }
    return OX_OK;
}

void ox_qbias_tidy(struct ox_model *model) {
    for (struct ox_node *n = ox_graph_begin(model->graph); n; n = ox_node_next(n)) {
        struct ox_value *b = ox_node_in(n, 2);
        if (!b || b->name || !b->init || b->n_uses != 1 || !n->op || n->op->quant != OX_Q_WEIGHT ||
            !is_zero(b->init))
            continue;
        ox_use_set(&n->in[2], NULL);
        ox_node_trim_inputs(n);
        ox_value_remove_init(b);
    }
}

/* ---- correcting
 * ---------------------------------------------------------------------------------- */

/* Part of the output positions at which tap `k` of a spatial dim lies on the data and not on
 * padding. */
static double tap_part(const struct ox_window *w, const ox_dim *dims, int i, int64_t k) {
    if (!ox_dim_is_const(dims[2 + i]) || w->auto_pad != OX_PAD_NOTSET) return 1;
    int64_t in = dims[2 + i].k,
            out = (in + w->begin[i] + w->end[i] - (w->kernel[i] - 1) * w->dilations[i] - 1) /
                      w->strides[i] +
                  1,
            inside = 0;
    if (out <= 0 || out > 1 << 20) return 1;
    for (int64_t o = 0; o < out; o++) {
        int64_t at = o * w->strides[i] - w->begin[i] + k * w->dilations[i];
        inside += at >= 0 && at < in;
    }
    return (double)inside / (double)out;
}

/* By tap of the kernel: how often it lies on data. *parts is NULL where all taps do, as far as is
 * known. */
static ox_status tap_parts(double **parts, const struct ox_qplan *plan, const struct ox_qnode *q) {
    alignas(64) unsigned char params[OX_PARAMS_MAX] = {0};
    const struct ox_window *w = &((struct ox_conv_params *)params)->window;
    struct ox_call_scratch scratch = {.ctx = plan->ctx};
    struct ox_call call;
    const struct ox_type *t = q->data->type;
    *parts = NULL;
    if (ox_qrole_channel_axis(q->node) != 1 || q->weight.layout.outer != 1 ||
        !ox_type_is_tensor(t) || t->rank < 3)
        return OX_OK;
    ox_status s = ox_node_call(&call, &scratch, q->node);
    if (s == OX_OK) s = q->node->op->decode(&call, params);
    ox_call_scratch_fini(&scratch);
    OX_TRY(s);
    const ox_tensor *weight = ox_value_const(q->node->in[1].value);
    size_t taps = q->weight.layout.taps, below = 1;
    OX_TRY(ox_alloc(plan->ctx, parts, taps, sizeof **parts));
    for (size_t k = 0; k < taps; k++)
        (*parts)[k] = 1;
    for (int i = t->rank - 3; i >= 0; i--) {
        size_t kernel = (size_t)weight->dims[2 + i];
        for (size_t k = 0; k < taps; k++)
            (*parts)[k] *= tap_part(w, t->dims, i, (int64_t)(k / below % kernel));
        below *= kernel;
    }
    return OX_OK;
}

static void subtract_shift(const struct ox_qnode *q, const float *w, const float *rounded,
                           const struct ox_qchannels *ch, const double *parts) {
    const struct ox_qlayout *l = &q->weight.layout;
    for (size_t c = 0; c < l->channels; c++) {
        double shift = 0;
        for (size_t o = 0; o < l->outer; o++)
            for (size_t i = 0; i < l->inner; i++) {
                size_t at = (o * l->channels + c) * l->inner + i;
                double mean = ch->sum[ox_qlayout_input(l, o, c, i)] / ch->count;
                shift += ((double)rounded[at] - w[at]) * mean * (parts ? parts[i % l->taps] : 1);
            }
        if (isfinite(shift)) q->bias[c] = (float)(q->bias[c] - shift);
    }
}

static ox_status correct(const struct ox_qplan *plan, struct ox_qnode *q,
                         const struct ox_qchannels *ch) {
    ox_tensor *w;
    float *rounded = NULL;
    double *parts = NULL;
    const ox_tensor *bias = ox_value_const(q->node->in[2].value);
    OX_TRY(ox_tensor_aligned(&w, plan->ctx, ox_value_const(q->node->in[1].value)));
    ox_status s = ox_alloc_raw(plan->ctx, &rounded, w->count, sizeof *rounded);
    if (s == OX_OK && !q->bias) s = ox_alloc(plan->ctx, &q->bias, bias->count, sizeof *q->bias);
    if (s == OX_OK) s = tap_parts(&parts, plan, q);
    if (s == OX_OK) {
        memcpy(q->bias, bias->data, bias->size);
        ox_qweight_apply(plan->ctx, &q->weight, w->data, NULL, rounded);
        subtract_shift(q, w->data, rounded, ch, parts);
    }
    ox_tensor_unref(w);
    ox_free(plan->ctx, rounded);
    ox_free(plan->ctx, parts);
    return s;
}

ox_status ox_qbias_correct(struct ox_qplan *plan) {
    for (size_t i = 0; i < plan->n_nodes; i++) {
        struct ox_qnode *q = &plan->nodes[i];
        if (!q->node || q->role != OX_QROLE_WEIGHT || !q->weight.scale || !ox_node_in(q->node, 2))
            continue;
        const struct ox_qchannels *ch = &plan->values[q->data->id].channels;
        const struct ox_qlayout *l = &q->weight.layout;
        size_t inputs = ox_qlayout_input(l, l->outer - 1, l->channels - 1, l->inner - 1) + 1;
        const ox_tensor *bias = ox_value_const(q->node->in[2].value);
        if (ch->n != inputs || !(ch->count > 0) || ch->axis != ox_qrole_channel_axis(q->node) ||
            bias->count != l->channels)
            continue;
        OX_TRY(correct(plan, q, ch));
    }
    return OX_OK;
}
