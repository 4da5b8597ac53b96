/* tests/property/random_blocks.c - makers of what networks are built from: several nodes that
 * compilers fuse, recurrence, attention, control flow. */
#include "tests/property/random_gen.h"

#include <math.h>

static struct ox_value *conv(struct rg *g, struct ox_value *x, int64_t outs, int64_t k,
                             int64_t group) {
    int64_t w[4] = {outs, rg_dim(x, 1) / group, k, k}, pads[4] = {k / 2, k / 2, k / 2, k / 2};
    struct ox_node *n = rg_node(g, "Conv", x, rg_const(g, 4, w, -0.5, 0.5),
                                rg_chance(g, 0.5) ? rg_const(g, 1, &outs, -1, 1) : NULL);
    rg_set_ints(n, "pads", pads, 4);
    rg_set(n, "group", group);
    return rg_out(g, n);
}

static struct ox_value *batch_norm(struct rg *g, struct ox_value *x) {
    int64_t c = rg_dim(x, 1);
    struct ox_value *in[5] = {x, rg_const(g, 1, &c, 0.5, 1.5), rg_const(g, 1, &c, -0.5, 0.5),
                              rg_const(g, 1, &c, -0.5, 0.5), rg_const(g, 1, &c, 0.3, 2)};
    return rg_out(g, rg_node_in(g, g->g, "BatchNormalization", 1, 5, in));
}

static struct ox_value *activation(struct rg *g, struct ox_value *x) {
    struct ox_value *half = rg_scalar(g, 0.5), *one = rg_scalar(g, 1), *s;
    switch (rg_below(g, 6)) {
    case 0:
        return rg_op(g, "Relu", x, NULL);
    case 1:
        return rg_out(g, rg_node(g, "Clip", x, rg_scalar(g, 0), rg_scalar(g, 6)));
    case 2: /* x * sigmoid(x) */
        s = rg_op(g, "Sigmoid", x, NULL);
        return rg_op(g, "Mul", x, s);
    case 3: /* x * clip(x + 3, 0, 6) / 6 */
        s = rg_op(g, "Add", x, rg_scalar(g, 3));
        s = s ? rg_out(g, rg_node(g, "Clip", s, rg_scalar(g, 0), rg_scalar(g, 6))) : NULL;
        s = s ? rg_op(g, "Mul", x, s) : NULL;
        return s ? rg_op(g, "Div", s, rg_scalar(g, 6)) : NULL;
    case 4: /* x * (erf(x / sqrt 2) + 1) / 2 */
        s = rg_op(g, "Div", x, rg_scalar(g, 1.4142135623730951));
        s = s ? rg_op(g, "Erf", s, NULL) : NULL;
        s = s ? rg_op(g, "Add", s, one) : NULL;
        s = s ? rg_op(g, "Mul", x, s) : NULL;
        return s ? rg_op(g, "Mul", s, half) : NULL;
    default:
        return rg_op(g, "LeakyRelu", x, NULL);
    }
}

static struct ox_value *conv_block(struct rg *g, struct ox_value *x) {
    if (rg_rank(x) != 4) return NULL;
    int64_t c = rg_dim(x, 1), group = rg_chance(g, 0.3) ? c : 1;
    struct ox_value *y =
        conv(g, x, group > 1 ? c : rg_between(g, 1, 33), rg_chance(g, 0.5) ? 3 : 1, group);
    if (y && rg_chance(g, 0.5)) y = batch_norm(g, y);
    return y ? activation(g, y) : NULL;
}

static struct ox_value *residual(struct rg *g, struct ox_value *x) {
    if (rg_rank(x) != 4) return NULL;
    struct ox_value *y = conv_block(g, x);
    y = y ? conv(g, y, rg_dim(x, 1), rg_chance(g, 0.5) ? 1 : 3, 1) : NULL;
    if (!y) return NULL;
    y = rg_chance(g, 0.5) ? rg_op(g, "Add", x, y) : rg_op(g, "Add", y, x);
    return y && rg_chance(g, 0.7) ? rg_op(g, "Relu", y, NULL) : y;
}

static struct ox_value *squeeze_excite(struct rg *g, struct ox_value *x) {
    if (rg_rank(x) != 4) return NULL;
    int64_t c = rg_dim(x, 1);
    struct ox_value *s = rg_op(g, "GlobalAveragePool", x, NULL);
    s = s ? conv(g, s, rg_between(g, 1, 9), 1, 1) : NULL;
    s = s ? rg_op(g, "Relu", s, NULL) : NULL;
    s = s ? conv(g, s, c, 1, 1) : NULL;
    s = s ? rg_op(g, rg_chance(g, 0.5) ? "Sigmoid" : "HardSigmoid", s, NULL) : NULL;
    return s ? rg_op(g, "Mul", x, s) : NULL;
}

/* (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + shift, as exporters write it */
static struct ox_value *layer_norm(struct rg *g, struct ox_value *x) {
    int64_t last = -1, n = rg_rank(x) > 0 ? rg_dim(x, rg_rank(x) - 1) : 0;
    struct ox_value *mean[2], *d = x, *s, *axes = g->opset >= 18 ? rg_ints(g, &last, 1) : NULL;
    if (n < 2) return NULL;
    for (int i = 0; i < 2; i++) {
        struct ox_value *of = i ? rg_op(g, "Mul", d, d) : x;
        struct ox_node *node = of ? rg_node(g, "ReduceMean", of, axes, NULL) : NULL;
        if (node && !axes) rg_set_ints(node, "axes", &last, 1);
        mean[i] = rg_out(g, node);
        if (!mean[i]) return NULL;
        if (i == 0) d = rg_op(g, "Sub", x, mean[0]);
        if (!d) return NULL;
    }
    s = rg_op(g, "Add", mean[1], rg_scalar(g, 0.01));
    s = s ? rg_op(g, "Sqrt", s, NULL) : NULL;
    s = s ? rg_op(g, "Div", d, s) : NULL;
    s = s ? rg_op(g, "Mul", s, rg_const(g, 1, &n, 0.5, 1.5)) : NULL;
    return s ? rg_op(g, "Add", s, rg_const(g, 1, &n, -0.5, 0.5)) : NULL;
}

/* ---- sequences ---------------------------------------------------------------------------------
 */

/* As [batch, length, width], whatever it was. */
static struct ox_value *as_rows(struct rg *g, struct ox_value *x) {
    int64_t count = ox_type_count(x->type), width = 1, length = 1;
    for (int64_t f = 2; f <= 24; f++)
        if (count % f == 0 && rg_chance(g, 0.5)) width = f;
    for (int64_t f = 2; f <= 7; f++)
        if (count / width % f == 0 && rg_chance(g, 0.6)) length = f;
    int64_t spec[3] = {-1, length, width};
    if (count / width / length > 6) return NULL;
    return rg_op(g, "Reshape", x, rg_ints(g, spec, 3));
}

static struct ox_value *heads(struct rg *g, struct ox_value *x, int64_t n_heads, int64_t size,
                              const int64_t *perm) {
    int64_t w[2] = {rg_dim(x, 2), n_heads * size},
            spec[4] = {rg_dim(x, 0), rg_dim(x, 1), n_heads, size};
    struct ox_value *y = rg_op(g, "MatMul", x, rg_const(g, 2, w, -0.4, 0.4));
    y = y ? rg_op(g, "Add", y, rg_const(g, 1, w + 1, -0.5, 0.5)) : NULL;
    y = y ? rg_op(g, "Reshape", y, rg_ints(g, spec, 4)) : NULL;
    if (!y) return NULL;
    struct ox_node *n = rg_node(g, "Transpose", y, NULL, NULL);
    rg_set_ints(n, "perm", perm, 4);
    return rg_out(g, n);
}

static struct ox_value *attention(struct rg *g, struct ox_value *x) {
    static const int64_t front[4] = {0, 2, 1, 3}, back[4] = {0, 2, 3, 1};
    x = as_rows(g, x);
    if (!x) return NULL;
    int64_t n_heads = rg_between(g, 1, 3), size = rg_between(g, 1, 8),
            spec[3] = {rg_dim(x, 0), rg_dim(x, 1), n_heads * size};
    struct ox_value *q = heads(g, x, n_heads, size, front), *k = heads(g, x, n_heads, size, back),
                    *v = heads(g, x, n_heads, size, front);
    if (!q || !k || !v) return NULL;
    struct ox_value *s = rg_op(g, "MatMul", q, k);
    s = s ? rg_chance(g, 0.5) ? rg_op(g, "Mul", s, rg_scalar(g, 1 / sqrt((double)size)))
                              : rg_op(g, "Div", s, rg_scalar(g, sqrt((double)size)))
          : NULL;
    if (s && rg_chance(g, 0.3))
        s = rg_op(g, "Add", s, rg_const(g, 2, (int64_t[]){rg_dim(x, 1), rg_dim(x, 1)}, -3, 0));
    if (!s) return NULL;
    struct ox_node *n = rg_node(g, "Softmax", s, NULL, NULL);
    rg_set(n, "axis", rg_chance(g, 0.5) ? -1 : 3);
    s = rg_out(g, n);
    s = s ? rg_op(g, "MatMul", s, v) : NULL;
    if (!s) return NULL;
    n = rg_node(g, "Transpose", s, NULL, NULL);
    rg_set_ints(n, "perm", front, 4);
    s = rg_out(g, n);
    return s ? rg_op(g, "Reshape", s, rg_ints(g, spec, 3)) : NULL;
}

static struct ox_value *recurrent(struct rg *g, struct ox_value *x) {
    static const struct {
        const char *op;
        int64_t gates;
    } kinds[] = {{"LSTM", 4}, {"GRU", 3}, {"RNN", 1}};
    size_t kind = rg_below(g, 3);
    x = as_rows(g, x); /* [length, batch, width] to the operator */
    if (!x) return NULL;
    int64_t dirs = rg_chance(g, 0.4) ? 2 : 1, hidden = rg_between(g, 1, 18),
            rows = kinds[kind].gates * hidden, w[3] = {dirs, rows, rg_dim(x, 2)},
            r[3] = {dirs, rows, hidden}, b[2] = {dirs, 2 * rows},
            first[3] = {dirs, rg_dim(x, 1), hidden};
    struct ox_value *in[6] = {x,
                              rg_const(g, 3, w, -0.5, 0.5),
                              rg_const(g, 3, r, -0.5, 0.5),
                              rg_chance(g, 0.8) ? rg_const(g, 2, b, -0.5, 0.5) : NULL,
                              NULL,
                              NULL};
    if (rg_chance(g, 0.4)) in[5] = rg_const(g, 3, first, -1, 1);
    struct ox_node *n = rg_node_in(g, g->g, kinds[kind].op, 2, in[5] ? 6 : in[3] ? 4 : 3, in);
    rg_set(n, "hidden_size", hidden);
    if (dirs == 2)
        rg_set_text(n, "direction", "bidirectional");
    else if (rg_chance(g, 0.3))
        rg_set_text(n, "direction", "reverse");
    if (kind == 1 && rg_chance(g, 0.5)) rg_set(n, "linear_before_reset", 1);
    return rg_out(g, n);
}

/* ---- control flow ------------------------------------------------------------------------------
 */

static struct ox_graph *body(struct rg *g, struct ox_node *owner, const char *attr) {
    struct ox_graph *graph;
    struct ox_attr *a;
    ox_name name;
    if (ox_model_name(&name, g->m, attr, strlen(attr)) != OX_OK ||
        ox_graph_new(&graph, g->m, owner) != OX_OK || ox_node_add_attr(&a, owner, name) != OX_OK)
        return NULL;
    graph->name = name;
    a->type = OX_ATTR_GRAPH;
    a->v.g = graph;
    a->count = 1;
    return graph;
}

static void gives(struct rg *g, struct ox_graph *graph, struct ox_value *v, const char *text) {
    ox_name name;
    static const struct ox_type unknown = {.kind = OX_TYPE_UNKNOWN};
    if (ox_model_name(&name, g->m, text, strlen(text)) == OX_OK)
        (void)ox_as_given(ox_graph_add_output(graph, v, name, &unknown), OX_OK);
}

/* One node on x in the graph of a body. */
static struct ox_value *inside(struct rg *g, struct ox_graph *graph, struct ox_value *x) {
    static const char *const ops[] = {"Tanh", "Relu", "Sigmoid", "Mul", "Add"};
    size_t i = rg_below(g, 5);
    struct ox_value *in[2] = {x, i > 2 ? rg_scalar(g, 0.5) : NULL};
    struct ox_node *n = rg_node_in(g, graph, ops[i], 1, i > 2 ? 2 : 1, in);
    return ox_node_infer(n) == OX_OK ? n->out[0] : NULL;
}

static struct ox_value *branch(struct rg *g, struct ox_value *x) {
    struct ox_value *first = g->values[0].v, *most;
    most = g->opset >= 18 || !rg_chance(g, 0.5) ? rg_op(g, "ReduceMax", first, NULL)
                                                : rg_op(g, "ReduceMin", first, NULL);
    int64_t one = 1;
    most = most ? rg_op(g, "Reshape", most, rg_ints(g, &one, 1)) : NULL;
    struct ox_value *c = most ? rg_op(g, "Less", most, rg_scalar(g, rg_real(g, -2, 2))) : NULL;
    if (!c) return NULL;
    struct ox_node *n = rg_node(g, "If", c, NULL, NULL);
    const char *const attrs[] = {"then_branch", "else_branch"};
    for (int i = 0; i < 2; i++) {
        struct ox_graph *graph = body(g, n, attrs[i]);
        struct ox_value *v = graph ? inside(g, graph, x) : NULL;
        if (!v) return NULL;
        gives(g, graph, v, "result");
    }
    return rg_out(g, n);
}

const rg_make_fn rg_block_makers[] = {conv_block, conv_block, residual,  residual, squeeze_excite,
                                      layer_norm, attention,  recurrent, branch,   NULL};
