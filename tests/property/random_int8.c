/* tests/property/random_int8.c - makers of what quantized networks have: operators between
 * DequantizeLinear and QuantizeLinear. */
#include "tests/property/random_gen.h"

#include "passes/rules/consts.h"

#include <math.h>
#include <stdlib.h>

static struct ox_value *zero_point(struct rg *g, ox_dtype dtype, int64_t at) {
    ox_tensor *t;
    struct ox_value *v;
    if (ox_const_scalar(&t, g->m->ctx, dtype, (double)at) != OX_OK ||
        ox_graph_add_init(&v, g->g, NULL, t) != OX_OK)
        abort();
    return v;
}

/* Rounded to 8 bits and back: exact where x is, else off by a step where x is close to the middle
 * between two. */
static struct ox_value *rounded(struct rg *g, struct ox_value *x) {
    double scale = rg_chance(g, 0.7) ? 0.016 : rg_real(g, 0.01, 0.03);
    bool is_signed = rg_chance(g, 0.5), exact = rg_is_exact(g, x);
    struct ox_value *s = rg_scalar(g, scale),
                    *z = zero_point(g, is_signed ? OX_INT8 : OX_UINT8,
                                    is_signed ? rg_between(g, -20, 20) : rg_between(g, 100, 140));
    struct ox_value *q = rg_out(g, rg_node(g, "QuantizeLinear", x, s, z));
    struct ox_value *d = q ? rg_out(g, rg_node(g, "DequantizeLinear", q, s, z)) : NULL;
    if (d && !exact) rg_may_be_off(g, d, scale);
    return d;
}

/* int8 weights with a scale each channel, as float. */
static struct ox_value *weights(struct rg *g, int rank, const int64_t *dims, int axis) {
    size_t count = 1;
    ox_tensor *t;
    struct ox_value *v;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    double *q = malloc((count + 1) * sizeof *q), fan = (double)count / (double)dims[axis];
    if (!q) abort();
    for (size_t i = 0; i < count; i++)
        q[i] = (double)rg_between(g, -127, 127);
    if (ox_const_from_doubles(&t, g->m->ctx, OX_INT8, rank, dims, q) != OX_OK ||
        ox_graph_add_init(&v, g->g, NULL, t) != OX_OK)
        abort();
    free(q);
    double most = 1.5 / sqrt(fan) / 127; /* results are about as large as the data */
    bool each = rg_chance(g, 0.7);
    struct ox_value *s = each ? rg_const(g, 1, dims + axis, most / 2, most) : rg_scalar(g, most);
    struct ox_value *in[2] = {v, s};
    struct ox_node *n = rg_node_in(g, g->g, "DequantizeLinear", 1, 2, in);
    if (each) rg_set(n, "axis", axis);
    return rg_out(g, n);
}

static struct ox_value *finished(struct rg *g, struct ox_value *y) {
    if (y && rg_chance(g, 0.5)) y = rg_op(g, "Relu", y, NULL);
    return y ? rounded(g, y) : NULL;
}

static struct ox_value *conv(struct rg *g, struct ox_value *x) {
    if (rg_rank(x) != 4) return NULL;
    int64_t c = rg_dim(x, 1), k = rg_chance(g, 0.5) ? 1 : 3, group = rg_chance(g, 0.3) ? c : 1,
            outs = group > 1 ? c : rg_between(g, 1, 24), w[4] = {outs, c / group, k, k},
            pads[4] = {k / 2, k / 2, k / 2, k / 2},
            strides[2] = {rg_between(g, 1, 2), rg_between(g, 1, 2)};
    struct ox_value *d = rounded(g, x), *wf = d ? weights(g, 4, w, 0) : NULL;
    if (!wf) return NULL;
    struct ox_node *n =
        rg_node(g, "Conv", d, wf, rg_chance(g, 0.5) ? rg_const(g, 1, &outs, -0.5, 0.5) : NULL);
    rg_set_ints(n, "pads", pads, 4);
    rg_set_ints(n, "strides", strides, 2);
    rg_set(n, "group", group);
    return finished(g, rg_out(g, n));
}

static struct ox_value *product(struct rg *g, struct ox_value *x) {
    int r = rg_rank(x);
    if (r < 2 || rg_dim(x, r - 1) > 400) return NULL;
    int64_t w[2] = {rg_dim(x, r - 1), rg_between(g, 1, 30)};
    struct ox_value *d = rounded(g, x), *wf = d ? weights(g, 2, w, 1) : NULL;
    struct ox_value *y = wf ? rg_op(g, "MatMul", d, wf) : NULL;
    return rg_chance(g, 0.7) ? finished(g, y) : y;
}

static struct ox_value *joined(struct rg *g, struct ox_value *x) {
    static const char *const ops[] = {"Add", "Mul", "Sub"};
    struct ox_value *a = rounded(g, x),
                    *b = a ? rounded(g, rg_chance(g, 0.5) ? x : rg_pick(g)) : NULL;
    return b ? finished(g, rg_op(g, ops[rg_below(g, 3)], a, b)) : NULL;
}

static struct ox_value *mapped(struct rg *g, struct ox_value *x) {
    static const char *const ops[] = {"Sigmoid", "Tanh", "HardSwish", "LeakyRelu",
                                      "GlobalAveragePool"};
    struct ox_value *d = rounded(g, x);
    struct ox_value *y = d ? rg_op(g, ops[rg_below(g, 5)], d, NULL) : NULL;
    return y ? rounded(g, y) : NULL;
}

/* A product of rounded data and int8 weights, clamped or not; rounded again, or (products of
 * matrices) left as it is. */
static struct ox_value *windowed(struct rg *g, struct ox_value *x) {
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
        int64_t c = rg_dim(x, 1), group = 1, k = rg_chance(g, 0.4) ? 1 : rg_between(g, 2, 5),
                stride[2] = {rg_between(g, 1, 2), rg_between(g, 1, 2)}, pads[4];
        for (int64_t i = 2; i <= c; i++)
            if (c % i == 0 && rg_chance(g, i == c ? 0.25 : 0.1)) group = i;
        const int64_t outs = group * (group == c ? 1 : rg_between(g, 1, 1 + 40 / group)),
                      dims[] = {outs, c / group, k, k};
        for (int i = 0; i < 4; i++)
            pads[i] = rg_between(g, 0, k / 2);
        struct ox_node *conv = rg_node(g, "Conv", data, weights(g, 4, dims, 0),
                                       rg_chance(g, 0.5) ? rg_const(g, 1, &outs, -1, 1) : NULL);
        rg_set_ints(conv, "strides", stride, 2);
        rg_set_ints(conv, "pads", pads, 4);
        rg_set(conv, "group", group);
        y = rg_out(g, conv);
    }
    if (y && rg_chance(g, 0.4)) y = rg_op(g, "Relu", y, NULL);
    return y ? rounded(g, y) : NULL;
}

/* What elementwise operators make of one rounded value on two ways. */
static struct ox_value *gate(struct rg *g, struct ox_value *x) {
    struct ox_value *d = rounded(g, x),
                    *h = d ? rg_op(g, rg_chance(g, 0.5) ? "Sigmoid" : "Tanh", d, NULL) : NULL;
    h = h ? rounded(g, h) : NULL;
    struct ox_value *y = h ? rg_op(g, rg_chance(g, 0.7) ? "Mul" : "Add", d, h) : NULL;
    return y ? rounded(g, y) : NULL;
}

const rg_make_fn rg_int8_makers[] = {rounded,  conv,     conv,   conv,   product, product,
                                     windowed, windowed, joined, mapped, gate,    NULL};
