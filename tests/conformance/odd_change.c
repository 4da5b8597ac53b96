/* odd_change.c - what odd_main.c changes: attributes, operands, outputs, tensors, one at a time. */
#include "ir/ops/convert.h"
#include "odd.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- randomness ------------------------------------------------------------------------------ */

static uint64_t next(struct odd_random *r) {
    uint64_t z = r->state += 0x9e3779b97f4a7c15u; /* splitmix64 (Steele, Lea, Flood 2014) */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(struct odd_random *r, size_t n) {
    return (size_t)(next(r) % n);
}

struct odd_random odd_seed(const char *name, uint64_t seed, size_t round) {
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *p = name; *p; p++)
        h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    return (struct odd_random){h ^ (seed * 0x9e3779b97f4a7c15u) ^ ((uint64_t)round << 32)};
}

static int64_t odd_int(struct odd_random *r) {
    static const int64_t some[] = {0,
                                   1,
                                   -1,
                                   2,
                                   -2,
                                   3,
                                   7,
                                   64,
                                   65536,
                                   INT32_MAX,
                                   INT32_MIN,
                                   (int64_t)1 << 32,
                                   (int64_t)1 << 40,
                                   INT64_MAX,
                                   INT64_MIN,
                                   INT64_MAX - 1};
    return some[below(r, sizeof some / sizeof some[0])];
}

static double odd_double(struct odd_random *r) {
    const double some[] = {0,         -0.0,  1,    -1,    0.5,   NAN,          INFINITY,
                           -INFINITY, 1e-45, 1e38, -1e38, 65504, 2147483648.0, 1e300};
    return some[below(r, sizeof some / sizeof some[0])];
}

/* ---- attributes ------------------------------------------------------------------------------ */

static bool change_ints(struct ox_attr *a, struct ox_model *model, struct odd_random *r) {
    int64_t *ints;
    size_t n = a->count, at = n ? below(r, n) : 0;
    int how = (int)below(r, 3);
    if (ox_arena_alloc(&model->arena, &ints, n + 1, sizeof *ints) != OX_OK) return false;
    if (n) memcpy(ints, a->v.ints, n * sizeof *ints);
    if (how == 0 || n == 0)
        ints[n] = odd_int(r), a->count = n + 1;
    else if (how == 1)
        a->count = n - 1;
    else
        ints[at] = odd_int(r);
    a->v.ints = ints;
    return true;
}

static bool change_floats(struct ox_attr *a, struct ox_model *model, struct odd_random *r) {
    float *floats;
    size_t n = a->count;
    if (ox_arena_alloc(&model->arena, &floats, n + 1, sizeof *floats) != OX_OK) return false;
    if (n) memcpy(floats, a->v.floats, n * sizeof *floats);
    if (n == 0 || below(r, 2))
        floats[n] = (float)odd_double(r), a->count = n + 1;
    else
        floats[below(r, n)] = (float)odd_double(r);
    a->v.floats = floats;
    return true;
}

static bool change_attr(char *what, size_t size, struct ox_node *n, struct ox_model *model,
                        struct odd_random *r) {
    if (n->n_attrs == 0) return false;
    struct ox_attr *a = &n->attrs[below(r, n->n_attrs)];
    const char *name = ox_name_text(a->name);
    if (below(r, 6) == 0) {
        snprintf(what, size, "%s: attribute %s dropped", n->type->text, name);
        ox_node_drop_attr(n, name);
        return true;
    }
    if (below(r, 8) == 0 && a->type != OX_ATTR_GRAPH) {
        snprintf(what, size, "%s: attribute %s is a %s", n->type->text, name,
                 a->type == OX_ATTR_INT ? "float" : "number");
        enum ox_attr_type type = a->type == OX_ATTR_INT ? OX_ATTR_FLOAT : OX_ATTR_INT;
        ox_attr_release(a);
        a->type = type;
        a->count = 1;
        memset(&a->v, 0, sizeof a->v);
        return true;
    }
    snprintf(what, size, "%s: attribute %s changed", n->type->text, name);
    switch (a->type) {
    case OX_ATTR_INT:
        a->v.i = odd_int(r);
        snprintf(what, size, "%s: attribute %s = %" PRId64, n->type->text, name, a->v.i);
        return true;
    case OX_ATTR_FLOAT:
        a->v.f = (float)odd_double(r);
        snprintf(what, size, "%s: attribute %s = %g", n->type->text, name, (double)a->v.f);
        return true;
    case OX_ATTR_STRING:
        a->v.s = (struct ox_str){below(r, 2) ? "" : "odd", 0};
        a->v.s.len = strlen(a->v.s.ptr);
        return true;
    case OX_ATTR_INTS:
        return change_ints(a, model, r);
    case OX_ATTR_FLOATS:
        return change_floats(a, model, r);
    default:
        return false;
    }
}

/* ---- operands and outputs -------------------------------------------------------------------- */

static bool change_operand(char *what, size_t size, struct ox_node *n, struct odd_random *r) {
    if (n->n_in == 0) return false;
    size_t i = below(r, n->n_in), j = below(r, n->n_in);
    if (below(r, 2)) {
        snprintf(what, size, "%s: operand %zu is absent", n->type->text, i);
        ox_use_set(&n->in[i], NULL);
        ox_node_trim_inputs(n);
        return true;
    }
    if (i == j) return false;
    struct ox_value *a = n->in[i].value, *b = n->in[j].value;
    snprintf(what, size, "%s: operands %zu and %zu change places", n->type->text, i, j);
    ox_use_set(&n->in[i], b);
    ox_use_set(&n->in[j], a);
    ox_node_trim_inputs(n);
    return true;
}

/* ---- tensors --------------------------------------------------------------------------------- */

static const ox_dtype dtypes[] = {OX_FLOAT,     OX_DOUBLE, OX_FLOAT16, OX_BFLOAT16,
                                  OX_INT8,      OX_UINT8,  OX_INT16,   OX_INT32,
                                  OX_INT64,     OX_UINT64, OX_BOOL,    OX_STRING,
                                  OX_COMPLEX64, OX_INT4,   OX_UINT4,   OX_FLOAT8E4M3FN};

/* Numbers of a type from which NaN, infinity and the largest numbers are not absent. */
static void fill(void *data, size_t count, ox_dtype dtype, struct odd_random *r) {
    size_t bits = ox_dtype_bits(dtype);
    bool wild = below(r, 2);
    for (size_t i = 0; i < count && bits >= 8; i++) {
        double d = wild ? odd_double(r) : (double)below(r, 5);
        int64_t k = wild ? odd_int(r) : (int64_t)below(r, 5);
        if (dtype == OX_BOOL) k &= 1;
        if (dtype == OX_FLOAT)
            memcpy((char *)data + 4 * i, &(float){(float)d}, 4);
        else if (dtype == OX_DOUBLE)
            memcpy((char *)data + 8 * i, &d, 8);
        else
            memcpy((char *)data + bits / 8 * i, &k, bits / 8 < 8 ? bits / 8 : 8);
    }
}

/* A tensor made of `t` with one thing changed, in *out. */
static bool odd_tensor(char *what, size_t size, ox_tensor **out, ox_ctx *ctx, const ox_tensor *t,
                       struct odd_random *r) {
    int64_t dims[OX_MAX_RANK];
    int rank = t->rank;
    ox_dtype dtype = t->dtype;
    void *data;
    const char *kind = "other numbers";
    if (dtype >= OX_SEQUENCE) return false;
    for (int i = 0; i < rank; i++)
        dims[i] = t->dims[i];
    switch (below(r, 6)) {
    case 0:
        dtype = dtypes[below(r, sizeof dtypes / sizeof dtypes[0])];
        kind = "other type";
        break;
    case 1:
        if (rank == 0)
            dims[rank++] = (int64_t)below(r, 3);
        else if (rank < OX_MAX_RANK && below(r, 2))
            dims[rank++] = 1;
        else
            rank--;
        kind = "other rank";
        break;
    case 2:
        if (rank) dims[below(r, (size_t)rank)] = 0;
        kind = "a dim of 0";
        break;
    case 3:
        if (rank) dims[below(r, (size_t)rank)] += 1 - 2 * (int64_t)below(r, 2);
        kind = "other dim";
        break;
    default:
        break;
    }
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0) return false;
    if (ox_tensor_new(out, &data, ctx, dtype, rank, dims) != OX_OK) return false;
    if (dtype != OX_STRING)
        fill(data, (*out)->count, dtype, r);
    else if (t->dtype == OX_STRING && (*out)->count == t->count && t->count) {
        ox_tensor_unref(*out);
        return ox_tensor_reshape(out, ctx, t, rank, dims) == OX_OK;
    } else if ((*out)->count) {
        ox_tensor_unref(*out); /* strings need items */
        return false;
    }
    snprintf(what, size, "%s", kind);
    return true;
}

/* What the file declares, and what was inferred on loading, belongs to the model as it was: forget
 * it. *empties: a SequenceEmpty is there. The element type of an empty sequence is known to
 * inference only: a run cannot notice that another is put into it. */
static ox_status forget_types(void *empties, struct ox_graph *g) {
    static const struct ox_type unknown = {.kind = OX_TYPE_UNKNOWN, .rank = -1};
    for (size_t i = 0; i < g->n_inputs; i++)
        if (g->depth || g->inputs[i]->type->kind != OX_TYPE_TENSOR) g->inputs[i]->type = &unknown;
    for (size_t i = 0; i < g->ret->n_in; i++)
        g->outputs[i].type = &unknown;
    for (struct ox_node *n = ox_graph_begin(g); n; n = ox_node_next(n)) {
        if (ox_node_is(n, "SequenceEmpty")) *(bool *)empties = true;
        for (size_t k = 0; k < n->n_out; k++)
            if (n->out[k]) n->out[k]->type = &unknown;
    }
    return OX_OK;
}

/* Does it say how often a loop runs? A loop without an end is not a crash, and is not tried. */
static bool drives_loop(const struct ox_value *v) {
    for (const struct ox_use *u = v->uses; u; u = u->next)
        if (ox_use_index(u) < 2 && ox_node_is(u->user, "Loop")) return true;
    return false;
}

/* The model's declarations follow, so that the tensor reaches the operator. */
static bool change_input(char *what, size_t size, struct ox_model *model, struct conf_tensors *in,
                         struct odd_random *r) {
    struct ox_graph *g = model->graph;
    size_t port = 0;
    char kind[40];
    ox_tensor *t;
    if (in->n == 0) return false;
    size_t at = below(r, in->n);
    struct ox_value *v = NULL;
    for (size_t i = 0; i < g->n_inputs && !v; i++)
        if (!ox_value_const(g->inputs[i]) && port++ == at) v = g->inputs[i];
    if (!v || drives_loop(v) || !in->at[at] ||
        !odd_tensor(kind, sizeof kind, &t, model->ctx, in->at[at], r))
        return false;
    ox_tensor_unref(in->at[at]);
    in->at[at] = t;
    snprintf(what, size, "input %s: %s", ox_name_text(v->name), kind);
    return ox_type_tensor(&v->type, &model->arena, t->dtype, -1, NULL) == OX_OK;
}

/* ---- the same call in another type -------------------------------------------------------------
 */

/* Elements of `t` in another type; small numbers where they have none. */
static bool converted(ox_tensor **out, ox_ctx *ctx, const ox_tensor *t, ox_dtype dtype) {
    void *data;
    bool text = t->dtype == OX_STRING,
         complex = t->dtype == OX_COMPLEX64 || t->dtype == OX_COMPLEX128;
    if (!text && !complex && dtype != OX_COMPLEX64 && dtype != OX_COMPLEX128)
        return ox_tensor_cast(out, ctx, t, dtype, true) == OX_OK;
    if (dtype == OX_STRING) return false;
    if (ox_tensor_new(out, &data, ctx, dtype, t->rank, t->dims) != OX_OK) return false;
    for (size_t i = 0; i < (*out)->size; i++)
        ((unsigned char *)data)[i] = (unsigned char)(dtype == OX_BOOL ? i % 2 : i % 3);
    return true;
}

bool odd_retype(char *what, size_t size, struct ox_model *model, struct conf_tensors *in,
                ox_dtype dtype, bool together) {
    struct ox_graph *g = model->graph;
    struct ox_node *n = ox_graph_begin(g);
    bool empties = false;
    if (g->n_nodes != 1 || !n->op || (n->op->traits & OX_CONTROL) || !ox_node_in(n, 0) ||
        !(n->op->types >> dtype & 1))
        return false;
    const struct ox_type *first = ox_node_in(n, 0)->type;
    if (first->kind != OX_TYPE_TENSOR || first->dtype == dtype) return false;
    const ox_dtype from = first->dtype;
    if (ox_model_each_graph(model, forget_types, &empties) != OX_OK) return false;
    size_t port = 0;
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct ox_value *v = g->inputs[i];
        if (ox_value_const(v)) continue;
        size_t at = port++;
        ox_tensor *t;
        if (at >= in->n || !in->at[at] || in->at[at]->dtype != from ||
            (!together && v != ox_node_in(n, 0)))
            continue;
        if (!converted(&t, model->ctx, in->at[at], dtype)) return false;
        ox_tensor_unref(in->at[at]);
        in->at[at] = t;
        if (ox_type_tensor(&v->type, &model->arena, dtype, -1, NULL) != OX_OK) return false;
    }
    snprintf(what, size, "%s of %s", n->type->text, ox_dtype_name(dtype));
    return true;
}

/* ---- the door -------------------------------------------------------------------------------- */

bool odd_change(char *what, size_t size, struct ox_model *model, struct conf_tensors *in,
                struct odd_random *r) {
    struct ox_graph *g = model->graph;
    size_t how = below(r, 8);
    bool empties = false;
    if (ox_model_each_graph(model, forget_types, &empties) != OX_OK || empties) return false;
    if (how < 4 || g->n_nodes == 0) return change_input(what, size, model, in, r);
    struct ox_node *n = ox_graph_begin(g);
    for (size_t skip = below(r, g->n_nodes); skip; skip--)
        n = ox_node_next(n);
    if (!n->type || (n->op && (n->op->traits & OX_CONTROL))) return false;
    return how < 7 ? change_attr(what, size, n, model, r) : change_operand(what, size, n, r);
}

bool odd_change_is_outside(const char *what) {
    return strncmp(what, "input ", 6) == 0;
}
