/* passes/shape/shapes.c - shape arithmetic whose result is known as far as it matters.
 *
 * Inference knows integer vectors element by element as numbers or symbolic expressions ("batch",
 * "7*seq + 1"). So a Reshape to a computed [batch, 1280] is a Reshape to the constant [0, 1280],
 * and what computed it is dead; likewise for Expand, Slice and Resize. Two values whose elements
 * are known to be the same expressions are one value. And neighbours that only regroup dims are one
 * Reshape.
 *
 * All exact. One case is left out of account: where a dim is written as -1 and another, symbolic
 * dim is 0 when the model runs, Reshape cannot tell the -1. */
#include "ir/ops/params.h"
#include "passes/graph_list.h"
#include "passes/rules/consts.h"
#include "passes/rules/rule.h"
#include "passes/twins.h"

enum { KNOWN_MERGED }; /* the counter that is not a rule's */

/* ---- Reshape -----------------------------------------------------------------------------------
 */

static ox_status regroup(struct ox_match *m) {
    return ox_match_make_dims(m, "spec", ox_match_type(m, "x"), ox_match_type(m, "y"));
}

static ox_status reshape(struct ox_match *m) {
    if (ox_match_const(m, "s")) return ox_match_refuse(m, "its shape is constant already");
    OX_TRY(ox_match_drop(m, "r", "allowzero"));
    return regroup(m);
}

/* ---- Expand ------------------------------------------------------------------------------------
 */

static ox_status expand(struct ox_match *m) {
    int64_t spec[OX_MAX_RANK];
    const struct ox_type *x = ox_match_type(m, "x"), *y = ox_match_type(m, "y");
    if (ox_match_const(m, "s")) return ox_match_refuse(m, "its shape is constant already");
    for (int i = 0; i < y->rank; i++) {
        int at = i - (y->rank - x->rank);
        if (ox_dim_is_const(y->dims[i]))
            spec[i] = y->dims[i].k;
        else if (at >= 0 && ox_dim_same(x->dims[at], y->dims[i]))
            spec[i] = 1;
        else
            return ox_match_refuse(m, "a dim is not known as a number or as a dim of the input");
    }
    return ox_match_make_ints(m, "spec", spec, (size_t)y->rank);
}

/* ---- Slice -------------------------------------------------------------------------------------
 */

/* Elements of an integer operand; NULL where not known. A constant counts, too. */
static void elements(const ox_dim **out, size_t *count, ox_dim *room, const struct ox_match *m,
                     const struct ox_value *v) {
    const struct ox_partial *p = ox_match_known(m, v);
    const ox_tensor *t = ox_value_const(v);
    *out = NULL;
    if (p) {
        *out = p->elems;
        *count = p->count;
    } else if (t && t->rank <= 1 && t->count <= OX_MAX_RANK &&
               (t->dtype == OX_INT64 || t->dtype == OX_INT32)) {
        for (size_t i = 0; i < t->count; i++)
            room[i] = ox_dim_const(ox_tensor_int(t, i));
        *out = room;
        *count = t->count;
    }
}

/* A start or end as a number that means the same for every value of the symbols: a number, or "from
 * the end on". */
static bool bound(int64_t *out, ox_dim v, ox_dim dim) {
    if (ox_dim_is_const(v)) {
        *out = v.k;
        return true;
    }
    if (v.e == dim.e && v.k == dim.k) { /* the whole dim */
        *out = INT64_MAX;
        return true;
    }
    if (v.e == dim.e && v.k < dim.k) { /* dim - k, which is -k as long as that is not below -dim */
        *out = v.k - dim.k;
        return ox_dim_ge(v, 0);
    }
    return false;
}

static ox_status slice(struct ox_match *m) {
    struct ox_slice_params p;
    ox_dim room[2][OX_MAX_RANK];
    const ox_dim *starts, *ends;
    size_t n, n_ends;
    int64_t begin[OX_MAX_RANK], end[OX_MAX_RANK];
    const struct ox_type *x = ox_match_type(m, "x");
    if (ox_match_const(m, "b") && ox_match_const(m, "e"))
        return ox_match_refuse(m, "its bounds are constant already");
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_root(m)));
    if (!ox_type_is_tensor(x) || x->rank < 0 || (p.axes.given && !p.axes.known) ||
        (p.steps.given && !p.steps.known))
        return ox_match_refuse(m, "axes or steps are not constant");
    elements(&starts, &n, room[0], m, ox_match_value(m, "b"));
    elements(&ends, &n_ends, room[1], m, ox_match_value(m, "e"));
    if (!starts || !ends || n != n_ends || n > OX_MAX_RANK)
        return ox_match_refuse(m, "its bounds are not known");
    for (size_t i = 0; i < n; i++) {
        int64_t axis = p.axes.given ? p.axes.at[i] : (int64_t)i,
                step = p.steps.given ? p.steps.at[i] : 1;
        if (axis < 0) axis += x->rank;
        if (axis < 0 || axis >= x->rank || step < 1) return ox_match_refuse(m, "it steps back");
        if (!bound(&begin[i], starts[i], x->dims[axis]) || !bound(&end[i], ends[i], x->dims[axis]))
            return ox_match_refuse(m, "a bound is not known as a number or as the end");
    }
    OX_TRY(ox_match_make_ints(m, "b2", begin, n));
    return ox_match_make_ints(m, "e2", end, n);
}

/* ---- reductions --------------------------------------------------------------------------------
 */

/* y has the dims of x without those that the reduction [r] makes 1: then it need not keep them. */
static ox_status drop_dims(struct ox_match *m) {
    const struct ox_type *x = ox_match_type(m, "x"), *a = ox_match_type(m, "a"),
                         *y = ox_match_type(m, "y");
    struct ox_node *r = ox_match_node(m, "r");
    const struct ox_attr *keep = ox_node_attr(r, "keepdims");
    if (keep && keep->v.i == 0) return ox_match_refuse(m, "no dims are kept");
    if (x->rank < 0 || a->rank != x->rank) return ox_match_refuse(m, "the rank is not known");
    int at = 0;
    const ox_tensor *t = ox_match_const(m, "axes");
    const struct ox_attr *attr = ox_node_attr(r, "axes");
    bool reduced[OX_MAX_RANK] = {false};
    size_t n = t ? t->count : attr ? attr->count : 0;
    if (ox_match_value(m, "axes") && (!t || t->dtype != OX_INT64))
        return ox_match_refuse(m, "the axes are not constant");
    if (n == 0) return ox_match_refuse(m, "no axes are named");
    for (size_t i = 0; i < n; i++) {
        int64_t axis = t ? ox_tensor_int(t, i) : attr->v.ints[i];
        if (axis < 0) axis += x->rank;
        if (axis < 0 || axis >= x->rank) return ox_match_refuse(m, "an axis is out of range");
        reduced[axis] = true;
    }
    for (int i = 0; i < x->rank; i++) {
        if (reduced[i]) continue;
        if (at >= y->rank || !ox_dim_same(x->dims[i], y->dims[at]))
            return ox_match_refuse(m, "other dims are dropped than were reduced");
        at++;
    }
    if (at != y->rank) return ox_match_refuse(m, "other dims are dropped than were reduced");
    return ox_match_set_int(m, "r", "keepdims", 0);
}

/* ---- chains of Slice and Concat ----------------------------------------------------------------
 */

/* Slices along different axes are one Slice. */
static ox_status slice_chain(struct ox_match *m) {
    struct ox_slice_params p[2];
    int64_t v[4][OX_MAX_RANK];
    size_t n = 0;
    const struct ox_type *x = ox_match_type(m, "x");
    OX_TRY(ox_match_params(&p[0], sizeof p[0], m, ox_match_node(m, "a")));
    OX_TRY(ox_match_params(&p[1], sizeof p[1], m, ox_match_root(m)));
    if (!ox_type_is_tensor(x) || x->rank < 0) return ox_match_refuse(m, "the rank is not known");
    for (int k = 0; k < 2; k++) {
        const struct ox_slice_params *q = &p[k];
        if (!q->starts.known || !q->ends.known || (q->axes.given && !q->axes.known) ||
            (q->steps.given && !q->steps.known))
            return ox_match_refuse(m, "the bounds are not constant");
        for (int i = 0; i < q->starts.n; i++, n++) {
            int64_t axis = q->axes.given ? q->axes.at[i] : i;
            if (axis < 0) axis += x->rank;
            for (size_t j = 0; j < n; j++)
                if (v[2][j] == axis) return ox_match_refuse(m, "both cut the same axis");
            if (n == OX_MAX_RANK) return ox_match_refuse(m, "too many axes");
            v[0][n] = q->starts.at[i];
            v[1][n] = q->ends.at[i];
            v[2][n] = axis;
            v[3][n] = q->steps.given ? q->steps.at[i] : 1;
        }
    }
    static const char *const names[] = {"b2", "e2", "a2", "s2"};
    bool steps = false;
    for (size_t i = 0; i < n; i++)
        if (v[3][i] != 1) steps = true;
    for (int k = 0; k < 3; k++)
        OX_TRY(ox_match_make_ints(m, names[k], v[k], n));
    return steps ? ox_match_make_ints(m, "s2", v[3], n) : ox_match_bind(m, "s2", NULL);
}

static ox_status concat_axis(int64_t *axis, struct ox_match *m, const struct ox_node *n) {
    struct ox_concat_params p;
    const struct ox_type *t = n->out[0]->type;
    OX_TRY(ox_match_params(&p, sizeof p, m, n));
    *axis = p.axis < 0 && ox_type_is_tensor(t) && t->rank > 0 ? p.axis + t->rank : p.axis;
    return OX_OK;
}

/* Operands that are a Concat along the same axis and used only here are replaced by their operands,
 * as long as they are not many: each edit copies them all, and a long chain would cost the square
 * of its length. */
enum { CONCAT_MAX = 64 };

static ox_status concat_chain(struct ox_match *m) {
    struct ox_node *root = ox_match_root(m), *node;
    int64_t axis, inner;
    OX_TRY(concat_axis(&axis, m, root));
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1 && n == root->n_in)
            return ox_match_refuse(m, "no operand is a Concat of the same axis for this one only");
        if (pass == 1 && n > CONCAT_MAX) return ox_match_refuse(m, "there would be many operands");
        if (pass == 1) OX_TRY(ox_match_add(&node, m, "Concat", n, 1));
        n = 0;
        for (size_t i = 0; i < root->n_in; i++) {
            struct ox_value *v = root->in[i].value;
            const struct ox_node *d = v ? v->def : NULL;
            inner = axis + 1;
            if (d && d->op == root->op && v->n_uses == 1 && v->graph == root->graph)
                OX_TRY(concat_axis(&inner, m, d));
            if (inner != axis) {
                if (pass == 1) ox_use_set(&node->in[n], v);
                n++;
                continue;
            }
            for (size_t k = 0; k < d->n_in; k++, n++)
                if (pass == 1) ox_use_set(&node->in[n], d->in[k].value);
        }
    }
    OX_TRY(ox_match_copy_attrs(node, root));
    return ox_match_replace(m, root->out[0], node->out[0]);
}

/* Concat of all parts of a Split in their order is what was split. */
static ox_status concat_of_split(struct ox_match *m) {
    struct ox_node *root = ox_match_root(m),
                   *split = ox_node_in(root, 0) ? root->in[0].value->def : NULL;
    struct ox_split_params p;
    int64_t axis;
    if (!split || !ox_node_is(split, "Split") || split->n_out != root->n_in)
        return ox_match_refuse(m, "not all parts of a Split");
    for (size_t i = 0; i < root->n_in; i++)
        if (root->in[i].value != split->out[i])
            return ox_match_refuse(m, "not the parts of a Split in their order");
    OX_TRY(concat_axis(&axis, m, root));
    OX_TRY(ox_match_params(&p, sizeof p, m, split));
    const struct ox_type *t = root->out[0]->type;
    if (p.axis < 0 && t->rank > 0) p.axis += t->rank;
    if (p.axis != axis) return ox_match_refuse(m, "joined along another axis");
    return ox_match_replace(m, root->out[0], split->in[0].value);
}

/* clang-format off */
#define REGROUP(first, second) {"regroup", "a = " first "  y = " second, "x tensor; y tensor", "y = Reshape(x, spec)", regroup}
#define REDUCE(name) \
    {"reduce", "[r] a = " name "(x, axes)  y = Reshape(a, s)", "x tensor; y tensor", "[r] y = " name "(x, axes)", drop_dims}, \
    {"reduce", "[r] a = " name "(x, axes)  y = Squeeze(a, s)", "x tensor; y tensor", "[r] y = " name "(x, axes)", drop_dims}, \
    {"reduce", "[r] a = " name "(x, axes)  y = Flatten(a)",    "x tensor; y tensor", "[r] y = " name "(x, axes)", drop_dims}

static const struct ox_rule rules[] = {
    {"reshape", "[r] y = Reshape(x, s)",      "y tensor",           "[r] y = Reshape(x, spec)",        reshape},
    {"expand",  "y = Expand(x, s)",           "x tensor; y tensor", "y = Expand(x, spec)",             expand},
    {"slice",   "y = Slice(x, b, e, a, s)",   NULL,                 "y = Slice(x, b2, e2, a, s)",      slice},

    REGROUP("Reshape(x, s)",   "Reshape(a, t)"),
    REGROUP("Reshape(x, s)",   "Flatten(a)"),
    REGROUP("Reshape(x, s)",   "Squeeze(a, t)"),
    REGROUP("Reshape(x, s)",   "Unsqueeze(a, t)"),
    REGROUP("Flatten(x)",      "Reshape(a, t)"),
    REGROUP("Flatten(x)",      "Flatten(a)"),
    REGROUP("Flatten(x)",      "Unsqueeze(a, t)"),
    REGROUP("Squeeze(x, s)",   "Reshape(a, t)"),
    REGROUP("Squeeze(x, s)",   "Flatten(a)"),
    REGROUP("Squeeze(x, s)",   "Squeeze(a, t)"),
    REGROUP("Squeeze(x, s)",   "Unsqueeze(a, t)"),
    REGROUP("Unsqueeze(x, s)", "Reshape(a, t)"),
    REGROUP("Unsqueeze(x, s)", "Flatten(a)"),
    REGROUP("Unsqueeze(x, s)", "Squeeze(a, t)"),
    REGROUP("Unsqueeze(x, s)", "Unsqueeze(a, t)"),

    REDUCE("ReduceMean"),
    REDUCE("ReduceSum"),
    REDUCE("ReduceMax"),
    REDUCE("ReduceMin"),

    {"slice-chain",  "a = Slice(x, b, e, p, s)  y = Slice(a, f, g, q, t)", NULL, "y = Slice(x, b2, e2, a2, s2)", slice_chain},
    {"concat-split", "y = Concat()", NULL, NULL, concat_of_split},
    {"concat-chain", "y = Concat()", NULL, NULL, concat_chain},
};
/* clang-format on */

/* ---- values known to be the same ---------------------------------------------------------------
 */

static uint64_t hash_of(const struct ox_value *v, const struct ox_partial *p) {
    uint64_t h = (uint64_t)v->type->dtype * 64 + (uint64_t)p->rank * 32 + p->count;
    for (size_t i = 0; i < p->count; i++) {
        h = (h ^ (uint64_t)p->elems[i].k) * 0x9fb21c651e98df25u;
        h = (h ^ h >> 29 ^ (uint64_t)(uintptr_t)p->elems[i].e) * 0xd6e8feb86659fd93u;
    }
    return h ^ h >> 32;
}

static bool same_known(const struct ox_value *a, const struct ox_partial *p,
                       const struct ox_value *b, const struct ox_partial *q) {
    if (a->type->dtype != b->type->dtype || p->rank != q->rank || p->count != q->count)
        return false;
    for (size_t i = 0; i < p->count; i++)
        if (!ox_dim_same(p->elems[i], q->elems[i])) return false;
    return true;
}

static bool may_stand(const void *arg, const void *x, const void *y) {
    const struct ox_shapes *shapes = arg;
    const struct ox_value *first = x, *v = y;
    return same_known(first, ox_shapes_value(shapes, first), v, ox_shapes_value(shapes, v)) &&
           ox_value_visible(first, v->def);
}

static ox_status merge_value(struct ox_pass_run *run, struct ox_twins *t,
                             const struct ox_shapes *shapes, struct ox_value *v) {
    struct ox_value *first;
    const struct ox_partial *p = ox_shapes_value(shapes, v);
    if (!p || p->count == 0 || v->n_uses == 0 || !ox_type_is_tensor(v->type) ||
        !ox_rewrite_allowed(run))
        return OX_OK;
    OX_TRY(ox_twins_meet(&first, t, hash_of(v, p), v, may_stand, shapes));
    if (!first) return OX_OK;
    ox_value_replace(v, first);
    ox_rewrite_done(run, KNOWN_MERGED);
    return OX_OK;
}

static ox_status merge_known(struct ox_pass_run *run, const struct ox_shapes *shapes) {
    struct ox_graph_list graphs;
    struct ox_twins t = {.ctx = run->ctx};
    OX_TRY(ox_graph_list_init(&graphs, run->model));
    ox_status s = OX_OK;
    for (size_t i = 0; i < graphs.n; i++)
        for (struct ox_node *n = ox_graph_begin(graphs.at[i]); n && s == OX_OK; n = ox_node_next(n))
            for (size_t k = 0; n->op && k < n->n_out && s == OX_OK; k++)
                if (n->out[k] && ox_node_pure(n)) s = merge_value(run, &t, shapes, n->out[k]);
    ox_twins_fini(&t);
    ox_graph_list_fini(&graphs);
    return s;
}

ox_status ox_pass_shapes(struct ox_pass_run *run) {
    const struct ox_shapes *shapes;
    OX_TRY(ox_pass_shapes_now(&shapes, run));
    ox_status s = ox_rules_run(run, rules, sizeof rules / sizeof rules[0], shapes);
    if (s == OX_OK) s = merge_known(run, shapes);
    return s;
}
