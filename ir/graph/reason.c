/* ir/graph/reason.c - why is a value's type not known? ox_model_unknowns (onnxopt/model.h).
 *
 * Nothing of this is kept while types are inferred. When somebody asks, the graph is walked once
 * more, and every value about which something is not known gets a reason: that of the operand which
 * is to blame (reason_probe.c), or one of its own where the unknown begins. So a reason is always
 * the root of a chain. Numbers that decide shapes have reasons in the same way. */
#include "ir/graph/reason_priv.h"

#include <onnxopt/model.h>
#include <stdio.h>

/* Where something unknown begins. */
struct root {
    const char *id, *text;
    const struct ox_node *node; /* NULL: an input */
    const struct ox_value *value;
};

struct reasons {
    struct ox_shapes *s;
    uint32_t *type, *elements; /* by value id: number of a root, from 1; 0: none */
    struct root *roots;
    size_t n, cap;
    ox_unknown_fn fn;
    void *user;
    int hidden; /* in bodies of calls, which are not part of the model */
};

#define ID_DATA "data-dependent"
#define CHANGES "what it hands on changes from step to step"
#define COMPUTED "it computes from data the numbers that decide a shape"
#define GIVEN "its elements, which are given when the model runs, decide a shape"

static ox_status begins(uint32_t *out, struct reasons *r, const char *id, const char *text,
                        const struct ox_node *node, const struct ox_value *value) {
    OX_TRY(OX_GROW(r->s->ctx, r->roots, r->n, r->cap));
    r->roots[r->n++] = (struct root){id, text, node, value};
    *out = r->n <= UINT32_MAX ? (uint32_t)r->n : 0;
    return OX_OK;
}

static bool lacks(const struct ox_value *v) {
    return v && ox_type_lack(NULL, v->type) != OX_LACK_NOTHING;
}

/* `to` is not known because `from` is not; false: that is no reason. */
static bool inherit(struct reasons *r, const struct ox_value *to, const struct ox_value *from) {
    if (!to || !from || !lacks(from) || !r->type[from->id]) return false;
    r->type[to->id] = r->type[from->id];
    return true;
}

static void inherit_elements(struct reasons *r, const struct ox_value *to,
                             const struct ox_value *from) {
    if (to && from && !r->elements[to->id]) r->elements[to->id] = r->elements[from->id];
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static const char *undeclared(const struct ox_value *v) {
    switch (ox_type_lack(NULL, v->type)) {
    case OX_LACK_TYPE:
        return "no type is declared";
    case OX_LACK_RANK:
        return "no shape is declared";
    default:
        return "no size or name is declared for the dim";
    }
}

/* An input that nobody gives anything to but the caller, or (owner) the operator that runs its
 * graph: a loop's own counter. */
static ox_status explain_input(struct reasons *r, const struct ox_node *owner,
                               const struct ox_value *v) {
    bool open;
    if (lacks(v) && !r->type[v->id])
        OX_TRY(begins(&r->type[v->id], r, "undeclared", undeclared(v), owner, v));
    OX_TRY(ox_elements_lack(&open, r->s, v));
    if (!open || r->elements[v->id]) return OX_OK;
    if (owner) return begins(&r->elements[v->id], r, "changing-steps", CHANGES, owner, v);
    return begins(&r->elements[v->id], r, "given-by-caller", GIVEN, NULL, v);
}

/* ---- operators ------------------------------------------------------------------------------- */

/* The numbers that v has: who makes them? */
static ox_status blame_elements(uint32_t *out, struct reasons *r, const struct ox_value *v) {
    *out = r->elements[v->id];
    if (*out) return OX_OK;
    if (v->def) return begins(out, r, "computed", COMPUTED, v->def, v);
    return begins(out, r, "given-by-caller", GIVEN, NULL, v);
}

static ox_status blame(uint32_t *out, struct reasons *r, const struct ox_probe *probe,
                       const struct ox_value *value) {
    struct ox_verdict v;
    const struct ox_node *n = probe->node;
    OX_TRY(ox_probe_run(&v, probe));
    const struct ox_value *operand = ox_node_in(n, v.operand);
    switch (v.blame) {
    case OX_BLAME_OPERAND_TYPE:
        *out = r->type[operand->id];
        if (*out) return OX_OK;
        break;
    case OX_BLAME_OPERAND_ELEMENTS:
        return blame_elements(out, r, operand);
    case OX_BLAME_CONTRADICTION:
        return begins(out, r, "contradiction",
                      "its operands contradict each other, so that it can never run", n, value);
    case OX_BLAME_OPERATOR:
        break;
    }
    if (probe->lack == OX_LACK_ELEMENTS) return begins(out, r, "computed", COMPUTED, n, value);
    return begins(out, r, ID_DATA, v.why ? v.why : "its shape depends on data", n, value);
}

static ox_status explain_row(struct reasons *r, struct ox_node *n) {
    for (size_t i = 0; i < n->n_out; i++) {
        struct ox_value *v = n->out[i];
        struct ox_probe probe = {.s = r->s, .node = n, .out = i};
        bool open;
        if (!v) continue;
        probe.lack = ox_type_lack(&probe.dim, v->type);
        if (probe.lack != OX_LACK_NOTHING && !r->type[v->id])
            OX_TRY(blame(&r->type[v->id], r, &probe, v));
        OX_TRY(ox_elements_lack(&open, r->s, v));
        probe.lack = OX_LACK_ELEMENTS;
        if (open && !r->elements[v->id]) OX_TRY(blame(&r->elements[v->id], r, &probe, v));
    }
    return OX_OK;
}

static ox_status explain_all(struct reasons *r, const struct ox_node *n, const char *id,
                             const char *text) {
    uint32_t root = 0;
    for (size_t i = 0; i < n->n_out; i++) {
        const struct ox_value *v = n->out[i];
        bool open;
        if (!v) continue;
        OX_TRY(ox_elements_lack(&open, r->s, v));
        if (!lacks(v) && !open) continue;
        if (!root) OX_TRY(begins(&root, r, id, text, n, v));
        if (lacks(v) && !r->type[v->id]) r->type[v->id] = root;
        if (open && !r->elements[v->id]) r->elements[v->id] = root;
    }
    return OX_OK;
}

static ox_status explain_graph(void *arg, struct ox_graph *g);

static ox_status explain_call(struct reasons *r, struct ox_node *n) {
    if (!n->instance)
        return explain_all(r, n, "not-followed",
                           "the function calls itself, or its calls are too many to be followed");
    struct ox_graph *g = n->instance->graph;
    for (size_t i = 0; i < g->n_inputs; i++) {
        (void)!inherit(r, g->inputs[i], ox_node_in(n, i));
        inherit_elements(r, g->inputs[i], ox_node_in(n, i));
    }
    r->hidden++;
    OX_TRY(explain_graph(r, g));
    r->hidden--;
    for (size_t i = 0; i < n->n_out; i++) {
        (void)!inherit(r, n->out[i], ox_node_in(g->ret, i));
        inherit_elements(r, n->out[i], ox_node_in(g->ret, i));
    }
    return explain_all(r, n, ID_DATA, "its shape depends on data");
}

/* ---- operators with graphs ------------------------------------------------------------------- */

static const struct ox_attr *graph_attr(const struct ox_node *n, size_t i) {
    return n->attrs[i].type == OX_ATTR_GRAPH && !n->attrs[i].ref ? &n->attrs[i] : NULL;
}

/* Inputs of the body and operands of the node that stand for each other: those at the end. A shape
 * that the operand has and the body's input does not is one that changes. */
static ox_status explain_body_inputs(struct reasons *r, const struct ox_node *n,
                                     const struct ox_graph *g) {
    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct ox_value *v = g->inputs[i];
        const struct ox_value *from =
            n->n_in + i >= g->n_inputs ? ox_node_in(n, n->n_in + i - g->n_inputs) : NULL;
        bool own = ox_node_is(n, "Loop") && i < 2;
        if (own || !from || g->n_inputs > n->n_in) {
            OX_TRY(explain_input(r, n, v));
            continue;
        }
        if (lacks(v) && !inherit(r, v, from))
            OX_TRY(begins(&r->type[v->id], r, "changing-steps", CHANGES, n, v));
        bool open;
        OX_TRY(ox_elements_lack(&open, r->s, v));
        if (open && !r->elements[v->id])
            OX_TRY(begins(&r->elements[v->id], r, "changing-steps", CHANGES, n, v));
    }
    return OX_OK;
}

/* Output i of the node comes out of the bodies' outputs, counted from the end. */
static bool inherit_result(struct reasons *r, const struct ox_node *n, size_t i) {
    for (size_t k = 0; k < n->n_attrs; k++) {
        const struct ox_attr *a = graph_attr(n, k);
        if (!a || a->v.g->ret->n_in + i < n->n_out) continue;
        const struct ox_value *from = ox_node_in(a->v.g->ret, a->v.g->ret->n_in + i - n->n_out);
        if (!from) continue;
        inherit_elements(r, n->out[i], from);
        if (lacks(n->out[i]) && !r->type[n->out[i]->id] &&
            ox_type_lack(NULL, from->type) <= ox_type_lack(NULL, n->out[i]->type) &&
            inherit(r, n->out[i], from))
            return true;
    }
    return false;
}

/* A condition that hangs on a shape is not known for the reason that this is not. */
static bool inherit_condition(struct reasons *r, const struct ox_node *n,
                              const struct ox_value *v) {
    const struct ox_value *condition = ox_node_in(n, 0);
    uint32_t root = condition ? r->elements[condition->id] : 0;
    if (!root || strcmp(r->roots[root - 1].id, "computed") == 0 ||
        strcmp(r->roots[root - 1].id, "given-by-caller") == 0)
        return false;
    r->type[v->id] = root;
    return true;
}

static ox_status explain_control(struct reasons *r, struct ox_node *n) {
    bool branches = ox_node_is(n, "If");
    for (size_t k = 0; k < n->n_attrs; k++) {
        const struct ox_attr *a = graph_attr(n, k);
        if (!a) continue;
        OX_TRY(explain_body_inputs(r, n, a->v.g));
        OX_TRY(explain_graph(r, a->v.g));
    }
    for (size_t i = 0; i < n->n_out; i++) {
        struct ox_value *v = n->out[i];
        if (!v || inherit_result(r, n, i)) continue;
        if (!lacks(v)) continue;
        int dim = -1;
        bool counted = !branches && ox_type_lack(&dim, v->type) == OX_LACK_DIM && dim == 0;
        if (branches && inherit_condition(r, n, v)) continue;
        if (branches)
            OX_TRY(begins(&r->type[v->id], r, "branches-differ",
                          "its branches give different shapes", n, v));
        else if (counted)
            OX_TRY(begins(&r->type[v->id], r, "step-count", "how often it runs depends on data", n,
                          v));
        else
            OX_TRY(begins(&r->type[v->id], r, "changing-steps", CHANGES, n, v));
    }
    return explain_all(r, n, ID_DATA, "its shape depends on data");
}

/* ---- the walk -------------------------------------------------------------------------------- */

static ox_status explain_node(struct reasons *r, struct ox_node *n) {
    if (n->callee) return explain_call(r, n);
    if (!n->op) return explain_all(r, n, "unknown-operator", "the operator is not known");
    if (n->op->traits & OX_CONTROL && n->op->domain[0] == 0 && !ox_node_is(n, "FlexAttention"))
        return explain_control(r, n);
    OX_TRY(ox_node_each_graph(n, explain_graph, r));
    return explain_row(r, n);
}

static void tell(struct reasons *r, const struct ox_value *v) {
    char type[512];
    int dim = -1;
    static const char *const parts[] = {"type", "rank", "dim"};
    enum ox_lack lack = v ? ox_type_lack(&dim, v->type) : OX_LACK_NOTHING;
    if (lack == OX_LACK_NOTHING || r->hidden || !r->type[v->id]) return;
    const struct root *root = &r->roots[r->type[v->id] - 1];
    struct ox_place place = {0};
    if (root->node) ox_node_place(&place, root->node);
    ox_type_print(type, sizeof type, v->type);
    struct ox_unknown u = {
        .name = ox_name_text(v->name),
        .graph = ox_name_text(v->graph->name),
        .type_text = type,
        .part = parts[lack],
        .dim = dim,
        .reason = root->id,
        .text = root->text,
        .domain = root->node ? ox_name_text(root->node->domain) : NULL,
        .op = place.op,
        .node = place.node,
        .origin = ox_name_text(root->value->name),
    };
    r->fn(r->user, &u);
}

static ox_status explain_graph(void *arg, struct ox_graph *g) {
    struct reasons *r = arg;
    for (size_t i = 0; i < g->n_inputs; i++) {
        if (!g->inputs[i]->init || !ox_value_const(g->inputs[i]))
            OX_TRY(explain_input(r, g->owner, g->inputs[i]));
        tell(r, g->inputs[i]);
    }
    for (struct ox_node *n = ox_graph_begin(g); n; n = ox_node_next(n)) {
        OX_TRY(explain_node(r, n));
        for (size_t i = 0; i < n->n_out; i++)
            tell(r, n->out[i]);
    }
    return OX_OK;
}

ox_status ox_model_unknowns(ox_model *model, ox_unknown_fn fn, void *user) {
    struct reasons r = {.fn = fn, .user = user};
    OX_TRY(ox_model_infer(model, &r.s));
    ox_status status = ox_alloc(model->ctx, &r.type, model->n_values, sizeof *r.type);
    if (status == OX_OK)
        status = ox_alloc(model->ctx, &r.elements, model->n_values, sizeof *r.elements);
    if (status == OX_OK) status = explain_graph(&r, model->graph);
    ox_free(model->ctx, r.type);
    ox_free(model->ctx, r.elements);
    ox_free(model->ctx, r.roots);
    ox_shapes_free(r.s);
    return status;
}
