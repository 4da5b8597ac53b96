/* passes/simplify/identity.c - nodes that compute nothing: their input takes the place of their
 * output.
 *
 * All rules are exact, with one exception that IEEE 754 makes: x + 0 is +0 where x is -0, so
 * without the addition a zero may have the other sign. The values are equal as numbers.
 *
 * `y like x` says that type, rank and every dim are known to be the same, symbolic dims included.
 * For operators that only rearrange or select, that is often all there is to ask: a Reshape, Expand
 * or Tile whose output has its input's shape copies it. */
#include "ir/ops/params.h"
#include "passes/rules/consts.h"
#include "passes/rules/rule.h"
#include <math.h>

static ox_status inference(struct ox_match *m) {
    return ox_node_pure(ox_match_root(m)) ? OX_OK
                                          : ox_match_refuse(m, "it may be in training mode");
}

static ox_status pads_zero(struct ox_match *m) {
    struct ox_pad_params p;
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_root(m)));
    if (!p.known) return ox_match_refuse(m, "the pads are not constant");
    for (int i = 0; i < p.n; i++)
        if (p.pads[i] != 0) return ox_match_refuse(m, "it pads");
    return OX_OK;
}

/* With steps forward and nothing missing from the result, all is taken in order. */
static ox_status steps_forward(struct ox_match *m) {
    struct ox_slice_params p;
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_root(m)));
    if (!p.steps.given) return OX_OK;
    if (!p.steps.known) return ox_match_refuse(m, "the steps are not constant");
    for (int i = 0; i < p.steps.n; i++)
        if (p.steps.at[i] < 1) return ox_match_refuse(m, "a step is negative");
    return OX_OK;
}

/* Does a permutation keep the order of all dims but those of size 1? */
static ox_status perm_keeps_order(struct ox_match *m) {
    struct ox_transpose_params p;
    const struct ox_type *x = ox_match_type(m, "x");
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_root(m)));
    int64_t last = -1;
    for (int i = 0; i < x->rank; i++) {
        int64_t from = p.perm.given ? p.perm.at[i] : x->rank - 1 - i;
        if (ox_dim_same(x->dims[from], ox_dim_const(1))) continue;
        if (from < last) return ox_match_refuse(m, "it moves elements");
        last = from;
    }
    return OX_OK;
}

static ox_status block_one(struct ox_match *m) {
    const struct ox_attr *a = ox_node_attr(ox_match_root(m), "blocksize");
    return a && a->type == OX_ATTR_INT && a->v.i == 1
               ? OX_OK
               : ox_match_refuse(m, "the block is larger than 1");
}

/* Operands of Concat without elements say nothing. */
static ox_status drop_empty(struct ox_match *m) {
    struct ox_node *root = ox_match_root(m), *node;
    struct ox_concat_params p;
    OX_TRY(ox_match_params(&p, sizeof p, m, root));
    const struct ox_type *y = root->out[0]->type;
    if (!ox_type_is_tensor(y) || y->rank < 1) return ox_match_refuse(m, "the rank is not known");
    int64_t axis = p.axis < 0 ? p.axis + y->rank : p.axis;
    struct ox_value *kept = NULL;
    size_t n = 0;
    for (size_t pass = 0; pass < 2; pass++) {
        if (pass == 1 && (n == root->n_in || n == 0))
            return ox_match_refuse(m, "no operand is empty, or all are");
        if (pass == 1 && n == 1) return ox_match_replace(m, root->out[0], kept);
        if (pass == 1) OX_TRY(ox_match_add(&node, m, "Concat", n, 1));
        n = 0;
        for (size_t i = 0; i < root->n_in; i++) {
            if (!root->in[i].value) return ox_match_refuse(m, "an operand is absent");
            const struct ox_type *t = root->in[i].value->type;
            if (ox_type_is_tensor(t) && t->rank == y->rank &&
                ox_dim_same(t->dims[axis], ox_dim_const(0)))
                continue;
            kept = root->in[i].value;
            if (pass == 1) ox_use_set(&node->in[n], kept);
            n++;
        }
    }
    OX_TRY(ox_match_copy_attrs(node, root));
    return ox_match_replace(m, root->out[0], node->out[0]);
}

/* The dtype of x becomes Cast's attribute. */
static ox_status cast_like(struct ox_match *m) {
    const struct ox_type *like = ox_match_type(m, "like");
    struct ox_node *root = ox_match_root(m);
    if (!ox_type_is_tensor(like) || like->dtype == OX_UNDEFINED)
        return ox_match_refuse(m, "the type is not known");
    if (ox_node_opset(root) < 19) OX_TRY(ox_match_drop(m, "cast", "saturate"));
    return ox_match_set_int(m, "cast", "to", (int64_t)like->dtype);
}

static ox_status clip_open(struct ox_match *m) {
    struct ox_clip_params p;
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_root(m)));
    if ((p.has_min && !(p.min_known && p.min == -(double)INFINITY)) ||
        (p.has_max && !(p.max_known && p.max == (double)INFINITY)))
        return ox_match_refuse(m, "it has bounds");
    return OX_OK;
}

/* Indices 0, 1, ... n-1 along an axis of n. */
static ox_status gather_all(struct ox_match *m) {
    const ox_tensor *t = ox_match_const(m, "i");
    if (!ox_const_readable(t->dtype)) return ox_match_refuse(m, "the indices are not integers");
    for (size_t i = 0; i < t->count; i++)
        if (ox_const_at(t, i) != (double)i)
            return ox_match_refuse(m, "the indices are in another order");
    return OX_OK;
}

/* A window of one element on every element. */
static ox_status pool_one(struct ox_match *m) {
    struct ox_pool_params p;
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_root(m)));
    for (int i = 0; i < OX_WINDOW_MAX; i++)
        if (p.window.kernel[i] != 1 || p.window.strides[i] != 1 || p.window.begin[i] ||
            p.window.end[i])
            return ox_match_refuse(m, "the window is larger than 1, or steps over elements");
    return OX_OK;
}

/* The same size by a scale of 1 puts every element on itself, whatever lies between is never asked
 * for; only a region of interest (tf_crop_and_resize) shows another part. */
static ox_status resize_same(struct ox_match *m) {
    struct ox_node *root = ox_match_root(m);
    struct ox_value *x = ox_node_in(root, 0), *y = root->out[0];
    if (!x || !ox_type_is_tensor(x->type) || x->type->rank < 0 || !ox_type_same(x->type, y->type))
        return ox_match_refuse(m, "it resizes");
    struct ox_resize_params p;
    double v = 1;
    OX_TRY(ox_match_params(&p, sizeof p, m, root));
    if (p.coords == OX_COORDS_TF_CROP_AND_RESIZE) return ox_match_refuse(m, "it crops");
    const struct ox_value *scales = p.scales_at >= 0 ? ox_node_in(root, (size_t)p.scales_at) : NULL;
    const ox_tensor *t = ox_value_const(scales);
    for (size_t i = 0; i < p.n_scales; i++)
        if (p.scales && p.scales[i] != 1) return ox_match_refuse(m, "a scale is not 1");
    if (scales && t && t->count > 0 && (!ox_const_splat(&v, t) || v != 1))
        return ox_match_refuse(m, "a scale is not 1");
    if (scales && !t) return ox_match_refuse(m, "the scales are not constant");
    return ox_match_replace(m, y, x);
}

/* clang-format off */
static const struct ox_rule rules[] = {
    {"identity",   "y = Identity(x)",             NULL,                          "y -> x", NULL},
    {"dropout",    "y = Dropout(x, ratio, mode)", "y like x",                    "y -> x", inference},
    {"cast",       "y = Cast(x)",                 "y like x",                    "y -> x", NULL},
    {"cast",       "y = CastLike(x, like)",       "y like x",                    "y -> x", NULL},
    {"cast-like",  "[cast] y = CastLike(x, like)", NULL,                         "[cast] y = Cast(x)", cast_like},

    {"reshape",    "y = Reshape(x, s)",           "y like x",                    "y -> x", NULL},
    {"reshape",    "y = Flatten(x)",              "y like x",                    "y -> x", NULL},
    {"reshape",    "y = Squeeze(x, axes)",        "y like x",                    "y -> x", NULL},
    {"reshape",    "y = Unsqueeze(x, axes)",      "y like x",                    "y -> x", NULL},
    {"transpose",  "y = Transpose(x)",            "y like x",                    "y -> x", perm_keeps_order},
    {"expand",     "y = Expand(x, s)",            "y like x",                    "y -> x", NULL},
    {"expand",     "y = Tile(x, n)",              "y like x",                    "y -> x", NULL},
    {"slice",      "y = Slice(x, b, e, a, s)",    "y like x",                    "y -> x", steps_forward},
    {"slice",      "y = Gather(x, i)",            "y like x; i const",           "y -> x", gather_all},
    {"pad",        "y = Pad(x, p, v, a)",         "y like x",                    "y -> x", pads_zero},
    {"concat",     "y = Concat(x)",               "y like x",                    "y -> x", NULL},
    {"concat",     "y = Concat()",                NULL,                          NULL,     drop_empty},
    {"split",      "y = Split(x, s)",             "y like x",                    "y -> x", NULL},
    {"space",      "y = DepthToSpace(x)",         "y like x",                    "y -> x", block_one},
    {"space",      "y = SpaceToDepth(x)",         "y like x",                    "y -> x", block_one},

    {"add-zero",   "y = Add(x, c)",               "c is 0; y like x",            "y -> x", NULL},
    {"add-zero",   "y = Sub(x, c)",               "c is 0; y like x",            "y -> x", NULL},
    {"mul-one",    "y = Mul(x, c)",               "c is 1; y like x",            "y -> x", NULL},
    {"mul-one",    "y = Div(x, c)",               "c is 1; y like x",            "y -> x", NULL},
    {"mul-one",    "y = Pow(x, c)",               "c is 1; y like x",            "y -> x", NULL},
    {"logic-unit", "y = And(x, c)",               "c is 1; y like x",            "y -> x", NULL},
    {"logic-unit", "y = Or(x, c)",                "c is 0; y like x",            "y -> x", NULL},
    {"logic-unit", "y = Xor(x, c)",               "c is 0; y like x",            "y -> x", NULL},
    {"clip",       "y = Clip(x, lo, hi)",         "y like x",                    "y -> x", clip_open},

    {"pool-one",   "y = MaxPool(x)",              "y like x",                    "y -> x", pool_one},
    {"pool-one",   "y = AveragePool(x)",          "y like x",                    "y -> x", pool_one},
    {"resize-one", "y = Resize()",                NULL,                          NULL,     resize_same},
    {"resize-one", "y = Upsample()",              NULL,                          NULL,     resize_same},
    {"zero-bias",  "[c] y = Conv(x, w, b)",           "b is 0",                  "[c] y = Conv(x, w)", NULL},
    {"zero-bias",  "[c] y = ConvTranspose(x, w, b)",  "b is 0",                  "[c] y = ConvTranspose(x, w)", NULL},
    {"zero-bias",  "[c] y = Gemm(x, w, b)",           "b is 0; opset 11",        "[c] y = Gemm(x, w)", NULL},

    {"variadic",   "y = Sum(x)",                  "y like x",                    "y -> x", NULL},
    {"variadic",   "y = Mean(x)",                 "y like x",                    "y -> x", NULL},
    {"variadic",   "y = Max(x)",                  "y like x",                    "y -> x", NULL},
    {"variadic",   "y = Min(x)",                  "y like x",                    "y -> x", NULL},

    {"where",      "y = Where(c, x, x)",          "y like x",                    "y -> x", NULL},
    {"where",      "y = Where(c, x, z)",          "c is 1; y like x",            "y -> x", NULL},
    {"where",      "y = Where(c, z, x)",          "c is 0; y like x",            "y -> x", NULL},

    /* Over axes of size 1 each of these takes one element. */
    {"reduce-one", "y = ReduceSum(x, axes)",      "y like x",                    "y -> x", NULL},
    {"reduce-one", "y = ReduceMean(x, axes)",     "y like x",                    "y -> x", NULL},
    {"reduce-one", "y = ReduceMax(x, axes)",      "y like x",                    "y -> x", NULL},
    {"reduce-one", "y = ReduceMin(x, axes)",      "y like x",                    "y -> x", NULL},
    {"reduce-one", "y = ReduceProd(x, axes)",     "y like x",                    "y -> x", NULL},
    {"reduce-one", "y = GlobalAveragePool(x)",    "y like x",                    "y -> x", NULL},
    {"reduce-one", "y = GlobalMaxPool(x)",        "y like x",                    "y -> x", NULL},
};
/* clang-format on */

ox_status ox_pass_identity(struct ox_pass_run *run) {
    return ox_rules_run(run, rules, sizeof rules / sizeof rules[0], NULL);
}
