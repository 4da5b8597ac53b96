/* backend/native/lower_conv.c - convolutions with constant filters over one or two dims become
 * channels-last steps, with a clamp behind them. */
#include "backend/native/lower_util.h"

/* A convolution that suits. */
struct conv {
    struct ox_step_window window;
    uint32_t groups, depthwise;
    const struct ox_value *x, *w, *bias;
    int rank;
};

/* NULL, or why not. */
static const char *look(struct conv *c, struct ox_lower *lo, const struct ox_node *node) {
    union ox_lower_room room;
    const struct ox_conv_params *p = (const void *)room.bytes;
    int64_t kernel[2] = {1, 1};
    c->x = ox_node_in(node, 0);
    c->w = ox_node_in(node, 1);
    c->bias = ox_node_in(node, 2);
    c->rank = ox_lower_rank(c->x);
    if (c->rank != 3 && c->rank != 4) return "neither one nor two spatial dims";
    if (ox_lower_dtype(c->x) != OX_FLOAT || ox_lower_dtype(c->w) != OX_FLOAT)
        return "not of type float";
    if (ox_lower_rank(c->w) != c->rank) return "filter of unknown dims";
    for (int i = 0; i < c->rank; i++) {
        int64_t dim = ox_lower_dim(c->w, i);
        if (dim < 1 || dim > 1 << 20) return "filter of unknown or extreme dims";
        if (i >= 2) kernel[i - 2] = dim;
    }
    if (!ox_lower_decode(&room, lo, node)) return "attributes depend on something";
    if (!ox_lower_window(&c->window, lo, node, &p->window, c->x, kernel))
        return "padding depends on unknown dims";
    if (p->group > 1 << 20 || ox_lower_dim(c->w, 0) % p->group != 0)
        return "groups do not divide the channels";
    c->groups = (uint32_t)p->group;
    c->depthwise = p->group > 1 && ox_lower_dim(c->w, 1) == 1;
    return NULL;
}

/* Filter O,I,kh,kw as O,kh,kw,I, or 1,kh,kw,O of depthwise ones (I is 1); of one dim, kh is 1.
 * Takes over the count of w. */
static ox_status filter(ox_operand *out, struct ox_lower *lo, ox_tensor *w, bool depthwise) {
    static const int usual[] = {0, 2, 3, 1}, depth[] = {1, 2, 3, 0};
    ox_tensor *t = NULL, *turned = NULL;
    int64_t dims[4] = {w->dims[0], w->dims[1], w->rank == 4 ? w->dims[2] : 1, w->dims[w->rank - 1]};
    ox_status status = ox_tensor_reshape(&t, ox_lower_model(lo)->ctx, w, 4, dims);
    if (status == OX_OK) status = ox_lower_permuted(&turned, lo, t, depthwise ? depth : usual);
    ox_tensor_unref(t);
    ox_tensor_unref(w);
    OX_TRY(status);
    return ox_lower_const(out, lo, turned);
}

static ox_status float_conv(struct ox_lower *lo, const struct conv *c,
                            const struct ox_lower_tail *tail, bool *claimed) {
    struct ox_step_conv_params p = {
        .window = c->window, .groups = c->groups, .depthwise = c->depthwise, .act = tail->fn};
    ox_tensor *w, *bias;
    ox_operand in[4] = {OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE}, out;
    if (!ox_lower_bounds(&p.low, &p.high, lo, tail->act))
        return ox_lower_decline(lo, tail->last, "bounds are not constant");
    if (tail->add && c->groups > 1) return OX_OK; /* only our own way adds at no cost */
    OX_TRY(ox_lower_float_const(&bias, lo, c->bias));
    if (c->bias && (!bias || bias->rank != 1 || bias->dims[0] != ox_lower_dim(c->w, 0))) {
        ox_tensor_unref(bias);
        return ox_lower_decline(lo, tail->last, "bias is not constant");
    }
    ox_status status = ox_lower_float_const(&w, lo, c->w);
    if (status == OX_OK && !w) {
        ox_tensor_unref(bias);
        return ox_lower_decline(lo, tail->last, "filter is not constant");
    }
    if (status == OX_OK) status = filter(&in[1], lo, w, c->depthwise);
    if (status == OX_OK && bias)
        status = ox_lower_const(&in[2], lo, bias);
    else
        ox_tensor_unref(bias);
    OX_TRY(status);
    OX_TRY(ox_lower_in(&in[0], lo, c->x, OX_FORM_LAST));
    if (tail->add) OX_TRY(ox_lower_in(&in[3], lo, tail->add, OX_FORM_LAST));
    OX_TRY(ox_lower_out(&out, lo, tail->last->out[0], OX_FORM_LAST));
    *claimed = true;
    return ox_lower_step(lo, tail->last, OX_STEP_CONV, &p, tail->add ? 4 : 3, in, 1, &out);
}

static ox_status int8_conv(struct ox_lower *lo, const struct conv *c,
                           const struct ox_lower_tail *tail, bool *claimed) {
    struct ox_step_conv_s8_params p = {
        .window = c->window, .groups = c->groups, .depthwise = c->depthwise, .out = tail->q->q};
    struct ox_lower_quant x;
    ox_tensor *w, *scales, *bias = NULL;
    ox_operand in[4] = {OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE}, out;
    bool fits = false;
    if (!ox_lower_dequantized(&x, lo, c->x) ||
        !ox_lower_int_bounds(&p.low, &p.high, lo, tail->act, p.out))
        return OX_OK;
    p.in = x.q;
    OX_TRY(ox_lower_weights(&w, &scales, lo, c->w, 0));
    ox_status status = OX_OK;
    if (w) status = ox_lower_int_bias(&bias, &fits, lo, c->bias, p.in.scale, scales);
    fits = fits && ox_lower_factors_fit(p.in.scale, scales, p.out.scale);
    if (status != OX_OK || !fits) {
        ox_tensor_unref(w);
        ox_tensor_unref(scales);
        ox_tensor_unref(bias);
        return status;
    }
    status = filter(&in[1], lo, w, c->depthwise);
    OX_TRY(ox_lower_scales_and_bias(&in[2], &in[3], lo, status, scales, bias));
    OX_TRY(ox_lower_in(&in[0], lo, x.value, x.form | OX_FORM_LAST));
    OX_TRY(ox_lower_out(&out, lo, tail->last->out[0], tail->q->form | OX_FORM_LAST));
    *claimed = true;
    return ox_lower_step(lo, tail->last, OX_STEP_CONV_S8, &p, 4, in, 1, &out);
}

ox_status ox_lower_conv_tail(struct ox_lower *lo, const struct ox_node *conv,
                             const struct ox_lower_tail *tail, bool *claimed) {
    struct conv c;
    const char *why = look(&c, lo, conv);
    if (why) return ox_lower_decline(lo, tail->last, why);
    return tail->q ? int8_conv(lo, &c, tail, claimed) : float_conv(lo, &c, tail, claimed);
}

static bool same_dims(const struct ox_value *a, const struct ox_value *b) {
    const int rank = ox_lower_rank(a);
    if (rank < 0 || ox_lower_rank(b) != rank) return false;
    for (int i = 0; i < rank; i++)
        if (!ox_dim_is_known(a->type->dims[i]) || !ox_dim_same(a->type->dims[i], b->type->dims[i]))
            return false;
    return true;
}

ox_status ox_lower_sum_tail(struct ox_lower *lo, const struct ox_node *sum,
                            const struct ox_lower_tail *tail, bool *claimed) {
    struct ox_lower_tail behind = *tail;
    for (size_t i = 0; i < 2 && !*claimed && sum->n_in == 2 && !tail->q; i++) {
        const struct ox_value *v = ox_node_in(sum, i);
        const struct ox_node *maker = v->def;
        behind.add = ox_node_in(sum, 1 - i);
        if (!maker || v->def_index != 0 || !ox_lower_sole(v) ||
            ox_lower_dtype(behind.add) != OX_FLOAT || !same_dims(v, behind.add))
            continue;
        if (ox_node_is(maker, "Conv")) OX_TRY(ox_lower_conv_tail(lo, maker, &behind, claimed));
        if (ox_node_is(maker, "Gemm") || ox_node_is(maker, "MatMul") || ox_node_is(maker, "Add"))
            OX_TRY(ox_lower_dense_tail(lo, maker, &behind, claimed));
    }
    return OX_OK;
}

ox_status ox_lower_conv(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    const struct ox_lower_tail tail = {.last = node};
    return ox_lower_conv_tail(lo, node, &tail, claimed);
}

/* ---- BatchNormalization ------------------------------------------------------------------------
 */

ox_status ox_lower_fold_norm(ox_tensor **w, ox_tensor **bias, struct ox_lower *lo,
                             const struct ox_node *norm, double epsilon, int64_t n) {
    const float *in[4];
    float *factor, *shift;
    *w = *bias = NULL;
    for (size_t i = 0; i < 4; i++) {
        const struct ox_value *v = ox_node_in(norm, i + 1);
        const ox_tensor *t = v ? ox_lower_value_const(lo, v) : NULL;
        if (!t || t->dtype != OX_FLOAT || t->count != (size_t)n) return OX_OK;
        in[i] = t->data;
    }
    OX_TRY(ox_tensor_new(w, (void **)&factor, ox_lower_model(lo)->ctx, OX_FLOAT, 1, &n));
    OX_TRY(ox_tensor_new(bias, (void **)&shift, ox_lower_model(lo)->ctx, OX_FLOAT, 1, &n));
    for (int64_t i = 0; i < n; i++) {
        double f = (double)in[0][i] / sqrt((double)in[3][i] + epsilon);
        factor[i] = (float)f;
        shift[i] = (float)((double)in[1][i] - f * (double)in[2][i]);
    }
    return OX_OK;
}

/* The Concat of channels that makes x for this reader alone, of tensors of the same rank; else
 * NULL. */
static const struct ox_node *joined(struct ox_lower *lo, const struct ox_value *x) {
    const struct ox_node *node = ox_lower_maker(x, "Concat");
    union ox_lower_room room;
    const struct ox_concat_params *c = (const void *)room.bytes;
    if (!node || !ox_lower_sole(x) || !ox_lower_decode(&room, lo, node) ||
        (c->axis != 1 && c->axis != 1 - ox_lower_rank(x)))
        return NULL;
    for (size_t i = 0; i < node->n_in; i++)
        if (ox_lower_dtype(ox_node_in(node, i)) != OX_FLOAT ||
            ox_lower_rank(ox_node_in(node, i)) != ox_lower_rank(x))
            return NULL;
    return node;
}

/* Takes over the counts. */
static ox_status scale_step(struct ox_lower *lo, const struct ox_value *x,
                            const struct ox_lower_tail *tail, const struct ox_step_scale_params *p,
                            ox_tensor *factor, ox_tensor *shift) {
    const struct ox_node *join = joined(lo, x);
    const size_t n = join ? join->n_in : 1;
    ox_operand *in = NULL, out;
    ox_status status = ox_alloc(ox_lower_model(lo)->ctx, &in, n + 2, sizeof *in);
    if (status != OX_OK) {
        ox_tensor_unref(factor);
        ox_tensor_unref(shift);
        return status;
    }
    status = ox_lower_scales_and_bias(&in[0], &in[1], lo, OX_OK, factor, shift);
    for (size_t i = 0; i < n && status == OX_OK; i++)
        status = ox_lower_in(&in[2 + i], lo, join ? ox_node_in(join, i) : x, OX_FORM_LAST);
    if (status == OX_OK) status = ox_lower_out(&out, lo, tail->last->out[0], OX_FORM_LAST);
    if (status == OX_OK)
        status = ox_lower_step(lo, tail->last, OX_STEP_SCALE, p, n + 2, in, 1, &out);
    ox_free(ox_lower_model(lo)->ctx, in);
    return status;
}

ox_status ox_lower_norm_tail(struct ox_lower *lo, const struct ox_node *norm,
                             const struct ox_lower_tail *tail, bool *claimed) {
    const struct ox_value *x = ox_node_in(norm, 0);
    const int64_t n = ox_lower_dim(x, 1);
    struct ox_step_scale_params p;
    union ox_lower_room room;
    const struct ox_batch_norm_params *b = (const void *)room.bytes;
    ox_tensor *factor, *shift;
    if (tail->q || tail->fn) return OX_OK;
    if (ox_lower_dtype(x) != OX_FLOAT || (ox_lower_rank(x) != 3 && ox_lower_rank(x) != 4) ||
        n < 1 || n > 1 << 20)
        return ox_lower_decline(lo, tail->last, "not over some channels of floats");
    if (!ox_lower_decode(&room, lo, norm) || b->training || !b->spatial || norm->n_in != 5)
        return ox_lower_decline(lo, tail->last, "computes statistics");
    if (!ox_lower_bounds(&p.low, &p.high, lo, tail->act))
        return ox_lower_decline(lo, tail->last, "bounds are not constant");
    ox_status status = ox_lower_fold_norm(&factor, &shift, lo, norm, (double)b->epsilon, n);
    if (status != OX_OK || !factor) {
        ox_tensor_unref(factor);
        ox_tensor_unref(shift);
        return status != OX_OK ? status
                               : ox_lower_decline(lo, tail->last, "parameters are not constant");
    }
    *claimed = true;
    return scale_step(lo, x, tail, &p, factor, shift);
}

ox_status ox_lower_norm(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    const struct ox_lower_tail tail = {.last = node};
    for (size_t i = 1; i < node->n_out; i++)
        if (node->out[i]) return ox_lower_decline(lo, node, "statistics are wanted");
    return ox_lower_norm_tail(lo, node, &tail, claimed);
}
