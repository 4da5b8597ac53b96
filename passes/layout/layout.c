/* passes/layout/layout.c - transposes meet and cancel; constant factors move to where a weight can
 * take them.
 *
 * A Transpose commutes with whatever works element by element, so a Transpose behind a chain of
 * such operators behind another Transpose is merged with it and the chain runs in the first one's
 * order. Only edits that leave fewer nodes are made, and one that does not: a constant operand
 * moves from behind a Transpose or Reshape to before it when a matrix product or convolution there
 * can take it into its weights (fuse_conv.c, fuse_matmul.c).
 *
 * Exact, but for the factor that moves from a matrix product to one of its operands: (a b) c = (a
 * c) b, one rounding of each element. */
#include "ir/ops/params.h"
#include "passes/rules/consts.h"
#include "passes/rules/rule.h"

enum { CHAIN_MAX = 16, OPERANDS_MAX = 8 };

/* The permutation of a Transpose whose data has a known rank: output dim i is input dim perm[i]. */
static bool perm_of(int64_t *perm, const struct ox_node *node) {
    const struct ox_value *x = ox_node_in(node, 0);
    const struct ox_attr *a = ox_node_attr(node, "perm");
    if (!ox_node_is(node, "Transpose") || !x || x->type->rank < 0 ||
        (a && (a->ref || a->type != OX_ATTR_INTS)))
        return false;
    int rank = x->type->rank;
    if (a && a->count != (size_t)rank) return false;
    for (int i = 0; i < rank; i++)
        perm[i] = a ? a->v.ints[i] : rank - 1 - i;
    return true;
}

static void compose(int64_t *out, const int64_t *first, const int64_t *second, int rank) {
    for (int i = 0; i < rank; i++)
        out[i] = first[second[i]];
}

static bool is_identity(const int64_t *perm, int rank) {
    for (int i = 0; i < rank; i++)
        if (perm[i] != i) return false;
    return true;
}

static bool same_perm(const int64_t *a, const int64_t *b, int rank) {
    return rank == 0 || memcmp(a, b, (size_t)rank * sizeof *a) == 0;
}

/* A constant that is broadcast against data in a permuted order, in the order before: its dims,
 * filled up with ones, go back. */
static ox_status unpermute(ox_tensor **out, ox_ctx *ctx, const ox_tensor *c, const int64_t *perm,
                           int rank) {
    int64_t dims[OX_MAX_RANK];
    int wide = 0, first = 0, lead = rank - c->rank;
    for (int i = 0; i < rank; i++)
        dims[i] = 1;
    for (int i = lead; i < rank; i++) {
        dims[perm[i]] = c->dims[i - lead];
        if (c->dims[i - lead] != 1) wide++;
    }
    while (first < rank && dims[first] == 1)
        first++;
    if (wide <= 1) return ox_tensor_reshape(out, ctx, c, rank - first, dims + first);
    *out = NULL; /* elements would have to be moved: left to a Transpose that is folded */
    return OX_OK;
}

/* ---- two transposes ---------------------------------------------------------------------------
 */

static ox_status merge_two(struct ox_match *m) {
    int64_t p[OX_MAX_RANK], q[OX_MAX_RANK], both[OX_MAX_RANK];
    int rank = ox_match_type(m, "x")->rank;
    if (!perm_of(p, ox_match_node(m, "a")) || !perm_of(q, ox_match_root(m)))
        return ox_match_refuse(m, "the rank is not known");
    compose(both, p, q, rank);
    return ox_match_set_ints(m, "t", "perm", both, (size_t)rank);
}

/* Does the Transpose keep the order of all dims but those of size 1? Then it is a Reshape. */
static bool only_ones_move(const struct ox_node *t) {
    int64_t p[OX_MAX_RANK], last = -1;
    if (!perm_of(p, t)) return false;
    const struct ox_type *x = t->in[0].value->type;
    for (int i = 0; i < x->rank; i++) {
        if (ox_dim_same(x->dims[p[i]], ox_dim_const(1))) continue;
        if (p[i] < last) return false;
        last = p[i];
    }
    return true;
}

static ox_status as_reshape(struct ox_match *m) {
    if (!only_ones_move(ox_match_node(m, "t")))
        return ox_match_refuse(m, "the Transpose moves elements");
    return ox_match_make_dims(m, "spec", ox_match_type(m, "x"), ox_match_type(m, "y"));
}

/* ---- a chain of element-wise operators between two transposes
 * ------------------------------------ */

/* What an operand of a chain's node is in the order before the first Transpose. */
static bool operand_ok(const struct ox_value *v, const int64_t *perm, int rank) {
    int64_t p[OX_MAX_RANK];
    const ox_tensor *c = ox_value_const(v);
    if (!v) return true;
    if (c) return c->rank <= rank;
    if (v->type->rank == 0) return true;
    return v->def && perm_of(p, v->def) && v->type->rank == rank && same_perm(p, perm, rank);
}

static ox_status operand_before(struct ox_value **out, struct ox_match *m, struct ox_value *v,
                                const int64_t *perm, int rank) {
    const ox_tensor *c = ox_value_const(v);
    ox_tensor *t;
    *out = v;
    if (!v || (c && c->count == 1 && c->rank == 0) || (!c && v->type->rank == 0)) return OX_OK;
    if (!c) {
        *out = v->def->in[0].value;
        return OX_OK;
    }
    OX_TRY(unpermute(&t, ox_match_run(m)->ctx, c, perm, rank));
    if (t) return ox_match_add_const(out, m, t, v);
    int64_t dims[OX_MAX_RANK], back[OX_MAX_RANK];
    struct ox_node *node;
    struct ox_value *wide;
    for (int i = 0; i < rank; i++) {
        dims[i] = i < rank - c->rank ? 1 : c->dims[i - (rank - c->rank)];
        back[perm[i]] = i;
    }
    OX_TRY(ox_tensor_reshape(&t, ox_match_run(m)->ctx, c, rank, dims));
    OX_TRY(ox_match_add_const(&wide, m, t, v));
    OX_TRY(ox_match_add(&node, m, "Transpose", 1, 1));
    ox_use_set(&node->in[0], wide);
    *out = node->out[0];
    return ox_node_set_ints(node, "perm", back, (size_t)rank);
}

/* Nodes from just behind the first Transpose to just before the second; 0: there is no such chain.
 */
static size_t find_chain(struct ox_node **chain, int64_t *perm, const struct ox_node *root,
                         int rank) {
    struct ox_node *found[CHAIN_MAX];
    size_t n = 0;
    struct ox_value *v = root->in[0].value;
    for (;;) {
        struct ox_node *d = v->def, *up = NULL;
        bool transposed = false;
        if (!d || !d->op || n == CHAIN_MAX || v->n_uses != 1 || d->graph != root->graph ||
            d->n_out != 1 || d->n_in > OPERANDS_MAX)
            return 0;
        if (!(d->op->traits & OX_ELTWISE) || !ox_node_pure(d) || v->type->rank != rank) return 0;
        found[n++] = d;
        for (size_t i = 0; i < d->n_in; i++) { /* on through the one operand that is neither a
                                                  constant, a scalar nor transposed */
            struct ox_value *in = d->in[i].value;
            if (!in || ox_value_const(in) || in->type->rank == 0) continue;
            if (in->def && in->type->rank == rank && perm_of(perm, in->def)) {
                transposed = true;
                continue;
            }
            if (up) return 0;
            up = in->def;
            v = in;
        }
        if (!up && transposed) break;
        if (!up) return 0;
    }
    for (size_t i = 0; i < n; i++)
        chain[i] = found[n - 1 - i];
    return n;
}

static ox_status copy_in_order(struct ox_value **last, struct ox_match *m, struct ox_node *from,
                               const struct ox_value *chained, const int64_t *perm, int rank) {
    struct ox_node *node;
    struct ox_value *operands[OPERANDS_MAX];
    for (size_t i = 0; i < from->n_in;
         i++) { /* first, because some are made by nodes of their own */
        struct ox_value *v = from->in[i].value;
        if (v && v == chained)
            operands[i] = *last;
        else
            OX_TRY(operand_before(&operands[i], m, v, perm, rank));
    }
    OX_TRY(ox_match_add(&node, m, from->type->text, from->n_in, 1));
    OX_TRY(ox_match_copy_attrs(node, from));
    node->name = from->name;
    node->notes = from->notes;
    for (size_t i = 0; i < from->n_in; i++)
        ox_use_set(&node->in[i], operands[i]);
    *last = node->out[0];
    return OX_OK;
}

/* y = Transpose(chain(Transpose(x))) */
static ox_status through_chain(struct ox_match *m) {
    struct ox_node *root = ox_match_root(m), *chain[CHAIN_MAX], *t;
    int64_t p[OX_MAX_RANK], q[OX_MAX_RANK], both[OX_MAX_RANK];
    if (!perm_of(q, root)) return ox_match_refuse(m, "the rank is not known");
    int rank = root->in[0].value->type->rank;
    size_t n = find_chain(chain, p, root, rank);
    if (n == 0)
        return ox_match_refuse(m, "no chain of element-wise operators leads to another Transpose");
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < chain[i]->n_in; k++)
            if (!(i > 0 && chain[i]->in[k].value == chain[i - 1]->out[0]) &&
                !operand_ok(chain[i]->in[k].value, p, rank))
                return ox_match_refuse(m, "an operand between the transposes has its own order");
    struct ox_value *last = NULL;
    for (size_t i = 0; i < n; i++)
        OX_TRY(copy_in_order(&last, m, chain[i], i ? chain[i - 1]->out[0] : NULL, p, rank));
    compose(both, p, q, rank);
    if (is_identity(both, rank)) return ox_match_replace(m, root->out[0], last);
    OX_TRY(ox_match_add(&t, m, "Transpose", 1, 1));
    ox_use_set(&t->in[0], last);
    OX_TRY(ox_node_set_ints(t, "perm", both, (size_t)rank));
    return ox_match_replace(m, root->out[0], t->out[0]);
}

/* Two operands in the same permuted order: permuted once, behind. */
static ox_status both_operands(struct ox_match *m) {
    int64_t p[OX_MAX_RANK], q[OX_MAX_RANK];
    const struct ox_type *x = ox_match_type(m, "x"), *z = ox_match_type(m, "z");
    if (!perm_of(p, ox_match_node(m, "a")) || !perm_of(q, ox_match_node(m, "b")) ||
        x->rank != z->rank || !same_perm(p, q, x->rank))
        return ox_match_refuse(m, "the permutations differ");
    return ox_match_set_ints(m, "t", "perm", p, (size_t)x->rank);
}

/* ---- reductions --------------------------------------------------------------------------------
 */

/* Dims that are reduced away need not be moved: the axes are named in the order before, if those
 * that stay keep their order. */
static ox_status reduce(struct ox_match *m) {
    struct ox_node *r = ox_match_root(m);
    const struct ox_attr *keep = ox_node_attr(r, "keepdims"), *attr = ox_node_attr(r, "axes");
    const ox_tensor *t = ox_match_const(m, "axes");
    int64_t p[OX_MAX_RANK], axes[OX_MAX_RANK], last = -1;
    bool reduced[OX_MAX_RANK] = {false};
    size_t n = t ? t->count : attr ? attr->count : 0;
    int rank = ox_match_type(m, "x")->rank;
    if (!perm_of(p, ox_match_node(m, "a"))) return ox_match_refuse(m, "the rank is not known");
    if (!keep || keep->v.i != 0) return ox_match_refuse(m, "dims are kept");
    if (n == 0 || n > OX_MAX_RANK || (t && t->dtype != OX_INT64))
        return ox_match_refuse(m, "the axes are not constant");
    for (size_t i = 0; i < n; i++) {
        int64_t axis = t ? ox_tensor_int(t, i) : attr->v.ints[i];
        if (axis < 0) axis += rank;
        if (axis < 0 || axis >= rank) return ox_match_refuse(m, "an axis is out of range");
        reduced[axis] = true;
        axes[i] = p[axis];
    }
    for (int i = 0; i < rank; i++) {
        if (reduced[i]) continue;
        if (p[i] < last) return ox_match_refuse(m, "the dims that stay are moved");
        last = p[i];
    }
    OX_TRY(ox_match_drop(m, "r", "axes"));
    return ox_match_make_ints(m, "axes2", axes, n);
}

/* ---- constant operands move up
 * ------------------------------------------------------------------- */

/* Can a factor of v be taken into weights further up? Through operators that only rearrange, and
 * sums with constants. */
static bool takes_factor(const struct ox_value *v, int depth) {
    const struct ox_node *d = v->def;
    if (!d || !d->op || v->n_uses != 1 || depth == 0) return false;
    if (ox_node_is(d, "MatMul") || ox_node_is(d, "Gemm") || ox_node_is(d, "Conv")) {
        const ox_tensor *w = ox_value_const(ox_node_in(d, 1));
        return w && ox_dtype_is_float(w->dtype) && d->in[1].value->n_uses == 1;
    }
    if (ox_node_is(d, "Transpose") || ox_node_is(d, "Reshape"))
        return takes_factor(d->in[0].value, depth - 1);
    if (ox_node_is(d, "Add") && d->in[0].value && d->in[1].value) {
        if (ox_value_const(d->in[1].value)) return takes_factor(d->in[0].value, depth - 1);
        if (ox_value_const(d->in[0].value)) return takes_factor(d->in[1].value, depth - 1);
    }
    return false;
}

static ox_status factor_up(struct ox_match *m) /* through Reshape, a single number */
{
    return takes_factor(ox_match_value(m, "x"), 8)
               ? OX_OK
               : ox_match_refuse(m, "no weight further up can take it");
}

static ox_status constant_up(struct ox_match *m) /* through Transpose, in the order before */
{
    struct ox_value *v = ox_match_value(m, "c");
    const ox_tensor *c = ox_value_const(v);
    int64_t p[OX_MAX_RANK];
    ox_tensor *t;
    int rank = ox_match_type(m, "x")->rank;
    if (!perm_of(p, ox_match_node(m, "t")) || c->rank > rank)
        return ox_match_refuse(m, "the constant has more dims, or the rank is not known");
    if (!takes_factor(ox_match_value(m, "x"), 8))
        return ox_match_refuse(m, "no weight further up can take it");
    OX_TRY(unpermute(&t, ox_match_run(m)->ctx, c, p, rank));
    if (!t) return ox_match_refuse(m, "the constant varies along several dims");
    return ox_match_make(m, "c2", t, v);
}

/* Which operand of the product takes the factor; as `f` for the first and `g` for the second. */
static ox_status into_operand(struct ox_match *m) {
    double v;
    if (!ox_const_splat(&v, ox_match_const(m, "c"))) return ox_match_refuse(m, "not one number");
    return takes_factor(ox_match_value(m, "x"), 8)
               ? OX_OK
               : ox_match_refuse(m, "no weight of the first operand can take it");
}

static ox_status into_second(struct ox_match *m) {
    return takes_factor(ox_match_value(m, "z"), 8)
               ? OX_OK
               : ox_match_refuse(m, "no weight of the second operand can take it");
}

/* clang-format off */
#define BOTH(op) {"both", "a = Transpose(x)  b = Transpose(z)  [e] y = " op "(a, b)", "x tensor; z tensor", \
                  "[e] e = " op "(x, z)  [t] y = Transpose(e)", both_operands}
#define REDUCE(op) {"reduce", "a = Transpose(x)  [r] y = " op "(a, axes)", "x tensor; a shared", "[r] y = " op "(x, axes2)", reduce}
#define UP(op) \
    {"factor", "[t] t = Transpose(x)  [e] y = " op "(t, c)", "x float; c const", "[e] e = " op "(x, c2)  [t] y = Transpose(e)", constant_up}, \
    {"factor", "[t] t = Reshape(x, s)  [e] y = " op "(t, c)", "x float; c scalar; y like t", "[e] e = " op "(x, c)  [t] y = Reshape(e, s)", factor_up}

static const struct ox_rule rules[] = {
    {"merge", "a = Transpose(x)  [t] y = Transpose(a)", "x tensor; a shared", "[t] y = Transpose(x)", merge_two},
    {"as-reshape", "[t] a = Transpose(x)  y = Reshape(a, s)", "x tensor; y tensor", "y = Reshape(x, spec)", as_reshape},
    {"as-reshape", "a = Reshape(x, s)  [t] y = Transpose(a)", "x tensor; y tensor; a tensor", "y = Reshape(x, spec)", as_reshape},
    {"chain", "y = Transpose()", NULL, NULL, through_chain},
    BOTH("Add"),
    BOTH("Sub"),
    BOTH("Mul"),
    BOTH("Div"),
    REDUCE("ReduceMean"),
    REDUCE("ReduceSum"),
    REDUCE("ReduceMax"),
    REDUCE("ReduceMin"),
    UP("Mul"),
    UP("Div"),
    {"factor", "[mm] p = MatMul(x, z)  [e] y = Mul(p, c)", "x float; c scalar; y like p", "[e] e = Mul(x, c)  [mm] y = MatMul(e, z)", into_operand},
    {"factor", "[mm] p = MatMul(x, z)  [e] y = Div(p, c)", "x float; c scalar; y like p", "[e] e = Div(x, c)  [mm] y = MatMul(e, z)", into_operand},
    {"factor", "[mm] p = MatMul(x, z)  [e] y = Mul(p, c)", "x float; c scalar; y like p", "[e] e = Mul(z, c)  [mm] y = MatMul(x, e)", into_second},
    {"factor", "[mm] p = MatMul(x, z)  [e] y = Div(p, c)", "x float; c scalar; y like p", "[e] e = Div(z, c)  [mm] y = MatMul(x, e)", into_second},
};
/* clang-format on */

ox_status ox_pass_layout(struct ox_pass_run *run) {
    return ox_rules_run(run, rules, sizeof rules / sizeof rules[0], NULL);
}
