/* ir/graph/query.c - questions about nodes and values that passes ask. */
#include "ir/graph/graph.h"
#include "ir/ops/random.h"

bool ox_node_is(const struct ox_node *node, const char *type) {
    return node->type && !node->domain && !node->callee && strcmp(node->type->text, type) == 0;
}

ox_tensor *ox_value_const(const struct ox_value *value) {
    if (!value) return NULL;
    if (value->init)
        return value->is_input && value->graph->model->ir_version >= 4 ? NULL : value->init;
    if (!value->def || !value->def->op || !ox_node_is(value->def, "Constant")) return NULL;
    const struct ox_attr *a = ox_node_attr(value->def, "value");
    return a && !a->ref && a->type == OX_ATTR_TENSOR ? a->v.t : NULL;
}

bool ox_value_visible(const struct ox_value *value, const struct ox_node *at) {
    while (at->graph != value->graph) {
        at = at->graph->owner;
        if (!at) return false;
    }
    return !value->def || value->def->order < at->order;
}

bool ox_node_is_template(const struct ox_node *node) {
    for (size_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].ref) return true;
    return false;
}

void ox_node_place(struct ox_place *place, const struct ox_node *node) {
    const struct ox_model *m = node->graph->model;
    *place = (struct ox_place){
        .file = m->file ? m->file->text : NULL,
        .offset = node->offset,
        .graph = node->graph->name ? node->graph->name->text : NULL,
        .op = node->type ? node->type->text : NULL,
    };
    if (node->name && node->name->len)
        place->node = node->name->text;
    else if (node->n_out && node->out[0] && node->out[0]->name)
        place->node = node->out[0]->name->text;
}

/* The numbers of a random node follow from its name, so that passes which move nodes leave them as
 * they are. Nodes without a name have their first output's. */
static uint64_t stream_of(const struct ox_node *node) {
    struct ox_place place;
    ox_node_place(&place, node);
    return ox_random_stream(place.node ? place.node : "");
}

ox_status ox_node_call(struct ox_call *call, struct ox_call_scratch *scratch,
                       const struct ox_node *node) {
    size_t need = node->n_in > node->n_out ? node->n_in : node->n_out;
    if (need > scratch->cap || !scratch->flags) {
        size_t cap = need < 16 ? 16 : need * 2;
        ox_call_scratch_fini(scratch);
        OX_TRY(ox_alloc(scratch->ctx, &scratch->consts, cap, sizeof(ox_tensor *)));
        OX_TRY(ox_alloc(scratch->ctx, &scratch->flags, cap * 2, sizeof(bool)));
        scratch->cap = cap;
    }
    bool *present = scratch->flags, *wanted = scratch->flags + scratch->cap;
    for (size_t i = 0; i < node->n_in; i++) {
        present[i] = node->in[i].value != NULL;
        scratch->consts[i] = ox_value_const(node->in[i].value);
    }
    for (size_t i = 0; i < node->n_out; i++)
        wanted[i] = node->out[i] != NULL;
    int64_t opset = ox_node_opset(node);
    *call = (struct ox_call){
        .ctx = scratch->ctx,
        .op = node->op,
        .opset = opset > INT32_MAX ? INT32_MAX : (int)opset,
        .attrs = node->attrs,
        .n_attrs = node->n_attrs,
        .n_in = node->n_in,
        .n_out = node->n_out,
        .consts = (const struct ox_tensor *const *)scratch->consts,
        .present = present,
        .wanted = wanted,
        .stream = node->op && (node->op->traits & (OX_RANDOM | OX_TRAINING)) ? stream_of(node) : 0,
    };
    return OX_OK;
}

void ox_call_scratch_fini(struct ox_call_scratch *scratch) {
    ox_free(scratch->ctx, scratch->consts);
    ox_free(scratch->ctx, scratch->flags);
    scratch->consts = NULL;
    scratch->flags = NULL;
    scratch->cap = 0;
}

/* In inference mode? Only a constant false, or no such input, says so; before opset 7 no attribute
 * is_test of 0. */
static bool not_training(const struct ox_node *node) {
    struct ox_value *v = ox_node_in(node, 2);
    const struct ox_attr *is_test = ox_node_opset(node) < 7 ? ox_node_attr(node, "is_test") : NULL;
    if (is_test && (is_test->type != OX_ATTR_INT || is_test->v.i == 0)) return false;
    ox_tensor *t = ox_value_const(v);
    return !v ||
           (t && t->dtype == OX_BOOL && t->count == 1 && *(const unsigned char *)t->data == 0);
}

enum effect { PURE, RANDOM, OTHER };

/* What has been seen of bodies: calls in calls in calls may be very many, then nothing is promised.
 */
enum { LOOK_AT = 20000, CALL_DEPTH = 32 };

struct look {
    enum effect worst;
    size_t left; /* nodes yet to be looked at */
    int calls;   /* inside each other */
};

static enum effect effect_in(const struct ox_node *node, struct look *look);

static ox_status worst_in_graph(void *arg, struct ox_graph *graph) {
    struct look *look = arg;
    for (struct ox_node *n = ox_graph_begin(graph); n && look->worst != OTHER;
         n = ox_node_next(n)) {
        enum effect e = look->left > 0 ? effect_in(n, look) : OTHER;
        if (look->left > 0) look->left--;
        if (e > look->worst) look->worst = e;
    }
    return OX_OK;
}

/* Recursion is bounded by limits.max_subgraph_depth and CALL_DEPTH. */
static enum effect effect_in(const struct ox_node *node, struct look *look) {
    if (node->callee) {
        if (look->calls == CALL_DEPTH) return OTHER;
        look->calls++;
        (void)!worst_in_graph(look, node->callee->body);
        look->calls--;
        return look->worst;
    }
    if (!node->op) return OTHER;
    unsigned traits = node->op->traits;
    if (traits & OX_STATEFUL) return OTHER;
    if (traits & OX_RANDOM) return RANDOM;
    if (traits & OX_TRAINING) return not_training(node) ? PURE : RANDOM;
    if (traits & OX_CONTROL) {
        (void)!ox_node_each_graph(node, worst_in_graph, look);
        return look->worst;
    }
    return traits & OX_PURE ? PURE : OTHER;
}

static enum effect effect_of(const struct ox_node *node) {
    struct look look = {PURE, LOOK_AT, 0};
    return effect_in(node, &look);
}

bool ox_node_removable(const struct ox_node *node) {
    return effect_of(node) != OTHER;
}

bool ox_node_pure(const struct ox_node *node) {
    return effect_of(node) == PURE;
}
