/* tests/property/random_graph.c - see random_graph.h. */
#include "tests/property/random_graph.h"

#include "passes/rules/consts.h"
#include "tests/golden/golden.h"

#include <stdio.h>
#include <stdlib.h>

struct gen {
    struct ox_model *m;
    struct ox_graph *g;
    uint64_t state;
    struct ox_value *values[400];
    size_t n;
};

static size_t below(struct gen *g, size_t n) {
    return (size_t)(golden_random(&g->state) * (double)n);
}

static struct ox_value *pick(struct gen *g) {
    size_t recent = g->n < 6 ? g->n : 6; /* mostly late ones, so that graphs are deep */
    return golden_random(&g->state) < 0.8 ? g->values[g->n - 1 - below(g, recent)]
                                          : g->values[below(g, g->n)];
}

static ox_status constant(struct ox_value **out, struct gen *g, int rank, const int64_t *dims,
                          double low, double high) {
    size_t count = 1;
    ox_tensor *t;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    double *v = malloc((count + 1) * sizeof *v);
    if (!v) abort();
    double one = golden_random(&g->state) < 0.2 ? low < 0.5 ? 0 : 1
                                                : 2; /* some constants are neutral elements */
    for (size_t i = 0; i < count; i++)
        v[i] = one < 2 ? one : low + golden_random(&g->state) * (high - low);
    ox_status s = ox_const_from_doubles(&t, g->m->ctx, OX_FLOAT, rank, dims, v);
    free(v);
    return s == OX_OK ? ox_graph_add_init(out, g->g, NULL, t) : s;
}

static ox_status ints(struct ox_value **out, struct gen *g, const int64_t *v, size_t n) {
    ox_tensor *t;
    OX_TRY(ox_const_ints(&t, g->m->ctx, v, n));
    return ox_graph_add_init(out, g->g, NULL, t);
}

static ox_status node(struct ox_node **out, struct gen *g, const char *op, size_t n_out,
                      struct ox_value *a, struct ox_value *b, struct ox_value *c) {
    ox_name type;
    OX_TRY(ox_model_name(&type, g->m, op, strlen(op)));
    OX_TRY(ox_node_new(out, g->g, NULL, NULL, type, c ? 3 : b ? 2 : 1, n_out));
    ox_use_set(&(*out)->in[0], a);
    if (b) ox_use_set(&(*out)->in[1], b);
    if (c) ox_use_set(&(*out)->in[2], c);
    return OX_OK;
}

static ox_status unary(struct ox_node **out, struct gen *g, struct ox_value *x) {
    static const char *const ops[] = {"Relu",  "Neg",         "Abs",       "Sigmoid",
                                      "Tanh",  "Identity",    "LeakyRelu", "Ceil",
                                      "Floor", "HardSigmoid", "Softplus",  "Flatten"};
    return node(out, g, ops[below(g, sizeof ops / sizeof ops[0])], 1, x, NULL, NULL);
}

static ox_status clip(struct ox_node **out, struct gen *g, struct ox_value *x) {
    struct ox_value *lo, *hi;
    OX_TRY(constant(&lo, g, 0, NULL, -2, 0.5));
    OX_TRY(constant(&hi, g, 0, NULL, 0, 6));
    return node(out, g, "Clip", 1, x, lo, hi);
}

/* With a constant (of one element, per channel or of the whole shape) or another value, in either
 * order. */
static ox_status binary(struct ox_node **out, struct gen *g, struct ox_value *x) {
    static const char *const ops[] = {"Add", "Mul", "Sub", "Div", "Max", "Min"};
    const char *op = ops[below(g, 6)];
    int64_t dims[OX_MAX_RANK];
    struct ox_value *c = pick(g);
    int rank = x->type->rank;
    size_t kind = below(g, 4);
    for (int i = 0; i < rank; i++)
        dims[i] = kind == 2 || (kind == 1 && i == 1) ? x->type->dims[i].k : 1;
    if (kind < 3 || strcmp(op, "Div") == 0)
        OX_TRY(constant(&c, g, kind == 0 ? 0 : rank, dims, 0.5, 2));
    bool back = below(g, 3) == 0 && strcmp(op, "Div") != 0;
    return node(out, g, op, 1, back ? c : x, back ? x : c, NULL);
}

static ox_status transpose(struct ox_node **out, struct gen *g, struct ox_value *x) {
    int64_t perm[OX_MAX_RANK];
    int rank = x->type->rank;
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    for (int i = rank - 1; i > 0; i--) {
        size_t j = below(g, (size_t)i + 1);
        int64_t t = perm[i];
        perm[i] = perm[j];
        perm[j] = t;
    }
    OX_TRY(node(out, g, "Transpose", 1, x, NULL, NULL));
    return ox_node_set_ints(*out, "perm", perm, (size_t)rank);
}

static ox_status reshape(struct ox_node **out, struct gen *g, struct ox_value *x) {
    int64_t spec[4], left = ox_type_count(x->type);
    struct ox_value *s;
    size_t n = 1 + below(g, 4);
    for (size_t i = 0; i + 1 < n; i++) {
        spec[i] = 1;
        for (int64_t f = 2; f <= 5; f++)
            if (left % f == 0 && below(g, 2)) spec[i] = f;
        left /= spec[i];
    }
    spec[n - 1] = below(g, 2) ? -1 : left;
    OX_TRY(ints(&s, g, spec, n));
    return node(out, g, "Reshape", 1, x, s, NULL);
}

static ox_status cut(struct ox_node **out, struct gen *g, struct ox_value *x) {
    size_t axis = below(g, (size_t)(x->type->rank ? x->type->rank : 1));
    int64_t dim = x->type->rank ? x->type->dims[axis].k : 1, at = (int64_t)axis, begin = 0,
            end = 1 + (int64_t)below(g, (size_t)dim);
    struct ox_value *b, *e, *a;
    OX_TRY(ints(&b, g, &begin, 1));
    OX_TRY(ints(&e, g, &end, 1));
    OX_TRY(ints(&a, g, &at, 1));
    OX_TRY(node(out, g, "Slice", 1, x, b, e));
    return ox_node_add_input(*out, a);
}

static ox_status conv(struct ox_node **out, struct gen *g, struct ox_value *x) {
    int64_t group = 1, channels = x->type->rank == 4 ? x->type->dims[1].k : 1,
            k = below(g, 2) ? 1 : 3, pads[4];
    bool transposed = below(g, 4) == 0;
    if (channels % 2 == 0 && below(g, 2)) group = 2;
    int64_t outs = group * (1 + (int64_t)below(g, 3)), w[4] = {outs, channels / group, k, k},
            wt[4] = {channels, outs / group, k, k};
    struct ox_value *weight, *bias = NULL;
    for (int i = 0; i < 4; i++)
        pads[i] = (int64_t)below(g, 2);
    OX_TRY(constant(&weight, g, 4, transposed ? wt : w, -1, 1));
    if (below(g, 2)) OX_TRY(constant(&bias, g, 1, &outs, -1, 1));
    OX_TRY(node(out, g, transposed ? "ConvTranspose" : "Conv", 1, x, weight, bias));
    OX_TRY(ox_node_set_ints(*out, "pads", pads, 4));
    return ox_node_set_int(*out, "group", group);
}

static ox_status batch_norm(struct ox_node **out, struct gen *g, struct ox_value *x) {
    int64_t n = x->type->rank > 1 ? x->type->dims[1].k : 1;
    struct ox_value *c[4];
    for (int i = 0; i < 4; i++)
        OX_TRY(constant(&c[i], g, 1, &n, i == 3 ? 0.5 : -1, 2));
    OX_TRY(node(out, g, "BatchNormalization", 1, x, c[0], c[1]));
    OX_TRY(ox_node_add_input(*out, c[2]));
    return ox_node_add_input(*out, c[3]);
}

static ox_status product(struct ox_node **out, struct gen *g, struct ox_value *x) {
    int rank = x->type->rank;
    int64_t k = rank ? x->type->dims[rank - 1].k : 1, n = 1 + (int64_t)below(g, 5), w[2] = {k, n},
            wt[2] = {n, k};
    struct ox_value *c, *b;
    if (rank == 2 && below(g, 2)) {
        OX_TRY(constant(&c, g, 2, wt, -1, 1));
        OX_TRY(constant(&b, g, 1, &n, -1, 1));
        OX_TRY(node(out, g, "Gemm", 1, x, c, b));
        return ox_node_set_int(*out, "transB", 1);
    }
    OX_TRY(constant(&c, g, 2, w, -1, 1));
    return node(out, g, "MatMul", 1, x, c, NULL);
}

static ox_status other(struct ox_node **out, struct gen *g, struct ox_value *x) {
    int64_t pads[8] = {0, 0, 1, 0, 0, 0, 1, 2}, kernel[2] = {2, 2};
    struct ox_value *p;
    switch (below(g, 5)) {
    case 0:
        OX_TRY(ints(&p, g, pads, 8));
        return node(out, g, "Pad", 1, x, p, NULL);
    case 1:
        OX_TRY(node(out, g, below(g, 2) ? "MaxPool" : "AveragePool", 1, x, NULL, NULL));
        return ox_node_set_ints(*out, "kernel_shape", kernel, 2);
    case 2:
        OX_TRY(node(out, g, "Concat", 1, x, pick(g), NULL));
        return ox_node_set_int(*out, "axis", 1);
    case 3:
        return node(out, g, "Softmax", 1, x, NULL, NULL);
    default:
        OX_TRY(node(out, g, "ReduceMax", 1, x, NULL, NULL));
        OX_TRY(ox_node_set_ints(*out, "axes", (int64_t[]){-1}, 1));
        return ox_node_set_int(*out, "keepdims", (int64_t)below(g, 2));
    }
}

static ox_status grow(struct gen *g) {
    typedef ox_status (*make_fn)(struct ox_node * *out, struct gen * g, struct ox_value * x);
    static const make_fn makes[] = {unary,  unary,      clip,      binary,  binary,
                                    binary, transpose,  transpose, reshape, cut,
                                    conv,   batch_norm, product,   other};
    struct ox_node *n;
    OX_TRY(makes[below(g, sizeof makes / sizeof makes[0])](&n, g, pick(g)));
    ox_mute(g->m->ctx, true);
    ox_status s = ox_node_infer(n);
    ox_mute(g->m->ctx, false);
    int64_t count = s == OX_OK ? ox_type_count(n->out[0]->type) : -1;
    if (count <= 0 || count > 2000 || n->out[0]->type->rank > 5) {
        ox_node_remove(n);
        return s == OX_NOMEM ? s : OX_OK;
    }
    g->values[g->n++] = n->out[0];
    return OX_OK;
}

static ox_status build(struct gen *g, size_t nodes) {
    static const int64_t shapes[][4] = {{1, 4, 6, 6}, {2, 2, 5, 4}, {1, 6, 4, 4}};
    ox_name name;
    const struct ox_type *type;
    ox_dim dims[4];
    for (int i = 0; i < 4; i++)
        dims[i] = ox_dim_const(shapes[g->state % 3][i]);
    OX_TRY(ox_model_name(&name, g->m, "x", 1));
    OX_TRY(ox_type_tensor(&type, &g->m->arena, OX_FLOAT, 4, dims));
    OX_TRY(ox_graph_add_input(&g->values[g->n++], g->g, name, type));
    for (size_t i = 0; i < nodes * 3 && g->n <= nodes && g->n < 400; i++)
        OX_TRY(grow(g));
    for (size_t i = 0, k = 0; i < g->n; i++) {
        char text[20];
        if (g->values[i]->n_uses > 0) continue;
        snprintf(text, sizeof text, "out%zu", k++);
        OX_TRY(ox_model_name(&name, g->m, text, strlen(text)));
        OX_TRY(ox_graph_add_output(g->g, g->values[i], name, g->values[i]->type));
    }
    for (size_t i = 0; i < g->g->n_inits; i++)
        if (g->g->inits[i] && g->g->inits[i]->n_uses == 0) ox_value_remove_init(g->g->inits[i]);
    return OX_OK;
}

ox_status random_graph(struct ox_model **out, ox_ctx *ctx, uint64_t seed, size_t nodes,
                       int64_t opset) {
    struct gen g = {.state = seed};
    OX_TRY(ox_model_new(&g.m, ctx));
    g.g = g.m->graph;
    g.m->ir_version = 8;
    ox_status s = ox_model_set_opset(g.m, NULL, opset);
    if (s == OX_OK) s = ox_model_name(&g.g->name, g.m, "main", 4);
    if (s == OX_OK) s = build(&g, nodes);
    if (s == OX_OK)
        *out = g.m;
    else
        ox_model_free(g.m);
    return s;
}
