/* ir/graph/infer.c - the driver of type and shape inference: walks the nodes in order and asks each
 * operator's row.
 *
 * What the file declares (value_info) is merged with what follows from the operators; where they
 * contradict each other, the operators win and a warning says so. Results of a walk live in an
 * arena of their own; only a type that says more than before is copied to the model. */
#include "ir/graph/infer_priv.h"

/* How many nodes may be visited beyond the first time, so that loops in loops do not take forever:
 * by nodes of the model, and besides. */
enum { TRIALS_EACH = 8, TRIALS_FREE = 4096 };

static ox_status shapes_new(struct ox_shapes **out, struct ox_model *model) {
    struct ox_shapes *s;
    OX_TRY(ox_alloc(model->ctx, &s, 1, sizeof *s));
    s->ctx = s->scratch.ctx = model->ctx;
    s->model = model;
    s->n_values = model->n_values;
    s->trials = TRIALS_FREE + TRIALS_EACH * (int64_t)model->n_nodes;
    ox_arena_init(&s->arena, model->ctx);
    ox_status status = ox_alloc(model->ctx, &s->values, s->n_values, sizeof(struct ox_partial *));
    if (status != OX_OK) {
        ox_free(model->ctx, s);
        return status;
    }
    *out = s;
    return OX_OK;
}

void ox_shapes_free(struct ox_shapes *shapes) {
    if (!shapes) return;
    ox_call_scratch_fini(&shapes->scratch);
    ox_free(shapes->ctx, shapes->lists);
    ox_free(shapes->ctx, shapes->values);
    ox_arena_fini(&shapes->arena);
    ox_free(shapes->ctx, shapes);
}

const struct ox_partial *ox_shapes_value(const struct ox_shapes *shapes,
                                         const struct ox_value *value) {
    return value->id < shapes->n_values ? shapes->values[value->id] : NULL;
}

/* A constant vector of integers as a partial value; NULL where it is something else or too long. */
static ox_status partial_of(const struct ox_partial **out, struct ox_arena *arena,
                            const ox_tensor *t) {
    *out = NULL;
    if (!t || t->rank > 1 || t->count > OX_PARTIAL_MAX ||
        (t->dtype != OX_INT64 && t->dtype != OX_INT32))
        return OX_OK;
    struct ox_partial *p;
    ox_dim *elems;
    OX_TRY(ox_arena_alloc(arena, &p, 1, sizeof *p));
    OX_TRY(ox_arena_alloc(arena, &elems, t->count, sizeof *elems));
    const char *data = t->data;
    for (size_t i = 0; i < t->count; i++) {
        int64_t wide;
        int32_t narrow;
        if (t->dtype == OX_INT64) {
            memcpy(&wide, data + i * 8, 8);
        } else {
            memcpy(&narrow, data + i * 4, 4);
            wide = narrow;
        }
        elems[i] = ox_dim_const(wide);
    }
    *p = (struct ox_partial){t->rank, t->count, elems};
    *out = p;
    return OX_OK;
}

ox_status ox_infer_known(const struct ox_partial **out, struct ox_shapes *s,
                         const struct ox_value *v) {
    if (v->id < s->n_values && s->values[v->id]) {
        *out = s->values[v->id];
        return OX_OK;
    }
    OX_TRY(partial_of(out, &s->arena, ox_value_const(v)));
    if (v->id < s->n_values) s->values[v->id] = *out;
    return OX_OK;
}

static ox_status room(struct ox_shapes *s, size_t need) {
    if (need <= s->cap) return OX_OK;
    size_t cap = need < 16 ? 16 : need * 2;
    ox_free(s->ctx, s->lists);
    s->lists = NULL;
    s->cap = 0;
    OX_TRY(ox_alloc(s->ctx, &s->lists, cap * 4, sizeof *s->lists));
    s->cap = cap;
    return OX_OK;
}

ox_status ox_infer_keep(struct ox_value *value, const struct ox_type *type) {
    if (ox_type_same(type, value->type)) return OX_OK;
    struct ox_arena *arena = &value->graph->model->arena;
    if (type->kind == OX_TYPE_TENSOR)
        return ox_type_tensor(&value->type, arena, type->dtype, type->rank, type->dims);
    const struct ox_type *elem = type->elem;
    struct ox_type *copy, *last = NULL;
    for (; type; type = elem) {
        elem = type->elem;
        OX_TRY(ox_arena_alloc(arena, &copy, 1, sizeof *copy));
        *copy = *type;
        if (type->rank > 0) {
            ox_dim *dims;
            OX_TRY(ox_arena_alloc(arena, &dims, (size_t)type->rank, sizeof *dims));
            memcpy(dims, type->dims, (size_t)type->rank * sizeof *dims);
            copy->dims = dims;
        }
        if (last)
            last->elem = copy;
        else
            value->type = copy;
        last = copy;
    }
    return OX_OK;
}

static void warn_conflict(struct ox_shapes *s, const struct ox_value *value,
                          const struct ox_type *inferred) {
    char declared_text[200], inferred_text[200];
    ox_type_print(declared_text, sizeof declared_text, value->type);
    ox_type_print(inferred_text, sizeof inferred_text, inferred);
    ox_report(s->ctx, OX_WARNING, "shape-conflict", NULL, "'%s' is declared %s and is %s",
              ox_name_text(value->name), declared_text, inferred_text);
}

/* `like` (may be NULL) is a type of the model that is often the same, so that it can be shared. */
static ox_status learn(struct ox_shapes *s, struct ox_value *value, const struct ox_type *inferred,
                       const struct ox_type *like) {
    const struct ox_type *merged;
    bool conflict = false;
    if (!inferred || inferred->kind == OX_TYPE_UNKNOWN || ox_type_same(inferred, value->type))
        return OX_OK;
    /* What follows from the operators stands first: of two names for a dim it is the one that
     * others can be compared with. */
    OX_TRY(ox_type_merge(&merged, &conflict, &s->arena, inferred, value->type));
    if (conflict) warn_conflict(s, value, inferred);
    if (like && ox_type_same(merged, like)) {
        value->type = like;
        return OX_OK;
    }
    return ox_infer_keep(value, merged);
}

ox_status ox_infer_learn(struct ox_shapes *s, struct ox_value *value, const struct ox_type *type) {
    return learn(s, value, type, NULL);
}

/* Asks the node's row. False in *told: the operands contradict each other, which is an error only
 * where the node is sure to run. */
static ox_status ask(bool *told, struct ox_shapes *s, struct ox_node *node, struct ox_infer *io) {
    struct ox_call call;
    OX_TRY(ox_node_call(&call, &s->scratch, node));
    if (s->maybe) ox_mute(s->ctx, true);
    ox_status status = ox_op_infer(&call, io);
    if (s->maybe) ox_mute(s->ctx, false);
    *told = status == OX_OK;
    return s->maybe && status == OX_INVALID ? OX_OK : status;
}

static ox_status infer_row(struct ox_shapes *s, struct ox_node *node) {
    size_t n_in = node->n_in, n_out = node->n_out;
    OX_TRY(room(s, n_in > n_out ? n_in : n_out));
    /* Only what this node uses: one node with very many operands must not make the others pay. */
    for (size_t list = 0; list < 4; list++)
        memset(s->lists + list * s->cap, 0, (list < 2 ? n_in : n_out) * sizeof *s->lists);
    const struct ox_type **in = (void *)s->lists, **out = (void *)(s->lists + 2 * s->cap);
    const struct ox_partial **known = (void *)(s->lists + s->cap),
                            **found = (void *)(s->lists + 3 * s->cap);
    for (size_t i = 0; i < n_in; i++) {
        struct ox_value *v = node->in[i].value;
        if (!v) continue;
        in[i] = v->type->kind == OX_TYPE_UNKNOWN ? NULL : v->type;
        OX_TRY(ox_infer_known(&known[i], s, v));
    }
    struct ox_arena_mark mark = ox_arena_mark(&s->arena);
    bool kept = false, told;
    struct ox_infer io = {.arena = &s->arena,
                          .dims = &s->model->dims,
                          .in = in,
                          .in_values = known,
                          .out = out,
                          .out_values = found};
    OX_TRY(ask(&told, s, node, &io));
    for (size_t i = 0; i < n_out; i++) {
        struct ox_value *v = node->out[i];
        if (!v) continue;
        if (!told) out[i] = NULL, found[i] = NULL;
        OX_TRY(learn(s, v, out[i], n_in ? in[0] : NULL));
        if (v->id < s->n_values) s->values[v->id] = found[i];
        if (found[i]) kept = true;
    }
    /* Types are in the model by now; values known in part stay for the nodes behind. */
    if (!kept) ox_arena_rewind(&s->arena, mark);
    return OX_OK;
}

static ox_status infer_node(struct ox_shapes *s, struct ox_node *node) {
    if (!node->op || ox_node_is_template(node)) return OX_OK;
    struct ox_place place;
    ox_node_place(&place, node);
    const struct ox_place *former = ox_place_set(s->ctx, &place);
    if (s->trying) s->trials--;
    ox_status status = infer_row(s, node);
    ox_place_set(s->ctx, former);
    return status;
}

static ox_status check_default(struct ox_shapes *s, struct ox_value *input) {
    if (!input->init) return OX_OK;
    const struct ox_type *type, *merged;
    bool conflict = false;
    OX_TRY(ox_type_of(&type, &s->arena, input->init));
    OX_TRY(ox_type_merge(&merged, &conflict, &s->arena, input->type, type));
    if (!conflict) return ox_value_const(input) ? ox_infer_keep(input, type) : OX_OK;
    char declared[200], given[200];
    ox_type_print(declared, sizeof declared, input->type);
    ox_type_print(given, sizeof given, type);
    return ox_fail(s->ctx, OX_INVALID, "shape-mismatch",
                   &(struct ox_place){.file = s->model->file ? s->model->file->text : NULL,
                                      .node = ox_name_text(input->name)},
                   "input is declared %s and its initializer is %s", declared, given);
}

static ox_status forget(void *arg, struct ox_graph *graph) {
    static const struct ox_type unknown = {.kind = OX_TYPE_UNKNOWN, .rank = -1};
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n)) {
        for (size_t i = 0; i < n->n_out; i++)
            if (n->out[i]) n->out[i]->type = &unknown;
        if (n->n_attrs) OX_TRY(ox_node_each_graph(n, forget, arg));
    }
    return OX_OK;
}

/* What is known of the operands goes into the call's instance, what is found out about its outputs
 * comes back. */
static ox_status infer_call(struct ox_shapes *s, struct ox_node *call) {
    struct ox_graph *g = call->instance->graph;
    bool same = true;
    for (size_t i = 0; i < g->n_inputs; i++) {
        struct ox_value *to = g->inputs[i], *from = ox_node_in(call, i);
        if (!from) continue;
        same = same && ox_type_same(to->type, from->type);
        to->type = from->type;
        if (to->id < s->n_values) OX_TRY(ox_infer_known(&s->values[to->id], s, from));
    }
    if (!same) OX_TRY(forget(NULL, g));
    OX_TRY(ox_infer_graph(s, g));
    for (size_t i = 0; i < call->n_out; i++) {
        struct ox_value *from = g->ret->in[i].value, *to = call->out[i];
        if (!to || !from) continue;
        OX_TRY(learn(s, to, from->type, NULL));
        if (to->id < s->n_values) OX_TRY(ox_infer_known(&s->values[to->id], s, from));
    }
    return OX_OK;
}

ox_status ox_infer_graph(void *arg, struct ox_graph *graph) {
    struct ox_shapes *s = arg;
    for (size_t i = 0; i < graph->n_inputs; i++)
        OX_TRY(check_default(s, graph->inputs[i]));
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n)) {
        OX_TRY(infer_node(s, n));
        if (n->instance) OX_TRY(infer_call(s, n));
        if (n->n_attrs) OX_TRY(ox_infer_bodies(s, n));
    }
    return OX_OK;
}

ox_status ox_infer_maybe(struct ox_shapes *s, struct ox_graph *graph) {
    s->maybe++;
    ox_status status = ox_infer_graph(s, graph);
    s->maybe--;
    return status;
}

ox_status ox_model_infer(struct ox_model *model, struct ox_shapes **out) {
    struct ox_shapes *s;
    struct ox_expansion size = {.fits = false};
    if (model->n_functions) OX_TRY(ox_model_expanded(&size, model));
    if (size.fits) OX_TRY(ox_model_expand(model)); /* else calls tell nothing */
    OX_TRY(shapes_new(&s, model));
    ox_status status = ox_infer_graph(s, model->graph);
    for (size_t i = 0; i < model->n_functions && status == OX_OK; i++)
        status = ox_infer_graph(s, model->functions[i]->body);
    if (status == OX_OK && out)
        *out = s;
    else
        ox_shapes_free(s);
    return status;
}

ox_status ox_node_infer(struct ox_node *node) {
    /* Values made since are beyond n_values, and single nodes need no table: one of size zero
     * serves. */
    struct ox_shapes s = {.ctx = node->graph->model->ctx,
                          .scratch.ctx = node->graph->model->ctx,
                          .model = node->graph->model};
    ox_arena_init(&s.arena, s.ctx);
    ox_status status = infer_node(&s, node);
    ox_call_scratch_fini(&s.scratch);
    ox_free(s.ctx, s.lists);
    ox_arena_fini(&s.arena);
    return status;
}
