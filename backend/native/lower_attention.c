/* backend/native/lower_attention.c - attention that is spelled out, softmax(scale * Q K^T + mask)
 * V, becomes one step whose scores never exist as a whole, and which reads heads where they lie:
 * transposes in front of it and behind it go. */
#include "backend/native/lower_util.h"

struct attention {
    const struct ox_value *in[4]; /* Q, K, V, mask */
    struct ox_step_attention_params p;
    double scale;
};

static bool is_float(const struct ox_value *v, int rank) {
    return ox_lower_dtype(v) == OX_FLOAT && ox_lower_rank(v) == rank;
}

static bool same_dim(const struct ox_value *a, int i, const struct ox_value *b, int j) {
    return ox_dim_same(a->type->dims[i], b->type->dims[j]);
}

/* The Transpose by `perm` (of rank n) that makes v, or NULL. */
static const struct ox_node *turned(struct ox_lower *lo, const struct ox_value *v, const int *perm,
                                    int n) {
    const struct ox_node *t = ox_lower_maker(v, "Transpose");
    union ox_lower_room room;
    const struct ox_transpose_params *p = (const void *)room.bytes;
    if (!t || ox_lower_rank(v) != n || !ox_lower_decode(&room, lo, t) || !p->perm.given ||
        p->perm.n != n)
        return NULL;
    for (int i = 0; i < n; i++)
        if (p->perm.at[i] != perm[i]) return NULL;
    return t;
}

/* v without factors that are one number, which go into the scale. */
static const struct ox_value *unscaled(struct attention *a, struct ox_lower *lo,
                                       const struct ox_value *v) {
    for (int rounds = 0; rounds < 4; rounds++) {
        const struct ox_node *node = v->def;
        float f;
        if (!node || !ox_lower_sole(v) || node->n_in != 2) return v;
        const bool mul = ox_node_is(node, "Mul"), div = ox_node_is(node, "Div");
        const size_t at = mul && ox_lower_scalar(&f, lo, ox_node_in(node, 0)) ? 1 : 0;
        const struct ox_value *rest = ox_node_in(node, at);
        if ((!mul && !div) || !ox_lower_scalar(&f, lo, ox_node_in(node, 1 - at)) ||
            ox_lower_rank(rest) != ox_lower_rank(v) || !isnormal(f))
            return v;
        a->scale = div ? a->scale / (double)f : a->scale * (double)f;
        v = rest;
    }
    return v;
}

/* Q or V: as heads of rows, or as rows of heads with a Transpose between. */
static void take(struct attention *a, struct ox_lower *lo, const struct ox_value *v,
                 unsigned which) {
    static const int swap[] = {0, 2, 1, 3};
    const struct ox_node *t = turned(lo, v, swap, 4);
    a->in[which] = t ? ox_node_in(t, 0) : v;
    if (t) a->p.rows_first |= 1u << which;
}

/* K, which is wanted transposed. */
static bool take_keys(struct attention *a, struct ox_lower *lo, const struct ox_value *v) {
    static const int last[] = {0, 1, 3, 2}, both[] = {0, 2, 3, 1}, last3[] = {0, 2, 1};
    const int rank = ox_lower_rank(v);
    const struct ox_node *t = rank == 4 ? turned(lo, v, last, 4) : turned(lo, v, last3, 3);
    if (t) {
        v = unscaled(a, lo, ox_node_in(t, 0));
        if (!is_float(v, rank)) return false;
        take(a, lo, v, 1);
        return true;
    }
    t = turned(lo, v, both, 4);
    if (!t) return false;
    a->in[1] = ox_node_in(t, 0);
    a->p.rows_first |= 1u << 1;
    return true;
}

/* Every dim of the mask is 1 or that of the scores. */
static bool mask_fits(const struct ox_value *mask, const struct ox_value *scores) {
    const int rank = ox_lower_rank(scores), less = rank - ox_lower_rank(mask);
    if (ox_lower_dtype(mask) != OX_FLOAT || less < 0 || less >= rank) return false;
    for (int i = less; i < rank; i++)
        if (ox_lower_dim(mask, i - less) != 1 && !same_dim(mask, i - less, scores, i)) return false;
    return true;
}

/* What the softmax is of: a product, scaled, with a mask added. */
static bool look_scores(struct attention *a, struct ox_lower *lo, const struct ox_value *v) {
    const int rank = ox_lower_rank(v);
    const struct ox_node *add = ox_lower_maker(v, "Add"), *product;
    if (!ox_lower_sole(v)) return false;
    for (size_t i = 0; add && i < 2; i++) {
        const struct ox_value *rest = ox_node_in(add, i), *mask = ox_node_in(add, 1 - i);
        const struct ox_node *maker = rest->def;
        if (!is_float(rest, rank) || !mask_fits(mask, v) || !ox_lower_sole(rest) || !maker)
            continue;
        if (!ox_node_is(maker, "MatMul") && !ox_node_is(maker, "Mul") && !ox_node_is(maker, "Div"))
            continue;
        a->in[3] = mask;
        v = rest;
        break;
    }
    v = unscaled(a, lo, v);
    product = ox_lower_maker(v, "MatMul");
    if (!product || !ox_lower_sole(v) || !is_float(ox_node_in(product, 0), rank) ||
        !is_float(ox_node_in(product, 1), rank))
        return false;
    const struct ox_value *q = unscaled(a, lo, ox_node_in(product, 0)),
                          *k = unscaled(a, lo, ox_node_in(product, 1));
    if (!is_float(q, rank)) return false;
    take(a, lo, q, 0);
    return is_float(k, rank) && take_keys(a, lo, k);
}

/* Products broadcast, the step does not: batch and heads of the operands are known to be the same.
 */
static bool dims_agree(const struct attention *a, int rank) {
    const struct ox_value *q = a->in[0];
    for (int which = 1; which < 3; which++) {
        const struct ox_value *v = a->in[which];
        if (!is_float(v, rank)) return false;
        for (int i = 0; i < rank - 2; i++) {
            const int from = i == 1 && (a->p.rows_first & 1) ? 2 : i,
                      to = i == 1 && (a->p.rows_first >> which & 1) ? 2 : i;
            if (!same_dim(q, from, v, to)) return false;
        }
    }
    return true;
}

static bool look(struct attention *a, struct ox_lower *lo, const struct ox_node *product) {
    const struct ox_value *weights = ox_node_in(product, 0), *v = ox_node_in(product, 1);
    const struct ox_node *softmax = ox_lower_maker(weights, "Softmax");
    union ox_lower_room room;
    const struct ox_softmax_params *s = (const void *)room.bytes;
    const int rank = ox_lower_rank(weights);
    *a = (struct attention){.scale = 1};
    if (!softmax || !ox_lower_sole(weights) || (rank != 3 && rank != 4) ||
        ox_node_opset(softmax) < 13 || !ox_lower_decode(&room, lo, softmax))
        return false;
    if ((s->axis != -1 && s->axis != rank - 1) || !is_float(v, rank) ||
        !is_float(ox_node_in(softmax, 0), rank))
        return false;
    if (!look_scores(a, lo, ox_node_in(softmax, 0))) return false;
    take(a, lo, v, 2);
    a->p.scale = (float)a->scale;
    return isnormal(a->p.scale) && dims_agree(a, rank);
}

/* At the product with V, or at the Transpose behind it. */
ox_status ox_lower_attention(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    static const int swap[] = {0, 2, 1, 3};
    struct attention a;
    const struct ox_node *product = node;
    ox_operand in[4], out;
    if (ox_node_is(node, "Transpose")) {
        product = ox_lower_maker(ox_node_in(node, 0), "MatMul");
        if (!product || !ox_lower_sole(ox_node_in(node, 0)) || !turned(lo, node->out[0], swap, 4))
            return OX_OK;
    }
    if (!look(&a, lo, product)) return OX_OK;
    if (product != node) a.p.rows_first |= OX_STEP_ATTENTION_RESULT;
    for (size_t i = 0; i < 4; i++)
        OX_TRY(ox_lower_in(&in[i], lo, a.in[i], OX_FORM_PLAIN));
    OX_TRY(ox_lower_out(&out, lo, node->out[0], OX_FORM_PLAIN));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_ATTENTION, &a.p, 4, in, 1, &out);
}
