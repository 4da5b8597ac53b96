/* passes/training/derivative.c - see derivative.h.
 *
 * An entry gives for each operand an expression in which a, b, c are the operands, y the output and dy its gradient; numbers are
 * scalars of dy's type; what is called is an operator, or one of the helpers below. Broadcasting is undone afterwards, for
 * all of them. Where a function has a corner (Abs, Relu at 0) its derivative there is 0. */
#include "passes/training/derivative.h"

#include "passes/rules/consts.h"
#include "passes/rules/rule.h"
#include <stdio.h>

struct ox_derivative {
    const char *op;
    const char *in[3]; /* NULL: zero. A single one of a variadic operator is for all operands */
    bool variadic;
    bool (*fits)(const struct ox_node *node); /* NULL: always */
};

static bool is_matrix(const struct ox_value *v)
{
    return v && ox_type_is_tensor(v->type) && v->type->rank >= 2;
}

static bool matrices(const struct ox_node *n) { return is_matrix(ox_node_in(n, 0)) && is_matrix(ox_node_in(n, 1)); }

/* Reduced dims stay as 1, or all are gone: the gradient can be expanded as it is. */
static bool keeps_dims(const struct ox_node *n)
{
    const struct ox_attr *keep = ox_node_attr(n, "keepdims");
    return !keep || keep->v.i != 0 || (!ox_node_attr(n, "axes") && !ox_node_in(n, 1));
}

static bool same_types(const struct ox_node *n)
{
    const struct ox_value *a = ox_node_in(n, 0), *b = ox_node_in(n, 1);
    return a && b && ox_type_is_tensor(a->type) && ox_type_is_tensor(b->type) && a->type->dtype == b->type->dtype;
}

/* The shape and nothing else. */
#define RESHAPED "Reshape(dy, Shape(a))"

/* clang-format off */
static const struct ox_derivative derivatives[] = {
    {"Abs",        {"Mul(dy, Sign(a))"},                              false, NULL},
    {"Add",        {"dy", "dy"},                                      false, NULL},
    {"Ceil",       {NULL},                                            false, NULL},
    {"ConstantOfShape", {NULL},                                       false, NULL},
    {"Cos",        {"Neg(Mul(dy, Sin(a)))"},                          false, NULL},
    {"Div",        {"Div(dy, b)", "Neg(Div(Mul(dy, y), b))"},         false, NULL},
    {"Equal",      {NULL, NULL},                                      false, NULL},
    {"Exp",        {"Mul(dy, y)"},                                    false, NULL},
    {"Expand",     {"dy", NULL},                                      false, NULL},
    {"Flatten",    {RESHAPED},                                        false, NULL},
    {"Floor",      {NULL},                                            false, NULL},
    {"Greater",    {NULL, NULL},                                      false, NULL},
    {"Identity",   {"dy"},                                            false, NULL},
    {"Less",       {NULL, NULL},                                      false, NULL},
    {"Log",        {"Div(dy, a)"},                                    false, NULL},
    {"MatMul",     {"MatMul(dy, Flip(b))", "MatMul(Flip(a), dy)"},    false, matrices},
    {"Mul",        {"Mul(dy, b)", "Mul(dy, a)"},                      false, NULL},
    {"Neg",        {"Neg(dy)"},                                       false, NULL},
    {"Pow",        {"Mul(dy, Mul(b, Pow(a, Sub(b, 1))))", "Mul(dy, Mul(y, Log(a)))"}, false, same_types},
    {"Reciprocal", {"Neg(Mul(dy, Mul(y, y)))"},                       false, NULL},
    {"ReduceMean", {"Expand(Share(dy), Shape(a))", NULL},             false, keeps_dims},
    {"ReduceSum",  {"Expand(dy, Shape(a))", NULL},                    false, keeps_dims},
    {"Relu",       {"Mul(dy, Sign(y))"},                              false, NULL},
    {"Reshape",    {RESHAPED, NULL},                                  false, NULL},
    {"Round",      {NULL},                                            false, NULL},
    {"Shape",      {NULL},                                            false, NULL},
    {"Sigmoid",    {"Mul(dy, Sub(y, Mul(y, y)))"},                    false, NULL},
    {"Sign",       {NULL},                                            false, NULL},
    {"Sin",        {"Mul(dy, Cos(a))"},                               false, NULL},
    {"Size",       {NULL},                                            false, NULL},
    {"Softplus",   {"Mul(dy, Sigmoid(a))"},                           false, NULL},
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

const struct ox_derivative *ox_derivative_find(const struct ox_node *node)
{
    for (size_t i = 0; i < sizeof derivatives / sizeof derivatives[0]; i++) {
        const struct ox_derivative *d = &derivatives[i];
        if (ox_node_is(node, d->op)) return !d->fits || d->fits(node) ? d : NULL;
    }
    return NULL;
}

static const char *expression(const struct ox_derivative *d, size_t i)
{
    if (d->variadic) i = 0;
    return i < sizeof d->in / sizeof d->in[0] ? d->in[i] : NULL;
}

bool ox_derivative_zero(const struct ox_derivative *d, size_t i) { return !expression(d, i); }

/* ---- nodes ----------------------------------------------------------------------------------- */

static ox_status new_node(struct ox_node **out, struct ox_graph *graph, const char *op, size_t n_in, struct ox_value *const *in)
{
    ox_name type;
    OX_TRY(ox_model_name(&type, graph->model, op, strlen(op)));
    OX_TRY(ox_node_new(out, graph, NULL, NULL, type, n_in, 1));
    for (size_t i = 0; i < n_in; i++) ox_use_set(&(*out)->in[i], in[i]);
    return OX_OK;
}

/* The node is complete. */
static ox_status finish(struct ox_value **out, struct ox_node *node)
{
    *out = node->out[0];
    return ox_node_infer(node);
}

ox_status ox_derivative_node(struct ox_value **out, struct ox_graph *graph, const char *op, size_t n_in, struct ox_value *const *in)
{
    struct ox_node *node;
    OX_TRY(new_node(&node, graph, op, n_in, in));
    return finish(out, node);
}

/* Takes over the count of tensor. */
static ox_status constant(struct ox_value **out, struct ox_graph *graph, ox_tensor *tensor)
{
    ox_status s = ox_graph_add_init(out, graph, NULL, tensor);
    if (s != OX_OK) ox_tensor_unref(tensor);
    return s;
}

ox_status ox_derivative_fill(struct ox_value **out, struct ox_value *y, double number)
{
    struct ox_graph *g = y->graph;
    struct ox_value *shape;
    struct ox_node *node;
    struct ox_attr *attr;
    ox_tensor *one;
    ox_name name;
    OX_TRY(ox_derivative_node(&shape, g, "Shape", 1, &y));
    OX_TRY(new_node(&node, g, "ConstantOfShape", 1, &shape));
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
    OX_TRY(finish(out, node));
    (*out)->type = y->type;
    return OX_OK;
}

/* ---- helpers that expressions call ------------------------------------------------------------- */

struct builder {
    struct ox_graph *graph;
    const struct ox_node *node;
    struct ox_value *const *operands;
    struct ox_value *y, *dy;
};

static ox_status transpose(struct ox_value **out, const struct builder *b, struct ox_value *x, const int64_t *perm, size_t n)
{
    struct ox_node *node;
    OX_TRY(new_node(&node, b->graph, "Transpose", 1, &x));
    if (perm) OX_TRY(ox_node_set_ints(node, "perm", perm, n));
    return finish(out, node);
}

/* Flip(x): the last two dims change places. */
static ox_status flip(struct ox_value **out, const struct builder *b, struct ox_value *x)
{
    int64_t perm[OX_MAX_RANK];
    int n = x->type->rank;
    for (int i = 0; i < n; i++) perm[i] = i < n - 2 ? i : 2 * n - 3 - i;
    return transpose(out, b, x, perm, (size_t)n);
}

/* Back(x): undoes the node's Transpose. */
static ox_status back(struct ox_value **out, const struct builder *b, struct ox_value *x)
{
    const struct ox_attr *perm = ox_node_attr(b->node, "perm");
    int64_t inverse[OX_MAX_RANK] = {0};
    if (!perm) return transpose(out, b, x, NULL, 0);
    for (size_t i = 0; i < perm->count; i++)
        if (perm->v.ints[i] >= 0 && perm->v.ints[i] < (int64_t)perm->count && perm->count <= OX_MAX_RANK) inverse[perm->v.ints[i]] = (int64_t)i;
    return transpose(out, b, x, inverse, perm->count);
}

/* Share(x): x divided by how many elements of a are in one of y. */
static ox_status share(struct ox_value **out, const struct builder *b, struct ox_value *x)
{
    struct ox_value *sizes[2], *count, *number;
    struct ox_node *cast;
    OX_TRY(ox_derivative_node(&sizes[0], b->graph, "Size", 1, &b->operands[0]));
    OX_TRY(ox_derivative_node(&sizes[1], b->graph, "Size", 1, &b->y));
    OX_TRY(ox_derivative_node(&count, b->graph, "Div", 2, sizes));
    OX_TRY(new_node(&cast, b->graph, "Cast", 1, &count));
    OX_TRY(ox_node_set_int(cast, "to", b->dy->type->dtype));
    OX_TRY(finish(&number, cast));
    return ox_derivative_node(out, b->graph, "Div", 2, (struct ox_value *[]){x, number});
}

/* ---- expressions ------------------------------------------------------------------------------ */

static struct ox_value *named(const struct builder *b, const char *word, size_t len)
{
    if (len == 2) return b->dy; /* dy */
    if (*word == 'y') return b->y;
    return b->operands[*word - 'a'];
}

static bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* Text comes from the table above: its form and depth are ours. */
static ox_status build(struct ox_value **out, const struct builder *b, const char **text)
{
    const char *word = *text;
    struct ox_value *args[3];
    size_t n = 0;
    char op[24];
    if (*word == '0' || *word == '1') {
        ox_tensor *t;
        ++*text;
        OX_TRY(ox_const_scalar(&t, b->graph->model->ctx, b->dy->type->dtype, *word - '0'));
        return constant(out, b->graph, t);
    }
    while (is_word(**text)) ++*text;
    size_t len = (size_t)(*text - word);
    if (**text != '(') {
        *out = named(b, word, len);
        return OX_OK;
    }
    snprintf(op, sizeof op, "%.*s", (int)len, word);
    for (; **text != ')'; n++) {
        for (++*text; **text == ' ';) ++*text;
        OX_TRY(build(&args[n], b, text));
    }
    ++*text;
    if (strcmp(op, "Flip") == 0) return flip(out, b, args[0]);
    if (strcmp(op, "Back") == 0) return back(out, b, args[0]);
    if (strcmp(op, "Share") == 0) return share(out, b, args[0]);
    return ox_derivative_node(out, b->graph, op, n, args);
}

/* ---- broadcasting undone ----------------------------------------------------------------------- */

/* Axes of g along which x was repeated: those that x lacks and those where it is 1. False: not known. */
static bool repeated_axes(int64_t *axes, size_t *n, const struct ox_type *g, const struct ox_type *x)
{
    *n = 0;
    if (!ox_type_is_tensor(g) || !ox_type_is_tensor(x) || g->rank < 0 || x->rank < 0 || x->rank > g->rank) return false;
    int more = g->rank - x->rank;
    for (int i = 0; i < g->rank; i++) {
        bool missing = i < more;
        if (!missing && ox_dim_same(g->dims[i], x->dims[i - more])) continue;
        if (!missing && !(ox_dim_is_const(x->dims[i - more]) && x->dims[i - more].k == 1)) return false;
        axes[(*n)++] = i;
    }
    return true;
}

/* Was g brought to the shape of x already? */
static bool shaped_as(const struct ox_value *g, const struct ox_value *x)
{
    if (!g->def || !(ox_node_is(g->def, "Reshape") || ox_node_is(g->def, "Expand"))) return false;
    const struct ox_value *shape = ox_node_in(g->def, 1);
    return shape && shape->def && ox_node_is(shape->def, "Shape") && ox_node_in(shape->def, 0) == x;
}

static ox_status like(struct ox_value **out, struct ox_value *g, struct ox_value *x)
{
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
        OX_TRY(constant(&in[1], graph, t));
    }
    OX_TRY(new_node(&sum, graph, "ReduceSum", attribute ? 1 : 2, in));
    if (attribute) OX_TRY(ox_node_set_ints(sum, "axes", axes, n));
    OX_TRY(finish(&in[0], sum));
    OX_TRY(ox_derivative_node(&shape, graph, "Shape", 1, &x));
    in[1] = shape;
    OX_TRY(ox_derivative_node(out, graph, "Reshape", 2, in));
    (*out)->type = x->type;
    return OX_OK;
}

ox_status ox_derivative_build(struct ox_value **out, const struct ox_derivative *d, const struct ox_node *node, size_t i,
                              struct ox_value *const *operands, struct ox_value *y, struct ox_value *dy)
{
    const struct builder b = {dy->graph, node, operands, y, dy};
    const char *text = expression(d, i);
    struct ox_value *g;
    OX_TRY(build(&g, &b, &text));
    return like(out, g, operands[i]);
}
