/* ir/graph/model_stats.c - size and cost of a model: what `info` and the reports print. */
#include "ir/graph/reason_priv.h"

#include <onnxopt/model.h>

/* How multiply-accumulates of a weighted operator follow from the shapes. */
enum macs_rule {
    PER_OUTPUT, /* outputs x (weight elements / weight dim 0): convolution */
    PER_INPUT,  /* inputs  x (weight elements / weight dim 0): transposed convolution */
    PER_INNER   /* outputs x inner dim: matrix products; the inner dim is the last (or, transposed,
                   the first) of operand a */
};

static const struct {
    const char *type;
    enum macs_rule rule;
    size_t data, weight; /* operands */
} weighted[] = {
    {"Conv", PER_OUTPUT, 0, 1},         {"ConvInteger", PER_OUTPUT, 0, 1},
    {"QLinearConv", PER_OUTPUT, 0, 3},  {"ConvTranspose", PER_INPUT, 0, 1},
    {"Gemm", PER_INNER, 0, 1},          {"MatMul", PER_INNER, 0, 1},
    {"MatMulInteger", PER_INNER, 0, 1}, {"QLinearMatMul", PER_INNER, 0, 3},
};

/* Elements of a value with symbolic dims as 1; false: unknown. */
static bool elements(uint64_t *out, const struct ox_value *v) {
    if (!v || v->type->kind != OX_TYPE_TENSOR || v->type->rank < 0) return false;
    uint64_t n = 1;
    for (int i = 0; i < v->type->rank; i++)
        if (ox_dim_is_const(v->type->dims[i]) &&
            __builtin_mul_overflow(n, (uint64_t)v->type->dims[i].k, &n))
            return false;
    *out = n;
    return true;
}

static bool inner_dim(uint64_t *out, const struct ox_node *node, size_t data) {
    const struct ox_type *t = node->in[data].value->type;
    const struct ox_attr *trans = ox_node_attr(node, "transA");
    if (t->rank < 1) return false;
    ox_dim d = t->dims[trans && trans->type == OX_ATTR_INT && trans->v.i ? 0 : t->rank - 1];
    *out = ox_dim_is_const(d) ? (uint64_t)d.k : 1;
    return true;
}

static bool node_macs(uint64_t *out, const struct ox_node *node, size_t row) {
    const struct ox_value *data = ox_node_in(node, weighted[row].data),
                          *weight = ox_node_in(node, weighted[row].weight);
    uint64_t outer, inner, each;
    if (!data || !weight || !elements(&each, weight)) return false;
    if (weighted[row].rule == PER_INNER) {
        if (!elements(&outer, ox_node_out(node, 0)) || !inner_dim(&inner, node, weighted[row].data))
            return false;
    } else {
        const struct ox_type *w = weight->type;
        if (!elements(&outer, weighted[row].rule == PER_INPUT ? data : ox_node_out(node, 0)))
            return false;
        if (w->rank < 1 || !ox_dim_is_const(w->dims[0]) || w->dims[0].k == 0) return false;
        inner = each / (uint64_t)w->dims[0].k;
    }
    return !__builtin_mul_overflow(outer, inner, out);
}

static void count_constant(struct ox_model_stats *s, const ox_tensor *t) {
    s->parameters += t->count;
    s->weight_bytes += t->size;
}

static void count_node(struct ox_model_stats *s, const struct ox_node *n) {
    if (ox_node_is(n, "Constant")) {
        s->constants++;
        if (ox_value_const(ox_node_out(n, 0))) count_constant(s, ox_value_const(ox_node_out(n, 0)));
        return;
    }
    s->nodes++;
    if (!n->op && !n->callee) s->opaque_nodes++;
    for (size_t row = 0; row < sizeof weighted / sizeof weighted[0]; row++) {
        uint64_t macs;
        if (!ox_node_is(n, weighted[row].type)) continue;
        if (node_macs(&macs, n, row))
            s->macs += macs;
        else
            s->macs_unknown++;
    }
}

static void count_value(struct ox_model_stats *s, const struct ox_value *v) {
    if (!v) return;
    s->values++;
    if (ox_type_lack(NULL, v->type) != OX_LACK_NOTHING) s->unknown_values++;
}

/* Types in a function's body are its calls'. */
static void count_values(struct ox_model_stats *s, const struct ox_graph *graph) {
    const struct ox_graph *outer = graph;
    while (outer->owner)
        outer = outer->owner->graph;
    if (outer->function) return;
    for (size_t i = 0; i < graph->n_inputs; i++)
        count_value(s, graph->inputs[i]);
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n))
        for (size_t i = 0; i < n->n_out; i++)
            count_value(s, n->out[i]);
}

static ox_status count_graph(void *arg, struct ox_graph *graph) {
    struct ox_model_stats *s = arg;
    if (graph->owner) s->subgraphs++;
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n))
        count_node(s, n);
    count_values(s, graph);
    for (size_t i = 0; i < graph->n_inits; i++) {
        if (!graph->inits[i]) continue;
        s->initializers++;
        if (graph->inits[i]->init) count_constant(s, graph->inits[i]->init);
    }
    for (size_t i = 0; i < graph->n_inputs; i++) {
        if (!graph->inputs[i]->init) continue;
        s->initializers++;
        count_constant(s, graph->inputs[i]->init);
    }
    return OX_OK;
}

ox_status ox_model_stats(struct ox_model_stats *out, ox_model *model) {
    struct ox_model_stats s = {.ir_version = model->ir_version,
                               .opset = ox_model_opset(model, NULL),
                               .functions = model->n_functions,
                               .file_bytes = model->file_bytes};
    OX_TRY(ox_model_each_graph(model, count_graph, &s));
    *out = s;
    return OX_OK;
}

/* ---- operators used -------------------------------------------------------------------------- */

struct usage {
    const char *domain, *type; /* the smallest pair above `after`, and how often it occurs */
    const char *after_domain, *after_type;
    size_t count;
    bool known;
};

static int compare(const char *domain_a, const char *type_a, const char *domain_b,
                   const char *type_b) {
    int order = strcmp(domain_a, domain_b);
    return order ? order : strcmp(type_a, type_b);
}

static ox_status next_usage(void *arg, struct ox_graph *graph) {
    struct usage *u = arg;
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n)) {
        const char *domain = ox_name_text(n->domain), *type = ox_name_text(n->type);
        if (u->after_type && compare(domain, type, u->after_domain, u->after_type) <= 0) continue;
        int order = u->type ? compare(domain, type, u->domain, u->type) : -1;
        if (order > 0) continue;
        if (order < 0)
            *u = (struct usage){domain,        type, u->after_domain,
                                u->after_type, 0,    n->op != NULL || n->callee != NULL};
        u->count++;
    }
    return OX_OK;
}

bool ox_model_op_count(const char **domain, const char **type, size_t *count, bool *known,
                       ox_model *model, size_t index) {
    struct usage u = {0};
    for (size_t i = 0; i <= index; i++) {
        u = (struct usage){.after_domain = u.domain, .after_type = u.type};
        if (ox_model_each_graph(model, next_usage, &u) != OX_OK || !u.type) return false;
    }
    *domain = u.domain;
    *type = u.type;
    *count = u.count;
    *known = u.known;
    return true;
}
