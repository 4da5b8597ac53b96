/* ir/graph/expand.c - function calls: how large a model is with all of them expanded, copies of a
 * function's body with a call's attributes filled in, and calls replaced by such copies.
 *
 * A copy is an instance (a graph of its own behind the call node, for inference and execution,
 * unseen by passes and writers) or takes the call's place for good. */
#include "ir/base/ptr_map.h"
#include "ir/graph/graph.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- size ------------------------------------------------------------------------------------ */

/* Longest chain of calls in calls that is expanded: what walks it recurs. */
enum { CHAIN_MAX = 200 };

/* Caller n_functions is the main graph. */
struct edge {
    uint32_t callee, caller;
};

struct census {
    struct ox_model *model;
    struct ox_ptr_map index; /* function -> index + 1 */
    uint32_t caller;         /* whose nodes are being counted */
    size_t *total;           /* by function and main graph: nodes, those of calls included */
    uint32_t *depth;         /* by function and main graph: longest chain of calls from there */
    uint32_t *pending;       /* by caller: callees not known yet */
    struct edge *edges;
    size_t n_edges, cap_edges;
};

static ox_status count_nodes(void *arg, struct ox_graph *graph) {
    struct census *c = arg;
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n)) {
        uint32_t callee = n->callee ? ox_ptr_map_get(&c->index, n->callee) : 0;
        c->total[c->caller]++;
        if (callee) {
            OX_TRY(OX_GROW(c->model->ctx, c->edges, c->n_edges, c->cap_edges));
            c->edges[c->n_edges++] = (struct edge){callee - 1, c->caller};
            c->pending[c->caller]++;
        }
        OX_TRY(ox_node_each_graph(n, count_nodes, c)); /* as deep as limits.max_subgraph_depth */
    }
    return OX_OK;
}

static int by_callee(const void *a, const void *b) {
    const struct edge *x = a, *y = b;
    return x->callee < y->callee ? -1 : x->callee > y->callee;
}

/* Functions without calls first, then those that call only these, and so on. What is left over
 * calls itself: *settled counts the others. */
static ox_status sum_up(struct census *c, size_t *settled) {
    size_t n = c->model->n_functions + 1, head = 0;
    uint32_t *queue;
    *settled = 0;
    OX_TRY(ox_alloc(c->model->ctx, &queue, n, sizeof *queue));
    if (c->n_edges) qsort(c->edges, c->n_edges, sizeof *c->edges, by_callee);
    for (uint32_t f = 0; f < n; f++)
        if (c->pending[f] == 0) queue[(*settled)++] = f;
    for (; head < *settled; head++) {
        uint32_t f = queue[head];
        size_t low = 0, high = c->n_edges; /* first edge to it, by bisection */
        while (low < high) {
            size_t mid = low + (high - low) / 2;
            if (c->edges[mid].callee < f)
                low = mid + 1;
            else
                high = mid;
        }
        for (; low < c->n_edges && c->edges[low].callee == f; low++) {
            uint32_t caller = c->edges[low].caller;
            if (c->depth[caller] <= c->depth[f]) c->depth[caller] = c->depth[f] + 1;
            if (ox_add_size(&c->total[caller], c->total[caller], c->total[f]))
                c->total[caller] = SIZE_MAX;
            if (--c->pending[caller] == 0) queue[(*settled)++] = caller;
        }
    }
    ox_free(c->model->ctx, queue);
    return OX_OK;
}

static ox_status take_census(struct census *c) {
    struct ox_model *m = c->model;
    size_t n = m->n_functions + 1;
    OX_TRY(ox_alloc(m->ctx, &c->total, n, sizeof *c->total));
    OX_TRY(ox_alloc(m->ctx, &c->depth, n, sizeof *c->depth));
    OX_TRY(ox_alloc(m->ctx, &c->pending, n, sizeof *c->pending));
    for (size_t i = 0; i < m->n_functions; i++)
        OX_TRY(ox_ptr_map_set(&c->index, m->functions[i], (uint32_t)i + 1));
    for (size_t i = 0; i < m->n_functions; i++) {
        c->caller = (uint32_t)i;
        OX_TRY(count_nodes(c, m->functions[i]->body));
    }
    c->caller = (uint32_t)m->n_functions;
    return count_nodes(c, m->graph);
}

ox_status ox_model_expanded(struct ox_expansion *out, struct ox_model *model) {
    struct census c = {.model = model};
    size_t settled = 0, main = model->n_functions;
    ox_ptr_map_init(&c.index, model->ctx);
    ox_status s = take_census(&c);
    if (s == OX_OK) s = sum_up(&c, &settled);
    if (s == OX_OK) {
        bool recursive = settled < main + 1,
             fits = !recursive && c.depth[main] <= CHAIN_MAX &&
                    c.total[main] <= ox_ctx_limits(model->ctx)->max_nodes;
        *out = (struct ox_expansion){recursive ? SIZE_MAX : c.total[main], recursive, fits};
    }
    ox_ptr_map_fini(&c.index);
    ox_free(model->ctx, c.total);
    ox_free(model->ctx, c.depth);
    ox_free(model->ctx, c.pending);
    ox_free(model->ctx, c.edges);
    return s;
}

/* ---- copying --------------------------------------------------------------------------------- */

enum { ABSENT = UINT32_MAX };

struct copier {
    struct ox_model *model;
    const struct ox_node *call; /* whose attributes are filled in */
    struct ox_ptr_map values;   /* value of the body -> id of its copy + 1, or ABSENT */
};

static ox_status map_value(struct copier *c, const struct ox_value *from,
                           const struct ox_value *to) {
    return ox_ptr_map_set(&c->values, from, to ? to->id + 1 : ABSENT);
}

/* A value that is no copy is one that both see. */
static struct ox_value *mapped(const struct copier *c, struct ox_value *from) {
    uint32_t id = from ? ox_ptr_map_get(&c->values, from) : 0;
    return id == 0 ? from : id == ABSENT ? NULL : c->model->values[id - 1];
}

static ox_status copy_sparse(struct ox_sparse **out, struct ox_model *m,
                             const struct ox_sparse *from) {
    OX_TRY(ox_arena_alloc(&m->arena, out, 1, sizeof **out));
    **out = *from;
    (*out)->values = ox_tensor_ref(from->values);
    (*out)->indices = ox_tensor_ref(from->indices);
    return OX_OK;
}

static ox_status copy_graph(struct ox_graph **out, struct copier *c, struct ox_node *owner,
                            const struct ox_graph *from);

static ox_status copy_list(struct ox_attr *to, struct copier *c, struct ox_node *owner,
                           const struct ox_attr *from) {
    struct ox_arena *arena = &c->model->arena;
    size_t n = from->count;
    to->count = 0; /* as far as it is filled in */
    switch (from->type) {
    case OX_ATTR_TENSORS:
        OX_TRY(ox_arena_alloc(arena, &to->v.tensors, n, sizeof(ox_tensor *)));
        for (; to->count < n; to->count++)
            to->v.tensors[to->count] = ox_tensor_ref(from->v.tensors[to->count]);
        break;
    case OX_ATTR_GRAPHS:
        OX_TRY(ox_arena_alloc(arena, &to->v.graphs, n, sizeof(struct ox_graph *)));
        for (; to->count < n; to->count++)
            OX_TRY(copy_graph(&to->v.graphs[to->count], c, owner, from->v.graphs[to->count]));
        break;
    default:
        OX_TRY(ox_arena_alloc(arena, &to->v.sparse, n, sizeof(struct ox_sparse *)));
        for (; to->count < n; to->count++)
            OX_TRY(copy_sparse(&to->v.sparse[to->count], c->model, from->v.sparse[to->count]));
        break;
    }
    return OX_OK;
}

/* Memory in the arena is shared: nobody writes to it. */
static ox_status copy_attr(struct copier *c, struct ox_node *owner, ox_name name,
                           const struct ox_attr *from) {
    struct ox_attr *to;
    OX_TRY(ox_node_add_attr(&to, owner, name));
    struct ox_attr copy = *from;
    copy.name = name;
    if (!from->ref) switch (from->type) {
        case OX_ATTR_TENSOR:
            copy.v.t = ox_tensor_ref(from->v.t);
            break;
        case OX_ATTR_GRAPH:
            if (from->v.g) OX_TRY(copy_graph(&copy.v.g, c, owner, from->v.g));
            break;
        case OX_ATTR_TENSORS:
        case OX_ATTR_GRAPHS:
        case OX_ATTR_SPARSE_TENSOR:
        case OX_ATTR_SPARSE_TENSORS:
            OX_TRY(copy_list(&copy, c, owner, from));
            break;
        default:
            break;
        }
    *to = copy;
    return OX_OK;
}

/* What stands for a parameter of the function: the call's attribute, or the default, or nothing. */
static const struct ox_attr *argument(const struct ox_node *call, ox_name parameter) {
    const struct ox_function *f = call->callee;
    for (size_t i = 0; i < call->n_attrs; i++)
        if (call->attrs[i].name == parameter) return &call->attrs[i];
    for (size_t i = 0; i < f->n_defaults; i++)
        if (f->defaults[i].name == parameter) return &f->defaults[i];
    return NULL;
}

static ox_status copy_attrs(struct copier *c, struct ox_node *to, const struct ox_node *from) {
    for (size_t i = 0; i < from->n_attrs; i++) {
        const struct ox_attr *a = &from->attrs[i], *given = a->ref ? argument(c->call, a->ref) : a;
        if (!given) continue;
        if (a->ref && a->type != given->type && a->type != OX_ATTR_UNDEFINED && !given->ref)
            return ox_fail(c->model->ctx, OX_INVALID, "wrong-attribute", NULL,
                           "attribute '%s' of function %s is not of the type that its body uses",
                           ox_name_text(a->ref), ox_name_text(c->call->callee->name));
        OX_TRY(copy_attr(c, to, a->name, given));
    }
    return OX_OK;
}

/* "call/inner", so that two calls can be told apart in messages. */
static ox_status copy_name(ox_name *out, struct copier *c, ox_name name) {
    char text[256];
    *out = name;
    if (!name || !name->len || !c->call->name || !c->call->name->len) return OX_OK;
    int n = snprintf(text, sizeof text, "%s/%s", c->call->name->text, name->text);
    return n > 0 && (size_t)n < sizeof text ? ox_model_name(out, c->model, text, (size_t)n) : OX_OK;
}

static ox_status copy_node(struct copier *c, struct ox_graph *graph, struct ox_node *before,
                           const struct ox_node *from) {
    struct ox_node *n;
    OX_TRY(ox_node_new(&n, graph, before, from->domain, from->type, from->n_in, from->n_out));
    n->op = from->op;
    n->callee = from->callee;
    n->overload = from->overload;
    n->offset = from->offset;
    n->notes = from->notes;
    OX_TRY(copy_name(&n->name, c, from->name));
    for (size_t i = 0; i < from->n_in; i++)
        ox_use_set(&n->in[i], mapped(c, from->in[i].value));
    ox_node_trim_inputs(n);
    for (size_t i = 0; i < from->n_out; i++) {
        if (!from->out[i]) {
            n->out[i] = NULL;
            continue;
        }
        n->out[i]->name = from->out[i]->name;
        n->out[i]->type = from->out[i]->type;
        OX_TRY(map_value(c, from->out[i], n->out[i]));
    }
    return copy_attrs(c, n, from);
}

static ox_status copy_inits(struct copier *c, struct ox_graph *graph, const struct ox_graph *from) {
    for (size_t i = 0; i < from->n_inits; i++) {
        struct ox_value *v, *old = from->inits[i];
        if (!old) continue;
        OX_TRY(ox_graph_add_init(&v, graph, old->name, ox_tensor_ref(old->init)));
        if (old->sparse) OX_TRY(copy_sparse(&v->sparse, c->model, old->sparse));
        v->type = old->type;
        OX_TRY(map_value(c, old, v));
    }
    return OX_OK;
}

static ox_status copy_nodes(struct copier *c, struct ox_graph *graph, struct ox_node *before,
                            const struct ox_graph *from) {
    OX_TRY(copy_inits(c, graph, from));
    for (const struct ox_node *n = ox_graph_begin(from); n; n = ox_node_next(n))
        OX_TRY(copy_node(c, graph, before, n));
    return OX_OK;
}

static ox_status copy_graph(struct ox_graph **out, struct copier *c, struct ox_node *owner,
                            const struct ox_graph *from) {
    struct ox_graph *g;
    OX_TRY(ox_graph_new(&g, c->model, owner));
    g->name = from->name;
    g->doc = from->doc;
    g->meta = from->meta;
    g->unknown = from->unknown;
    for (size_t i = 0; i < from->n_inputs; i++) {
        struct ox_value *v;
        OX_TRY(ox_graph_add_input(&v, g, from->inputs[i]->name, from->inputs[i]->type));
        v->init = ox_tensor_ref(from->inputs[i]->init);
        OX_TRY(map_value(c, from->inputs[i], v));
    }
    OX_TRY(copy_nodes(c, g, NULL, from));
    for (size_t i = 0; i < from->ret->n_in; i++)
        OX_TRY(ox_graph_add_output(g, mapped(c, from->ret->in[i].value), from->outputs[i].name,
                                   from->outputs[i].type));
    *out = g;
    return OX_OK;
}

/* ---- instances ------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t x) {
    return (hash ^ x) * 0x9e3779b97f4a7c15u ^ hash >> 29;
}

static uint64_t stamp_attrs(uint64_t hash, const struct ox_attr *attrs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = 0;
        memcpy(&bits, &attrs[i].v,
               sizeof attrs[i].v < sizeof bits ? sizeof attrs[i].v : sizeof bits);
        hash = mix(mix(mix(hash, (uintptr_t)attrs[i].name), (uintptr_t)attrs[i].ref), bits);
        hash = mix(mix(hash, attrs[i].type), attrs[i].count);
    }
    return hash;
}

struct stamp {
    uint64_t hash;
};

/* What a copy of the graph would be made of: ids are never reused, and what is in the arena is not
 * written to. */
static ox_status stamp_graph(void *arg, struct ox_graph *graph) {
    struct stamp *s = arg;
    s->hash = mix(s->hash, graph->n_inputs);
    for (const struct ox_node *n = graph->first; n; n = n->next) {
        s->hash = mix(mix(s->hash, n->id), (uintptr_t)n->callee);
        for (size_t i = 0; i < n->n_in; i++)
            s->hash = mix(s->hash, n->in[i].value ? n->in[i].value->id + 1u : 0);
        for (size_t i = 0; i < n->n_out; i++)
            s->hash = mix(s->hash, n->out[i] ? n->out[i]->id + 1u : 0);
        s->hash = stamp_attrs(s->hash, n->attrs, n->n_attrs);
        OX_TRY(ox_node_each_graph(n, stamp_graph, s));
        if (n == graph->ret) break;
    }
    return OX_OK;
}

static uint64_t stamp_of(const struct ox_node *call) {
    struct stamp s = {(uintptr_t)call->callee};
    (void)!stamp_graph(&s, call->callee->body);
    for (size_t i = 0; i < call->n_in; i++)
        s.hash = mix(s.hash, call->in[i].value != NULL);
    for (size_t i = 0; i < call->n_out; i++)
        s.hash = mix(s.hash, call->out[i] != NULL);
    return stamp_attrs(s.hash, call->attrs, call->n_attrs) | 1;
}

/* Nodes behind `first` (NULL: from the graph's first one on) and before `end` that nobody needs go:
 * for outputs that the call does not want, of inputs that it does not give. */
static void drop_unused(struct ox_node *first, struct ox_node *end) {
    for (struct ox_node *n = end->prev, *prev; n && n != first; n = prev) {
        bool used = !ox_node_removable(n);
        prev = n->prev;
        for (size_t i = 0; i < n->n_out && !used; i++)
            used = n->out[i] && n->out[i]->n_uses > 0;
        if (!used) ox_node_remove(n);
    }
}

static ox_status check_call(const struct ox_node *call) {
    const struct ox_graph *body = call->callee->body;
    struct ox_place place;
    if (call->n_in <= body->n_inputs && call->n_out <= body->ret->n_in) return OX_OK;
    ox_node_place(&place, call);
    return ox_fail(body->model->ctx, OX_INVALID, "wrong-arity", &place,
                   "a call with %zu inputs and %zu outputs of function %s, which has %zu and %zu",
                   (size_t)call->n_in, (size_t)call->n_out, ox_name_text(call->callee->name),
                   body->n_inputs, (size_t)body->ret->n_in);
}

static ox_status make_instance(struct ox_graph **out, struct copier *c, struct ox_node *call) {
    const struct ox_graph *body = call->callee->body;
    struct ox_graph *g;
    OX_TRY(ox_graph_new(&g, c->model, NULL)); /* calls in calls may be deeper than subgraphs */
    g->function = call->callee;
    g->name = call->callee->name;
    for (size_t i = 0; i < body->n_inputs; i++) {
        struct ox_value *v;
        OX_TRY(ox_graph_add_input(&v, g, body->inputs[i]->name, NULL));
        OX_TRY(map_value(c, body->inputs[i], ox_node_in(call, i) ? v : NULL));
    }
    OX_TRY(copy_nodes(c, g, NULL, body));
    for (size_t i = 0; i < body->ret->n_in; i++)
        OX_TRY(
            ox_graph_add_output(g, mapped(c, body->ret->in[i].value), body->outputs[i].name, NULL));
    for (size_t i = 0; i < g->ret->n_in; i++)
        if (!ox_node_out(call, i)) ox_use_set(&g->ret->in[i], NULL);
    drop_unused(NULL, g->ret);
    *out = g;
    return OX_OK;
}

ox_status ox_call_instance(struct ox_graph **out, struct ox_node *call) {
    uint64_t stamp = stamp_of(call);
    if (call->instance && call->instance->stamp == stamp) {
        *out = call->instance->graph;
        return OX_OK;
    }
    struct copier c = {.model = call->graph->model, .call = call};
    ox_call_drop_instance(call);
    OX_TRY(check_call(call));
    ox_ptr_map_init(&c.values, c.model->ctx);
    ox_status s = make_instance(out, &c, call);
    ox_ptr_map_fini(&c.values);
    OX_TRY(s);
    OX_TRY(ox_arena_alloc(&c.model->arena, &call->instance, 1, sizeof *call->instance));
    *call->instance = (struct ox_instance){*out, stamp};
    return OX_OK;
}

static ox_status expand_calls(void *arg, struct ox_graph *graph) {
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n)) {
        struct ox_graph *instance;
        if (n->callee) {
            OX_TRY(ox_call_instance(&instance, n));
            OX_TRY(expand_calls(arg, instance));
        }
        OX_TRY(ox_node_each_graph(
            n, expand_calls, arg)); /* as deep as limits.max_subgraph_depth in each of CHAIN_MAX */
    }
    return OX_OK;
}

ox_status ox_model_expand(struct ox_model *model) {
    struct ox_expansion size;
    if (model->n_functions == 0) return OX_OK;
    OX_TRY(ox_model_expanded(&size, model));
    if (size.recursive)
        return ox_fail(model->ctx, OX_INVALID, "recursive-function", NULL,
                       "a function calls itself");
    if (size.fits) return expand_calls(NULL, model->graph);
    return ox_fail(model->ctx, OX_UNSUPPORTED, "too-large", NULL,
                   "with its functions expanded the model has more than %zu nodes (limit "
                   "max_nodes), or calls are nested deeper than %d",
                   ox_ctx_limits(model->ctx)->max_nodes, CHAIN_MAX);
}

/* ---- in place -------------------------------------------------------------------------------- */

ox_status ox_call_inline(struct ox_node *call) {
    const struct ox_graph *body = call->callee->body;
    struct ox_node *first = call->prev;
    struct copier c = {.model = call->graph->model, .call = call};
    OX_TRY(check_call(call));
    ox_ptr_map_init(&c.values, c.model->ctx);
    ox_status s = OX_OK;
    for (size_t i = 0; i < body->n_inputs && s == OX_OK; i++)
        s = map_value(&c, body->inputs[i], ox_node_in(call, i));
    if (s == OX_OK) s = copy_nodes(&c, call->graph, call, body);
    for (size_t i = 0; i < call->n_out && s == OX_OK; i++) {
        struct ox_value *to = mapped(&c, body->ret->in[i].value), *from = call->out[i];
        if (!from) continue;
        if (!to && from->n_uses > 0)
            s = ox_fail(c.model->ctx, OX_INVALID, "no-output", NULL,
                        "output %zu of function %s is an input that the call does not give", i,
                        ox_name_text(call->callee->name));
        if (!to || s != OX_OK) continue;
        if (to->def && to->graph == call->graph &&
            ox_ptr_map_get(&c.values, body->ret->in[i].value) && body->ret->in[i].value->def) {
            to->name = from->name;
            to->declared = from->declared;
            if (to->type->kind == OX_TYPE_UNKNOWN) to->type = from->type;
        }
        ox_value_replace(from, to);
    }
    ox_ptr_map_fini(&c.values);
    if (s != OX_OK) return s;
    drop_unused(first, call);
    ox_node_remove(call);
    return OX_OK;
}
