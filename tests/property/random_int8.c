/* tests/property/random_int8.c - makers of what quantized networks have: operators between DequantizeLinear and QuantizeLinear. */
#include "tests/property/random_gen.h"

#include "passes/rules/consts.h"

#include <stdlib.h>

static struct ox_value *zero_point(struct rg *g, ox_dtype dtype, int64_t at)
{
    ox_tensor *t;
    struct ox_value *v;
    if (ox_const_scalar(&t, g->m->ctx, dtype, (double)at) != OX_OK || ox_graph_add_init(&v, g->g, NULL, t) != OX_OK) abort();
    return v;
}

/* Rounded to 8 bits and back: exact where x is, else off by a step where x is close to the middle between two. */
static struct ox_value *rounded(struct rg *g, struct ox_value *x)
{
    double scale = rg_real(g, 0.005, 0.05);
    bool is_signed = rg_chance(g, 0.5), exact = rg_is_exact(g, x);
    struct ox_value *s = rg_scalar(g, scale), *z = zero_point(g, is_signed ? OX_INT8 : OX_UINT8, is_signed ? rg_between(g, -20, 20) : rg_between(g, 100, 140));
    struct ox_value *q = rg_out(g, rg_node(g, "QuantizeLinear", x, s, z));
    struct ox_value *d = q ? rg_out(g, rg_node(g, "DequantizeLinear", q, s, z)) : NULL;
    if (d && !exact) rg_may_be_off(g, d, scale);
    return d;
}

/* An int8 constant and its DequantizeLinear, by one scale or one each entry of `axis`. */
static struct ox_value *weights(struct rg *g, int rank, const int64_t *dims, int axis)
{
    const int64_t n = dims[axis];
    const bool many = rg_chance(g, 0.7);
    ox_tensor *t;
    int8_t *data;
    struct ox_value *w;
    if (ox_tensor_new(&t, (void **)&data, g->m->ctx, OX_INT8, rank, dims) != OX_OK) abort();
    for (size_t i = 0; i < t->count; i++) data[i] = (int8_t)rg_between(g, -127, 127);
    if (ox_graph_add_init(&w, g->g, NULL, t) != OX_OK) abort();
    struct ox_value *scale = many ? rg_const(g, 1, &n, 0.0002, 0.002) : rg_scalar(g, rg_real(g, 0.0002, 0.002));
    struct ox_node *d = rg_node(g, "DequantizeLinear", w, scale, NULL);
    rg_set(d, "axis", axis);
    return rg_out(g, d);
}

/* A product of rounded data and int8 weights, clamped or not; rounded again, or (products of matrices) left as it is. */
static struct ox_value *product(struct rg *g, struct ox_value *x)
{
    const int rank = rg_rank(x);
    struct ox_value *data, *y;
    if (rank != 2 && rank != 4) return NULL;
    data = rounded(g, x);
    if (!data) return NULL;
    if (rank == 2) {
        const int64_t dims[] = {rg_dim(x, 1), rg_between(g, 1, 70)};
        y = rg_op(g, "MatMul", data, weights(g, 2, dims, 1));
        if (y && rg_chance(g, 0.3)) return y;
    } else {
        int64_t c = rg_dim(x, 1), group = 1, k = rg_chance(g, 0.4) ? 1 : rg_between(g, 2, 5), stride[2] = {rg_between(g, 1, 2), rg_between(g, 1, 2)}, pads[4];
        for (int64_t i = 2; i <= c; i++)
            if (c % i == 0 && rg_chance(g, i == c ? 0.25 : 0.1)) group = i;
        const int64_t outs = group * (group == c ? 1 : rg_between(g, 1, 1 + 40 / group)), dims[] = {outs, c / group, k, k};
        for (int i = 0; i < 4; i++) pads[i] = rg_between(g, 0, k / 2);
        struct ox_node *conv = rg_node(g, "Conv", data, weights(g, 4, dims, 0), rg_chance(g, 0.5) ? rg_const(g, 1, &outs, -1, 1) : NULL);
        rg_set_ints(conv, "strides", stride, 2);
        rg_set_ints(conv, "pads", pads, 4);
        rg_set(conv, "group", group);
        y = rg_out(g, conv);
    }
    if (y && rg_chance(g, 0.4)) y = rg_op(g, "Relu", y, NULL);
    return y ? rounded(g, y) : NULL;
}

/* What elementwise operators make of one rounded value on two ways. */
static struct ox_value *gate(struct rg *g, struct ox_value *x)
{
    struct ox_value *d = rounded(g, x), *h = d ? rg_op(g, rg_chance(g, 0.5) ? "Sigmoid" : "Tanh", d, NULL) : NULL;
    h = h ? rounded(g, h) : NULL;
    struct ox_value *y = h ? rg_op(g, rg_chance(g, 0.7) ? "Mul" : "Add", d, h) : NULL;
    return y ? rounded(g, y) : NULL;
}

const rg_make_fn rg_int8_makers[] = {rounded, product, product, product, gate, NULL};
