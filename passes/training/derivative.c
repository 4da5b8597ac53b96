/* passes/training/derivative.c - see derivative.h.
 *
 * An entry gives for each operand an expression in which a, b, c are the operands, x the operand
 * asked for, y the output and dy its gradient; numbers are scalars of dy's type, name:number is the
 * node's attribute of that name or the number where it has none; what is called is an operator, or
 * one of the helpers (below, and derivative_steps.c). Broadcasting is undone afterwards, for all of
 * them. Where a function has a corner (Abs, Relu at 0) its derivative there is 0; where several
 * operands are the largest, each counts. */
#include "passes/training/derivative_priv.h"

#include "passes/rules/consts.h"
#include "passes/rules/rule.h"
#include <stdio.h>

struct ox_derivative {
    const char *op;
    const char *in[3]; /* NULL: zero. A single one of a variadic operator is for all operands */
    bool variadic;
    bool (*fits)(const struct ox_node *node); /* NULL: always */
};
#define fits_concat ox_derivative_fits_concat
#define fits_conv ox_derivative_fits_conv
#define fits_pool ox_derivative_fits_pool
#define fits_max_pool ox_derivative_fits_max_pool
#define fits_gather ox_derivative_fits_gather
#define fits_loss ox_derivative_fits_loss

static bool is_matrix(const struct ox_value *v) {
    return v && ox_type_is_tensor(v->type) && v->type->rank >= 2;
}

static bool matrices(const struct ox_node *n) {
    return is_matrix(ox_node_in(n, 0)) && is_matrix(ox_node_in(n, 1));
}

/* Reduced dims stay as 1, or all are gone: the gradient can be expanded as it is. */
static bool keeps_dims(const struct ox_node *n) {
    const struct ox_attr *keep = ox_node_attr(n, "keepdims");
    return !keep || keep->v.i != 0 || (!ox_node_attr(n, "axes") && !ox_node_in(n, 1));
}

static bool same_types(const struct ox_node *n) {
    const struct ox_value *a = ox_node_in(n, 0), *b = ox_node_in(n, 1);
    return a && b && ox_type_is_tensor(a->type) && ox_type_is_tensor(b->type) &&
           a->type->dtype == b->type->dtype;
}

static bool is_floats(const struct ox_value *v) {
    return v && ox_type_is_tensor(v->type) && ox_dtype_is_float(v->type->dtype);
}
static bool floats_to_floats(const struct ox_node *n) {
    return is_floats(ox_node_in(n, 0)) && is_floats(n->out[0]);
}

static bool not_tanh(const struct ox_node *n) {
    const struct ox_attr *a = ox_node_attr(n, "approximate");
    return !a ||
           (a->type == OX_ATTR_STRING && a->v.s.len == 4 && memcmp(a->v.s.ptr, "none", 4) == 0);
}

/* Its axis can be named: since opset 13 it is one. */
static bool one_axis(const struct ox_node *n) {
    return ox_node_opset(n) >= 13;
}
static bool unmasked(const struct ox_node *n) {
    return ox_node_pure(n);
}

/* The shape and nothing else. */
#define RESHAPED "Reshape(dy, Shape(a))"

/* clang-format off */
static const struct ox_derivative derivatives[] = {
    {"Abs",        {"Mul(dy, Sign(a))"},                              false, NULL},
    {"Add",        {"dy", "dy"},                                      false, NULL},
    {"AveragePool", {"PoolBack(dy)"},                                 false, fits_pool},
    {"Cast",       {"As(dy)"},                                        false, floats_to_floats},
    {"Ceil",       {NULL},                                            false, NULL},
    {"Clip",       {"Where(Or(Less(y, a), Greater(y, a)), 0, dy)", "Where(Less(a, b), dy, 0)", "Where(Greater(a, c), dy, 0)"}, false, NULL},
    {"Concat",     {"Part(dy)"},                                      true,  fits_concat},
    {"ConstantOfShape", {NULL},                                       false, NULL},
    {"Conv",       {"ConvData(dy)", "ConvWeights(dy)", "SumChannels(dy)"}, false, fits_conv},
    {"Cos",        {"Neg(Mul(dy, Sin(a)))"},                          false, NULL},
    {"Div",        {"Div(dy, b)", "Neg(Div(Mul(dy, y), b))"},         false, NULL},
    {"Dropout",    {"dy", NULL, NULL},                                false, unmasked},
    {"Elu",        {"Where(Greater(a, 0), dy, Mul(dy, Add(y, alpha:1)))"}, false, NULL},
    {"Equal",      {NULL, NULL},                                      false, NULL},
    {"Erf",        {"Mul(dy, Mul(1.1283791670955126, Exp(Neg(Mul(a, a)))))"}, false, NULL},
    {"Exp",        {"Mul(dy, y)"},                                    false, NULL},
    {"Expand",     {"dy", NULL},                                      false, NULL},
    {"Flatten",    {RESHAPED},                                        false, NULL},
    {"Floor",      {NULL},                                            false, NULL},
    {"Gather",     {"Scattered(dy)", NULL},                           false, fits_gather},
    {"Gelu",       {"Mul(dy, Add(Mul(0.5, Add(1, Erf(Mul(a, 0.7071067811865476)))), Mul(Mul(a, 0.3989422804014327), Exp(Neg(Mul(0.5, Mul(a, a)))))))"}, false, not_tanh},
    {"Gemm",       {"Mul(alpha:1, TransA(MatMul(dy, Flip(TransB(b)))))", "Mul(alpha:1, TransB(MatMul(Flip(TransA(a)), dy)))", "Mul(beta:1, dy)"}, false, matrices},
    {"GlobalAveragePool", {"Expand(Share(dy), Shape(a))"},            false, NULL},
    {"Greater",    {NULL, NULL},                                      false, NULL},
    {"HardSigmoid", {"Where(And(Greater(y, 0), Less(y, 1)), Mul(dy, alpha:0.2), 0)"}, false, NULL},
    {"HardSwish",  {"Where(Greater(a, 3), dy, Where(Less(a, Neg(3)), 0, Mul(dy, Add(Div(a, 3), 0.5))))"}, false, NULL},
    {"Identity",   {"dy"},                                            false, NULL},
    {"LeakyRelu",  {"Where(Greater(a, 0), dy, Mul(dy, alpha:0.01))"}, false, NULL},
    {"Less",       {NULL, NULL},                                      false, NULL},
    {"Log",        {"Div(dy, a)"},                                    false, NULL},
    {"LogSoftmax", {"Sub(dy, Mul(Exp(y), SumAxis(dy)))"},             false, one_axis},
    {"MatMul",     {"MatMul(dy, Flip(b))", "MatMul(Flip(a), dy)"},    false, matrices},
    {"Max",        {"Where(Less(x, y), 0, dy)"},                      true,  NULL},
    {"MaxPool",    {"MaxBack(dy)"},                                   false, fits_max_pool},
    {"Mean",       {"MeanShare(dy)"},                                 true,  NULL},
    {"Min",        {"Where(Greater(x, y), 0, dy)"},                   true,  NULL},
    {"Mul",        {"Mul(dy, b)", "Mul(dy, a)"},                      false, NULL},
    {"Neg",        {"Neg(dy)"},                                       false, NULL},
    {"PRelu",      {"Where(Greater(a, 0), dy, Mul(dy, b))", "Where(Greater(a, 0), 0, Mul(dy, a))"}, false, NULL},
    {"Pow",        {"Mul(dy, Mul(b, Pow(a, Sub(b, 1))))", "Mul(dy, Mul(y, Log(a)))"}, false, same_types},
    {"Reciprocal", {"Neg(Mul(dy, Mul(y, y)))"},                       false, NULL},
    {"ReduceL1",   {"Mul(dy, Sign(a))", NULL},                        false, keeps_dims},
    {"ReduceL2",   {"Div(Mul(a, dy), y)", NULL},                      false, keeps_dims},
    {"ReduceLogSumExp", {"Mul(dy, Exp(Sub(a, y)))", NULL},            false, keeps_dims},
    {"ReduceMax",  {"Where(Less(a, y), 0, dy)", NULL},                false, keeps_dims},
    {"ReduceMean", {"Expand(Share(dy), Shape(a))", NULL},             false, keeps_dims},
    {"ReduceMin",  {"Where(Greater(a, y), 0, dy)", NULL},             false, keeps_dims},
    {"ReduceSum",  {"Expand(dy, Shape(a))", NULL},                    false, keeps_dims},
    {"ReduceSumSquare", {"Mul(Add(a, a), dy)", NULL},                 false, keeps_dims},
    {"Relu",       {"Mul(dy, Sign(y))"},                              false, NULL},
    {"Reshape",    {RESHAPED, NULL},                                  false, NULL},
    {"Round",      {NULL},                                            false, NULL},
    {"Selu",       {"Mul(gamma:1.0507009873554805, Where(Greater(a, 0), dy, Mul(dy, Mul(alpha:1.6732632423543772, Exp(a)))))"}, false, NULL},
    {"Shape",      {NULL},                                            false, NULL},
    {"Sigmoid",    {"Mul(dy, Sub(y, Mul(y, y)))"},                    false, NULL},
    {"Sign",       {NULL},                                            false, NULL},
    {"Sin",        {"Mul(dy, Cos(a))"},                               false, NULL},
    {"Size",       {NULL},                                            false, NULL},
    {"Softmax",    {"Mul(y, Sub(dy, SumAxis(Mul(dy, y))))"},          false, one_axis},
    {"SoftmaxCrossEntropyLoss", {"LossBack(dy)", NULL},               false, fits_loss},
    {"Softplus",   {"Mul(dy, Sigmoid(a))"},                           false, NULL},
    {"Softsign",   {"Div(dy, Mul(Add(1, Abs(a)), Add(1, Abs(a))))"},  false, NULL},
    {"Sqrt",       {"Div(dy, Add(y, y))"},                            false, NULL},
    {"Squeeze",    {RESHAPED, NULL},                                  false, NULL},
    {"Sub",        {"dy", "Neg(dy)"},                                 false, NULL},
    {"Sum",        {"dy"},                                            true,  NULL},
    {"Tanh",       {"Sub(dy, Mul(dy, Mul(y, y)))"},                   false, NULL},
    {"Transpose",  {"Back(dy)"},                                      false, NULL},
    {"Unsqueeze",  {RESHAPED, NULL},                                  false, NULL},
    {"Where",      {NULL, "Where(a, dy, 0)", "Where(a, 0, dy)"},      false, NULL},
};
/* clang-format on */

const struct ox_derivative *ox_derivative_find(const struct ox_node *node) {
    for (size_t i = 0; i < sizeof derivatives / sizeof derivatives[0]; i++) {
        const struct ox_derivative *d = &derivatives[i];
        if (ox_node_is(node, d->op)) return !d->fits || d->fits(node) ? d : NULL;
    }
    return NULL;
}

static const char *expression(const struct ox_derivative *d, size_t i) {
    if (d->variadic) i = 0;
    return i < sizeof d->in / sizeof d->in[0] ? d->in[i] : NULL;
}

bool ox_derivative_zero(const struct ox_derivative *d, size_t i) {
    return !expression(d, i);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

ox_status ox_derivative_begin(struct ox_node **out, struct ox_graph *graph, const char *op,
                              size_t n_in, struct ox_value *const *in) {
    ox_name type;
    OX_TRY(ox_model_name(&type, graph->model, op, strlen(op)));
    OX_TRY(ox_node_new(out, graph, NULL, NULL, type, n_in, 1));
    for (size_t i = 0; i < n_in; i++)
        ox_use_set(&(*out)->in[i], in[i]);
    return OX_OK;
}

ox_status ox_derivative_end(struct ox_value **out, struct ox_node *node) {
    *out = node->out[0];
    return ox_node_infer(node);
}

ox_status ox_derivative_node(struct ox_value **out, struct ox_graph *graph, const char *op,
                             size_t n_in, struct ox_value *const *in) {
    struct ox_node *node;
    OX_TRY(ox_derivative_begin(&node, graph, op, n_in, in));
    return ox_derivative_end(out, node);
}

ox_status ox_derivative_constant(struct ox_value **out, struct ox_graph *graph, ox_tensor *tensor) {
    ox_status s = ox_graph_add_init(out, graph, NULL, tensor);
    if (s != OX_OK) ox_tensor_unref(tensor);
    return s;
}

ox_status ox_derivative_fill(struct ox_value **out, struct ox_value *y, double number) {
    struct ox_graph *g = y->graph;
    struct ox_value *shape;
    struct ox_node *node;
    struct ox_attr *attr;
    ox_tensor *one;
    ox_name name;
    OX_TRY(ox_derivative_node(&shape, g, "Shape", 1, &y));
    OX_TRY(ox_derivative_begin(&node, g, "ConstantOfShape", 1, &shape));
    OX_TRY(ox_model_name(&name, g->model, "value", 5));
    OX_TRY(ox_const_from_doubles(&one, g->model->ctx, y->type->dtype, 1, (int64_t[]){1}, &number));
    ox_status s = ox_node_add_attr(&attr, node, name);
    if (s != OX_OK) {
        ox_tensor_unref(one);
        return s;
    }
    attr->type = OX_ATTR_TENSOR;
    attr->count = 1;
    attr->v.t = one;
    OX_TRY(ox_derivative_end(out, node));
    (*out)->type = y->type;
    return OX_OK;
}

/* ---- helpers that expressions call -------------------------------------------------------------
 */

static ox_status transpose(struct ox_value **out, const struct ox_derivative_builder *b,
                           struct ox_value *x, const int64_t *perm, size_t n) {
    struct ox_node *node;
    OX_TRY(ox_derivative_begin(&node, b->graph, "Transpose", 1, &x));
    if (perm) OX_TRY(ox_node_set_ints(node, "perm", perm, n));
    return ox_derivative_end(out, node);
}

/* Flip(x): the last two dims change places. */
static ox_status flip(struct ox_value **out, const struct ox_derivative_builder *b,
                      struct ox_value *x) {
    int64_t perm[OX_MAX_RANK];
    int n = x->type->rank;
    for (int i = 0; i < n; i++)
        perm[i] = i < n - 2 ? i : 2 * n - 3 - i;
    return transpose(out, b, x, perm, (size_t)n);
}

/* Back(x): undoes the node's Transpose. */
static ox_status back(struct ox_value **out, const struct ox_derivative_builder *b,
                      struct ox_value *x) {
    const struct ox_attr *perm = ox_node_attr(b->node, "perm");
    int64_t inverse[OX_MAX_RANK] = {0};
    if (!perm) return transpose(out, b, x, NULL, 0);
    for (size_t i = 0; i < perm->count; i++)
        if (perm->v.ints[i] >= 0 && perm->v.ints[i] < (int64_t)perm->count &&
            perm->count <= OX_MAX_RANK)
            inverse[perm->v.ints[i]] = (int64_t)i;
    return transpose(out, b, x, inverse, perm->count);
}

/* Share(x): x divided by how many elements of a are in one of y. */
static ox_status share(struct ox_value **out, const struct ox_derivative_builder *b,
                       struct ox_value *x) {
    struct ox_value *sizes[2], *count, *number;
    struct ox_node *cast;
    OX_TRY(ox_derivative_node(&sizes[0], b->graph, "Size", 1, &b->operands[0]));
    OX_TRY(ox_derivative_node(&sizes[1], b->graph, "Size", 1, &b->y));
    OX_TRY(ox_derivative_node(&count, b->graph, "Div", 2, sizes));
    OX_TRY(ox_derivative_begin(&cast, b->graph, "Cast", 1, &count));
    OX_TRY(ox_node_set_int(cast, "to", b->dy->type->dtype));
    OX_TRY(ox_derivative_end(&number, cast));
    return ox_derivative_node(out, b->graph, "Div", 2, (struct ox_value *[]){x, number});
}

/* ---- expressions ------------------------------------------------------------------------------
 */

/* TransA(x), TransB(x): the last two dims change places if the node's attribute says so. */
static ox_status flip_if(struct ox_value **out, const struct ox_derivative_builder *b,
                         struct ox_value *x, const char *name) {
    const struct ox_attr *a = ox_node_attr(b->node, name);
    *out = x;
    return a && a->type == OX_ATTR_INT && a->v.i ? flip(out, b, x) : OX_OK;
}
static ox_status trans_a(struct ox_value **out, const struct ox_derivative_builder *b,
                         struct ox_value *x) {
    return flip_if(out, b, x, "transA");
}
static ox_status trans_b(struct ox_value **out, const struct ox_derivative_builder *b,
                         struct ox_value *x) {
    return flip_if(out, b, x, "transB");
}

/* As(x): in the type of a. */
static ox_status as_operand(struct ox_value **out, const struct ox_derivative_builder *b,
                            struct ox_value *x) {
    struct ox_node *cast;
    OX_TRY(ox_derivative_begin(&cast, b->graph, "Cast", 1, &x));
    OX_TRY(ox_node_set_int(cast, "to", b->operands[0]->type->dtype));
    return ox_derivative_end(out, cast);
}

/* MeanShare(x): x divided by the number of operands. */
static ox_status mean_share(struct ox_value **out, const struct ox_derivative_builder *b,
                            struct ox_value *x) {
    struct ox_value *n;
    OX_TRY(ox_derivative_number(&n, b, (double)b->node->n_in));
    return ox_derivative_node(out, b->graph, "Div", 2, (struct ox_value *[]){x, n});
}

static const struct helper {
    const char *name;
    ox_status (*build)(struct ox_value **out, const struct ox_derivative_builder *b,
                       struct ox_value *x);
} helpers[] = {
    {"As", as_operand},
    {"Back", back},
    {"ConvData", ox_derivative_conv_data},
    {"ConvWeights", ox_derivative_conv_weights},
    {"Flip", flip},
    {"LossBack", ox_derivative_loss},
    {"MaxBack", ox_derivative_max_pool},
    {"MeanShare", mean_share},
    {"Part", ox_derivative_part},
    {"PoolBack", ox_derivative_pool},
    {"Scattered", ox_derivative_scattered},
    {"Share", share},
    {"SumAxis", ox_derivative_sum_axis},
    {"SumChannels", ox_derivative_sum_channels},
    {"TransA", trans_a},
    {"TransB", trans_b},
};

/* name:number */
static double attribute(const struct ox_derivative_builder *b, const char *word, size_t len,
                        double dflt) {
    char name[24];
    snprintf(name, sizeof name, "%.*s", (int)len, word);
    const struct ox_attr *a = ox_node_attr(b->node, name);
    return a && a->type == OX_ATTR_FLOAT ? (double)a->v.f : dflt;
}

static struct ox_value *named(const struct ox_derivative_builder *b, const char *word, size_t len) {
    if (len == 2) return b->dy; /* dy */
    if (*word == 'y') return b->y;
    if (*word == 'x') return b->operands[b->index];
    return b->operands[*word - 'a'];
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

ox_status ox_derivative_number(struct ox_value **out, const struct ox_derivative_builder *b,
                               double number) {
    ox_tensor *t;
    OX_TRY(ox_const_scalar(&t, b->graph->model->ctx, b->dy->type->dtype, number));
    return ox_derivative_constant(out, b->graph, t);
}

/* Digits and a point, whatever the locale says. */
static double number_at(const char **text) {
    double whole = 0, scale = 1;
    bool behind = false;
    for (; (**text >= '0' && **text <= '9') || **text == '.'; ++*text) {
        if (**text == '.') {
            behind = true;
            continue;
        }
        whole = whole * 10 + (**text - '0');
        if (behind) scale *= 10;
    }
    return whole / scale;
}

/* Text comes from the table above: its form and depth are ours. */
static ox_status build(struct ox_value **out, const struct ox_derivative_builder *b,
                       const char **text) {
    const char *word = *text;
    struct ox_value *args[3];
    size_t n = 0;
    char op[24];
    if (*word >= '0' && *word <= '9') return ox_derivative_number(out, b, number_at(text));
    while (is_word(**text))
        ++*text;
    size_t len = (size_t)(*text - word);
    if (**text == ':') {
        ++*text;
        return ox_derivative_number(out, b, attribute(b, word, len, number_at(text)));
    }
    if (**text != '(') {
        *out = named(b, word, len);
        return OX_OK;
    }
    snprintf(op, sizeof op, "%.*s", (int)len, word);
    for (; **text != ')'; n++) {
        for (++*text; **text == ' ';)
            ++*text;
        OX_TRY(build(&args[n], b, text));
    }
    ++*text;
    for (size_t i = 0; i < sizeof helpers / sizeof helpers[0]; i++)
        if (strcmp(op, helpers[i].name) == 0) return helpers[i].build(out, b, args[0]);
    return ox_derivative_node(out, b->graph, op, n, args);
}

/* ---- broadcasting undone -----------------------------------------------------------------------
 */

/* Axes of g along which x was repeated: those that x lacks and those where it is 1. False: not
 * known. */
static bool repeated_axes(int64_t *axes, size_t *n, const struct ox_type *g,
                          const struct ox_type *x) {
    *n = 0;
    if (!ox_type_is_tensor(g) || !ox_type_is_tensor(x) || g->rank < 0 || x->rank < 0 ||
        x->rank > g->rank)
        return false;
    int more = g->rank - x->rank;
    for (int i = 0; i < g->rank; i++) {
        bool missing = i < more;
        if (!missing && ox_dim_same(g->dims[i], x->dims[i - more])) continue;
        if (!missing && !(ox_dim_is_const(x->dims[i - more]) && x->dims[i - more].k == 1))
            return false;
        axes[(*n)++] = i;
    }
    return true;
}

/* Was g brought to the shape of x already? */
static bool shaped_as(const struct ox_value *g, const struct ox_value *x) {
    if (!g->def || !(ox_node_is(g->def, "Reshape") || ox_node_is(g->def, "Expand"))) return false;
    const struct ox_value *shape = ox_node_in(g->def, 1);
    return shape && shape->def && ox_node_is(shape->def, "Shape") && ox_node_in(shape->def, 0) == x;
}

static ox_status like(struct ox_value **out, struct ox_value *g, struct ox_value *x) {
    struct ox_graph *graph = g->graph;
    int64_t axes[OX_MAX_RANK];
    size_t n;
    struct ox_node *sum;
    struct ox_value *in[2] = {g, NULL}, *shape;
    ox_tensor *t;
    *out = g;
    if (shaped_as(g, x)) {
        g->type = x->type;
        return OX_OK;
    }
    if (!repeated_axes(axes, &n, g->type, x->type)) return OX_UNSUPPORTED;
    if (n == 0) return OX_OK;
    bool attribute = ox_model_opset(graph->model, NULL) < 13;
    if (!attribute) {
        OX_TRY(ox_const_ints(&t, graph->model->ctx, axes, n));
        OX_TRY(ox_derivative_constant(&in[1], graph, t));
    }
    OX_TRY(ox_derivative_begin(&sum, graph, "ReduceSum", attribute ? 1 : 2, in));
    if (attribute) OX_TRY(ox_node_set_ints(sum, "axes", axes, n));
    OX_TRY(ox_derivative_end(&in[0], sum));
    OX_TRY(ox_derivative_node(&shape, graph, "Shape", 1, &x));
    in[1] = shape;
    OX_TRY(ox_derivative_node(out, graph, "Reshape", 2, in));
    (*out)->type = x->type;
    return OX_OK;
}

ox_status ox_derivative_build(struct ox_value **out, const struct ox_derivative *d,
                              const struct ox_node *node, size_t i,
                              struct ox_value *const *operands, struct ox_value *y,
                              struct ox_value *dy) {
    const struct ox_derivative_builder b = {dy->graph, node, operands, y, dy, i};
    const char *text = expression(d, i);
    struct ox_value *g;
    OX_TRY(build(&g, &b, &text));
    return like(out, g, operands[i]);
}
