/* tests/property/random_layers.c - makers of single operators, in all the variants that their
 * attributes allow. */
#include "tests/property/random_gen.h"

/* ---- windows -----------------------------------------------------------------------------------
 */

/* Sets kernel_shape's companions at random for `n` spatial dims; `outs` of them were strides. */
static void window(struct rg *g, struct ox_node *node, int n, const int64_t *kernel, bool dilate) {
    int64_t strides[2], dilations[2], pads[4];
    bool same = rg_chance(g, 0.2);
    for (int i = 0; i < n; i++) {
        strides[i] = rg_chance(g, 0.6) ? 1 : rg_between(g, 1, 3);
        dilations[i] = dilate && !same && rg_chance(g, 0.2) ? 2 : 1;
        pads[i] = rg_between(g, 0, kernel[i] / 2);
        pads[n + i] = rg_chance(g, 0.7) ? pads[i] : rg_between(g, 0, kernel[i] / 2);
    }
    if (rg_chance(g, 0.6)) rg_set_ints(node, "strides", strides, (size_t)n);
    if (dilate) rg_set_ints(node, "dilations", dilations, (size_t)n);
    if (same)
        rg_set_text(node, "auto_pad", rg_chance(g, 0.5) ? "SAME_UPPER" : "SAME_LOWER");
    else
        rg_set_ints(node, "pads", pads, (size_t)(2 * n));
}

static struct ox_value *conv(struct rg *g, struct ox_value *x) {
    int n = rg_rank(x) - 2;
    if (n < 1 || n > 2) return NULL;
    int64_t c = rg_dim(x, 1), group = 1, k[2], w[4];
    for (int64_t i = 2; i <= c; i++)
        if (c % i == 0 && rg_chance(g, i == c ? 0.7 : 0.2)) group = i;
    int64_t outs = group * (group == c ? rg_between(g, 1, 2) : rg_between(g, 1, 1 + 24 / group));
    w[0] = outs;
    w[1] = c / group;
    for (int i = 0; i < n; i++)
        w[2 + i] = k[i] = rg_chance(g, 0.4) ? 1 : rg_chance(g, 0.6) ? 3 : rg_between(g, 1, 5);
    struct ox_value *weight = rg_const(g, n + 2, w, -0.5, 0.5),
                    *bias = rg_chance(g, 0.6) ? rg_const(g, 1, &outs, -1, 1) : NULL;
    struct ox_node *node = rg_node(g, "Conv", x, weight, bias);
    window(g, node, n, k, true);
    if (group > 1 || rg_chance(g, 0.5)) rg_set(node, "group", group);
    return rg_out(g, node);
}

static struct ox_value *conv_transpose(struct rg *g, struct ox_value *x) {
    if (rg_rank(x) != 4) return NULL;
    int64_t c = rg_dim(x, 1), group = c % 2 == 0 && rg_chance(g, 0.4) ? 2 : 1,
            each = rg_between(g, 1, 6), outs = each * group;
    int64_t w[4] = {c, each, rg_between(g, 1, 4), rg_between(g, 1, 4)},
            strides[2] = {rg_between(g, 1, 3), rg_between(g, 1, 3)}, pads[4], extra[2];
    for (int i = 0; i < 4; i++)
        pads[i] = rg_between(g, 0, w[2 + i % 2] / 2);
    for (int i = 0; i < 2; i++)
        extra[i] = rg_between(g, 0, strides[i] - 1);
    struct ox_node *node = rg_node(g, "ConvTranspose", x, rg_const(g, 4, w, -0.5, 0.5),
                                   rg_chance(g, 0.5) ? rg_const(g, 1, &outs, -1, 1) : NULL);
    rg_set_ints(node, "strides", strides, 2);
    rg_set_ints(node, "pads", pads, 4);
    if (rg_chance(g, 0.3)) rg_set_ints(node, "output_padding", extra, 2);
    rg_set(node, "group", group);
    return rg_out(g, node);
}

static struct ox_value *pool(struct rg *g, struct ox_value *x) {
    static const char *const global[] = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"};
    int n = rg_rank(x) - 2;
    if (n < 1 || n > 2) return NULL;
    if (rg_chance(g, 0.3)) return rg_op(g, global[rg_below(g, 3)], x, NULL);
    bool max = rg_chance(g, 0.5);
    int64_t k[2] = {rg_between(g, 1, 4), rg_between(g, 1, 4)};
    struct ox_node *node = rg_node(g, max ? "MaxPool" : "AveragePool", x, NULL, NULL);
    rg_set_ints(node, "kernel_shape", k, (size_t)n);
    window(g, node, n, k, max);
    if (rg_chance(g, 0.3)) rg_set(node, "ceil_mode", 1);
    if (!max && rg_chance(g, 0.5)) rg_set(node, "count_include_pad", 1);
    return rg_out(g, node);
}

static struct ox_value *resize(struct rg *g, struct ox_value *x) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const places[] = {"half_pixel", "asymmetric", "align_corners",
                                         "pytorch_half_pixel"};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                            "ceil"};
    static const double factors[] = {0.5, 1, 1.5, 2, 3};
    if (rg_rank(x) != 4) return NULL;
    struct ox_value *in[4] = {x, NULL, NULL, NULL};
    size_t n_in = 3;
    int64_t sizes[4] = {rg_dim(x, 0), rg_dim(x, 1), rg_between(g, 1, 15), rg_between(g, 1, 15)},
            four = 4;
    if (rg_chance(g, 0.5)) {
        double same = factors[rg_below(g, 5)];
        struct ox_value *one = rg_scalar(g, 1),
                        *v[4] = {one, one, rg_scalar(g, same),
                                 rg_scalar(g, rg_chance(g, 0.6) ? same : factors[rg_below(g, 5)])};
        ox_tensor *t;
        float f[4];
        for (int i = 0; i < 4; i++)
            f[i] = ((const float *)v[i]->init->data)[0];
        if (ox_tensor_copy(&t, g->m->ctx, OX_FLOAT, 1, &four, f, sizeof f) != OX_OK ||
            ox_graph_add_init(&in[2], g->g, NULL, t) != OX_OK)
            return NULL;
    } else {
        in[3] = rg_ints(g, sizes, 4);
        n_in = 4;
    }
    const char *mode = modes[rg_below(g, 3)];
    struct ox_node *node = rg_node_in(g, g->g, "Resize", 1, n_in, in);
    rg_set_text(node, "mode", mode);
    if (rg_chance(g, 0.8))
        rg_set_text(node, "coordinate_transformation_mode", places[rg_below(g, 4)]);
    if (*mode == 'n') rg_set_text(node, "nearest_mode", roundings[rg_below(g, 4)]);
    return rg_out(g, node);
}

/* ---- products ----------------------------------------------------------------------------------
 */

static struct ox_value *gemm(struct rg *g, struct ox_value *x) {
    if (rg_rank(x) != 2) x = rg_op(g, "Flatten", x, NULL);
    if (!x) return NULL;
    bool ta = rg_chance(g, 0.2), tb = rg_chance(g, 0.5);
    int64_t k = rg_dim(x, ta ? 0 : 1), n = rg_between(g, 1, 40), w[2] = {tb ? n : k, tb ? k : n},
            c[2] = {rg_chance(g, 0.7) ? 1 : rg_dim(x, ta ? 1 : 0), n};
    if (k > 400) return NULL;
    struct ox_value *weight = rg_const(g, 2, w, -0.5, 0.5), *bias = rg_chance(g, 0.3) ? NULL
                                                                    : rg_chance(g, 0.7)
                                                                        ? rg_const(g, 1, &n, -1, 1)
                                                                        : rg_const(g, 2, c, -1, 1);
    struct ox_node *node = rg_node(g, "Gemm", x, weight, bias);
    if (ta) rg_set(node, "transA", 1);
    if (tb) rg_set(node, "transB", 1);
    if (rg_chance(g, 0.2)) rg_set_float(node, "alpha", rg_real(g, 0.2, 2));
    if (rg_chance(g, 0.2)) rg_set_float(node, "beta", rg_real(g, 0.2, 2));
    return rg_out(g, node);
}

static struct ox_value *matmul(struct rg *g, struct ox_value *x) {
    int r = rg_rank(x);
    if (r < 2) return NULL;
    int64_t perm[6], k = rg_dim(x, r - 1),
                     w[3] = {r > 2 ? rg_dim(x, r - 3) : 1, k, rg_between(g, 1, 40)};
    if (k > 400) return NULL;
    if (rg_chance(g, 0.3)) { /* with itself, the other way round */
        for (int i = 0; i < r; i++)
            perm[i] = i < r - 2 ? i : 2 * r - 3 - i;
        struct ox_node *t = rg_node(g, "Transpose", x, NULL, NULL);
        rg_set_ints(t, "perm", perm, (size_t)r);
        struct ox_value *back = rg_out(g, t),
                        *scaled = back ? rg_op(g, "Mul", back, rg_scalar(g, 0.3)) : NULL;
        return scaled ? rg_op(g, "MatMul", x, scaled) : NULL;
    }
    bool batched = r > 2 && rg_chance(g, 0.3);
    struct ox_value *y = rg_op(
        g, "MatMul", x, batched ? rg_const(g, 3, w, -0.5, 0.5) : rg_const(g, 2, w + 1, -0.5, 0.5));
    return y && rg_chance(g, 0.5) ? rg_op(g, "Add", y, rg_const(g, 1, w + 2, -1, 1)) : y;
}

/* ---- elementwise -------------------------------------------------------------------------------
 */

static struct ox_value *unary(struct rg *g, struct ox_value *x) {
    static const char *const ops[] = {
        "Relu",  "Neg",         "Abs",      "Sigmoid", "Tanh", "Identity", "LeakyRelu", "Ceil",
        "Floor", "HardSigmoid", "Softplus", "Flatten", "Elu",  "Selu",     "Celu",      "Softsign",
        "Erf",   "HardSwish",   "Round",    "Sin",     "Cos",  "Sign",     "Mish",      "Gelu"};
    const char *op = ops[rg_below(g, sizeof ops / sizeof *ops)];
    struct ox_node *n = rg_node(g, op, x, NULL, NULL);
    bool leaky = strcmp(op, "LeakyRelu") == 0 || strcmp(op, "Elu") == 0 || strcmp(op, "Celu") == 0;
    if (leaky && rg_chance(g, 0.5)) rg_set_float(n, "alpha", rg_real(g, 0.05, 1.5));
    if (strcmp(op, "Gelu") == 0 && rg_chance(g, 0.5)) rg_set_text(n, "approximate", "tanh");
    return rg_out(g, n);
}

/* Functions that need a range: of a value that is brought into it. */
static struct ox_value *ranged(struct rg *g, struct ox_value *x) {
    static const char *const ops[] = {"Exp",  "Log",  "Sqrt", "Reciprocal",
                                      "Atan", "Sinh", "Tan",  "Acosh"};
    static const double lows[] = {-8, 0.1, 0.1, 0.3, -4, -3, -1, 1.2},
                        highs[] = {3, 9, 9, 4, 4, 3, 1, 5};
    size_t i = rg_below(g, 8);
    struct ox_value *c =
        rg_out(g, rg_node(g, "Clip", x, rg_scalar(g, lows[i]), rg_scalar(g, highs[i])));
    return c ? rg_op(g, ops[i], c, NULL) : NULL;
}

static struct ox_value *clip(struct rg *g, struct ox_value *x) {
    struct ox_value *lo = rg_chance(g, 0.8) ? rg_scalar(g, rg_real(g, -2, 0.5)) : NULL,
                    *hi = rg_chance(g, 0.8) || !lo
                              ? rg_scalar(g, rg_chance(g, 0.3) ? 6 : rg_real(g, 0.6, 4))
                              : NULL;
    return rg_out(g, rg_node(g, "Clip", x, lo, hi));
}

/* A constant that broadcasts to x: each dim is kept or 1, and dims in front may be left out. */
static struct ox_value *companion(struct rg *g, struct ox_value *x, double low, double high) {
    int64_t dims[6];
    int r = rg_rank(x), skip = rg_chance(g, 0.5) ? (int)rg_below(g, (size_t)r + 1) : 0;
    double keep = rg_chance(g, 0.3) ? 0 : rg_chance(g, 0.3) ? 1 : 0.5;
    for (int i = skip; i < r; i++)
        dims[i - skip] = rg_chance(g, keep) ? rg_dim(x, i) : 1;
    return rg_const(g, r - skip, dims, low, high);
}

static struct ox_value *binary(struct rg *g, struct ox_value *x) {
    static const char *const ops[] = {"Add", "Add", "Mul", "Mul",   "Sub",
                                      "Max", "Min", "Div", "PRelu", "Mean"};
    const char *op = ops[rg_below(g, sizeof ops / sizeof *ops)];
    bool fixed = strcmp(op, "Div") == 0 || strcmp(op, "PRelu") == 0;
    struct ox_value *y = fixed               ? companion(g, x, 0.5, 2)
                         : rg_chance(g, 0.5) ? companion(g, x, -1, 1.5)
                                             : rg_pick(g);
    bool back = !fixed && rg_chance(g, 0.3);
    return rg_op(g, op, back ? y : x, back ? x : y);
}

static struct ox_value *power(struct rg *g, struct ox_value *x) {
    static const double exponents[] = {2, 3, 0.5, -1};
    size_t i = rg_below(g, 4);
    struct ox_value *c =
        rg_out(g, rg_node(g, "Clip", x, rg_scalar(g, i < 2 ? -4 : 0.2), rg_scalar(g, 4)));
    return c ? rg_op(g, "Pow", c, rg_scalar(g, exponents[i])) : NULL;
}

static struct ox_value *choice(struct rg *g, struct ox_value *x) {
    struct ox_value *c =
        rg_op(g, rg_chance(g, 0.5) ? "Less" : "Greater", x, companion(g, x, -1, 1));
    return c ? rg_out(g,
                      rg_node(g, "Where", c, x, rg_chance(g, 0.5) ? rg_scalar(g, 0) : rg_pick(g)))
             : NULL;
}

/* ---- along axes --------------------------------------------------------------------------------
 */

static int64_t axis_of(struct rg *g, struct ox_value *x) {
    int r = rg_rank(x);
    return rg_between(g, rg_chance(g, 0.5) ? -r : 0, r - 1);
}

static struct ox_value *softmax(struct rg *g, struct ox_value *x) {
    if (rg_rank(x) < 1) return NULL;
    struct ox_node *n = rg_node(g, rg_chance(g, 0.7) ? "Softmax" : "LogSoftmax", x, NULL, NULL);
    if (rg_chance(g, 0.8)) rg_set(n, "axis", axis_of(g, x));
    return rg_out(g, n);
}

static struct ox_value *reduce(struct rg *g, struct ox_value *x) {
    static const char *const ops[] = {
        "ReduceMean", "ReduceMean", "ReduceSum",       "ReduceMax",       "ReduceMin",
        "ReduceL1",   "ReduceL2",   "ReduceSumSquare", "ReduceLogSumExp", "ReduceProd"};
    const char *op = ops[rg_below(g, sizeof ops / sizeof *ops)];
    int64_t axes[6];
    size_t n = 0;
    for (int i = 0; i < rg_rank(x); i++)
        if (rg_chance(g, 0.5)) axes[n++] = rg_chance(g, 0.5) ? i : i - rg_rank(x);
    bool as_input = g->opset >= 18 || strcmp(op, "ReduceSum") == 0;
    struct ox_node *node = rg_node(g, op, x, n && as_input ? rg_ints(g, axes, n) : NULL, NULL);
    if (n && !as_input) rg_set_ints(node, "axes", axes, n);
    if (rg_chance(g, 0.6)) rg_set(node, "keepdims", (int64_t)rg_below(g, 2));
    return rg_out(g, node);
}

static struct ox_value *arg(struct rg *g, struct ox_value *x) {
    if (rg_rank(x) < 1) return NULL;
    struct ox_node *n = rg_node(g, rg_chance(g, 0.5) ? "ArgMax" : "ArgMin", x, NULL, NULL);
    rg_set(n, "axis", axis_of(g, x));
    if (rg_chance(g, 0.5)) rg_set(n, "keepdims", 0);
    struct ox_value *at = rg_out(g, n);
    if (!at) return NULL;
    struct ox_node *cast = rg_node(g, "Cast", at, NULL, NULL);
    rg_set(cast, "to", OX_FLOAT);
    return rg_out(g, cast);
}

static struct ox_value *normalize(struct rg *g, struct ox_value *x) {
    int r = rg_rank(x);
    if (r < 2) return NULL;
    int64_t c = rg_dim(x, 1), axis = rg_between(g, 1, r - 1);
    struct ox_value *scale = rg_const(g, 1, &c, 0.5, 1.5), *shift = rg_const(g, 1, &c, -0.5, 0.5),
                    *all[5] = {x, scale, shift, rg_const(g, 1, &c, -0.5, 0.5),
                               rg_const(g, 1, &c, 0.3, 2)};
    struct ox_node *n;
    switch (rg_below(g, 5)) {
    case 0:
        return rg_out(g, rg_node_in(g, g->g, "BatchNormalization", 1, 5, all));
    case 1:
        return r > 2 ? rg_out(g, rg_node(g, "InstanceNormalization", x, scale, shift)) : NULL;
    case 2: {
        int64_t dims[6];
        for (int i = (int)axis; i < r; i++)
            dims[i - axis] = rg_dim(x, i);
        if (g->opset < 17) return NULL;
        n = rg_node(g, "LayerNormalization", x, rg_const(g, r - (int)axis, dims, 0.5, 1.5),
                    rg_chance(g, 0.7) ? rg_const(g, r - (int)axis, dims, -0.5, 0.5) : NULL);
        rg_set(n, "axis", rg_chance(g, 0.5) ? axis : axis - r);
        rg_set_float(n, "epsilon", 0.01);
        return rg_out(g, n);
    }
    case 3:
        if (g->opset < 21 || r < 3) return NULL;
        n = rg_node(g, "GroupNormalization", x, scale, shift);
        rg_set(n, "num_groups", c % 2 == 0 && rg_chance(g, 0.5) ? 2 : c % 3 == 0 ? 3 : 1);
        return rg_out(g, n);
    default:
        if (r != 4) return NULL;
        n = rg_node(g, "LRN", x, NULL, NULL);
        rg_set(n, "size", rg_between(g, 1, 5));
        return rg_out(g, n);
    }
}

/* ---- moving elements ---------------------------------------------------------------------------
 */

static struct ox_value *transpose(struct rg *g, struct ox_value *x) {
    int64_t perm[6];
    int r = rg_rank(x);
    for (int i = 0; i < r; i++)
        perm[i] = i;
    for (int i = r - 1; i > 0; i--) {
        int64_t j = rg_between(g, 0, i), t = perm[i];
        perm[i] = perm[j];
        perm[j] = t;
    }
    struct ox_node *n = rg_node(g, "Transpose", x, NULL, NULL);
    if (rg_chance(g, 0.9)) rg_set_ints(n, "perm", perm, (size_t)r);
    return rg_out(g, n);
}

static struct ox_value *reshape(struct rg *g, struct ox_value *x) {
    int64_t spec[4], left = ox_type_count(x->type);
    size_t n = (size_t)rg_between(g, 1, 4);
    for (size_t i = 0; i + 1 < n; i++) {
        spec[i] = 1;
        for (int64_t f = 2; f <= 13; f++)
            if (left % f == 0 && rg_chance(g, 0.4)) spec[i] = f;
        left /= spec[i];
    }
    spec[n - 1] = rg_chance(g, 0.5) ? -1 : left;
    return rg_op(g, "Reshape", x, rg_ints(g, spec, n));
}

static struct ox_value *axes_changed(struct rg *g, struct ox_value *x) {
    int r = rg_rank(x);
    int64_t axis = rg_between(g, 0, r), ones[6];
    size_t n = 0;
    for (int i = 0; i < r; i++)
        if (rg_dim(x, i) == 1) ones[n++] = i;
    if (n > 0 && rg_chance(g, 0.5))
        return rg_op(g, "Squeeze", x, rg_ints(g, ones + rg_below(g, n), 1));
    return rg_op(g, "Unsqueeze", x, rg_ints(g, &axis, 1));
}

static struct ox_value *slice(struct rg *g, struct ox_value *x) {
    if (rg_rank(x) < 1) return NULL;
    int64_t axis = axis_of(g, x), dim = rg_dim(x, (int)(axis < 0 ? axis + rg_rank(x) : axis)),
            begin = rg_between(g, 0, dim - 1), end = rg_between(g, begin + 1, dim + 1),
            step = rg_between(g, 1, 2);
    if (rg_chance(g, 0.2)) {
        begin = dim - 1;
        end = -dim - 1;
        step = -1;
    }
    struct ox_value *in[5] = {x, rg_ints(g, &begin, 1), rg_ints(g, &end, 1), rg_ints(g, &axis, 1),
                              rg_ints(g, &step, 1)};
    return rg_out(g, rg_node_in(g, g->g, "Slice", 1, 5, in));
}

static struct ox_value *concat(struct rg *g, struct ox_value *x) {
    struct ox_value *in[3] = {x, rg_pick(g), rg_pick(g)};
    if (rg_rank(x) < 1) return NULL;
    if (rg_chance(g, 0.4)) in[1] = rg_op(g, rg_chance(g, 0.5) ? "Relu" : "Tanh", x, NULL);
    struct ox_node *n = rg_node_in(g, g->g, "Concat", 1, rg_chance(g, 0.3) ? 3 : 2, in);
    rg_set(n, "axis", rg_rank(x) == 4 && rg_chance(g, 0.5) ? 1 : axis_of(g, x));
    return rg_out(g, n);
}

static struct ox_value *split(struct rg *g, struct ox_value *x) {
    if (rg_rank(x) < 1) return NULL;
    int64_t axis = axis_of(g, x), dim = rg_dim(x, (int)(axis < 0 ? axis + rg_rank(x) : axis)),
            sizes[2] = {rg_between(g, 1, dim > 1 ? dim - 1 : 1), 0};
    sizes[1] = dim - sizes[0];
    if (sizes[1] < 1) return NULL;
    struct ox_value *in[2] = {x, rg_ints(g, sizes, 2)};
    struct ox_node *n = rg_node_in(g, g->g, "Split", 2, 2, in);
    rg_set(n, "axis", axis);
    return rg_out(g, n);
}

static struct ox_value *pad(struct rg *g, struct ox_value *x) {
    static const char *const modes[] = {"constant", "constant", "reflect", "edge"};
    int64_t pads[12];
    int r = rg_rank(x);
    for (int i = 0; i < 2 * r; i++)
        pads[i] = rg_chance(g, 0.5)
                      ? 0
                      : rg_between(g, rg_dim(x, i % r) > 3 ? -1 : 0, rg_dim(x, i % r) > 2 ? 2 : 0);
    const char *mode = modes[rg_below(g, 4)];
    struct ox_node *n = rg_node(g, "Pad", x, rg_ints(g, pads, (size_t)(2 * r)),
                                *mode == 'c' && rg_chance(g, 0.3) ? rg_scalar(g, 0.5) : NULL);
    if (r > 0 && rg_chance(g, 0.8)) rg_set_text(n, "mode", mode);
    return rg_out(g, n);
}

static struct ox_value *spread(struct rg *g, struct ox_value *x) {
    int64_t v[6], index[5];
    int r = rg_rank(x);
    if (r < 1) return NULL;
    switch (rg_below(g, 4)) {
    case 0:
        for (int i = 0; i < r; i++)
            v[i] = rg_between(g, 1, 2);
        return rg_op(g, "Tile", x, rg_ints(g, v, (size_t)r));
    case 1:
        for (int i = 0; i < r; i++)
            v[i] = rg_dim(x, i) == 1 ? rg_between(g, 1, 3) : rg_chance(g, 0.5) ? 1 : rg_dim(x, i);
        return rg_op(g, "Expand", x, rg_ints(g, v, (size_t)r));
    case 2: {
        if (r != 4) return NULL;
        struct ox_node *n =
            rg_node(g, rg_dim(x, 1) % 4 == 0 ? "DepthToSpace" : "SpaceToDepth", x, NULL, NULL);
        rg_set(n, "blocksize", 2);
        return rg_out(g, n);
    }
    default: {
        int64_t axis = axis_of(g, x), dim = rg_dim(x, (int)(axis < 0 ? axis + r : axis));
        for (int i = 0; i < 5; i++)
            index[i] = rg_between(g, -dim, dim - 1);
        struct ox_node *n =
            rg_node(g, "Gather", x,
                    rg_chance(g, 0.3) ? rg_int(g, index[0])
                                      : rg_ints(g, index, (size_t)rg_between(g, 1, 5)),
                    NULL);
        rg_set(n, "axis", axis);
        return rg_out(g, n);
    }
    }
}

const rg_make_fn rg_float_makers[] = {
    conv,    conv,         conv,   conv,      conv_transpose, pool,      pool,
    resize,  gemm,         matmul, unary,     unary,          unary,     ranged,
    clip,    binary,       binary, binary,    power,          choice,    softmax,
    reduce,  reduce,       arg,    normalize, normalize,      transpose, transpose,
    reshape, axes_changed, slice,  concat,    concat,         split,     pad,
    spread,  NULL};
