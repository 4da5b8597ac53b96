/* ir/ops/ml_trees.c - see ml_trees.h. */
#include "ir/ops/ml_trees.h"
#include "ir/ops/key_map.h"

#include <math.h>
#include <stdlib.h>

enum { NODES_MAX = INT32_MAX - 1 };

/* Element i of a list of numbers. */
static double number_at(const struct ox_ml_list *list, size_t i) {
    const unsigned char *data = list->data;
    float f;
    double d;
    if (list->dtype == OX_FLOAT) {
        memcpy(&f, data + 4 * i, 4);
        return (double)f;
    }
    if (list->dtype == OX_DOUBLE) {
        memcpy(&d, data + 8 * i, 8);
        return d;
    }
    uint16_t h;
    memcpy(&h, data + 2 * i, 2);
    return (double)ox_half_to_float(h);
}

static ox_status mode_at(uint8_t *out, const struct ox_call *call, const struct ox_tree_params *p,
                         size_t i) {
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",    "BRANCH_GT",
                                        "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF"};
    if (p->modes.dtype == OX_UINT8) {
        *out = ((const uint8_t *)p->modes.data)[i];
        return *out <= OX_TREE_MEMBER
                   ? OX_OK
                   : ox_bad_attr(call, "nodes_modes[%zu] is %d, expected 0 to 6", i, *out);
    }
    struct ox_str s = ((const struct ox_str *)p->modes.data)[i];
    for (uint8_t k = 0; k <= OX_TREE_LEAF; k++)
        if (k != OX_TREE_MEMBER && strlen(names[k]) == s.len &&
            memcmp(names[k], s.len ? s.ptr : "", s.len) == 0) {
            *out = k;
            return OX_OK;
        }
    return ox_bad_attr(call, "nodes_modes[%zu] is '%.*s'", i, s.len > 40 ? 40 : (int)s.len,
                       s.len ? s.ptr : "");
}

/* ---- who is next ----------------------------------------------------------------------------- */

/* Nodes as the file numbers them: next holds file numbers, or ~leaf. */
struct raw {
    const struct ox_call *call;
    const struct ox_tree_params *p;
    struct ox_tree_node *nodes;
    int32_t *leaf_of; /* not flat: leaf number of a node, or -1 */
    int32_t *order;   /* new number of a node, -1: not reached yet */
    bool *open;       /* on the path that is being walked */
    bool *child;      /* some node leads to it */
    int32_t *stack;
    int64_t (*pairs)[2]; /* not flat: (tree, node) of each node, the keys of `places` */
    struct ox_key_map places;
};

static ox_status flat_links(struct raw *r) {
    const struct ox_tree_params *p = r->p;
    for (size_t i = 0; i < p->n_nodes; i++)
        for (int side = 0; side < 2; side++) {
            bool leaf = (side ? p->yes_leaf : p->no_leaf)[i] != 0;
            int64_t to = (side ? p->yes : p->no)[i];
            if (to < 0 || (size_t)to >= (leaf ? p->n_leaves : p->n_nodes))
                return ox_bad_attr(r->call, "node %zu leads to %s %lld, there are %zu", i,
                                   leaf ? "leaf" : "node", (long long)to,
                                   leaf ? p->n_leaves : p->n_nodes);
            r->nodes[i].next[side] = leaf ? ~(int32_t)to : (int32_t)to;
        }
    return OX_OK;
}

static size_t place_of(const struct raw *r, int64_t tree, int64_t node) {
    int64_t pair[2] = {tree, node};
    return ox_key_map_get(&r->places,
                          ox_key_string((struct ox_str){(const char *)pair, sizeof pair}));
}

static ox_status paired_links(struct raw *r, size_t *n_leaves) {
    const struct ox_tree_params *p = r->p;
    ox_ctx *ctx = r->call->ctx;
    OX_TRY(ox_alloc(ctx, &r->pairs, p->n_nodes, sizeof *r->pairs));
    OX_TRY(ox_alloc(ctx, &r->leaf_of, p->n_nodes, sizeof *r->leaf_of));
    OX_TRY(ox_key_map_init(&r->places, ctx, p->n_nodes));
    for (size_t i = 0; i < p->n_nodes; i++) {
        r->pairs[i][0] = p->trees[i];
        r->pairs[i][1] = p->nodes[i];
        struct ox_key key =
            ox_key_string((struct ox_str){(const char *)r->pairs[i], sizeof r->pairs[i]});
        if (ox_key_map_put(&r->places, key, i) != i)
            return ox_bad_attr(r->call, "node %lld of tree %lld is there twice",
                               (long long)p->nodes[i], (long long)p->trees[i]);
        r->leaf_of[i] = r->nodes[i].mode == OX_TREE_LEAF ? (int32_t)(*n_leaves)++ : -1;
    }
    for (size_t i = 0; i < p->n_nodes; i++)
        for (int side = 0; side < 2 && r->leaf_of[i] < 0; side++) {
            int64_t to = (side ? p->yes : p->no)[i];
            size_t at = place_of(r, p->trees[i], to);
            if (at == SIZE_MAX)
                return ox_bad_attr(r->call,
                                   "node %lld of tree %lld leads to %lld, which is not there",
                                   (long long)p->nodes[i], (long long)p->trees[i], (long long)to);
            r->nodes[i].next[side] = r->leaf_of[at] < 0 ? (int32_t)at : ~r->leaf_of[at];
            r->child[at] = true;
        }
    return OX_OK;
}

/* ---- numbering ------------------------------------------------------------------------------- */

/* Numbers what can be reached from a node. The stack holds the path, and below ~node what is to be
 * left. */
static ox_status number_from(struct raw *r, struct ox_trees *t, int32_t start) {
    size_t depth = 0;
    r->stack[depth++] = start;
    while (depth > 0) {
        int32_t at = r->stack[--depth];
        if (at < 0) {
            r->open[~at] = false;
            continue;
        }
        if (r->open[at])
            return ox_bad_attr(r->call, "the tree of node %d comes back to it", (int)at);
        if (r->order[at] >= 0) continue;
        r->order[at] = (int32_t)t->n_nodes;
        t->nodes[t->n_nodes++] = r->nodes[at];
        r->open[at] = true;
        r->stack[depth++] = ~at;
        for (int side = 0; side < 2; side++) /* true comes off first */
            if (r->nodes[at].next[side] >= 0) r->stack[depth++] = r->nodes[at].next[side];
    }
    return OX_OK;
}

static ox_status number_all(struct raw *r, struct ox_trees *t) {
    const struct ox_tree_params *p = r->p;
    size_t reached = 0;
    for (size_t i = 0; i < (p->flat ? p->n_roots : p->n_nodes); i++) {
        int64_t root = p->flat ? p->roots[i] : (int64_t)i;
        if (root < 0 || (size_t)root >= p->n_nodes)
            return ox_bad_attr(r->call, "tree_roots[%zu] is %lld, there are %zu nodes", i,
                               (long long)root, p->n_nodes);
        if (!p->flat && r->child[root]) continue;
        if (!p->flat && r->leaf_of[root] >= 0) {
            t->roots[t->n_roots++] = ~r->leaf_of[root];
            continue;
        }
        OX_TRY(number_from(r, t, (int32_t)root));
        t->roots[t->n_roots++] = r->order[root];
    }
    for (size_t i = 0; !p->flat && i < p->n_nodes; i++)
        if (r->leaf_of[i] >= 0 || r->order[i] >= 0) reached++;
    if (!p->flat && reached < p->n_nodes)
        return ox_bad_attr(r->call, "%zu nodes are in no tree that has a root",
                           p->n_nodes - reached);
    for (size_t i = 0; i < t->n_nodes; i++)
        for (int side = 0; side < 2; side++)
            if (t->nodes[i].next[side] >= 0)
                t->nodes[i].next[side] = r->order[t->nodes[i].next[side]];
    return OX_OK;
}

/* ---- leaves and sets ------------------------------------------------------------------------- */

/* Sorts weights by leaf, keeping their order in each. */
static ox_status place_weights(struct raw *r, struct ox_trees *t) {
    const struct ox_tree_params *p = r->p;
    size_t *leaf, used = 0;
    ox_ctx *ctx = r->call->ctx;
    OX_TRY(ox_alloc(ctx, &t->leaf_begin, t->n_leaves + 2, sizeof *t->leaf_begin));
    OX_TRY(ox_alloc(ctx, &t->targets, p->weights.n, sizeof *t->targets));
    OX_TRY(ox_alloc(ctx, &t->weights, p->weights.n, sizeof *t->weights));
    OX_TRY(ox_alloc(ctx, &leaf, p->weights.n, sizeof *leaf));
    ox_status s = OX_OK;
    for (size_t i = 0; s == OX_OK && i < p->weights.n; i++) {
        size_t at = p->flat ? i : place_of(r, p->leaf_trees[i], p->leaf_nodes[i]);
        if (at == SIZE_MAX) {
            s = ox_bad_attr(r->call, "weight %zu is of node %lld of tree %lld, which is not there",
                            i, (long long)p->leaf_nodes[i], (long long)p->leaf_trees[i]);
        } else if (p->leaf_targets[i] < 0 || (size_t)p->leaf_targets[i] >= p->targets) {
            s = ox_bad_attr(r->call, "weight %zu is for %lld, there are %zu", i,
                            (long long)p->leaf_targets[i], p->targets);
        } else { /* weights of inner nodes mean nothing */
            leaf[i] = p->flat ? i : r->leaf_of[at] < 0 ? SIZE_MAX : (size_t)r->leaf_of[at];
            if (leaf[i] != SIZE_MAX) t->leaf_begin[leaf[i] + 2]++;
        }
    }
    if (s == OX_OK) {
        for (size_t i = 2; i < t->n_leaves + 2; i++)
            t->leaf_begin[i] += t->leaf_begin[i - 1];
        for (size_t i = 0; i < p->weights.n; i++) {
            if (leaf[i] == SIZE_MAX) continue;
            used = t->leaf_begin[leaf[i] + 1]++;
            t->targets[used] = (size_t)p->leaf_targets[i];
            t->weights[used] = number_at(&p->weights, i);
        }
    }
    ox_free(ctx, leaf);
    return s;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sets of members in the order of the nodes that ask for them, each ended by NaN. */
static ox_status read_sets(struct raw *r, struct ox_trees *t) {
    const struct ox_tree_params *p = r->p;
    size_t sets = 0, wanted = 0;
    for (size_t i = 0; i < p->n_nodes; i++)
        if (r->nodes[i].mode == OX_TREE_MEMBER) r->nodes[i].split = (double)wanted++;
    OX_TRY(ox_alloc(r->call->ctx, &t->members, p->members.n, sizeof *t->members));
    OX_TRY(ox_alloc(r->call->ctx, &t->set_begin, wanted + 1, sizeof *t->set_begin));
    size_t n = 0;
    for (size_t i = 0; i < p->members.n && sets < wanted; i++) {
        double m = number_at(&p->members, i);
        if (!isnan(m)) t->members[n++] = m;
        if (!isnan(m) && i + 1 < p->members.n) continue;
        size_t begin = t->set_begin[sets];
        if (n > begin) qsort(t->members + begin, n - begin, sizeof *t->members, compare);
        t->set_begin[++sets] = n;
    }
    if (sets < wanted)
        return ox_bad_attr(r->call, "membership_values has %zu sets for %zu nodes that ask for one",
                           sets, wanted);
    return OX_OK;
}

static ox_status read_nodes(struct raw *r, struct ox_trees *t) {
    const struct ox_tree_params *p = r->p;
    t->all_leq = true;
    for (size_t i = 0; i < p->n_nodes; i++) {
        struct ox_tree_node *n = &r->nodes[i];
        OX_TRY(mode_at(&n->mode, r->call, p, i));
        if (n->mode == OX_TREE_LEAF) continue;
        if (p->features[i] < 0 || p->features[i] >= INT32_MAX)
            return ox_bad_attr(r->call, "nodes_featureids[%zu] is %lld", i,
                               (long long)p->features[i]);
        n->feature = (int32_t)p->features[i];
        n->split = number_at(&p->splits, i);
        n->missing_true = p->missing && p->missing[i] == 1;
        if ((size_t)n->feature >= t->features) t->features = (size_t)n->feature + 1;
        if (n->mode != OX_TREE_LEQ || n->missing_true) t->all_leq = false;
    }
    return OX_OK;
}

static ox_status build(struct raw *r, struct ox_trees *t) {
    const struct ox_tree_params *p = r->p;
    ox_ctx *ctx = r->call->ctx;
    if (p->n_nodes > NODES_MAX || p->n_leaves > NODES_MAX || p->weights.n > NODES_MAX)
        return ox_bad_attr(r->call, "too many nodes");
    OX_TRY(ox_alloc(ctx, &r->nodes, p->n_nodes, sizeof *r->nodes));
    OX_TRY(ox_alloc(ctx, &r->order, p->n_nodes, sizeof *r->order));
    OX_TRY(ox_alloc(ctx, &r->open, p->n_nodes, sizeof *r->open));
    OX_TRY(ox_alloc(ctx, &r->child, p->n_nodes, sizeof *r->child));
    OX_TRY(ox_alloc(ctx, &r->stack, 3 * p->n_nodes + 1, sizeof *r->stack));
    OX_TRY(ox_alloc(ctx, &t->nodes, p->n_nodes, sizeof *t->nodes));
    OX_TRY(ox_alloc(ctx, &t->roots, p->flat ? p->n_roots : p->n_nodes, sizeof *t->roots));
    for (size_t i = 0; i < p->n_nodes; i++)
        r->order[i] = -1;
    t->n_leaves = p->n_leaves;
    OX_TRY(read_nodes(r, t));
    OX_TRY(read_sets(r, t));
    OX_TRY(p->flat ? flat_links(r) : paired_links(r, &t->n_leaves));
    OX_TRY(number_all(r, t));
    return place_weights(r, t);
}

ox_status ox_trees_build(struct ox_trees *trees, const struct ox_call *call,
                         const struct ox_tree_params *params) {
    struct raw r = {.call = call, .p = params};
    ox_ctx *ctx = call->ctx;
    *trees = (struct ox_trees){0};
    ox_status s = build(&r, trees);
    ox_key_map_fini(&r.places, ctx);
    ox_free(ctx, r.pairs);
    ox_free(ctx, r.leaf_of);
    ox_free(ctx, r.nodes);
    ox_free(ctx, r.order);
    ox_free(ctx, r.open);
    ox_free(ctx, r.child);
    ox_free(ctx, r.stack);
    if (s != OX_OK) ox_trees_free(trees, ctx);
    return s;
}

void ox_trees_free(struct ox_trees *t, ox_ctx *ctx) {
    ox_free(ctx, t->nodes);
    ox_free(ctx, t->roots);
    ox_free(ctx, t->leaf_begin);
    ox_free(ctx, t->targets);
    ox_free(ctx, t->weights);
    ox_free(ctx, t->members);
    ox_free(ctx, t->set_begin);
    *t = (struct ox_trees){0};
}

/* ---- walking --------------------------------------------------------------------------------- */

static bool is_member(const struct ox_trees *t, size_t set, double x) {
    size_t low = t->set_begin[set], high = t->set_begin[set + 1];
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (t->members[mid] == x) return true;
        if (t->members[mid] < x)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

static bool asks(const struct ox_trees *t, const struct ox_tree_node *n, double x) {
    if (n->missing_true && isnan(x)) return true;
    switch (n->mode) {
    case OX_TREE_LEQ:
        return x <= n->split;
    case OX_TREE_LT:
        return x < n->split;
    case OX_TREE_GTE:
        return x >= n->split;
    case OX_TREE_GT:
        return x > n->split;
    case OX_TREE_EQ:
        return x == n->split;
    case OX_TREE_NEQ:
        return x != n->split;
    default:
        return is_member(t, (size_t)n->split, x);
    }
}

size_t ox_tree_walk(const struct ox_trees *t, int32_t at, const double *row) {
    if (t->all_leq)
        while (at >= 0)
            at = t->nodes[at].next[row[t->nodes[at].feature] <= t->nodes[at].split];
    else
        while (at >= 0)
            at = t->nodes[at].next[asks(t, &t->nodes[at], row[t->nodes[at].feature])];
    return (size_t)~at;
}
