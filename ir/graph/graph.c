/* ir/graph/graph.c - building and editing graphs: the primitives that keep the invariants of
 * graph.h. */
#include "ir/graph/graph.h"

#define ORDER_GAP ((uint64_t)1 << 20)

/* Counts are 32 bits wide; no file that fits in memory has more of anything. */
static ox_status too_many(struct ox_model *model, const char *what) {
    return ox_fail(model->ctx, OX_NOMEM, "too-many", NULL, "too many %s", what);
}

/* ---- values ---------------------------------------------------------------------------------- */

static ox_status unknown_type(const struct ox_type **out) {
    static const struct ox_type unknown = {.kind = OX_TYPE_UNKNOWN, .rank = -1};
    *out = &unknown;
    return OX_OK;
}

static ox_status value_new(struct ox_value **out, struct ox_graph *graph, ox_name name) {
    struct ox_model *m = graph->model;
    struct ox_value *v;
    if (m->n_values == UINT32_MAX) return too_many(m, "values");
    OX_TRY(OX_GROW(m->ctx, m->values, m->n_values, m->cap_values));
    OX_TRY(ox_arena_alloc(&m->arena, &v, 1, sizeof *v));
    OX_TRY(unknown_type(&v->type));
    v->id = m->n_values;
    v->name = name;
    v->graph = graph;
    m->values[m->n_values++] = v;
    *out = v;
    return OX_OK;
}

void ox_use_set(struct ox_use *use, struct ox_value *value) {
    if (use->value == value) return;
    if (use->value) {
        *use->link = use->next;
        if (use->next) use->next->link = use->link;
        use->value->n_uses--;
    }
    use->value = value;
    use->next = NULL;
    use->link = NULL;
    if (!value) return;
    use->next = value->uses;
    use->link = &value->uses;
    if (value->uses) value->uses->link = &use->next;
    value->uses = use;
    value->n_uses++;
}

void ox_value_replace(struct ox_value *value, struct ox_value *by) {
    if (value == by) return;
    while (value->uses)
        ox_use_set(value->uses, by);
}

struct ox_use *ox_value_single_use(const struct ox_value *value) {
    return value->n_uses == 1 ? value->uses : NULL;
}

void ox_value_remove_init(struct ox_value *value) {
    ox_tensor_unref(value->init);
    value->init = NULL;
    value->sparse = NULL;
    if (value->is_input) return;
    struct ox_graph *g = value->graph;
    if (value->def_index < g->n_inits && g->inits[value->def_index] == value)
        g->inits[value->def_index] = NULL;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* Makes room for n operands; the array may move, so links are moved with it. */
static ox_status reserve_inputs(struct ox_node *node, size_t n) {
    if (n <= node->cap_in) return OX_OK;
    size_t cap = node->cap_in ? (size_t)node->cap_in * 2 : n;
    if (cap < n) cap = n;
    if (cap > UINT32_MAX) return too_many(node->graph->model, "operands");
    struct ox_use *in;
    OX_TRY(ox_arena_alloc(&node->graph->model->arena, &in, cap, sizeof *in));
    for (size_t i = 0; i < node->n_in; i++) {
        in[i] = node->in[i];
        if (!in[i].value) continue;
        *in[i].link = &in[i];
        if (in[i].next) in[i].next->link = &in[i].next;
    }
    node->in = in;
    node->cap_in = (uint32_t)cap;
    return OX_OK;
}

ox_status ox_node_add_input(struct ox_node *node, struct ox_value *value) {
    OX_TRY(reserve_inputs(node, node->n_in + 1));
    struct ox_use *use = &node->in[node->n_in];
    *use = (struct ox_use){.user = node};
    node->n_in++;
    ox_use_set(use, value);
    return OX_OK;
}

void ox_node_trim_inputs(struct ox_node *node) {
    while (node->n_in && !node->in[node->n_in - 1].value)
        node->n_in--;
}

static void renumber(struct ox_graph *graph) {
    uint64_t order = 0;
    for (struct ox_node *n = graph->first; n; n = n->next)
        n->order = order += ORDER_GAP;
}

/* Links a node before `before`, which is in the same graph. */
static void link_before(struct ox_node *node, struct ox_node *before) {
    struct ox_graph *g = node->graph;
    node->prev = before->prev;
    node->next = before;
    before->prev = node;
    if (node->prev)
        node->prev->next = node;
    else
        g->first = node;
    uint64_t low = node->prev ? node->prev->order : 0;
    if (before == g->ret && low < UINT64_MAX - 2 * ORDER_GAP) {
        node->order = low + ORDER_GAP;
        before->order = low + 2 * ORDER_GAP;
    } else if (before->order - low >= 2) {
        node->order = low + (before->order - low) / 2;
    } else {
        renumber(g);
    }
}

static void unlink_node(struct ox_node *node) {
    if (node->prev)
        node->prev->next = node->next;
    else
        node->graph->first = node->next;
    if (node->next) node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

static const struct ox_op *find_op(struct ox_model *m, ox_name domain, ox_name type) {
    size_t slot =
        (type->id ^ (domain ? domain->id : 0)) % (sizeof m->op_cache / sizeof m->op_cache[0]);
    if (m->op_cache[slot].type != type || m->op_cache[slot].domain != domain) {
        m->op_cache[slot].type = type;
        m->op_cache[slot].domain = domain;
        m->op_cache[slot].op = ox_op_find(ox_name_text(domain), type->text);
    }
    return m->op_cache[slot].op;
}

static ox_status node_alloc(struct ox_node **out, struct ox_graph *graph, size_t n_in,
                            size_t n_out) {
    struct ox_model *m = graph->model;
    struct ox_node *n;
    if (m->n_nodes == UINT32_MAX) return too_many(m, "nodes");
    OX_TRY(OX_GROW(m->ctx, m->nodes, m->n_nodes, m->cap_nodes));
    OX_TRY(ox_arena_alloc(&m->arena, &n, 1, sizeof *n));
    n->graph = graph;
    OX_TRY(reserve_inputs(n, n_in));
    for (; n->n_in < n_in; n->n_in++)
        n->in[n->n_in] = (struct ox_use){.user = n};
    if (n_out > UINT32_MAX) return too_many(m, "outputs");
    if (n_out) OX_TRY(ox_arena_alloc(&m->arena, &n->out, n_out, sizeof(struct ox_value *)));
    for (size_t i = 0; i < n_out; i++) {
        OX_TRY(value_new(&n->out[i], graph, NULL));
        n->out[i]->def = n;
        n->out[i]->def_index = (uint32_t)i;
    }
    n->n_out = (uint32_t)n_out;
    n->id = m->n_nodes;
    m->nodes[m->n_nodes++] = n;
    *out = n;
    return OX_OK;
}

ox_status ox_node_new(struct ox_node **out, struct ox_graph *graph, struct ox_node *before,
                      ox_name domain, ox_name type, size_t n_in, size_t n_out) {
    struct ox_node *n;
    OX_TRY(node_alloc(&n, graph, n_in, n_out));
    n->domain = ox_domain_norm(domain);
    n->type = type;
    n->op = find_op(graph->model, n->domain, type);
    if (n->op) graph->model->n_by_op[n->op - ox_op_at(0)]++;
    link_before(n, before ? before : graph->ret);
    graph->n_nodes++;
    *out = n;
    return OX_OK;
}

void ox_node_move(struct ox_node *node, struct ox_node *before) {
    if (node == before || node->next == before) return;
    unlink_node(node);
    link_before(node, before);
}

static ox_status release_graph(void *arg, struct ox_graph *graph);

/* Takes a node out of every use list and gives up its tensors; what is inside its subgraphs
 * likewise. Depth is bounded when graphs are made. */
static void release_node(struct ox_node *node) {
    for (size_t i = 0; i < node->n_in; i++)
        ox_use_set(&node->in[i], NULL);
    (void)!ox_node_each_graph(node, release_graph, NULL);
    ox_call_drop_instance(node);
    for (size_t i = 0; i < node->n_attrs; i++)
        ox_attr_release(&node->attrs[i]);
    node->n_in = node->n_out = node->n_attrs = 0;
    if (node->op) node->graph->model->n_by_op[node->op - ox_op_at(0)]--;
}

static ox_status release_graph(void *arg, struct ox_graph *graph) {
    (void)arg;
    for (struct ox_node *n = graph->first; n; n = n->next)
        release_node(n);
    for (size_t i = 0; i < graph->n_inits; i++)
        if (graph->inits[i]) ox_value_remove_init(graph->inits[i]);
    return OX_OK;
}

void ox_call_drop_instance(struct ox_node *call) {
    if (call->instance) (void)!release_graph(NULL, call->instance->graph);
    call->instance = NULL;
}

void ox_node_remove(struct ox_node *node) {
    struct ox_graph *g = node->graph;
    unlink_node(node);
    release_node(node);
    g->n_nodes--;
}

/* ---- attributes ------------------------------------------------------------------------------ */

const struct ox_attr *ox_node_attr(const struct ox_node *node, const char *name) {
    for (size_t i = 0; i < node->n_attrs; i++)
        if (ox_name_is(node->attrs[i].name, name)) return &node->attrs[i];
    return NULL;
}

void ox_node_drop_attr(struct ox_node *node, const char *name) {
    for (size_t i = 0; i < node->n_attrs; i++) {
        if (!ox_name_is(node->attrs[i].name, name)) continue;
        ox_attr_release(&node->attrs[i]);
        memmove(&node->attrs[i], &node->attrs[i + 1],
                (node->n_attrs - i - 1) * sizeof node->attrs[0]);
        node->n_attrs--;
        return;
    }
}

ox_status ox_node_reserve_attrs(struct ox_node *node, size_t n) {
    struct ox_attr *attrs;
    if (n <= node->cap_attrs) return OX_OK;
    if (n > UINT32_MAX) return too_many(node->graph->model, "attributes");
    OX_TRY(ox_arena_alloc(&node->graph->model->arena, &attrs, n, sizeof *attrs));
    if (node->n_attrs) memcpy(attrs, node->attrs, node->n_attrs * sizeof *attrs);
    node->attrs = attrs;
    node->cap_attrs = (uint32_t)n;
    return OX_OK;
}

ox_status ox_node_add_attr(struct ox_attr **out, struct ox_node *node, ox_name name) {
    for (size_t i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].name != name) continue;
        ox_attr_release(&node->attrs[i]);
        node->attrs[i] = (struct ox_attr){.name = name};
        *out = &node->attrs[i];
        return OX_OK;
    }
    if (node->n_attrs == node->cap_attrs)
        OX_TRY(ox_node_reserve_attrs(node, node->n_attrs < 2 ? node->n_attrs + 1
                                                             : (size_t)node->n_attrs * 2));
    node->attrs[node->n_attrs] = (struct ox_attr){.name = name};
    *out = &node->attrs[node->n_attrs++];
    return OX_OK;
}

static ox_status set_attr(struct ox_attr **out, struct ox_node *node, const char *name,
                          enum ox_attr_type type, size_t count) {
    ox_name n;
    OX_TRY(ox_model_name(&n, node->graph->model, name, strlen(name)));
    OX_TRY(ox_node_add_attr(out, node, n));
    (*out)->type = type;
    (*out)->count = count;
    return OX_OK;
}

ox_status ox_node_set_int(struct ox_node *node, const char *name, int64_t value) {
    struct ox_attr *a;
    OX_TRY(set_attr(&a, node, name, OX_ATTR_INT, 1));
    a->v.i = value;
    return OX_OK;
}

ox_status ox_node_set_float(struct ox_node *node, const char *name, float value) {
    struct ox_attr *a;
    OX_TRY(set_attr(&a, node, name, OX_ATTR_FLOAT, 1));
    a->v.f = value;
    return OX_OK;
}

ox_status ox_node_set_string(struct ox_node *node, const char *name, const char *value) {
    struct ox_attr *a;
    const char *copy;
    OX_TRY(ox_arena_copy(&node->graph->model->arena, &copy, value, strlen(value)));
    OX_TRY(set_attr(&a, node, name, OX_ATTR_STRING, 1));
    a->v.s = (struct ox_str){copy, strlen(value)};
    return OX_OK;
}

ox_status ox_node_set_ints(struct ox_node *node, const char *name, const int64_t *values,
                           size_t count) {
    struct ox_attr *a;
    int64_t *copy;
    OX_TRY(ox_arena_alloc(&node->graph->model->arena, &copy, count, sizeof *copy));
    if (count) memcpy(copy, values, count * sizeof *copy);
    OX_TRY(set_attr(&a, node, name, OX_ATTR_INTS, count));
    a->v.ints = copy;
    return OX_OK;
}

/* ---- graphs ---------------------------------------------------------------------------------- */

ox_status ox_graph_new(struct ox_graph **out, struct ox_model *model, struct ox_node *owner) {
    struct ox_graph *g;
    int depth = owner ? owner->graph->depth + 1 : 0,
        limit = ox_ctx_limits(model->ctx)->max_subgraph_depth;
    if (depth > limit)
        return ox_fail(model->ctx, OX_INVALID, "too-deep", NULL,
                       "subgraphs are nested deeper than %d (limit max_subgraph_depth)", limit);
    OX_TRY(ox_arena_alloc(&model->arena, &g, 1, sizeof *g));
    g->model = model;
    g->owner = owner;
    if (owner) model->n_subgraphs++;
    g->depth = depth;
    OX_TRY(node_alloc(&g->ret, g, 0, 0));
    g->first = g->ret;
    g->ret->order = ORDER_GAP;
    *out = g;
    return OX_OK;
}

ox_status ox_graph_add_input(struct ox_value **out, struct ox_graph *graph, ox_name name,
                             const struct ox_type *type) {
    struct ox_value *v;
    if (graph->n_inputs == graph->cap_inputs) {
        size_t cap = graph->cap_inputs ? graph->cap_inputs * 2 : 4;
        struct ox_value **list;
        OX_TRY(ox_arena_alloc(&graph->model->arena, &list, cap, sizeof(struct ox_value *)));
        if (graph->n_inputs)
            memcpy(list, graph->inputs, graph->n_inputs * sizeof(struct ox_value *));
        graph->inputs = list;
        graph->cap_inputs = cap;
    }
    OX_TRY(value_new(&v, graph, name));
    v->is_input = true;
    v->def_index = (uint32_t)graph->n_inputs;
    if (type) v->type = type;
    graph->inputs[graph->n_inputs++] = v;
    *out = v;
    return OX_OK;
}

/* Room for one more initializer. */
static ox_status reserve_init(struct ox_graph *graph) {
    if (graph->n_inits < graph->cap_inits) return OX_OK;
    size_t cap = graph->cap_inits ? graph->cap_inits * 2 : 16;
    struct ox_value **list;
    OX_TRY(ox_arena_alloc(&graph->model->arena, &list, cap, sizeof(struct ox_value *)));
    if (graph->n_inits) memcpy(list, graph->inits, graph->n_inits * sizeof(struct ox_value *));
    graph->inits = list;
    graph->cap_inits = cap;
    return OX_OK;
}

ox_status ox_graph_add_init(struct ox_value **out, struct ox_graph *graph, ox_name name,
                            ox_tensor *tensor) {
    struct ox_value *v;
    OX_TRY(reserve_init(graph));
    OX_TRY(value_new(&v, graph, name));
    if (tensor) OX_TRY(ox_type_of(&v->type, &graph->model->arena, tensor));
    v->def_index = (uint32_t)graph->n_inits;
    v->init = tensor;
    graph->inits[graph->n_inits++] = v;
    *out = v;
    return OX_OK;
}

ox_status ox_graph_fix_input(struct ox_value *input) {
    struct ox_graph *g = input->graph;
    OX_TRY(reserve_init(g));
    for (size_t i = input->def_index; i + 1 < g->n_inputs; i++) {
        g->inputs[i] = g->inputs[i + 1];
        g->inputs[i]->def_index = (uint32_t)i;
    }
    g->n_inputs--;
    input->is_input = false;
    input->def_index = (uint32_t)g->n_inits;
    g->inits[g->n_inits++] = input;
    return OX_OK;
}

ox_status ox_graph_add_output(struct ox_graph *graph, struct ox_value *value, ox_name name,
                              const struct ox_type *type) {
    struct ox_output *outputs;
    size_t n = graph->ret->n_in;
    if ((n & (n - 1)) == 0) { /* full at powers of two */
        OX_TRY(ox_arena_alloc(&graph->model->arena, &outputs, n ? n * 2 : 1, sizeof *outputs));
        if (n) memcpy(outputs, graph->outputs, n * sizeof *outputs);
        graph->outputs = outputs;
    }
    graph->outputs[n] = (struct ox_output){.name = name, .type = type};
    if (!type) OX_TRY(unknown_type(&graph->outputs[n].type));
    return ox_node_add_input(graph->ret, value);
}
