/* backend/native/lower_dense.c - matrix products: with constant weights (Gemm, MatMul, and a bias
 * behind), or of two activations. */
#include "backend/native/lower_util.h"

/* data [..., K] times constant weights, [N, K] or (by_rows false) [K, N]. */
struct dense {
    const struct ox_value *x, *w, *bias;
    bool by_rows;
};

static bool is_matrix(const struct ox_value *w) {
    return ox_lower_rank(w) == 2 && ox_lower_dim(w, 0) > 0 && ox_lower_dim(w, 1) > 0 &&
           ox_lower_dim(w, 0) < INT32_MAX && ox_lower_dim(w, 1) < INT32_MAX;
}

static const char *look(struct dense *d, struct ox_lower *lo, const struct ox_node *node) {
    union ox_lower_room room;
    const struct ox_gemm_params *p = (const void *)room.bytes;
    d->x = ox_node_in(node, 0);
    d->w = ox_node_in(node, 1);
    d->bias = NULL;
    d->by_rows = false;
    if (ox_lower_dtype(d->x) != OX_FLOAT || ox_lower_dtype(d->w) != OX_FLOAT)
        return "not of type float";
    if (!is_matrix(d->w) || ox_lower_rank(d->x) < 1) return "weights are no matrix of known dims";
    if (!ox_node_is(node, "Gemm")) return NULL;
    if (!ox_lower_decode(&room, lo, node)) return "attributes depend on something";
    d->bias = ox_node_in(node, 2);
    d->by_rows = p->trans_b;
    if (p->trans_a || p->alpha != 1 || (d->bias && p->beta != 1))
        return "operand is transposed or scaled";
    if (ox_lower_rank(d->x) != 2) return "data is no matrix";
    return NULL;
}

static int64_t outputs(const struct dense *d) {
    return ox_lower_dim(d->w, d->by_rows ? 0 : 1);
}

/* Weights as [N, K]. Takes over the count. */
static ox_status weights(ox_operand *out, struct ox_lower *lo, ox_tensor *w, bool by_rows) {
    static const int swap[] = {1, 0};
    ox_tensor *turned;
    if (by_rows) return ox_lower_const(out, lo, w);
    ox_status status = ox_lower_permuted(&turned, lo, w, swap);
    ox_tensor_unref(w);
    OX_TRY(status);
    return ox_lower_const(out, lo, turned);
}

/* Float bias of n values, from n or one. *out NULL: not such a constant. */
static ox_status float_bias(ox_tensor **out, struct ox_lower *lo, const struct ox_value *v,
                            int64_t n) {
    ox_tensor *b;
    float *data;
    *out = NULL;
    OX_TRY(ox_lower_float_const(&b, lo, v));
    if (!b || b->dtype != OX_FLOAT ||
        (b->count != 1 && (b->count != (size_t)n || b->rank < 1 || b->dims[b->rank - 1] != n))) {
        ox_tensor_unref(b);
        return OX_OK;
    }
    ox_status status = ox_tensor_new(out, (void **)&data, ox_lower_model(lo)->ctx, OX_FLOAT, 1, &n);
    for (int64_t i = 0; status == OX_OK && i < n; i++)
        data[i] = ((const float *)b->data)[b->count == 1 ? 0 : i];
    ox_tensor_unref(b);
    return status;
}

/* Data and weights are quantized and the result is not: products of integers all the same. */
static ox_status mixed_dense(struct ox_lower *lo, const struct dense *d,
                             const struct ox_lower_tail *tail, bool *claimed) {
    struct ox_step_dense_s8f_params p;
    struct ox_lower_quant x;
    ox_tensor *w, *scales, *bias = NULL;
    ox_operand in[4] = {OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE}, out;
    if (!ox_lower_dequantized(&x, lo, d->x) || ox_lower_value_const(lo, x.value) ||
        !ox_lower_bounds(&p.low, &p.high, lo, tail->act))
        return OX_OK;
    p.in = x.q;
    OX_TRY(ox_lower_weights(&w, &scales, lo, d->w, d->by_rows ? 0 : 1));
    if (!w) return OX_OK;
    ox_status status = d->bias ? float_bias(&bias, lo, d->bias, outputs(d)) : OX_OK;
    if (status != OX_OK || (d->bias && !bias)) {
        ox_tensor_unref(w);
        ox_tensor_unref(scales);
        return status;
    }
    status = weights(&in[1], lo, w, d->by_rows);
    OX_TRY(ox_lower_scales_and_bias(&in[2], &in[3], lo, status, scales, bias));
    OX_TRY(ox_lower_in(&in[0], lo, x.value, x.form));
    OX_TRY(ox_lower_out(&out, lo, tail->last->out[0], OX_FORM_PLAIN));
    *claimed = true;
    return ox_lower_step(lo, tail->last, OX_STEP_DENSE_S8F, &p, 4, in, 1, &out);
}

/* A computed operand C of Gemm that is like the result is added to it. */
static bool is_sum(struct ox_lower *lo, const struct ox_value *c, const struct ox_value *y) {
    if (!c || ox_lower_dtype(c) != OX_FLOAT || ox_lower_rank(c) != 2 || ox_lower_rank(y) != 2 ||
        ox_lower_value_const(lo, c) || ox_lower_maker(c, "DequantizeLinear"))
        return false;
    return ox_dim_same(c->type->dims[0], y->type->dims[0]) &&
           ox_dim_same(c->type->dims[1], y->type->dims[1]);
}

static ox_status float_dense(struct ox_lower *lo, const struct dense *d,
                             const struct ox_lower_tail *tail, bool *claimed) {
    const bool sum = !tail->add && is_sum(lo, d->bias, tail->last->out[0]);
    const struct ox_value *add = sum ? d->bias : tail->add, *vector = sum ? NULL : d->bias;
    struct ox_step_dense_params p = {.act = tail->fn};
    ox_tensor *w, *bias = NULL;
    ox_operand in[4] = {OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE}, out;
    if ((tail->add || tail->fn) && ox_lower_maker(d->w, "DequantizeLinear"))
        return OX_OK; /* may do without floats */
    if (!sum) OX_TRY(mixed_dense(lo, d, tail, claimed));
    if (*claimed) return OX_OK;
    if (!ox_lower_bounds(&p.low, &p.high, lo, tail->act))
        return ox_lower_decline(lo, tail->last, "bounds are not constant");
    OX_TRY(ox_lower_float_const(&w, lo, d->w));
    if (!w) return ox_lower_decline(lo, tail->last, "weights are not constant");
    ox_status status = vector ? float_bias(&bias, lo, vector, outputs(d)) : OX_OK;
    if (status != OX_OK || (vector && !bias)) {
        ox_tensor_unref(w);
        return status != OX_OK ? status : ox_lower_decline(lo, tail->last, "bias is not constant");
    }
    status = weights(&in[1], lo, w, d->by_rows);
    if (status == OX_OK && bias)
        status = ox_lower_const(&in[2], lo, bias);
    else
        ox_tensor_unref(bias);
    OX_TRY(status);
    OX_TRY(ox_lower_in(&in[0], lo, d->x, OX_FORM_PLAIN));
    if (add) OX_TRY(ox_lower_in(&in[3], lo, add, OX_FORM_PLAIN));
    OX_TRY(ox_lower_out(&out, lo, tail->last->out[0], OX_FORM_PLAIN));
    *claimed = true;
    return ox_lower_step(lo, tail->last, OX_STEP_DENSE, &p, add ? 4 : 3, in, 1, &out);
}

static ox_status int8_dense(struct ox_lower *lo, const struct dense *d,
                            const struct ox_lower_tail *tail, bool *claimed) {
    struct ox_step_dense_s8_params p = {.out = tail->q->q};
    struct ox_lower_quant x;
    ox_tensor *w, *scales, *bias = NULL;
    ox_operand in[4] = {OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE}, out;
    bool fits = false;
    if (!ox_lower_dequantized(&x, lo, d->x) ||
        !ox_lower_int_bounds(&p.low, &p.high, lo, tail->act, p.out))
        return OX_OK;
    p.in = x.q;
    OX_TRY(ox_lower_weights(&w, &scales, lo, d->w, d->by_rows ? 0 : 1));
    ox_status status = OX_OK;
    if (w) status = ox_lower_int_bias(&bias, &fits, lo, d->bias, p.in.scale, scales);
    fits = fits && ox_lower_factors_fit(p.in.scale, scales, p.out.scale);
    if (status != OX_OK || !fits) {
        ox_tensor_unref(w);
        ox_tensor_unref(scales);
        ox_tensor_unref(bias);
        return status;
    }
    status = weights(&in[1], lo, w, d->by_rows);
    OX_TRY(ox_lower_scales_and_bias(&in[2], &in[3], lo, status, scales, bias));
    OX_TRY(ox_lower_in(&in[0], lo, x.value, x.form));
    OX_TRY(ox_lower_out(&out, lo, tail->last->out[0], tail->q->form));
    *claimed = true;
    return ox_lower_step(lo, tail->last, OX_STEP_DENSE_S8, &p, 4, in, 1, &out);
}

/* MatMul with constant weights and, behind it, Add of a constant vector. */
static bool biased(struct dense *d, struct ox_lower *lo, const struct ox_node *add) {
    for (size_t i = 0; i < 2; i++) {
        const struct ox_value *v = ox_node_in(add, i), *b = ox_node_in(add, 1 - i);
        const struct ox_node *product = ox_lower_maker(v, "MatMul");
        if (!product || !ox_lower_sole(v) || look(d, lo, product) || ox_lower_rank(b) > 1) continue;
        if (ox_lower_rank(b) == 1 && ox_lower_dim(b, 0) != outputs(d) && ox_lower_dim(b, 0) != 1)
            continue;
        d->bias = b;
        return true;
    }
    return false;
}

ox_status ox_lower_dense_tail(struct ox_lower *lo, const struct ox_node *node,
                              const struct ox_lower_tail *tail, bool *claimed) {
    struct dense d;
    if (ox_node_is(node, "Add")) {
        if (!biased(&d, lo, node)) return OX_OK;
    } else {
        const char *why = look(&d, lo, node);
        if (why) return ox_lower_decline(lo, tail->last, why);
    }
    return tail->q ? int8_dense(lo, &d, tail, claimed) : float_dense(lo, &d, tail, claimed);
}

ox_status ox_lower_dense(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    const struct ox_lower_tail tail = {.last = node};
    return ox_lower_dense_tail(lo, node, &tail, claimed);
}

/* A Transpose that swaps the last two dims costs nothing where the product can read its operand
 * that way. */
static const struct ox_value *untransposed(struct ox_lower *lo, const struct ox_value *v) {
    const struct ox_node *t = ox_lower_maker(v, "Transpose");
    union ox_lower_room room;
    const struct ox_transpose_params *p = (const void *)room.bytes;
    int rank = ox_lower_rank(v);
    if (!t || rank < 2 || !ox_lower_decode(&room, lo, t) || !p->perm.given || p->perm.n != rank)
        return NULL;
    for (int i = 0; i < rank - 2; i++)
        if (p->perm.at[i] != i) return NULL;
    return p->perm.at[rank - 1] == rank - 2 ? ox_node_in(t, 0) : NULL;
}

ox_status ox_lower_matmul(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    const struct ox_value *a = ox_node_in(node, 0), *b = ox_node_in(node, 1),
                          *turned = untransposed(lo, b);
    struct ox_step_matmul_params p = {.transposed_b = turned != NULL};
    ox_operand in[2], out;
    int ra = ox_lower_rank(a), rb = ox_lower_rank(b);
    if (ox_lower_dtype(a) != OX_FLOAT || ox_lower_dtype(b) != OX_FLOAT)
        return ox_lower_decline(lo, node, "not of type float");
    if (ra < 2 || rb < 2 || ra > 6 || rb > 6)
        return ox_lower_decline(lo, node, "rank below 2 or above 6");
    OX_TRY(ox_lower_in(&in[0], lo, a, OX_FORM_PLAIN));
    OX_TRY(ox_lower_in(&in[1], lo, turned ? turned : b, OX_FORM_PLAIN));
    OX_TRY(ox_lower_out(&out, lo, node->out[0], OX_FORM_PLAIN));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_MATMUL, &p, 2, in, 1, &out);
}
