/* passes/fuse/affine.c - see affine.h. */
#include "passes/fuse/affine.h"

#include "ir/ops/params.h"
#include "passes/rules/consts.h"

#include <math.h>

void ox_affine_free(struct ox_affine *a) {
    ox_free(a->ctx, a->scale);
    ox_free(a->ctx, a->shift);
    a->scale = a->shift = NULL;
}

bool ox_affine_may_copy(const struct ox_value *weight) {
    enum { SMALL = 4096 }; /* bytes */
    const ox_tensor *t = ox_value_const(weight);
    return weight->n_uses == 1 || (t && t->size <= SMALL);
}

/* y = (x - mean) / sqrt(var + epsilon) * scale + shift */
static ox_status batch_norm(bool *fits, struct ox_affine *a, struct ox_match *m,
                            const struct ox_node *node) {
    struct ox_batch_norm_params p;
    const ox_tensor *c[4];
    *fits = false;
    OX_TRY(ox_match_params(&p, sizeof p, m, node));
    if (p.training) return ox_match_refuse(m, "BatchNormalization is in training mode");
    if (!p.spatial) return ox_match_refuse(m, "BatchNormalization is not per channel");
    for (size_t i = 0; i < 4; i++) {
        c[i] = ox_value_const(ox_node_in(node, i + 1));
        if (!c[i] || c[i]->count != a->n || !ox_const_readable(c[i]->dtype))
            return ox_match_refuse(
                m, "operand %zu of BatchNormalization is not a constant per channel", i + 1);
    }
    for (size_t i = 0; i < a->n; i++) {
        double k = ox_const_at(c[0], i) / sqrt(ox_const_at(c[3], i) + (double)p.epsilon);
        a->scale[i] = k;
        a->shift[i] = ox_const_at(c[1], i) - ox_const_at(c[2], i) * k;
    }
    *fits = true;
    return OX_OK;
}

enum kind { MUL, DIV, ADD, SUB, RSUB };

static void fill(struct ox_affine *a, enum kind kind, const double *c) {
    for (size_t i = 0; i < a->n; i++) {
        a->scale[i] = kind == MUL ? c[i] : kind == DIV ? 1 / c[i] : kind == RSUB ? -1 : 1;
        a->shift[i] = kind == ADD || kind == RSUB ? c[i] : kind == SUB ? -c[i] : 0;
    }
}

static ox_status binary(bool *fits, struct ox_affine *a, struct ox_match *m,
                        const struct ox_node *node, const struct ox_value *data, int rank,
                        int axis) {
    size_t at = node->in[0].value == data ? 0 : 1;
    const ox_tensor *t = ox_value_const(node->in[1 - at].value);
    enum kind kind;
    double *c;
    *fits = false;
    if (ox_node_is(node, "Mul"))
        kind = MUL;
    else if (ox_node_is(node, "Add"))
        kind = ADD;
    else if (ox_node_is(node, "Sub"))
        kind = at == 0 ? SUB : RSUB;
    else if (ox_node_is(node, "Div") && at == 0)
        kind = DIV;
    else
        return ox_match_refuse(m, "%s is not affine here", node->type->text);
    if (!t) return ox_match_refuse(m, "the other operand of %s is not constant", node->type->text);
    OX_TRY(ox_const_per_channel(fits, &c, a->ctx, t, rank, axis, a->n));
    if (!*fits)
        return ox_match_refuse(m, "the constant of %s is not one number a channel",
                               node->type->text);
    fill(a, kind, c);
    ox_free(a->ctx, c);
    return OX_OK;
}

static ox_status read_node(bool *fits, struct ox_affine *a, struct ox_match *m,
                           const struct ox_node *node, const struct ox_value *data, int rank,
                           int axis) {
    if (axis < 0) axis += rank;
    if (ox_node_is(node, "BatchNormalization")) {
        if (axis == 1) return batch_norm(fits, a, m, node);
        *fits = false;
        return ox_match_refuse(m, "BatchNormalization works on another axis");
    }
    return binary(fits, a, m, node, data, rank, axis);
}

ox_status ox_affine_of(bool *fits, struct ox_affine *out, struct ox_match *m,
                       const struct ox_node *node, const struct ox_value *data, int rank, int axis,
                       size_t n) {
    struct ox_affine a = {.ctx = ox_match_run(m)->ctx, .n = n};
    *fits = false;
    ox_status s = ox_alloc(a.ctx, &a.scale, n, sizeof *a.scale);
    if (s == OX_OK) s = ox_alloc(a.ctx, &a.shift, n, sizeof *a.shift);
    if (s == OX_OK) s = read_node(fits, &a, m, node, data, rank, axis);
    for (size_t i = 0; i < n && s == OX_OK && *fits; i++) {
        if (a.shift[i] != 0) a.shifts = true;
        if (isfinite(a.scale[i]) && isfinite(a.shift[i])) continue;
        *fits = false;
        s = ox_match_refuse(m, "a factor is not finite");
    }
    if (s == OX_OK && *fits)
        *out = a;
    else
        ox_affine_free(&a);
    return s;
}

ox_status ox_affine_make(struct ox_match *m, const char *name, ox_tensor *weight,
                         const struct ox_value *like) {
    if (ox_const_finite(weight)) return ox_match_make(m, name, weight, like);
    ox_tensor_unref(weight);
    return ox_match_refuse(m, "a weight would not be finite");
}

ox_status ox_affine_bias(ox_tensor **out, const struct ox_affine *a, ox_dtype dtype,
                         const ox_tensor *bias) {
    double *v;
    int64_t dims[1] = {(int64_t)a->n};
    OX_TRY(ox_alloc(a->ctx, &v, a->n, sizeof *v));
    for (size_t i = 0; i < a->n; i++)
        v[i] = (bias ? ox_const_at(bias, i) * a->scale[i] : 0) + a->shift[i];
    ox_status s = ox_const_from_doubles(out, a->ctx, dtype, 1, dims, v);
    ox_free(a->ctx, v);
    return s;
}
