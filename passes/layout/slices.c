/* passes/layout/slices.c - pieces of one tensor that are cut one by one are cut by one Split.
 * Exact.
 *
 * Slices along one axis that together are all of it, each element once, become a Split; so does a
 * sequence of pieces of which only elements at constant places are taken. */
#include "ir/ops/params.h"
#include "passes/rules/consts.h"
#include "passes/rules/rule.h"

enum { PIECES_MAX = 64 };

struct piece {
    int64_t begin, end;
    struct ox_node *node;
};

/* What a Slice takes, if it cuts one axis of known size by constant bounds without steps. */
static ox_status read_piece(bool *fits, struct piece *out, int *axis, struct ox_match *m,
                            struct ox_node *n) {
    struct ox_slice_params p;
    const struct ox_type *x = n->in[0].value->type;
    *fits = false;
    OX_TRY(ox_match_params(&p, sizeof p, m, n));
    if (!p.starts.known || !p.ends.known || p.starts.n != 1 || (p.axes.given && !p.axes.known) ||
        (p.steps.given && !p.steps.known))
        return OX_OK;
    if (p.steps.given && p.steps.at[0] != 1) return OX_OK;
    int64_t a = p.axes.given ? p.axes.at[0] : 0, begin = p.starts.at[0], end = p.ends.at[0];
    if (a < 0) a += x->rank;
    if (a < 0 || a >= x->rank || !ox_dim_is_const(x->dims[a])) return OX_OK;
    int64_t dim = x->dims[a].k;
    if (begin < 0) begin += dim;
    if (end < 0) end += dim;
    if (end > dim) end = dim;
    if (begin < 0 || begin >= end) return OX_OK;
    *axis = (int)a;
    *out = (struct piece){begin, end, n};
    *fits = true;
    return OX_OK;
}

static void insert(struct piece *list, size_t n, struct piece piece) {
    for (; n > 0 && list[n - 1].begin > piece.begin; n--)
        list[n] = list[n - 1];
    list[n] = piece;
}

/* A Split before the root, with these sizes. */
static ox_status add_split(struct ox_node **out, struct ox_match *m, struct ox_value *x,
                           int64_t axis, const int64_t *sizes, size_t n) {
    struct ox_value *v;
    OX_TRY(ox_match_add_ints(&v, m, sizes, n));
    OX_TRY(ox_match_add(out, m, "Split", 2, n));
    ox_use_set(&(*out)->in[0], x);
    ox_use_set(&(*out)->in[1], v);
    return ox_node_set_int(*out, "axis", axis);
}

static ox_status slices(struct ox_match *m) {
    struct ox_node *root = ox_match_root(m), *split;
    struct ox_value *x = ox_node_in(root, 0);
    struct piece pieces[PIECES_MAX], first;
    int64_t sizes[PIECES_MAX], at = 0;
    int axis, other;
    size_t n = 0;
    bool fits;
    if (!x || !ox_type_is_tensor(x->type) || x->type->rank < 1 || x->n_uses > PIECES_MAX)
        return ox_match_refuse(m, "too many or unknown uses");
    OX_TRY(read_piece(&fits, &first, &axis, m, root));
    if (!fits) return ox_match_refuse(m, "not one axis of known size by constant bounds");
    for (struct ox_use *u = x->uses; u; u = u->next) {
        struct piece p;
        if (ox_use_index(u) != 0 || u->user->op != root->op || u->user->graph != root->graph)
            continue;
        OX_TRY(read_piece(&fits, &p, &other, m, u->user));
        if (!fits || other != axis) continue;
        if (u->user->order < root->order)
            return ox_match_refuse(m, "an earlier Slice speaks for all");
        insert(pieces, n++, p);
    }
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].begin != at)
            return ox_match_refuse(m, "the pieces are not all of the axis, each once");
        sizes[i] = pieces[i].end - at;
        at = pieces[i].end;
    }
    if (n < 2 || at != x->type->dims[axis].k)
        return ox_match_refuse(m, "the pieces are not all of the axis, each once");
    OX_TRY(add_split(&split, m, x, axis, sizes, n));
    for (size_t i = 0; i < n; i++)
        OX_TRY(ox_match_replace(m, pieces[i].node->out[0], split->out[i]));
    return OX_OK;
}

/* Sizes of the pieces of a SplitToSequence; *n is 0 where they are not known. */
static ox_status piece_sizes(size_t *n, int64_t *sizes, struct ox_match *m,
                             const struct ox_node *root, int64_t axis) {
    const struct ox_type *x = root->in[0].value->type;
    const ox_tensor *t = ox_value_const(ox_node_in(root, 1));
    int64_t *given;
    size_t count;
    *n = 0;
    if (!t || t->rank > 1 || t->count == 0 || (t->dtype != OX_INT64 && t->dtype != OX_INT32))
        return OX_OK;
    OX_TRY(ox_tensor_ints(&given, &count, ox_match_run(m)->ctx, t));
    if (t->rank == 1 && count <= PIECES_MAX) {
        memcpy(sizes, given, count * sizeof *sizes);
        *n = count;
    } else if (t->rank == 0 && ox_dim_is_const(x->dims[axis]) && given[0] > 0 &&
               x->dims[axis].k / given[0] < PIECES_MAX) {
        for (int64_t left = x->dims[axis].k; left > 0; left -= given[0])
            sizes[(*n)++] = left < given[0] ? left : given[0];
    }
    ox_free(ox_match_run(m)->ctx, given);
    return OX_OK;
}

static ox_status sequence(struct ox_match *m) {
    struct ox_node *root = ox_match_root(m), *split;
    struct ox_value *x = ox_node_in(root, 0);
    const struct ox_attr *a = ox_node_attr(root, "axis");
    int64_t axis = a && a->type == OX_ATTR_INT ? a->v.i : 0, sizes[PIECES_MAX];
    size_t n;
    if (!x || !ox_type_is_tensor(x->type) || x->type->rank < 1)
        return ox_match_refuse(m, "the rank is not known");
    if (axis < 0) axis += x->type->rank;
    if (axis < 0 || axis >= x->type->rank) return ox_match_refuse(m, "the axis is out of range");
    OX_TRY(piece_sizes(&n, sizes, m, root, axis));
    if (n == 0) return ox_match_refuse(m, "the sizes of the pieces are not known");
    for (struct ox_use *u = root->out[0]->uses; u; u = u->next) {
        const ox_tensor *i = ox_value_const(ox_node_in(u->user, 1));
        if (!ox_node_is(u->user, "SequenceAt") || u->user->graph != root->graph ||
            ox_use_index(u) != 0 || !i || i->count != 1 || !ox_const_readable(i->dtype))
            return ox_match_refuse(m,
                                   "the sequence is used as a whole, or an index is not constant");
        double at = ox_const_at(i, 0);
        if (at < -(double)n || at >= (double)n)
            return ox_match_refuse(m, "an index is out of range");
    }
    OX_TRY(add_split(&split, m, x, axis, sizes, n));
    for (struct ox_use *u = root->out[0]->uses; u; u = u->next) {
        double at = ox_const_at(ox_value_const(ox_node_in(u->user, 1)), 0);
        OX_TRY(ox_match_replace(m, u->user->out[0],
                                split->out[at < 0 ? (size_t)(at + (double)n) : (size_t)at]));
    }
    return OX_OK;
}

static const struct ox_rule rules[] = {
    {"slices", "y = Slice()", NULL, NULL, slices},
    {"sequence", "y = SplitToSequence()", NULL, NULL, sequence},
};

ox_status ox_pass_slices(struct ox_pass_run *run) {
    return ox_rules_run(run, rules, sizeof rules / sizeof rules[0], NULL);
}
