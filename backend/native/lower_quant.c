/* backend/native/lower_quant.c - clusters of DequantizeLinear, operators and QuantizeLinear compute
 * in int8; what is left of the two becomes steps of its own. */
#include "backend/native/lower_util.h"

/* ---- products ----------------------------------------------------------------------------------
 */

/* Behind v, seen from its QuantizeLinear: a product, or a product and a clamp that nobody else
 * reads. */
static ox_status product(struct ox_lower *lo, const struct ox_node *node,
                         const struct ox_lower_quant *q, bool *claimed) {
    const struct ox_value *v = ox_node_in(node, 0);
    const struct ox_node *maker = v->def, *act = NULL;
    if (!maker || v->def_index != 0 || !ox_lower_sole(v)) return OX_OK;
    if (ox_node_is(maker, "Relu") || ox_node_is(maker, "Clip")) {
        act = maker;
        v = ox_node_in(act, 0);
        maker = v ? v->def : NULL;
        if (!maker || v->def_index != 0 || !ox_lower_sole(v)) return OX_OK;
    }
    const struct ox_lower_tail tail = {.last = node, .act = act, .q = q};
    if (ox_node_is(maker, "Conv")) return ox_lower_conv_tail(lo, maker, &tail, claimed);
    if (ox_node_is(maker, "Gemm") || ox_node_is(maker, "MatMul") || ox_node_is(maker, "Add"))
        return ox_lower_dense_tail(lo, maker, &tail, claimed);
    return OX_OK;
}

/* ---- elementwise -------------------------------------------------------------------------------
 */

static ox_status sum(struct ox_lower *lo, const struct ox_node *node,
                     const struct ox_lower_quant *q, bool *claimed) {
    const struct ox_value *v = ox_node_in(node, 0);
    const struct ox_node *op = v->def;
    struct ox_step_binary_s8_params p = {.out = q->q};
    struct ox_lower_quant a, b;
    ox_operand in[2], out;
    /* A Relu whose zero is the least integer is what saturation does. */
    if (op && ox_node_is(op, "Relu") && q->q.zero == -128 && ox_lower_sole(v)) {
        v = ox_node_in(op, 0);
        op = v ? v->def : NULL;
    }
    if (!op || !ox_lower_sole(v) || v->def_index != 0 || op->n_in != 2) return OX_OK;
    if (ox_node_is(op, "Add"))
        p.op = OX_STEP_ADD;
    else if (ox_node_is(op, "Sub"))
        p.op = OX_STEP_SUB;
    else if (ox_node_is(op, "Mul"))
        p.op = OX_STEP_MUL;
    else
        return OX_OK;
    int rank = ox_lower_rank(v);
    if (rank < 0 || rank > 6 || !ox_lower_dequantized(&a, lo, ox_node_in(op, 0)) ||
        !ox_lower_dequantized(&b, lo, ox_node_in(op, 1)))
        return OX_OK;
    if (ox_lower_rank(a.value) != rank || ox_lower_rank(b.value) != rank) return OX_OK;
    p.a = a.q;
    p.b = b.q;
    float ra = p.a.scale / p.out.scale, rb = p.b.scale / p.out.scale, rab = p.a.scale * rb;
    bool fits = p.op == OX_STEP_MUL ? rab >= 0x1p-16f && rab < 256
                                    : ra >= 0x1p-10f && ra < 256 && rb >= 0x1p-10f && rb < 256;
    if (!fits) return OX_OK;
    unsigned form = ox_lower_followed(lo, q->value);
    OX_TRY(ox_lower_in(&in[0], lo, a.value, a.form | form));
    OX_TRY(ox_lower_in(&in[1], lo, b.value, b.form | form));
    OX_TRY(ox_lower_out(&out, lo, q->value, q->form | form));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_BINARY_S8, &p, 2, in, 1, &out);
}

/* ---- tables ------------------------------------------------------------------------------------
 */

ox_status ox_lower_requantize(ox_operand *out, struct ox_lower *lo, const struct ox_node *node,
                              ox_operand in, struct ox_step_quant from, struct ox_step_quant to) {
    const struct ox_step_table_params p = {0};
    const int64_t dims[] = {256};
    ox_operand pair[2] = {in, OX_OPERAND_NONE};
    int8_t *data;
    ox_tensor *entries;
    if (from.scale == to.scale && from.zero == to.zero) {
        *out = in;
        return OX_OK;
    }
    OX_TRY(ox_tensor_new(&entries, (void **)&data, ox_lower_model(lo)->ctx, OX_INT8, 1, dims));
    for (int i = 0; i < 256; i++) {
        float v =
            nearbyintf((float)((int8_t)i - from.zero) * from.scale / to.scale) + (float)to.zero;
        data[i] = (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
    }
    OX_TRY(ox_lower_const(&pair[1], lo, entries));
    OX_TRY(ox_lower_temp(out, lo));
    return ox_lower_step(lo, node, OX_STEP_TABLE, &p, 2, pair, 1, out);
}

/* ---- pools, means, joins -----------------------------------------------------------------------
 */

static bool same(struct ox_step_quant a, struct ox_step_quant b) {
    return a.scale == b.scale && a.zero == b.zero;
}

static ox_status pool(struct ox_lower *lo, const struct ox_node *node,
                      const struct ox_lower_quant *q, bool *claimed) {
    const struct ox_node *op = ox_node_in(node, 0)->def;
    struct ox_lower_pool pl;
    struct ox_lower_quant x;
    ox_operand in, mid, out;
    if (!ox_lower_sole(ox_node_in(node, 0)) || !ox_lower_dequantized(&x, lo, ox_node_in(op, 0)) ||
        ox_lower_pool_look(&pl, lo, op))
        return OX_OK;
    if (pl.p.mode == OX_STEP_POOL_MAX && !same(x.q, q->q)) return OX_OK;
    OX_TRY(ox_lower_in(&in, lo, x.value, x.form | OX_FORM_LAST));
    OX_TRY(ox_lower_out(&out, lo, q->value, q->form | OX_FORM_LAST));
    *claimed = true;
    if (pl.p.mode == OX_STEP_POOL_MAX)
        return ox_lower_step(lo, node, OX_STEP_POOL, &pl.p, 1, &in, 1, &out);
    const struct ox_step_dequantize_params from = {x.q};
    const struct ox_step_quantize_params to = {q->q};
    ox_operand pooled;
    OX_TRY(ox_lower_temp(&mid, lo));
    OX_TRY(ox_lower_temp(&pooled, lo));
    OX_TRY(ox_lower_step(lo, node, OX_STEP_DEQUANTIZE, &from, 1, &in, 1, &mid));
    OX_TRY(ox_lower_step(lo, node, OX_STEP_POOL, &pl.p, 1, &mid, 1, &pooled));
    return ox_lower_step(lo, node, OX_STEP_QUANTIZE, &to, 1, &pooled, 1, &out);
}

static ox_status mean(struct ox_lower *lo, const struct ox_node *node,
                      const struct ox_lower_quant *q, bool *claimed) {
    const struct ox_node *op = ox_node_in(node, 0)->def;
    struct ox_step_mean_params p = {.out = q->q};
    struct ox_lower_quant x;
    ox_operand in, out;
    if (!ox_lower_sole(ox_node_in(node, 0)) || !ox_lower_is_mean(lo, op) ||
        !ox_lower_dequantized(&x, lo, ox_node_in(op, 0)))
        return OX_OK;
    p.in = x.q;
    OX_TRY(ox_lower_in(&in, lo, x.value, x.form | OX_FORM_LAST));
    OX_TRY(ox_lower_out(&out, lo, q->value, q->form | OX_FORM_LAST));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_MEAN, &p, 1, &in, 1, &out);
}

enum { JOIN_MAX = 64 };

static ox_status join(struct ox_lower *lo, const struct ox_node *node,
                      const struct ox_lower_quant *q, bool *claimed) {
    const struct ox_node *op = ox_node_in(node, 0)->def;
    union ox_lower_room room;
    const struct ox_concat_params *c = (const void *)room.bytes;
    struct ox_step_concat_params p = {0};
    struct ox_lower_quant x[JOIN_MAX];
    ox_operand in[JOIN_MAX], out;
    int rank = ox_lower_rank(q->value);
    if (!ox_lower_sole(ox_node_in(node, 0)) || op->n_in > JOIN_MAX || rank < 1 ||
        rank > OX_STEP_RANK_MAX || !ox_lower_decode(&room, lo, op))
        return OX_OK;
    for (size_t i = 0; i < op->n_in; i++)
        if (!ox_lower_dequantized(&x[i], lo, ox_node_in(op, i)) ||
            ox_lower_rank(x[i].value) != rank)
            return OX_OK;
    unsigned form = ox_lower_followed(lo, q->value);
    p.axis = ox_lower_axis_in(c->axis, rank, form);
    for (size_t i = 0; i < op->n_in; i++) {
        OX_TRY(ox_lower_in(&in[i], lo, x[i].value, x[i].form | form));
        OX_TRY(ox_lower_requantize(&in[i], lo, node, in[i], x[i].q, q->q));
    }
    OX_TRY(ox_lower_out(&out, lo, q->value, q->form | form));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_CONCAT, &p, op->n_in, in, 1, &out);
}

/* ---- the two operators -------------------------------------------------------------------------
 */

ox_status ox_lower_quantize(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    const struct ox_value *x = ox_node_in(node, 0);
    struct ox_lower_quant q;
    ox_operand in, out;
    if (!ox_lower_quantizer(&q, lo, node))
        return ox_lower_decline(lo, node, "not to 8 bits by one constant scale");
    OX_TRY(product(lo, node, &q, claimed));
    if (!*claimed) OX_TRY(ox_lower_table(lo, node, &q, claimed));
    if (!*claimed) OX_TRY(sum(lo, node, &q, claimed));
    if (!*claimed && (ox_lower_maker(x, "MaxPool") || ox_lower_maker(x, "AveragePool")))
        OX_TRY(pool(lo, node, &q, claimed));
    if (!*claimed && (ox_lower_maker(x, "GlobalAveragePool") || ox_lower_maker(x, "ReduceMean")))
        OX_TRY(mean(lo, node, &q, claimed));
    if (!*claimed && ox_lower_maker(x, "Concat")) OX_TRY(join(lo, node, &q, claimed));
    if (!*claimed) OX_TRY(ox_lower_norm8(lo, node, &q, claimed));
    if (!*claimed) OX_TRY(ox_lower_moved(lo, node, &q, claimed));
    if (*claimed) return OX_OK;
    const struct ox_step_quantize_params p = {q.q};
    unsigned form = ox_lower_followed(lo, q.value);
    if (ox_lower_rank(x) < 0 || ox_lower_rank(x) > OX_STEP_RANK_MAX) return OX_OK;
    OX_TRY(ox_lower_in(&in, lo, x, form));
    OX_TRY(ox_lower_out(&out, lo, q.value, q.form | form));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_QUANTIZE, &p, 1, &in, 1, &out);
}

ox_status ox_lower_dequantize(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    struct ox_lower_quant x;
    ox_operand in, out;
    if (!ox_lower_dequantized(&x, lo, node->out[0]) || ox_lower_rank(x.value) < 0 ||
        ox_lower_rank(x.value) > OX_STEP_RANK_MAX)
        return ox_lower_decline(lo, node, "not from 8 bits by one constant scale");
    if (ox_lower_value_const(lo, x.value))
        return OX_OK; /* weights that nobody could use as integers */
    const struct ox_step_dequantize_params p = {x.q};
    unsigned form = ox_lower_followed(lo, node->out[0]);
    OX_TRY(ox_lower_in(&in, lo, x.value, x.form | form));
    OX_TRY(ox_lower_out(&out, lo, node->out[0], form));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_DEQUANTIZE, &p, 1, &in, 1, &out);
}
