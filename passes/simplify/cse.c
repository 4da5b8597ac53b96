/* passes/simplify/cse.c - common subexpressions: equal pure nodes on equal operands are computed
 * once; equal weights are kept once.
 *
 * One hash table for nodes and one for weights per model, entries of a graph visible to the graphs
 * inside it: a node may take the place of a later equal one that it dominates. Weights are compared
 * by type, dims and a sample of their bytes first, so that weights that differ are not read
 * through. */
#include "passes/graph_list.h"
#include "passes/pass.h"
#include "passes/twins.h"

enum { NODES_MERGED, WEIGHTS_MERGED };

static uint64_t mix_bytes(uint64_t h, const void *data, size_t size) {
    const unsigned char *p = data;
    for (; size >= 8; size -= 8, p += 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        h = ox_hash_mix(h, w);
    }
    uint64_t w = 0;
    if (size) memcpy(&w, p, size);
    return ox_hash_mix(h, w ^ size << 56);
}

/* ---- equality -------------------------------------------------------------------------------- */

static bool same_str(struct ox_str a, struct ox_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static bool same_attr(const struct ox_attr *a, const struct ox_attr *b) {
    if (a->name != b->name || a->type != b->type || a->ref != b->ref || a->count != b->count ||
        ox_notes_of(a->notes)->unknown.len || ox_notes_of(b->notes)->unknown.len)
        return false;
    if (a->ref) return true;
    switch (a->type) {
    case OX_ATTR_FLOAT:
        return memcmp(&a->v.f, &b->v.f, sizeof a->v.f) == 0;
    case OX_ATTR_INT:
        return a->v.i == b->v.i;
    case OX_ATTR_STRING:
        return same_str(a->v.s, b->v.s);
    case OX_ATTR_TENSOR:
        return ox_tensor_equal(a->v.t, b->v.t);
    case OX_ATTR_FLOATS:
        return a->count == 0 || memcmp(a->v.floats, b->v.floats, a->count * sizeof(float)) == 0;
    case OX_ATTR_INTS:
        return a->count == 0 || memcmp(a->v.ints, b->v.ints, a->count * sizeof(int64_t)) == 0;
    case OX_ATTR_STRINGS:
        for (size_t i = 0; i < a->count; i++)
            if (!same_str(a->v.strings[i], b->v.strings[i])) return false;
        return true;
    default:
        return false; /* graphs and rarities are not compared */
    }
}

static bool same_node(const struct ox_node *a, const struct ox_node *b) {
    if (a->op != b->op || a->n_in != b->n_in || a->n_out != b->n_out || a->n_attrs != b->n_attrs)
        return false;
    for (size_t i = 0; i < a->n_in; i++)
        if (a->in[i].value != b->in[i].value) return false;
    for (size_t i = 0; i < a->n_out; i++)
        if (!a->out[i] && b->out[i]) return false;
    for (size_t i = 0; i < a->n_attrs; i++) {
        const struct ox_attr *x = &a->attrs[i], *y = ox_node_attr(b, x->name->text);
        if (!y || !same_attr(x, y)) return false;
    }
    return true;
}

/* Attributes may stand in any order, so their parts of the hash are added. */
static uint64_t hash_node(const struct ox_node *n) {
    uint64_t h = ox_hash_mix((uint64_t)(uintptr_t)n->op, n->n_in), attrs = 0;
    for (size_t i = 0; i < n->n_in; i++)
        h = ox_hash_mix(h, n->in[i].value ? n->in[i].value->id + 1u : 0u);
    for (size_t i = 0; i < n->n_attrs; i++) {
        const struct ox_attr *a = &n->attrs[i];
        uint64_t x = ox_hash_mix(a->name->id, a->type);
        if (a->type == OX_ATTR_INT) x = ox_hash_mix(x, (uint64_t)a->v.i);
        if (a->type == OX_ATTR_FLOAT) x = mix_bytes(x, &a->v.f, sizeof a->v.f);
        if (a->type == OX_ATTR_INTS && a->count)
            x = mix_bytes(x, a->v.ints, a->count * sizeof(int64_t));
        attrs += x;
    }
    return ox_hash_mix(h, attrs) | 1;
}

static uint64_t hash_tensor(const ox_tensor *t) {
    enum { SAMPLE = 64 };
    uint64_t h = ox_hash_mix((uint64_t)t->dtype, (uint64_t)t->rank);
    if (t->rank) h = mix_bytes(h, t->dims, (size_t)t->rank * sizeof t->dims[0]);
    if (t->dtype == OX_STRING || t->size == 0) return h | 1;
    size_t n = t->size < SAMPLE ? t->size : SAMPLE;
    h = mix_bytes(h, t->data, n);
    return mix_bytes(h, (const char *)t->data + t->size - n, n) | 1;
}

/* ---- merging --------------------------------------------------------------------------------- */

/* May `node` stand for another in graph `graph` from `at` on? */
static bool dominates(const struct ox_node *node, const struct ox_node *at) {
    for (size_t i = 0; i < node->n_out; i++)
        if (node->out[i]) return ox_value_visible(node->out[i], at);
    return false;
}

static bool node_may_stand(const void *arg, const void *first, const void *item) {
    (void)arg;
    return same_node(first, item) && dominates(first, item);
}

static ox_status merge_node(struct ox_pass_run *run, struct ox_twins *t, struct ox_node *node) {
    struct ox_node *first;
    OX_TRY(ox_twins_meet(&first, t, hash_node(node), node, node_may_stand, NULL));
    if (!first) return OX_OK;
    for (size_t i = 0; i < node->n_out; i++)
        if (node->out[i]) ox_value_replace(node->out[i], first->out[i]);
    ox_node_remove(node);
    ox_rewrite_done(run, NODES_MERGED);
    return OX_OK;
}

static bool weight_may_stand(const void *arg, const void *first, const void *item) {
    (void)arg;
    const struct ox_value *a = first, *b = item;
    return a->graph == b->graph && ox_tensor_equal(a->init, b->init);
}

static ox_status merge_weight(struct ox_pass_run *run, struct ox_twins *t, struct ox_value *v) {
    struct ox_value *first;
    OX_TRY(ox_twins_meet(&first, t, hash_tensor(v->init), v, weight_may_stand, NULL));
    if (!first) return OX_OK;
    ox_value_replace(v, first);
    ox_rewrite_grew(run, -(int64_t)v->init->size);
    ox_value_remove_init(v);
    ox_rewrite_done(run, WEIGHTS_MERGED);
    return OX_OK;
}

static ox_status merge_graph(struct ox_pass_run *run, struct ox_twins *nodes,
                             struct ox_twins *weights, struct ox_graph *g) {
    for (size_t i = 0; i < g->n_inits && ox_rewrite_allowed(run); i++)
        if (g->inits[i] && g->inits[i]->init) OX_TRY(merge_weight(run, weights, g->inits[i]));
    for (struct ox_node *n = ox_graph_begin(g), *next; n && ox_rewrite_allowed(run); n = next) {
        next = ox_node_next(n);
        if (n->op && !(n->op->traits & OX_CONTROL) && ox_node_pure(n))
            OX_TRY(merge_node(run, nodes, n));
    }
    return OX_OK;
}

ox_status ox_pass_cse(struct ox_pass_run *run) {
    struct ox_graph_list graphs;
    struct ox_twins nodes = {.ctx = run->ctx}, weights = {.ctx = run->ctx};
    OX_TRY(ox_graph_list_init(&graphs, run->model));
    ox_status s = OX_OK;
    for (size_t i = 0; i < graphs.n && s == OX_OK; i++)
        s = merge_graph(run, &nodes, &weights, graphs.at[i]);
    ox_twins_fini(&nodes);
    ox_twins_fini(&weights);
    ox_graph_list_fini(&graphs);
    return s;
}
