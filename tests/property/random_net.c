/* tests/property/random_net.c - see random_net.h: a network as a whole, and its bounds. */
#include "tests/property/random_net.h"

#include "passes/rules/consts.h"
#include "tests/golden/golden.h"
#include "tests/property/random_gen.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void must(ox_status s) {
    if (s != OX_OK) abort();
}

/* ---- growing -----------------------------------------------------------------------------------
 */

static size_t count_makers(const rg_make_fn *makers) {
    size_t n = 0;
    while (makers[n])
        n++;
    return n;
}

/* Every output of the node that made the value is a value to go on from. */
static void keep(struct rg *g, struct ox_value *v) {
    for (size_t i = 0; v->def && i < v->def->n_out; i++) {
        struct ox_value *o = v->def->out[i];
        bool known = false;
        for (size_t k = 0; k < g->n && !known; k++)
            known = g->values[k].v == o;
        if (known || g->n == RG_VALUES || o->type->dtype != OX_FLOAT) continue;
        bool exact = rg_is_exact(g, o);
        g->values[g->n++] = (struct rg_value){.v = o, .exact = exact};
    }
}

static void grow(struct rg *g, enum rg_kind kind) {
    const rg_make_fn *makers = rg_chance(g, kind == RG_FLOAT ? 0.3 : 0.7)
                                   ? (kind == RG_FLOAT ? rg_block_makers : rg_int8_makers)
                                   : rg_float_makers;
    struct ox_value *v = makers[rg_below(g, count_makers(makers))](g, rg_pick(g));
    if (v) keep(g, v);
}

static void sweep(struct ox_graph *graph) {
    for (struct ox_node *n = graph->ret->prev, *before; n; n = before) {
        bool used = false;
        before = n->prev;
        for (size_t i = 0; i < n->n_out; i++)
            used = used || n->out[i]->n_uses > 0;
        if (!used) ox_node_remove(n);
    }
    for (size_t i = 0; i < graph->n_inits; i++)
        if (graph->inits[i] && graph->inits[i]->n_uses == 0) ox_value_remove_init(graph->inits[i]);
}

static void add_input(struct rg *g, const char *text, int rank, const int64_t *dims) {
    ox_name name;
    const struct ox_type *type;
    ox_dim d[6];
    for (int i = 0; i < rank; i++)
        d[i] = ox_dim_const(dims[i]);
    must(ox_model_name(&name, g->m, text, strlen(text)));
    must(ox_type_tensor(&type, &g->m->arena, OX_FLOAT, rank, d));
    must(ox_graph_add_input(&g->values[g->n].v, g->g, name, type));
    g->values[g->n++].exact = true;
}

static void add_outputs(struct rg *g) {
    for (size_t i = 0, k = 0; i < g->n; i++) {
        char text[20];
        ox_name name;
        struct ox_value *v = g->values[i].v;
        if (v->n_uses > 0) continue;
        snprintf(text, sizeof text, "out%zu", k++);
        must(ox_model_name(&name, g->m, text, strlen(text)));
        must(ox_graph_add_output(g->g, v, name, v->type));
    }
}

/* The graph with dims that are numbers. */
static void make(struct rg *g, ox_ctx *ctx, enum rg_kind kind, uint64_t seed) {
    static const int64_t opsets[] = {13, 17, 18, 20, 21};
    *g = (struct rg){.state = seed * 2 + (kind == RG_INT8)};
    must(ox_model_new(&g->m, ctx));
    g->g = g->m->graph;
    g->m->ir_version = 9;
    g->opset = opsets[rg_below(g, sizeof opsets / sizeof *opsets)];
    must(ox_model_set_opset(g->m, NULL, g->opset));
    must(ox_model_name(&g->g->name, g->m, "main", 4));
    const int64_t image[] = {rg_between(g, 1, 2), rg_between(g, 1, 19), rg_between(g, 1, 11),
                             rg_between(g, 1, 11)};
    const int64_t rows[] = {rg_between(g, 1, 2), rg_between(g, 1, 7), rg_between(g, 1, 33)};
    if (rg_chance(g, 0.7)) add_input(g, "image", 4, image);
    if (g->n == 0 || rg_chance(g, 0.3)) add_input(g, "rows", 3, rows);
    size_t nodes = 2 + rg_below(g, 14);
    for (size_t i = 0; i < nodes * 2 && g->n <= nodes && g->n + 8 < RG_VALUES; i++)
        grow(g, kind);
    if (ox_graph_begin(g->g)) return;
    struct ox_node *n =
        rg_node(g, "Relu", g->values[0].v, NULL, NULL); /* nothing went, or all was too large */
    must(ox_node_infer(n));
    keep(g, n->out[0]);
}

static void make_whole(struct rg *g, ox_ctx *ctx, enum rg_kind kind, uint64_t seed) {
    make(g, ctx, kind, seed);
    add_outputs(g);
    sweep(g->g);
}

/* ---- unknown dims ------------------------------------------------------------------------------
 */

static void forget_dims(struct rg *g) {
    static const struct ox_type unknown = {.kind = OX_TYPE_UNKNOWN};
    static const char *const names[] = {"n", "c", "h", "w"};
    for (size_t i = 0; i < g->g->n_inputs; i++) {
        struct ox_value *v = g->g->inputs[i];
        const struct ox_type *type;
        ox_name name;
        ox_dim d[6];
        for (int k = 0; k < rg_rank(v); k++) {
            char text[32];
            d[k] = v->type->dims[k];
            if (k == 1 || rg_chance(g, 0.4)) continue;
            snprintf(text, sizeof text, "%s%zu", names[k], i);
            must(ox_model_name(&name, g->m, text, strlen(text)));
            must(ox_dim_symbol(&d[k], &g->m->dims, name));
        }
        must(ox_type_tensor(&type, &g->m->arena, OX_FLOAT, rg_rank(v), d));
        v->type = type;
    }
    for (uint32_t i = 0; i < g->m->n_values; i++)
        if (g->m->values[i] && g->m->values[i]->def) g->m->values[i]->type = &unknown;
    for (size_t i = 0; i < g->g->ret->n_in; i++)
        g->g->outputs[i].type = &unknown;
}

ox_status random_net(struct ox_model **out, ox_ctx *ctx, enum rg_kind kind, uint64_t seed) {
    struct rg g;
    make_whole(&g, ctx, kind, seed);
    if (seed % 3 == 0) forget_dims(&g);
    *out = g.m;
    ox_status s = ox_model_verify(g.m);
    return s == OX_OK ? ox_model_infer(g.m, NULL) : s;
}

ox_status random_net_inputs(ox_tensor ***out, size_t *count, ox_ctx *ctx, enum rg_kind kind,
                            uint64_t seed) {
    struct rg g;
    make_whole(&g, ctx, kind, seed);
    *count = g.g->n_inputs;
    ox_status s = golden_inputs(out, g.m, seed);
    ox_model_free(g.m);
    return s;
}

/* ---- bounds ------------------------------------------------------------------------------------
 */

struct largest {
    double *by_id;
};

static ox_status on_value(void *user, const struct ox_value *v, const ox_tensor *t) {
    struct largest *l = user;
    double most = 0;
    for (size_t i = 0; t->dtype == OX_FLOAT && i < t->count; i++) {
        double x = fabs(ox_const_at(t, i));
        if (isfinite(x) && x > most) most = x;
    }
    l->by_id[v->id] = most;
    return OX_OK;
}

static double *magnitudes(struct rg *g, ox_tensor **in) {
    struct ox_runner runner;
    struct largest l = {calloc(g->m->n_values, sizeof(double))};
    ox_tensor **out = calloc(g->g->ret->n_in + 1, sizeof *out);
    if (!l.by_id || !out) abort();
    must(ox_exec_new(&runner, g->m));
    must(runner.run(runner.self, (const ox_tensor *const *)in, out, on_value, &l));
    runner.free(runner.self);
    for (size_t i = 0; i < g->g->ret->n_in; i++)
        ox_tensor_unref(out[i]);
    free(out);
    return l.by_id;
}

/* All that reads v reads v plus noise. */
static void add_noise(struct rg *g, struct ox_value *v, double amount) {
    int64_t dims[OX_MAX_RANK];
    ox_name add;
    struct ox_node *n;
    for (int i = 0; i < rg_rank(v); i++)
        dims[i] = rg_dim(v, i);
    struct ox_value *noise = rg_const(g, rg_rank(v), dims, -amount, amount);
    must(ox_model_name(&add, g->m, "Add", 3));
    must(ox_node_new(&n, g->g, v->def ? v->def->next : ox_graph_begin(g->g), NULL, add, 2, 1));
    ox_value_replace(v, n->out[0]);
    ox_use_set(&n->in[0], v);
    ox_use_set(&n->in[1], noise);
    n->out[0]->type = v->type;
}

static double step_of(const struct rg *g, const struct ox_value *v) {
    for (size_t i = 0; i < g->n; i++)
        if (g->values[i].v == v) return g->values[i].step;
    return 0;
}

static void noisy(struct rg *g, const double *largest, uint64_t draw) {
    uint32_t n = g->m->n_values;
    g->state ^= (draw + 1) * 0x9e3779b97f4a7c15u;
    for (uint32_t i = 0; i < n; i++) {
        struct ox_value *v = g->m->values[i];
        if (!v || v->graph != g->g || v->init || v->n_uses == 0 || v->type->dtype != OX_FLOAT)
            continue;
        double step = step_of(g, v), amount = step > 0 ? step
                                              : v->def && rg_is_exact(g, v)
                                                  ? 0
                                                  : largest[i] * RG_ROUNDING;
        if (amount > 0) add_noise(g, v, amount);
    }
}

static double apart(const ox_tensor *a, const ox_tensor *b) {
    double worst = 0;
    for (size_t i = 0; i < a->count; i++) {
        double d = fabs(ox_const_at(a, i) - ox_const_at(b, i));
        if (d > worst || isnan(d)) worst = isnan(d) ? INFINITY : d;
    }
    return worst;
}

ox_status random_net_bounds(double **bounds, ox_ctx *ctx, enum rg_kind kind, uint64_t seed,
                            ox_tensor **in, ox_tensor **expected, size_t n_out) {
    struct rg g;
    double *worst = calloc(n_out + 1, sizeof *worst), *largest = NULL;
    ox_status s = OX_OK;
    if (!worst) abort();
    for (uint64_t draw = 0; draw < RG_DRAWS && s == OX_OK; draw++) {
        ox_tensor **out = NULL;
        make_whole(&g, ctx, kind, seed);
        if (!largest) largest = magnitudes(&g, in);
        noisy(&g, largest, draw);
        s = golden_execute(&out, g.m, in);
        for (size_t i = 0; s == OX_OK && i < n_out; i++)
            worst[i] = fmax(worst[i], RG_MARGIN * apart(expected[i], out[i]));
        golden_unref_all(ctx, out, out ? n_out : 0);
        ox_model_free(g.m);
    }
    free(largest);
    *bounds = worst;
    return s;
}
