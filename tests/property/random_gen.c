/* tests/property/random_gen.c - see random_gen.h. */
#include "tests/property/random_gen.h"

#include "passes/rules/consts.h"
#include "tests/golden/golden.h"

#include <stdlib.h>

/* Results of more elements are not kept: ten thousand graphs must be cheap. */
enum { MOST_ELEMENTS = 4000, MOST_DIMS = 6 };

static void must(ox_status s) {
    if (s != OX_OK) abort();
}

size_t rg_below(struct rg *g, size_t n) {
    return (size_t)(golden_random(&g->state) * (double)n);
}

int64_t rg_between(struct rg *g, int64_t low, int64_t high) {
    return low + (int64_t)rg_below(g, (size_t)(high - low + 1));
}

bool rg_chance(struct rg *g, double p) {
    return golden_random(&g->state) < p;
}

double rg_real(struct rg *g, double low, double high) {
    return low + golden_random(&g->state) * (high - low);
}

struct ox_value *rg_pick(struct rg *g) {
    size_t recent = g->n < 5 ? g->n : 5;
    return rg_chance(g, 0.75) ? g->values[g->n - 1 - rg_below(g, recent)].v
                              : g->values[rg_below(g, g->n)].v;
}

/* ---- constants ---------------------------------------------------------------------------------
 */

static struct ox_value *initializer(struct rg *g, ox_tensor *t) {
    struct ox_value *v;
    must(ox_graph_add_init(&v, g->g, NULL, t));
    return v;
}

struct ox_value *rg_const(struct rg *g, int rank, const int64_t *dims, double low, double high) {
    size_t count = 1;
    ox_tensor *t;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    double *v = malloc((count + 1) * sizeof *v);
    if (!v) abort();
    for (size_t i = 0; i < count; i++)
        v[i] = rg_real(g, low, high);
    must(ox_const_from_doubles(&t, g->m->ctx, OX_FLOAT, rank, dims, v));
    free(v);
    return initializer(g, t);
}

struct ox_value *rg_scalar(struct rg *g, double value) {
    ox_tensor *t;
    must(ox_const_scalar(&t, g->m->ctx, OX_FLOAT, value));
    return initializer(g, t);
}

struct ox_value *rg_ints(struct rg *g, const int64_t *v, size_t n) {
    ox_tensor *t;
    must(ox_const_ints(&t, g->m->ctx, v, n));
    return initializer(g, t);
}

struct ox_value *rg_int(struct rg *g, int64_t v) {
    ox_tensor *t;
    must(ox_const_scalar(&t, g->m->ctx, OX_INT64, (double)v));
    return initializer(g, t);
}

/* ---- nodes -------------------------------------------------------------------------------------
 */

struct ox_node *rg_node_in(struct rg *g, struct ox_graph *graph, const char *op, size_t n_out,
                           size_t n_in, struct ox_value *const *in) {
    struct ox_node *n;
    ox_name type;
    must(ox_model_name(&type, g->m, op, strlen(op)));
    must(ox_node_new(&n, graph, NULL, NULL, type, n_in, n_out));
    for (size_t i = 0; i < n_in; i++)
        if (in[i]) ox_use_set(&n->in[i], in[i]);
    return n;
}

struct ox_node *rg_node(struct rg *g, const char *op, struct ox_value *a, struct ox_value *b,
                        struct ox_value *c) {
    struct ox_value *in[3] = {a, b, c};
    return rg_node_in(g, g->g, op, 1, c ? 3 : b ? 2 : 1, in);
}

void rg_set(struct ox_node *n, const char *name, int64_t value) {
    must(ox_node_set_int(n, name, value));
}

void rg_set_float(struct ox_node *n, const char *name, double value) {
    must(ox_node_set_float(n, name, (float)value));
}

void rg_set_text(struct ox_node *n, const char *name, const char *value) {
    must(ox_node_set_string(n, name, value));
}

void rg_set_ints(struct ox_node *n, const char *name, const int64_t *values, size_t count) {
    must(ox_node_set_ints(n, name, values, count));
}

/* ---- what is known of values -------------------------------------------------------------------
 */

int rg_rank(const struct ox_value *v) {
    return v->type->rank;
}

int64_t rg_dim(const struct ox_value *v, int axis) {
    return v->type->dims[axis].k;
}

static bool listed(const char *const *list, const struct ox_node *n) {
    for (; *list; list++)
        if (strcmp(*list, ox_name_text(n->type)) == 0) return true;
    return false;
}

static const char *const moving[] = {"Abs",
                                     "Cast",
                                     "Clip",
                                     "Compress",
                                     "Concat",
                                     "ConstantOfShape",
                                     "DepthToSpace",
                                     "Equal",
                                     "Expand",
                                     "Flatten",
                                     "Gather",
                                     "GatherElements",
                                     "GlobalMaxPool",
                                     "Greater",
                                     "Identity",
                                     "Less",
                                     "Max",
                                     "MaxPool",
                                     "Min",
                                     "Neg",
                                     "Not",
                                     "Pad",
                                     "ReduceMax",
                                     "ReduceMin",
                                     "Relu",
                                     "Reshape",
                                     "Shape",
                                     "Slice",
                                     "SpaceToDepth",
                                     "Split",
                                     "Squeeze",
                                     "Tile",
                                     "Transpose",
                                     "Trilu",
                                     "Unsqueeze",
                                     "Where",
                                     NULL};
static const char *const jumping[] = {"ArgMax", "ArgMin", "Ceil", "Floor", "NonZero",
                                      "Round",  "Sign",   "TopK", NULL};
static const char *const comparing[] = {"Equal", "Greater", "Less", "Cast", NULL};

/* Values of nodes in the midst of a maker are not in g->values: what they are is seen from their
 * nodes. */
bool rg_is_exact(const struct rg *g, const struct ox_value *v) {
    if (v->init) return true;
    for (size_t i = 0; i < g->n; i++)
        if (g->values[i].v == v) return g->values[i].exact;
    if (!v->def) return true;
    if (!listed(moving, v->def) && !listed(jumping, v->def)) return false;
    for (size_t i = 0; i < v->def->n_in; i++)
        if (v->def->in[i].value && !rg_is_exact(g, v->def->in[i].value)) return false;
    return true;
}

static bool allowed(const struct rg *g, const struct ox_node *n) {
    if (!listed(jumping, n) && !listed(comparing, n)) return true;
    for (size_t i = 0; i < n->n_in; i++)
        if (n->in[i].value && !rg_is_exact(g, n->in[i].value)) return false;
    return true;
}

struct ox_value *rg_out(struct rg *g, struct ox_node *n) {
    if (!n) return NULL;
    ox_mute(g->m->ctx, true);
    bool ok = ox_node_infer(n) == OX_OK;
    ox_mute(g->m->ctx, false);
    for (size_t i = 0; i < n->n_out && ok; i++) {
        const struct ox_type *type = n->out[i]->type;
        int64_t count = ox_type_is_tensor(type) && type->rank >= 0 && type->rank <= MOST_DIMS
                            ? ox_type_count(type)
                            : -1;
        ok = count > 0 && count <= MOST_ELEMENTS;
    }
    if (ok && allowed(g, n)) return n->out[0];
    ox_node_remove(n);
    return NULL;
}

struct ox_value *rg_op(struct rg *g, const char *op, struct ox_value *a, struct ox_value *b) {
    return a ? rg_out(g, rg_node(g, op, a, b, NULL)) : NULL;
}

void rg_may_be_off(struct rg *g, struct ox_value *v, double step) {
    for (size_t i = 0; i < g->n; i++)
        if (g->values[i].v == v) {
            g->values[i].step = step;
            return;
        }
    if (g->n == RG_VALUES) return;
    g->values[g->n++] = (struct rg_value){.v = v, .step = step};
}
